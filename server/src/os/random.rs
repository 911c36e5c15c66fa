//! Randomness through one door: from the kernel, or from a seed in tests and simulations.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// A source of random numbers; clones share it.
#[derive(Debug, Clone)]
pub struct Random(Kind);

#[derive(Debug, Clone)]
enum Kind {
    Os,
    Seeded(Arc<AtomicU64>),
}

impl Random {
    /// The kernel's generator.
    pub fn os() -> Self {
        Self(Kind::Os)
    }

    /// The same numbers for the same seed (splitmix64).
    pub fn seeded(seed: u64) -> Self {
        Self(Kind::Seeded(Arc::new(AtomicU64::new(seed))))
    }

    /// 64 random bits.
    pub fn u64(&self) -> u64 {
        match &self.0 {
            Kind::Os => {
                let mut bytes = [0; 8];
                // the call cannot fail for 8 bytes once the kernel's pool is up, long before a broker starts
                let _ = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty());
                u64::from_ne_bytes(bytes)
            }
            Kind::Seeded(state) => {
                let mut z =
                    state.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed).wrapping_add(0x9e37_79b9_7f4a_7c15);
                z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
                z ^ (z >> 31)
            }
        }
    }

    /// A random (version 4) UUID.
    pub fn uuid(&self) -> uuid::Uuid {
        uuid::Builder::from_random_bytes((u128::from(self.u64()) << 64 | u128::from(self.u64())).to_be_bytes())
            .into_uuid()
    }

    /// A number below `bound`, or 0 for a bound of 0.
    pub fn below(&self, bound: u64) -> u64 {
        if bound == 0 { 0 } else { self.u64() % bound }
    }
}
