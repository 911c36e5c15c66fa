//! The handle; its calls are in the files beside it.

use crate::{Client, ClientError};

/// One result per thing asked for, under its name, in the order asked.
pub type Outcomes<T> = Vec<(String, Result<T, ClientError>)>;

/// Calls that look at the cluster or change it. Clones are cheap.
#[derive(Debug, Clone)]
pub struct Admin {
    pub(super) client: Client,
}

impl Admin {
    /// Admin calls over a client's connections.
    pub fn new(client: Client) -> Self {
        Self { client }
    }
}
