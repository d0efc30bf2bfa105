//! A play's `rollout:` as the rollout wants it: who is a cluster, where its balancers are, and the policy.

use super::keys::{self, Keys};
use super::limits::Limits;
use crate::plan::{self, HostState, World};
use crate::rollout::{FirstInstall, OnFailure, Policy};
use crate::run::prepare::as_problems;
use crate::source::{Node, Problem, Problems, Result, Span, Yaml};
use crate::vars::Scope;
use indexmap::IndexMap;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::time::Duration;

/// The hosts of a play that serve together, and what was decided about them.
pub struct Cluster {
    pub name: String,
    pub hosts: Vec<String>,
    /// By host, where one is said.
    pub zones: IndexMap<String, String>,
    /// Hosts with a balancer that sends requests to these.
    pub balancers: Vec<String>,
    pub policy: Policy,
    pub limits: Limits,
    /// How long a changed node may take until it has all that its peers have.
    pub alike_within: Duration,
}

/// The mapping, rendered for one host. Times are in seconds.
#[derive(Debug, PartialEq)]
struct Wishes {
    cluster: String,
    zone: Option<String>,
    balancers: Vec<String>,
    /// In place of the play's.
    serial: Option<Node>,
    canary: usize,
    canary_bake: Duration,
    canary_soak: Duration,
    min_healthy_time: Duration,
    healthy_deadline: Duration,
    /// As if they were written so: they are counts of the hosts that are known later.
    max_unavailable: Node,
    min_healthy: Option<Node>,
    max_failures: usize,
    on_failure: OnFailure,
    allow_downtime: bool,
    first_install: FirstInstall,
    limits: Limits,
    alike_within: Duration,
}

const KEYS: [&str; 20] = [
    "cluster",
    "zone",
    "balancers",
    "serial",
    "canary",
    "canary_bake",
    "canary_soak",
    "min_healthy_time",
    "healthy_deadline",
    "max_unavailable",
    "min_healthy",
    "max_failures",
    "on_failure",
    "allow_downtime",
    "first_install",
    "baseline",
    "max_error_rate",
    "max_latency_factor",
    "latency_floor",
    "alike_within",
];

const NAME: &str = "a name";
const HOSTS: &str = "a count of hosts";
const SIZES: &str = "a count of hosts, a percentage, or a list of them";
const SECONDS: &str = "a time in seconds, as a whole number";

/// The clusters of the play, in the order of their first hosts.
pub fn read(world: &World<'_>, hosts: &[HostState]) -> Result<Vec<Cluster>> {
    let Some(node) = &world.play.rollout else {
        return Ok(vec![]);
    };
    let mut problems = Problems::new();
    let mut clusters: IndexMap<String, Vec<(String, Wishes)>> = IndexMap::new();
    for host in hosts {
        if let Some(wishes) = problems.take(wishes(world, node, host)) {
            let members = clusters.entry(wishes.cluster.clone()).or_default();
            members.push((host.name.clone(), wishes));
        }
    }
    let clusters = clusters
        .into_iter()
        .filter_map(|(name, members)| problems.take(cluster(world, node, name, members)))
        .collect();
    problems.or(clusters)
}

fn wishes(world: &World<'_>, node: &Node, host: &HostState) -> Result<Wishes> {
    let ladder = world.ladder(host, None, &[]);
    let value = Scope::new(&ladder).render(node).map_err(as_problems)?;
    let keys = Keys::new(node, value, &KEYS)?;
    let max_unavailable = keys.need("max_unavailable", HOSTS, plain)?;
    let min_healthy = keys.take("min_healthy", HOSTS, plain)?;
    let serial = keys.take("serial", SIZES, |sizes| {
        batches(keys.place("serial"), sizes)
    })?;
    Ok(Wishes {
        cluster: keys.need("cluster", NAME, keys::text)?,
        zone: keys.take("zone", NAME, keys::text)?,
        balancers: keys
            .take("balancers", "a list of hosts", keys::texts)?
            .unwrap_or_default(),
        serial,
        canary: keys.take("canary", HOSTS, size)?.unwrap_or(1),
        canary_bake: keys
            .take("canary_bake", SECONDS, seconds)?
            .unwrap_or_default(),
        canary_soak: keys.need("canary_soak", SECONDS, seconds)?,
        min_healthy_time: keys.need("min_healthy_time", SECONDS, seconds)?,
        healthy_deadline: keys.need("healthy_deadline", SECONDS, seconds)?,
        max_unavailable: written(keys.place("max_unavailable"), max_unavailable),
        min_healthy: min_healthy.map(|wish| written(keys.place("min_healthy"), wish)),
        max_failures: keys.need("max_failures", HOSTS, size)?,
        on_failure: keys.need("on_failure", "pause, rollback or continue", word)?,
        allow_downtime: keys
            .take("allow_downtime", "true or false", keys::truth)?
            .unwrap_or(false),
        first_install: keys.need("first_install", "serial or parallel", word)?,
        limits: limits(&keys)?,
        alike_within: keys
            .take("alike_within", SECONDS, seconds)?
            .unwrap_or(ALIKE_WITHIN),
    })
}

/// For APIs that arrive one after the other when a gateway has started.
const ALIKE_WITHIN: Duration = Duration::from_secs(60);

