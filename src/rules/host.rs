//! What hosts must be like before a node starts: clock, room, JDK.

use super::node::{Component, Node};
use super::{Finding, Instance, Rule, Severity, Site, Stage, versions};

pub const RULES: &[Rule] = &[
    Rule {
        id: "apim-34",
        title: "the JDK of a node of API-M is one that its version runs on",
        severity: Severity::Error,
        stage: Stage::Host,
        why: "the start script prints an error and goes on, and what happens then is undefined",
        fix: "install another JDK and name it in java_package and java_home",
        source: "wso2/product-apim v4.2.0 to v4.7.0, bin/api-manager.sh",
        check: |site| jdks(site, Component::is_apim),
    },
    Rule {
        id: "integration-17",
        title: "the JDK of a node of MI or SI is one that its version runs on",
        severity: Severity::Error,
        stage: Stage::Host,
        why: "the product does not start, or fails later in ways that do not name the JDK",
        fix: "install another JDK and name it in java_package and java_home",
        source: "wso2/product-integrator-mi v4.1.0 to v4.6.0, bin/micro-integrator.sh",
        check: |site| jdks(site, |component| !component.is_apim()),
    },
    Rule {
        id: "apim-58",
        title: "the clocks of all hosts agree within 30 seconds",
        severity: Severity::Warning,
        stage: Stage::Host,
        why: "a token that one node issues is not valid yet, or no longer, on another",
        fix: "let every host ask the same time server: `timedatectl set-ntp true`",
        source: "docs-apim install-and-setup/setup/deployment-best-practices/production-deployment-guidelines.md",
        check: |site| skews(site, site.apim().collect(), 30_000),
    },
    Rule {
        id: "integration-10",
        title: "the clocks of a cluster agree within one second",
        severity: Severity::Warning,
        stage: Stage::Host,
        why: "nodes judge each other's heartbeats by their own clocks, and take a living node for a dead one",
        fix: "let every host ask the same time server: `timedatectl set-ntp true`",
        source: "docs-mi setup/deployment/deploying-wso2-mi.md",
        check: |site| {
            let clusters = site.clusters().into_iter();
            clusters
                .filter(|nodes| nodes.iter().any(|n| !n.component.is_apim()))
                .flat_map(|nodes| skews(site, nodes, 1_000))
                .collect()
        },
    },
    Rule {
        id: "apim-59",
        title: "there is room on the disk for three packs",
        severity: Severity::Warning,
        stage: Stage::Host,
        why: "a full disk stops a node, and an update or a rollback needs room for another release",
        fix: "remove old releases, logs and heap dumps, or give the host a larger disk",
        source: "docs-apim install-and-setup/install/installation-prerequisites",
        check: room,
    },
];

fn jdks(site: &Site, of: impl Fn(Component) -> bool) -> Vec<Finding> {
    let nodes = site.surveyed().filter(|(node, _)| of(node.component));
    nodes
        .filter_map(|(node, instance)| jdk(site, node, instance))
        .collect()
}

fn jdk(site: &Site, node: &Node, instance: &Instance) -> Option<Finding> {
    let product = versions::named(node);
    let Some((first, last)) = versions::jdk_range(site, node) else {
        let why = format!("which JDKs {product} runs on is not known");
        return Some(Finding::unjudged(&node.host, why));
    };
    match Finding::seen(&node.host, &instance.java.at_home) {
        Err(unseen) => Some(unseen),
        Ok(java) if (first..=last).contains(&u64::from(java.major)) => None,
        Ok(java) => Some(node.finds(format!(
            "{} has JDK {} ({}); {product} runs on {first} to {last}",
            node.service,
            java.major,
            java.program.display(),
        ))),
    }
}

/// Two surveys are not of one moment: a clock is compared by how far it is from ours, which the survey's asker noted.
fn skews(site: &Site, nodes: Vec<&Node>, most: i64) -> Vec<Finding> {
    let ahead = |node: &Node| site.hosts.get(&node.host)?.ahead_ms;
    let known: Vec<(&Node, i64)> = nodes
        .into_iter()
        .filter_map(|n| Some((n, ahead(n)?)))
        .collect();
    let first = known.iter().min_by_key(|(_, ahead)| *ahead);
    let last = known.iter().max_by_key(|(_, ahead)| *ahead);
    match (first, last) {
        (Some((slow, behind)), Some((fast, ahead))) if ahead - behind > most => {
            let apart = ahead - behind;
            let what = format!(
                "the clock of {} is {}.{} s ahead of that of {}",
                fast.host,
                apart / 1000,
                apart % 1000 / 100,
                slow.host
            );
            vec![Finding::among(
                [slow.host.as_str(), fast.host.as_str()],
                what,
            )]
        }
        _ => vec![],
    }
}

/// Three times a large pack, unpacked and as it comes, in bytes.
const ROOM: u64 = 3 << 30;

fn room(site: &Site) -> Vec<Finding> {
    let nodes = site.surveyed();
    nodes
        .filter_map(|(node, instance)| room_for(site, node, instance))
        .collect()
}

/// While nothing is installed there is no home yet: it will be where the nearest folder above it is.
fn room_for(site: &Site, node: &Node, instance: &Instance) -> Option<Finding> {
    let disks = &site.survey(&node.host)?.disks;
    let asked: Vec<_> = instance
        .home
        .ancestors()
        .filter_map(|path| disks.iter().find(|disk| disk.path == path))
        .collect();
    let Some(disk) = asked.iter().find(|disk| disk.room.known().is_some()) else {
        let why = asked.iter().find_map(|disk| disk.room.why());
        return Some(Finding::unjudged(
            &node.host,
            why.unwrap_or("no disk was asked for"),
        ));
    };
    let room = disk.room.known()?;
    let free = room.free >> 20;
    let path = disk.path.display();
    (room.free < ROOM).then(|| node.finds(format!("{path} has {free} MiB left")))
}
