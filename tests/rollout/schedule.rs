//! One random schedule: a cluster, a world with faults, a rollout, and the rules held against it at every step.

use crate::cluster::Cluster;
use crate::dice::Dice;
use crate::rules::Rules;
use crate::world::{Fault, Pending, Way, World};
use apim_deploy::rollout::{Observation, Rollout, Verdict, Work};
use std::fmt::Write;
use std::time::Duration;

/// What a schedule came to.
pub struct Told {
    pub steps: u32,
    pub verdict: Verdict,
}

/// How often things go wrong, in 256: nowhere, here and there, everywhere.
const MOODS: [(u32, u32); 8] = [
    (0, 0),
    (6, 3),
    (6, 3),
    (24, 6),
    (24, 6),
    (24, 6),
    (64, 24),
    (64, 24),
];

struct Schedule {
    dice: Dice,
    cluster: Cluster,
    world: World,
    rules: Rules,
    /// In 256: that an answer is bad, that something happens by itself.
    mood: (u32, u32),
    trace: Option<String>,
}

/// Runs the schedule of a seed. With `trace` it tells every step.
pub fn run(seed: u64, trace: bool) -> Result<(Told, String), (String, String)> {
    let mut dice = Dice::new(seed);
    let mood = MOODS[dice.roll(8) as usize];
    let cluster = Cluster::random(&mut dice);
    let mut schedule = Schedule {
        world: World::new(&cluster),
        rules: Rules::new(&cluster),
        trace: trace.then(|| format!("{cluster:#?}\n")),
        dice,
        cluster,
        mood,
    };
    let told = schedule.play();
    let trace = schedule.trace.unwrap_or_default();
    match told {
        Ok(told) => Ok((told, trace)),
        Err(broken) => Err((broken, trace)),
    }
}

impl Schedule {
    fn play(&mut self) -> Result<Told, String> {
        let cluster = &self.cluster;
        let (mut rollout, mut actions) =
            Rollout::begin(cluster.policy.clone(), cluster.found(), cluster.ledger());
        let mut by_look = false;
        let limit = 300 + 120 * u32::from(cluster.size);
        for steps in 0..limit {
            if let Some(trace) = &mut self.trace {
                for action in &actions {
                    _ = writeln!(trace, "{:>8}  asks  {action:?}", "");
                }
            }
            self.rules
                .asked(&self.cluster, &self.world, by_look, &actions)?;
            if self.rules.finish {
                let Some(apim_deploy::rollout::Action::Finish(ending)) = actions.pop() else {
                    return Err("finished without an ending".to_owned());
                };
                return Ok(Told {
                    steps,
                    verdict: ending.verdict,
                });
            }
            self.world.take_on(&actions);
            if self.world.pending.is_empty() {
                return Err("nothing is asked, and it is not finished".to_owned());
            }
            let next = self.next_observation();
            self.rules.told(&self.cluster, &self.world, &next);
            if let Some(trace) = &mut self.trace {
                _ = writeln!(trace, "{:>8?}  heard {next:?}", self.world.now);
            }
            by_look = matches!(next, Observation::Seen(_));
            actions = rollout.hear(self.world.now, next);
        }
        Err(format!("not finished after {limit} steps"))
    }

    fn next_observation(&mut self) -> Observation {
        loop {
            self.world.now += Duration::from_millis(u64::from(self.dice.roll(500)));
            if self.dice.roll(256) < self.mood.1 {
                let fault = self.fault();
                if let Some(trace) = &mut self.trace {
                    _ = writeln!(trace, "{:>8?}  fault {fault:?}", self.world.now);
                }
                self.rules.suffer(fault);
                if let Some(told) = self.world.suffer(fault) {
                    return told;
                }
            }
            let at = self.dice.roll(self.world.pending.len() as u32) as usize;
            let way = self.way(self.world.pending[at]);
            if let Some(told) = self.world.answer(&self.cluster, at, way) {
                return told;
            }
        }
    }

    fn way(&mut self, pending: Pending) -> Way {
        if self.dice.roll(256) >= self.mood.0 {
            return Way::Plain;
        }
        let ways: &[Way] = ways(pending);
        let way = ways[self.dice.roll(ways.len() as u32) as usize];
        self.rules.went(way, pending);
        way
    }

    fn fault(&mut self) -> Fault {
        let host = self.dice.roll(u32::from(self.cluster.size)) as u8;
        let balancer = self.dice.roll(u32::from(self.cluster.balancers)) as u8;
        match self.dice.roll(16) {
            0 | 1 => Fault::Dies(host),
            2 | 3 => Fault::Hiccups(host),
            4 | 5 => Fault::Recovers(host),
            6 => Fault::BalancerGone(balancer),
            7..=9 => Fault::BalancerBack(balancer),
            10 | 11 => Fault::Forgets(balancer),
            12 => Fault::ForeignDrain(host),
            13 => Fault::ForeignGone(host),
            14 => Fault::Worse,
            _ => Fault::Stop,
        }
    }
}

/// How something may go wrong.
pub fn ways(pending: Pending) -> &'static [Way] {
    match pending {
        Pending::Look => &[Way::Plain],
        Pending::Picture => &[Way::Late],
        Pending::Work(Work::Change, _) => &[
            Way::Fails,
            Way::Untouched,
            Way::Late,
            Way::Lies,
            Way::Worse,
            Way::Cut,
        ],
        Pending::Work(Work::Soak, _) => &[Way::Fails, Way::Lies, Way::Worse, Way::Cut],
        Pending::Work(Work::Restore, _) => &[Way::Fails, Way::Late],
        Pending::Work(..) => &[Way::Fails],
    }
}
