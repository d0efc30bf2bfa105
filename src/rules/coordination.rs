//! How the nodes of an integration cluster find each other, and when they count one as lost.

use super::cluster::node_id;
use super::database::{coordination, schema_of};
use super::node::{Component, Node, Setting};
use super::{Finding, Rule, Severity, Site, Stage, units};
use std::collections::BTreeSet;

pub const RULES: &[Rule] = &[
    Rule {
        id: "integration-01",
        title: "the nodes of an MI cluster have a coordination database, and those that run use it",
        severity: Severity::Error,
        stage: Stage::Plan,
        why: "without it each node is alone: every scheduled task and every polled message runs on all of them",
        fix: "write a [[datasource]] with the id WSO2_COORDINATION_DB",
        source: "docs-mi setup/deployment/deploying-wso2-mi.md",
        check: uncoordinated,
    },
    Rule {
        id: "integration-02",
        title: "the nodes of a cluster use one coordination schema",
        severity: Severity::Error,
        stage: Stage::Plan,
        why: "each schema is a cluster of its own: tasks run twice, and two nodes of SI are active",
        fix: "let the URLs of all nodes name the same server and schema",
        source: "docs-mi setup/deployment/deploying-wso2-mi.md; docs-si setup/deploying-si-as-minimum-ha-cluster.md",
        check: schemas_apart,
    },
    Rule {
        id: "integration-11",
        title: "a node that was stopped stays away until its peers have noticed",
        severity: Severity::Error,
        stage: Stage::Plan,
        why: "MI to 4.4 is refused under its own id and never opens a port; SI leads again with an old state",
        fix: "let `settle` and RestartSec be at least heartbeat interval x retries",
        source: "wso2/product-integrator-mi pull request 4317; wso2/carbon-coordination 2.1.10",
        check: too_soon,
    },
    Rule {
        id: "integration-12",
        title: "heartbeats are the same on all nodes, by names that the server knows",
        severity: Severity::Error,
        stage: Stage::Plan,
        why: "a node with less patience takes its peers for lost, and a name that is spelled otherwise is ignored",
        fix: "write heartBeatInterval, heartbeatMaxRetry, nodeId and localGroupId, the first two with one value for all",
        source: "wso2/product-integrator-mi issue 4055; docs-mi setup/deployment/deploying-wso2-mi.md",
        check: heartbeats,
    },
    Rule {
        id: "integration-13",
        title: "tasks go on when one node of the cluster is down",
        severity: Severity::Error,
        stage: Stage::Plan,
        why: "with as many task servers as nodes, no task runs while one node is stopped, as in every rolling change",
        fix: "let task_server_count be less than the number of nodes, such as 1",
        source: "docs-apim mi-setup/feature_configs/configuring_rdbms_coordination.md",
        check: task_servers,
    },
    Rule {
        id: "integration-14",
        title: "tasks are given to nodes that the cluster has",
        severity: Severity::Error,
        stage: Stage::Plan,
        why: "a task whose nodes are all unknown never runs",
        fix: "let task_nodes name node ids of this cluster",
        source: "docs-apim mi-setup/feature_configs/configuring_rdbms_coordination.md",
        check: task_nodes,
    },
];

/// The clusters of MI and SI with more than one node.
fn clusters(site: &Site) -> impl Iterator<Item = Vec<&Node>> {
    let clusters = site.clusters().into_iter();
    clusters.filter(|nodes| nodes.len() > 1 && nodes.iter().all(|n| !n.component.is_apim()))
}

fn uncoordinated(site: &Site) -> Vec<Finding> {
    let mut found = site.unanswered(|node| node.component == Component::Mi);
    found.extend(alone(site));
    let nodes = clusters(site)
        .flatten()
        .filter(|n| n.component == Component::Mi);
    found.extend(
        nodes
            .filter(|n| n.settings.is_ok() && n.datasource("WSO2_COORDINATION_DB").is_none())
            .map(|n| {
                n.finds(format!(
                    "{} has no datasource WSO2_COORDINATION_DB",
                    n.service
                ))
            }),
    );
    found
}

/// A node that runs and never spoke of coordination: its own log says so, where the whole of this boot is in it.
fn alone(site: &Site) -> Vec<Finding> {
    let mut found = Vec::new();
    for node in clusters(site)
        .flatten()
        .filter(|n| n.component == Component::Mi)
    {
        let Some(instance) = site.instance(node).filter(|i| i.jvm.is_some()) else {
            continue;
        };
        let Some(log) = &instance.log else { continue };
        match Finding::seen(&node.host, log) {
            Err(unseen) => found.push(unseen),
            Ok(log) if !log.complete => {}
            Ok(log) if log.matches.get(COORDINATED).is_some_and(|m| m.count > 0) => {}
            Ok(_) => found.push(node.finds(format!(
                "{} runs and takes part in no cluster",
                node.service
            ))),
        }
    }
    found
}

/// By this name the survey tells of the line.
pub const COORDINATED: &str = "coordinated";

