//! The CApps of Micro Integrator: those that the run would put there, by their archives on the controller, and those that the
//! nodes have.

use super::node::{Component, Node};
use super::site::Written;
use super::{Finding, Instance, Rule, Seen, Severity, Site, Stage};
use crate::wire::survey::FolderEntry;
use crate::wire::{Capp, Content};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

pub const RULES: &[Rule] = &[
    Rule {
        id: "integration-28",
        title: "all nodes of an MI cluster run the same CApps, every one that is in their folder, and none is faulty",
        severity: Severity::Error,
        stage: Stage::Running,
        why: "half of the calls find another version or nothing, and the leader deletes tasks that it does not have",
        fix: "give mi_capps once for the cluster, and take what is superseded out with mi_capps_removed",
        source: "docs-mi setup/deployment/deployment-synchronization.md; wso2/product-integrator-mi v4.4.0, CappDeployer",
        check: capps,
    },
    Rule {
        id: "integration-29",
        title: "no two CApps of a node bring an artifact of one name, or are one application",
        severity: Severity::Error,
        stage: Stage::Plan,
        why: "MI refuses the second of two applications of one name and version, and one with an artifact that is there already is faulty",
        fix: "take the superseded one out with mi_capps_removed, or rename the artifact",
        source: "wso2/product-integrator-mi v4.4.0, CappDeployer",
        check: twins,
    },
];

pub const FOLDER: &str = "repository/deployment/server/carbonapps";

fn is_capp(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|end| end == "car")
}

/// What a node's folder holds.
fn deployed<'i>(node: &Node, instance: &'i Instance) -> Result<Vec<&'i FolderEntry>, Finding> {
    let folder = instance.folders.iter().find(|f| f.path.ends_with(FOLDER));
    let folder =
        folder.ok_or_else(|| Finding::unjudged(&node.host, "it was not asked for its CApps"))?;
    let entries = Finding::seen(&node.host, &folder.entries)?;
    Ok(entries.iter().filter(|e| is_capp(&e.name)).collect())
}

fn capps(site: &Site) -> Vec<Finding> {
    let mut found = Vec::new();
    for cluster in site.clusters() {
        let mut folders = Vec::new();
        for node in cluster.into_iter().filter(|n| n.component == Component::Mi) {
            let Some(instance) = site.instance(node) else {
                continue;
            };
            match deployed(node, instance) {
                Err(unseen) => found.push(unseen),
                Ok(entries) => {
                    found.extend(running(node, instance, &entries));
                    let names = entries.iter().map(|e| (&e.name, &e.sha256));
                    folders.push((node, names.collect::<Vec<_>>()));
                }
            }
        }
        let Some((first, names)) = folders.first() else {
            continue;
        };
        if let Some((other, _)) = folders.iter().find(|(_, other)| other != names) {
            let what = format!(
                "the CApps of {} and {} are not the same",
                first.host, other.host
            );
            found.push(Finding::among([first.host.as_str(), &other.host], what));
        }
    }
    found
}

/// What the management API lists against what is in the folder: the probe is content without either.
fn running(node: &Node, instance: &Instance, entries: &[&FolderEntry]) -> Vec<Finding> {
    let lists = match applications(node, instance) {
        Ok(lists) => lists,
        Err(unseen) => return vec![unseen],
    };
    let mut found = Vec::new();
    if lists.faulty {
        found.push(node.finds(format!("{} has faulty CApps", node.service)));
    }
    for entry in entries {
        let Some(Seen::Known(capp)) = &entry.capp else {
            continue;
        };
        let is_it =
            |(name, version): &(String, String)| *name == capp.name && *version == capp.version;
        if !lists.active.iter().any(is_it) && !lists.faulty {
            let what = format!(
                "{} ({} {}) is in the folder and does not run",
                entry.name, capp.name, capp.version
            );
            found.push(node.finds(what));
        }
    }
    found
}

struct Applications {
    /// Names and versions.
    active: Vec<(String, String)>,
    faulty: bool,
}

