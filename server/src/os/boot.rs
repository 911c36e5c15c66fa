//! Which run of the machine this is. What only the page cache held is gone once it is another.

use std::{fs, io};

/// A random number that the kernel draws at each boot, as text.
///
/// # Errors
/// The machine does not tell.
#[allow(clippy::disallowed_methods, reason = "this is the seam")]
pub fn id() -> io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    #[test]
    fn it_stays_the_same_while_the_machine_runs() {
        let id = super::id().unwrap();
        assert!(!id.is_empty() && id == super::id().unwrap());
    }
}
