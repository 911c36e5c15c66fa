//! The image as everybody reads it: a snapshot that costs one atomic load; and the one place where it changes.

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use tokio::sync::watch;

use crate::metadata::{Image, MetadataRecord};

/// The newest image; clones share it.
#[derive(Debug, Clone)]
pub struct ImageHandle(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    image: ArcSwap<Image>,
    /// Offset after the last record in the image. Set after the image.
    applied: watch::Sender<i64>,
}

impl ImageHandle {
    /// Starts with this image, which holds all records below `applied`.
    pub fn new(image: Image, applied: i64) -> Self {
        Self(Arc::new(Shared { image: ArcSwap::from_pointee(image), applied: watch::Sender::new(applied) }))
    }

    /// The image now.
    pub fn load(&self) -> Arc<Image> {
        self.0.image.load_full()
    }

    /// Offset after the last record that the image holds; it may hold more by the time it is loaded.
    pub fn applied(&self) -> i64 {
        *self.0.applied.borrow()
    }

    /// Resolves once the image holds all records below `offset`.
    pub async fn reached(&self, offset: i64) {
        // the sender lives as long as this handle
        let _ = self.0.applied.subscribe().wait_for(|applied| *applied >= offset).await;
    }

    /// Follows the offset that the image has reached.
    pub fn follow(&self) -> watch::Receiver<i64> {
        self.0.applied.subscribe()
    }
}

/// Follows the image: called in order after each commit, before the change is answered.
pub trait ImageListener: Send + Sync {
    /// The image changed.
    fn image_changed(&self, old: &Image, new: &Image);
}

/// The one that changes the image, in the order of the log.
pub(super) struct Publisher {
    handle: ImageHandle,
    listener: Box<dyn ImageListener>,
    publishing: Mutex<()>,
}

impl Publisher {
    pub(super) fn new(handle: ImageHandle, listener: Box<dyn ImageListener>) -> Self {
        Self { handle, listener, publishing: Mutex::new(()) }
    }

    /// Takes in a committed batch. One that the image holds already changes nothing; false: batches before it are missing. None is
    /// missing before a snapshot, which changes nothing where it stands for the image that there is.
    pub(super) fn apply(&self, base_offset: i64, records: &[MetadataRecord], next_offset: i64) -> bool {
        let _publishing = self.publishing.lock().unwrap_or_else(PoisonError::into_inner);
        let applied = self.handle.applied();
        if next_offset <= applied {
            return true;
        }
        let is_snapshot = records.first() == Some(&MetadataRecord::Snapshot);
        let mut image = Image::clone(&self.handle.0.image.load());
        if is_snapshot && base_offset == applied && image != Image::default() {
            self.handle.0.applied.send_replace(next_offset);
            return true;
        }
        if base_offset != applied && !is_snapshot {
            return false;
        }
        records.iter().for_each(|record| image.apply(record));
        self.publish(image, next_offset);
        true
    }

    fn publish(&self, image: Image, next_offset: i64) {
        let (old, new) = (self.handle.load(), Arc::new(image));
        self.handle.0.image.store(new.clone());
        self.listener.image_changed(&old, &new);
        self.handle.0.applied.send_replace(next_offset);
    }
}
