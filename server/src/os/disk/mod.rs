//! Files and directories behind a trait, with two implementations: the machine's, and a simulated one that loses what
//! was not synced.
//!
//! Not here: what is in the files, and when to sync them.

mod lack;
mod memory;
mod real;
pub mod sim;
mod traits;

pub use lack::{is_lack, lacks_descriptors};
pub use memory::MemoryDisk;
pub use real::RealDisk;
pub use traits::{DirEntry, Disk, DiskLock, File, FileSystem, OpenMode, SharedDisk, SharedFile, SharedFileSystem};
