//! Limits of this room.

use std::time::Duration;

use super::identity::Lane;

/// Limits of all connections between this broker and others.
#[derive(Debug, Clone)]
pub struct TransportConfig {
    /// The longest body of a call or an answer.
    pub frame_bytes_max: usize,
    /// Bytes of all long bodies that are being read or served, all connections together.
    pub memory_bytes_max: usize,
    /// Bytes that may wait to be sent to one broker on one lane; one call may always wait, whatever its length.
    pub queue_bytes_max: usize,
    /// Calls to one broker on one lane without an answer yet; also how many one connection may have served at once.
    pub calls_max: usize,
    /// Bytes of answers that may wait to be sent before no more calls are read.
    pub answer_bytes_max: usize,
    /// How long a broker may take no byte, or leave the oldest call unanswered, on [`Lane::Append`].
    pub append_stall_max: Duration,
    /// The same on [`Lane::Bulk`].
    pub bulk_stall_max: Duration,
    /// How long connecting, and the first words on a connection, may each take.
    pub handshake_max: Duration,
    /// How long an open connection may take to prove that its broker lives, once another process claims its id.
    pub probe_max: Duration,
    /// How long a frame that has begun may take for its next 128 KiB.
    pub frame_max: Duration,
    /// How long a caller may take none of the bytes of its answers.
    pub write_max: Duration,
    /// How long a broker is left alone after a first failure; doubled by each further one.
    pub back_off_min: Duration,
    /// The longest that a broker is left alone.
    pub back_off_max: Duration,
    /// Connections from other brokers; one broker has at most one per lane.
    pub connections_max: usize,
    /// Connections that have not said yet who they are.
    pub handshakes_max: usize,
}

impl TransportConfig {
    pub(super) fn stall_max(&self, lane: Lane) -> Duration {
        match lane {
            Lane::Append => self.append_stall_max,
            Lane::Bulk => self.bulk_stall_max,
        }
    }
}

impl Default for TransportConfig {
    fn default() -> Self {
        Self {
            frame_bytes_max: 64 << 20,
            memory_bytes_max: 256 << 20,
            queue_bytes_max: 64 << 20,
            calls_max: 16 * 1024,
            answer_bytes_max: 16 << 20,
            append_stall_max: Duration::from_secs(3),
            bulk_stall_max: Duration::from_secs(30),
            handshake_max: Duration::from_secs(5),
            probe_max: Duration::from_secs(2),
            frame_max: Duration::from_secs(30),
            write_max: Duration::from_secs(30),
            back_off_min: Duration::from_millis(50),
            back_off_max: Duration::from_secs(1),
            connections_max: 2_000,
            handshakes_max: 128,
        }
    }
}
