//! `meta.properties`: whose data directory this is, and in which format. Kafka's keys, and one of our own.

use std::path::Path;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use uuid::Uuid;

use super::{error::StorageError, whole_file};
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
    /// 22 characters of base64url, as Kafka's; empty while the broker waits for its cluster to be formed.
    pub cluster_id: String,
    /// The broker that owns the directory.
    pub node_id: i32,
    /// This directory; 22 characters of base64url.
    pub directory_id: String,
    /// Voters of the metadata quorum as the cluster was formed, each with its directory then; empty for a lone broker.
    pub quorum: Vec<(i32, String)>,
    /// Which replica of the metadata lies here: 0 for one that formed the cluster, more after a disk was lost.
    pub incarnation: u32,
    /// How often an operator recovered the cluster after it had lost a majority.
    pub recovery: u32,
    /// A recovery has begun, and not come to its end here: how many there will have been.
    pub recovering: Option<u32>,
}

/// Between a cluster's id and how often it was recovered.
const RECOVERY_MARK: char = '#';

/// An id as Kafka writes it.
pub fn random_id(random: &Random) -> String {
    URL_SAFE_NO_PAD.encode(random.uuid().as_bytes())
}

/// What a replica of the metadata is called that takes the place of another; 0 is the first one's.
pub fn random_incarnation(random: &Random) -> u32 {
    (random.u64() as u32).max(1)
}

impl MetaProperties {
    /// Reads what an existing directory says of itself.
    ///
    /// # Errors
    /// The disk's, or a file that is none.
    pub fn of(disk: &SharedDisk, dir: &Path) -> Result<Self, StorageError> {
        Self::read(disk, &dir.join(FILE))
    }

    /// Whether there is a directory with such a file.
    pub fn are_in(disk: &SharedDisk, dir: &Path) -> bool {
        disk.exists(&dir.join(FILE))
    }

    /// What brokers call their cluster among themselves: a copy of a directory from before a recovery is of another one.
    pub fn cluster_name(&self) -> String {
        match self.recovery {
            0 => self.cluster_id.clone(),
            times => format!("{}{RECOVERY_MARK}{times}", self.cluster_id),
        }
    }

    /// Whether that is the name of the same cluster after a recovery that did not know this directory.
    pub fn was_left_out_of(&self, name: &str) -> bool {
        let mut other = self.clone();
        other.set_cluster_name(name);
        other.cluster_id == self.cluster_id && other.recovery > self.recovery
    }

    /// Belongs to the cluster of that name from now on.
    pub(super) fn set_cluster_name(&mut self, name: &str) {
        let parts = name.split_once(RECOVERY_MARK).and_then(|(id, times)| Some((id, times.parse().ok()?)));
        let (id, recovery) = parts.unwrap_or((name, 0));
        (self.cluster_id, self.recovery) = (id.to_owned(), recovery);
    }

    /// The directory's id as a number.
    ///
    /// # Errors
    /// It is none.
    pub fn directory_uuid(&self) -> Result<Uuid, StorageError> {
        let bytes = URL_SAFE_NO_PAD.decode(&self.directory_id).ok();
        bytes.and_then(|bytes| Uuid::from_slice(&bytes).ok()).ok_or_else(|| StorageError::Properties {
            path: FILE.into(),
            what: format!("directory.id={} is no id", self.directory_id),
        })
    }

    /// Reads the file, or makes it in a directory that has none: for a lone broker, or for one that waits for its cluster.
    ///
    /// # Errors
    /// The disk's, another node's directory, a newer format, or a file that lacks a key.
    pub(super) fn load_or_create(
        disk: &SharedDisk,
        dir: &Path,
        (node_id, lone): (i32, bool),
        random: &Random,
    ) -> Result<Self, StorageError> {
        let path = dir.join(FILE);
        if !disk.exists(&path) {
            let cluster_id = if lone { random_id(random) } else { String::new() };
            let directory_id = random_id(random);
            let (quorum, incarnation, recovery, recovering) = (Vec::new(), 0, 0, None);
            let fresh = Self { cluster_id, node_id, directory_id, quorum, incarnation, recovery, recovering };
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
        // absent in the directory of a lone broker
        let quorum = value("tidemark.quorum").unwrap_or_default();
        let quorum =
            parse_quorum(&quorum).ok_or_else(|| damaged("tidemark.quorum is no list of ID:DIRECTORY".into()))?;
        let number = |key: &str| match value(key) {
            Ok(text) => text.parse().map_err(|_| damaged(format!("{key} is no number"))),
            Err(_) => Ok(0),
        };
        let (incarnation, recovery) = (number("tidemark.incarnation")?, number("tidemark.recovery")?);
        let recovering = Some(number("tidemark.recovering")?).filter(|times| *times > 0);
        let (cluster_id, directory_id) = (value("cluster.id")?, value("directory.id")?);
        Ok(Self { cluster_id, node_id, directory_id, quorum, incarnation, recovery, recovering })
    }

    pub(super) fn write(&self, disk: &SharedDisk, dir: &Path) -> Result<(), StorageError> {
        let mut text = format!(
            "version=1\ncluster.id={}\nnode.id={}\ndirectory.id={}\ntidemark.format={FORMAT}\n",
            self.cluster_id, self.node_id, self.directory_id
        );
        if !self.quorum.is_empty() || self.incarnation > 0 {
            let quorum = self.quorum.iter().map(|(id, directory)| format!("{id}:{directory}"));
            let (quorum, incarnation) = (quorum.collect::<Vec<_>>().join(","), self.incarnation);
            text.push_str(&format!("tidemark.quorum={quorum}\ntidemark.incarnation={incarnation}\n"));
        }
        if self.recovery > 0 {
            text.push_str(&format!("tidemark.recovery={}\n", self.recovery));
        }
        if let Some(times) = self.recovering {
            text.push_str(&format!("tidemark.recovering={times}\n"));
        }
        whole_file::replace(disk, &dir.join(FILE), text.as_bytes())
    }
}

/// `1:directory,2:directory,…`
fn parse_quorum(text: &str) -> Option<Vec<(i32, String)>> {
    let one = |one: &str| {
        let (id, directory) = one.split_once(':')?;
        Some((id.parse().ok()?, directory.to_owned()))
    };
    text.split(',').filter(|one| !one.is_empty()).map(one).collect()
}
