//! Taking a log as it lies on the disk, after an operator has accepted that its damaged end is lost. For the repair tool,
//! on a directory that serves nobody. Not here: what was cut off, and who may decide that.

use super::{error::StorageError, replica::State, storage::Storage};
use crate::log::{Extent, Log, LogConfig, LogIdentity};

impl Storage {
    /// Opens the log in the directory `name` up to its last whole frame, whatever journal and checkpoint say of it. The
    /// checkpoint that [`Self::close`] writes makes that last. Its end offset; `None` if no replica has that directory.
    ///
    /// # Errors
    /// The disk's, or nothing whole is left.
    pub fn reopen_as_it_lies(&self, name: &str) -> Result<Option<i64>, StorageError> {
        let list = self.list();
        let Some(entry) = list.by_id.values().find(|entry| entry.dir == name) else { return Ok(None) };
        let identity = LogIdentity { topic_id: entry.key.0, partition: entry.key.1 };
        let (disk, path) = (self.shared.disk.clone(), self.shared.dir.join(name));
        let (mut log, _) = Log::open(disk, &path, identity, LogConfig::default(), Extent::LastSegment)?;
        log.restore_log_start(entry.last.log_start_offset);
        let end = log.log_end_offset();
        drop(entry.replica.replace(State::Open(log)));
        Ok(Some(end))
    }
}
