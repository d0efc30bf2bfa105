//! Versions that do not go together. What each version needs stands in the variable `products`
//! (roles/cluster/vars/main.yaml), which the roles install by.

use super::node::Node;
use super::values::whole;
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
        stage: Stage::Input,
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
    Rule {
        id: "versions-06",
        title: "MI and SI are of no newer line than those that came out beside API-M's",
        severity: Severity::Error,
        stage: Stage::Plan,
        why: "announcing services is made for the API-M of the same days: MI and its API-M were bound until the version of the \
            catalog's API could be chosen. No page of WSO2 says that the pair was tested",
        fix: "take the line that is named, or try out that services appear in the catalog, and say so in accepted_rules",
        source: "docs-apim get-started/about-this-release.md of 4.1 and later; releases of wso2/product-integrator-mi and \
            wso2/streaming-integrator; wso2/api-manager#2084, #5170; docs-apim 4.5 product-compatibility.md names neither",
        check: newer_than_api_manager,
    },
];

/// The first two numbers of a version.
type Line = (u32, u32);

/// By the line of API-M: the newest lines of MI and SI that were there beside it. Each speaks to the API-M of its days; all to
/// version 1 of the service catalog. Source: as in `versions-06`; MI 4.4.0 with API-M 4.4.0 is WSO2's own report, #5170.
const BESIDE: [(Line, Line, Line); 6] = [
    ((4, 2), (4, 2), (4, 2)),
    ((4, 3), (4, 3), (4, 2)),
    ((4, 4), (4, 4), (4, 2)),
    ((4, 5), (4, 4), (4, 3)),
    ((4, 6), (4, 5), (4, 3)),
    ((4, 7), (4, 6), (4, 4)),
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

/// A finding about a node's release, at the first of the variables that somebody set: `version` is `mi_version` of MI.
fn placed(site: &Site, node: &Node, variables: &[&str], what: String) -> Finding {
    let product = node.component.product();
    let own = variables.iter().map(|name| format!("{product}_{name}"));
    let mut places = own.filter_map(|name| site.place(&node.host, &[&name]));
    node.finds(what).placed(places.next())
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
            let what = match node.version {
                Some(_) => format!("{} is not known; there are {lines}", named(node)),
                None => format!("the release of {} names no version", node.service),
            };
            found.push(placed(site, node, &["version"], what));
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
                let what = format!(
                    "{} is given JDK {major} ({home}) and runs on {first} to {last}",
                    named(node)
                );
                placed(site, node, &["java_home", "java", "version"], what)
                    .placed(site.place(&node.host, &["java_home"]))
            })
        })
        .collect()
}

/// By the names that distributions and vendors give their folders: `java-17-openjdk-amd64`, `jdk-21.0.4+7`,
/// `temurin-21-jdk`, `java-1.8.0-openjdk`, `jre-17`, `jdk17`. The number of a kind of machine, `amd64`, is none of a JDK.
fn major_of(home: &str) -> Option<u64> {
    let last = home.trim_end_matches('/').rsplit('/').next()?;
    let parts = last.split(['-', '_', '.', '+', ' ']);
    let mut numbers = parts.filter_map(|part| {
        let word = ["java", "jdk", "jre", "zulu"]
            .iter()
            .find_map(|word| part.strip_prefix(word));
        word.unwrap_or(part).parse::<u64>().ok()
    });
    match numbers.next()? {
        1 => numbers.next(),
        major => Some(major),
    }
}

fn packs(site: &Site) -> Vec<Finding> {
    let mut found = named_packs(site);
    for host in site.hosts.values() {
        if found.iter().any(|f| f.hosts.contains(&host.name)) {
            continue;
        }
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
            let Some(node) = node else { continue };
            let wanted = node.version.as_deref().unwrap_or_default();
            if let Some(pack) = other_pack(&name, wanted) {
                let what = format!("{pack} is unpacked as {}", named(node));
                found.push(placed(site, node, &["pack", "version"], what));
            }
        }
    }
    found
}

/// The name of a pack that says another version than the one that is wanted.
fn other_pack<'n>(path: &'n str, wanted: &str) -> Option<&'n str> {
    let pack = path.rsplit('/').next().unwrap_or_default();
    // A pack that somebody renamed says nothing. One with an update level may say so: `wso2am-4.5.0.12.zip`.
    let (_, of_pack) = pack.strip_suffix(".zip")?.rsplit_once('-')?;
    let is_version = of_pack.starts_with(|c: char| c.is_ascii_digit());
    let without_level = wanted.split('+').next().unwrap_or_default();
    let names = [wanted, &wanted.replace('+', "."), without_level];
    (is_version && !names.contains(&of_pack)).then_some(pack)
}

/// By what the variables of hosts say: also of a pack that is not there, or from which nothing could be planned.
fn named_packs(site: &Site) -> Vec<Finding> {
    let apim = ["apim", "gateway", "traffic_manager"];
    let apim = apim.into_iter().flat_map(|part| site.members(part));
    let apim = apim.map(|host| (host, "apim", "API Manager"));
    let of = |product, name| {
        let clusters = site.integration(product).into_iter();
        let hosts = clusters.flat_map(|(_, hosts)| hosts);
        hosts.map(move |host| (host, product, name))
    };
    let all = apim
        .chain(of("mi", "Micro Integrator"))
        .chain(of("si", "Streaming Integrator"));
    all.filter_map(|(host, product, name)| {
        let [pack, version] = ["pack", "version"].map(|word| format!("{product}_{word}"));
        let level = host.variable(&format!("{product}_update_level"));
        let release = match level.and_then(whole).filter(|level| *level > 0) {
            Some(level) => format!("{}+{level}", host.text(&version)?),
            None => host.text(&version)?,
        };
        let path = host.text(&pack)?;
        let pack_name = other_pack(&path, &release)?;
        let finding = Finding::on(
            &host.name,
            format!("{pack_name} is unpacked as {name} {release}"),
        );
        Some(finding.placed(site.place(&host.name, &[&pack, &version])))
    })
    .collect()
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
                let place = nodes.last().and_then(|node| {
                    let version = format!("{}_version", node.component.product());
                    site.place(&node.host, &[&version])
                });
                Finding::among(hosts, what).placed(place)
            })
        })
        .collect()
}

fn newer_than_api_manager(site: &Site) -> Vec<Finding> {
    // Of API-M's nodes together; that they are of one version is a rule of its own.
    let Some(line) = site.apim().filter_map(Node::line).min() else {
        return vec![];
    };
    let Some((_, mi, si)) = BESIDE.iter().find(|(apim, ..)| *apim == line) else {
        return vec![];
    };
    let (major, minor) = line;
    let newer = |node: &Node, beside: Line| {
        let (ours, our_minor) = beside;
        let what = format!(
            "{} is newer than API-M {major}.{minor}, beside which there was {ours}.{our_minor}",
            named(node)
        );
        let is_newer = node.line().is_some_and(|line| line > beside);
        is_newer.then(|| placed(site, node, &["version"], what))
    };
    let of_mi = site.mi().filter_map(|node| newer(node, *mi));
    of_mi
        .chain(site.si().filter_map(|node| newer(node, *si)))
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
            ("/usr/lib/jvm/zulu17-ca-amd64", Some(17)),
            ("/usr/lib/jvm/java-11-amazon-corretto.x86_64", Some(11)),
            ("/opt/java/current", None),
            ("/usr/lib/jvm/java-seventeen-openjdk-amd64", None),
            ("/usr/lib/jvm/java-N-openjdk-arm64", None),
        ] {
            assert_eq!(major_of(home), major, "{home}");
        }
    }
}
