//! The image as everybody reads it: a snapshot that costs one atomic load.

use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::metadata::Image;

/// The newest image; clones share it.
#[derive(Debug, Clone)]
pub struct ImageHandle(Arc<ArcSwap<Image>>);

impl ImageHandle {
    /// Starts with this image.
    pub fn new(image: Image) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(image)))
    }

    /// The image now.
    pub fn load(&self) -> Arc<Image> {
        self.0.load_full()
    }

    pub(super) fn store(&self, image: Arc<Image>) {
        self.0.store(image);
    }
}

/// Follows the image: called in order after each commit, before the change is answered.
pub trait ImageListener: Send + Sync {
    /// The image changed.
    fn image_changed(&self, old: &Image, new: &Image);
}
