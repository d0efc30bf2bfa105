//! What each host is asked, so that the rules about hosts and running nodes can be judged.

use super::node::{Component, Node, Setting};
use super::site::{Host, Site};
use super::{coordination, database, ports, running};
use crate::wire::survey as wire;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

pub use wire::{Instance, Seen, Survey};

/// The parameters of the `survey` module for one host.
pub fn request(site: &Site, host: &str) -> wire::Request {
    let nodes = site.nodes.iter().filter(|n| n.host == host);
    wire::Request {
        instances: nodes.clone().map(instance).collect(),
        disks: disks(nodes.clone()),
        peers: peers(site, nodes.collect()),
        names: names(site, host),
        databases: databases(site, host),
        connections: EVENT_PORTS.to_vec(),
        within: 30,
    }
}

/// Of a broker and of a receiver of events.
const EVENT_PORTS: [u16; 3] = [5672, 9611, 9711];

/// Tables worth reading where a schema has them: who is a member of a cluster.
const TABLES: &[(&str, &[&str])] = &[
    ("CLUSTER_NODE_STATUS_TABLE", &["GROUP_ID", "NODE_ID"]),
    ("LEADER_STATUS_TABLE", &["GROUP_ID", "NODE_ID"]),
];

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

/// Settings that tell what a node was like before this run.
const KEYS: &[&str] = &[
    "server.hostname",
    "server.node_ip",
    "keystore.primary.file_name",
    "keystore.internal.file_name",
];

/// What a log may say that a rule asks for, by the name that the rule uses.
const LINES: &[(&str, &str)] = &[(coordination::COORDINATED, "Initializing task coordination")];

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
        journal: match node.component {
            Component::AllInOne | Component::ControlPlane | Component::TrafficManager => {
                vec![running::JOURNAL.to_owned()]
            }
            _ => vec![],
        },
        configs: vec![wire::ConfigRequest {
            path: PathBuf::from(places.settings),
            keys: KEYS.iter().map(|key| (*key).to_owned()).collect(),
            digests: vec!["encryption.key".to_owned()],
        }],
        keystores: keystores(node),
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

/// The folders above the nodes' own: on a fresh host those are not there yet.
fn disks<'n>(nodes: impl Iterator<Item = &'n Node>) -> Vec<PathBuf> {
    let homes = nodes.filter_map(|node| node.home.as_deref());
    let above = homes.flat_map(|home| Path::new(home).ancestors().skip(1));
    let all: BTreeSet<&Path> = above.collect();
    all.into_iter().map(Path::to_path_buf).collect()
}

/// Every keystore that the settings name, with its password.
fn keystores(node: &Node) -> Vec<wire::KeystoreRequest> {
    let named: Vec<(&str, Setting<'_>)> = match node.component {
        Component::Si => node
            .list("wso2.transport.http.listenerConfigurations")
            .into_iter()
            .map(|listener| ("", listener))
            .collect(),
        // API-M names the file in its folder, MI the path.
        Component::Mi => tables(node, &["keystore.primary", "truststore"], ""),
        _ => tables(
            node,
            &[
                "keystore.primary",
                "keystore.tls",
                "keystore.internal",
                "truststore",
            ],
            "repository/resources/security/",
        ),
    };
    let mut found: Vec<wire::KeystoreRequest> = Vec::new();
    for (folder, table) in named {
        let text = |key: &str| Some(table.get(key)?.resolved()?.look().to_owned());
        let file = text("file_name").or_else(|| text("keyStoreFile"));
        let password = text("password").or_else(|| text("keyStorePassword"));
        let (Some(file), Some(password)) = (file, password) else {
            continue;
        };
        let path = PathBuf::from(format!("{folder}{}", file.trim_start_matches(SI_HOME)));
        if !found.iter().any(|known| known.path == path) {
            found.push(wire::KeystoreRequest {
                path,
                password,
                kind: text("type"),
            });
        }
    }
    if node.component == Component::Si {
        found.push(wire::KeystoreRequest {
            path: PathBuf::from(SI_TRUSTSTORE),
            password: SI_TRUSTSTORE_PASSWORD.to_owned(),
            kind: None,
        });
    }
    found
}

/// What SI's settings write for its own folder.
const SI_HOME: &str = "${carbon.home}/";

/// Named, with this password, by the launcher. Source: wso2/streaming-integrator v4.3.0, carbon-home/bin/carbon.sh.
pub(super) const SI_TRUSTSTORE: &str = "resources/security/client-truststore.jks";
const SI_TRUSTSTORE_PASSWORD: &str = "wso2carbon";

