//! Just enough HTTP to send bytes and read an answer.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
};

use harness::{Broker, wait::PATIENCE};
use serde_json::Value;

/// An answer as it came.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(other, _)| other.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The name of the problem.
    pub fn problem(&self) -> String {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        self.json()["type"].as_str().unwrap().strip_prefix("/problems/").unwrap().to_owned()
    }
}

/// A connection that is kept.
pub struct Http(BufReader<TcpStream>);

impl Http {
    pub fn open(broker: &Broker) -> Self {
        Self::connect(broker.http().expect("started with HTTP"))
    }

    pub fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(BufReader::new(stream))
    }

    /// Sends a request without waiting.
    pub fn send(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) {
        let mut request = format!("{method} {path} HTTP/1.1\r\nHost: test\r\n");
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        if method == "POST" {
            request.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        let bytes = [request.as_bytes(), b"\r\n", body].concat();
        // a bridge that refuses may close before it has read all
        let _ = self.0.get_mut().write_all(&bytes);
    }

    /// Sends a request whose body does not end.
    pub fn send_part(&mut self, path: &str, announced: usize, body: &[u8]) {
        let head = format!("POST {path} HTTP/1.1\r\nHost: test\r\nContent-Length: {announced}\r\n\r\n");
        let _ = self.0.get_mut().write_all(&[head.as_bytes(), body].concat());
    }

    pub fn receive(&mut self) -> Answer {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        let status = line.split(' ').nth(1).unwrap_or_else(|| panic!("{line:?}")).parse().unwrap();
        let mut answer = Answer { status, headers: Vec::new(), body: Vec::new() };
        loop {
            let mut line = String::new();
            self.0.read_line(&mut line).unwrap();
            let Some((name, value)) = line.trim_end().split_once(": ").or(line.trim_end().split_once(':')) else {
                break;
            };
            answer.headers.push((name.to_owned(), value.to_owned()));
        }
        assert!(answer.header("date").is_some(), "{answer:?}");
        let length = answer.header("content-length").map_or(0, |length| length.parse().unwrap());
        answer.body.resize(length, 0);
        self.0.read_exact(&mut answer.body).unwrap();
        answer
    }

    pub fn get(&mut self, path: &str) -> Answer {
        self.get_with(path, &[])
    }

    pub fn get_with(&mut self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.send("GET", path, headers, b"");
        self.receive()
    }

    /// Writes a record.
    pub fn post(&mut self, topic: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        self.send("POST", &format!("/v1/streams/{topic}/records"), headers, body);
        self.receive()
    }
}
