//! Connections of the floor: one task each, answers in order, nothing read past a waiting fetch.

use std::{collections::VecDeque, fs::File, io, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use rustix::net::SendFlags;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, Interest},
    net::{TcpListener, TcpStream},
    sync::watch,
    time::{Instant, timeout_at},
};

use super::{
    replicas,
    store::{Found, Store},
    wire::{
        API_VERSIONS, CREATE_TOPICS, DELETE_TOPICS, FETCH, LIST_OFFSETS, METADATA, PRODUCE, Reader, Writer,
        api_versions,
    },
};

const NODE_ID: i32 = 1;
const UNKNOWN_TOPIC: i16 = 3;
/// One sendfile call: larger slices cost more CPU per byte.
const SENDFILE_BYTES: usize = 64 * 1024;
const READ_BYTES: usize = 64 * 1024;

/// Serves until it is killed. `--sync`; `--followers PORT,PORT` to replicate to, or `--follow` to be one of these.
pub fn run(port: u16, dir: PathBuf, args: &[String]) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], port))).await?;
        if args.iter().any(|arg| arg == "--follow") {
            return replicas::follow(listener, &dir).await;
        }
        let mut store = Store::new(dir, args.iter().any(|arg| arg == "--sync"))?;
        let followers = args.windows(2).find(|args| args[0] == "--followers").and_then(|args| args.get(1));
        if let Some((synced, ports)) = store.synced.as_mut().zip(followers) {
            let (replicas, committed) = replicas::Replicas::connect(ports, synced.committed.clone()).await?;
            (synced.replicas, synced.committed) = (Some(replicas), committed);
        }
        let store = Arc::new(store);
        if let Some(synced) = &store.synced {
            tokio::spawn(publish(store.clone(), synced.committed.clone()));
        }
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let connection = Connection { store: store.clone(), port, stream, waiting: VecDeque::new() };
            tokio::spawn(async move {
                if let Err(error) = connection.run().await
                    && error.kind() != io::ErrorKind::ConnectionReset
                {
                    eprintln!("floor: {error}");
                }
            });
        }
    })
}

/// Lets tail fetches see what was synced.
async fn publish(store: Arc<Store>, mut synced: watch::Receiver<u64>) {
    while synced.changed().await.is_ok() {
        let upto = *synced.borrow_and_update();
        store.changed.send_replace(upto);
    }
}

struct Connection {
    store: Arc<Store>,
    port: u16,
    stream: TcpStream,
    /// Answers by the position that must be synced first.
    waiting: VecDeque<(u64, Vec<u8>)>,
}

fn malformed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "a request the floor cannot read")
}

impl Connection {
    async fn run(mut self) -> io::Result<()> {
        let mut synced = self.store.synced.as_ref().map(|synced| synced.committed.clone());
        let (mut buf, mut filled) = (vec![0; READ_BYTES], 0);
        loop {
            let mut start = 0;
            while let Some(len) = frame_len(&buf[start..filled]) {
                if filled - start < 4 + len {
                    if buf.len() < 4 + len {
                        buf.resize(4 + len, 0);
                    }
                    break;
                }
                self.request(&mut buf[start + 4..start + 4 + len]).await?;
                start += 4 + len;
            }
            buf.copy_within(start..filled, 0);
            filled -= start;
            // what lies behind a long frame would have to be moved
            let end = frame_len(&buf[..filled]).map_or(buf.len(), |len| (4 + len).max(READ_BYTES).min(buf.len()));
            match &mut synced {
                Some(synced) if !self.waiting.is_empty() => {
                    tokio::select! {
                        read = self.stream.read(&mut buf[filled..end]) => match read? {
                            0 => return Ok(()),
                            read => filled += read,
                        },
                        _ = synced.changed() => {}
                    }
                    let upto = *synced.borrow_and_update();
                    let ready = self.waiting.partition_point(|(position, _)| *position <= upto);
                    let answers: Vec<u8> = self.waiting.drain(..ready).flat_map(|(_, answer)| answer).collect();
                    self.stream.write_all(&answers).await?;
                }
                _ => match self.stream.read(&mut buf[filled..end]).await? {
                    0 => return Ok(()),
                    read => filled += read,
                },
            }
        }
    }

