//! How events travel between the nodes of API-M: throttling, deployments, revocations.

use super::node::{Component, Node, Setting};
use super::{Finding, Rule, Severity, Site, Stage, ports};

pub const RULES: &[Rule] = &[
    Rule {
        id: "apim-01",
        title: "every node that receives events is in the list of groups",
        severity: Severity::Error,
        stage: Stage::Plan,
        why: "a node that is left out never hears of a deployed API",
        fix: "write one group for each node, itself included",
        source: "wso2/api-manager#3389; docs-apim setup/single-node/configuring-an-active-active-deployment",
        check: groups,
    },
    Rule {
        id: "apim-02",
        title: "a node with a broker listens to its own broker, and to no other",
        severity: Severity::Error,
        stage: Stage::Plan,
        why: "its publisher sends along the same list: events would go to one broker only, and the other nodes stay deaf",
        fix: "write one URL, `tcp://localhost:5672` plus the offset",
        source: "docs-apim setup/single-node/configuring-an-active-active-deployment; jndi-cp.properties",
        check: own_broker,
    },
    Rule {
        id: "apim-03",
        title: "a node with a broker copies revocations and decisions to each of its twins, and not to itself",
        severity: Severity::Error,
        stage: Stage::Plan,
        why: "a token that is revoked on one node is still good on another; a node that names itself gets all twice",
        fix: "make event_duplicate_url the brokers of the other nodes",
        source: "docs-apim setup/single-node/configuring-an-active-active-deployment; jndi2-cp.properties",
        check: duplicates,
    },
    Rule {
        id: "apim-04",
        title: "a gateway knows every control plane and every traffic manager",
        severity: Severity::Error,
        stage: Stage::Plan,
        why: "when the ones that it knows are down, it hears of no change, although another is there",
        fix: "list the brokers of all nodes",
        source: "docs-apim install-and-setup/setup/distributed-deployment/deploying-wso2-api-m-in-a-distributed-setup",
        check: failover,
    },
    Rule {
        id: "apim-05",
        title: "events go to nodes, never to a load balancer",
        severity: Severity::Error,
        stage: Stage::Plan,
        why: "a balancer gives each connection to one node, and the others lose those events",
        fix: "name the address of each node",
        source: "docs-apim install-and-setup/setup/distributed-deployment/deploying-wso2-api-m-in-a-distributed-setup",
        check: through_the_balancer,
    },
    Rule {
        id: "apim-06",
        title: "URLs of brokers and receivers begin with `tcp://`, those of logins with `ssl://`",
        severity: Severity::Error,
        stage: Stage::Plan,
        why: "the connection fails; TLS to a broker is a setting of its own, not a scheme",
        fix: "mend the scheme; for TLS see apim.event_hub.ssl and apim.throttling.jms.ssl",
        source: "wso2/api-manager#2366, #2810",
        check: schemes,
    },
    Rule {
        id: "apim-07",
        title: "a group names the receivers and their logins in one order",
        severity: Severity::Error,
        stage: Stage::Plan,
        why: "the n-th login belongs to the n-th receiver: the publisher logs in elsewhere than it sends to",
        fix: "write both lists with the same hosts in the same order",
        source: "wso2/carbon-apimgt, the template of api-manager.xml",
        check: pairs,
    },
    Rule {
        id: "apim-08",
        title: "a group has the keys of its own family",
        severity: Severity::Error,
        stage: Stage::Plan,
        why: "keys that are not known are ignored without a word, and the group is empty",
        fix: "`traffic_manager_urls` and `traffic_manager_auth_urls` below throttling, `urls` and `auth_urls` below event_hub",
        source: "wso2/carbon-apimgt, the template of api-manager.xml",
        check: families,
    },
    Rule {
        id: "apim-09",
        title: "the port of an event URL, and of a service URL that leads to a node, is the one of that node",
        severity: Severity::Error,
        stage: Stage::Plan,
        why: "nobody listens there",
        fix: "add the `server.offset` of that node to 5672, 9611, 9711 or 9443",
        source: "docs-apim reference/default-product-ports.md",
        check: port_of_the_peer,
    },
];

