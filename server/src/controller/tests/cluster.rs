//! Three controllers over one log in memory, of which one decides; messages between them go through their bytes.

use std::{collections::BTreeMap, time::Duration};

use uuid::Uuid;

use super::*;
use crate::metadata::{Endpoint, PartitionInfo, Replica, first_replicas};

/// Orders that were sent, and what leaders make of them.
#[derive(Clone, Default)]
struct Leaders(Arc<Mutex<(Sent, BTreeMap<i32, OrderAnswer>)>>);

type Sent = Vec<(i32, Order)>;

impl Peers for Leaders {
    fn call(&self, broker_id: i32, _: MessageKind, message: Vec<u8>) -> Calling {
        let mut state = self.0.lock().unwrap();
        state.0.push((broker_id, Order::decode(&message).unwrap()));
        let answer = state.1.get(&broker_id).cloned();
        Box::pin(async move { answer.map(|answer| answer.encode()).ok_or_else(|| "unreachable".into()) })
    }
}

struct Cluster {
    log: Memory,
    leaders: Leaders,
    controllers: BTreeMap<i32, Arc<Controller>>,
}

impl Cluster {
    /// Brokers 1, 2 and 3 in racks a, b and c, registered and unfenced; 1 decides.
    async fn new() -> Self {
        let (log, leaders) = (Memory::default(), Leaders::default());
        let controllers = (1..=3).map(|id| {
            let image = ImageHandle::new(Image::default(), 0);
            let boxed = || Box::new(log.clone());
            let controller = Controller::new(config(id), image, Random::seeded(id as u64), boxed(), boxed());
            (id, Arc::new(controller.in_cluster(Box::new(leaders.clone()))))
        });
        let cluster = Self { controllers: controllers.collect(), log, leaders };
        cluster.elect(1);
        for id in 1..=3 {
            assert_eq!(cluster.say(1, &Request::Register(registration(id, 1))).await, Answer::Done);
            assert_eq!(cluster.beat(1, id).await, Answer::Heard { fenced: false, may_stop: false });
        }
        cluster
    }

    fn elect(&self, leader: i32) {
        for (id, controller) in &self.controllers {
            controller.set_role(match *id == leader {
                true => Role::Active { epoch: leader },
                false => Role::Observer { leader: Some(leader) },
            });
        }
    }

    async fn say(&self, to: i32, request: &Request) -> Answer {
        let answer = self.controllers[&to].serve(request.broker_id(), &request.encode()).await;
        Answer::decode(&answer).unwrap()
    }

    async fn beat(&self, to: i32, broker_id: i32) -> Answer {
        self.say(to, &Request::Heartbeat(heartbeat(broker_id))).await
    }

    /// Lets a broker's image follow the log.
    fn follow(&self, id: i32) {
        let (log, controller) = (self.log.0.lock().unwrap(), &self.controllers[&id]);
        let from = controller.image_handle().applied();
        let rest = &log[from as usize..];
        assert!(controller.apply_committed(from, rest, log.len() as i64));
    }

    fn partition(&self, topic: &str, index: usize) -> PartitionInfo {
        self.controllers[&1].image().topic(topic).unwrap().partitions[index].clone()
    }

    async fn report(&self, leader: i32, leader_epoch: i32, isr: &[i32], voters: Vec<Replica>) -> Answer {
        let topic_id = self.controllers[&1].image().topic("t").unwrap().id;
        let led = Leadership { topic_id, partition: 0, leader_epoch, isr: isr.to_vec(), voters };
        let incarnation = incarnation(leader, 1);
        self.say(1, &Request::Report { broker_id: leader, incarnation, leaderships: vec![led] }).await
    }
}

fn incarnation(broker_id: i32, process: u64) -> Uuid {
    Uuid::from_u64_pair(broker_id as u64, process)
}

pub(super) fn registration(broker_id: i32, process: u64) -> Registration {
    let endpoint = |port| Endpoint { host: format!("host{broker_id}"), port };
    Registration {
        broker_id,
        incarnation: incarnation(broker_id, process),
        directory_id: Uuid::from_u64_pair(0, broker_id as u64),
        cluster_id: "c".into(),
        client: endpoint(1),
        raft: endpoint(2),
        rack: Some(["a", "b", "c"][broker_id as usize % 3].into()),
    }
}

