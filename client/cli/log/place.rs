//! What the directory is that was named, and its lock: a running broker is never looked at behind its back.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use tidemark_server::{
    log,
    os::disk::{Disk, DiskLock, OpenMode, RealDisk, SharedDisk},
};

use crate::{failure::Failure, output, server::properties};

const META: &str = "meta.properties";
const JOURNAL: &str = "journal";

/// A directory with logs that nobody else has open.
pub(super) struct Place {
    pub disk: SharedDisk,
    /// The data directory, where there is one: `meta.properties`, journal and partitions.
    pub data_dir: Option<PathBuf>,
    /// Directories with segments.
    pub partitions: Vec<PathBuf>,
    /// The whole data directory was named, not one partition.
    pub whole: bool,
    _lock: Option<DiskLock>,
}

impl Place {
    /// Finds out what `dir` is, and locks it.
    pub(super) fn open(dir: &Path) -> Result<Self, Failure> {
        let disk: SharedDisk = Arc::new(RealDisk);
        let unreadable = |cause: io::Error| {
            Failure::new(format!("{}: {cause}", dir.display())).next("name a data directory, or one partition in it")
        };
        let entries = disk.read_dir(dir).map_err(unreadable)?;
        let dir = absolute(dir);
        if disk.exists(&dir.join(META)) {
            let lock = lock(&*disk, &dir)?;
            let mut partitions = Vec::new();
            for entry in entries.iter().filter(|entry| entry.is_dir && entry.name != JOURNAL) {
                let path = dir.join(&entry.name);
                if has_segments(&*disk, &path)? {
                    partitions.push(path);
                }
            }
            return Ok(Self { disk, data_dir: Some(dir), partitions, whole: true, _lock: lock });
        }
        if !has_segments(&*disk, &dir)? {
            return Err(Failure::new(format!("{} holds neither {META} nor segments (*.log)", dir.display()))
                .next("name a data directory, or one partition in it"));
        }
        let data_dir = dir.parent().filter(|above| disk.exists(&above.join(META))).map(Path::to_path_buf);
        let lock = data_dir.as_deref().map(|above| lock(&*disk, above)).transpose()?.flatten();
        Ok(Self { disk, data_dir, partitions: vec![dir], whole: false, _lock: lock })
    }

    /// Where the journal is, if there is one.
    pub(super) fn journal(&self) -> Option<PathBuf> {
        self.data_dir.as_ref().map(|dir| dir.join(JOURNAL)).filter(|path| self.disk.exists(path))
    }

    /// The node that `meta.properties` names.
    pub(super) fn node_id(&self) -> Result<i32, Failure> {
        let path = self.data_dir.as_deref().unwrap_or(Path::new("")).join(META);
        let wrong = |cause: String| {
            Failure::new(format!("{}: {cause}", path.display()))
                .next("restore the file from a copy; the logs beside it are untouched")
        };
        let file = self.disk.open(&path, OpenMode::Read).map_err(|cause| wrong(cause.to_string()))?;
        let mut bytes = vec![0; file.size().map_or(0, |size| size.min(64 * 1024)) as usize];
        file.read_exact_at(&mut bytes, 0).map_err(|cause| wrong(cause.to_string()))?;
        let pairs = properties::parse(&String::from_utf8_lossy(&bytes)).map_err(wrong)?;
        let id = pairs.iter().find(|(key, _)| key == "node.id").and_then(|(_, value)| value.parse().ok());
        id.ok_or_else(|| wrong("it has no node.id".to_owned()))
    }
}

/// A relative path's parent must be found too.
fn absolute(dir: &Path) -> PathBuf {
    std::path::absolute(dir).unwrap_or_else(|_| dir.to_path_buf())
}

fn has_segments(disk: &dyn Disk, dir: &Path) -> Result<bool, Failure> {
    log::segments_in(disk, dir).map(|bases| !bases.is_empty()).map_err(Failure::new)
}

/// A directory that cannot be written cannot be in use either; it is looked at without a lock.
fn lock(disk: &dyn Disk, dir: &Path) -> Result<Option<DiskLock>, Failure> {
    match disk.lock(&dir.join(".lock")) {
        Ok(lock) => Ok(Some(lock)),
        Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => {
            Err(Failure::new(format!("data directory {} is in use by a running broker", dir.display()))
                .next("stop the broker, or copy the partition's directory elsewhere and look at the copy"))
        }
        Err(cause) if matches!(cause.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem) => {
            output::note(&format!("{} cannot be written: going on without its lock", dir.display()));
            Ok(None)
        }
        Err(cause) => Err(Failure::new(format!("{}: {cause}", dir.join(".lock").display()))),
    }
}

/// A partition's name for people.
pub(super) fn name(dir: &Path) -> String {
    dir.file_name().map_or_else(|| dir.display().to_string(), |name| name.to_string_lossy().into_owned())
}
