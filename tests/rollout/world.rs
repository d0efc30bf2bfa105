//! A world that a rollout can act on: hosts with a real state, balancers that refuse, forget and cannot be
//! reached. It knows nothing of the machine.

use crate::cluster::{Cluster, NAMES, Set, bit, has, place};
use apim_deploy::rollout::{Action, Drain, How, Observation, Rotation, Seen, Sight, Work};
use std::time::Duration;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct World {
    pub now: Duration,
    pub healthy: Set,
    /// Machines that are gone: nothing on them ever works again.
    pub dead: Set,
    /// Hosts whose service is stopped for the moment.
    pub stopped: Set,
    pub new: Set,
    pub balancers: Vec<Balancer>,
    pub pending: Vec<Pending>,
    pub is_stopped: bool,
    /// The truth when the latest look was taken.
    pub taken: Truth,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Balancer {
    pub ours: Set,
    pub foreign: Set,
    pub is_reachable: bool,
}

/// Something that was asked of the driver and is not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Pending {
    Look,
    /// The look was taken, and is on its way.
    Picture,
    Work(Work, u8),
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Truth {
    pub at: Duration,
    pub healthy: Set,
    pub everywhere: Set,
    pub somewhere: Set,
    /// In rotation on some balancer that could be read.
    pub seen_somewhere: Set,
    pub foreign: Set,
    pub ours: Set,
    pub is_blind: bool,
}

/// Beyond the longest time that a change may take, with what a canary bakes.
const LATE: Duration = Duration::from_secs(631);

/// How something goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// As the world lets it.
    Plain,
    Fails,
    /// Fails before anything was stopped.
    Untouched,
    /// Well, and too late.
    Late,
    /// All gates pass, and the host is bad all the same.
    Lies,
    /// All probes pass, and what is counted does not.
    Worse,
    /// The operator does not wait for it; only after a stop.
    Cut,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    Dies(u8),
    Hiccups(u8),
    Recovers(u8),
    BalancerGone(u8),
    BalancerBack(u8),
    Forgets(u8),
    ForeignDrain(u8),
    ForeignGone(u8),
    Worse,
    Stop,
}

impl World {
    pub fn new(cluster: &Cluster) -> Self {
        let balancer = Balancer {
            ours: cluster.ours,
            foreign: cluster.foreign,
            is_reachable: true,
        };
        Self {
            now: Duration::ZERO,
            healthy: cluster.installed & !cluster.sick,
            dead: cluster.unreachable & cluster.sick,
            stopped: 0,
            new: cluster.all & !cluster.change & !cluster.unreachable,
            balancers: vec![balancer; cluster.balancers as usize],
            pending: Vec::with_capacity(8),
            is_stopped: false,
            taken: Truth::default(),
        }
    }

    pub fn truth(&self, all: Set) -> Truth {
        let mut truth = Truth {
            at: self.now,
            healthy: self.healthy & !self.stopped,
            everywhere: all,
            ..Truth::default()
        };
        for balancer in &self.balancers {
            let out = balancer.ours | balancer.foreign;
            truth.everywhere &= !out;
            truth.somewhere |= all & !out;
            if balancer.is_reachable {
                truth.seen_somewhere |= all & !out;
            } else {
                truth.is_blind = true;
            }
            truth.foreign |= balancer.foreign;
            truth.ours |= balancer.ours;
        }
        truth
    }

    /// Takes on what was asked; a service is down from the moment it is asked for.
    pub fn take_on(&mut self, actions: &[Action]) {
        for action in actions {
            match action {
                Action::Observe { .. } => self.pending.push(Pending::Look),
                Action::Converge { hosts } => self.each(Work::Converge, hosts),
                Action::TakeOut { hosts } => self.each(Work::TakeOut, hosts),
                Action::Change { host, .. } => {
                    self.stopped |= bit(place(host));
                    self.one(Work::Change, host);
                }
                Action::PutBack { host } => self.one(Work::PutBack, host),
                Action::Soak { host, .. } => self.one(Work::Soak, host),
                Action::Restore { host, .. } => {
                    self.stopped |= bit(place(host));
                    self.one(Work::Restore, host);
                }
                Action::Finish(_) => {}
            }
        }
    }

    fn each(&mut self, work: Work, hosts: &[String]) {
        for host in hosts {
            self.one(work, host);
        }
    }

    fn one(&mut self, work: Work, host: &str) {
        self.pending.push(Pending::Work(work, place(host)));
    }

    /// Lets something pending happen. A look takes two turns: one until it is taken, one until it arrives.
    pub fn answer(&mut self, cluster: &Cluster, at: usize, way: Way) -> Option<Observation> {
        match self.pending[at] {
            Pending::Look => {
                self.taken = self.truth(cluster.all);
                self.pending[at] = Pending::Picture;
                None
            }
            Pending::Picture => {
                self.pending.remove(at);
                if way == Way::Late {
                    self.now += Duration::from_secs(11);
                }
                Some(Observation::Seen(self.picture(cluster)))
            }
            Pending::Work(work, host) => {
                self.pending.remove(at);
                let how = self.work(cluster, work, host, way);
                Some(Observation::Ended {
                    host: NAMES[host as usize].to_owned(),
                    work,
                    how,
                })
            }
        }
    }

