//! Small files that are there whole or not at all: written beside, synced, renamed. Not here: what is in them.

use std::{io::IoSlice, path::Path};

use super::error::StorageError;
use crate::os::disk::{OpenMode, SharedDisk};

/// Puts these bytes in the place of the file, or makes it. Durable when it returns; a crash leaves what was there before.
pub(super) fn replace(disk: &SharedDisk, path: &Path, bytes: &[u8]) -> Result<(), StorageError> {
    let temporary = path.with_added_extension("tmp");
    let file = StorageError::at(&temporary, disk.open(&temporary, OpenMode::Create))?;
    StorageError::at(&temporary, file.write_all_at(&[IoSlice::new(bytes)], 0))?;
    StorageError::at(&temporary, file.sync_data())?;
    StorageError::at(path, disk.rename(&temporary, path))?;
    path.parent().map_or(Ok(()), |dir| StorageError::at(dir, disk.sync_dir(dir)))
}