fn applications(node: &Node, instance: &Instance) -> Result<Applications, Finding> {
    let unjudged = |why: String| Finding::unjudged(&node.host, why);
    let asked = instance.http.iter().find(|h| h.name == "applications");
    let asked = asked.ok_or_else(|| unjudged("it was not asked for its CApps".to_owned()))?;
    let answer = Finding::seen(&node.host, &asked.answer)?;
    let body: Value = serde_json::from_str(&answer.body).unwrap_or_default();
    let list = |key: &str| body[key].as_array();
    let (Some(active), Some(faulty)) = (list("activeList"), list("faultyList")) else {
        let status = answer.status;
        return Err(unjudged(format!(
            "/management/applications answered {status} without its lists"
        )));
    };
    let text = |value: &Value, key: &str| value[key].as_str().unwrap_or_default().to_owned();
    Ok(Applications {
        active: active
            .iter()
            .map(|a| (text(a, "name"), text(a, "version")))
            .collect(),
        faulty: !faulty.is_empty(),
    })
}

/// The archives of a node as they will be: those that are there, and in their place those that the run writes.
fn archives(site: &Site, node: &Node) -> Result<BTreeMap<String, Capp>, Finding> {
    let mut all = BTreeMap::new();
    let instance = site.instance(node);
    let removed = removed(site, node);
    // A release that is not current yet has a folder of its own.
    let same = instance.filter(|i| i.release.as_deref() == node.release.as_deref().map(Path::new));
    for entry in same
        .map(|i| deployed(node, i))
        .transpose()?
        .unwrap_or_default()
    {
        if let Some(capp) = entry
            .capp
            .as_ref()
            .filter(|_| !removed.contains(&entry.name.as_str()))
        {
            all.insert(entry.name.clone(), Finding::seen(&node.host, capp)?.clone());
        }
    }
    for file in node.files.iter().filter(|f| is_capp(&f.dest)) {
        let name = file.dest.rsplit('/').next().unwrap_or_default();
        let capp =
            read(file).map_err(|why| Finding::unjudged(&node.host, format!("{name}: {why}")))?;
        all.insert(name.to_owned(), capp);
    }
    Ok(all)
}

/// The names of archives that the run takes away.
fn removed<'s>(site: &'s Site, node: &Node) -> Vec<&'s str> {
    let calls = |module| {
        let host = site.hosts.get(&node.host);
        host.into_iter().flat_map(move |host| host.calls(module))
    };
    let files = calls("file").filter(|call| call["state"].as_str() == Some("absent"));
    let lists = calls("instance").filter_map(|call| call["absent"].as_array());
    files
        .map(|call| &call["path"])
        .chain(lists.flatten())
        .filter_map(|path| path.as_str()?.rsplit('/').next())
        .filter(|name| is_capp(name))
        .collect()
}

fn read(file: &Written) -> Result<Capp, String> {
    let Content::Blob { name, .. } = &file.content else {
        return Err("it is no archive".to_owned());
    };
    let archive = std::fs::File::open(name).map_err(|e| format!("{name} cannot be read: {e}"))?;
    Capp::read(archive)
}

fn twins(site: &Site) -> Vec<Finding> {
    let mut found = site.unanswered(|node| node.component == Component::Mi);
    for node in site.mi() {
        match archives(site, node) {
            Ok(archives) => found.extend(clashes(node, &archives)),
            Err(unseen) => found.push(unseen),
        }
    }
    found
}

fn clashes(node: &Node, archives: &BTreeMap<String, Capp>) -> Vec<Finding> {
    let mut found = Vec::new();
    let all: Vec<(&String, &Capp)> = archives.iter().collect();
    for (at, (file, capp)) in all.iter().enumerate() {
        for (other, rival) in &all[..at] {
            if (&rival.name, &rival.version) == (&capp.name, &capp.version) {
                let what = format!("{other} and {file} are both {} {}", capp.name, capp.version);
                found.push(node.finds(what));
            } else if let Some(artifact) =
                capp.artifacts.iter().find(|a| rival.artifacts.contains(a))
            {
                found.push(node.finds(format!("{other} and {file} both bring {artifact}")));
            }
        }
    }
    found
}
