//! What can happen during a run, as types, and who may listen.
//!
//! Hosts speak at once, but through one channel into one loop, so that a listener hears one
//! story in one order. Words and colours are chosen by the listeners.

use crate::wire::survey::Seen;
use crate::wire::{Diff, Failure, Outcome};
use std::time::Duration;

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    RunStarted {
        playbook: String,
        hosts: Vec<String>,
        check: bool,
    },
    PlayStarted {
        play: String,
        hosts: Vec<String>,
    },
    /// The hosts of a batch go at the same time; `of` batches in all.
    BatchStarted {
        number: usize,
        of: usize,
        hosts: Vec<String>,
    },
    /// A phase of reaching a host: `connecting`, `authenticating`, `sending the worker`, `ready`.
    Reaching {
        host: String,
        phase: String,
    },
    Unreachable {
        host: String,
        failure: Failure,
    },
    StepStarted {
        host: String,
        title: String,
        item: Option<String>,
    },
    Progress {
        host: String,
        text: String,
    },
    StepEnded(StepEnded),
    /// A rollout moved a node; `failure` says why it could not.
    Moved {
        host: String,
        phase: Phase,
        failure: Option<String>,
        took: Duration,
    },
    /// A rollout that did not come to its good end.
    RolledOut {
        cluster: String,
        ended: Ended,
        why: String,
        /// What became of each host, in words.
        hosts: Vec<(String, String)>,
    },
    /// What clients met while a rollout went on.
    Evidence(Evidence),
    /// Content on its way to a host, in bytes.
    Sending {
        host: String,
        name: String,
        sent: u64,
        size: u64,
    },
    /// The host leaves the run: it failed, or the play says so.
    HostStopped {
        host: String,
        reason: String,
    },
    /// Something people should know that is no failure.
    Note {
        host: Option<String>,
        text: String,
    },
    /// What the rules say.
    Judged(Judgement),
    /// How every tenant of the inventory is.
    Tenants(Vec<TenantState>),
    /// How every node of the clusters is.
    Nodes(Vec<NodeStatus>),
    /// The same, at a later look.
    NodesAgain(Vec<NodeStatus>),
    RunEnded {
        recap: Recap,
    },
}

/// A node as a rollout would find it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeStatus {
    pub cluster: String,
    pub host: String,
    /// The release that its link names; `None` when nothing is installed or nobody could ask.
    pub release: Option<String>,
    /// Why it does not serve; `None` when it does.
    pub fault: Option<String>,
    pub leads: bool,
    /// By balancer.
    pub rotation: Vec<(String, InRotation)>,
    /// What a run would change on it, in its own words; `None` when nobody could ask.
    pub pending: Option<Vec<String>>,
}

/// Where a node is at one balancer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InRotation {
    Yes,
    /// Taken out by a rollout, for this reason; in seconds since the epoch.
    Drained {
        reason: String,
        since: u64,
    },
    /// By somebody else.
    Foreign,
    /// Requests are sent to a part of it.
    Partly {
        /// What is not in, and why.
        rest: String,
    },
    /// Nobody took it out, and the balancer's own checks find it down.
    Failing,
    /// The balancer does not know the node.
    Absent,
    /// The balancer could not be asked.
    Unknown(String),
}

/// What clients met while a rollout went on, by requests of our own through the balancers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    pub cluster: String,
    /// From the moment at which the first node was to be taken out; 0 where no balancer of ours was asked.
    pub sent: u64,
    pub failed: u64,
    /// How the latest failed.
    pub failure: Option<String>,
    /// Before anything was touched.
    pub before: Option<Times>,
    pub during: Option<Times>,
    /// The fewest nodes that were seen in service.
    pub least: usize,
    /// How many had to be.
    pub promised: usize,
    pub of: usize,
}

/// How long answers took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    pub p50: Duration,
    pub p99: Duration,
}

/// What a rollout does with a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    TakenOut,
    PutBack,
    /// It stayed healthy for as long as it had to.
    Soaked,
    /// It has its old state again.
    Restored,
}

