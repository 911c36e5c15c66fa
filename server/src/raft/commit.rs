//! How a replica tells its partition that entries were committed. Not here: who waits.

/// Called back by a replica, in order; often from the journal's sync thread, so it must be short and must not block.
pub trait CommitListener: Send + Sync + std::fmt::Debug {
    /// `bytes` more, up to `high_watermark`, are committed and may be seen.
    fn on_commit(&self, high_watermark: i64, bytes: usize);
    /// The journal or the log failed: nothing that is not committed yet will be.
    fn on_failure(&self);
}
