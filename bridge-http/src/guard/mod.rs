//! Judges the bytes of a connection before the HTTP library sees them: strict where parsers differ, bounded in size and
//! time. Not here: what requests mean.
//!
//! A head is handed on only when it is whole and beyond doubt, and only when the answer to the one before it is ready. So
//! two parsers in a row cannot disagree about where a request ends. A head that is refused is replaced by a harmless one,
//! whose answer, by way of [`Exchange`], is the refusal: it has a body, a date and its turn like any other.
//!
//! Bodies pass through as they come; their end is found by their length or chunks. A fault there is an error of the read.

mod chunked;
mod exchange;
mod head;
mod stream;

pub(crate) use exchange::Exchange;
pub(crate) use head::Refusal;
pub(crate) use stream::Guarded;

#[cfg(test)]
mod tests;
