//! The rules of a rollout, held against everything that the machine asks for. Written from the rules, the
//! world's truth and what was answered; the machine's state is never looked at.

use crate::cluster::{Cluster, NAMES, Set, bit, has, place};
use crate::world::{Fault, Pending, Truth, Way, World};
use apim_deploy::rollout::{Action, How, Observation, OnFailure, Work};
use std::time::Duration;

mod ending;
mod service;

/// What the rules remember of a schedule.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Rules {
    /// Asked to be taken out, or stopped, and not back.
    away: Set,
    /// Asked to be taken out by this rollout, and no put-back went well since.
    out: Set,
    /// Somebody missed it when it was taken out.
    missed: Set,
    begun: Set,
    canary: Set,
    changed: Set,
    restored: Set,
    /// Proved bad, and not restored since.
    bad: Set,
    /// Got the new state and soaked with it.
    finished: Vec<u8>,
    failed: Set,
    /// Failed or fell for reasons that only a look tells.
    may_have_failed: Set,
    refused_put_backs: [u8; 30],
    soaks: [u8; 30],
    converged: Set,
    is_looking: bool,
    looked: bool,
    batches: u8,
    must_stop: bool,
    interrupted: bool,
    /// Not everything went as it should; the rollout may pause for that.
    disturbed: bool,
    /// A canary failed.
    canary_failed: bool,
    ever_served: Set,
    /// When its change, or its way back, was asked for, in milliseconds.
    since: [u32; 30],
    pub finish: bool,
}

pub type Broken = Result<(), String>;

macro_rules! hold {
    ($holds:expr, $($text:tt)*) => {
        if !$holds {
            return Err(format!($($text)*));
        }
    };
}
use hold;

impl Rules {
    pub fn new(cluster: &Cluster) -> Self {
        Self {
            failed: cluster.unreachable,
            disturbed: !cluster.is_sound(),
            ..Self::default()
        }
    }

    /// A host that nobody touched served before, and does not now: no time to take others away.
    fn nobody_fell(&self, cluster: &Cluster, truth: &Truth) -> Broken {
        let touched = self.away | self.bad | truth.foreign | self.failed;
        let fallen = self.ever_served & !(truth.healthy & truth.everywhere) & !touched;
        let goes_on = cluster.policy.on_failure == OnFailure::Continue;
        hold!(
            fallen == 0 || goes_on,
            "begun while {fallen:b} fell by themselves"
        );
        Ok(())
    }

    /// Something goes on that nobody asked for.
    pub fn suffer(&mut self, fault: Fault) {
        self.disturbed = true;
        match fault {
            Fault::Dies(host) | Fault::Hiccups(host) => self.may_have_failed |= bit(host),
            // A drain that is forgotten too often fails, and so does one that cannot be told from it.
            Fault::Forgets(_) => self.may_have_failed |= self.begun,
            _ => {}
        }
    }

    /// An answer is made to be a bad one.
    pub fn went(&mut self, way: Way, pending: Pending) {
        if let (Way::Lies, Pending::Work(_, host)) = (way, pending) {
            self.may_have_failed |= bit(host);
        }
        if way == Way::Late {
            self.disturbed |= pending == Pending::Picture;
        }
    }

    /// Before the machine hears it.
    pub fn told(&mut self, cluster: &Cluster, world: &World, told: &Observation) {
        match told {
            Observation::Seen(_) => {
                self.is_looking = false;
                self.looked = true;
                let truth = &world.taken;
                if !truth.is_blind && is_fresh(world) {
                    self.ever_served |= truth.healthy & truth.everywhere;
                }
            }
            Observation::Ended { host, work, how } => {
                self.ended(cluster, world, place(host), *work, how);
            }
            Observation::Worse { .. } => self.must_stop = true,
            Observation::Stop => {
                self.must_stop = true;
                self.interrupted = true;
            }
        }
    }

