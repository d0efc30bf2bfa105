//! Settings of one node of API-M that are wrong by themselves, or name what others do not know.

use super::node::{Component, Node, Setting};
use super::{Finding, Rule, Severity, Site, Stage};
use std::collections::{BTreeMap, BTreeSet};

pub const RULES: &[Rule] = &[
    Rule {
        id: "apim-33",
        title: "a gateway of several tenants learns of them",
        severity: Severity::Error,
        stage: Stage::Plan,
        why: "it knows no tenant but its own: `Tenant ID cannot be -1` for every call",
        fix: "give it the shared database, or from 4.6 on apim.sync_runtime_artifacts.tenant_loading",
        source: "wso2/api-manager#4613",
        check: tenants_of_gateways,
    },
    Rule {
        id: "apim-39",
        title: "node_ip is an address of the node at which others reach it",
        severity: Severity::Warning,
        stage: Stage::Plan,
        why: "others are told this address, and it leads nowhere or to themselves",
        fix: "write the host's own address; the samples of the documentation have 127.0.0.1",
        source: "docs-apim setup/single-node/configuring-an-active-active-deployment",
        check: node_ips,
    },
    Rule {
        id: "apim-45",
        title: "nodes of API-M with the database start one after the other",
        severity: Severity::Error,
        stage: Stage::Plan,
        why: "on an empty database two first starts race: rows stand twice, and nobody can log in to the portals any more; on a used one nobody serves meanwhile",
        fix: "let the play of these hosts have `serial: 1`; where the database is in use already, accept this rule",
        source: "wso2/api-manager#5027; wso2/product-apim#6704, #7914, #9059",
        check: at_once,
    },
    Rule {
        id: "apim-46",
        title: "a gateway's labels are names of environments that the control plane's settings have",
        severity: Severity::Error,
        stage: Stage::Plan,
        why: "no API is ever deployed to it",
        fix: "name an environment of deployment.toml; for one that was made in the admin portal, accept this rule",
        source: "docs-apim deploy-and-publish/deploy-on-gateway/deploy-api/deploy-through-multiple-api-gateways.md",
        check: labels,
    },
    Rule {
        id: "apim-60",
        title: "the list of tenants to load at the start can be read, and names tenants of the inventory",
        severity: Severity::Error,
        stage: Stage::Plan,
        why: "the server stops with an exception, or a gateway never gets ready",
        fix: "write `*`, domains, or `*,!domain`; for a tenant that was made elsewhere, accept this rule",
        source: "docs-apim administer/multitenancy/configuring-the-tenant-loading-policy.md",
        check: eager_tenants,
    },
    Rule {
        id: "apim-61",
        title: "API-M has no Hazelcast cluster",
        severity: Severity::Warning,
        stage: Stage::Plan,
        why: "4.x does not need it: caches are kept in step by events, and another cluster can fall apart",
        fix: "take [clustering] out",
        source: "wso2/product-apim v4.5.0, default.json: server.force_local_cache",
        check: hazelcast,
    },
];

fn tenants_of_gateways(site: &Site) -> Vec<Finding> {
    let domains = site
        .hosts
        .values()
        .filter_map(|h| h.variable("tenant_domain")?.as_str());
    if !domains.into_iter().any(|domain| !domain.is_empty()) {
        return vec![];
    }
    let mut found = Vec::new();
    for node in site.of(Component::Gateway) {
        let url = node.text("database.shared_db.url").unwrap_or("jdbc:h2:");
        let loading = node.get("apim.sync_runtime_artifacts.tenant_loading.enable");
        if url.starts_with("jdbc:h2") && loading.and_then(Setting::bool) != Some(true) {
            found.push(node.finds(
                "there are tenants, and it has neither the shared database nor tenant_loading",
            ));
        }
    }
    found
}

