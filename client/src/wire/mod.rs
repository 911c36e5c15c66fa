//! Bytes on the wire: frames, headers, and the shape walk that judges a message before it is decoded.

pub mod shape;
