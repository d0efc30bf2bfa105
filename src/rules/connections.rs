//! The way to the databases: whether each node reaches its servers, and whether they take all that the nodes may open.

use super::database::{self, server_of};
use super::node::{Component, Node, Setting};
use super::{Finding, Rule, Severity, Site, Stage};
use crate::wire::survey::{Peer, Reach};
use std::collections::BTreeMap;

pub const RULES: &[Rule] = &[
    Rule {
        id: "apim-31",
        title: "a database server of ours takes as many connections as all nodes together may open",
        severity: Severity::Warning,
        stage: Stage::Host,
        why: "under load the nodes wait for connections that never come",
        fix: "raise max_connections, or lower apim_db_pool_size, mi_db_pool_size or si_db_pool_size",
        source: "wso2/product-apim v4.5.0, default.json: pool_options.maxActive 50; tomcat-jdbc and HikariCP, defaults of the pools",
        check: crowds,
    },
    Rule {
        id: "integration-09",
        title: "each node reaches the servers of its databases (the login itself is not tried)",
        severity: Severity::Error,
        stage: Stage::Host,
        why: "MI stays alive without ever opening a port, and SI and API-M stop at their start",
        fix: "open the port from this host, start the server, or let it take logins from this host",
        source: "wso2/product-integrator-mi v4.4.0, coordination; MariaDB and MySQL, the greeting of a refused host",
        check: unreached,
    },
];

type Server = (String, u16);

/// Each pool of a node by its server, with its size.
fn pools(node: &Node) -> Vec<(Server, i64)> {
    let urls = database::pools(node).into_iter();
    urls.filter_map(|(url, size)| {
        let server = server_of(url.resolved()?.look())?;
        Some((
            server,
            size.and_then(Setting::int).unwrap_or(default_size(node)),
        ))
    })
    .collect()
}

fn default_size(node: &Node) -> i64 {
    match node.component {
        Component::Mi => 100,
        Component::Si => 10,
        _ => 50,
    }
}

fn crowds(site: &Site) -> Vec<Finding> {
    let mut wanted: BTreeMap<Server, i64> = BTreeMap::new();
    for (server, size) in site.nodes.iter().flat_map(pools) {
        *wanted.entry(server).or_default() += size;
    }
    let mut found = Vec::new();
    for (host, survey) in site.surveys() {
        let here = wanted
            .iter()
            .filter(|((address, _), _)| [&host.address, &host.name].contains(&address));
        let wanted: i64 = here.map(|(_, sum)| sum).sum();
        for database in &survey.databases {
            match Finding::seen(&host.name, &database.server) {
                Err(unseen) => found.push(unseen),
                Ok(server) if i64::from(server.max_connections) < wanted => {
                    let most = server.max_connections;
                    let what =
                        format!("{most} connections are allowed, and the nodes may open {wanted}");
                    found.push(Finding::on(&host.name, what));
                }
                Ok(_) => {}
            }
        }
    }
    found
}

fn unreached(site: &Site) -> Vec<Finding> {
    let mut found = Vec::new();
    for (node, instance) in site.surveyed() {
        let Some(survey) = site.survey(&node.host) else {
            continue;
        };
        let servers: BTreeMap<Server, i64> = pools(node).into_iter().collect();
        for (address, port) in servers.keys() {
            let peer = survey
                .peers
                .iter()
                .find(|p| p.address == *address && p.port == *port);
            let Some(peer) = peer else { continue };
            let may_be_down = is_ours(site, address) && instance.jvm.is_none();
            match refusal(node, peer, may_be_down) {
                Err(unseen) => found.push(unseen),
                Ok(Some(why)) => found.push(node.finds(format!("{address} port {port}: {why}"))),
                Ok(None) => {}
            }
        }
    }
    found
}

/// Whether this run sets the server up.
fn is_ours(site: &Site, address: &str) -> bool {
    let mut hosts = site.hosts.values();
    hosts.any(|host| {
        let is_here = host.address == address || host.name == address;
        is_here && host.groups.iter().any(|group| group == "database")
    })
}

/// Before the first run our own server is not there, and knows nobody.
fn refusal(node: &Node, peer: &Peer, may_be_down: bool) -> Result<Option<String>, Finding> {
    let told = |why: &str| Ok(Some(why.to_owned()));
    match Finding::seen(&node.host, &peer.reach)? {
        Reach::Open { .. } => {}
        Reach::Refused if may_be_down => return Ok(None),
        Reach::Refused => return told("nobody listens"),
        Reach::Silent => return told("nothing answers"),
        Reach::NoAddress => return told("the name has no address"),
        Reach::Failed { why } => return told(why),
    }
    let greeting = peer.greeting.as_deref().unwrap_or_default();
    let refused = REFUSALS.iter().find(|sign| greeting.contains(**sign));
    Ok(refused
        .filter(|_| !may_be_down)
        .map(|_| format!("it says `{greeting}`")))
}

/// What MariaDB and MySQL say instead of a greeting.
const REFUSALS: [&str; 3] = [
    "is not allowed to connect",
    "is blocked because of",
    "Too many connections",
];