/// What came of holding rules against a deployment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Judgement {
    pub found: Vec<Judged>,
    pub unjudged: Vec<Unjudged>,
    /// How many rules looked at everything and found nothing.
    pub passed: usize,
}

/// Something that a rule found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    /// The rule's id.
    pub rule: String,
    /// Otherwise it is a warning.
    pub is_error: bool,
    pub hosts: Vec<String>,
    pub found: String,
    /// In a file as it would be written.
    pub place: Option<String>,
    pub why: String,
    pub fix: String,
    /// The reason why somebody lives with it.
    pub accepted: Option<String>,
}

/// Rules that could not look at some hosts, for one reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unjudged {
    pub rules: Vec<String>,
    /// Empty when it is not about any.
    pub hosts: Vec<String>,
    pub why: String,
}

/// A tenant, as API Manager, its hosts and the balancers are seen to have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantState {
    pub name: String,
    pub domain: String,
    /// Declared in order to leave.
    pub leaves: bool,
    pub apim: Standing,
    pub clusters: Vec<ClusterState>,
}

/// What API Manager says of a tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    Active,
    Inactive,
    Missing,
    /// Nobody could be asked, for this reason.
    Unknown(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterState {
    /// Of its group: `mi_acme`.
    pub name: String,
    pub nodes: Vec<NodeState>,
    /// One for each balancer of ours.
    pub routes: Vec<RouteState>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeState {
    pub host: String,
    pub health: Health,
}

/// Whether a node serves: its unit is active and its health endpoint good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    Serves,
    Fails(String),
    Unknown(String),
}

/// How one balancer has a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteState {
    pub balancer: String,
    /// Whether it is in the balancer's configuration.
    pub configured: Seen<bool>,
    pub answer: Answer,
}

/// Who answers when the balancer is called by the cluster's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Nobody can tell who answers plain TCP, and a tenant that leaves is not called.
    NotAsked,
    /// A host of the cluster.
    Own(String),
    /// A host of another cluster.
    Foreign(String),
    Nobody(String),
    Unknown(String),
}

impl TenantState {
    /// Whether all there is to know could be asked.
    pub fn is_known(&self) -> bool {
        let is_known = |route: &RouteState| {
            route.configured.known().is_some() && !matches!(route.answer, Answer::Unknown(_))
        };
        !matches!(self.apim, Standing::Unknown(_))
            && self.clusters.iter().all(|cluster| {
                let mut nodes = cluster.nodes.iter();
                nodes.all(|node| !matches!(node.health, Health::Unknown(_)))
                    && cluster.routes.iter().all(is_known)
            })
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct StepEnded {
    pub host: String,
    /// `role : name`.
    pub title: String,
    /// The position of the task in its file.
    pub place: String,
    pub item: Option<String>,
    pub handler: bool,
    pub outcome: Outcome,
    /// The failure does not stop the host.
    pub ignored: bool,
    pub diffs: Vec<Diff>,
    pub took: Duration,
}

/// The count of outcomes per host; decides the exit code.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Recap {
    pub hosts: Vec<HostRecap>,
    pub took: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HostRecap {
    pub host: String,
    pub ok: u32,
    pub changed: u32,
    pub skipped: u32,
    pub failed: u32,
    pub ignored: u32,
    pub unreachable: bool,
    /// Exchanges with the worker after login, each a question and its answer.
    pub round_trips: u32,
    /// Never got to the end for a reason other than its own failure.
    pub not_reached: bool,
}

/// How a run ended; decides the exit code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// Everything asked for is true now. In check mode: everything could be asked.
    Done,
    /// A host refused us before anything was changed.
    Preflight,
    /// Stopped with part of the change made.
    Stopped,
    /// Only unreachable hosts are the reason.
    Unreachable,
    /// Another run holds a host's lock.
    Busy,
    /// A change proved bad and was taken back: the old state serves.
    RolledBack,
    /// Some node is neither what it was nor what it should be.
    NeedsPerson,
    Interrupted,
}

/// Hears what happens, in order. A listener never fails the run.
pub trait Listener: Send {
    fn hear(&mut self, event: &Event);
}