fn schemas_apart(site: &Site) -> Vec<Finding> {
    let mut found = Vec::new();
    for nodes in clusters(site) {
        let named: Vec<(&Node, Setting<'_>, String)> = nodes
            .into_iter()
            .filter_map(|node| {
                let url = coordination(node)?;
                let schema = schema_of(url.resolved()?.look())?;
                Some((node, url, schema))
            })
            .collect();
        let Some((first, _, schema)) = named.first() else {
            continue;
        };
        if let Some((_, url, other)) = named.iter().find(|(_, _, s)| s != schema) {
            let what = format!(
                "`{}` uses the coordination schemas {schema} and {other}",
                first.cluster
            );
            let hosts = named.iter().map(|(n, _, _)| n.host.as_str());
            found.push(Finding::among(hosts, what).at(url.span()));
        }
    }
    found
}

/// Interval in milliseconds, and how many may be missed.
type Heartbeat = (i64, i64);

/// The defaults are MI's own, and those of SI's pack.
fn heartbeat(node: &Node) -> Heartbeat {
    let property = |name: &str, otherwise| {
        let written = node.property(name).and_then(|text| text.parse().ok());
        written.unwrap_or(otherwise)
    };
    let setting = |name: &str, otherwise| {
        node.number(&format!("cluster.config.strategyConfig.{name}"), otherwise)
    };
    match node.component {
        Component::Si => (
            setting("heartbeatInterval", 3000),
            setting("heartbeatMaxRetry", 3),
        ),
        _ => (
            property("heartBeatInterval", 5000),
            property("heartbeatMaxRetry", 3),
        ),
    }
}

/// Seconds until the others take a silent node for lost.
fn window(node: &Node) -> u64 {
    let (interval, retries) = heartbeat(node);
    u64::try_from(interval.saturating_mul(retries))
        .unwrap_or_default()
        .div_ceil(1000)
}

fn too_soon(site: &Site) -> Vec<Finding> {
    // From 4.5 on MI waits by itself before it joins.
    let waits = |n: &&Node| n.component == Component::Mi && n.line() >= Some((4, 5));
    let mut found = Vec::new();
    for node in clusters(site).flatten().filter(|n| !waits(n)) {
        let window = window(node);
        let mut tell = |what: &str, seconds: u64| {
            if seconds < window {
                let service = &node.service;
                let what = format!(
                    "{service} is started {seconds} s after {what}, and counts as lost after {window} s only"
                );
                found.push(node.finds(what));
            }
        };
        tell("a stop", node.settle);
        if node.unit("Restart").is_some_and(|when| when != "no") {
            tell(
                "an end of its own",
                node.unit("RestartSec").map_or(0, units::seconds),
            );
        }
    }
    found
}

/// What MI asks its process for. Source: wso2/micro-integrator, coordination, RDBMSCoordinationStrategy.
const PROPERTIES: [&str; 4] = [
    "heartBeatInterval",
    "heartbeatMaxRetry",
    "nodeId",
    "localGroupId",
];

fn heartbeats(site: &Site) -> Vec<Finding> {
    let mut found: Vec<Finding> = site.mi().flat_map(misspelled).collect();
    for nodes in clusters(site) {
        let Some(first) = nodes.first() else { continue };
        let beats = heartbeat(first);
        if let Some(other) = nodes.iter().find(|n| heartbeat(n) != beats) {
            let told = |(interval, retries)| format!("{interval} ms x {retries}");
            let (one, two) = (told(beats), told(heartbeat(other)));
            let what = format!(
                "heartbeats of {one} on {}, of {two} on {}",
                first.host, other.host
            );
            found.push(Finding::among([first.host.as_str(), &other.host], what));
        }
    }
    found
}

fn misspelled(node: &Node) -> Vec<Finding> {
    let options = node.environment.get("JAVA_OPTS").map_or("", String::as_str);
    let given = options
        .split_whitespace()
        .filter_map(|o| Some(o.strip_prefix("-D")?.split_once('=')?.0));
    let named = node.environment.keys().map(String::as_str).chain(given);
    named
        .filter_map(|name| {
            let meant = PROPERTIES.iter().find(|p| p.eq_ignore_ascii_case(name))?;
            (*meant != name)
                .then(|| node.finds(format!("`{name}` is ignored: MI asks for {meant}")))
        })
        .collect()
}

fn task_servers(site: &Site) -> Vec<Finding> {
    let mut found = Vec::new();
    for nodes in clusters(site) {
        let counts = nodes.iter().flat_map(|n| n.list("task_resolver"));
        for count in counts.filter_map(|resolver| resolver.get("task_server_count")) {
            let nodes = nodes.len();
            if let Some(servers) = count
                .int()
                .filter(|c| usize::try_from(*c).is_ok_and(|c| c >= nodes))
            {
                found.push(count.finds(format!("tasks need {servers} living nodes of {nodes}")));
            }
        }
    }
    found
}

fn task_nodes(site: &Site) -> Vec<Finding> {
    let mut found = Vec::new();
    for nodes in site.clusters() {
        let ids: BTreeSet<&str> = nodes.iter().filter_map(|n| node_id(n)).collect();
        let lists = nodes.iter().flat_map(|n| n.list("task_resolver"));
        for list in lists.filter_map(|resolver| resolver.get("task_nodes")) {
            let named = list.text().unwrap_or_default().split(',').map(str::trim);
            for unknown in named.filter(|id| !id.is_empty() && !ids.contains(id)) {
                found.push(list.finds(format!(
                    "tasks are for `{unknown}`, which is no node id of the cluster"
                )));
            }
        }
    }
    found
}
