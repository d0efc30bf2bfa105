//! Which part of API-M a node is: the pack, the script and the profile must tell one story.

use super::node::{Component, Node};
use super::{Finding, Rule, Severity, Site, Stage, versions};

pub const RULES: &[Rule] = &[
    Rule {
        id: "apim-11",
        title: "`server_role` is the one of the pack or the profile that starts",
        severity: Severity::Error,
        stage: Stage::Plan,
        why: "with another role the server drops every setting that its part infers, such as the publishing of events",
        fix: "`default` from 4.5 on, where each part has a pack of its own; before, the name of the profile",
        source: "wso2/product-apim v4.6.0, gateway/.../conf/infer.json",
        check: roles,
    },
    Rule {
        id: "apim-12",
        title: "a profile is given to packs with profiles, and to no others",
        severity: Severity::Error,
        stage: Stage::Plan,
        why: "from 4.5 on there are no profiles; before, a node without one starts every part of API-M",
        fix: "start the script of the part from 4.5 on, and `api-manager.sh -Dprofile=...` before",
        source: "wso2/product-apim v4.4.0 and v4.5.0, bin/",
        check: profiles,
    },
    Rule {
        id: "apim-13",
        title: "a pack is optimised for its profile before its settings are written, and no node has the profile's sample instead",
        severity: Severity::Error,
        stage: Stage::Plan,
        why: "the script puts a sample in the place of deployment.toml",
        fix: "unpack, optimise, then write the settings; never optimise in a unit",
        source: "wso2/product-apim v4.4.0, bin/profileSetup.sh",
        check: optimised,
    },
];

fn profile(node: &Node) -> Option<&str> {
    let words = node.unit("ExecStart")?.split_whitespace();
    words.filter_map(|w| w.strip_prefix("-Dprofile=")).next()
}

/// Whether its version has one pack with profiles; `None` when that is not known.
pub fn has_profiles(site: &Site, node: &Node) -> Option<bool> {
    let packs = versions::facts(site, node)?.get("packs")?;
    Some(packs.as_str()? == "profiles")
}

fn roles(site: &Site) -> Vec<Finding> {
    let mut found = Vec::new();
    for node in site.apim() {
        let (Some(role), Some(has_profiles)) =
            (node.get("server.server_role"), has_profiles(site, node))
        else {
            continue;
        };
        let wanted = match has_profiles {
            true => profile(node).unwrap_or("default"),
            false => "default",
        };
        if role.text() != Some(wanted) {
            let is = role.text().unwrap_or_default();
            found.push(role.finds(format!(
                "server_role is `{is}`, and what starts is `{wanted}`"
            )));
        }
    }
    found
}

fn profiles(site: &Site) -> Vec<Finding> {
    let mut found = Vec::new();
    for node in site.apim() {
        let version = versions::named(node);
        match (has_profiles(site, node), profile(node)) {
            (Some(false), Some(profile)) => {
                found.push(node.finds(format!(
                    "{version} has no profile, and is given `{profile}`"
                )));
            }
            (Some(true), None) if node.component != Component::AllInOne => {
                found.push(node.finds(format!("{version} is started without a profile")));
            }
            _ => {}
        }
    }
    found
}

/// The samples of the profiles have no node_ip, which ours have. Source: wso2/product-apim v4.2.0 to v4.4.0,
/// deployment-templates.
fn sample(site: &Site) -> Vec<Finding> {
    const MARK: &str = "server.node_ip";
    let nodes = site
        .surveyed()
        .filter(|(node, _)| node.component.is_apim() && node.get(MARK).is_some());
    nodes
        .filter(|(_, instance)| {
            let configs = instance.configs.iter();
            let mut samples = configs.filter(|c| c.has_backup && c.sha256.is_some());
            samples.any(|c| !c.values.contains_key(MARK))
        })
        .map(|(node, _)| node.finds("the profile's sample stands in the place of deployment.toml"))
        .collect()
}

fn optimised(site: &Site) -> Vec<Finding> {
    let mut found = site.unanswered(|node| node.component.is_apim());
    found.extend(sample(site));
    for node in site.apim() {
        let starts = ["ExecStart", "ExecStartPre"].into_iter();
        if starts.filter_map(|name| node.unit(name)).any(optimises) {
            found.push(node.finds("the unit optimises the pack at every start"));
        }
        let calls = site
            .hosts
            .get(&node.host)
            .into_iter()
            .flat_map(|h| &h.calls);
        let mut is_written = false;
        for (module, params) in calls {
            is_written |= module == "instance";
            // Nothing else may run programs: the words may stand in a file.
            let runs = ["command", "shell"].contains(&module.as_str());
            if runs && is_written && optimises(&params.to_string()) {
                found.push(node.finds("the pack is optimised after its settings were written"));
            }
        }
    }
    found
}

fn optimises(command: &str) -> bool {
    ["profileSetup", "--optimize"]
        .iter()
        .any(|word| command.contains(word))
}
