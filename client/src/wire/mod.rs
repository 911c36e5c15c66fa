//! Bytes on the wire: frames, headers, and the shape walk that judges a message before it is decoded.
//!
//! `frame` reads and writes length-prefixed frames, `call` is the table of requests with the shapes of their answers
//! (`answer`), `shape` the walk, `follower_lag` a field of our own. Not here: sockets, and what the fields mean.

mod answer;
mod call;
pub mod follower_lag;
pub mod frame;
pub mod shape;

pub use call::{AnswerError, Call, decode_answer, encode_request};
