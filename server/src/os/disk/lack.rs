//! Refusals that pass: the machine lacks room or file descriptors now, and will have some again. Not here: what to do then.

use std::io;

use rustix::io::Errno;

/// No more files can be open: the open itself was refused, and nothing has happened to the file.
pub fn lacks_descriptors(cause: &io::Error) -> bool {
    let number = cause.raw_os_error();
    [Errno::MFILE, Errno::NFILE].iter().any(|lack| number == Some(lack.raw_os_error()))
}

/// There is no room, or no descriptor, for what was asked of an open or a write. Of a sync only [`lacks_descriptors`] passes:
/// room that lacks then has cost bytes.
pub fn is_lack(cause: &io::Error) -> bool {
    matches!(cause.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) || lacks_descriptors(cause)
}
