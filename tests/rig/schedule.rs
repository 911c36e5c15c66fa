//! Which fault comes when: a plan that a seed decides, and the loop that follows it. Who can do the faults is a story's
//! affair (`Faults`): the plan knows no brokers, only numbers to choose them by.

use std::{
    fmt,
    time::{Duration, Instant},
};

use super::{random::Random, recorder::Recorder};
use crate::checker::State;

/// What may be done to a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// kill -9 of a partition's leader.
    LeaderKill,
    /// kill -9 of one that leads nothing of a partition.
    FollowerKill,
    /// kill -9 of the controller.
    ControllerKill,
    /// kill -9 of all, started again in any order.
    AllKill,
    /// SIGSTOP, then SIGCONT.
    Stop,
    /// No bytes between one broker and the others.
    Cut,
    /// No bytes from one broker to another.
    CutOneWay,
    /// kill -9, and its data are gone.
    Wipe,
    /// Syncs take long.
    SlowDisk,
    /// No space is left.
    FullDisk,
    /// The wall clock of one broker jumps.
    ClockJump,
    /// A broker is added, drained or removed.
    Membership,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::LeaderKill,
        Self::FollowerKill,
        Self::ControllerKill,
        Self::AllKill,
        Self::Stop,
        Self::Cut,
        Self::CutOneWay,
        Self::Wipe,
        Self::SlowDisk,
        Self::FullDisk,
        Self::ClockJump,
        Self::Membership,
    ];

    /// As histories say it.
    pub fn name(self) -> &'static str {
        match self {
            Self::LeaderKill => "leader kill",
            Self::FollowerKill => "follower kill",
            Self::ControllerKill => "controller kill",
            Self::AllKill => "kill of all",
            Self::Stop => "stop",
            Self::Cut => "cut",
            Self::CutOneWay => "one-way cut",
            Self::Wipe => "wipe",
            Self::SlowDisk => "slow disk",
            Self::FullDisk => "full disk",
            Self::ClockJump => "clock jump",
            Self::Membership => "membership change",
        }
    }

    /// How long it lasts, in milliseconds: shortest and longest.
    fn lasts_ms(self) -> (u64, u64) {
        match self {
            Self::LeaderKill | Self::FollowerKill | Self::ControllerKill | Self::AllKill => (0, 3_000),
            Self::Stop => (1_000, 20_000),
            Self::Wipe => (0, 1_000),
            Self::Cut | Self::CutOneWay | Self::SlowDisk | Self::FullDisk => (1_000, 15_000),
            Self::ClockJump | Self::Membership => (1_000, 5_000),
        }
    }
}

/// One fault of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// From the plan's start.
    pub at_ms: u64,
    /// What.
    pub fault: Fault,
    /// From its begin to its end.
    pub lasts_ms: u64,
    /// Chooses who: modulo the number of candidates.
    pub pick: u64,
}

impl Step {
    /// One of some candidates; None if there are none.
    pub fn pick<T: Copy>(&self, candidates: &[T]) -> Option<T> {
        candidates.get((self.pick % candidates.len().max(1) as u64) as usize).copied()
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (at, lasts) = (self.at_ms as f64 / 1e3, self.lasts_ms as f64 / 1e3);
        write!(f, "{at:8.3} s  {} for {lasts:.3} s, pick {:#x}", self.fault.name(), self.pick)
    }
}

/// How often faults come and how long they may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Of the whole plan; the last fault ends before it.
    pub total_ms: u64,
    /// Quiet time before each fault: shortest and longest.
    pub calm_ms: (u64, u64),
    /// No fault lasts longer.
    pub lasts_ms_max: u64,
}

/// A plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// What decided it.
    pub seed: u64,
    /// How it was drawn.
    pub pace: Pace,
    /// In the order of their begin; none overlaps another.
    pub steps: Vec<Step>,
}

impl Schedule {
    /// Draws a plan; a fault comes as often as its weight in the mix says.
    pub fn draw(seed: u64, pace: Pace, mix: &[(Fault, u64)]) -> Self {
        let mut random = Random::new(seed);
        let weights: u64 = mix.iter().map(|(_, weight)| weight).sum();
        let (mut steps, mut now_ms) = (Vec::new(), 0);
        loop {
            let at_ms = now_ms + random.between(pace.calm_ms.0, pace.calm_ms.1);
            // of an empty mix none is found
            let mut ticket = random.below(weights);
            let drawn = mix.iter().find(|(_, weight)| {
                let found = ticket < *weight;
                ticket = ticket.saturating_sub(*weight);
                found
            });
            let Some((fault, _)) = drawn else { break };
            let (shortest, longest) = fault.lasts_ms();
            let longest = longest.min(pace.lasts_ms_max);
            let lasts_ms = random.between(shortest.min(longest), longest);
            let pick = random.draw();
            // time must pass, whatever the pace says
            now_ms = at_ms + lasts_ms.max(1);
            if now_ms > pace.total_ms {
                break;
            }
            steps.push(Step { at_ms, fault: *fault, lasts_ms, pick });
        }
        Self { seed, pace, steps }
    }
}

