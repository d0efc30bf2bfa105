//! Which TCP ports a node listens on, and the rules about them.

use super::node::{Component, Node};
use super::{Finding, Rule, Severity, Site, Stage};
use std::collections::BTreeMap;

pub const RULES: &[Rule] = &[Rule {
    id: "integration-15",
    title: "no two nodes of a host listen on one port",
    severity: Severity::Error,
    stage: Stage::Plan,
    why: "the second one to start cannot listen, and stays half started",
    fix: "give one of the two an offset of its own, or a host of its own",
    source: "docs-mi setup/deployment-best-practices/changing-the-default-ports-with-offset.md",
    check: collisions,
}];

/// A port that a node listens on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    pub number: u16,
    pub what: &'static str,
    /// Other nodes connect to it.
    pub is_for_peers: bool,
}

/// Bases of API-M with the offset, by part. Source: docs-apim reference/default-product-ports.md.
const APIM: &[(u16, &str, bool)] = &[
    (9443, "portals and services", false),
    (9763, "services without TLS", false),
];
const APIM_GATEWAY: &[(u16, &str, bool)] = &[
    (8243, "APIs", false),
    (8280, "APIs without TLS", false),
    (9099, "WebSocket APIs", false),
    (8099, "WebSocket APIs over TLS", false),
    (9021, "WebSub", false),
    (8021, "WebSub over TLS", false),
];
const APIM_EVENTS: &[(u16, &str, bool)] = &[
    (5672, "the broker", true),
    (8672, "the broker over TLS", false),
    (9611, "the receiver of events", true),
    (9711, "the receiver's logins", true),
];
/// Source: wso2/product-integrator-mi v4.4.0, distribution/src/resources/config-tool.
const MI: &[(u16, &str, bool)] = &[
    (8280, "HTTP", false),
    (8243, "HTTPS", false),
    (9191, "probes", false),
    (9154, "management", false),
];
/// Source: wso2/streaming-integrator v4.3.0, modules/distribution/carbon-home/conf/server/deployment.yaml.
const SI: &[(u16, &str, bool)] = &[
    (7611, "Thrift", false),
    (7711, "Thrift over TLS", false),
    (9611, "the receiver of events", false),
    (9711, "the receiver's logins", false),
];

/// The ports of a node as its settings say.
pub fn of(node: &Node) -> Vec<Port> {
    match node.component {
        Component::Mi => shifted(&[MI], node.number("server.offset", 10)),
        Component::Si => si(node),
        Component::AllInOne | Component::ControlPlane => {
            apim(node, &[APIM, APIM_GATEWAY, APIM_EVENTS])
        }
        Component::Gateway => apim(node, &[APIM, APIM_GATEWAY]),
        Component::TrafficManager => apim(node, &[APIM, APIM_EVENTS]),
    }
}

/// How far the ports of an API-M node are from their bases.
pub fn offset(node: &Node) -> i64 {
    node.number("server.offset", 0)
}

fn apim(node: &Node, parts: &[&[(u16, &'static str, bool)]]) -> Vec<Port> {
    shifted(parts, offset(node))
}

fn shifted(parts: &[&[(u16, &'static str, bool)]], offset: i64) -> Vec<Port> {
    let all = parts.iter().flat_map(|part| part.iter());
    all.filter_map(|(base, what, is_for_peers)| {
        Some(Port {
            number: u16::try_from(i64::from(*base) + offset).ok()?,
            what,
            is_for_peers: *is_for_peers,
        })
    })
    .collect()
}

/// The offset moves the receivers only; the other ports stand in the file as they are.
fn si(node: &Node) -> Vec<Port> {
    let mut ports = shifted(&[SI], node.number("wso2.carbon.ports.offset", 0));
    for (list, what) in [
        (
            "wso2.transport.http.listenerConfigurations",
            "administration",
        ),
        (
            "siddhi.stores.query.api.listenerConfigurations",
            "queries of stores",
        ),
    ] {
        let written = node.list(list).into_iter();
        let numbers = written.filter_map(|listener| listener.get("port")?.int());
        ports.extend(numbers.filter_map(|n| {
            Some(Port {
                number: u16::try_from(n).ok()?,
                what,
                is_for_peers: false,
            })
        }));
    }
    let sync = node.number("deployment.config.eventSyncServer.port", 0);
    if let Some(number) = u16::try_from(sync).ok().filter(|n| *n > 0) {
        ports.push(Port {
            number,
            what: "events from the other node",
            is_for_peers: true,
        });
    }
    ports
}

fn collisions(site: &Site) -> Vec<Finding> {
    let mut found = Vec::new();
    for host in site.hosts.keys() {
        let mut holders: BTreeMap<u16, Vec<(&Node, Port)>> = BTreeMap::new();
        for node in site.nodes.iter().filter(|n| n.host == *host) {
            for port in of(node) {
                holders.entry(port.number).or_default().push((node, port));
            }
        }
        for (number, who) in holders.iter().filter(|(_, who)| who.len() > 1) {
            let who: Vec<String> = who
                .iter()
                .map(|(node, port)| format!("{} ({})", node.service, port.what))
                .collect();
            let what = format!("port {number} is wanted by {}", who.join(" and "));
            found.push(Finding::on(host, what));
        }
    }
    found
}