fn limits(keys: &Keys<'_>) -> Result<Limits> {
    let usual = Limits::default();
    let millis = |value: &Value| keys::number(value).map(Duration::from_millis);
    Ok(Limits {
        baseline: keys
            .take("baseline", SECONDS, seconds)?
            .unwrap_or(usual.baseline),
        max_error_rate: keys
            .take("max_error_rate", "a share between 0 and 1", keys::share)?
            .unwrap_or(usual.max_error_rate),
        max_latency_factor: keys
            .take("max_latency_factor", "a factor, 1 or more", keys::factor)?
            .unwrap_or(usual.max_latency_factor),
        latency_floor: keys
            .take("latency_floor", "a time in milliseconds", millis)?
            .unwrap_or(usual.latency_floor),
    })
}

fn seconds(value: &Value) -> Option<Duration> {
    keys::number(value).map(Duration::from_secs)
}

fn size(value: &Value) -> Option<usize> {
    keys::number(value)?.try_into().ok()
}

fn word<T: DeserializeOwned>(value: &Value) -> Option<T> {
    serde_json::from_value(value.clone()).ok()
}

fn plain(value: &Value) -> Option<Yaml> {
    match value {
        Value::String(text) => Some(Yaml::Text(text.clone())),
        other => other.as_i64().map(Yaml::Int),
    }
}

fn batches(place: &Span, sizes: &Value) -> Option<Node> {
    let value = match sizes {
        Value::Array(list) => {
            let each = list.iter().map(|size| Some(written(place, plain(size)?)));
            Yaml::List(each.collect::<Option<_>>()?)
        }
        one => plain(one)?,
    };
    Some(written(place, value))
}

/// A rendered value in the place of what was written.
fn written(place: &Span, value: Yaml) -> Node {
    Node {
        value,
        span: place.clone(),
        tag: None,
    }
}

/// What is decided about a cluster is decided once, so its hosts must all say the same.
fn agree(node: &Node, cluster: &str, members: &[(String, Wishes)]) -> Result<()> {
    let mut problems = Problems::new();
    let Some(((first, wanted), others)) = members.split_first() else {
        return Ok(());
    };
    for (host, wishes) in others {
        for key in wanted.differences(wishes) {
            let message = format!(
                "`{key}` of {host} is another one than that of {first}, and both are in the cluster {cluster}"
            );
            let problem = Problem::new(message).at(&node.span);
            problems.push(problem.help("set it for the group, not for a host"));
        }
    }
    problems.or(())
}

impl Wishes {
    /// The keys in which another host of the cluster wants something else. Zones are the hosts' own.
    fn differences(&self, other: &Self) -> impl Iterator<Item = &'static str> {
        let (a, b) = (self, other);
        [
            ("balancers", a.balancers != b.balancers),
            ("serial", a.serial != b.serial),
            ("canary", a.canary != b.canary),
            ("canary_bake", a.canary_bake != b.canary_bake),
            ("canary_soak", a.canary_soak != b.canary_soak),
            ("min_healthy_time", a.min_healthy_time != b.min_healthy_time),
            ("healthy_deadline", a.healthy_deadline != b.healthy_deadline),
            ("max_unavailable", a.max_unavailable != b.max_unavailable),
            ("min_healthy", a.min_healthy != b.min_healthy),
            ("max_failures", a.max_failures != b.max_failures),
            ("on_failure", a.on_failure != b.on_failure),
            ("allow_downtime", a.allow_downtime != b.allow_downtime),
            ("first_install", a.first_install != b.first_install),
            ("baseline and limits", a.limits != b.limits),
            ("alike_within", a.alike_within != b.alike_within),
        ]
        .into_iter()
        .filter_map(|(key, differs)| differs.then_some(key))
    }
}

fn cluster(
    world: &World<'_>,
    node: &Node,
    name: String,
    members: Vec<(String, Wishes)>,
) -> Result<Cluster> {
    let count = members.len();
    let hosts: Vec<String> = members.iter().map(|(host, _)| host.clone()).collect();
    let zones = members
        .iter()
        .filter_map(|(host, wishes)| Some((host.clone(), wishes.zone.clone()?)))
        .filter(|(_, zone)| !zone.is_empty())
        .collect();
    agree(node, &name, &members)?;
    let Some((_, wishes)) = members.into_iter().next() else {
        return Err(Problem::new("there are no hosts").at(&node.span).into());
    };
    let serial = match wishes.serial.as_ref().or(world.play.serial.as_ref()) {
        Some(serial) => plan::sizes("serial", serial, count)?,
        None => vec![count],
    };
    let min_healthy = wishes.min_healthy.as_ref();
    let policy = Policy {
        serial,
        canary: wishes.canary,
        canary_bake: wishes.canary_bake,
        canary_soak: wishes.canary_soak,
        min_healthy_time: wishes.min_healthy_time,
        healthy_deadline: wishes.healthy_deadline,
        max_unavailable: plan::at_most("max_unavailable", &wishes.max_unavailable, count)?,
        min_healthy: min_healthy
            .map(|wish| plan::at_least("min_healthy", wish, count))
            .transpose()?,
        max_failures: wishes.max_failures,
        on_failure: wishes.on_failure,
        allow_downtime: wishes.allow_downtime,
        first_install: wishes.first_install,
    };
    Ok(Cluster {
        name,
        hosts,
        zones,
        balancers: wishes.balancers,
        policy,
        limits: wishes.limits,
        alike_within: wishes.alike_within,
    })
}
