//! Sessions: made, continued, refused and evicted.

use super::*;

fn wanted(topic: &str, partition: i32, fetch_offset: i64) -> Wanted {
    Wanted {
        topic: TopicKey::Name(Arc::from(topic)),
        known_name: None,
        partition,
        fetch_offset,
        max_bytes: 1 << 20,
        current_leader_epoch: -1,
        last_fetched_epoch: -1,
    }
}

fn told(high_watermark: i64) -> Told {
    Told { high_watermark, log_start_offset: 0, ..Told::default() }
}

fn trouble() -> Told {
    Told { high_watermark: -1, log_start_offset: -1, is_trouble: true, ..Told::default() }
}

fn with_records(told: Told) -> Told {
    Told { has_records: true, ..told }
}

fn request(id: i32, epoch: i32) -> SessionRequest {
    SessionRequest { id, epoch, by_id: false }
}

struct Consumer {
    sessions: FetchSessions,
    now: Instant,
}

impl Consumer {
    fn new() -> Self {
        Self { sessions: FetchSessions::new(Random::seeded(1)), now: Instant::now() }
    }

    /// Opens, answers the same for each partition as `tell` says, settles.
    fn fetch(
        &self,
        request: SessionRequest,
        wanted: Vec<Wanted>,
        forgotten: &[(TopicKey, i32)],
        tell: impl Fn(&Wanted) -> Told,
    ) -> Result<(i32, Vec<(i32, bool)>), ResponseError> {
        let open = self.sessions.open(request, wanted, forgotten, self.now)?;
        let partitions: Vec<_> = open.wanted.iter().map(|wanted| wanted.partition).collect();
        let told: Vec<_> = open.wanted.iter().map(tell).collect();
        let settled = self.sessions.settle(open, &told, self.now)?;
        Ok((settled.session_id, partitions.into_iter().zip(settled.include).collect()))
    }

    fn full(&self, partitions: i32) -> i32 {
        let all = (0..partitions).map(|partition| wanted("t", partition, 0)).collect();
        self.fetch(request(0, 0), all, &[], |_| told(5)).unwrap().0
    }
}

#[test]
fn an_incremental_answer_holds_only_what_changed() {
    let consumer = Consumer::new();
    let id = consumer.full(3);
    assert!(id > 0);
    let same = consumer.fetch(request(id, 1), vec![], &[], |_| told(5)).unwrap();
    assert_eq!(same, (id, vec![(0, false), (1, false), (2, false)]));
    let moved = |wanted: &Wanted| told(if wanted.partition == 1 { 6 } else { 5 });
    assert_eq!(consumer.fetch(request(id, 2), vec![], &[], moved).unwrap().1, [(0, false), (1, true), (2, false)]);
    assert_eq!(consumer.fetch(request(id, 3), vec![], &[], moved).unwrap().1, [(0, false), (1, false), (2, false)]);
    let raised = |wanted: &Wanted| Told { log_start_offset: i64::from(wanted.partition == 2), ..moved(wanted) };
    assert_eq!(consumer.fetch(request(id, 4), vec![], &[], raised).unwrap().1, [(0, false), (1, false), (2, true)]);
}

#[test]
fn an_error_is_told_again_and_so_is_its_end() {
    let consumer = Consumer::new();
    let id = consumer.full(2);
    let bad = |wanted: &Wanted| if wanted.partition == 0 { trouble() } else { told(5) };
    for epoch in 1..3 {
        assert_eq!(consumer.fetch(request(id, epoch), vec![], &[], bad).unwrap().1, [(0, true), (1, false)]);
    }
    assert_eq!(consumer.fetch(request(id, 3), vec![], &[], |_| told(5)).unwrap().1, [(0, true), (1, false)]);
    assert_eq!(consumer.fetch(request(id, 4), vec![], &[], |_| told(5)).unwrap().1, [(0, false), (1, false)]);
    // a divergence is trouble with valid offsets
    let diverging = |_: &Wanted| Told { is_trouble: true, ..told(5) };
    assert_eq!(consumer.fetch(request(id, 5), vec![], &[], diverging).unwrap().1, [(0, true), (1, true)]);
    assert_eq!(consumer.fetch(request(id, 6), vec![], &[], |_| told(5)).unwrap().1, [(0, true), (1, true)]);
}

#[test]
fn a_partition_that_gave_records_goes_to_the_end_of_the_line() {
    let consumer = Consumer::new();
    let id = consumer.full(3);
    let first = |wanted: &Wanted| if wanted.partition == 0 { with_records(told(5)) } else { told(5) };
    assert_eq!(consumer.fetch(request(id, 1), vec![], &[], first).unwrap().1, [(0, true), (1, false), (2, false)]);
    let order = consumer.fetch(request(id, 2), vec![], &[], |_| told(5)).unwrap().1;
    assert_eq!(order.iter().map(|(partition, _)| *partition).collect::<Vec<_>>(), [1, 2, 0]);
}

#[test]
fn requests_add_change_and_forget() {
    let consumer = Consumer::new();
    let id = consumer.full(3);
    let forget = [(TopicKey::Name(Arc::from("t")), 1), (TopicKey::Name(Arc::from("none")), 9)];
    let open =
        consumer.sessions.open(request(id, 1), vec![wanted("t", 0, 42), wanted("u", 7, 1)], &forget, consumer.now);
    let open = open.unwrap();
    let now: Vec<_> = open.wanted.iter().map(|wanted| (wanted.partition, wanted.fetch_offset)).collect();
    assert_eq!(now, [(0, 42), (2, 0), (7, 1)]);
    assert_eq!(
        consumer.sessions.settle(open, &[told(5), told(5), told(5)], consumer.now).unwrap().include,
        [false, false, true]
    );
}

