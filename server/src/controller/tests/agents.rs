//! Brokers' agents against controllers, in steps of 100 ms of a clock that is moved by hand: what both sides make of each other.

use std::{collections::BTreeMap, time::Duration};

use uuid::Uuid;

use super::{cluster::registration, *};
use crate::metadata::first_replicas;

const STEP_MS: i64 = 100;
const TOPIC: Uuid = Uuid::from_u128(77);

/// Who leads the partitions of a topic, each over brokers 1, 2 and 3: the Raft groups that are not there.
type Groups = Arc<Mutex<Vec<(i32, i32)>>>;

/// A leader that hands over at once.
struct HandOver(Groups);

impl Peers for HandOver {
    fn call(&self, broker_id: i32, _: MessageKind, message: Vec<u8>) -> Calling {
        let Order::Transfer { partition, to, .. } = Order::decode(&message).unwrap();
        let (leader, epoch) = &mut self.0.lock().unwrap()[partition as usize];
        let answer = if *leader == broker_id { OrderAnswer::Done } else { OrderAnswer::NotLeader };
        if answer == OrderAnswer::Done {
            (*leader, *epoch) = (to.broker_id, *epoch + 1);
        }
        Box::pin(async move { Ok(answer.encode()) })
    }
}

struct Sim {
    log: Memory,
    groups: Groups,
    controllers: BTreeMap<i32, Controller>,
    /// Processes that run.
    agents: BTreeMap<i32, Agent>,
    active: i32,
    now_ms: i64,
}

impl Sim {
    fn new() -> Self {
        let (log, groups) = (Memory::default(), Groups::default());
        log.0.lock().unwrap().push(MetadataRecord::CreateTopic { topic_id: TOPIC, name: "t".into() });
        for partition in 0..6 {
            let replicas = first_replicas(&[1, 2, 3]);
            log.0.lock().unwrap().push(MetadataRecord::CreatePartition { topic_id: TOPIC, partition, replicas });
            groups.lock().unwrap().push((partition % 3 + 1, 5));
        }
        let controllers = (1..=3).map(|id| {
            let boxed = || Box::new(log.clone());
            let image = ImageHandle::new(Image::default(), 0);
            let controller = Controller::new(config(id), image, Random::seeded(id as u64), boxed(), boxed());
            (id, controller.in_cluster(Box::new(HandOver(groups.clone()))))
        });
        let controllers = controllers.collect();
        let agents = (1..=3).map(|id| (id, Agent::new(registration(id, 1)))).collect();
        let mut sim = Self { log, groups, controllers, agents, active: 0, now_ms: 0 };
        sim.elect(1);
        sim
    }

    fn elect(&mut self, leader: i32) {
        self.active = leader;
        for (id, controller) in &self.controllers {
            controller.set_role(match *id == leader {
                true => Role::Active { epoch: leader },
                false => Role::Observer { leader: Some(leader) },
            });
        }
    }

    fn led_by(&self, broker_id: i32) -> Vec<Leadership> {
        let groups = self.groups.lock().unwrap();
        let led = (0..).zip(&*groups).filter(|(_, (leader, _))| *leader == broker_id);
        let leadership = |(partition, (_, leader_epoch)): (i32, &(i32, i32))| Leadership {
            topic_id: TOPIC,
            partition,
            leader_epoch: *leader_epoch,
            isr: self.agents.keys().copied().collect(),
            voters: first_replicas(&[1, 2, 3]),
        };
        led.map(leadership).collect()
    }

