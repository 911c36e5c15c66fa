//! Who waits for the high watermark: produce answers until it passes their batch, long polls until enough bytes became
//! visible. Called back from the journal's sync thread: everything here works without a runtime. Not here: what moves it.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    task::{Context, Poll, Waker},
};

use tokio::{sync::Notify, time::Instant};

use crate::raft::{CommitListener, Role};

/// Why a wait for a commit ended without one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// The disk failed; whether the batch survives is unknown: KAFKA_STORAGE_ERROR (56).
    #[error("the disk failed before the batch was committed")]
    Storage,
    /// The partition was deleted or moved away meanwhile: NOT_LEADER_OR_FOLLOWER (6).
    #[error("the partition went away before the batch was committed")]
    NotLeader,
}

/// The wait list of one partition. The replica calls it back; partition and futures share it.
#[derive(Debug)]
pub(super) struct Waiters {
    high_watermark: AtomicI64,
    /// Told of each change of the replica's role; shared by all partitions.
    roles: Arc<Notify>,
    lists: Mutex<Lists>,
}

#[derive(Debug, Default)]
struct Lists {
    commits: Vec<CommitSlot>,
    next_slot: u64,
    watchers: Vec<Weak<FetchWaiter>>,
    /// Dead watchers are swept when the list reaches this length, so that sweeping is paid for by registering.
    sweep_at: usize,
    ended: Option<CommitError>,
}

#[derive(Debug)]
struct CommitSlot {
    slot: u64,
    target: i64,
    waker: Waker,
}

const SWEEP_MIN: usize = 8;

impl Waiters {
    pub(super) fn new(high_watermark: i64, roles: Arc<Notify>) -> Self {
        Self { high_watermark: AtomicI64::new(high_watermark), roles, lists: Mutex::default() }
    }

    pub(super) fn high_watermark(&self) -> i64 {
        self.high_watermark.load(Ordering::Acquire)
    }

    /// Fires `waiter` at once if the high watermark is not `seen` any more, else when it moves.
    pub(super) fn watch(&self, waiter: &Arc<FetchWaiter>, seen: i64) {
        let mut lists = self.lists();
        if lists.ended.is_some() || self.high_watermark() != seen {
            drop(lists);
            waiter.fire();
            return;
        }
        if lists.watchers.len() >= lists.sweep_at.max(SWEEP_MIN) {
            lists.watchers.retain(|watcher| watcher.upgrade().is_some_and(|waiter| !waiter.fired()));
            lists.sweep_at = lists.watchers.len() * 2;
        }
        lists.watchers.push(Arc::downgrade(waiter));
    }

    /// Lets every long poll look again: a setting or the log start changed.
    pub(super) fn disturb(&self) {
        let watchers = std::mem::take(&mut self.lists().watchers);
        watchers.iter().filter_map(Weak::upgrade).for_each(|waiter| waiter.fire());
    }

    /// A future that is ready once the high watermark is at least `target`.
    pub(super) fn committed(self: &Arc<Self>, target: i64) -> Committed {
        Committed { waiters: Arc::clone(self), target, slot: None }
    }

    /// Ends all waits, now and later ones.
    pub(super) fn end(&self, error: CommitError) {
        let mut lists = self.lists();
        lists.ended.get_or_insert(error);
        let commits = std::mem::take(&mut lists.commits);
        drop(lists);
        commits.into_iter().for_each(|slot| slot.waker.wake());
        self.disturb();
    }

    fn lists(&self) -> std::sync::MutexGuard<'_, Lists> {
        self.lists.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    fn watching(&self) -> usize {
        self.lists().watchers.len()
    }
}

impl CommitListener for Waiters {
    fn on_commit(&self, high_watermark: i64, bytes: usize) {
        self.high_watermark.fetch_max(high_watermark, Ordering::AcqRel);
        let mut lists = self.lists();
        let mut wakers = Vec::new();
        lists.commits.retain_mut(|slot| {
            let waits = slot.target > high_watermark;
            if !waits {
                wakers.push(slot.waker.clone());
            }
            waits
        });
        let mut fired = Vec::new();
        if bytes > 0 {
            lists.watchers.retain(|watcher| match watcher.upgrade() {
                Some(waiter) if waiter.count(bytes) => {
                    fired.push(waiter);
                    false
                }
                Some(waiter) => !waiter.fired(),
                None => false,
            });
        }
        drop(lists);
        wakers.into_iter().for_each(Waker::wake);
        fired.iter().for_each(|waiter| waiter.fire());
    }

    fn on_failure(&self) {
        self.end(CommitError::Storage);
    }

    /// A replica that is alone leads as long as it is there.
    /// What waits for a commit in a group hears of it from the group. Long polls look again: the leader may be another.
    fn on_role_change(&self, _: Role) {
        self.disturb();
        self.roles.notify_one();
    }
}

/// Ready when a batch is committed. Cheap to drop.
#[derive(Debug)]
#[must_use = "an append with acks=all is answered after this"]
pub struct Committed {
    waiters: Arc<Waiters>,
    target: i64,
    slot: Option<u64>,
}