/// The lists of groups, and the keys of their URLs: the two families are not the same.
const GROUPS: [(&str, &str, &str); 2] = [
    (
        "apim.throttling.url_group",
        "traffic_manager_urls",
        "traffic_manager_auth_urls",
    ),
    ("apim.event_hub.publish.url_group", "urls", "auth_urls"),
];

/// Lists of URLs of brokers.
const BROKERS: [&str; 4] = [
    DECISIONS,
    "apim.throttling.event_duplicate_url",
    LISTENING,
    "apim.event_hub.event_duplicate_url",
];
const DECISIONS: &str = "apim.throttling.throttle_decision_endpoints";
const LISTENING: &str = "apim.event_hub.event_listening_endpoints";

/// The lists whose URLs must lead to nodes of one kind, by that kind: throttling is the matter of traffic managers,
/// where there are any.
fn families_of(site: &Site) -> [(&'static str, &'static str, Vec<&Node>); 2] {
    [
        (
            LISTENING,
            "apim.event_hub.event_duplicate_url",
            site.event_hubs().collect(),
        ),
        (
            DECISIONS,
            "apim.throttling.event_duplicate_url",
            site.throttlers(),
        ),
    ]
}

fn is_one_of(node: &Node, nodes: &[&Node]) -> bool {
    let same = |n: &&Node| n.host == node.host && n.service == node.service;
    nodes.iter().any(same)
}

/// Whether a URL's host, as `from` understands it, is that node.
fn leads_to(site: &Site, from: &Node, host: &str, to: &Node) -> bool {
    let is_self = ["localhost", "127.0.0.1"].contains(&host);
    let named = host == to.host || host == site.address(&to.host);
    named || is_self && from.host == to.host
}

/// The host of each URL of a list, with its place.
fn hosts<'n>(node: &'n Node, list: &str) -> Vec<(Setting<'n>, &'n str)> {
    let urls = node.list(list).into_iter();
    urls.filter_map(|url| Some((url, address_of(url.text()?)?.0)))
        .collect()
}

/// Every URL by which a node sends or gets events.
fn urls(node: &Node) -> Vec<Setting<'_>> {
    let groups = GROUPS.iter().flat_map(|(list, urls, logins)| {
        node.list(list).into_iter().flat_map(move |group| {
            [urls, logins]
                .into_iter()
                .filter_map(move |key| group.get(key))
        })
    });
    let brokers = BROKERS.iter().filter_map(|list| node.get(list));
    groups.chain(brokers).flat_map(Setting::list).collect()
}

/// `tcp://10.0.1.11:9611` is 10.0.1.11 and 9611.
pub fn address_of(url: &str) -> Option<(&str, u16)> {
    let (_, rest) = url.split_once("://")?;
    let (host, port) = rest.rsplit_once(':')?;
    Some((host, port.trim_end_matches('/').parse().ok()?))
}

/// Who must be in a list of groups. Calls are counted by the traffic managers, where those are hosts of their own.
fn receivers<'s>(site: &'s Site, list: &str) -> Vec<&'s Node> {
    match list.starts_with("apim.throttling.") {
        true => site.throttlers(),
        false => site.event_hubs().collect(),
    }
}

fn groups(site: &Site) -> Vec<Finding> {
    let mut found = Vec::new();
    for node in site.apim() {
        for (list, key, _) in GROUPS {
            let Some(written) = node.get(list) else {
                continue;
            };
            let named: Vec<(&str, u16)> = node
                .list(list)
                .into_iter()
                .filter_map(|group| group.get(key))
                .flat_map(Setting::texts)
                .filter_map(address_of)
                .collect();
            for hub in receivers(site, list) {
                let address = site.address(&hub.host);
                let port = u16::try_from(9611 + ports::offset(hub)).unwrap_or_default();
                let wanted = [(address, port), (hub.host.as_str(), port)];
                let times = named.iter().filter(|n| wanted.contains(n)).count();
                if times != 1 {
                    let times = match times {
                        0 => "is missing".to_owned(),
                        times => format!("stands {times} times"),
                    };
                    found.push(
                        written.finds(format!("{address}:{port} ({}) {times} in {list}", hub.host)),
                    );
                }
            }
        }
    }
    found
}