    fn picture(&self, cluster: &Cluster) -> Seen {
        let truth = &self.taken;
        let mut sights = Vec::with_capacity(cluster.size as usize);
        for host in 0..cluster.size {
            sights.push(Sight {
                host: NAMES[host as usize].to_owned(),
                healthy: has(truth.healthy, host),
                rotation: if has(truth.everywhere, host) {
                    Rotation::Everywhere
                } else if has(truth.seen_somewhere, host) {
                    Rotation::Somewhere
                } else {
                    Rotation::Nowhere
                },
                drain: if has(truth.foreign, host) {
                    Drain::Foreign {
                        by: "ops".to_owned(),
                    }
                } else if has(truth.ours, host) {
                    Drain::Ours
                } else {
                    Drain::Nobody
                },
            });
        }
        let mut unread = Vec::new();
        if truth.is_blind {
            unread.push("lb".to_owned());
        }
        Seen {
            taken: truth.at,
            sights,
            unread,
        }
    }

    fn work(&mut self, cluster: &Cluster, work: Work, host: u8, way: Way) -> How {
        let me = bit(host);
        match work {
            Work::Converge => ok(way == Way::Plain, "a step failed"),
            Work::TakeOut => self.drain(me, way),
            Work::Change => self.change(cluster, me, way),
            Work::PutBack => self.put_back(me, way),
            Work::Soak if way == Way::Worse => How::Worse {
                why: "twice as slow".to_owned(),
            },
            Work::Soak if way == Way::Cut && self.is_stopped => How::Cut,
            Work::Soak => {
                if way == Way::Lies {
                    self.healthy &= !me;
                }
                let is_bad = matches!(way, Way::Fails | Way::Lies);
                ok(!is_bad && self.healthy & me != 0, "a probe failed")
            }
            Work::Restore => self.restore(me, way),
        }
    }

    fn drain(&mut self, me: Set, way: Way) -> How {
        let mut all = true;
        let last = self.balancers.len() - 1;
        for (at, balancer) in self.balancers.iter_mut().enumerate() {
            // A refusal comes from the last one, so that others may be drained already.
            let refuses = way != Way::Plain && at == last;
            if balancer.is_reachable && !refuses {
                balancer.ours |= me;
            } else {
                all = false;
            }
        }
        ok(all && way == Way::Plain, "a balancer refused")
    }

    fn change(&mut self, cluster: &Cluster, me: Set, way: Way) -> How {
        self.stopped &= !me;
        if way == Way::Untouched {
            return How::Untouched {
                why: "a file could not be staged".to_owned(),
            };
        }
        self.new |= me;
        self.healthy &= !me;
        let starts = self.dead & me == 0 && way != Way::Fails;
        let is_good = cluster.spoiled & me == 0 && way != Way::Lies;
        if starts && is_good {
            self.healthy |= me;
        }
        if way == Way::Late {
            self.now += LATE;
        }
        match way {
            Way::Worse => {
                return How::Worse {
                    why: "it fails while it bakes".to_owned(),
                };
            }
            Way::Cut if self.is_stopped && starts => return How::Cut,
            _ => {}
        }
        // Half of the spoiled hosts show it at their gates, the others when they soak.
        let shows = cluster.spoiled & me & 0x5555_5555 != 0;
        ok(starts && !shows, "its gates do not pass")
    }

    fn put_back(&mut self, me: Set, way: Way) -> How {
        let (mut all, mut held) = (way == Way::Plain, false);
        for balancer in &mut self.balancers {
            if balancer.is_reachable && way == Way::Plain {
                balancer.ours &= !me;
            } else {
                all = false;
            }
            held |= balancer.foreign & me != 0;
        }
        if all && held {
            let by = "ops".to_owned();
            return How::Held { by };
        }
        ok(all, "a balancer does not answer")
    }

    fn restore(&mut self, me: Set, way: Way) -> How {
        self.stopped &= !me;
        self.new &= !me;
        let works = self.dead & me == 0 && way != Way::Fails;
        if works {
            self.healthy |= me;
        } else {
            self.healthy &= !me;
        }
        if way == Way::Late {
            self.now += LATE;
        }
        ok(works, "the old state does not start either")
    }

    /// What happens by itself; some of it reaches the machine at once.
    pub fn suffer(&mut self, fault: Fault) -> Option<Observation> {
        match fault {
            Fault::Dies(host) => {
                self.healthy &= !bit(host);
                self.dead |= bit(host);
            }
            Fault::Hiccups(host) => self.healthy &= !bit(host),
            Fault::Recovers(host) => self.healthy |= bit(host) & !self.dead,
            Fault::BalancerGone(at) => self.balancers[at as usize].is_reachable = false,
            Fault::BalancerBack(at) => self.balancers[at as usize].is_reachable = true,
            Fault::Forgets(at) => self.balancers[at as usize].ours = 0,
            Fault::ForeignDrain(host) => self.balancers[0].foreign |= bit(host),
            Fault::ForeignGone(host) => self.balancers[0].foreign &= !bit(host),
            Fault::Worse => {
                return Some(Observation::Worse {
                    why: "twice as many errors".to_owned(),
                });
            }
            Fault::Stop => {
                self.is_stopped = true;
                return Some(Observation::Stop);
            }
        }
        None
    }
}

fn ok(is_ok: bool, why: &str) -> How {
    if is_ok {
        How::Well
    } else {
        How::Failed {
            why: why.to_owned(),
        }
    }
}
