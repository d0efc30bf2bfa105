//! A play's `rollout:` as the rollout wants it: who is a cluster, where its balancers are, and the policy.

use crate::plan::{self, HostState, World};
use crate::rollout::{FirstInstall, OnFailure, Policy};
use crate::run::prepare::as_problems;
use crate::source::{Node, Problem, Problems, Result, Yaml};
use crate::vars::Scope;
use indexmap::IndexMap;
use serde::Deserialize;
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
}

/// The mapping, rendered for one host. Times are in seconds.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wishes {
    cluster: String,
    #[serde(default)]
    zone: String,
    #[serde(default)]
    balancers: Vec<String>,
    #[serde(default = "one")]
    canary: usize,
    canary_soak: u64,
    min_healthy_time: u64,
    healthy_deadline: u64,
    max_unavailable: Value,
    #[serde(default)]
    min_healthy: Option<Value>,
    max_failures: usize,
    on_failure: OnFailure,
    #[serde(default)]
    allow_downtime: bool,
    first_install: FirstInstall,
}

fn one() -> usize {
    1
}

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
    serde_json::from_value(without_nulls(value)).map_err(|e| wrong(node, &e.to_string()).into())
}

/// `min_healthy: null` leaves it to the size of the cluster.
fn without_nulls(mut value: Value) -> Value {
    if let Value::Object(map) = &mut value {
        map.retain(|_, value| !value.is_null());
    }
    value
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
        .filter(|(_, wishes)| !wishes.zone.is_empty())
        .map(|(host, wishes)| (host.clone(), wishes.zone.clone()))
        .collect();
    let serial = match &world.play.serial {
        Some(serial) => plan::sizes("serial", serial, count)?,
        None => vec![count],
    };
    let Some((_, wishes)) = members.into_iter().next() else {
        return Err(wrong(node, "there are no hosts").into());
    };
    let min_healthy = wishes.min_healthy.as_ref();
    let policy = Policy {
        serial,
        canary: wishes.canary,
        canary_soak: Duration::from_secs(wishes.canary_soak),
        min_healthy_time: Duration::from_secs(wishes.min_healthy_time),
        healthy_deadline: Duration::from_secs(wishes.healthy_deadline),
        max_unavailable: plan::at_most(
            "max_unavailable",
            &written(node, &wishes.max_unavailable),
            count,
        )?,
        min_healthy: min_healthy
            .map(|wish| plan::at_least("min_healthy", &written(node, wish), count))
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
    })
}

/// A rendered value in the place of what was written.
fn written(node: &Node, value: &Value) -> Node {
    let value = match value {
        Value::String(text) => Yaml::Text(text.clone()),
        other => other.as_i64().map_or(Yaml::Null, Yaml::Int),
    };
    Node {
        value,
        span: node.span.clone(),
        tag: None,
    }
}

fn wrong(node: &Node, why: &str) -> Problem {
    Problem::new("`rollout` cannot be understood")
        .at(&node.span)
        .because(why)
        .help("the variables `rollout_*` are explained in roles/rotation/defaults/main.yaml")
}
