//! The shape of every answer that this client decodes: fields as in Kafka's message definitions, by version.

pub(super) mod cluster;
pub(super) mod fetch;
pub(super) mod offsets;
pub(super) mod produce;
pub(super) mod quorum;
pub(super) mod topics;
