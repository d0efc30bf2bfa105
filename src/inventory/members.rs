//! Who is in which group, and whose variables are stronger.

use super::{Group, Host, Inventory};
use crate::vars::Layer;
use indexmap::{IndexMap, IndexSet};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Groups below `all`, at most.
pub const MAX_DEPTH: usize = 100;

/// Level by level: the group's own hosts, those of its children, then of theirs. This is the order
/// Ansible goes through hosts.
pub fn hosts_of<'i>(inventory: &'i Inventory, group: &str) -> Vec<&'i str> {
    let mut hosts = IndexSet::new();
    for group in descendants(inventory, group) {
        hosts.extend(group.hosts.iter().map(String::as_str));
    }
    hosts.into_iter().collect()
}

fn descendants<'i>(inventory: &'i Inventory, group: &str) -> Vec<&'i Group> {
    let mut found: IndexSet<&str> = inventory
        .groups
        .get(group)
        .map(|g| g.name.as_str())
        .into_iter()
        .collect();
    let mut next = 0;
    while let Some(name) = found.get_index(next).copied() {
        found.extend(inventory.groups[name].children.iter().map(String::as_str));
        next += 1;
    }
    found
        .into_iter()
        .map(|name| &inventory.groups[name])
        .collect()
}

pub fn group_names<'i>(inventory: &'i Inventory, host: &str) -> Vec<&'i str> {
    let groups = inventory.groups_of.get(host).into_iter().flatten();
    let mut names: Vec<&str> = groups.map(String::as_str).collect();
    names.sort_unstable();
    names
}

/// The groups of every host, through children too and without `all`, the weakest first: by depth,
/// priority and name. Asked for so often that it is worked out once.
pub fn groups_of(groups: &IndexMap<String, Group>) -> HashMap<String, Vec<String>> {
    let mut found: HashMap<String, HashSet<&str>> = HashMap::new();
    let parents = parents(groups);
    for group in groups.values().filter(|group| !group.hosts.is_empty()) {
        let above = ancestors(&group.name, &parents);
        for host in &group.hosts {
            found.entry(host.clone()).or_default().extend(&above);
        }
    }
    let depths = depths(groups);
    let sorted = |names: HashSet<&str>| {
        let names = names.into_iter().filter(|name| *name != "all");
        let names = by_strength(names, groups, &depths);
        names.into_iter().map(ToOwned::to_owned).collect()
    };
    found
        .into_iter()
        .map(|(host, names)| (host, sorted(names)))
        .collect()
}

/// By depth, priority and name: the weakest first.
fn by_strength<'g>(
    names: impl Iterator<Item = &'g str>,
    groups: &IndexMap<String, Group>,
    depths: &HashMap<&str, usize>,
) -> Vec<&'g str> {
    let strength = |name: &str| {
        let depth = depths.get(name).copied().unwrap_or(0);
        (depth, groups.get(name).map_or(1, |group| group.priority))
    };
    let mut names: Vec<&str> = names.collect();
    names.sort_by_key(|name| (strength(name), *name));
    names
}

fn parents(groups: &IndexMap<String, Group>) -> HashMap<&str, Vec<&str>> {
    let mut parents: HashMap<&str, Vec<&str>> = HashMap::new();
    for group in groups.values() {
        for child in &group.children {
            parents.entry(child).or_default().push(&group.name);
        }
    }
    parents
}

/// The group itself and all above it.
fn ancestors<'g>(group: &'g str, parents: &HashMap<&str, Vec<&'g str>>) -> IndexSet<&'g str> {
    let mut found = IndexSet::from([group]);
    let mut next = 0;
    while let Some(name) = found.get_index(next).copied() {
        found.extend(parents.get(name).into_iter().flatten());
        next += 1;
    }
    found
}

/// Ansible's order: what the groups say, then the host, as the inventory and as `host_vars/` say it.
pub fn layers(inventory: &Inventory, host: &str) -> Vec<Arc<Layer>> {
    let names = inventory.groups_of.get(host).into_iter().flatten();
    let mut layers = said_by(inventory, names.map(String::as_str));
    layers.extend(inventory.hosts.get(host).into_iter().flat_map(Host::layers));
    layers
}

/// The variables of a host that says nothing itself and is directly in this group alone.
pub fn group_layers(inventory: &Inventory, group: &str) -> Vec<Arc<Layer>> {
    let groups = &inventory.groups;
    let parents = parents(groups);
    let above = ancestors(group, &parents).into_iter();
    let names = by_strength(above.filter(|name| *name != "all"), groups, &depths(groups));
    said_by(inventory, names.into_iter())
}

/// `all`, then the groups, each as the inventory says it; the same again as `group_vars/` say it.
fn said_by<'n>(inventory: &Inventory, names: impl Iterator<Item = &'n str>) -> Vec<Arc<Layer>> {
    let groups: Vec<&Group> = names
        .filter_map(|name| inventory.groups.get(name))
        .collect();
    let all: Vec<&Group> = inventory.groups.get("all").into_iter().collect();
    let mut layers = Vec::new();
    for group in all.iter().chain(&groups) {
        layers.extend(group.layers.iter().cloned());
    }
    layers.extend(files_of(&all));
    layers.extend(files_of(&groups));
    layers
}

/// A later source's folder is stronger, even for a group that is higher up.
fn files_of(groups: &[&Group]) -> Vec<Arc<Layer>> {
    let mut files: Vec<_> = groups.iter().flat_map(|group| &group.files).collect();
    files.sort_by_key(|(rank, _)| *rank);
    files
        .into_iter()
        .map(|(_, layer)| Arc::clone(layer))
        .collect()
}

/// How far below `all` each group is, on the longest way. Beyond `MAX_DEPTH` it is not exact.
pub fn depths(groups: &IndexMap<String, Group>) -> HashMap<&str, usize> {
    let mut depths: HashMap<&str, usize> = HashMap::new();
    for _ in 0..=MAX_DEPTH {
        let mut has_grown = false;
        for group in groups.values() {
            let below = depths.get(group.name.as_str()).copied().unwrap_or(0) + 1;
            for child in &group.children {
                let depth = depths.entry(child).or_insert(0);
                has_grown |= *depth < below;
                *depth = below.max(*depth);
            }
        }
        if !has_grown {
            break;
        }
    }
    depths
}