fn at_once(site: &Site) -> Vec<Finding> {
    let mut batches: BTreeMap<usize, Vec<&str>> = BTreeMap::new();
    for node in site.apim().filter(|n| n.get("database.apim_db").is_some()) {
        if let Some(batch) = node.batch {
            batches.entry(batch).or_default().push(&node.host);
        }
    }
    let crowds = batches.into_values().filter(|hosts| hosts.len() > 1);
    crowds
        .map(|hosts| Finding::among(hosts, "they start at once, on one database"))
        .collect()
}

fn node_ips(site: &Site) -> Vec<Finding> {
    let mut found = Vec::new();
    for node in site.apim() {
        let Some(setting) = node.get("server.node_ip") else {
            continue;
        };
        let ip = setting.text().unwrap_or_default();
        if ip == site.address(&node.host) {
            continue;
        }
        let mut others = site.hosts.values().filter(|host| host.name != node.host);
        if ip.starts_with("127.") || ip == "localhost" {
            found.push(setting.finds(format!("node_ip is {ip}")));
        } else if let Some(other) = others.find(|host| host.address == ip) {
            found.push(setting.finds(format!("node_ip {ip} is the address of {}", other.name)));
        }
    }
    found
}

/// The only environment, and the label, where the settings name none. Source: wso2/carbon-apimgt, core.default.json and
/// the template of api-manager.xml.
const DEFAULT: &str = "Default";

fn labels(site: &Site) -> Vec<Finding> {
    const LIST: &str = "apim.sync_runtime_artifacts.gateway.gateway_labels";
    let hubs: Vec<&Node> = site
        .event_hubs()
        .filter(|hub| hub.settings.is_ok())
        .collect();
    let environments = hubs
        .iter()
        .flat_map(|hub| hub.list("apim.gateway.environment"));
    let mut known: BTreeSet<&str> = environments.filter_map(|e| e.get("name")?.text()).collect();
    if known.is_empty() {
        known.insert(DEFAULT);
    }
    if hubs.is_empty() {
        return vec![];
    }
    let told = |name: &str| format!("no environment is called `{name}`");
    let mut found = Vec::new();
    for node in site.apim() {
        let labels = node.list(LIST);
        let serves = [Component::Gateway, Component::AllInOne].contains(&node.component);
        if serves && node.settings.is_ok() && labels.is_empty() && !known.contains(DEFAULT) {
            found.push(node.finds(told(DEFAULT)));
        }
        let unknown = labels
            .into_iter()
            .filter(|l| !known.contains(l.text().unwrap_or_default()));
        found.extend(unknown.map(|label| label.finds(told(label.text().unwrap_or_default()))));
    }
    found
}

/// Both are lists of one form. Source: wso2/carbon-apimgt 9.33, GatewayUtils and APIManagerConfiguration.
const LOADED: [&str; 2] = [
    "tenant_mgt.eager_loading_tenants",
    "apim.sync_runtime_artifacts.tenant_loading.tenants",
];

fn eager_tenants(site: &Site) -> Vec<Finding> {
    let domains = site
        .hosts
        .values()
        .filter_map(|h| h.variable("tenant_domain")?.as_str());
    let known: BTreeSet<&str> = domains.chain(["carbon.super"]).collect();
    let mut found = Vec::new();
    for setting in site
        .apim()
        .flat_map(|node| LOADED.map(|path| node.get(path)))
        .flatten()
    {
        for word in setting.text().unwrap_or_default().split(',').map(str::trim) {
            let domain = word.strip_prefix('!').unwrap_or(word);
            if word == "!*" || domain.is_empty() || domain.contains([' ', '!']) {
                found.push(setting.finds(format!("`{word}` is no tenant to load")));
            } else if word == domain && domain != "*" && !known.contains(domain) {
                found.push(setting.finds(format!("`{domain}` is no tenant of the inventory")));
            }
        }
    }
    found
}

fn hazelcast(site: &Site) -> Vec<Finding> {
    let nodes = site.apim();
    let schemes = nodes.filter_map(|node| node.get("clustering.membership_scheme"));
    schemes
        .map(|s| s.finds("clustering.membership_scheme starts Hazelcast"))
        .collect()
}
