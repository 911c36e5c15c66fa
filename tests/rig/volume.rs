//! A small file system of its own, so that it can run full without touching the machine's: a tmpfs, which outlives the
//! processes that use it as a disk does. Only root may mount one; others get none, and leave that fault out.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use rustix::fs::{FallocateFlags, fallocate};

const FILLER: &str = "filler";
/// The smallest piece that is taken.
const PIECE_BYTES_MIN: u64 = 4096;

/// A mounted volume. Dropped, it is gone with all that is on it.
#[derive(Debug)]
pub struct Volume {
    mounted_at: tempfile::TempDir,
}

impl Volume {
    /// Mounts one of so many bytes; None where that is not permitted.
    ///
    /// # Panics
    /// If there is no temporary directory.
    pub fn mount(bytes: u64) -> Option<Self> {
        let mounted_at = tempfile::tempdir().expect("a temporary directory");
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", &format!("size={bytes}"), "tidemark-rig"]).arg(mounted_at.path());
        let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
        status.is_ok_and(|status| status.success()).then_some(Self { mounted_at })
    }

    /// Where files go.
    pub fn path(&self) -> &Path {
        self.mounted_at.path()
    }

    fn filler(&self) -> PathBuf {
        self.path().join(FILLER)
    }

    /// Takes all space that is left.
    ///
    /// # Panics
    /// If the filler cannot be made.
    pub fn fill(&self) {
        let filler = File::create(self.filler()).expect("a filler");
        let (mut end, mut piece) = (0, 1 << 30);
        while piece >= PIECE_BYTES_MIN {
            match fallocate(&filler, FallocateFlags::empty(), end, piece) {
                Ok(()) => end += piece,
                Err(_) => piece /= 2,
            }
        }
    }

    /// Gives it back.
    pub fn free(&self) {
        let _ = std::fs::remove_file(self.filler());
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        // lazily: a process that was just killed may hold it for a moment
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}

#[cfg(test)]
mod tests {
    use std::io::{ErrorKind, Write};

    use super::*;

    #[test]
    fn a_full_volume_takes_nothing_until_it_is_freed() {
        let Some(volume) = Volume::mount(1 << 20) else { return };
        let path = volume.path().join("data");
        let mut file = File::create(&path).unwrap();
        file.write_all(&[1; 5000]).unwrap();
        volume.fill();
        let refused = file.write_all(&[1; 100_000]).expect_err("a full volume");
        assert_eq!(refused.kind(), ErrorKind::StorageFull);
        volume.free();
        file.write_all(&[1; 100_000]).unwrap();
    }
}