fn tables<'n>(
    node: &'n Node,
    paths: &[&str],
    folder: &'static str,
) -> Vec<(&'static str, Setting<'n>)> {
    let found = paths.iter().filter_map(|path| node.get(path));
    found.map(|table| (folder, table)).collect()
}

/// What a running node is asked over HTTP, by the name that a rule uses.
fn questions(node: &Node) -> Vec<wire::HttpRequest> {
    let ask = |name: &str, url: String| wire::HttpRequest {
        name: name.to_owned(),
        url,
        user: None,
        password: None,
        login: None,
        keep: 4096,
    };
    let text = |path: &str| Some(node.get(path)?.resolved()?.look().to_owned());
    let mut asked = match node.component {
        Component::Si => {
            let users = node.list("auth.configs.userManager.userStore.users");
            let of_user = |key: &str| {
                let user = users.first()?.get("user")?;
                Some(user.get(key)?.resolved()?.look().to_owned())
            };
            vec![
                ask("health", "http://localhost:9090/health".to_owned()),
                wire::HttpRequest {
                    user: of_user("username"),
                    // In the file it is encoded.
                    password: of_user("password").and_then(|p| decoded(&p)),
                    ..ask("statistics", "https://localhost:9443/statistics".to_owned())
                },
            ]
        }
        Component::Mi => {
            let port = |what: &str| {
                let own = ports::of(node).into_iter().find(|p| p.what == what);
                own.map_or(0, |p| p.number)
            };
            let management = format!("https://localhost:{}/management", port("management"));
            let plain = format!("http://localhost:{}", port("probes"));
            let users = node.list("internal_apis.users");
            let of_user = |key: &str| Some(users.first()?.get(key)?.resolved()?.look().to_owned());
            vec![
                ask("health", format!("{plain}/healthz")),
                // Open, it answers that a login is missing.
                ask("plain management", format!("{plain}/management/server")),
                wire::HttpRequest {
                    user: of_user("user.name"),
                    password: of_user("user.password"),
                    login: Some(format!("{management}/login")),
                    // The list of faulty ones stands last.
                    keep: 65536,
                    ..ask("applications", format!("{management}/applications"))
                },
            ]
        }
        _ => {
            let base = format!("https://localhost:{}", ports::portals(node));
            vec![
                ask("version", format!("{base}/services/Version")),
                // The status is the answer; the body is not kept.
                wire::HttpRequest {
                    user: text("super_admin.username"),
                    password: text("super_admin.password"),
                    keep: 0,
                    ..ask("login", format!("{base}{}", behind_a_login(node)))
                },
                wire::HttpRequest {
                    user: text("super_admin.username"),
                    password: text("super_admin.password"),
                    ..ask(
                        "gateway",
                        format!("{base}/api/am/gateway/v2/server-startup-healthcheck"),
                    )
                },
            ]
        }
    };
    asked.extend(catalog_question(node));
    asked
}

/// From where the node will write, with its own login.
fn catalog_question(node: &Node) -> Option<wire::HttpRequest> {
    let (host, port) = catalog(node)?;
    let (user, password) = super::catalog::login(node)?;
    Some(wire::HttpRequest {
        name: super::catalog::QUESTION.to_owned(),
        url: format!("https://{host}:{port}/api/am/service-catalog/v1/services?limit=1"),
        user: Some(user.look().to_owned()),
        password: Some(password.look().to_owned()),
        login: None,
        keep: 0,
    })
}

/// What only the super admin may read. Gateways have no internal/data: theirs looks for an API that is not there.
/// Source: wso2/carbon-apimgt, internal.service and rest.api.gateway, api.yaml and beans.xml; wso2/product-apim v4.4.0 and
/// v4.6.0, bin.xml and profileSetup.sh: which part has which.
fn behind_a_login(node: &Node) -> &'static str {
    match node.component {
        Component::Gateway => "/api/am/gateway/v2/api-artifact?apiName=none&version=none",
        _ => "/internal/data/v1/revokedjwt",
    }
}

pub(super) fn decoded(text: &str) -> Option<String> {
    use base64::Engine as _;
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(text)
        .ok()?;
    String::from_utf8(bytes).ok()
}

