//! What brokers call each other for. Not here: what is in a call.

/// The kind byte of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(in crate::node) enum Kind {
    /// Who are you? Answered to those, too, that belong to no cluster yet.
    Hello = 1,
    /// A request of a Raft group's member.
    Raft = 2,
    /// A broker to the controller.
    Controller = 3,
    /// The controller to a leader.
    Order = 4,
    /// A client's request, for the controller.
    Forward = 5,
    /// Let this log follow the metadata's.
    Join = 6,
}

impl Kind {
    pub fn from_byte(byte: u8) -> Option<Self> {
        [Self::Hello, Self::Raft, Self::Controller, Self::Order, Self::Forward, Self::Join]
            .into_iter()
            .find(|kind| *kind as u8 == byte)
    }
}