    /// Every process follows the log and says at most one thing.
    async fn step(&mut self) {
        self.now_ms += STEP_MS;
        tokio::time::advance(Duration::from_millis(STEP_MS as u64)).await;
        for id in self.agents.keys().copied().collect::<Vec<_>>() {
            let controller = &self.controllers[&id];
            let records = self.log.0.lock().unwrap().clone();
            let applied = controller.image_handle().applied();
            controller.apply_committed(applied, &records[applied as usize..], records.len() as i64);
            let (image, led) = (controller.image(), self.led_by(id));
            let view = View { now_ms: self.now_ms, image: &image, metadata_offset: applied, led: &led };
            let agent = self.agents.get_mut(&id).unwrap();
            let Step::Send(request) = agent.next(&view) else { continue };
            let reached = self.controllers.get(&self.active).filter(|_| self.active != 0);
            let answer = match reached {
                Some(controller) => Answer::decode(&controller.serve(id, &request.encode()).await).ok(),
                None => None,
            };
            agent.answered(&request, answer, self.now_ms);
        }
        if let Some(controller) = self.controllers.get(&self.active) {
            controller.tick().await;
        }
    }

    async fn run(&mut self, ms: i64) {
        for _ in 0..ms / STEP_MS {
            self.step().await;
        }
    }

    fn image(&self) -> Arc<Image> {
        self.controllers[&self.active].image()
    }

    fn available(&self) -> Vec<i32> {
        let image = self.image();
        image.brokers().filter(|broker| !broker.fenced).map(|broker| broker.id).collect()
    }

    fn leaders(&self) -> Vec<(i32, i32)> {
        let image = self.image();
        let partitions = &image.topic("t").unwrap().partitions;
        partitions.iter().map(|info| (info.leader, info.leader_epoch)).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn brokers_come_fall_silent_and_come_back() {
    let mut sim = Sim::new();
    sim.run(1000).await;
    assert_eq!(sim.available(), [1, 2, 3]);
    assert_eq!(sim.leaders(), *sim.groups.lock().unwrap());
    sim.agents.remove(&3);
    // its last heartbeat was up to two seconds ago
    sim.run(6800).await;
    assert_eq!(sim.available(), [1, 2, 3], "not yet silent for a session's time");
    sim.run(2500).await;
    assert_eq!(sim.available(), [1, 2]);
    sim.agents.insert(3, Agent::new(registration(3, 2)));
    sim.run(1000).await;
    assert_eq!(sim.available(), [1, 2, 3]);
    let length = sim.log.end_offset();
    sim.run(60_000).await;
    assert_eq!(sim.log.end_offset(), length, "a cluster at rest writes nothing");
}

#[tokio::test(start_paused = true)]
async fn a_new_controller_takes_over_and_fences_the_old_one_only_after_its_grace() {
    let mut sim = Sim::new();
    sim.run(1000).await;
    sim.agents.remove(&1);
    sim.active = 0;
    sim.run(3000).await;
    // while nobody decided, the groups that 1 led found other leaders
    sim.groups.lock().unwrap().iter_mut().filter(|group| group.0 == 1).for_each(|group| *group = (2, 9));
    sim.elect(2);
    sim.run(1000).await;
    assert_eq!(sim.leaders(), *sim.groups.lock().unwrap());
    sim.run(7500).await;
    assert_eq!(sim.available(), [1, 2, 3]);
    sim.run(1500).await;
    assert_eq!(sim.available(), [2, 3]);
    assert!(sim.image().topic("t").unwrap().partitions[0].isr == [2, 3]);
}

#[tokio::test(start_paused = true)]
async fn a_broker_drains_before_it_stops_and_gets_its_leaderships_back() {
    let mut sim = Sim::new();
    sim.run(1000).await;
    sim.agents.get_mut(&2).unwrap().stop();
    sim.run(1500).await;
    assert!(sim.agents[&2].may_stop() && sim.agents[&2].is_fenced());
    assert_eq!(sim.available(), [1, 3]);
    assert!(sim.groups.lock().unwrap().iter().all(|(leader, _)| *leader != 2), "{:?}", sim.groups);
    sim.agents.insert(2, Agent::new(registration(2, 2)));
    sim.run(BALANCE_INTERVAL_MS + 2000).await;
    // all prefer broker 1
    assert!(sim.groups.lock().unwrap().iter().all(|(leader, _)| *leader == 1), "{:?}", sim.groups);
    assert_eq!(sim.leaders(), *sim.groups.lock().unwrap());
}