    fn ended(&mut self, cluster: &Cluster, world: &World, host: u8, work: Work, how: &How) {
        let me = bit(host);
        let went_well = *how == How::Well;
        let late = millis(world) - self.since[host as usize] > 600_000;
        match work {
            Work::Converge if !went_well => self.failed |= me,
            Work::TakeOut if !went_well && self.changed & me == 0 => self.fail(me),
            Work::Change => {
                let untouched = matches!(how, How::Untouched { .. });
                // The operator did not want to see the end of its bake.
                let is_good = went_well || *how == How::Cut;
                if untouched || !is_good || late {
                    self.fail(me);
                }
                if !untouched && (!is_good || late) {
                    self.bad |= me;
                }
            }
            Work::PutBack => match how {
                How::Well | How::Held { .. } => {
                    self.away &= !me;
                    self.out &= !me;
                    self.refused_put_backs[host as usize] = 0;
                    // Given back before anything was done: it may be begun once more.
                    if (self.changed | self.failed | self.may_have_failed) & me == 0 {
                        self.begun &= !me;
                        self.canary &= !me;
                    }
                    if matches!(how, How::Held { .. }) {
                        self.finish_if_new(cluster, world, host);
                    }
                }
                _ => {
                    self.refused_put_backs[host as usize] += 1;
                    if self.refused_put_backs[host as usize] == 3 {
                        self.away &= !me;
                        self.failed |= me;
                        self.finish_if_new(cluster, world, host);
                    }
                }
            },
            Work::Soak if went_well || *how == How::Cut => self.finish_if_new(cluster, world, host),
            Work::Soak if matches!(how, How::Worse { .. }) || self.soaks[host as usize] > 3 => {
                self.fail(me);
                self.bad |= me;
            }
            Work::Restore => {
                self.finished.retain(|h| *h != host);
                if went_well && !late {
                    self.bad &= !me;
                } else {
                    self.failed |= me;
                    self.bad |= me;
                }
            }
            _ => {}
        }
    }

    fn finish_if_new(&mut self, cluster: &Cluster, world: &World, host: u8) {
        let me = bit(host);
        let is_new = world.new & self.changed & !self.restored & me != 0;
        let is_ours = cluster.change & me != 0;
        if is_new && is_ours && self.bad & me == 0 && !self.finished.contains(&host) {
            self.finished.push(host);
        }
    }

    fn fail(&mut self, me: Set) {
        self.failed |= me;
        self.canary_failed |= self.canary & me != 0;
    }

    /// Holds the rules against what the machine asks for; `by_look` is whether a look just arrived.
    pub fn asked(
        &mut self,
        cluster: &Cluster,
        world: &World,
        by_look: bool,
        actions: &[Action],
    ) -> Broken {
        let fresh = by_look && is_fresh(world);
        for action in actions {
            match action {
                Action::Observe { .. } => {
                    hold!(!self.is_looking, "two looks at once");
                    self.is_looking = true;
                }
                Action::Converge { hosts } => self.converge(cluster, hosts)?,
                Action::TakeOut { hosts } => {
                    hold!(fresh, "taken out without a fresh look: {hosts:?}");
                    hold!(!world.taken.is_blind, "taken out half blind: {hosts:?}");
                    self.take_out(cluster, world, hosts)?;
                }
                Action::Change { host, .. } => {
                    hold!(fresh, "changed without a fresh look: {host}");
                    self.change(cluster, world, place(host))?;
                }
                Action::Restore { host, .. } => {
                    self.restore(cluster, world, by_look, place(host))?
                }
                Action::PutBack { host } => self.put_back(cluster, world, place(host))?,
                Action::Soak { host, .. } => self.soak(place(host))?,
                Action::Finish(ending) => {
                    self.finish = true;
                    hold!(
                        world.pending.is_empty(),
                        "finished with answers outstanding"
                    );
                    hold!(actions.len() == 1, "finished, and asked for more");
                    self.ending(cluster, world, ending)?;
                }
            }
        }
        Ok(())
    }

    fn converge(&mut self, cluster: &Cluster, hosts: &[String]) -> Broken {
        for host in hosts {
            let me = bit(place(host));
            let needs_it = me & (cluster.change | cluster.unreachable) == 0;
            hold!(needs_it && self.converged & me == 0, "converged: {host}");
            self.converged |= me;
        }
        Ok(())
    }

    fn take_out(&mut self, cluster: &Cluster, world: &World, hosts: &[String]) -> Broken {
        let truth = &world.taken;
        let mut batch = 0;
        for host in hosts {
            batch |= bit(place(host));
        }
        let mut fresh_ones = 0;
        for host in hosts {
            let at = place(host);
            let me = bit(at);
            let is_bad = self.bad & me != 0;
            let is_done = self.finished.contains(&at);
            let is_ours = self.out & me != 0;
            hold!(
                is_ours || truth.foreign & me == 0,
                "I4: {host} is drained by another"
            );
            if self.begun & me == 0 {
                hold!(!is_bad || self.converged & me != 0, "taken out: {host}");
                if self.converged & me == 0 {
                    fresh_ones |= me;
                }
            } else if self.changed & me == 0 || is_bad {
                // Once more: its drains were forgotten, or it is bad.
            } else {
                let goes_back = cluster.policy.on_failure == OnFailure::Rollback;
                let told_to = goes_back && self.failed | self.may_have_failed != 0;
                hold!(is_done && told_to, "a good host is taken out again: {host}");
                // Or else it fell, or its drains were forgotten.
                if !self.may_be_bad(truth, me) && !is_ours {
                    self.unwind(cluster, truth, at)?;
                }
            }
        }
        if fresh_ones != 0 {
            hold!(
                fresh_ones == batch,
                "a batch of begun and unbegun hosts: {hosts:?}"
            );
            self.begin(cluster, world, batch)?;
        }
        self.service(cluster, truth, batch)?;
        if fresh_ones != 0 {
            self.unavailable(cluster, truth, batch)?;
        }
        self.away |= batch;
        self.out |= batch;
        self.missed = (self.missed & !batch) | (batch & truth.healthy & truth.somewhere);
        Ok(())
    }

