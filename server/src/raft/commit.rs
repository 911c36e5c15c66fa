//! How a replica tells its partition that entries were committed, and what it is. Not here: who waits.

use super::role::Role;

/// Called back by a replica, in order; often from the journal's sync thread, so it must be short and must not block.
pub trait CommitListener: Send + Sync + std::fmt::Debug {
    /// `bytes` more, up to `high_watermark`, are committed and may be seen.
    fn on_commit(&self, high_watermark: i64, bytes: usize);
    /// The journal or the log failed: nothing that is not committed yet will be.
    fn on_failure(&self);
    /// The replica became this. Called before any entry of another leader is taken, so what waits for the commit of an
    /// entry that a lost leadership appended must end now: the high watermark may pass its offset with another's records.
    fn on_role_change(&self, role: Role);
}
