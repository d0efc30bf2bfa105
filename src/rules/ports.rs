//! Which TCP ports a node listens on, and the rules about them.

use super::node::{Component, Node, Setting};
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
        Component::Mi => mi(node),
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

/// A port of the servlets that stands in the settings is not moved.
fn apim(node: &Node, parts: &[&[(u16, &'static str, bool)]]) -> Vec<Port> {
    let mut ports = shifted(parts, offset(node));
    for (base, path) in SERVLETS {
        let moved = i64::from(base) + offset(node);
        let pinned = node.get(path).and_then(Setting::int);
        for port in ports
            .iter_mut()
            .filter(|port| i64::from(port.number) == moved)
        {
            port.number = pinned
                .and_then(|n| u16::try_from(n).ok())
                .unwrap_or(port.number);
        }
    }
    ports
}

/// Source: wso2/carbon-kernel v4.9.27, catalina-server.xml.j2.
const SERVLETS: [(u16, &str); 2] = [
    (9443, "transport.https.properties.port"),
    (9763, "transport.http.properties.port"),
];

/// Where the portals and services of an API-M node are.
pub fn portals(node: &Node) -> i64 {
    node.number(SERVLETS[0].1, 9443 + offset(node))
}

/// The offset moves these too, wherever they begin. Source: wso2/product-integrator-mi v4.4.0, key-mappings.json and
/// ConfigurationLoader of the inbound endpoints.
fn mi(node: &Node) -> Vec<Port> {
    let offset = node.number("server.offset", 10);
    let bases = MI.iter().zip(MI_BASES);
    bases
        .filter_map(|((base, what, is_for_peers), path)| {
            Some(Port {
                number: u16::try_from(node.number(path, i64::from(*base)) + offset).ok()?,
                what,
                is_for_peers: *is_for_peers,
            })
        })
        .collect()
}

/// In the order of the ports.
const MI_BASES: [&str; 4] = [
    "transport.http.listener.port",
    "transport.http.listener.secured_port",
    "mediation.internal_http_api_port",
    "mediation.internal_https_api_port",
];

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
