//! The products' settings as the roles write them: for every pattern, version and engine.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use apim_deploy::rules::{Component, Node, Site};
use apim_deploy::run::Options;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use support::{SECRETS, pack, prepared};

/// Of API-M, MI and SI: each line that `products` (roles/cluster/vars) knows stands in some row.
const VERSIONS: [(&str, &str, &str); 6] = [
    ("4.2.0", "4.1.0", "4.1.0"),
    ("4.3.0", "4.2.0", "4.2.0"),
    ("4.4.0", "4.3.0", "4.2.0"),
    ("4.5.0", "4.4.0", "4.3.0"),
    ("4.6.0", "4.5.0", "4.3.0"),
    ("4.7.0", "4.6.0", "4.4.0"),
];
/// Each with the driver that it needs.
const ENGINES: [(&str, &str); 3] = [
    ("mariadb", "mariadb-java-client.jar"),
    ("mysql", "mysql-connector-j.jar"),
    ("postgresql", "postgresql.jar"),
];
/// Playbooks, each with an inventory of `tests/fixtures/settings`.
const PATTERNS: [(&str, &str); 4] = [
    ("standard-ha", "standard-ha"),
    ("standard-ha-multitenant", "standard-ha-multitenant"),
    ("simple-scalable", "simple-scalable"),
    ("simple-scalable", "traffic-managers"),
];

struct Deployment {
    name: String,
    apim: &'static str,
    site: Site,
}

/// All of them, planned once. None trips a rule, or it could not be planned.
fn deployments() -> &'static [Deployment] {
    static ALL: OnceLock<Vec<Deployment>> = OnceLock::new();
    ALL.get_or_init(|| {
        std::thread::scope(|scope| {
            let each = VERSIONS.map(|versions| scope.spawn(move || of_versions(versions)));
            each.into_iter().flat_map(|t| t.join().unwrap()).collect()
        })
    })
}

fn of_versions(versions: (&'static str, &str, &str)) -> Vec<Deployment> {
    let dir = tempfile::tempdir().unwrap();
    packs(dir.path(), versions);
    let mut all = Vec::new();
    for (engine, driver) in ENGINES {
        fs::write(dir.path().join(driver), driver).unwrap();
        for (playbook, inventory) in PATTERNS {
            all.push(planned(
                dir.path(),
                versions,
                engine,
                playbook,
                inventory,
                &[],
            ));
        }
    }
    // The only version whose gateways may be without the shared database, and by default are not.
    if versions.0 == "4.6.0" {
        let without = [r#"{"apim_gateway_database": false}"#];
        let pattern = "simple-scalable";
        all.push(planned(
            dir.path(),
            versions,
            "mariadb",
            pattern,
            pattern,
            &without,
        ));
    }
    all
}

fn planned(
    packs: &Path,
    (apim, mi, si): (&'static str, &str, &str),
    engine: &str,
    playbook: &str,
    inventory: &str,
    more: &[&str],
) -> Deployment {
    let mut extra_vars: Vec<String> = [SECRETS, more]
        .concat()
        .iter()
        .map(ToString::to_string)
        .collect();
    extra_vars.extend([
        format!("packs_dir={}", packs.display()),
        format!("db_engine={engine}"),
        format!("apim_version={apim}"),
        format!("mi_version={mi}"),
        format!("si_version={si}"),
        format!("apim_encryption_key={}", "0a".repeat(32)),
    ]);
    let prepared = prepared(Options {
        playbook: playbook.to_owned(),
        inventory: vec![PathBuf::from(format!(
            "tests/fixtures/settings/{inventory}.yaml"
        ))],
        extra_vars,
        forks: 5,
        project: PathBuf::from("."),
        ..Options::default()
    });
    Deployment {
        name: format!("{inventory}, API-M {apim}, {engine} {}", more.join(" ")),
        apim,
        site: prepared.judgeable.unwrap().site,
    }
}

fn packs(dir: &Path, (apim, mi, si): (&str, &str, &str)) {
    for name in ["wso2am", "wso2am-acp", "wso2am-universal-gw", "wso2am-tm"] {
        pack(dir, &format!("{name}-{apim}"), &["bin/version.txt"]);
    }
    pack(dir, &format!("wso2mi-{mi}"), &["bin/version.txt"]);
    pack(dir, &format!("wso2si-{si}"), &["bin/version.txt"]);
}

/// `a.b[0].c` and its value, for every value that holds no others.
fn flat(value: &Value, path: &str, found: &mut BTreeMap<String, Value>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                let dot = if path.is_empty() { "" } else { "." };
                flat(value, &format!("{path}{dot}{key}"), found);
            }
        }
        // A list of plain values is one setting.
        Value::Array(list) if list.iter().any(Value::is_object) => {
            for (at, value) in list.iter().enumerate() {
                flat(value, &format!("{path}[{at}]"), found);
            }
        }
        plain => {
            found.insert(path.to_owned(), plain.clone());
        }
    }
}