fn own_broker(site: &Site) -> Vec<Finding> {
    let mut found = Vec::new();
    for (list, _, members) in families_of(site) {
        for node in members {
            let named = hosts(node, list);
            if let Some((url, host)) = named.iter().find(|(_, h)| !leads_to(site, node, h, node)) {
                found.push(url.finds(format!("{list} names {host}, another broker than its own")));
            } else if named.len() > 1 {
                found.push(
                    named[1]
                        .0
                        .finds(format!("{list} has {} entries", named.len())),
                );
            }
        }
    }
    found
}

fn duplicates(site: &Site) -> Vec<Finding> {
    let mut found = Vec::new();
    for (listening, list, members) in families_of(site) {
        for node in &members {
            // An all-in-one node has no event_hub of its own: what it hears is throttling's.
            let is_used = list.contains("throttling") || node.get(listening).is_some();
            if !is_used || members.len() < 2 {
                continue;
            }
            let named = hosts(node, list);
            let missing = members.iter().filter(|peer| {
                !is_one_of(peer, &[node])
                    && !named.iter().any(|(_, h)| leads_to(site, node, h, peer))
            });
            found
                .extend(missing.map(|peer| node.finds(format!("{list} leaves out {}", peer.host))));
            let own = named.iter().find(|(_, h)| leads_to(site, node, h, node));
            found.extend(own.map(|(url, _)| url.finds(format!("{list} names the node itself"))));
        }
    }
    found
}

fn failover(site: &Site) -> Vec<Finding> {
    let mut found = Vec::new();
    for node in site.of(Component::Gateway) {
        for (list, _, members) in families_of(site) {
            let named = hosts(node, list);
            let missing = members
                .iter()
                .filter(|peer| !named.iter().any(|(_, h)| leads_to(site, node, h, peer)));
            found
                .extend(missing.map(|peer| node.finds(format!("{list} leaves out {}", peer.host))));
        }
    }
    found
}

/// Every URL list of a node, with the base of the ports in it and the scheme that they need.
fn lists(node: &Node) -> Vec<(Setting<'_>, i64, &'static str)> {
    let brokers = BROKERS.iter().filter_map(|list| node.get(list));
    let mut all: Vec<_> = brokers.map(|list| (list, 5672, "tcp")).collect();
    for (list, urls, logins) in GROUPS {
        for group in node.list(list) {
            let sent = group.get(urls).map(|l| (l, 9611, "tcp"));
            let logins = group.get(logins).map(|l| (l, 9711, "ssl"));
            all.extend(sent.into_iter().chain(logins));
        }
    }
    all
}

fn schemes(site: &Site) -> Vec<Finding> {
    let mut found = Vec::new();
    for node in site.apim() {
        for (list, _, wanted) in lists(node) {
            for url in list.list() {
                let text = url.text().unwrap_or_default();
                if text
                    .split_once("://")
                    .is_none_or(|(scheme, _)| scheme != wanted)
                {
                    found.push(url.finds(format!("`{text}` does not begin with {wanted}://")));
                }
            }
        }
    }
    found
}

fn pairs(site: &Site) -> Vec<Finding> {
    let mut found = Vec::new();
    for node in site.apim() {
        for (list, urls, logins) in GROUPS {
            for group in node.list(list) {
                let hosts = |key: &str| -> Vec<&str> {
                    let texts = group.get(key).map(Setting::texts).unwrap_or_default();
                    let read = texts.into_iter().filter_map(address_of);
                    read.map(|(host, _)| host).collect()
                };
                if hosts(urls) != hosts(logins) {
                    found.push(group.finds(format!("{urls} and {logins} name other hosts")));
                }
            }
        }
    }
    found
}