    async fn request(&mut self, frame: &mut [u8]) -> io::Result<()> {
        let (key, version, correlation_id) = fixed_header(frame).ok_or_else(malformed)?;
        let answer = match key {
            PRODUCE => return self.produce(frame, correlation_id, version).await,
            FETCH => return self.fetch(frame, correlation_id).await,
            API_VERSIONS => Some(api_versions(correlation_id, version)),
            METADATA => self.metadata(frame, correlation_id, version),
            LIST_OFFSETS => self.list_offsets(frame, correlation_id),
            CREATE_TOPICS => self.create_topics(frame, correlation_id)?,
            DELETE_TOPICS => self.delete_topics(frame, correlation_id),
            _ => None,
        };
        self.stream.write_all(&answer.ok_or_else(malformed)?).await
    }

    async fn produce(&mut self, frame: &mut [u8], correlation_id: i32, version: i16) -> io::Result<()> {
        let mut parts = Vec::new();
        produce_parts(frame, &mut parts).ok_or_else(malformed)?;
        let mut out = Writer::answer(correlation_id);
        out.i32(parts.len() as i32);
        let mut upto = 0;
        for (name, partitions) in parts {
            out.string(&name);
            out.i32(partitions.len() as i32);
            let topic = self.store.topic(&name);
            for (index, range) in partitions {
                let appended = match &topic {
                    Some(topic) => Some(self.store.append(topic, index as usize, &mut frame[range])?),
                    None => None,
                };
                upto = appended.map_or(upto, |(_, end)| end.max(upto));
                out.i32(index);
                out.i16(if appended.is_some() { 0 } else { UNKNOWN_TOPIC });
                out.i64(appended.map_or(-1, |(base_offset, _)| base_offset));
                out.i64(-1);
                if version >= 5 {
                    out.i64(0);
                }
            }
        }
        out.i32(0);
        let answer = out.finish(0);
        if self.store.synced.is_some() {
            self.waiting.push_back((upto, answer));
            return Ok(());
        }
        self.stream.write_all(&answer).await
    }

    async fn fetch(&mut self, frame: &[u8], correlation_id: i32) -> io::Result<()> {
        let mut changed = self.store.changed.subscribe();
        let request = FetchRequest::read(frame).ok_or_else(malformed)?;
        let deadline = Instant::now() + request.wait;
        loop {
            let (heads, found) = self.found(&request, correlation_id);
            let len: usize = found.iter().flatten().map(|found| found.len).sum();
            if len < request.min_bytes && timeout_at(deadline, changed.changed()).await.is_ok() {
                continue;
            }
            for (piece, (head, found)) in heads.iter().zip(&found).enumerate() {
                // the last one must not wait for a file range that does not come
                let more = found.as_ref().is_some_and(|found| found.len > 0) || piece + 1 < heads.len();
                send(&self.stream, head, more).await?;
                let Some(found) = found else { continue };
                for (position, len) in &found.ranges {
                    send_file(&self.stream, &found.file, *position, *len).await?;
                }
            }
            return Ok(());
        }
    }

