//! `boot.properties`: under which boot of the machine the broker ran, and whether it stopped cleanly. So a start knows whether
//! what was only in the page cache may be lost. Not here: what follows from that (`recovery`).

use std::path::Path;

use super::{error::StorageError, whole_file};
use crate::os::disk::{OpenMode, SharedDisk};

const FILE: &str = "boot.properties";
const VERSION: u32 = 1;
/// Far more than the file ever has.
const BYTES_MAX: u64 = 4096;

/// How the process before this one ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// All was synced.
    Clean,
    /// By kill -9 or worse, and the machine still runs: its page cache has all.
    Killed,
    /// With the machine, perhaps: what was not synced may be lost.
    Uncached,
}

/// How it ended. What cannot be read says nothing good.
pub(super) fn last(disk: &SharedDisk, dir: &Path) -> Ended {
    let Some(text) = read(disk, dir) else { return Ended::Uncached };
    let value = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    let same_boot = || disk.boot_id().is_ok_and(|now| value("boot.id") == Some(&now));
    match (value("version") == Some(&VERSION.to_string()), value("clean")) {
        (true, Some("true")) => Ended::Clean,
        (true, _) if same_boot() => Ended::Killed,
        _ => Ended::Uncached,
    }
}

fn read(disk: &SharedDisk, dir: &Path) -> Option<String> {
    let file = disk.open(&dir.join(FILE), OpenMode::Read).ok()?;
    let mut bytes = vec![0; usize::try_from(file.size().ok()?.min(BYTES_MAX)).ok()?];
    file.read_exact_at(&mut bytes, 0).ok()?;
    String::from_utf8(bytes).ok()
}

/// From now on something may be in the page cache only. Durable when it returns.
pub(super) fn begin(disk: &SharedDisk, dir: &Path) -> Result<(), StorageError> {
    write(disk, dir, false)
}

/// All is synced, and nothing more is written.
pub(super) fn end(disk: &SharedDisk, dir: &Path) -> Result<(), StorageError> {
    write(disk, dir, true)
}

fn write(disk: &SharedDisk, dir: &Path, clean: bool) -> Result<(), StorageError> {
    // without an id every end but a clean one counts as a power cut
    let boot_id = disk.boot_id().unwrap_or_default();
    let text = format!("version={VERSION}\nboot.id={boot_id}\nclean={clean}\n");
    whole_file::replace(disk, &dir.join(FILE), text.as_bytes())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::os::disk::{Disk, sim::SimDisk};

    const DIR: &str = "/data";

    fn shared(disk: SimDisk) -> SharedDisk {
        Arc::new(disk)
    }

    #[test]
    fn only_a_power_cut_without_a_clean_stop_may_have_lost_something() {
        let (disk, dir) = (SimDisk::new(), Path::new(DIR));
        disk.create_dir_all(dir).unwrap();
        disk.sync_dir(Path::new("/")).unwrap();
        assert_eq!(last(&shared(disk.clone()), dir), Ended::Uncached, "nothing is known");
        begin(&shared(disk.clone()), dir).unwrap();
        assert_eq!(last(&shared(disk.process_killed()), dir), Ended::Killed);
        assert_eq!(last(&shared(disk.power_cut(1)), dir), Ended::Uncached);
        end(&shared(disk.clone()), dir).unwrap();
        assert_eq!(last(&shared(disk.process_killed()), dir), Ended::Clean);
        assert_eq!(last(&shared(disk.power_cut(1)), dir), Ended::Clean);
    }

    #[test]
    fn a_file_that_is_not_whole_says_nothing_good() {
        let (disk, dir) = (SimDisk::new(), Path::new(DIR));
        disk.create_dir_all(dir).unwrap();
        disk.sync_dir(Path::new("/")).unwrap();
        end(&shared(disk.clone()), dir).unwrap();
        let len = disk.open(&dir.join(FILE), OpenMode::Read).unwrap().size().unwrap();
        for len in 0..len - 1 {
            let cut = disk.process_killed();
            let file = cut.open(&dir.join(FILE), OpenMode::ReadWrite).unwrap();
            file.set_len(len).unwrap();
            file.sync_data().unwrap();
            assert_eq!(last(&shared(cut.power_cut(3)), dir), Ended::Uncached, "{len} bytes");
        }
    }
}
