//! This broker's talk with the controller: registers, sends heartbeats, reports what it leads, says goodbye. Not here: what to say
//! (`controller::Agent`).

use std::{sync::Arc, time::Duration};

use tokio::{sync::watch, time::Instant};

use super::{kind::Kind, links::Links};
use crate::{
    controller::{Agent, Answer, Controller, Leadership, Refused, Registration, Request, Step, View},
    partition::Partitions,
    transport::Lane,
};

/// Which replicas are in sync changes without an event.
const LOOK_EVERY_MS: i64 = 1000;
/// How often somebody who looks at the log is told that no controller answers.
const TELL_EVERY: Duration = Duration::from_secs(10);
/// What to do then.
pub(super) const NO_MAJORITY: &str =
    "start more than half of the metadata's voters; if their disks are lost: `tidemark cluster recover`";
/// How long others get to take over before this broker stops all the same.
const GOODBYE_WITHIN: Duration = Duration::from_secs(5);

/// The talk.
#[derive(Debug)]
pub(in crate::node) struct Member {
    pub links: Links,
    pub partitions: Arc<Partitions>,
    pub controller: Arc<Controller>,
    pub registration: Registration,
    pub stop: watch::Receiver<bool>,
    /// Set once this broker may stop.
    pub stopped: watch::Sender<bool>,
}

impl Member {
    /// Talks until the broker may stop.
    pub async fn run(mut self) {
        let mut agent = Agent::new(self.registration.clone());
        let started = Instant::now();
        let now_ms = || i64::try_from(started.elapsed().as_millis()).unwrap_or(i64::MAX);
        let mut goodbye: Option<Instant> = None;
        let mut replaced_ms = i64::MIN;
        let mut heard = Instant::now();
        loop {
            if *self.stop.borrow() && goodbye.is_none() {
                goodbye = Some(Instant::now() + GOODBYE_WITHIN);
                agent.stop();
            }
            if goodbye.is_some_and(|deadline| agent.may_stop() || Instant::now() > deadline) {
                self.stopped.send_replace(true);
                return;
            }
            let led = self.led();
            let (image, metadata_offset) = (self.controller.image(), self.controller.image_handle().applied());
            let view = View { now_ms: now_ms(), image: &image, metadata_offset, led: &led };
            match agent.next(&view) {
                Step::Send(request) => {
                    let answer = self.ask(&request).await;
                    let decides = !matches!(answer, None | Some(Answer::Refused(Refused::NotController { .. })));
                    if decides || heard.elapsed() > TELL_EVERY {
                        if !decides {
                            tracing::warn!(next_step = NO_MAJORITY, "no controller answers: nothing can be decided");
                        }
                        heard = Instant::now();
                    }
                    agent.answered(&request, answer, now_ms());
                    if let Some(why) = agent.refused() {
                        tracing::error!(?why, "the controller does not take this broker in");
                    }
                }
                Step::WaitUntil(until_ms) => {
                    if now_ms().saturating_sub(replaced_ms) > LOOK_EVERY_MS {
                        replaced_ms = now_ms();
                        self.replace().await;
                    }
                    self.wait(until_ms.saturating_sub(now_ms()).min(LOOK_EVERY_MS)).await;
                }
            }
        }
    }

    async fn wait(&mut self, ms: i64) {
        let wait = Duration::from_millis(u64::try_from(ms).unwrap_or(0));
        let mut image = self.controller.image_handle().follow();
        let stopping = *self.stop.borrow();
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = self.partitions.role_changed() => {}
            _ = image.changed() => {}
            _ = self.stop.changed(), if !stopping => {}
        }
    }

    fn led(&self) -> Vec<Leadership> {
        let led = self.partitions.leaderships().into_iter();
        led.map(|led| Leadership {
            topic_id: led.topic_id,
            partition: led.partition,
            leader_epoch: led.leader_epoch,
            isr: led.in_sync,
            voters: led.voters,
        })
        .collect()
    }

    async fn ask(&self, request: &Request) -> Option<Answer> {
        let controller = self.controller.active_controller()?;
        let answer = self.links.call(controller, Lane::Bulk, Kind::Controller, request.encode().into()).await;
        match answer {
            Ok(answer) => Answer::decode(&answer).ok(),
            Err(error) => {
                tracing::debug!(controller, %error, "the controller does not answer");
                None
            }
        }
    }

    /// Asks for new members in the place of those that are damaged here.
    async fn replace(&self) {
        for (topic_id, partition, node) in self.partitions.to_be_replaced() {
            tracing::warn!(%topic_id, partition, %node, "replica is damaged: asking for a new one in its place");
            let _ = self.ask(&Request::ReplaceReplica { topic_id, partition, replica: node.into() }).await;
        }
    }
}