/// Enough to tell a run again.
impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Pace { total_ms, calm_ms, lasts_ms_max } = self.pace;
        writeln!(
            f,
            "seed {}: {} faults in {total_ms} ms, {} to {} ms apart, up to {lasts_ms_max} ms long",
            self.seed,
            self.steps.len(),
            calm_ms.0,
            calm_ms.1
        )?;
        self.steps.iter().try_for_each(|step| writeln!(f, "{step}"))
    }
}

/// Who can do faults to a cluster.
pub trait Faults {
    /// Says exactly what it would do; None if it cannot.
    fn describe(&mut self, step: &Step) -> Option<String>;

    /// Does it.
    fn begin(&mut self, step: &Step);

    /// Undoes it.
    fn end(&mut self, step: &Step);
}

/// Follows a plan, writes down when faults begin and end, and gives how many were done. A fault whose end takes long, such as
/// a restart, moves all behind it: each has its quiet time before it.
pub fn run(schedule: &Schedule, faults: &mut impl Faults, recorder: &Recorder) -> usize {
    let mut began = Instant::now();
    let wait_until = |began: Instant, at_ms: u64| {
        let at = Duration::from_millis(at_ms);
        std::thread::sleep(at.saturating_sub(began.elapsed()));
    };
    let mut done = 0;
    for step in &schedule.steps {
        wait_until(began, step.at_ms);
        let Some(detail) = faults.describe(step) else { continue };
        // the line comes first: what happens meanwhile is the fault's
        recorder.fault(step.fault.name(), State::Begin, &detail);
        let begun = Instant::now();
        faults.begin(step);
        done += 1;
        wait_until(begun, step.lasts_ms);
        faults.end(step);
        recorder.fault(step.fault.name(), State::End, &detail);
        let planned = Duration::from_millis(step.at_ms + step.lasts_ms);
        began += began.elapsed().saturating_sub(planned);
    }
    wait_until(began, schedule.pace.total_ms);
    done
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    const PACE: Pace = Pace { total_ms: 600_000, calm_ms: (1_000, 3_000), lasts_ms_max: 20_000 };

    fn everything() -> Vec<(Fault, u64)> {
        Fault::ALL.into_iter().map(|fault| (fault, 1)).collect()
    }

    #[test]
    fn a_seed_is_a_plan() {
        let plan = Schedule::draw(7, PACE, &everything());
        assert_eq!(plan, Schedule::draw(7, PACE, &everything()));
        assert_eq!(plan.to_string(), Schedule::draw(7, PACE, &everything()).to_string());
        assert_ne!(plan.steps, Schedule::draw(8, PACE, &everything()).steps);
        assert!(plan.to_string().starts_with("seed 7: "), "{plan}");
        assert_eq!(plan.to_string().lines().count(), plan.steps.len() + 1);
    }

    #[test]
    fn faults_keep_to_the_pace_and_do_not_overlap() {
        for seed in 0..50 {
            let plan = Schedule::draw(seed, PACE, &everything());
            assert!(plan.steps.len() > 20, "{plan}");
            let mut end_ms = 0;
            for step in &plan.steps {
                assert!((1_000..=3_001).contains(&(step.at_ms - end_ms)), "{plan}");
                let (shortest, longest) = step.fault.lasts_ms();
                assert!((shortest..=longest).contains(&step.lasts_ms), "{plan}");
                end_ms = step.at_ms + step.lasts_ms;
            }
            assert!(end_ms <= PACE.total_ms);
        }
    }

    #[test]
    fn every_fault_of_the_mix_comes_and_no_other() {
        let mix = [(Fault::LeaderKill, 3), (Fault::Stop, 1), (Fault::Wipe, 0)];
        let steps: Vec<_> = (0..20).flat_map(|seed| Schedule::draw(seed, PACE, &mix).steps).collect();
        let of = |fault: Fault| steps.iter().filter(|step| step.fault == fault).count();
        assert_eq!(of(Fault::LeaderKill) + of(Fault::Stop), steps.len());
        assert!(of(Fault::LeaderKill) > of(Fault::Stop) && of(Fault::Stop) > 0);
        let all: HashSet<_> =
            (0..20).flat_map(|seed| Schedule::draw(seed, PACE, &everything()).steps).map(|step| step.fault).collect();
        assert_eq!(all.len(), Fault::ALL.len());
        assert!(Schedule::draw(1, PACE, &[]).steps.is_empty());
    }

    #[test]
    fn a_pick_is_one_of_the_candidates() {
        let step = Step { at_ms: 0, fault: Fault::Stop, lasts_ms: 0, pick: u64::MAX };
        assert!([1, 2, 3].contains(&step.pick(&[1, 2, 3]).unwrap()));
        assert_eq!(step.pick::<u8>(&[]), None);
    }
}