    /// Finished hosts go back newest first, and not after a stop.
    fn unwind(&self, cluster: &Cluster, truth: &Truth, host: u8) -> Broken {
        let name = NAMES[host as usize];
        hold!(!self.interrupted, "{name} is taken back after a stop");
        let may = cluster.installed & !truth.foreign & !self.may_have_failed;
        let stranded = |h: u8| self.refused_put_backs[h as usize] >= 3;
        let mut may_go = self.finished.iter().rev();
        let newest = may_go.find(|h| has(may, **h) && !stranded(**h));
        hold!(
            newest == Some(&host),
            "{name} goes back before newer ones: {:?}",
            self.finished
        );
        Ok(())
    }

    /// A host that was finished and fell.
    fn may_be_bad(&self, truth: &Truth, me: Set) -> bool {
        truth.healthy & truth.everywhere & me == 0 || self.may_have_failed & me != 0
    }

    fn change(&mut self, cluster: &Cluster, world: &World, host: u8) -> Broken {
        let (me, name, truth) = (bit(host), NAMES[host as usize], &world.taken);
        hold!(cluster.change & me != 0, "{name} is changed without need");
        hold!(self.changed & me == 0, "{name} is changed twice");
        hold!(truth.foreign & me == 0, "I4: {name} is drained by another");
        hold!(!self.must_stop, "{name} is stopped after a stop");
        self.nobody_fell(cluster, truth)?;
        hold!(!world.taken.is_blind, "{name} is stopped half blind");
        for pending in &world.pending {
            let drains = matches!(pending, Pending::Work(Work::TakeOut, _));
            hold!(!drains, "{name} is stopped before its whole batch is out");
        }
        if self.begun & me == 0 {
            // A first install: nobody may serve, neither it nor another.
            let helps = truth.healthy & truth.somewhere;
            hold!(
                cluster.installed & me == 0 && helps == 0,
                "{name} is changed while in rotation"
            );
            hold!(
                world.pending.len() < 30 && self.away & cluster.installed == 0,
                "an install beside a change"
            );
            self.budget(cluster)?;
            self.begun |= me;
        } else {
            hold!(
                truth.somewhere & me == 0,
                "{name} is changed while in rotation"
            );
            if self.missed & me != 0 {
                let left = self.serving(cluster, truth).count_ones();
                let need = cluster.must_serve();
                hold!(
                    left >= need,
                    "I1: {name} is stopped while {left} serve, {need} must"
                );
            }
        }
        self.changed |= me;
        self.away |= me;
        self.since[host as usize] = millis(world);
        Ok(())
    }

    fn restore(&mut self, cluster: &Cluster, world: &World, by_look: bool, host: u8) -> Broken {
        let (me, name) = (bit(host), NAMES[host as usize]);
        hold!(by_look, "{name} is restored without a look");
        hold!(
            self.changed & me != 0,
            "{name} is restored, and was never changed"
        );
        hold!(self.restored & me == 0, "{name} is restored twice");
        hold!(cluster.installed & me != 0, "{name} has no old state");
        let in_rotation = world.taken.seen_somewhere & me != 0;
        hold!(!in_rotation, "{name} is restored while in rotation");
        self.restored |= me;
        self.away |= me;
        self.since[host as usize] = millis(world);
        Ok(())
    }

    fn put_back(&mut self, cluster: &Cluster, world: &World, host: u8) -> Broken {
        let (me, name) = (bit(host), NAMES[host as usize]);
        hold!(self.bad & me == 0, "I10: {name} is bad, and put back");
        let took_out = self.begun & me != 0;
        let left = world.taken.ours & world.taken.healthy & me != 0;
        let from_earlier = left && cluster.change & me == 0;
        hold!(
            took_out || from_earlier,
            "{name} is put back, and was never taken out"
        );
        // It is watched as one whose steps were made.
        if from_earlier {
            self.converged |= me;
        }
        Ok(())
    }

    fn soak(&mut self, host: u8) -> Broken {
        self.soaks[host as usize] += 1;
        let (soaks, name) = (self.soaks[host as usize], NAMES[host as usize]);
        hold!(soaks <= 4, "{name} soaks for the {soaks}th time");
        hold!(self.away & bit(host) == 0, "{name} soaks before it is back");
        Ok(())
    }
}

fn is_fresh(world: &World) -> bool {
    world.now - world.taken.at <= Duration::from_secs(10)
}

fn millis(world: &World) -> u32 {
    world.now.as_millis() as u32
}