fn settings(node: &Node) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    let tree = node.settings.as_ref().unwrap_or_else(|e| panic!("{e:?}"));
    flat(&tree.to_value(), "", &mut found);
    found
}

/// Without the places in lists.
fn key(path: &str) -> String {
    let parts = path.split('[');
    parts
        .map(|part| part.split_once(']').map_or(part, |(_, rest)| rest))
        .collect()
}

/// What the products want to differ between the nodes of a cluster.
fn own_keys(deployment: &Deployment, component: Component) -> Vec<&'static str> {
    let has_managers = deployment.site.of(Component::TrafficManager).count() > 0;
    let throttling = "apim.throttling.event_duplicate_url";
    match component {
        // docs-apim, single-node/configuring-an-active-active-deployment
        Component::AllInOne => vec!["server.node_ip", throttling],
        // docs-apim, deploying-wso2-api-m-in-a-simple-scalable-setup and -distributed-setup-with-tm-separated
        Component::ControlPlane if has_managers => {
            vec!["server.node_ip", "apim.event_hub.event_duplicate_url"]
        }
        Component::ControlPlane => {
            vec![
                "server.node_ip",
                "apim.event_hub.event_duplicate_url",
                throttling,
            ]
        }
        Component::TrafficManager => vec!["server.node_ip", throttling],
        Component::Gateway if ["4.6.0", "4.7.0"].contains(&deployment.apim) => {
            vec!["server.node_ip", "apim.gateway_notification.gateway_id"]
        }
        Component::Gateway => vec!["server.node_ip"],
        // docs-mi, setup/deployment/deploying-wso2-mi.md
        Component::Mi => vec!["cluster_config.node_id"],
        // docs-si, setup/deploying-si-as-minimum-ha-cluster.md
        Component::Si => vec![
            "wso2.carbon.id",
            "deployment.config.eventSyncServer.advertisedHost",
        ],
    }
}

/// Anything else that differs is a copy that went wrong, and what does not differ is a node that takes itself for its twin.
#[test]
fn twins_differ_where_they_must_and_nowhere_else() {
    let mut clusters = BTreeSet::new();
    for deployment in deployments() {
        for cluster in deployment.site.clusters() {
            let (first, others) = cluster.split_first().unwrap();
            clusters.insert(first.component.to_string());
            let own: BTreeSet<String> = own_keys(deployment, first.component)
                .into_iter()
                .map(ToOwned::to_owned)
                .collect();
            assert!(
                !others.is_empty(),
                "{}: {} is alone",
                deployment.name,
                first.host
            );
            for other in others {
                let (one, two) = (settings(first), settings(other));
                let paths: BTreeSet<&String> = one.keys().chain(two.keys()).collect();
                let differing: BTreeSet<String> = paths
                    .into_iter()
                    .filter(|path| one.get(*path) != two.get(*path))
                    .map(|path| key(path))
                    .collect();
                let who = format!("{}: {} and {}", deployment.name, first.host, other.host);
                assert_eq!(differing, own, "{who}");
                assert_eq!(other_files(first), other_files(other), "{who}");
            }
        }
    }
    assert_eq!(clusters.len(), 6, "{clusters:?}");
}

/// Units, environments, drivers: the same on all.
fn other_files(node: &Node) -> Vec<(&str, String)> {
    let is_settings = |dest: &str| dest.contains("/deployment.");
    let files = node.files.iter().filter(|f| !is_settings(&f.dest));
    files
        .map(|f| (f.dest.as_str(), format!("{:?}", f.content)))
        .collect()
}

/// A key that no product knows is ignored without a word, so each has a source: `tests/keys/PRODUCT.yaml` lists them by it.
#[test]
fn every_key_has_a_source() {
    let mut written: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for deployment in deployments() {
        for node in &deployment.site.nodes {
            let product = match node.component {
                Component::Mi => "mi",
                Component::Si => "si",
                _ => "apim",
            };
            let keys = settings(node).into_keys().map(|path| key(&path));
            written.entry(product).or_default().extend(keys);
        }
    }
    let mut wrong = Vec::new();
    for (product, written) in written {
        let file = format!("tests/keys/{product}.yaml");
        let text = fs::read_to_string(&file).unwrap();
        let sources: BTreeMap<String, Vec<String>> = serde_yaml::from_str(&text).unwrap();
        let mut cited = BTreeSet::new();
        for key in sources.values().flatten() {
            if !cited.insert(key.clone()) {
                wrong.push(format!("{file}: {key} stands twice"));
            }
        }
        let missing = written.difference(&cited);
        wrong.extend(missing.map(|key| format!("{file}: {key} is written and has no source")));
        let unused = cited.difference(&written);
        wrong.extend(unused.map(|key| format!("{file}: nothing writes {key}")));
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
