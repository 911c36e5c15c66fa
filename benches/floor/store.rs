//! Batches in files: a file for each partition, or with syncs one file of used blocks for all. Not here: the wire.

use std::{
    collections::HashMap,
    fs::{File, OpenOptions},
    io::{self, Write},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tidemark_record::batch;
use tokio::sync::watch;

use super::{replicas::Replicas, sync::GroupCommit};

/// Bytes of the one file under `--sync`; it is written over again and again.
pub const SYNCED_FILE_BYTES: u64 = 512 << 20;

/// All topics.
#[derive(Debug)]
pub struct Store {
    dir: PathBuf,
    pub synced: Option<Synced>,
    topics: Mutex<HashMap<String, Arc<Topic>>>,
    /// Counts appends, or syncs: a tail fetch waits for it.
    pub changed: watch::Sender<u64>,
}

/// The file of a store that syncs.
#[derive(Debug)]
pub struct Synced {
    file: Arc<File>,
    position: Mutex<u64>,
    commit: Arc<GroupCommit>,
    /// Who else gets what is written.
    pub replicas: Option<Replicas>,
    /// The stream's position below which everything may be answered.
    pub committed: watch::Receiver<u64>,
}

/// A file of used blocks, for a stream that is written around it, and its syncs.
pub fn ring(dir: &Path) -> io::Result<(Arc<File>, Arc<GroupCommit>)> {
    let mut file = open(&dir.join("synced"))?;
    let zeros = vec![0; 1 << 20];
    for _ in 0..SYNCED_FILE_BYTES >> 20 {
        file.write_all(&zeros)?;
    }
    file.sync_all()?;
    let file = Arc::new(file);
    Ok((file.clone(), GroupCommit::start(file)?))
}

/// One topic.
#[derive(Debug)]
pub struct Topic {
    pub partitions: Vec<Mutex<Partition>>,
}

/// One partition: where its batches lie.
#[derive(Debug)]
pub struct Partition {
    file: Arc<File>,
    end_offset: i64,
    end_position: u64,
    batches: Vec<Batch>,
}

#[derive(Debug, Clone, Copy)]
struct Batch {
    next_offset: i64,
    /// In the file.
    position: u64,
    len: u32,
    /// The stream's position behind it, for syncs.
    stream_end: u64,
}

/// What a fetch sends.
#[derive(Debug)]
pub struct Found {
    pub file: Arc<File>,
    pub ranges: Vec<(u64, usize)>,
    pub len: usize,
    pub high_watermark: i64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path)
}

impl Store {
    pub fn new(dir: PathBuf, sync: bool) -> io::Result<Self> {
        let synced = if sync {
            let (file, commit) = ring(&dir)?;
            let committed = commit.subscribe();
            Some(Synced { file, position: Mutex::new(0), commit, replicas: None, committed })
        } else {
            None
        };
        Ok(Self { dir, synced, topics: Mutex::default(), changed: watch::Sender::new(0) })
    }

    pub fn create(&self, name: &str, partitions: i32) -> io::Result<()> {
        let partition = |index| {
            let file = match &self.synced {
                Some(synced) => synced.file.clone(),
                None => Arc::new(open(&self.dir.join(format!("{name}-{index}")))?),
            };
            Ok(Mutex::new(Partition { file, end_offset: 0, end_position: 0, batches: Vec::new() }))
        };
        let partitions = (0..partitions).map(partition).collect::<io::Result<_>>()?;
        lock(&self.topics).insert(name.to_owned(), Arc::new(Topic { partitions }));
        Ok(())
    }

    pub fn delete(&self, name: &str) {
        let Some(topic) = lock(&self.topics).remove(name) else { return };
        if self.synced.is_none() {
            for index in 0..topic.partitions.len() {
                if let Err(error) = std::fs::remove_file(self.dir.join(format!("{name}-{index}"))) {
                    eprintln!("floor: {name}-{index}: {error}");
                }
            }
        }
    }

    pub fn topic(&self, name: &str) -> Option<Arc<Topic>> {
        lock(&self.topics).get(name).cloned()
    }

    pub fn topic_names(&self) -> Vec<String> {
        lock(&self.topics).keys().cloned().collect()
    }

    /// Checks the batch, patches offset and epoch, writes it. Gives its base offset and the stream's position that must be
    /// synced before it may be answered.
    pub fn append(&self, topic: &Topic, index: usize, bytes: &mut [u8]) -> io::Result<(i64, u64)> {
        let bad = |what: String| io::Error::new(io::ErrorKind::InvalidData, what);
        let header = batch::verify(bytes).map_err(|error| bad(error.to_string()))?;
        let partition = topic.partitions.get(index).ok_or_else(|| bad(format!("no partition {index}")))?;
        let mut partition = lock(partition);
        let base_offset = partition.end_offset;
        bytes[0..8].copy_from_slice(&base_offset.to_be_bytes());
        bytes[12..16].copy_from_slice(&1_i32.to_be_bytes());
        let len = bytes.len() as u64;
        let (position, stream_end) = match &self.synced {
            None => (partition.end_position, 0),
            Some(synced) => {
                let mut next = lock(&synced.position);
                if *next % SYNCED_FILE_BYTES + len > SYNCED_FILE_BYTES {
                    *next = next.next_multiple_of(SYNCED_FILE_BYTES);
                }
                let position = *next % SYNCED_FILE_BYTES;
                *next += len;
                (position, *next)
            }
        };
        partition.file.write_all_at(bytes, position)?;
        partition.end_offset += i64::from(header.last_offset_delta) + 1;
        partition.end_position += len;
        let next_offset = partition.end_offset;
        partition.batches.push(Batch { next_offset, position, len: len as u32, stream_end });
        drop(partition);
        match &self.synced {
            Some(synced) => {
                if let Some(replicas) = &synced.replicas {
                    replicas.send(stream_end, bytes);
                }
                synced.commit.wrote(stream_end);
            }
            None => self.changed.send_modify(|count| *count += 1),
        }
        Ok((base_offset, stream_end))
    }

    /// Whole batches from an offset on, up to `max_bytes` but at least one.
    pub fn find(&self, topic: &Topic, index: usize, offset: i64, max_bytes: usize) -> Option<Found> {
        let partition = lock(topic.partitions.get(index)?);
        let visible = match &self.synced {
            None => partition.batches.len(),
            Some(_) => {
                let synced = *self.changed.borrow();
                partition.batches.partition_point(|batch| batch.stream_end <= synced)
            }
        };
        let batches = &partition.batches[..visible];
        let high_watermark = batches.last().map_or(0, |batch| batch.next_offset);
        let first = batches.partition_point(|batch| batch.next_offset <= offset);
        let mut found = Found { file: partition.file.clone(), ranges: Vec::new(), len: 0, high_watermark };
        for batch in &batches[first..] {
            let len = batch.len as usize;
            if found.len > 0 && found.len + len > max_bytes {
                break;
            }
            found.len += len;
            match found.ranges.last_mut() {
                Some((position, range_len)) if *position + *range_len as u64 == batch.position => *range_len += len,
                _ => found.ranges.push((batch.position, len)),
            }
        }
        Some(found)
    }

    pub fn end_offset(&self, topic: &Topic, index: usize) -> i64 {
        topic.partitions.get(index).map_or(-1, |partition| lock(partition).end_offset)
    }
}
