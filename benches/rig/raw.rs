//! One connection by hand, for times that a client's own start would hide: the first answer of a server that just started.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, TcpStream},
    time::{Duration, Instant},
};

use tidemark_record::BatchBuilder;

use super::{Failure, Server};

const PRODUCE: i16 = 0;
const LIST_OFFSETS: i16 = 2;
const METADATA: i16 = 3;
const CREATE_TOPICS: i16 = 19;
/// The partition is not known (yet), its leader is not elected (yet).
const NOT_YET: [i16; 3] = [3, 5, 6];

/// A connection.
#[derive(Debug)]
pub struct Raw(TcpStream);

impl Raw {
    /// Connects as soon as the port is open.
    pub fn connect(server: &Server) -> Result<Self, Failure> {
        let since = Instant::now();
        loop {
            match TcpStream::connect((Ipv4Addr::LOCALHOST, server.port())) {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    stream.set_read_timeout(Some(Duration::from_secs(120)))?;
                    return Ok(Self(stream));
                }
                Err(error) if since.elapsed() > Duration::from_secs(120) => return Err(error.into()),
                Err(_) => std::thread::sleep(Duration::from_micros(200)),
            }
        }
    }

    /// Produces one record to partition 0 until it is acknowledged. The topic is made by asking for it.
    pub fn first_ack(&mut self, topic: &str) -> Result<(), Failure> {
        let since = Instant::now();
        let mut batch = BatchBuilder::new();
        batch.append_plain(now_ms()?, None, Some(b"first"));
        let batch = batch.build()?;
        loop {
            let mut body = Vec::new();
            body.extend_from_slice(&(-1_i16).to_be_bytes());
            body.extend_from_slice(&(-1_i16).to_be_bytes());
            body.extend_from_slice(&30_000_i32.to_be_bytes());
            one_partition(&mut body, topic);
            body.extend_from_slice(&(batch.len() as i32).to_be_bytes());
            body.extend_from_slice(&batch);
            let answer = self.call(PRODUCE, 7, &body)?;
            match error_code(&answer, topic)? {
                0 => return Ok(()),
                code if NOT_YET.contains(&code) && since.elapsed() < Duration::from_secs(60) => {
                    let mut body = 1_i32.to_be_bytes().to_vec();
                    string(&mut body, topic);
                    self.call(METADATA, 1, &body)?;
                }
                code => return Err(format!("the first produce was answered with error {code}").into()),
            }
        }
    }

    /// Makes a topic of one partition.
    pub fn create_topic(&mut self, topic: &str) -> Result<(), Failure> {
        let mut body = 1_i32.to_be_bytes().to_vec();
        string(&mut body, topic);
        body.extend_from_slice(&1_i32.to_be_bytes());
        body.extend_from_slice(&1_i16.to_be_bytes());
        // no assignments, no configs, timeout
        for number in [0, 0, 30_000_i32] {
            body.extend_from_slice(&number.to_be_bytes());
        }
        self.call(CREATE_TOPICS, 0, &body)?;
        Ok(())
    }

    /// The end of partition 0.
    pub fn end_offset(&mut self, topic: &str) -> Result<i64, Failure> {
        const LATEST: i64 = -1;
        let mut body = (-1_i32).to_be_bytes().to_vec();
        one_partition(&mut body, topic);
        body.extend_from_slice(&LATEST.to_be_bytes());
        let answer = self.call(LIST_OFFSETS, 1, &body)?;
        let code = error_code(&answer, topic)?;
        let offset = answer.last_chunk().copied().map(i64::from_be_bytes).ok_or("no offset")?;
        if code == 0 { Ok(offset) } else { Err(format!("ListOffsets was answered with error {code}").into()) }
    }

    fn call(&mut self, key: i16, version: i16, body: &[u8]) -> Result<Vec<u8>, Failure> {
        let mut frame = vec![0; 4];
        frame.extend_from_slice(&key.to_be_bytes());
        frame.extend_from_slice(&version.to_be_bytes());
        frame.extend_from_slice(&7_i32.to_be_bytes());
        string(&mut frame, "bench");
        frame.extend_from_slice(body);
        let len = (frame.len() - 4) as i32;
        frame[..4].copy_from_slice(&len.to_be_bytes());
        self.0.write_all(&frame)?;
        let mut len = [0; 4];
        self.0.read_exact(&mut len)?;
        let mut answer = vec![0; i32::from_be_bytes(len).clamp(0, 1 << 24) as usize];
        self.0.read_exact(&mut answer)?;
        Ok(answer)
    }
}

fn now_ms() -> Result<i64, Failure> {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    Ok(i64::try_from(since.as_millis())?)
}

fn string(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(&(text.len() as i16).to_be_bytes());
    out.extend_from_slice(text.as_bytes());
}

/// One topic with its partition 0, as requests name it.
fn one_partition(out: &mut Vec<u8>, topic: &str) {
    out.extend_from_slice(&1_i32.to_be_bytes());
    string(out, topic);
    out.extend_from_slice(&1_i32.to_be_bytes());
    out.extend_from_slice(&0_i32.to_be_bytes());
}

/// Behind correlation id, topic count, name, partition count and index.
fn error_code(answer: &[u8], topic: &str) -> Result<i16, Failure> {
    let place = 4 + 4 + 2 + topic.len() + 4 + 4;
    let code = answer.get(place..place + 2).ok_or("the answer is too short")?;
    Ok(i16::from_be_bytes(code.try_into()?))
}
