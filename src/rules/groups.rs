//! Hosts and groups of the inventory that the playbook passes over without a word. A group of its pattern that has too few or
//! too many hosts, or that another pattern knows, is a mistake of the input; see `run`.

use super::{Finding, Rule, Severity, Site, Stage};
use crate::inventory::{KINDS, RETIRED, TENANTS};
use crate::source::nearest;
use std::collections::BTreeSet;

pub const RULES: &[Rule] = &[
    Rule {
        id: "groups-01",
        title: "every host of the inventory is in a play of the playbook",
        severity: Severity::Warning,
        stage: Stage::Input,
        why: "nothing is done on it, and nothing says so",
        fix: "put it into a group that the playbook has a play for, or take it out",
        source: "README.md, the groups of the playbooks",
        check: unplayed,
    },
    Rule {
        id: "groups-02",
        title: "no group is called nearly as one that the playbook knows",
        severity: Severity::Warning,
        stage: Stage::Input,
        why: "its hosts do not become what the name was meant to make of them",
        fix: "correct the name of the group",
        source: "README.md, the groups of the playbooks",
        check: nearly,
    },
];

/// A group of somebody's own, such as a region: its name means nothing to the playbook.
fn is_own(site: &Site, group: &str) -> bool {
    let is_ours = |name: &&String| match name.strip_suffix('*') {
        Some(start) => group.starts_with(start),
        None => *name == group,
    };
    let ansible = ["all", "ungrouped", RETIRED, TENANTS];
    !ansible.contains(&group) && !site.groups.iter().any(|name| is_ours(&name))
}

fn near<'s>(site: &'s Site, group: &str) -> Option<&'s str> {
    let known = site.groups.iter().map(String::as_str);
    let known = known.filter(|name| !name.contains('*'));
    // Groups of one's own may be written in capitals, those of playbooks are not.
    nearest(&group.to_lowercase(), known.chain(KINDS)).filter(|near| *near != group)
}

fn unplayed(site: &Site) -> Vec<Finding> {
    let mut found = Vec::new();
    for host in site.staying().filter(|host| !host.is_played) {
        let own: Vec<&String> = host.groups.iter().filter(|g| is_own(site, g)).collect();
        // The playbook speaks of the host by its group, though it has nothing to do there.
        if own.len() < host.groups.len() && !host.is_in("ungrouped") {
            continue;
        }
        let finding = Finding::on(&host.name, "no play has it");
        let meant = own
            .iter()
            .find_map(|group| Some((group, near(site, group)?)));
        found.push(match meant {
            Some((group, near)) => {
                finding.fix(format!("did you mean `{near}` where it says `{group}`?"))
            }
            None => finding,
        });
    }
    found
}

fn nearly(site: &Site) -> Vec<Finding> {
    let hosts = site.staying().filter(|host| !host.is_in(TENANTS));
    let groups: BTreeSet<&String> = hosts.flat_map(|host| &host.groups).collect();
    let mut found = Vec::new();
    for group in groups.into_iter().filter(|group| is_own(site, group)) {
        let Some(near) = near(site, group) else {
            continue;
        };
        let members = || site.members(group);
        // A group of a region or a kind of machines: its hosts are deployed, and so is what its name is near to.
        let is_sorting =
            members().all(|host| host.is_played) && site.members(near).next().is_some();
        if is_sorting || members().all(|host| host.is_in(near)) {
            continue;
        }
        let hosts = members().map(|host| host.name.as_str());
        let finding = Finding::among(hosts, format!("nothing is known of a group `{group}`"));
        found.push(finding.fix(format!("did you mean `{near}`?")));
    }
    found
}
