//! How good inputs are damaged. Seeded: the same seed damages in the same way.

/// Values that break arithmetic, as bytes of one to eight.
const EDGES: &[&[u8]] = &[
    &[0],
    &[0xff],
    &[0x7f],
    &[0x80],
    &[0xff, 0xff],
    &[0x7f, 0xff],
    &[0x7f, 0xff, 0xff, 0xff],
    &[0x80, 0, 0, 0],
    &[0xff, 0xff, 0xff, 0xff],
    &[0xff, 0xff, 0xff, 0xff, 0x0f],
    &[0xfe, 0xff, 0xff, 0xff, 0x0f],
    &[0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
    &[0x80, 0, 0, 0, 0, 0, 0, 0],
];
/// Longest input.
const LEN_MAX: usize = 64 * 1024;

/// Xorshift: enough to wander, the same everywhere.
pub struct Random(u64);

impl Random {
    /// From a seed, 0 included.
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// Below `end`, which may be 0.
    fn below(&mut self, end: usize) -> usize {
        self.next() as usize % end.max(1)
    }

    /// One of the inputs with one to eight wounds.
    pub fn damaged(&mut self, good: &[Vec<u8>]) -> Vec<u8> {
        let mut out = good[self.below(good.len())].clone();
        for _ in 0..=self.below(8) {
            self.wound(&mut out, good);
        }
        out.truncate(LEN_MAX);
        out
    }

    fn wound(&mut self, out: &mut Vec<u8>, good: &[Vec<u8>]) {
        let at = self.below(out.len() + 1);
        match self.below(7) {
            0 if at < out.len() => out[at] ^= 1 << self.below(8),
            1 if at < out.len() => out[at] = self.next() as u8,
            2 => {
                let edge = EDGES[self.below(EDGES.len())];
                let end = (at + edge.len()).min(out.len());
                out[at..end].copy_from_slice(&edge[..end - at]);
            }
            3 => out.truncate(at),
            4 => {
                let edge = EDGES[self.below(EDGES.len())];
                out.splice(at..at, edge.iter().copied());
            }
            5 => {
                let end = (at + self.below(64)).min(out.len());
                out.drain(at..end);
            }
            _ => {
                // the tail of another
                let other = &good[self.below(good.len())];
                let from = self.below(other.len() + 1);
                out.truncate(at);
                out.extend_from_slice(&other[from..]);
            }
        }
    }
}