#[test]
fn wrong_ids_epochs_and_kinds_are_refused_and_change_nothing() {
    let consumer = Consumer::new();
    let id = consumer.full(1);
    let refused = |request| consumer.fetch(request, vec![wanted("t", 5, 0)], &[], |_| told(5)).unwrap_err();
    assert_eq!(refused(request(id ^ 1, 1)), ResponseError::FetchSessionIdNotFound);
    assert_eq!(refused(request(0, 1)), ResponseError::FetchSessionIdNotFound);
    assert_eq!(refused(request(0, -7)), ResponseError::FetchSessionIdNotFound);
    assert_eq!(refused(request(id, 2)), ResponseError::InvalidFetchSessionEpoch);
    assert_eq!(refused(SessionRequest { by_id: true, ..request(id, 1) }), ResponseError::FetchSessionTopicIdError);
    assert_eq!(consumer.fetch(request(id, 1), vec![], &[], |_| told(5)).unwrap().1.len(), 1);
}

#[test]
fn the_second_of_two_answers_on_one_session_is_refused() {
    let consumer = Consumer::new();
    let id = consumer.full(1);
    let slow = consumer.sessions.open(request(id, 1), vec![], &[], consumer.now).unwrap();
    consumer.fetch(request(id, 2), vec![], &[], |_| told(5)).unwrap();
    let late = consumer.sessions.settle(slow, &[told(5)], consumer.now);
    assert_eq!(late, Err(ResponseError::InvalidFetchSessionEpoch));
}

#[test]
fn full_fetches_end_the_session_they_name() {
    let consumer = Consumer::new();
    for last in [0, -1] {
        let id = consumer.full(1);
        let (next, _) = consumer.fetch(request(id, last), vec![wanted("t", 0, 0)], &[], |_| told(5)).unwrap();
        assert!(next != id && (next == 0) == (last == -1));
        let gone = consumer.fetch(request(id, 1), vec![], &[], |_| told(5));
        assert_eq!(gone, Err(ResponseError::FetchSessionIdNotFound));
    }
    let id = consumer.full(1);
    let all = [(TopicKey::Name(Arc::from("t")), 0)];
    assert_eq!(consumer.fetch(request(id, 1), vec![], &all, |_| told(5)), Ok((0, vec![])));
    assert_eq!(consumer.sessions.cache().partitions, 1, "one session of the first round is left");
}

#[test]
fn epochs_wrap_to_one() {
    assert_eq!((next_epoch(0), next_epoch(i32::MAX)), (1, 1));
}

#[test]
fn a_topic_keeps_the_name_that_its_id_first_had() {
    let consumer = Consumer::new();
    let by_id = |id, epoch| SessionRequest { by_id: true, ..request(id, epoch) };
    let topic = Wanted { topic: TopicKey::Id(Uuid::from_u128(9)), ..wanted("", 0, 0) };
    let named = |_: &Wanted| Told { name: Some(Arc::from("first")), ..told(5) };
    let (id, _) = consumer.fetch(by_id(0, 0), vec![topic.clone()], &[], named).unwrap();
    let open =
        consumer.sessions.open(by_id(id, 1), vec![Wanted { fetch_offset: 8, ..topic }], &[], consumer.now).unwrap();
    assert_eq!((open.wanted[0].known_name.as_deref(), open.wanted[0].fetch_offset), (Some("first"), 8));
}

#[test]
fn there_is_no_session_beyond_the_bounds_until_one_is_idle() {
    let mut consumer = Consumer::new();
    let first = consumer.full(1);
    for _ in 1..SESSIONS_MAX {
        assert!(consumer.full(1) > 0);
    }
    assert_eq!(consumer.full(1), 0);
    consumer.now += IDLE_BEFORE_EVICTION / 2;
    consumer.fetch(request(first, 1), vec![], &[], |_| told(5)).unwrap();
    consumer.now += IDLE_BEFORE_EVICTION / 2;
    assert!(consumer.full(1) > 0, "an idle one had to go");
    assert!(consumer.fetch(request(first, 2), vec![], &[], |_| told(5)).is_ok(), "the used one stays");
    assert_eq!(consumer.sessions.cache().slots.len(), SESSIONS_MAX);
}

#[test]
fn partitions_are_bounded_over_all_sessions() {
    let consumer = Consumer::new();
    assert_eq!(consumer.full(PARTITIONS_MAX as i32 + 1), 0);
    let id = consumer.full(PARTITIONS_MAX as i32 - 1);
    assert!(id > 0);
    assert_eq!(consumer.full(2), 0);
    let more = (0..2).map(|partition| wanted("more", partition, 0)).collect();
    let outgrown = consumer.fetch(request(id, 1), more, &[], |_| told(5));
    assert_eq!(outgrown, Err(ResponseError::FetchSessionIdNotFound));
    assert_eq!(consumer.sessions.cache().partitions, 0);
}

#[test]
fn a_partition_wanted_twice_is_held_once() {
    let consumer = Consumer::new();
    let (id, _) = consumer.fetch(request(0, 0), vec![wanted("t", 0, 1), wanted("t", 0, 2)], &[], |_| told(5)).unwrap();
    let open = consumer.sessions.open(request(id, 1), vec![], &[], consumer.now).unwrap();
    assert_eq!(open.wanted, [wanted("t", 0, 2)]);
}
