//! The balancer in front of API-M, as its files would be written. A balancer that is somebody else's has none here.

mod haproxy;

use super::node::{Component, Node, Setting};
use super::{Finding, Rule, Severity, Site, Stage, ports};
use crate::source::{File, Span};
use std::sync::Arc;

pub const RULES: &[Rule] = &[
    Rule {
        id: "apim-40",
        title: "the names and ports that API-M gives out, of portals and of APIs over TLS, are those of the balancer",
        severity: Severity::Error,
        stage: Stage::Plan,
        why: "the portals send browsers elsewhere, and the first login stores wrong callback URLs for good",
        fix: "make server.hostname the balancer's name and proxyPort its port, before the first login",
        source: "wso2/product-apim#6792, #6976",
        check: names,
    },
    Rule {
        id: "apim-41",
        title: "the balancer keeps a client of the portals on its node",
        severity: Severity::Error,
        stage: Stage::Plan,
        why: "the session is in one node only: people are logged out at random",
        fix: "add `hash $remote_addr consistent;` to NGINX's upstream, `balance source` to HAProxy's backend",
        source: "docs-apim install-and-setup/setup/setting-up-proxy-server-and-the-load-balancer/configuring-the-proxy-server-and-the-load-balancer.md",
        check: sticky,
    },
    Rule {
        id: "apim-42",
        title: "the balancer hands WebSockets on and takes headers of 32 KB",
        severity: Severity::Warning,
        stage: Stage::Plan,
        why: "WebSocket APIs answer 400; federated logins answer 400 or 414",
        fix: "NGINX: set the headers Upgrade and Connection, and `large_client_header_buffers 4 32k;`; HAProxy: `tune.bufsize 131072`",
        source: "docs-apim install-and-setup/setup/setting-up-proxy-server-and-the-load-balancer",
        check: headers,
    },
    Rule {
        id: "apim-64",
        title: "API calls go to gateways, not to the control plane",
        severity: Severity::Warning,
        stage: Stage::Plan,
        why: "an all-in-one pack as a control plane answers them too, past the gateways and their limits",
        fix: "let the balancer's upstreams of APIs name gateways only",
        source: "docs-apim install-and-setup/setup/distributed-deployment/deploying-wso2-api-m-in-a-distributed-setup",
        check: past_the_gateways,
    },
];

/// Files of balancers by the host that would have them. A run about one tenant alone writes nothing of what all share: what it
/// does not write is not missing.
fn files<'s>(
    site: &'s Site,
    folder: &'static str,
) -> impl Iterator<Item = (&'s str, &'s Arc<File>)> {
    let is_whole = move |host: &super::site::Host| {
        let mut files = host.files.iter();
        files.any(|f| MAIN.iter().any(|main| f.dest == format!("{folder}{main}")))
    };
    let hosts = site.hosts.values().filter(move |host| is_whole(host));
    hosts.flat_map(move |host| {
        let own = host
            .files
            .iter()
            .filter(move |f| f.dest.starts_with(folder));
        own.filter_map(|f| Some((host.name.as_str(), f.text.as_ref()?)))
    })
}

const MAIN: [&str; 2] = ["nginx.conf", "haproxy.cfg"];
const NGINX: &str = "/etc/nginx/";
const HAPROXY: &str = "/etc/haproxy/";

/// NGINX's `upstream name { ... }`, HAProxy's `backend name` and `listen name`, and the place of the name.
struct Upstream<'f> {
    host: &'f str,
    name: &'f str,
    body: &'f str,
    at: Span,
    is_http: bool,
}

impl Upstream<'_> {
    /// Whether `server address:port` is in it.
    fn serves(&self, site: &Site, node: &Node, base: i64) -> bool {
        let server = format!(
            "{}:{}",
            site.address(&node.host),
            base + ports::offset(node)
        );
        let mut words = self.body.split([' ', ';', '\n']);
        words.any(|word| word == server)
    }

    fn finds(&self, what: String) -> Finding {
        Finding::on(self.host, what).at(&self.at)
    }
}

fn upstreams(site: &Site) -> Vec<Upstream<'_>> {
    let mut found = haproxy::backends(site);
    for (host, file) in files(site, NGINX) {
        let text = file.text.as_str();
        for (start, word) in text.match_indices("upstream ") {
            let start = start + word.len();
            let Some((name, rest)) = text[start..].split_once('{') else {
                continue;
            };
            let name = name.trim();
            found.push(Upstream {
                host,
                name,
                body: rest.split('}').next().unwrap_or_default(),
                at: Span::new(file, start..start + name.len()),
                is_http: !file.name.ends_with(".stream.conf"),
            });
        }
    }
    found
}

fn sticky(site: &Site) -> Vec<Finding> {
    let mut found = Vec::new();
    for upstream in upstreams(site).iter().filter(|u| u.is_http) {
        let served = site
            .event_hubs()
            .filter(|hub| upstream.serves(site, hub, 9443))
            .count();
        let methods = [
            "ip_hash",
            "hash ",
            "sticky ",
            "balance source",
            "cookie ",
            "stick ",
        ];
        if served > 1 && !methods.iter().any(|m| upstream.body.contains(m)) {
            found.push(upstream.finds(format!("{} keeps nobody on a node", upstream.name)));
        }
    }
    found
}

