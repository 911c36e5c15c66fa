//! Lines of stdin or a file, read and cut into records on a thread of its own, in chunks.
//!
//! A chunk is handed on when it is full or when nothing more can be read without waiting, so that typed lines go at once.

use std::{
    io::{self, BufRead, BufReader, Read},
    path::Path,
};

use tidemark_client::ProducerRecord;
use tidemark_server::os::thread;
use tokio::sync::mpsc;

use super::line::LineFormat;
use crate::failure::Failure;

const BUFFER_BYTES: usize = 256 * 1024;
const CHUNK_RECORDS: usize = 1024;
/// Chunks that may wait: reading stays that far ahead of sending.
const CHUNKS_MAX: usize = 8;
/// The longest line; a broker's own limit is lower unless it was raised.
pub(super) const LINE_BYTES_MAX: usize = 64 << 20;

/// Records with the numbers of their lines, from 1.
#[derive(Debug, Default)]
pub(super) struct Chunk {
    pub records: Vec<(u64, ProducerRecord)>,
    /// Bytes of their lines.
    pub bytes: u64,
}

/// Where lines come from.
pub(super) struct Source {
    reader: Box<dyn Read + Send>,
    /// Bytes there are, if that is known.
    pub bytes: Option<u64>,
}

impl Source {
    /// A file, or stdin without one.
    pub(super) fn open(path: Option<&Path>) -> Result<Self, Failure> {
        let Some(path) = path.filter(|path| *path != Path::new("-")) else {
            return Ok(Self { reader: Box::new(io::stdin()), bytes: None });
        };
        #[allow(clippy::disallowed_methods, reason = "a file of the user's, not of the broker's data")]
        let file = std::fs::File::open(path).map_err(|cause| {
            Failure::new(format!("--file {}: {cause}", path.display())).next("name a file that can be read")
        })?;
        let bytes = file.metadata().ok().filter(std::fs::Metadata::is_file).map(|metadata| metadata.len());
        Ok(Self { reader: Box::new(file), bytes })
    }

    /// Starts reading. The last item may be what stopped it.
    pub(super) fn start(self, format: LineFormat) -> Result<mpsc::Receiver<Result<Chunk, Failure>>, Failure> {
        let (sender, receiver) = mpsc::channel(CHUNKS_MAX);
        let reader = BufReader::with_capacity(BUFFER_BYTES, self.reader);
        thread::spawn("lines", move || read(reader, &format, &sender))
            .map_err(|cause| Failure::new(format!("cannot start a thread: {cause}")))?;
        Ok(receiver)
    }
}

fn read(mut reader: BufReader<impl Read>, format: &LineFormat, sender: &mpsc::Sender<Result<Chunk, Failure>>) {
    let (mut chunk, mut line, mut number) = (Chunk::default(), Vec::new(), 0);
    let stopped_by = loop {
        line.clear();
        match (&mut reader).take(LINE_BYTES_MAX as u64 + 1).read_until(b'\n', &mut line) {
            Ok(0) => break None,
            Ok(read) => chunk.bytes += read as u64,
            Err(cause) => break Some(Failure::new(format!("cannot read line {}: {cause}", number + 1))),
        }
        number += 1;
        if line.len() > LINE_BYTES_MAX {
            break Some(Failure::new(format!("line {number} is longer than {LINE_BYTES_MAX} bytes")));
        }
        match format.record(without_end(&line)) {
            Ok(record) => chunk.records.push((number, record)),
            Err(cause) => break Some(Failure::new(format!("line {number}: {cause}"))),
        }
        let waits = reader.buffer().is_empty();
        if (waits || chunk.records.len() >= CHUNK_RECORDS)
            && sender.blocking_send(Ok(std::mem::take(&mut chunk))).is_err()
        {
            return;
        }
    };
    // nobody listens after a failure on the other side
    let _ = sender.blocking_send(Ok(chunk));
    if let Some(failure) = stopped_by {
        let _ = sender.blocking_send(Err(failure));
    }
}

/// Without `\n` or `\r\n`.
fn without_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(bytes: &'static [u8], format: LineFormat) -> (Vec<(u64, ProducerRecord)>, u64, Option<String>) {
        let source = Source { reader: Box::new(bytes), bytes: None };
        let mut receiver = source.start(format).unwrap();
        let (mut records, mut total, mut failure) = (Vec::new(), 0, None);
        while let Some(item) = receiver.blocking_recv() {
            match item {
                Ok(chunk) => {
                    records.extend(chunk.records);
                    total += chunk.bytes;
                }
                Err(said) => failure = Some(said.to_string()),
            }
        }
        (records, total, failure)
    }

    #[test]
    fn lines_lose_their_ends_and_nothing_else() {
        let (records, bytes, failure) = read_all(b"a\r\n\n b\r\r\nlast", LineFormat::default());
        let values: Vec<_> = records.iter().map(|(_, record)| record.value.clone().unwrap()).collect();
        assert_eq!(values, ["a", "", " b\r", "last"]);
        assert_eq!((bytes, failure), (13, None));
    }

    #[test]
    fn what_stands_before_a_bad_line_is_kept() {
        let format = LineFormat { key_separator: Some(":".into()), ..LineFormat::default() };
        let (records, _, failure) = read_all(b"a:1\nb:2\nc\nd:4\n", format);
        assert_eq!(records.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [1, 2]);
        assert!(failure.unwrap().contains("line 3"));
    }
}
