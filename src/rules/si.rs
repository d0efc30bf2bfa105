//! Two nodes of SI, of which one is active.

use super::database::{coordination, schema_of};
use super::node::{Component, Node, Setting};
use super::{Finding, Rule, Severity, Site, Stage, catalog};
use crate::wire::survey::Reach;
use indexmap::IndexMap;

pub const RULES: &[Rule] = &[
    Rule {
        id: "integration-34",
        title: "the coordination database of SI is on a server",
        severity: Severity::Error,
        stage: Stage::Plan,
        why: "H2, as the pack has it, is a file of one node: both would be active",
        fix: "let WSO2_CLUSTER_DB name a schema that both nodes reach",
        source: "wso2/streaming-integrator v4.3.0, conf/server/deployment.yaml",
        check: own_file,
    },
    Rule {
        id: "integration-35",
        title: "both nodes of SI have one groupId",
        severity: Severity::Error,
        stage: Stage::Plan,
        why: "each group has an active node of its own",
        fix: "let si_group_id be the cluster's",
        source: "docs-si setup/deploying-si-as-minimum-ha-cluster.md",
        check: groups,
    },
    Rule {
        id: "integration-36",
        title: "each node of SI can reach the other where that says it is",
        severity: Severity::Error,
        stage: Stage::Plan,
        why: "the active node sends its events to that address: a takeover would begin without them",
        fix: "let eventSyncServer.advertisedHost be the node's own address, as the other sees it",
        source: "docs-si setup/deploying-si-as-minimum-ha-cluster.md",
        check: advertised,
    },
    Rule {
        id: "integration-37",
        title: "the state of SI is kept where the other node finds it",
        severity: Severity::Error,
        stage: Stage::Plan,
        why: "a takeover would begin with an empty state",
        fix: "enable state.persistence with the DBPersistenceStore",
        source: "docs-si admin/configuring-Database-and-File-System-State-Persistence.md",
        check: |site| ha(site).filter_map(forgetful).collect(),
    },
    Rule {
        id: "integration-38",
        title: "cluster.config and deployment.config of SI go together",
        severity: Severity::Error,
        stage: Stage::Plan,
        why: "one without the other makes no pair: each node takes events in as if it were alone, or does not start",
        fix: "cluster.config.enabled: true and deployment.config.type: ha, both or none",
        source: "docs-si setup/deploying-si-as-minimum-ha-cluster.md",
        check: |site| site.si().filter_map(half_clustered).collect(),
    },
    Rule {
        id: "integration-42",
        title: "key stores of SI are those that its launcher names",
        severity: Severity::Warning,
        stage: Stage::Plan,
        why: "carbon.sh gives the JVM the pack's key store and password, whatever deployment.yaml says",
        fix: "keep the pack's, or write wso2/server/bin/carbon.sh too (si_extra_files)",
        source: "wso2/streaming-integrator v4.3.0, modules/distribution/carbon-home/bin",
        check: |site| site.si().flat_map(other_keystores).collect(),
    },
    Rule {
        id: "integration-43",
        title: "a group of SI has two nodes at most",
        severity: Severity::Error,
        stage: Stage::Plan,
        why: "the third one ends with a HAModeException",
        fix: "make another cluster of it, with a groupId of its own",
        source: "wso2/carbon-analytics, streaming.integrator.core, HAManager",
        check: thirds,
    },
];

fn is_on(node: &Node) -> bool {
    node.get("cluster.config.enabled").and_then(Setting::bool) == Some(true)
}

/// The nodes of pairs.
fn ha(site: &Site) -> impl Iterator<Item = &Node> {
    site.si().filter(|node| is_on(node))
}

fn own_file(site: &Site) -> Vec<Finding> {
    let urls = ha(site).filter_map(coordination);
    urls.filter(|url| url.text().is_some_and(|text| text.starts_with("jdbc:h2")))
        .map(|url| url.finds("WSO2_CLUSTER_DB is H2, a file of this node alone"))
        .collect()
}

fn group(node: &Node) -> Option<Setting<'_>> {
    node.get("cluster.config.groupId")
}