fn families(site: &Site) -> Vec<Finding> {
    let mut found = Vec::new();
    for node in site.apim() {
        for ((list, ..), (_, urls, logins)) in GROUPS.iter().zip(GROUPS.iter().rev()) {
            for group in node.list(list) {
                let foreign = [urls, logins]
                    .into_iter()
                    .filter_map(|key| Some((key, group.get(key)?)));
                found.extend(foreign.map(|(key, at)| at.finds(format!("{list} knows no `{key}`"))));
            }
        }
    }
    found
}

/// Those that name a balancer lead to no node.
const SERVICES: [&str; 3] = [
    "apim.event_hub.service_url",
    "apim.key_manager.service_url",
    "apim.throttling.service_url",
];

fn services(node: &Node) -> Vec<Setting<'_>> {
    let environments = node.list("apim.gateway.environment").into_iter();
    let of_gateways = environments.filter_map(|e| e.get("service_url"));
    let own = SERVICES.iter().filter_map(|path| node.get(path));
    own.chain(of_gateways).collect()
}

/// `https://10.0.1.11:9443/services/` without its path; a port may also be a variable of the server.
fn without_path(url: &str) -> &str {
    let after = url.find("://").map_or(0, |at| at + 3);
    let end = url[after..].find('/').map_or(url.len(), |at| after + at);
    &url[..end]
}

fn port_of_the_peer(site: &Site) -> Vec<Finding> {
    let mut found = Vec::new();
    for node in site.apim() {
        for url in services(node) {
            let Some((host, port)) = url.text().map(without_path).and_then(address_of) else {
                continue;
            };
            let peers = site.apim().filter(|peer| leads_to(site, node, host, peer));
            let wanted: Vec<i64> = peers.map(ports::portals).collect();
            if let Some(first) = wanted
                .first()
                .filter(|_| !wanted.contains(&i64::from(port)))
            {
                found.push(url.finds(format!("port {port} of {host} should be {first}")));
            }
        }
        for (list, base, _) in lists(node) {
            for url in list.list() {
                let Some((host, port)) = url.text().and_then(address_of) else {
                    continue;
                };
                // The broker over TLS.
                let base = match (base, port) {
                    (5672, 8672..) => 8672,
                    _ => base,
                };
                let mut peers = site.apim().filter(|peer| leads_to(site, node, host, peer));
                let Some(wanted) = peers.next().map(|peer| base + ports::offset(peer)) else {
                    continue;
                };
                if i64::from(port) != wanted
                    && !peers.any(|p| base + ports::offset(p) == i64::from(port))
                {
                    found.push(url.finds(format!("port {port} of {host} should be {wanted}")));
                }
            }
        }
    }
    found
}

fn through_the_balancer(site: &Site) -> Vec<Finding> {
    let mut found = Vec::new();
    for node in site.apim() {
        for url in urls(node) {
            let Some((host, _)) = url.text().and_then(address_of) else {
                continue;
            };
            if balancers(site).any(|name| name == host) {
                found.push(url.finds(format!("events go through the load balancer, {host}")));
            }
        }
    }
    found
}

/// Names and addresses that stand for several nodes.
fn balancers(site: &Site) -> impl Iterator<Item = &str> {
    site.hosts.values().flat_map(|host| {
        let names = ["load_balancer_address", "apim_hostname", "api_hostname"];
        let named = names
            .into_iter()
            .filter_map(|name| host.variable(name)?.as_str());
        let is_balancer = host.groups.iter().any(|g| g == "load_balancer");
        let own = [host.name.as_str(), host.address.as_str()];
        named.chain(own.into_iter().filter(move |_| is_balancer))
    })
}