fn heartbeat(broker_id: i32) -> Heartbeat {
    let incarnation = incarnation(broker_id, 1);
    Heartbeat { broker_id, incarnation, metadata_offset: 1000, wants_fence: false, wants_shutdown: false }
}

fn replicated(name: &str, brokers: &[i32]) -> NewTopic {
    NewTopic { assignments: vec![(0, brokers.to_vec())], ..new_topic(name) }
}

#[tokio::test]
async fn only_the_controller_decides_and_the_others_name_it() {
    let cluster = Cluster::new().await;
    let refused = ProposeError::NotController { leader: Some(1) };
    let observer = &cluster.controllers[&2];
    let topics = [NewTopic { replication_factor: 3, ..new_topic("t") }];
    assert_eq!(observer.create_topics(&topics, false).await, [Err(refused.clone().into())]);
    assert_eq!(observer.delete_topics(&[TopicRef::Name("t".into())]).await, [Err(refused.clone().into())]);
    assert_eq!(cluster.beat(2, 3).await, Answer::Refused(Refused::NotController { leader: Some(1) }));
    let made = cluster.controllers[&1].create_topics(&topics, false).await.remove(0).unwrap();
    assert_eq!((made.partitions, made.replication_factor), (3, 3));
    let leaders: std::collections::BTreeSet<i32> =
        (0..3).map(|index| cluster.partition("t", index).preferred_leader()).collect();
    assert_eq!(leaders.len(), 3, "each broker leads one");
    cluster.follow(2);
    assert_eq!(observer.image(), cluster.controllers[&1].image());
}

#[tokio::test]
async fn a_new_controller_waits_until_it_has_seen_what_the_old_one_decided() {
    let cluster = Cluster::new().await;
    cluster.controllers[&1].create_topics(&[new_topic("t")], false).await;
    cluster.elect(2);
    let (late, topics) = (cluster.controllers[&2].clone(), [new_topic("t")]);
    let mut again = Box::pin(async move { late.create_topics(&topics, false).await });
    assert!(futures_util::poll!(&mut again).is_pending(), "its image lacks the topic");
    cluster.follow(2);
    assert_eq!(again.await, [Err(ControllerError::TopicExists("t".into()))]);
    let (late, topics) = (cluster.controllers[&3].clone(), [new_topic("u")]);
    cluster.elect(3);
    let mut lost = Box::pin(async move { late.create_topics(&topics, false).await });
    assert!(futures_util::poll!(&mut lost).is_pending());
    cluster.elect(1);
    let refused = ProposeError::NotController { leader: Some(1) };
    assert_eq!(lost.await, [Err(refused.into())], "its time was over before it had begun");
}

#[tokio::test]
async fn batches_are_taken_in_order_and_once() {
    let cluster = Cluster::new().await;
    let (follower, log) = (&cluster.controllers[&2], cluster.log.0.lock().unwrap().clone());
    assert!(!follower.apply_committed(2, &log[2..3], 3), "a gap");
    assert!(follower.apply_committed(0, &log[..2], 2));
    assert!(follower.apply_committed(0, &log[..2], 2), "known");
    let (image, end) = (cluster.controllers[&1].image(), log.len() as i64);
    let mut records = vec![MetadataRecord::Snapshot];
    records.extend(image.to_records());
    assert!(follower.apply_committed(end, &records, end + 9), "nothing is missing before a snapshot");
    assert_eq!((follower.image(), follower.image_handle().applied()), (image.clone(), end + 9));
    let known = follower.image();
    assert!(follower.apply_committed(end + 9, &records, end + 18), "it stands for what is known");
    assert!(Arc::ptr_eq(&follower.image(), &known) && follower.image_handle().applied() == end + 18);
    assert!(follower.apply_committed(0, &records[..1], 1), "an older snapshot");
    assert_eq!(follower.image(), image);
}