impl Future for Committed {
    type Output = Result<(), CommitError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if this.waiters.high_watermark() >= this.target {
            return Poll::Ready(Ok(()));
        }
        let mut lists = this.waiters.lists();
        // looked at again under the lock: a commit between the first look and here has drained the list already
        if this.waiters.high_watermark() >= this.target {
            return Poll::Ready(Ok(()));
        }
        if let Some(error) = lists.ended {
            return Poll::Ready(Err(error));
        }
        let found = this.slot.and_then(|own| lists.commits.iter_mut().find(|slot| slot.slot == own));
        if let Some(slot) = found {
            slot.waker.clone_from(context.waker());
        } else {
            let slot = lists.next_slot;
            lists.next_slot += 1;
            lists.commits.push(CommitSlot { slot, target: this.target, waker: context.waker().clone() });
            this.slot = Some(slot);
        }
        Poll::Pending
    }
}

impl Drop for Committed {
    fn drop(&mut self) {
        if let Some(own) = self.slot
            && self.waiters.high_watermark() < self.target
        {
            self.waiters.lists().commits.retain(|slot| slot.slot != own);
        }
    }
}

/// One long poll over any number of partitions. Made for one wait; dropped, it costs the partitions nothing.
#[derive(Debug)]
pub struct FetchWaiter {
    missing: AtomicI64,
    fired: AtomicBool,
    notify: Notify,
}

impl FetchWaiter {
    /// Fires when `min_bytes` more bytes became visible on the watched partitions: what the request asks for minus
    /// what its first read found.
    pub fn new(min_bytes: usize) -> Arc<Self> {
        let missing = AtomicI64::new(i64::try_from(min_bytes).unwrap_or(i64::MAX).max(1));
        Arc::new(Self { missing, fired: AtomicBool::new(false), notify: Notify::new() })
    }

    /// Waits; false at the deadline. Errors, removals and config changes of a watched partition fire too: read again.
    pub async fn wait(&self, deadline: Instant) -> bool {
        self.fired() || tokio::time::timeout_at(deadline, self.notify.notified()).await.is_ok() || self.fired()
    }

    /// Ends the wait now.
    pub fn fire(&self) {
        self.fired.store(true, Ordering::Release);
        self.notify.notify_one();
    }

    fn fired(&self) -> bool {
        self.fired.load(Ordering::Acquire)
    }

    /// Counts bytes; true once there are enough.
    fn count(&self, bytes: usize) -> bool {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        self.missing.fetch_sub(bytes, Ordering::AcqRel).saturating_sub(bytes) <= 0
    }
}

#[cfg(test)]
mod tests {
    use std::{task::Wake, time::Duration};

    use super::*;

    #[derive(Default)]
    struct Flag(AtomicBool);

    impl Wake for Flag {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::SeqCst);
        }
    }

    fn poll(future: &mut Committed, flag: &Arc<Flag>) -> Poll<Result<(), CommitError>> {
        let waker = Waker::from(Arc::clone(flag));
        Pin::new(future).poll(&mut Context::from_waker(&waker))
    }

    #[test]
    fn a_commit_answers_those_it_passes_and_no_others() {
        let waiters = Arc::new(Waiters::new(0, Arc::default()));
        let (mut first, mut second) = (waiters.committed(5), waiters.committed(9));
        let (one, two) = (Arc::new(Flag::default()), Arc::new(Flag::default()));
        assert!(poll(&mut first, &one).is_pending());
        assert!(poll(&mut second, &two).is_pending());
        waiters.on_commit(5, 100);
        assert!(one.0.load(Ordering::SeqCst) && !two.0.load(Ordering::SeqCst));
        assert_eq!(poll(&mut first, &one), Poll::Ready(Ok(())));
        assert!(poll(&mut second, &two).is_pending());
        waiters.end(CommitError::Storage);
        assert!(two.0.load(Ordering::SeqCst));
        assert_eq!(poll(&mut second, &two), Poll::Ready(Err(CommitError::Storage)));
    }

    #[test]
    fn dropped_waits_leave_nothing_behind() {
        let waiters = Arc::new(Waiters::new(0, Arc::default()));
        let flag = Arc::new(Flag::default());
        for _ in 0..100 {
            let mut wait = waiters.committed(1);
            assert!(poll(&mut wait, &flag).is_pending());
            assert!(poll(&mut wait, &flag).is_pending());
            waiters.watch(&FetchWaiter::new(1), 0);
        }
        assert_eq!(waiters.lists().commits.len(), 0);
        assert!(waiters.watching() <= SWEEP_MIN);
    }

    #[tokio::test]
    async fn a_long_poll_counts_bytes_over_its_partitions() {
        let (a, b) = (Waiters::new(3, Arc::default()), Waiters::new(0, Arc::default()));
        let waiter = FetchWaiter::new(100);
        a.watch(&waiter, 3);
        b.watch(&waiter, 0);
        a.on_commit(4, 60);
        assert!(!waiter.wait(Instant::now() + Duration::from_millis(5)).await);
        b.on_commit(1, 40);
        assert!(waiter.wait(Instant::now() + Duration::from_millis(5)).await);
        assert_eq!(b.watching(), 0);
    }

    #[tokio::test]
    async fn data_between_read_and_watch_errors_and_changes_fire_at_once() {
        let deadline = Instant::now() + Duration::from_secs(5);
        let waiters = Waiters::new(3, Arc::default());
        let late = FetchWaiter::new(1000);
        waiters.watch(&late, 2);
        assert!(late.wait(deadline).await);
        let disturbed = FetchWaiter::new(1000);
        waiters.watch(&disturbed, 3);
        waiters.disturb();
        assert!(disturbed.wait(deadline).await);
        let ended = FetchWaiter::new(1000);
        waiters.end(CommitError::NotLeader);
        waiters.watch(&ended, 3);
        assert!(ended.wait(deadline).await);
    }
}