    /// The header pieces, each followed by what was found for its partition.
    fn found(&self, request: &FetchRequest, correlation_id: i32) -> (Vec<Vec<u8>>, Vec<Option<Found>>) {
        let mut out = Writer::answer(correlation_id);
        let (mut cuts, mut all, mut room) = (Vec::new(), Vec::new(), request.max_bytes);
        out.i32(0);
        out.i32(request.topics.len() as i32);
        let mut bytes = Vec::new();
        for (name, partitions) in &request.topics {
            out.string(name);
            out.i32(partitions.len() as i32);
            let topic = self.store.topic(name);
            for (index, offset, max_bytes) in partitions {
                let found = topic.as_ref().and_then(|topic| {
                    self.store.find(topic, *index as usize, *offset, (*max_bytes as usize).min(room))
                });
                let len = found.as_ref().map_or(0, |found| found.len);
                room = room.saturating_sub(len);
                let high_watermark = found.as_ref().map_or(-1, |found| found.high_watermark);
                out.i32(*index);
                out.i16(if found.is_some() { 0 } else { UNKNOWN_TOPIC });
                out.i64(high_watermark);
                out.i64(high_watermark);
                out.i32(-1);
                out.i32(len as i32);
                bytes.push(len);
                cuts.push(out.len());
                all.push(found);
            }
        }
        let frame = out.finish(bytes.iter().sum());
        let mut pieces = Vec::with_capacity(cuts.len());
        let mut start = 0;
        for cut in cuts {
            pieces.push(frame[start..cut].to_vec());
            start = cut;
        }
        if pieces.is_empty() {
            pieces.push(frame);
        }
        (pieces, all)
    }

    fn metadata(&self, frame: &[u8], correlation_id: i32, version: i16) -> Option<Vec<u8>> {
        let mut request = body(frame)?;
        let count = request.count()?;
        let all = count < 0 || (count == 0 && version == 0);
        let mut names = if all { self.store.topic_names() } else { Vec::new() };
        for _ in 0..count.max(0) {
            names.push(request.string()?.to_owned());
        }
        let mut out = Writer::answer(correlation_id);
        out.i32(1);
        out.i32(NODE_ID);
        out.string("127.0.0.1");
        out.i32(self.port.into());
        if version >= 1 {
            out.i16(-1);
            out.i32(NODE_ID);
        }
        out.i32(names.len() as i32);
        for name in names {
            let topic = self.store.topic(&name);
            out.i16(if topic.is_some() { 0 } else { UNKNOWN_TOPIC });
            out.string(&name);
            if version >= 1 {
                out.i8(0);
            }
            let partitions = topic.map_or(0, |topic| topic.partitions.len() as i32);
            out.i32(partitions);
            for index in 0..partitions {
                out.i16(0);
                out.i32(index);
                for value in [NODE_ID, 1, NODE_ID, 1, NODE_ID] {
                    out.i32(value);
                }
            }
        }
        Some(out.finish(0))
    }

    fn list_offsets(&self, frame: &[u8], correlation_id: i32) -> Option<Vec<u8>> {
        const EARLIEST: i64 = -2;
        let mut request = body(frame)?;
        request.i32()?;
        let mut out = Writer::answer(correlation_id);
        let topics = request.count()?;
        out.i32(topics);
        for _ in 0..topics {
            let name = request.string()?;
            let topic = self.store.topic(name);
            out.string(name);
            let partitions = request.count()?;
            out.i32(partitions);
            for _ in 0..partitions {
                let (index, timestamp) = (request.i32()?, request.i64()?);
                let end = topic.as_ref().map_or(-1, |topic| self.store.end_offset(topic, index as usize));
                out.i32(index);
                out.i16(if topic.is_some() { 0 } else { UNKNOWN_TOPIC });
                out.i64(-1);
                out.i64(if timestamp == EARLIEST { 0 } else { end });
            }
        }
        Some(out.finish(0))
    }

    fn create_topics(&self, frame: &[u8], correlation_id: i32) -> io::Result<Option<Vec<u8>>> {
        let mut topics = Vec::new();
        if created(frame, &mut topics).is_none() {
            return Ok(None);
        }
        for (name, partitions) in &topics {
            self.store.create(name, *partitions)?;
        }
        let names: Vec<_> = topics.into_iter().map(|(name, _)| name).collect();
        Ok(Some(names_without_error(correlation_id, &names)))
    }

    fn delete_topics(&self, frame: &[u8], correlation_id: i32) -> Option<Vec<u8>> {
        let mut request = body(frame)?;
        let mut names = Vec::new();
        for _ in 0..request.count()? {
            names.push(request.string()?.to_owned());
        }
        names.iter().for_each(|name| self.store.delete(name));
        Some(names_without_error(correlation_id, &names))
    }
}

