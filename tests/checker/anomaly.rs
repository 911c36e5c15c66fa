//! The names of what may be wrong, and whether a run's settings forbid it. The tests themselves are in the files that
//! know the facts.

use super::settings::Settings;

/// What a history may show. Names as in Jepsen's Kafka workload where it has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Anomaly {
    /// Two values at one offset.
    InconsistentOffsets,
    /// One value at two offsets.
    Duplicate,
    /// A committed value lies before one that was seen, and was not seen.
    LostWrite,
    /// An acknowledged value was not polled by the end of the final phase.
    Unseen,
    /// A polled value that nobody sent to that key, or not with these bytes.
    Phantom,
    /// A value whose writer certainly failed was polled.
    AbortedRead,
    /// A transaction polled its own value.
    PrecommittedRead,
    /// A consumer's next poll leaves a value out.
    PollSkip,
    /// A consumer's next poll goes back.
    NonmonotonicPoll,
    /// One poll leaves a value out.
    IntPollSkip,
    /// One poll goes back.
    IntNonmonotonicPoll,
    /// A process's later send lies before its earlier one.
    NonmonotonicSend,
    /// The same inside one transaction.
    IntNonmonotonicSend,
    /// Another's value between two sends of one transaction.
    IntSendSkip,
    /// A cycle of transactions by the order of their writes.
    G0,
    /// A cycle of transactions that read from each other.
    G1c,
    /// One send of a transaction was seen, another was not.
    TornTxn,
    /// LATEST, last stable or committed offset went down.
    OffsetRegression,
    /// The same between two processes: what one knew, a later question of another denies.
    StaleOffset,
    /// A poll returned an offset at or above the high watermark that came with it.
    BeyondHighWatermark,
    /// A committed group offset was lost.
    GroupOffsetLoss,
    /// Replicas hold different batches in the committed prefix.
    ReplicaDivergence,
    /// LATEST does not cover what the same process was told is stored.
    StaleLeader,
    /// The final phase did not end in time.
    Liveness,
}

impl Anomaly {
    /// All of them, in the order of the report.
    pub const ALL: [Self; 24] = [
        Self::InconsistentOffsets,
        Self::Duplicate,
        Self::LostWrite,
        Self::Unseen,
        Self::Phantom,
        Self::AbortedRead,
        Self::PrecommittedRead,
        Self::PollSkip,
        Self::NonmonotonicPoll,
        Self::IntPollSkip,
        Self::IntNonmonotonicPoll,
        Self::NonmonotonicSend,
        Self::IntNonmonotonicSend,
        Self::IntSendSkip,
        Self::G0,
        Self::G1c,
        Self::TornTxn,
        Self::OffsetRegression,
        Self::StaleOffset,
        Self::BeyondHighWatermark,
        Self::GroupOffsetLoss,
        Self::ReplicaDivergence,
        Self::StaleLeader,
        Self::Liveness,
    ];

    /// As the report says it.
    pub fn name(self) -> &'static str {
        match self {
            Self::InconsistentOffsets => "inconsistent-offsets",
            Self::Duplicate => "duplicate",
            Self::LostWrite => "lost-write",
            Self::Unseen => "unseen",
            Self::Phantom => "phantom",
            Self::AbortedRead => "G1a-aborted-read",
            Self::PrecommittedRead => "precommitted-read",
            Self::PollSkip => "poll-skip",
            Self::NonmonotonicPoll => "nonmonotonic-poll",
            Self::IntPollSkip => "int-poll-skip",
            Self::IntNonmonotonicPoll => "int-nonmonotonic-poll",
            Self::NonmonotonicSend => "nonmonotonic-send",
            Self::IntNonmonotonicSend => "int-nonmonotonic-send",
            Self::IntSendSkip => "int-send-skip",
            Self::G0 => "G0",
            Self::G1c => "G1c",
            Self::TornTxn => "torn-txn",
            Self::OffsetRegression => "offset-regression",
            Self::StaleOffset => "stale-offset",
            Self::BeyondHighWatermark => "beyond-high-watermark",
            Self::GroupOffsetLoss => "group-offset-loss",
            Self::ReplicaDivergence => "replica-divergence",
            Self::StaleLeader => "stale-leader",
            Self::Liveness => "liveness",
        }
    }

    /// Whether it must never be; else it is only counted.
    pub fn is_forbidden(self, settings: Settings) -> bool {
        match self {
            Self::LostWrite | Self::Unseen => settings.acks == -1,
            Self::Duplicate | Self::NonmonotonicSend | Self::IntNonmonotonicSend => settings.idempotent,
            Self::AbortedRead | Self::PrecommittedRead | Self::G1c => settings.read_committed,
            // Kafka does not isolate writes; nor does it promise that another client's question is answered by the leader
            Self::IntSendSkip | Self::G0 | Self::StaleOffset => false,
            _ => true,
        }
    }
}
