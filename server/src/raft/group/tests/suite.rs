//! openraft's own suite for log stores and state machines, over our log and journal; also with syncs that come late.

use std::time::Duration;

use openraft::{
    StorageError,
    testing::log::{StoreBuilder, Suite},
};

use super::{
    super::{config::GroupTypes, machine::Machine, store::LogStore},
    gated_disk::{Gate, GatedDisk},
    *,
};

struct Builder(Duration);

/// Closes the storage of one case.
struct Guard(Arc<Storage>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.close().unwrap();
    }
}

impl StoreBuilder<GroupTypes, LogStore, Machine, Guard> for Builder {
    async fn build(&self) -> Result<(Guard, LogStore, Machine), StorageError<GroupTypes>> {
        let gate = Gate::new(self.0);
        let storage = open_storage(Arc::new(GatedDisk { disk: fresh(), gate }), 0);
        let replica = make(&storage, ReplicaKind::Learner { node: NodeId::from(0) });
        Ok((Guard(storage), LogStore(Arc::clone(&replica)), Machine(replica)))
    }
}

#[tokio::test]
async fn our_store_passes_openrafts_suite() {
    Suite::test_all(Builder(Duration::ZERO)).await.unwrap();
}

#[tokio::test]
async fn a_store_whose_syncs_come_late_passes_it_too() {
    Suite::test_all(Builder(Duration::from_millis(3))).await.unwrap();
}