fn past_the_gateways(site: &Site) -> Vec<Finding> {
    let mut found = Vec::new();
    if site.of(Component::Gateway).next().is_none() {
        return found;
    }
    for upstream in upstreams(site) {
        for hub in site.event_hubs() {
            if [8243, 8280]
                .iter()
                .any(|port| upstream.serves(site, hub, *port))
            {
                found.push(
                    upstream.finds(format!("{} sends API calls to {}", upstream.name, hub.host)),
                );
            }
        }
    }
    found
}

fn headers(site: &Site) -> Vec<Finding> {
    let mut found = haproxy::short_headers(site);
    for host in site.hosts.keys() {
        let own: Vec<&str> = files(site, NGINX)
            .filter(|(of, _)| of == host)
            .map(|(_, file)| file.text.as_str())
            .collect();
        if !own.iter().any(|text| text.contains("proxy_pass")) {
            continue;
        }
        if !own
            .iter()
            .any(|text| text.contains("proxy_set_header Upgrade "))
        {
            found.push(Finding::on(host, "the header Upgrade is not handed on"));
        }
        let largest = own
            .iter()
            .filter_map(|text| buffers(text))
            .max()
            .unwrap_or(8);
        if largest < 32 {
            found.push(Finding::on(
                host,
                format!("a header may have {largest} KB only"),
            ));
        }
    }
    found
}

/// The size of `large_client_header_buffers 4 32k;`, in KB.
fn buffers(text: &str) -> Option<u32> {
    let (_, rest) = text.split_once("large_client_header_buffers")?;
    let size = rest.split(';').next()?.split_whitespace().nth(1)?;
    let number = size
        .trim_end_matches(['k', 'K', 'm', 'M'])
        .parse::<u32>()
        .ok()?;
    Some(match size.ends_with(['m', 'M']) {
        true => number * 1024,
        false => number,
    })
}

/// The names of every `server` with its ports of TLS.
fn servers(text: &str) -> Vec<(Vec<&str>, Vec<&str>)> {
    let blocks = text.split("server {").skip(1);
    blocks
        .map(|block| {
            let lines = || block.lines().map(|line| line.trim().trim_end_matches(';'));
            let names = lines().filter_map(|line| line.strip_prefix("server_name "));
            let listens = lines().filter_map(|line| line.strip_prefix("listen "));
            let of_tls = listens.filter(|listen| listen.split(' ').any(|word| word == "ssl"));
            (
                names.flat_map(str::split_whitespace).collect(),
                of_tls
                    .filter_map(|listen| listen.split(' ').next())
                    .collect(),
            )
        })
        .collect()
}

fn names(site: &Site) -> Vec<Finding> {
    let nginx = files(site, NGINX).flat_map(|(_, file)| servers(&file.text));
    let haproxy = files(site, HAPROXY).flat_map(|(_, file)| haproxy::fronts(&file.text));
    let servers: Vec<_> = nginx.chain(haproxy).collect();
    if servers.is_empty() {
        return vec![];
    }
    // A default that takes every name is no portals' balancer.
    let ports_of = |name: &str, is_portals: bool| -> Vec<&str> {
        let is_of = |names: &[&str]| {
            let mut names = names.iter();
            names.any(|n| n.eq_ignore_ascii_case(name) || (!is_portals && *n == "*"))
        };
        let own = servers.iter().filter(|(names, _)| is_of(names));
        own.flat_map(|(_, ports)| ports.iter().copied()).collect()
    };
    let mut found = Vec::new();
    for node in site.event_hubs() {
        let proxy = node.number("transport.https.properties.proxyPort", ports::portals(node));
        let portals = node
            .get("server.hostname")
            .and_then(|s| Some((s, s.text()?.to_owned(), proxy)));
        let portals = portals.into_iter().map(|portals| (portals, true));
        let others = given_out(node).into_iter().map(|other| (other, false));
        for ((setting, name, port), is_portals) in portals.chain(others) {
            let ports = ports_of(&name, is_portals);
            if ports.is_empty() {
                found.push(setting.finds(format!("the balancer serves no {name}")));
            } else if !ports.iter().any(|p| *p == port.to_string()) {
                let ports = ports.join(", ");
                found.push(setting.finds(format!(
                    "port {port} of {name} is given out, and the balancer serves it on {ports}"
                )));
            }
        }
    }
    found
}

/// URLs that people and clients are told: the name and the port of each. What the portals stored at their first login is
/// not among them: no look that changes nothing shows it.
fn given_out(node: &Node) -> Vec<(Setting<'_>, String, i64)> {
    let environments = node.list("apim.gateway.environment").into_iter();
    let apis = environments.filter_map(|e| e.get("https_endpoint"));
    let urls = apis.chain(node.get("apim.devportal.url"));
    urls.filter_map(|url| {
        let rest = url.text()?.strip_prefix("https://")?;
        let address = rest.split('/').next()?;
        let (name, port) = match address.split_once(':') {
            Some((name, port)) => (name, port.parse().ok()?),
            None => (address, 443),
        };
        Some((url, name.to_owned(), port))
    })
    .collect()
}
