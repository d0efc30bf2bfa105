//! Hosts that leave: the inventory still knows them and what was said of them, but no group has them any
//! more, save one: a play for `retired` can stop what they ran.

use super::{Group, Host, HostPattern, Inventory};
use super::{members, tenants};
use crate::source::{Node, Problem, Problems, Result};
use crate::vars::{Layer, Variable};
use indexmap::IndexSet;
use std::sync::Arc;

/// The group of those that leave.
pub const RETIRED: &str = "retired";

/// Whether something is to be there, as the variable `state` of a host or a group says.
const STATE: &str = "state";
const ABSENT: &str = "absent";
const PRESENT: &str = "present";

pub fn retire(inventory: &mut Inventory, also: Option<&HostPattern>) -> Result<()> {
    let mut problems = Problems::new();
    refuse_written_group(inventory, &mut problems);
    check_states(inventory, &mut problems);
    let named = also.map(|pattern| named_by(pattern, inventory));
    let named = named.and_then(|named| problems.take(named));
    let named = named.unwrap_or_default();
    problems.or(())?;
    if let Some(pattern) = also {
        inventory.leaving = tenants_named(pattern, &named, inventory);
    }
    let hosts = inventory.hosts.keys();
    let leaving = hosts.filter(|host| named.contains(host) || is_absent(inventory, host));
    let leaving = leaving.cloned().collect();
    take_out(inventory, leaving);
    Ok(())
}

/// Whether a group as a whole is to leave: its own word or that of the groups above it, or that it was named for this run.
pub fn is_absent_group(inventory: &Inventory, group: &str) -> bool {
    said_absent(inventory, group).is_some() || inventory.leaving.contains(group)
}

/// Where the inventory says that a group as a whole is to leave.
pub fn said_absent(inventory: &Inventory, group: &str) -> Option<Node> {
    state(&members::group_layers(inventory, group)).filter(|node| node.as_text() == Some(ABSENT))
}

/// A tenant leaves when it was named: naming its hosts one by one may be a mistake.
fn tenants_named(
    pattern: &HostPattern,
    hosts: &[String],
    inventory: &Inventory,
) -> IndexSet<String> {
    let leaves_whole = |group: &str| {
        let mut members = inventory.hosts_of(group).into_iter();
        members.all(|host| hosts.iter().any(|h| h == host))
    };
    tenants::groups(inventory)
        .map(|group| group.name.clone())
        .filter(|name| pattern.names(name) && leaves_whole(name))
        .collect()
}

fn is_absent(inventory: &Inventory, host: &str) -> bool {
    let state = state(&inventory.layers(host));
    state.is_some_and(|node| node.as_text() == Some(ABSENT))
}

fn state(layers: &[Arc<Layer>]) -> Option<Node> {
    let state = layers.iter().rev().find_map(|l| l.variables.get(STATE));
    match state? {
        Variable::Written(node) => Some(node.clone()),
        Variable::Data(_) | Variable::Pending(_) => None,
    }
}

/// `group_names` and the variables of former groups stay: they were worked out when the inventory was read.
fn take_out(inventory: &mut Inventory, leaving: IndexSet<String>) {
    let Some(all) = inventory.groups.get("all") else {
        return;
    };
    let mut retired = Group::new(RETIRED, &all.span.clone());
    retired.hosts = leaving.iter().cloned().collect();
    for group in inventory.groups.values_mut() {
        group.hosts.retain(|host| !leaving.contains(host));
    }
    inventory.groups.insert(RETIRED.to_owned(), retired);
    inventory.retired = leaving;
}

fn named_by(pattern: &HostPattern, inventory: &Inventory) -> Result<Vec<String>> {
    let hosts = pattern.select(inventory)?;
    pattern.complaints(inventory).or(hosts)
}

fn refuse_written_group(inventory: &Inventory, problems: &mut Problems) {
    if let Some(group) = inventory.groups.get(RETIRED) {
        problems.push(
            Problem::new(format!(
                "the group `{RETIRED}` is made anew for each run, not written"
            ))
            .at(&group.span)
            .help(format!(
                "leave each host where it is and give it `{STATE}: {ABSENT}`"
            )),
        );
    }
}

/// Every `state` that was written, also one that a stronger one hides: a slip of the pen must not wait
/// until it is the one that counts.
fn check_states(inventory: &Inventory, problems: &mut Problems) {
    let groups = inventory.groups.values().flat_map(Group::layers);
    let hosts = inventory.hosts.values().flat_map(Host::layers);
    for layer in groups.chain(hosts) {
        let Some(Variable::Written(node)) = layer.variables.get(STATE) else {
            continue;
        };
        if !matches!(node.as_text(), Some(ABSENT | PRESENT)) {
            problems.push(
                Problem::new(format!(
                    "`{STATE}` of a host or group is `{PRESENT}` or `{ABSENT}`"
                ))
                .at(&node.span)
                .because("decides who is deployed and who leaves")
                .help("write one of the two as it is; a variable of your own needs another name"),
            );
        }
    }
}