fn frame_len(buf: &[u8]) -> Option<usize> {
    buf.first_chunk::<4>().map(|len| i32::from_be_bytes(*len).max(0) as usize)
}

/// API key, version, correlation id.
fn fixed_header(frame: &[u8]) -> Option<(i16, i16, i32)> {
    let mut reader = Reader::new(frame);
    Some((reader.i16()?, reader.i16()?, reader.i32()?))
}

/// Behind the header of a request that is not flexible.
fn body(frame: &[u8]) -> Option<Reader<'_>> {
    let mut reader = Reader::new(frame);
    reader.i16()?;
    reader.i16()?;
    reader.i32()?;
    reader.string()?;
    Some(reader)
}

type ProducePart = (String, Vec<(i32, std::ops::Range<usize>)>);

fn produce_parts(frame: &[u8], parts: &mut Vec<ProducePart>) -> Option<()> {
    let mut request = body(frame)?;
    request.string()?;
    request.i16()?;
    request.i32()?;
    for _ in 0..request.count()? {
        let name = request.string()?.to_owned();
        let mut partitions = Vec::new();
        for _ in 0..request.count()? {
            partitions.push((request.i32()?, request.bytes_range()?));
        }
        parts.push((name, partitions));
    }
    Some(())
}

/// Partition, offset, bytes at most.
type Wanted = (i32, i64, i32);

struct FetchRequest {
    wait: Duration,
    min_bytes: usize,
    max_bytes: usize,
    topics: Vec<(String, Vec<Wanted>)>,
}

impl FetchRequest {
    fn read(frame: &[u8]) -> Option<Self> {
        let mut request = body(frame)?;
        request.i32()?;
        let wait = Duration::from_millis(request.i32()?.max(0) as u64);
        let (min_bytes, max_bytes) = (request.i32()?.max(0) as usize, request.i32()?.max(0) as usize);
        request.i8()?;
        let mut topics = Vec::new();
        for _ in 0..request.count()? {
            let name = request.string()?.to_owned();
            let mut partitions = Vec::new();
            for _ in 0..request.count()? {
                partitions.push((request.i32()?, request.i64()?, request.i32()?));
            }
            topics.push((name, partitions));
        }
        Some(Self { wait, min_bytes, max_bytes, topics })
    }
}

fn created(frame: &[u8], topics: &mut Vec<(String, i32)>) -> Option<()> {
    let mut request = body(frame)?;
    for _ in 0..request.count()? {
        topics.push((request.string()?.to_owned(), request.i32()?));
        request.i16()?;
        if request.count()? > 0 {
            return None;
        }
        for _ in 0..request.count()? {
            request.string()?;
            request.string()?;
        }
    }
    Some(())
}

fn names_without_error(correlation_id: i32, names: &[String]) -> Vec<u8> {
    let mut out = Writer::answer(correlation_id);
    out.i32(names.len() as i32);
    for name in names {
        out.string(name);
        out.i16(0);
    }
    out.finish(0)
}

async fn send(stream: &TcpStream, mut bytes: &[u8], more: bool) -> io::Result<()> {
    let flags = if more { SendFlags::MORE | SendFlags::NOSIGNAL } else { SendFlags::NOSIGNAL };
    while !bytes.is_empty() {
        let sent = stream.async_io(Interest::WRITABLE, || Ok(rustix::net::send(&*stream, bytes, flags)?)).await?;
        bytes = &bytes[sent..];
    }
    Ok(())
}

async fn send_file(stream: &TcpStream, file: &File, mut position: u64, mut len: usize) -> io::Result<()> {
    while len > 0 {
        let chunk = len.min(SENDFILE_BYTES);
        let call = || Ok(rustix::fs::sendfile(stream, file, Some(&mut position), chunk)?);
        match stream.async_io(Interest::WRITABLE, call).await? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            sent => len -= sent,
        }
    }
    Ok(())
}
