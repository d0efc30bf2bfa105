//! Versions that do not go together. What each version needs stands in the variable `products`
//! (roles/cluster/vars/main.yaml), which the roles install by.

use super::node::Node;
use super::{Finding, Rule, Severity, Site, Stage};
use serde_json::Value;
use std::collections::BTreeSet;

pub const RULES: &[Rule] = &[
    Rule {
        id: "versions-01",
        title: "the version is one that this program knows",
        severity: Severity::Error,
        stage: Stage::Plan,
        why: "scripts, ports, settings and probes differ from version to version: nothing could be judged",
        fix: "set apim_version, mi_version or si_version to one of a line in roles/cluster/vars/main.yaml",
        source: "roles/cluster/vars/main.yaml, products",
        check: known,
    },
    Rule {
        id: "versions-02",
        title: "the JDK that a node is given is one that its version runs on",
        severity: Severity::Error,
        stage: Stage::Plan,
        why: "the start script prints an error and goes on, and what happens then is undefined",
        fix: "let JAVA_HOME be a JDK of the range: apim_java, mi_java and si_java, or java_home",
        source: "wso2/product-apim v4.2.0 to v4.7.0 and product-integrator-mi v4.1.0 to v4.6.0, start scripts",
        check: given_jdk,
    },
    Rule {
        id: "versions-03",
        title: "a release is unpacked from the pack of its version",
        severity: Severity::Error,
        stage: Stage::Plan,
        why: "the node would run another version than its settings and its database are made for",
        fix: "let the pack and the version be of one number",
        source: "wso2/product-apim v4.5.0 and product-integrator-mi v4.4.0: names of the packs",
        check: packs,
    },
    Rule {
        id: "versions-04",
        title: "nodes that work together are of one version",
        severity: Severity::Error,
        stage: Stage::Plan,
        why: "events, schemas and the form of what is encrypted differ between versions, and the nodes share them",
        fix: "give all parts of API-M, and all nodes of a cluster, one version",
        source: "docs-apim install-and-setup/upgrading-wso2-api-manager/upgrading-guidelines.md",
        check: together,
    },
    Rule {
        id: "versions-05",
        title: "settings are ones that the version has",
        severity: Severity::Warning,
        stage: Stage::Plan,
        why: "a setting that a version does not know is ignored without a word",
        fix: "take it out, or choose a version that has it",
        source: "wso2/api-manager#3904; wso2/product-apim v4.6.0, gateway/.../conf/default.json",
        check: unknown_settings,
    },
];

/// Settings that came with a version, and the word for that in `products`.
const SINCE: &[(&str, &str)] = &[
    ("apim.gateway_notification.gateway_id", "gateway_id"),
    (
        "apim.sync_runtime_artifacts.tenant_loading",
        "tenant_loading",
    ),
    ("encryption.key", "encryption"),
];

/// The line of `products` for a node's version.
pub fn facts<'s>(site: &'s Site, node: &Node) -> Option<&'s Value> {
    let (major, minor) = node.line()?;
    lines(site, node)?.get(format!("{major}.{minor}"))
}

fn lines<'s>(site: &'s Site, node: &Node) -> Option<&'s Value> {
    let products = site.hosts.get(&node.host)?.variable("products")?;
    products.get(node.component.product())
}

/// The first and the last JDK that a node's version runs on.
pub fn jdk_range(site: &Site, node: &Node) -> Option<(u64, u64)> {
    let jdk = facts(site, node)?.get("jdk")?;
    Some((jdk.get(0)?.as_u64()?, jdk.get(1)?.as_u64()?))
}

/// The product with its version, for people.
pub fn named(node: &Node) -> String {
    let version = node.version.as_deref().unwrap_or_default();
    format!("{} {version}", node.component)
        .trim_end()
        .to_owned()
}

fn known(site: &Site) -> Vec<Finding> {
    let mut found = Vec::new();
    for node in &site.nodes {
        let Some(lines) = lines(site, node).and_then(Value::as_object) else {
            let why = format!(
                "no table `products` says what there is of {}",
                node.component
            );
            found.push(Finding::unjudged(&node.host, why));
            continue;
        };
        if facts(site, node).is_none() {
            let lines: Vec<&str> = lines.keys().map(String::as_str).collect();
            let lines = lines.join(", ");
            found.push(node.finds(match node.version {
                Some(_) => format!("{} is not known; there are {lines}", named(node)),
                None => format!("the release of {} names no version", node.service),
            }));
        }
    }
    found
}

