//! What a rollout hears and what it asks for.

use super::ending::Ending;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A host of the tier as the dry run of its steps found it, before anything was touched.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Found {
    pub host: String,
    pub needs: Needs,
    /// There is an old state to go back to. A host without one serves nobody and never did.
    pub installed: bool,
    /// Goes last: the active one of a pair, a coordinator.
    pub leader: bool,
    pub zone: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Needs {
    /// Nothing that takes the host away: its steps can run while it serves.
    Nothing,
    /// Its service must stop on the way to the new state.
    Change,
    /// It could not be looked at: failed and unavailable, counted once.
    Unreachable,
}

/// What the driver reports. Every action but `Finish` is answered exactly once for each of its hosts.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Observation {
    /// Answers `Observe`.
    Seen(Seen),
    /// Answers every other action, host by host.
    Ended { host: String, work: Work, how: How },
    /// The service does worse than before the rollout (I9), and no host that soaks is the reason.
    Worse { why: String },
    /// The operator asked to stop.
    Stop,
}

/// All hosts and balancers at one time.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Seen {
    /// When the look began, on the clock of [`super::Rollout::hear`].
    pub taken: Duration,
    pub sights: Vec<Sight>,
    /// Balancers that could not be read, and why.
    pub unread: Vec<String>,
}

/// One host in a look. A host without balancers is in rotation everywhere.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Sight {
    pub host: String,
    /// Its probes pass, as the live peer that it should be.
    pub healthy: bool,
    pub rotation: Rotation,
    pub drain: Drain,
}

/// On how many of the balancers that could be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Rotation {
    Everywhere,
    Somewhere,
    Nowhere,
}

/// Who took the host out of some balancer.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Drain {
    Nobody,
    /// This run, or an earlier one of ours whose lease is over.
    Ours,
    /// Somebody else, perhaps beside us. Never undone, and the host is not touched (I4).
    Foreign {
        by: String,
    },
}

impl Sight {
    /// In rotation on every balancer, and healthy.
    #[must_use]
    pub fn serves(&self) -> bool {
        self.healthy && self.rotation == Rotation::Everywhere
    }

    /// Somebody would miss it.
    #[must_use]
    pub fn helps(&self) -> bool {
        self.healthy && self.rotation != Rotation::Nowhere
    }
}

/// The kinds of action that have an answer per host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Work {
    Converge,
    TakeOut,
    Change,
    PutBack,
    Soak,
    Restore,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum How {
    Well,
    /// It failed, ran out of time, or nobody knows.
    Failed {
        why: String,
    },
    /// Of `Change` and `Soak`: its probes pass, and what it answers is clearly worse than before. Counted over many requests, so
    /// watching it once more would tell the same.
    Worse {
        why: String,
    },
    /// Of `Change` and `Soak`: the operator does not want to wait for its end.
    Cut,
    /// Of `Change` alone: it failed, and the host's service was never stopped.
    Untouched {
        why: String,
    },
    /// Of `PutBack` alone: our drains are gone, somebody else's keep the host out.
    Held {
        by: String,
    },
}

/// What the driver is asked to do.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Action {
    /// Rest so long, then look at all hosts and all balancers afresh.
    Observe { rest: Duration },
    /// Run the steps of these hosts side by side; nothing is taken away.
    Converge { hosts: Vec<String> },
    /// Drain them on all balancers, read back. What was not done anything to may come back by itself if we are gone.
    TakeOut { hosts: Vec<String> },
    /// Stop, swap, start, all gates; then, still out, probe it for `bake`. Its host is out by a look of this moment, or nobody
    /// serves yet.
    Change {
        host: String,
        within: Duration,
        bake: Duration,
    },
    /// Undo our drains of it, if there are any, and read back that it is in rotation on all balancers.
    PutBack { host: String },
    /// Probe it for so long; the first probe that fails ends it.
    Soak { host: String, time: Duration },
    /// Stop, old state back, start, all gates of the old identity. Tried once.
    Restore { host: String, within: Duration },
    /// Nothing is under way any more, and nothing more will be asked.
    Finish(Ending),
}
