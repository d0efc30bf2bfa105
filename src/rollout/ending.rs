//! How a rollout ended, for the whole and for each host.

use super::Rollout;
use super::halt::Halt;
use super::host::{Host, Stage};
use super::ledger::Ledger;
use serde::{Deserialize, Serialize};
use std::fmt;

#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Ending {
    pub verdict: Verdict,
    /// Every host of the tier, in its order.
    pub hosts: Vec<(String, Standing)>,
    /// For the next tier.
    pub ledger: Ledger,
    /// Whatever failed is within the budget: the next tier may begin.
    pub goes_on: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Verdict {
    /// Every host has the new state and serves (exit 0).
    Done,
    /// Part of the change is made, and what is not is as it was (exit 4).
    Paused { why: String },
    /// The old state serves (exit 7), once the driver has brought it back to the hosts of earlier
    /// tiers too: `earlier`, newest first.
    RolledBack { why: String, earlier: Vec<String> },
    /// Some host is neither what it was nor what it should be (exit 8).
    NeedsPerson { why: String },
    /// The operator stopped it; the rest is as after a pause (exit 130).
    Interrupted,
}

/// What became of a host.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Standing {
    /// It needed nothing that takes it away; its steps ran.
    Same,
    /// As `Same`, and it does not serve, which nobody asked of it.
    Ailing {
        why: String,
    },
    /// New state, soaked, in rotation.
    Done,
    /// New state, in rotation; nobody waited for the end of its soak.
    Unproven,
    /// Old state, in rotation: not begun, or put back before anything was done to it.
    Untouched {
        why: Option<String>,
    },
    /// Not begun, and still out as an earlier run left it.
    LeftOut,
    /// Old state again, in rotation.
    RolledBack {
        why: Option<String>,
    },
    /// Its steps failed while it went on serving.
    Failed {
        why: String,
    },
    /// It has no old state, and did not reach the new one.
    NotInstalled {
        why: String,
    },
    /// Broken: it stays out.
    Quarantined {
        why: String,
    },
    /// Proved bad, and could not be taken out.
    Failing {
        why: String,
    },
    /// It was done, then stopped serving.
    Sick {
        why: String,
    },
    /// Intact, and could not be put back.
    Stranded {
        why: String,
    },
    /// Somebody else keeps it out.
    Held {
        by: String,
        new: bool,
    },
    Unreachable,
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Same => f.write_str("nothing to take it away for"),
            Self::Ailing { why } => write!(f, "not touched, and does not serve: {why}"),
            Self::Done => f.write_str("changed and serving"),
            Self::Unproven => f.write_str("changed and serving; not watched to the end"),
            Self::Untouched { why: None } => f.write_str("not begun"),
            Self::Untouched { why: Some(why) } => write!(f, "as it was, and back: {why}"),
            Self::LeftOut => f.write_str("not begun, and still out as an earlier run left it"),
            Self::RolledBack { why: None } => f.write_str("old state again"),
            Self::RolledBack { why: Some(why) } => write!(f, "old state again: {why}"),
            Self::Failed { why } => write!(f, "failed, and never taken away: {why}"),
            Self::NotInstalled { why } => write!(f, "not installed: {why}"),
            Self::Quarantined { why } => write!(f, "quarantined, stays drained: {why}"),
            Self::Failing { why } => write!(f, "proved bad, and not taken out: {why}"),
            Self::Sick { why } => write!(f, "changed, then stopped serving: {why}"),
            Self::Stranded { why } => write!(f, "intact, and still drained: {why}"),
            Self::Held { by, new: true } => write!(f, "changed, and drained by {by}"),
            Self::Held { by, new: false } => write!(f, "old state, drained by {by}"),
            Self::Unreachable => f.write_str("unreachable"),
        }
    }
}

impl Standing {
    fn is_good(&self) -> bool {
        matches!(self, Self::Same | Self::Done)
    }

    fn needs_person(&self) -> bool {
        matches!(
            self,
            Self::Quarantined { .. }
                | Self::Failing { .. }
                | Self::Sick { .. }
                | Self::Stranded { .. }
        )
    }

