//! One host on its way through a rollout.

use super::ending::Standing;
use super::words::{Drain, Found, Needs, Rotation, Sight};
use serde::{Deserialize, Serialize};
use std::time::Duration;

#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Host {
    pub name: String,
    pub needs: Needs,
    pub installed: bool,
    pub leader: bool,
    pub zone: Option<String>,
    pub stage: Stage,
    /// As the latest look found it.
    pub sight: Option<Sight>,
    /// It served at some look, so that it is news when it no longer does.
    pub served: bool,
    /// It answered while a look was on its way, which may be older than what it answered.
    pub overtook: bool,
    /// Looks in a row at which it did not, of its own accord.
    pub absent: u8,
    /// Somebody missed it when it was taken out.
    pub missed: bool,
    pub canary: bool,
    /// The way back was tried.
    pub restored: bool,
    /// How often it was taken out.
    pub attempts: u8,
    /// Why it failed first.
    pub why: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) enum Stage {
    /// Not begun.
    Waiting,
    Converging,
    Draining(Then),
    /// Out, and waiting for the rest of its batch and for a fresh look.
    Drained(Then),
    Changing {
        since: Duration,
    },
    Returning {
        with: With,
        tries: u8,
    },
    Soaking {
        restarts: u8,
    },
    /// In rotation with a state that proved bad: to be taken out as soon as the service allows.
    Leaving {
        /// Until one of its batch is back.
        waits: bool,
    },
    Restoring {
        since: Duration,
        unwinding: bool,
    },
    Settled(Standing),
}

/// What a host is taken out for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) enum Then {
    Change,
    /// Its change failed.
    Restore,
    /// Its change went well; others' did not.
    Unwind,
}

/// The state in which a host is put back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) enum With {
    /// Nothing was done to it.
    Untouched,
    /// An earlier run left it drained; its steps passed now.
    Converged,
    New,
    Old,
    /// It was to get its old state back, and was not stopped.
    StillNew,
}

impl From<Found> for Host {
    fn from(found: Found) -> Self {
        Self {
            name: found.host,
            needs: found.needs,
            installed: found.installed,
            leader: found.leader,
            zone: found.zone,
            stage: Stage::Waiting,
            sight: None,
            served: false,
            overtook: false,
            absent: 0,
            missed: false,
            canary: false,
            restored: false,
            attempts: 0,
            why: None,
        }
    }
}

impl Host {
    pub fn is_waiting(&self) -> bool {
        self.stage == Stage::Waiting
    }

    pub fn is_settled(&self) -> bool {
        matches!(self.stage, Stage::Settled(_))
    }

    /// Something was asked of it, or must be.
    pub fn is_under_way(&self) -> bool {
        !self.is_waiting() && !self.is_settled()
    }

    /// Taken out by us and not yet back, whatever a look from in between says.
    fn is_away(&self) -> bool {
        matches!(
            self.stage,
            Stage::Draining(_)
                | Stage::Drained(_)
                | Stage::Changing { .. }
                | Stage::Restoring { .. }
                | Stage::Returning { .. }
        )
    }

    /// It proved bad, and may look healthy all the same.
    fn is_bad(&self) -> bool {
        matches!(
            self.stage,
            Stage::Leaving { .. }
                | Stage::Settled(
                    Standing::Quarantined { .. }
                        | Standing::Failing { .. }
                        | Standing::NotInstalled { .. }
                )
        )
    }

    /// Whether the service can count on it (I1).
    pub fn serves(&self) -> bool {
        self.needs != Needs::Unreachable
            && !self.is_away()
            && !self.is_bad()
            && self.sight.as_ref().is_some_and(Sight::serves)
    }

    /// It served, nobody asked anything of it, and it serves no longer.
    pub fn has_fallen(&self) -> bool {
        self.served
            && !self.overtook
            && !self.is_under_way()
            && !self.serves()
            && self.held_by().is_none()
    }

    pub fn helps(&self) -> bool {
        self.sight.as_ref().is_some_and(Sight::helps)
    }

    pub fn is_out(&self) -> bool {
        self.sight
            .as_ref()
            .is_some_and(|s| s.rotation == Rotation::Nowhere)
    }

    pub fn is_healthy(&self) -> bool {
        self.sight.as_ref().is_some_and(|s| s.healthy)
    }

    pub fn is_drained_by_us(&self) -> bool {
        self.sight.as_ref().is_some_and(|s| s.drain == Drain::Ours)
    }

    /// Who else keeps it out.
    pub fn held_by(&self) -> Option<&str> {
        match self.sight.as_ref().map(|s| &s.drain) {
            Some(Drain::Foreign { by }) => Some(by),
            _ => None,
        }
    }

    /// Why it does not serve, for people.
    pub fn complaint(&self) -> String {
        format!("{} is {}", self.name, self.trouble())
    }

    /// As [`Self::complaint`], where its name is said already.
    pub fn trouble(&self) -> String {
        match (&self.stage, &self.sight) {
            _ if self.is_away() => "taken out".to_owned(),
            (Stage::Settled(Standing::Quarantined { .. }), _) => "quarantined".to_owned(),
            _ if self.needs == Needs::Unreachable => "unreachable".to_owned(),
            (_, None) => "not seen".to_owned(),
            (_, Some(sight)) => match &sight.drain {
                Drain::Foreign { by } => format!("drained by {by}"),
                Drain::Ours if sight.healthy => "still drained by an earlier run".to_owned(),
                _ if !sight.healthy => "not healthy".to_owned(),
                _ => "not in rotation on every balancer".to_owned(),
            },
        }
    }

    /// The latest look found it, and not well.
    pub fn is_seen_sick(&self) -> bool {
        self.sight.as_ref().is_some_and(|sight| !sight.healthy)
    }

    /// An answer about it is outstanding.
    pub fn will_answer(&self) -> bool {
        self.is_under_way() && !matches!(self.stage, Stage::Drained(_) | Stage::Leaving { .. })
    }

    pub fn is_unwanted(&self) -> bool {
        matches!(self.stage, Stage::Leaving { waits: false })
    }

    /// It was changed, there is an old state, and that was not tried yet.
    pub fn can_go_back(&self) -> bool {
        self.installed && self.needs == Needs::Change && !self.restored
    }

    pub fn settle(&mut self, standing: Standing) {
        self.stage = Stage::Settled(standing);
    }
}
