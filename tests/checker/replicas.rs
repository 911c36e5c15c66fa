//! Whether replicas hold the same batches in the committed prefix. Pure; where the batches come from is `segments`.

/// One Kafka batch as a replica holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplicaBatch {
    /// Its first offset.
    pub base_offset: i64,
    /// Its last.
    pub last_offset: i64,
    /// As its header says.
    pub leader_epoch: i32,
    /// Over its records and most of its header.
    pub crc: u32,
    /// Over all of its bytes; equal CRCs and other bytes differ here. 0 where only headers are known.
    pub digest: u64,
}

/// The first place where a replica is not as another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Divergence {
    /// The replica that it is held against.
    pub reference: String,
    /// The one that differs.
    pub replica: String,
    /// The first offset at which they differ.
    pub offset: i64,
    /// What the first holds there.
    pub expected: Option<ReplicaBatch>,
    /// What the other holds there.
    pub found: Option<ReplicaBatch>,
}

impl std::fmt::Display for Divergence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shown = |batch: &Option<ReplicaBatch>| match batch {
            None => "nothing".to_owned(),
            Some(batch) => format!(
                "offsets {}..{} epoch {} crc {:08x} digest {:016x}",
                batch.base_offset, batch.last_offset, batch.leader_epoch, batch.crc, batch.digest
            ),
        };
        let (expected, found) = (shown(&self.expected), shown(&self.found));
        write!(f, "at offset {}: {} has {expected}, {} has {found}", self.offset, self.reference, self.replica)
    }
}

/// Holds every replica against the one that reaches furthest, batch by batch in their order, from the highest log start of
/// all up to the high watermark. A batch that straddles the high watermark counts: it is committed as a whole or not.
pub fn compare(replicas: &[(String, Vec<ReplicaBatch>)], high_watermark: i64) -> Vec<Divergence> {
    let start = |batches: &[ReplicaBatch]| batches.first().map(|batch| batch.base_offset);
    let from = replicas.iter().filter_map(|(_, batches)| start(batches)).max().unwrap_or(0);
    let committed = |batches: &[ReplicaBatch]| -> Vec<ReplicaBatch> {
        let inside = |batch: &&ReplicaBatch| batch.last_offset >= from && batch.base_offset < high_watermark;
        batches.iter().filter(inside).copied().collect()
    };
    let cut: Vec<_> = replicas.iter().map(|(name, batches)| (name, committed(batches))).collect();
    let reach = |batches: &Vec<ReplicaBatch>| batches.last().map_or(-1, |batch| batch.last_offset);
    let Some((reference, expected)) = cut.iter().rev().max_by_key(|(_, batches)| reach(batches)) else {
        return Vec::new();
    };
    let against = |(name, found): &(&String, Vec<ReplicaBatch>)| {
        let length = expected.len().max(found.len());
        let place = (0..length).find(|place| expected.get(*place) != found.get(*place))?;
        let (expected, found) = (expected.get(place).copied(), found.get(place).copied());
        let offset = expected.iter().chain(&found).map(|batch| batch.base_offset).min().unwrap_or(from);
        let (reference, replica) = ((*reference).clone(), (*name).clone());
        Some(Divergence { reference, replica, offset, expected, found })
    };
    cut.iter().filter_map(against).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Base offset, last offset, leader epoch, CRC.
    type Short = (i64, i64, i32, u32);

    fn log(batches: &[Short]) -> Vec<ReplicaBatch> {
        let batch = |&(base_offset, last_offset, leader_epoch, crc)| ReplicaBatch {
            base_offset,
            last_offset,
            leader_epoch,
            crc,
            digest: 0,
        };
        batches.iter().map(batch).collect()
    }

    fn against(other: &[Short], high_watermark: i64) -> Vec<Divergence> {
        let whole = [(0, 1, 1, 10), (2, 4, 1, 11), (5, 5, 2, 12)];
        compare(&[("1".to_owned(), log(&whole)), ("2".to_owned(), log(other))], high_watermark)
    }

    #[test]
    fn equal_prefixes_agree_whatever_lies_beyond_or_was_deleted() {
        assert_eq!(against(&[(0, 1, 1, 10), (2, 4, 1, 11), (5, 5, 2, 12)], 6), []);
        assert_eq!(against(&[(0, 1, 1, 10), (2, 4, 1, 11), (5, 5, 3, 99)], 5), [], "beyond the high watermark");
        assert_eq!(against(&[(0, 1, 1, 10), (2, 4, 1, 11)], 5), [], "shorter beyond the high watermark");
        assert_eq!(against(&[(2, 4, 1, 11), (5, 5, 2, 12)], 6), [], "a later log start");
        assert_eq!(compare(&[], 9), []);
    }

    #[test]
    fn every_kind_of_difference_is_found_where_it_is() {
        let cases: [(&[Short], i64); 5] = [
            (&[(0, 1, 1, 10), (2, 4, 1, 99), (5, 5, 2, 12)], 2),
            (&[(0, 1, 1, 10), (2, 4, 2, 11), (5, 5, 2, 12)], 2),
            (&[(0, 1, 1, 10), (2, 3, 1, 11), (5, 5, 2, 12)], 2),
            (&[(0, 1, 1, 10), (5, 5, 2, 12)], 2),
            (&[(0, 1, 1, 10), (2, 4, 1, 11)], 5),
        ];
        for (other, offset) in cases {
            let found = against(other, 6);
            assert_eq!(found.len(), 1, "{other:?}");
            assert_eq!(found[0].offset, offset, "{}", found[0]);
        }
        let empty = against(&[], 6);
        assert_eq!((empty[0].replica.as_str(), empty[0].offset, empty[0].found), ("2", 0, None));
    }
}
