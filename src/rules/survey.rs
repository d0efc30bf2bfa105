//! What each host is asked, so that the rules about hosts and running nodes can be judged.

use super::node::{Component, Node};
use super::ports;
use super::site::Site;
use crate::wire::survey as wire;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

pub use wire::Survey;

/// The parameters of the `survey` module for one host.
pub fn request(site: &Site, host: &str) -> wire::Request {
    let nodes = site.nodes.iter().filter(|n| n.host == host);
    wire::Request {
        instances: nodes.clone().map(instance).collect(),
        peers: nodes.flat_map(|node| peers(site, node)).collect(),
        names: names(site),
        databases: vec![],
        disks: vec![PathBuf::from("/"), PathBuf::from("/var/tmp")],
        connections: EVENT_PORTS.to_vec(),
        within: 30,
    }
}

/// Of a broker and of a receiver of events.
const EVENT_PORTS: [u16; 3] = [5672, 9611, 9711];

/// Where a product keeps what is worth a look, below its folder.
struct Places {
    pid_file: &'static str,
    log: &'static str,
    settings: &'static str,
    libraries: &'static [&'static str],
    folders: &'static [&'static str],
    walk: &'static [&'static str],
}

const APIM: Places = Places {
    pid_file: "wso2carbon.pid",
    log: "repository/logs/wso2carbon.log",
    settings: "repository/conf/deployment.toml",
    libraries: &["repository/components/lib", "repository/components/dropins"],
    folders: &["repository/deployment/server/webapps"],
    walk: &["repository/conf", "repository/resources/security"],
};

const MI: Places = Places {
    pid_file: "wso2carbon.pid",
    log: "repository/logs/wso2carbon.log",
    settings: "conf/deployment.toml",
    libraries: &["lib", "dropins"],
    folders: &["repository/deployment/server/carbonapps"],
    walk: &["conf", "repository/resources/security"],
};

const SI: Places = Places {
    pid_file: "wso2/server/runtime.pid",
    log: "wso2/server/logs/carbon.log",
    settings: "conf/server/deployment.yaml",
    libraries: &["lib"],
    folders: &["wso2/server/deployment/siddhi-files"],
    walk: &["conf/server", "resources/security"],
};

/// What a log may say that a rule asks for, by the name that the rule uses.
const LINES: &[(&str, &str)] = &[("coordinated", "Initializing task coordination")];

fn instance(node: &Node) -> wire::InstanceRequest {
    let places = match node.component {
        Component::Mi => &MI,
        Component::Si => &SI,
        _ => &APIM,
    };
    let paths = |list: &[&str]| list.iter().map(PathBuf::from).collect();
    wire::InstanceRequest {
        name: node.service.clone(),
        service: node.service.clone(),
        home: PathBuf::from(node.home.as_deref().unwrap_or("/")),
        java_home: node.environment.get("JAVA_HOME").map(PathBuf::from),
        user: node.unit("User").map(str::to_owned),
        pid_file: Some(PathBuf::from(places.pid_file)),
        log: Some(wire::LogRequest {
            path: PathBuf::from(places.log),
            patterns: texts(LINES),
        }),
        journal: vec![],
        configs: vec![wire::ConfigRequest {
            path: PathBuf::from(places.settings),
            keys: vec![],
            digests: vec![],
        }],
        keystores: vec![],
        libraries: paths(places.libraries),
        folders: paths(places.folders),
        walk: paths(places.walk),
        http: questions(node),
    }
}

fn texts(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs
        .iter()
        .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
        .collect()
}

/// What a running node is asked over HTTP, by the name that a rule uses.
fn questions(node: &Node) -> Vec<wire::HttpRequest> {
    let ask = |name: &str, url: String| wire::HttpRequest {
        name: name.to_owned(),
        url,
        user: None,
        password: None,
        login: None,
        keep: 1024,
    };
    match node.component {
        Component::Si => {
            let user = node
                .list("auth.configs.userManager.userStore.users")
                .first()
                .and_then(|entry| entry.get("user"));
            vec![wire::HttpRequest {
                user: user.and_then(|u| u.get("username")?.resolved()).map(plain),
                // In the file it is encoded.
                password: user
                    .and_then(|u| u.get("password")?.resolved())
                    .and_then(|p| decoded(p.look())),
                ..ask("statistics", "https://localhost:9443/statistics".to_owned())
            }]
        }
        _ => vec![],
    }
}

fn plain(hidden: super::node::Hidden) -> String {
    hidden.look().to_owned()
}

fn decoded(text: &str) -> Option<String> {
    use base64::Engine as _;
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(text)
        .ok()?;
    String::from_utf8(bytes).ok()
}

/// The ports of the node's cluster, and of those who send or give it events.
fn peers(site: &Site, node: &Node) -> Vec<wire::PeerRequest> {
    let mut asked: BTreeMap<&str, BTreeSet<u16>> = BTreeMap::new();
    let hubs = site.event_hubs().filter(|_| node.component.is_apim());
    for peer in site.peers(node).into_iter().chain(hubs) {
        if peer.host != node.host {
            let open = ports::of(peer).into_iter().filter(|p| p.is_for_peers);
            asked
                .entry(&peer.host)
                .or_default()
                .extend(open.map(|p| p.number));
        }
    }
    asked
        .into_iter()
        .map(|(host, ports)| wire::PeerRequest {
            name: host.to_owned(),
            address: site.address(host).to_owned(),
            ports: ports.into_iter().collect(),
            tls: vec![],
            greets: vec![],
        })
        .collect()
}

/// Those of all hosts, and those that people and clients use.
fn names(site: &Site) -> Vec<String> {
    let of_clusters = site.hosts.values().flat_map(|host| {
        [
            "apim_hostname",
            "api_hostname",
            "mi_hostname",
            "si_hostname",
        ]
        .into_iter()
        .filter_map(|name| host.variable(name)?.as_str())
    });
    let all: BTreeSet<&str> = site
        .hosts
        .keys()
        .map(String::as_str)
        .chain(of_clusters)
        .collect();
    all.into_iter().map(str::to_owned).collect()
}