    pub(super) fn is_new(&self) -> bool {
        matches!(
            self,
            Self::Done | Self::Unproven | Self::Sick { .. } | Self::Held { new: true, .. }
        )
    }
}

impl Rollout {
    pub(super) fn ending(&mut self) -> Ending {
        for host in self.hosts.iter_mut().filter(|h| h.is_waiting()) {
            let standing = match host.held_by() {
                Some(by) => Standing::Held {
                    by: by.to_owned(),
                    new: false,
                },
                None if host.is_drained_by_us() => Standing::LeftOut,
                None => Standing::Untouched {
                    why: host.why.clone(),
                },
            };
            host.settle(standing);
        }
        for host in &mut self.hosts {
            match &host.stage {
                Stage::Settled(Standing::Same) if host.is_seen_sick() => {
                    let why = host.trouble();
                    host.settle(Standing::Ailing { why });
                }
                // An earlier run changed it and did not come to its gates. Which state was before that, nobody knows.
                Stage::Settled(Standing::Failed { why }) if host.is_drained_by_us() => {
                    let why = format!("{why}; an earlier run changed it and came to no end");
                    host.settle(Standing::Quarantined { why });
                }
                _ => {}
            }
        }
        Ending {
            verdict: self.verdict(),
            hosts: self
                .standings()
                .map(|(h, s)| (h.name.clone(), s.clone()))
                .collect(),
            ledger: self.ledger.clone(),
            goes_on: self.halt.is_none() && !self.interrupted,
        }
    }

    fn standings(&self) -> impl Iterator<Item = (&Host, &Standing)> {
        self.hosts.iter().filter_map(|host| match &host.stage {
            Stage::Settled(standing) => Some((host, standing)),
            _ => None,
        })
    }

    fn verdict(&self) -> Verdict {
        let why = self.why();
        if self.standings().any(|(_, s)| s.needs_person()) || self.is_stuck() {
            return Verdict::NeedsPerson { why };
        }
        if self.halt.is_none() && self.standings().all(|(_, s)| s.is_good()) {
            return Verdict::Done;
        }
        if self.interrupted {
            return Verdict::Interrupted;
        }
        let went_back = self
            .standings()
            .any(|(_, s)| matches!(s, Standing::RolledBack { .. }));
        let nothing_new = self.ledger.finished.is_empty() && !self.holds_new();
        let takes_back = matches!(self.halt, Some(Halt::Rollback { .. }));
        let mut earlier = self.ledger.finished.clone();
        earlier.reverse();
        if takes_back && (went_back || !earlier.is_empty()) || went_back && nothing_new {
            return Verdict::RolledBack { why, earlier };
        }
        Verdict::Paused { why }
    }

    fn holds_new(&self) -> bool {
        self.standings().any(|(_, s)| s.is_new())
    }

    /// The way back was to be gone, and was not to its end.
    fn is_stuck(&self) -> bool {
        self.stuck.is_some() || (self.is_unwinding() && self.holds_new())
    }

    /// One sentence; what became of the hosts is told by their standings.
    fn why(&self) -> String {
        let halt = self.halt.as_ref().map(Halt::why);
        let failed = self.hosts.iter().find_map(|h| {
            let why = h.why.as_ref()?;
            Some(format!("{}: {why}", h.name))
        });
        let odd = || {
            let (host, standing) = self.standings().find(|(_, s)| !s.is_good())?;
            Some(format!("{}: {standing}", host.name))
        };
        let halt = halt.map(ToOwned::to_owned);
        let mut why = halt.or(failed).or_else(odd).unwrap_or_default();
        if let Some(stuck) = &self.stuck {
            why.push_str("; the way back ended early: ");
            why.push_str(stuck);
        } else if self.is_stuck() {
            let new = self.standings().filter(|(_, s)| s.is_new());
            let new: Vec<_> = new.map(|(h, _)| h.name.as_str()).collect();
            why.push_str("; no way back for ");
            why.push_str(&new.join(", "));
        }
        why
    }
}
