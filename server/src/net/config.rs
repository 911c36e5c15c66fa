//! Limits of this room.

use std::time::Duration;

/// Limits of all listeners together.
#[derive(Debug, Clone)]
pub struct NetConfig {
    /// `socket.request.max.bytes`: the longest frame.
    pub request_bytes_max: usize,
    /// Bytes of all frames that are being read or handled.
    pub memory_bytes_max: usize,
    /// `max.connections`.
    pub connections_max: usize,
    /// `max.connections.per.ip`.
    pub connections_per_ip_max: usize,
    /// Connections that one address may make in a second; loopback is not counted.
    pub connections_per_ip_per_s: u32,
    /// `connections.max.idle.ms`.
    pub idle_max: Duration,
    /// How long a frame that has begun may take for its next 128 KiB; for all of it where memory is short.
    pub frame_max: Duration,
    /// How long a peer may take for an answer's next 128 KiB.
    pub write_max: Duration,
    /// How long answers on their way are waited for at shutdown.
    pub drain_max: Duration,
    /// Produce answers that a connection may wait for before it reads on.
    pub pipelined_max: usize,
}

impl Default for NetConfig {
    fn default() -> Self {
        Self {
            request_bytes_max: 16 << 20,
            memory_bytes_max: 256 << 20,
            connections_max: 10_000,
            connections_per_ip_max: 500,
            connections_per_ip_per_s: 100,
            idle_max: Duration::from_secs(600),
            frame_max: Duration::from_secs(30),
            write_max: Duration::from_secs(30),
            drain_max: Duration::from_secs(5),
            pipelined_max: 128,
        }
    }
}