/// Where the nodes of a host connect to: their clusters, those who give them events, their databases, and API-M as
/// the integration layer sees it.
fn peers(site: &Site, nodes: Vec<&Node>) -> Vec<wire::PeerRequest> {
    let mut asked: BTreeMap<String, wire::PeerRequest> = BTreeMap::new();
    let mut ask = |name: &str,
                   address: &str,
                   port: u16,
                   also: fn(&mut wire::PeerRequest) -> &mut Vec<u16>| {
        let peer = asked
            .entry(address.to_owned())
            .or_insert_with(|| wire::PeerRequest {
                name: name.to_owned(),
                address: address.to_owned(),
                ports: vec![],
                tls: vec![],
                greets: vec![],
            });
        if !peer.ports.contains(&port) {
            peer.ports.push(port);
        }
        let list = also(peer);
        if !list.contains(&port) {
            list.push(port);
        }
    };
    for node in nodes {
        let hubs = site.event_hubs().filter(|_| node.component.is_apim());
        // Gateways alone speak to traffic managers.
        let managers = site.of(Component::TrafficManager);
        let managers = managers.filter(|_| node.component == Component::Gateway);
        let others = site.peers(node).into_iter().chain(hubs).chain(managers);
        for peer in others.filter(|peer| peer.host != node.host) {
            for port in ports::of(peer).into_iter().filter(|p| p.is_for_peers) {
                ask(&peer.host, site.address(&peer.host), port.number, |p| {
                    &mut p.ports
                });
            }
        }
        for url in database::urls(node) {
            let Some((host, port)) = url.resolved().and_then(|u| database::server_of(u.look()))
            else {
                continue;
            };
            ask(&host, &host, port, |p| &mut p.greets);
        }
        if let Some((host, port)) = catalog(node) {
            ask(&host, &host, port, |p| &mut p.tls);
        }
    }
    asked.into_values().collect()
}

/// Where an integration node announces its services.
pub(super) fn catalog(node: &Node) -> Option<(String, u16)> {
    match node.component {
        Component::Mi => {
            let url = node
                .list("service_catalog")
                .first()?
                .get("apim_host")?
                .text()?;
            let (host, port) = super::events::address_of(url)?;
            Some((host.to_owned(), port))
        }
        Component::Si => {
            let host = node.text("service.catalog.configs.hostname")?.to_owned();
            let port = node.number("service.catalog.configs.port", 9443);
            Some((host, u16::try_from(port).ok()?))
        }
        _ => None,
    }
}

/// The database servers that the run sets up here, with their schemas.
fn databases(site: &Site, host: &str) -> Vec<wire::DatabaseRequest> {
    let mut found: BTreeMap<String, BTreeMap<String, Vec<wire::TableRequest>>> = BTreeMap::new();
    let calls = site
        .hosts
        .get(host)
        .into_iter()
        .flat_map(|h| h.calls("database"));
    for params in calls {
        let text = |key: &str| Some(params.get(key)?.as_str()?.to_owned());
        if let (Some(engine), Some(name)) = (text("engine"), text("name")) {
            let tables = TABLES.iter().map(|(table, columns)| wire::TableRequest {
                table: (*table).to_owned(),
                columns: columns.iter().map(|c| (*c).to_owned()).collect(),
            });
            found
                .entry(engine)
                .or_default()
                .insert(name, tables.collect());
        }
    }
    found
        .into_iter()
        .map(|(engine, schemas)| wire::DatabaseRequest { engine, schemas })
        .collect()
}

/// Those of the hosts that it has to do with, those that people and clients use, and those of database servers. Hosts of a
/// tenant have nothing to do with those of another.
fn names(site: &Site, host: &str) -> Vec<String> {
    let own = site.hosts.get(host).and_then(tenant);
    let around = || {
        site.hosts.values().filter(move |other| {
            let its = tenant(other);
            own.is_none() || its.is_none() || its == own
        })
    };
    let of_clusters = around().flat_map(|host| {
        [
            "apim_hostname",
            "api_hostname",
            "mi_hostname",
            "si_hostname",
        ]
        .into_iter()
        .filter_map(|name| host.variable(name)?.as_str())
    });
    let is_around = |node: &&Node| around().any(|host| host.name == node.host);
    let urls = site.nodes.iter().filter(is_around).flat_map(database::urls);
    let servers = urls.filter_map(|url| Some(database::server_of(url.resolved()?.look())?.0));
    let named = servers.filter(|server| server.parse::<std::net::IpAddr>().is_err());
    let hosts = around().map(|host| host.name.as_str()).chain(of_clusters);
    let all: BTreeSet<String> = hosts.map(str::to_owned).chain(named).collect();
    all.into_iter().collect()
}

/// The domain of the tenant whose host it is.
fn tenant(host: &Host) -> Option<&str> {
    let domain = host.variable("tenant_domain")?.as_str()?;
    Some(domain).filter(|domain| !domain.is_empty())
}