fn given_jdk(site: &Site) -> Vec<Finding> {
    let nodes = site.nodes.iter();
    nodes
        .filter_map(|node| {
            let (first, last) = jdk_range(site, node)?;
            let home = node.environment.get("JAVA_HOME")?;
            let Some(major) = major_of(home) else {
                let why = format!("{home} does not say which JDK it is");
                return Some(Finding::unjudged(&node.host, why));
            };
            (!(first..=last).contains(&major)).then(|| {
                node.finds(format!(
                    "{} is given JDK {major} ({home}) and runs on {first} to {last}",
                    named(node)
                ))
            })
        })
        .collect()
}

/// By the names that distributions and vendors give their folders: `java-17-openjdk-amd64`, `jdk-21.0.4+7`,
/// `temurin-21-jdk`, `java-1.8.0-openjdk`, `jre-17`.
fn major_of(home: &str) -> Option<u64> {
    let last = home.trim_end_matches('/').rsplit('/').next()?;
    let mut numbers = last
        .split(|c: char| !c.is_ascii_digit())
        .filter(|n| !n.is_empty())
        .filter_map(|n| n.parse::<u64>().ok());
    match numbers.next()? {
        1 => numbers.next(),
        major => Some(major),
    }
}

fn packs(site: &Site) -> Vec<Finding> {
    let mut found = Vec::new();
    for host in site.hosts.values() {
        for params in host.calls("unarchive") {
            let text = |value: Option<&Value>| Some(value?.as_str()?.to_owned());
            let name =
                text(params.pointer("/content/blob/name")).or_else(|| text(params.get("src")));
            let (Some(name), Some(dest)) = (name, text(params.get("dest"))) else {
                continue;
            };
            let node = site.nodes.iter().find(|node| {
                node.host == host.name && node.release.as_deref() == Some(dest.as_str())
            });
            let pack = name.rsplit('/').next().unwrap_or_default();
            // A pack that somebody renamed says nothing. One with an update level may say so: `wso2am-4.5.0.12.zip`.
            let of_pack = pack.strip_suffix(".zip").and_then(|p| p.rsplit_once('-'));
            let (Some(node), Some((_, of_pack))) = (node, of_pack) else {
                continue;
            };
            let is_version = of_pack.starts_with(|c: char| c.is_ascii_digit());
            let wanted = node.version.as_deref().unwrap_or_default();
            let without_level = wanted.split('+').next().unwrap_or_default();
            let names = [wanted, &wanted.replace('+', "."), without_level];
            if is_version && !names.contains(&of_pack) {
                found.push(node.finds(format!("{pack} is unpacked as {}", named(node))));
            }
        }
    }
    found
}

fn together(site: &Site) -> Vec<Finding> {
    let apim: Vec<&Node> = site.apim().collect();
    let others = site.clusters().into_iter();
    let others = others.filter(|nodes| nodes.iter().all(|n| !n.component.is_apim()));
    std::iter::once(apim)
        .chain(others)
        .filter_map(|nodes| {
            let all: BTreeSet<&str> = nodes.iter().filter_map(|n| n.version.as_deref()).collect();
            let all: Vec<&str> = all.into_iter().collect();
            let hosts = nodes.iter().map(|n| n.host.as_str());
            (all.len() > 1).then(|| {
                let what = format!("versions {} are to work together", all.join(" and "));
                Finding::among(hosts, what)
            })
        })
        .collect()
}

fn unknown_settings(site: &Site) -> Vec<Finding> {
    let mut found = Vec::new();
    for node in site.apim() {
        let Some(facts) = facts(site, node) else {
            continue;
        };
        for (path, word) in SINCE {
            if let Some(setting) = node.get(path)
                && facts.get(word) == Some(&Value::Bool(false))
            {
                found.push(setting.finds(format!("{} has no {path}", named(node))));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::major_of;

    #[test]
    fn folders_of_jdks_say_which_they_are() {
        for (home, major) in [
            ("/usr/lib/jvm/java-17-openjdk-amd64", Some(17)),
            ("/usr/lib/jvm/jre-21", Some(21)),
            ("/usr/lib/jvm/temurin-21-jdk-amd64/", Some(21)),
            ("/opt/jdk-11.0.24+8", Some(11)),
            ("/usr/lib/jvm/java-1.8.0-openjdk", Some(8)),
            ("/opt/java/current", None),
        ] {
            assert_eq!(major_of(home), major, "{home}");
        }
    }
}