#[tokio::test(start_paused = true)]
async fn a_silent_broker_is_fenced_and_comes_back() {
    let cluster = Cluster::new().await;
    let controller = &cluster.controllers[&1];
    let fenced = |controller: &Controller| {
        controller.image().brokers().filter(|broker| broker.fenced).map(|broker| broker.id).collect::<Vec<_>>()
    };
    for _ in 0..5 {
        tokio::time::advance(Duration::from_secs(2)).await;
        cluster.beat(1, 1).await;
        cluster.beat(1, 2).await;
        controller.tick().await;
    }
    assert_eq!(fenced(controller), [3]);
    assert_eq!(cluster.beat(1, 3).await, Answer::Heard { fenced: false, may_stop: false });
    assert_eq!(fenced(controller), [0; 0]);
    cluster.follow(2);
    cluster.elect(2);
    let new = &cluster.controllers[&2];
    tokio::time::advance(Duration::from_secs(8)).await;
    new.tick().await;
    assert_eq!(fenced(new), [0; 0], "a whole session under a new controller");
    tokio::time::advance(Duration::from_secs(1)).await;
    controller.tick().await;
    assert_eq!(fenced(controller), [0; 0], "the old one decides nothing");
    new.tick().await;
    assert_eq!(fenced(new), [1, 2, 3]);
}

#[tokio::test(start_paused = true)]
async fn a_second_broker_with_the_same_id_is_refused_while_the_first_lives() {
    let cluster = Cluster::new().await;
    let elsewhere = Registration { client: Endpoint { host: "elsewhere".into(), port: 1 }, ..registration(3, 2) };
    let say = |registration: &Registration| Request::Register(registration.clone());
    assert_eq!(cluster.say(1, &say(&elsewhere)).await, Answer::Refused(Refused::DuplicateBroker));
    let other = Registration { cluster_id: "other".into(), ..registration(3, 2) };
    let refused = Refused::OtherCluster { expected: "c".into(), found: "other".into() };
    assert_eq!(cluster.say(1, &say(&other)).await, Answer::Refused(refused));
    let restarted = registration(2, 2);
    assert_eq!(cluster.say(1, &say(&restarted)).await, Answer::Done, "the same ports: the old process is gone");
    assert_eq!(cluster.beat(1, 2).await, Answer::Refused(Refused::NotRegistered), "so its heartbeats are not heard");
    assert!(!cluster.controllers[&1].image().is_available(2), "the new one has yet to catch up");
    let alive = cluster.say(1, &say(&registration(2, 1))).await;
    assert_eq!(alive, Answer::Refused(Refused::DuplicateBroker), "it was not gone: two processes, one address");
    tokio::time::advance(Duration::from_secs(10)).await;
    assert_eq!(cluster.say(1, &say(&elsewhere)).await, Answer::Done, "its session is over");
}

#[tokio::test]
async fn a_broker_that_comes_with_an_empty_disk_gets_new_replicas() {
    let cluster = Cluster::new().await;
    let topics = [replicated("t", &[2, 3, 1]), replicated("alone", &[2]), replicated("elsewhere", &[1, 3])];
    let made = cluster.controllers[&1].create_topics(&topics, false).await;
    assert!(made.iter().all(Result::is_ok));
    let restarted = registration(2, 2);
    assert_eq!(cluster.say(1, &Request::Register(restarted.clone())).await, Answer::Done);
    assert_eq!(cluster.partition("t", 0).target, None, "the same disk");
    let wiped = Registration { directory_id: Uuid::from_u128(99), ..registration(2, 3) };
    assert_eq!(cluster.say(1, &Request::Register(wiped)).await, Answer::Done);
    let info = cluster.partition("t", 0);
    assert_eq!(info.wanted(), [Replica::new(2, 1), Replica::new(3, 0), Replica::new(1, 0)]);
    assert_eq!(info.lost, [Replica::new(2, 0)]);
    assert_eq!(cluster.partition("alone", 0).target, None, "nobody could fill it");
    assert_eq!(cluster.partition("elsewhere", 0).target, None);
}

#[tokio::test]
async fn nobody_speaks_for_another_and_bytes_are_no_message() {
    let cluster = Cluster::new().await;
    let controller = &cluster.controllers[&1];
    let forged = controller.serve(2, &Request::Heartbeat(heartbeat(3)).encode()).await;
    assert!(matches!(Answer::decode(&forged), Ok(Answer::Refused(Refused::Failed(_)))));
    let garbage = controller.serve(2, b"GET / HTTP/1.1").await;
    assert!(matches!(Answer::decode(&garbage), Ok(Answer::Refused(Refused::Failed(_)))));
}

