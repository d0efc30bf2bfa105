//! What the hosts of integration nodes have and keep: memory, files, what runs there.

use super::node::{Component, Node};
use super::{Finding, Instance, Rule, Seen, Severity, Site, Stage, capps};
use crate::wire::survey::{Mount, PidHolder};

pub const RULES: &[Rule] = &[
    Rule {
        id: "integration-23",
        title: "a node with encrypted secrets can open them at every start",
        severity: Severity::Error,
        stage: Stage::Host,
        why: "the server asks for the key store's password at a console that a service does not have",
        fix: "write password-persist into the product's folder, mode 0400; password-tmp is gone after one start",
        source: "docs-mi setup/security/encrypting-plain-text.md",
        check: |site| {
            each(site, Component::Mi, |_, node, instance| {
                locked(node, instance)
            })
        },
    },
    Rule {
        id: "integration-30",
        title: "CApps are not deployed while running from a folder that several hosts share",
        severity: Severity::Error,
        stage: Stage::Host,
        why: "all nodes deploy at one moment, so a change cannot go node by node, and undeploying races",
        fix: "set [server] hot_deployment = false, or give each node a folder of its own",
        source: "wso2/product-integrator-mi issues 4985 and 4427",
        check: |site| each(site, Component::Mi, hot_and_shared),
    },
    Rule {
        id: "integration-31",
        title: "the nodes of an integration cluster have one update level",
        severity: Severity::Error,
        stage: Stage::Running,
        why: "a call fails or not by the node that takes it, and schemas may differ between levels",
        fix: "install one pack, updated once, on all nodes",
        source: "docs-mi setup/updating-mi.md",
        check: levels,
    },
    Rule {
        id: "integration-45",
        title: "the heaps of a host fit into three quarters of its memory",
        severity: Severity::Warning,
        stage: Stage::Host,
        why: "a JVM needs memory besides its heap: the kernel ends one of them, or the host swaps",
        fix: "lower mi_heap, si_heap or apim_heap, or give the host more memory",
        source: "docs-mi install/installation-prerequisites.md",
        check: heaps,
    },
    Rule {
        id: "integration-46",
        title: "no pid file names a process of somebody else",
        severity: Severity::Error,
        stage: Stage::Host,
        why: "the start script takes that process for the server, starts nothing, and ends with 0",
        fix: "remove the file while the node is stopped",
        source: "wso2/product-integrator-mi v4.4.0, bin/micro-integrator.sh; wso2/streaming-integrator v4.3.0, bin/server.sh",
        check: |site| {
            let mut found = each(site, Component::Mi, |_, node, instance| {
                stale_pid(node, instance)
            });
            found.extend(each(site, Component::Si, |_, node, instance| {
                stale_pid(node, instance)
            }));
            found
        },
    },
];

/// What a rule finds on each node of a product that was seen.
fn each(
    site: &Site,
    component: Component,
    check: impl Fn(&Site, &Node, &Instance) -> Option<Finding>,
) -> Vec<Finding> {
    let nodes = site
        .surveyed()
        .filter(|(node, _)| node.component == component);
    nodes
        .filter_map(|(node, instance)| check(site, node, instance))
        .collect()
}

fn locked(node: &Node, instance: &Instance) -> Option<Finding> {
    let settings = node.settings.as_ref().ok()?;
    let mut lines = settings.span.file.text.lines().map(str::trim_start);
    let is_locked = lines.any(|line| !line.starts_with('#') && line.contains("$secret{"));
    if !is_locked || node.file("/password-persist").is_some() {
        return None;
    }
    let files = match Finding::seen(&node.host, &instance.password_files) {
        Ok(files) => files,
        Err(unseen) => return Some(unseen),
    };
    let is_there = |name: &str| {
        files
            .iter()
            .any(|f| f.path.file_name().is_some_and(|n| n == name))
    };
    if is_there("password-persist") {
        return None;
    }
    let only = if is_there("password-tmp") {
        ", and password-tmp is for one start"
    } else {
        ""
    };
    Some(node.finds(format!(
        "{} has secrets and no password-persist{only}",
        node.service
    )))
}

fn hot_and_shared(site: &Site, node: &Node, instance: &Instance) -> Option<Finding> {
    let hot = node.get("server.hot_deployment");
    if hot.and_then(|s| s.bool()) == Some(false) {
        return None;
    }
    let mounts = match Finding::seen(&node.host, &site.survey(&node.host)?.mounts) {
        Ok(mounts) => mounts,
        Err(unseen) => return Some(unseen),
    };
    let folder = instance
        .release
        .as_ref()
        .unwrap_or(&instance.home)
        .join(capps::FOLDER);
    let above = mounts.iter().filter(|mount| folder.starts_with(&mount.at));
    let mount: &Mount = above.max_by_key(|mount| mount.at.components().count())?;
    let what = format!(
        "{} deploys while running from {} ({})",
        node.service,
        mount.at.display(),
        mount.kind
    );
    mount.is_shared().then(|| node.finds(what))
}

fn levels(site: &Site) -> Vec<Finding> {
    let mut found = Vec::new();
    for cluster in site.clusters() {
        let mut levels = Vec::new();
        for node in cluster.into_iter().filter(|n| !n.component.is_apim()) {
            let Some(instance) = site.instance(node) else {
                continue;
            };
            match Finding::seen(&node.host, &instance.update) {
                Ok(update) => levels.push((node, update.level.as_deref().unwrap_or("none"))),
                Err(unseen) => found.push(unseen),
            }
        }
        let Some((first, level)) = levels.first() else {
            continue;
        };
        if let Some((other, different)) = levels.iter().find(|(_, other)| other != level) {
            let what = format!(
                "update level {level} on {}, {different} on {}",
                first.host, other.host
            );
            found.push(Finding::among([first.host.as_str(), &other.host], what));
        }
    }
    found
}

fn heaps(site: &Site) -> Vec<Finding> {
    let mut found = Vec::new();
    for (host, survey) in site.surveys() {
        let nodes = site.nodes.iter().filter(|n| n.host == host.name);
        if !nodes.clone().any(|n| !n.component.is_apim()) {
            continue;
        }
        let wanted: u64 = nodes.map(|node| node.heap().unwrap_or(HEAP)).sum();
        match &survey.memory {
            Seen::Unknown { why } => found.push(Finding::unjudged(&host.name, why.as_str())),
            Seen::Known(memory) if wanted > memory.total / 4 * 3 => {
                let what = format!(
                    "heaps of {} MiB on a host of {} MiB",
                    wanted >> 20,
                    memory.total >> 20
                );
                found.push(Finding::on(&host.name, what));
            }
            Seen::Known(_) => {}
        }
    }
    found
}

/// Of the start scripts.
const HEAP: u64 = 1 << 30;

fn stale_pid(node: &Node, instance: &Instance) -> Option<Finding> {
    let Some(file) = &instance.pid_file else {
        return Some(Finding::unjudged(
            &node.host,
            "it was not asked for its pid file",
        ));
    };
    match Finding::seen(&node.host, file) {
        Err(unseen) => Some(unseen),
        Ok(file) => match &file.holder {
            PidHolder::Foreign { name } => Some(node.finds(format!(
                "{} names a process of `{name}`",
                file.path.display()
            ))),
            _ => None,
        },
    }
}
