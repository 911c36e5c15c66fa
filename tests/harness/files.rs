//! Directories as tests keep them: copies of a broker's data from another moment.

use std::path::Path;

/// Copies all that is in a directory.
///
/// # Panics
/// If anything cannot be read or written.
pub fn copy_dir(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let (path, copied) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy_dir(&path, &copied);
        } else {
            std::fs::copy(&path, &copied).unwrap();
        }
    }
}