#[tokio::test]
async fn leaders_are_written_down_and_moves_end_with_their_report() {
    let cluster = Cluster::new().await;
    let controller = &cluster.controllers[&1];
    controller.create_topics(&[replicated("t", &[1, 2])], false).await.remove(0).unwrap();
    assert_eq!(cluster.report(2, 3, &[1, 2], first_replicas(&[1, 2])).await, Answer::Done);
    let info = cluster.partition("t", 0);
    assert_eq!((info.leader, info.leader_epoch, info.isr), (2, 3, vec![1, 2]));
    let moved = |brokers: Option<Vec<i32>>| Reassignment { topic: "t".into(), partition: 0, brokers };
    assert_eq!(controller.alter_reassignments(&[moved(Some(vec![3, 2]))], false).await, [Ok(())]);
    assert!(cluster.partition("t", 0).is_reassigning());
    let reached = vec![Replica::new(2, 0), Replica::new(3, 1)];
    cluster.report(2, 3, &[2, 3], reached).await;
    let info = cluster.partition("t", 0);
    assert_eq!((info.is_reassigning(), info.broker_ids(), info.isr), (false, vec![3, 2], vec![2, 3]));
    assert_eq!(
        controller.alter_reassignments(&[moved(None)], true).await,
        [Err(ControllerError::NoReassignmentInProgress)]
    );
}

#[tokio::test]
async fn a_lost_log_is_replaced_while_most_others_are_in_sync() {
    let cluster = Cluster::new().await;
    let controller = &cluster.controllers[&1];
    controller.create_topics(&[replicated("t", &[1, 2, 3])], false).await.remove(0).unwrap();
    controller.create_topics(&[replicated("pair", &[1, 2])], false).await.remove(0).unwrap();
    let lost = |topic: &str, broker_id| Request::ReplaceReplica {
        topic_id: controller.image().topic(topic).unwrap().id,
        partition: 0,
        replica: Replica::new(broker_id, 0),
    };
    let too_few =
        |answer: &Answer| matches!(answer, Answer::Refused(Refused::Failed(why)) if why.contains("the only copy"));
    cluster.report(2, 3, &[2, 3], first_replicas(&[1, 2, 3])).await;
    let asked = cluster.say(1, &lost("t", 3)).await;
    assert!(too_few(&asked), "only 2 would be left: {asked:?}");
    cluster.report(2, 3, &[1, 2, 3], first_replicas(&[1, 2, 3])).await;
    assert_eq!(cluster.say(1, &lost("t", 3)).await, Answer::Done);
    assert_eq!(cluster.partition("t", 0).wanted(), [Replica::new(1, 0), Replica::new(2, 0), Replica::new(3, 1)]);
    assert_eq!(cluster.say(1, &lost("t", 3)).await, Answer::Done, "asked again");
    let asked = cluster.say(1, &lost("t", 1)).await;
    assert!(too_few(&asked), "nobody has filled the one on 3 yet: {asked:?}");
    let pair = cluster.say(1, &lost("pair", 1)).await;
    assert!(too_few(&pair), "two replicas decide nothing without each other: {pair:?}");
}

#[tokio::test]
async fn elections_order_the_leader_to_hand_over() {
    let cluster = Cluster::new().await;
    let controller = &cluster.controllers[&1];
    controller.create_topics(&[replicated("t", &[1, 2, 3])], false).await.remove(0).unwrap();
    cluster.report(2, 3, &[1, 2, 3], first_replicas(&[1, 2, 3])).await;
    let partitions = [("t".to_owned(), 0), ("t".to_owned(), 1)];
    let elect = || controller.elect_leaders(ElectionKind::Preferred, &partitions);
    let unknown = || Err(ControllerError::NoSuchPartition("No such partition as t-1".into()));
    let unreachable = elect().await;
    assert_eq!(unreachable, [Err(ControllerError::PreferredLeaderNotAvailable), unknown()]);
    cluster.leaders.0.lock().unwrap().1.insert(2, OrderAnswer::Done);
    assert_eq!(elect().await, [Ok(()), unknown()]);
    let topic_id = controller.image().topic("t").unwrap().id;
    let order = Order::Transfer { topic_id, partition: 0, to: Replica::new(1, 0) };
    assert_eq!(cluster.leaders.0.lock().unwrap().0, [(2, order.clone()), (2, order)]);
    let elsewhere = cluster.controllers[&2].elect_leaders(ElectionKind::Preferred, &partitions[..1]).await;
    assert_eq!(elsewhere, [Err(ProposeError::NotController { leader: Some(1) }.into())]);
}