fn groups(site: &Site) -> Vec<Finding> {
    let mut found = Vec::new();
    for cluster in site.clusters() {
        let named = cluster
            .iter()
            .filter(|n| n.component == Component::Si)
            .filter_map(|n| Some((*n, group(n)?)));
        let named: Vec<(&Node, Setting<'_>)> = named.collect();
        let Some((first, id)) = named.first() else {
            continue;
        };
        if let Some((_, other)) = named.iter().find(|(_, other)| other.text() != id.text()) {
            let told = |id: &Setting<'_>| id.text().unwrap_or_default().to_owned();
            let what = format!(
                "`{}` has the groups {} and {}",
                first.cluster,
                told(id),
                told(other)
            );
            let hosts = named.iter().map(|(n, _)| n.host.as_str());
            found.push(Finding::among(hosts, what).at(other.span()));
        }
    }
    found
}

/// Only the passive node listens: refused says nothing, silence does.
fn silent(site: &Site) -> Vec<Finding> {
    let mut found = Vec::new();
    for node in ha(site) {
        let peers = site
            .survey(&node.host)
            .map(|s| s.peers.as_slice())
            .unwrap_or_default();
        let others = site.peers(node).into_iter();
        let ports: Vec<(&Node, i64)> = others
            .map(|other| {
                (
                    other,
                    other.number("deployment.config.eventSyncServer.port", 9893),
                )
            })
            .collect();
        for (other, port) in ports {
            let peer = peers
                .iter()
                .find(|p| p.name == other.host && i64::from(p.port) == port);
            let Some(peer) = peer else { continue };
            match Finding::seen(&node.host, &peer.reach) {
                Err(unseen) => found.push(unseen),
                Ok(Reach::Silent) => {
                    found.push(node.finds(format!("{} does not answer on port {port}", other.host)))
                }
                Ok(_) => {}
            }
        }
    }
    found
}

fn advertised(site: &Site) -> Vec<Finding> {
    let mut found = site.unanswered(|node| node.component == Component::Si);
    found.extend(silent(site));
    for node in ha(site) {
        let Some(host) = node.get("deployment.config.eventSyncServer.advertisedHost") else {
            found.push(node.finds(format!("{} advertises no address for events", node.service)));
            continue;
        };
        let name = host.text().unwrap_or_default();
        let is_other = |other: &&Node| [site.address(&other.host), &other.host].contains(&name);
        if catalog::is_own(name) {
            found.push(host.finds(format!(
                "`{name}` is the other node itself when that one asks"
            )));
        } else if let Some(other) = site.peers(node).into_iter().find(is_other) {
            found.push(host.finds(format!(
                "events for {} go to `{name}`, which is {}",
                node.host, other.host
            )));
        }
    }
    found
}

/// A file store may be on a file system of both nodes; a folder of the release is not.
fn forgetful(node: &Node) -> Option<Finding> {
    let state = node.get("state.persistence");
    let is_on = |s: &Setting<'_>| s.get("enabled").and_then(Setting::bool) == Some(true);
    let Some(state) = state.filter(is_on) else {
        return Some(node.finds(format!("{} does not persist its state", node.service)));
    };
    let store = state.get("persistenceStore")?;
    let is_file = store.text()?.contains("FileSystem");
    let folder = state
        .get("config.location")
        .and_then(Setting::text)
        .unwrap_or_default();
    (is_file && !folder.starts_with('/'))
        .then(|| store.finds("the state is in a folder of this node alone"))
}

fn half_clustered(node: &Node) -> Option<Finding> {
    let is_ha = node.text("deployment.config.type") == Some("ha");
    let what = match (is_on(node), is_ha) {
        (true, false) => "cluster.config is enabled and deployment.config.type is not `ha`",
        (false, true) => "deployment.config.type is `ha` and cluster.config is not enabled",
        _ => return None,
    };
    Some(node.finds(what))
}

fn other_keystores(node: &Node) -> Vec<Finding> {
    if node.file("/bin/carbon.sh").is_some() {
        return vec![];
    }
    let lists = ["wso2.transport.http", "siddhi.stores.query.api"];
    let listeners = lists
        .iter()
        .flat_map(|path| node.list(&format!("{path}.listenerConfigurations")));
    let named = listeners.flat_map(|l| {
        [
            (l.get("keyStoreFile"), FILE),
            (l.get("keyStorePassword"), PASSWORD),
        ]
    });
    let bridge = [
        (node.get("databridge.config.keyStoreLocation"), FILE),
        (node.get("databridge.config.keyStorePassword"), PASSWORD),
    ];
    named
        .chain(bridge)
        .filter_map(|(setting, pack)| Some((setting?, pack)))
        .filter(|(setting, pack)| {
            setting
                .resolved()
                .is_some_and(|v| !v.look().ends_with(pack))
        })
        .map(|(setting, _)| {
            setting.finds("carbon.sh still names the pack's key store and password")
        })
        .collect()
}

/// As the pack has them.
const FILE: &str = "/resources/security/wso2carbon.jks";
const PASSWORD: &str = "wso2carbon";

fn thirds(site: &Site) -> Vec<Finding> {
    let mut groups: IndexMap<(String, String), Vec<&str>> = IndexMap::new();
    for node in ha(site) {
        let schema = coordination(node)
            .and_then(Setting::resolved)
            .and_then(|url| schema_of(url.look()));
        if let (Some(schema), Some(id)) = (schema, group(node).and_then(Setting::text)) {
            groups
                .entry((schema, id.to_owned()))
                .or_default()
                .push(&node.host);
        }
    }
    let crowds = groups.into_iter().filter(|(_, hosts)| hosts.len() > 2);
    crowds
        .map(|((_, id), hosts)| {
            let what = format!("the group `{id}` has {} nodes", hosts.len());
            Finding::among(hosts, what)
        })
        .collect()
}
