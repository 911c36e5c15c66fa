//! `meta.properties`: whose data directory this is, and in which format. Kafka's keys, and one of our own.

use std::{io::IoSlice, path::Path};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use super::error::StorageError;
use crate::os::{
    disk::{OpenMode, SharedDisk},
    random::Random,
};

const FILE: &str = "meta.properties";
/// The format of the directory as a whole: its layout, journal and segments. 1 was never released.
const FORMAT: u32 = 2;

/// What the file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetaProperties {
    /// 22 characters of base64url, as Kafka's.
    pub cluster_id: String,
    /// The broker that owns the directory.
    pub node_id: i32,
    /// This directory; 22 characters of base64url.
    pub directory_id: String,
}

/// An id as Kafka writes it.
fn random_id(random: &Random) -> String {
    URL_SAFE_NO_PAD.encode(random.uuid().as_bytes())
}

impl MetaProperties {
    /// Reads the file, or makes it in a directory that has none.
    ///
    /// # Errors
    /// The disk's, another node's directory, a newer format, or a file that lacks a key.
    pub(super) fn load_or_create(
        disk: &SharedDisk,
        dir: &Path,
        node_id: i32,
        random: &Random,
    ) -> Result<Self, StorageError> {
        let path = dir.join(FILE);
        if !disk.exists(&path) {
            let fresh = Self { cluster_id: random_id(random), node_id, directory_id: random_id(random) };
            fresh.write(disk, dir)?;
            return Ok(fresh);
        }
        let found = Self::read(disk, &path)?;
        if found.node_id != node_id {
            return Err(StorageError::OtherNode { path, found: found.node_id, expected: node_id });
        }
        Ok(found)
    }

    fn read(disk: &SharedDisk, path: &Path) -> Result<Self, StorageError> {
        let file = StorageError::at(path, disk.open(path, OpenMode::Read))?;
        let len = StorageError::at(path, file.size())?.min(64 * 1024);
        let mut bytes = vec![0; len as usize];
        StorageError::at(path, file.read_exact_at(&mut bytes, 0))?;
        let damaged = |what: String| StorageError::Properties { path: path.to_path_buf(), what };
        let text = String::from_utf8(bytes).map_err(|_| damaged("it is not text".into()))?;
        let value = |key: &str| {
            let line = text.lines().find_map(|line| line.trim().strip_prefix(key)?.trim_start().strip_prefix('='));
            line.map(|value| value.trim().to_owned()).ok_or_else(|| damaged(format!("it has no {key}")))
        };
        let format: u32 =
            value("tidemark.format")?.parse().map_err(|_| damaged("tidemark.format is no number".into()))?;
        if format < FORMAT {
            return Err(StorageError::OlderFormat { path: path.to_path_buf(), found: format, known: FORMAT });
        }
        if format > FORMAT {
            return Err(StorageError::NewerFormat { path: path.to_path_buf(), found: format, known: FORMAT });
        }
        let node_id = value("node.id")?.parse().map_err(|_| damaged("node.id is no number".into()))?;
        Ok(Self { cluster_id: value("cluster.id")?, node_id, directory_id: value("directory.id")? })
    }

    fn write(&self, disk: &SharedDisk, dir: &Path) -> Result<(), StorageError> {
        let text = format!(
            "version=1\ncluster.id={}\nnode.id={}\ndirectory.id={}\ntidemark.format={FORMAT}\n",
            self.cluster_id, self.node_id, self.directory_id
        );
        let (path, temporary) = (dir.join(FILE), dir.join("meta.properties.tmp"));
        let file = StorageError::at(&temporary, disk.open(&temporary, OpenMode::Create))?;
        StorageError::at(&temporary, file.write_all_at(&[IoSlice::new(text.as_bytes())], 0))?;
        StorageError::at(&temporary, file.sync_data())?;
        StorageError::at(&path, disk.rename(&temporary, &path))?;
        StorageError::at(dir, disk.sync_dir(dir))
    }
}