#[tokio::test(start_paused = true)]
async fn leaders_are_brought_home_now_and_then() {
    let cluster = Cluster::new().await;
    let controller = &cluster.controllers[&1];
    controller.create_topics(&[replicated("t", &[1, 2, 3])], false).await.remove(0).unwrap();
    cluster.report(2, 3, &[1, 2, 3], first_replicas(&[1, 2, 3])).await;
    let orders = || cluster.leaders.0.lock().unwrap().0.len();
    controller.tick().await;
    assert_eq!(orders(), 0, "not at once");
    tokio::time::advance(Duration::from_millis(BALANCE_INTERVAL_MS as u64)).await;
    for id in 1..=3 {
        cluster.beat(1, id).await;
    }
    controller.tick().await;
    controller.tick().await;
    assert_eq!(orders(), 1);
}

#[tokio::test]
async fn a_broker_stops_once_others_lead_what_it_led() {
    let cluster = Cluster::new().await;
    let controller = &cluster.controllers[&1];
    controller.create_topics(&[replicated("t", &[2, 3])], false).await.remove(0).unwrap();
    cluster.report(2, 3, &[2, 3], first_replicas(&[2, 3])).await;
    let stops = || Request::Heartbeat(Heartbeat { wants_shutdown: true, ..heartbeat(2) });
    assert_eq!(cluster.say(1, &stops()).await, Answer::Heard { fenced: false, may_stop: false });
    let topic_id = controller.image().topic("t").unwrap().id;
    let order = (2, Order::Transfer { topic_id, partition: 0, to: Replica::new(3, 0) });
    assert_eq!(cluster.leaders.0.lock().unwrap().0, [order]);
    let placed = controller.create_topics(&[NewTopic { replication_factor: 2, ..new_topic("u") }], false).await;
    assert!(placed[0].is_ok());
    assert!((0..3).all(|index| !cluster.partition("u", index).broker_ids().contains(&2)), "nothing new for it");
    cluster.report(3, 4, &[2, 3], first_replicas(&[2, 3])).await;
    assert_eq!(cluster.say(1, &stops()).await, Answer::Heard { fenced: true, may_stop: true });
    assert!(!controller.image().is_available(2));
    assert_eq!(controller.unregister_broker(2).await, Ok(()));
    assert_eq!(controller.unregister_broker(2).await, Err(ControllerError::BrokerNotRegistered(2)));
}

/// Takes messages to the controllers, as a transport would.
struct Carrying(Arc<Mutex<Option<Arc<Controller>>>>);

impl Peers for Carrying {
    fn call(&self, _: i32, _: MessageKind, message: Vec<u8>) -> Calling {
        let controller = self.0.lock().unwrap().clone();
        Box::pin(async move {
            let from = Request::decode(&message).unwrap().broker_id();
            Ok(controller.ok_or("unreachable")?.serve(from, &message).await)
        })
    }
}

#[tokio::test]
async fn producer_ids_come_in_blocks_that_nobody_else_gets() {
    let cluster = Cluster::new().await;
    let boxed = || Box::new(cluster.log.clone());
    let image = ImageHandle::new(Image::default(), 0);
    let way = Arc::new(Mutex::new(None));
    let observer = Controller::new(config(2), image, Random::seeded(2), boxed(), boxed());
    let observer = observer.in_cluster(Box::new(Carrying(way.clone())));
    let refused = ProposeError::NotController { leader: None };
    assert_eq!(observer.allocate_producer_id().await, Err(refused.into()), "no controller yet");
    observer.set_role(Role::Observer { leader: Some(1) });
    let length = cluster.log.end_offset();
    assert!(observer.apply_committed(0, &cluster.log.0.lock().unwrap().clone(), length));
    assert!(observer.allocate_producer_id().await.is_err(), "the controller is not reached");
    *way.lock().unwrap() = Some(cluster.controllers[&1].clone());
    let mine = [observer.allocate_producer_id().await, observer.allocate_producer_id().await];
    assert_eq!(mine, [Ok(0), Ok(1)]);
    assert_eq!(cluster.controllers[&1].allocate_producer_id().await, Ok(1000));
}
