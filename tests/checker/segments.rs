//! A partition's Kafka batches as they lie in a stopped broker's directory: `<data>/<topic>-<partition>/*.log`, frames one
//! behind the other. Internal frames (last offset delta -1) are each broker's own affair and are left out. Read-only.

use std::{
    fs::File,
    hash::{DefaultHasher, Hash, Hasher},
    io::{BufReader, Read},
    path::{Path, PathBuf},
};

use tidemark_record::{BatchHeader, HEADER_LEN, batch};

use super::replicas::{Divergence, ReplicaBatch, compare};

/// Far above what a broker stores as one batch.
const BATCH_BYTES_MAX: usize = 256 << 20;

/// A replica by its name, such as `node 1`, and its broker's data directory.
#[derive(Debug, Clone)]
pub struct Replica {
    /// For messages.
    pub name: String,
    /// The broker's data directory.
    pub data: PathBuf,
}

/// Compares the logs of a partition over brokers that do not run, up to a high watermark.
///
/// # Errors
/// A file that cannot be read, a frame whose checksum does not hold, or batches out of order: the replica's name, file and
/// position.
pub fn compare_directories(
    replicas: &[Replica],
    topic: &str,
    partition: i32,
    high_watermark: i64,
) -> Result<Vec<Divergence>, String> {
    let read = |replica: &Replica| {
        let dir = replica.data.join(format!("{topic}-{partition}"));
        let batches = batches(&dir, high_watermark).map_err(|cause| format!("{}: {cause}", replica.name))?;
        Ok((replica.name.clone(), batches))
    };
    let read: Vec<_> = replicas.iter().map(read).collect::<Result<_, String>>()?;
    Ok(compare(&read, high_watermark))
}

/// Batches below the high watermark, in the order of the files.
fn batches(dir: &Path, high_watermark: i64) -> Result<Vec<ReplicaBatch>, String> {
    let entries = std::fs::read_dir(dir).map_err(|error| format!("{}: {error}", dir.display()))?;
    let mut segments: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    segments.retain(|path| path.extension().is_some_and(|extension| extension == "log"));
    // twenty digits: the order of names is the order of offsets
    segments.sort();
    let mut out: Vec<ReplicaBatch> = Vec::new();
    for path in segments {
        let file = File::open(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let mut file = BufReader::new(file);
        let mut position = 0_u64;
        let bad = |position: u64, cause: &str| format!("{} at position {position}: {cause}", path.display());
        while let Some(frame) = frame(&mut file).map_err(|cause| bad(position, &cause))? {
            let header = batch::verify(&frame).map_err(|cause| bad(position, &cause.to_string()))?;
            if !header.is_internal() {
                if header.base_offset >= high_watermark {
                    return Ok(out);
                }
                if out.last().is_some_and(|last| header.base_offset <= last.last_offset) {
                    return Err(bad(position, &format!("offset {} is out of order", header.base_offset)));
                }
                out.push(of(&header, &frame));
            }
            position += frame.len() as u64;
        }
    }
    Ok(out)
}

fn of(header: &BatchHeader, bytes: &[u8]) -> ReplicaBatch {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    ReplicaBatch {
        base_offset: header.base_offset,
        last_offset: header.last_offset(),
        leader_epoch: header.partition_leader_epoch,
        crc: header.crc,
        digest: hasher.finish(),
    }
}

/// The next frame; None at the end.
fn frame(file: &mut impl Read) -> Result<Option<Vec<u8>>, String> {
    let mut frame = Vec::new();
    let mut take = |count: usize, frame: &mut Vec<u8>| file.by_ref().take(count as u64).read_to_end(frame);
    if take(HEADER_LEN, &mut frame).map_err(|error| error.to_string())? == 0 {
        return Ok(None);
    }
    let header = BatchHeader::parse(&frame).map_err(|cause| cause.to_string())?;
    let size = header.size_in_bytes();
    if size > BATCH_BYTES_MAX {
        return Err(format!("a frame of {size} bytes"));
    }
    take(size - HEADER_LEN, &mut frame).map_err(|error| error.to_string())?;
    if frame.len() < size {
        return Err(format!("cut short: {} bytes of {size}", frame.len()));
    }
    Ok(Some(frame))
}

#[cfg(test)]
mod tests {
    use tidemark_record::BatchBuilder;

    use super::*;

    fn batch(base_offset: i64, values: &[&str]) -> Vec<u8> {
        let mut builder = BatchBuilder::new().base_offset(base_offset);
        for value in values {
            builder.append_plain(1, None, Some(value.as_bytes()));
        }
        builder.build().unwrap().to_vec()
    }

    /// A data directory with one partition `t-0` of these segments.
    fn replica(name: &str, segments: &[(i64, Vec<Vec<u8>>)]) -> (tempfile::TempDir, Replica) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("t-0")).unwrap();
        for (base_offset, frames) in segments {
            let path = dir.path().join("t-0").join(format!("{base_offset:020}.log"));
            std::fs::write(path, frames.concat()).unwrap();
        }
        let data = dir.path().to_path_buf();
        (dir, Replica { name: name.to_owned(), data })
    }

    #[test]
    fn segments_may_be_cut_elsewhere_and_bytes_may_not_differ() {
        let [a, b, c] = [batch(0, &["a", "b"]), batch(2, &["c"]), batch(3, &["d"])];
        let (_one, one) = replica("1", &[(0, vec![a.clone(), b.clone(), c.clone()])]);
        let (_two, two) = replica("2", &[(0, vec![a.clone()]), (2, vec![b.clone(), c.clone()])]);
        assert_eq!(compare_directories(&[one.clone(), two], "t", 0, 4), Ok(vec![]));
        // the leader epoch lies outside the checksum
        let mut other_epoch = b;
        other_epoch[15] ^= 1;
        let (_three, three) = replica("3", &[(0, vec![a.clone(), other_epoch, c.clone()])]);
        let found = compare_directories(&[one.clone(), three.clone()], "t", 0, 4).unwrap();
        assert_eq!((found.len(), found[0].offset, found[0].replica.as_str()), (1, 2, "3"));
        assert_eq!(compare_directories(&[one.clone(), three], "t", 0, 2), Ok(vec![]), "not committed yet");
        let (_four, four) = replica("4", &[(0, vec![a, c])]);
        assert_eq!(compare_directories(&[one, four], "t", 0, 4).unwrap()[0].offset, 2);
    }

    #[test]
    fn damage_is_named_with_its_place() {
        let (a, mut b) = (batch(0, &["a"]), batch(1, &["b"]));
        let position = a.len();
        *b.last_mut().unwrap() ^= 1;
        let (_dir, damaged) = replica("1", &[(0, vec![a.clone(), b])]);
        let said = compare_directories(&[damaged], "t", 0, 9).unwrap_err();
        assert!(said.starts_with("1: ") && said.contains(&format!("position {position}")), "{said}");
        let (_dir, cut) = replica("2", &[(0, vec![a.clone(), a[..65].to_vec()])]);
        assert!(compare_directories(&[cut], "t", 0, 9).unwrap_err().contains("position"));
        let (_dir, twice) = replica("3", &[(0, vec![a.clone(), a])]);
        assert!(compare_directories(&[twice], "t", 0, 9).unwrap_err().contains("out of order"));
    }
}
