//! Databases: which one each node uses, and how its address is written.

use super::cluster::disagree;
use super::node::{Component, Node, Setting};
use super::{Finding, Rule, Severity, Site, Stage, versions};
use indexmap::IndexMap;

pub const RULES: &[Rule] = &[
    Rule {
        id: "apim-21",
        title: "apim_db and shared_db are on a database server",
        severity: Severity::Error,
        stage: Stage::Plan,
        why: "H2 is a file of one node: each node would have users, APIs and subscriptions of its own",
        fix: "name a schema of MariaDB, MySQL or PostgreSQL that all nodes reach",
        source: "docs-apim install-and-setup/setup/setting-up-databases/overview.md",
        check: h2,
    },
    Rule {
        id: "apim-22",
        title: "all nodes of API-M use the same schemas",
        severity: Severity::Error,
        stage: Stage::Plan,
        why: "users, APIs and subscriptions of one node are unknown to another",
        fix: "give all nodes one URL for apim_db and one for shared_db",
        source: "docs-apim install-and-setup/setup/setting-up-databases/overview.md",
        check: different_schemas,
    },
    Rule {
        id: "apim-23",
        title: "the local database and the broker's store are files of each node",
        severity: Severity::Error,
        stage: Stage::Plan,
        why: "nodes that share them lock each other out and corrupt them",
        fix: "leave them on H2, `jdbc:h2:./repository/database/...`, also in production",
        source: "docs-apim install-and-setup/setup/setting-up-databases/overview.md",
        check: shared_local,
    },
    Rule {
        id: "apim-24",
        title: "apim_db and shared_db are two schemas",
        severity: Severity::Warning,
        stage: Stage::Plan,
        why: "the tables of both stand mixed, which no script of an upgrade expects",
        fix: "give each a schema of its own",
        source: "docs-apim install-and-setup/setup/setting-up-databases/overview.md",
        check: one_schema,
    },
    Rule {
        id: "apim-28",
        title: "MySQL's driver is named",
        severity: Severity::Warning,
        stage: Stage::Plan,
        why: "without it the server asks for com.mysql.jdbc.Driver, which Connector/J 8 has only as a relic",
        fix: "set driver to com.mysql.cj.jdbc.Driver",
        source: "docs-apim setup/setting-up-databases/changing-default-databases/changing-to-mysql.md",
        check: unnamed_driver,
    },
    Rule {
        id: "apim-32",
        title: "a gateway up to 4.6 has a shared_db",
        severity: Severity::Error,
        stage: Stage::Plan,
        why: "it does not start without",
        fix: "write [database.shared_db], for the same schema as the control plane's",
        source: "wso2/api-manager#4073",
        check: gateways_without,
    },
    Rule {
        id: "apim-29",
        title: "a JDBC URL has `&amp;` between its parameters",
        severity: Severity::Error,
        stage: Stage::Plan,
        why: "the URL is put into XML as it is, and the server stops at its first boot",
        fix: "write `&amp;` instead of `&`",
        source: "docs-apim install-and-setup/setup/setting-up-databases/changing-default-databases",
        check: raw_ampersand,
    },
    Rule {
        id: "integration-03",
        title: "each cluster has a coordination schema of its own",
        severity: Severity::Error,
        stage: Stage::Plan,
        why: "tasks in it have no owner but their name: one cluster takes over what the other schedules",
        fix: "give each cluster a schema and a database user of its own",
        source: "wso2/product-integrator-mi v4.4.0, dbscripts/mysql/mysql_cluster.sql",
        check: shared_coordination,
    },
];

/// The databases that the nodes of API-M have together.
const SHARED: [&str; 2] = ["apim_db", "shared_db"];

/// The coordination schema of an integration node.
pub fn coordination(node: &Node) -> Option<Setting<'_>> {
    match node.component {
        Component::Mi => node.datasource("WSO2_COORDINATION_DB")?.get("url"),
        Component::Si => node
            .datasource("WSO2_CLUSTER_DB")?
            .get("definition.configuration.jdbcUrl"),
        _ => None,
    }
}

/// Every JDBC URL of a node, with the size of its pool where that is set.
pub fn pools(node: &Node) -> Vec<(Setting<'_>, Option<Setting<'_>>)> {
    let (databases, url, size) = match node.component {
        Component::Mi => (node.list("datasource"), "url", "pool_options.maxActive"),
        Component::Si => (
            node.list("wso2.datasources.dataSources"),
            "definition.configuration.jdbcUrl",
            "definition.configuration.maxPoolSize",
        ),
        _ => {
            let tables = node.get("database").into_iter();
            let tables = tables.flat_map(Setting::children).collect();
            (tables, "url", "pool_options.maxActive")
        }
    };
    let databases = databases.into_iter();
    databases
        .filter_map(|d| Some((d.get(url)?, d.get(size))))
        .collect()
}

/// Every JDBC URL of a node.
pub fn urls(node: &Node) -> Vec<Setting<'_>> {
    pools(node).into_iter().map(|(url, _)| url).collect()
}

/// The server of a JDBC URL and its port; `None` for a file of the node.
pub fn server_of(url: &str) -> Option<(String, u16)> {
    let schema = schema_of(url)?;
    let (address, _) = schema.split_once('/')?;
    let (host, port) = address.rsplit_once(':')?;
    Some((host.to_owned(), port.parse().ok()?))
}

/// Server and schema of a JDBC URL, without what does not tell two schemas apart: the driver's parameters, a
/// default port, the case of the server's name.
pub fn schema_of(url: &str) -> Option<String> {
    let (engine, rest) = url.strip_prefix("jdbc:")?.split_once("://")?;
    let (address, rest) = rest.split_once('/')?;
    let schema = rest.split(['?', ';']).next()?;
    let port = match engine {
        "mysql" | "mariadb" => "3306",
        "postgresql" => "5432",
        _ => "",
    };
    let address = match address.split_once(':') {
        None => format!("{address}:{port}"),
        Some(_) => address.to_owned(),
    };
    Some(format!("{}/{schema}", address.to_lowercase()))
}

/// A gateway that asks the control plane needs nothing that is shared. Source: wso2/api-manager#3904.
fn gets_its_tenants(node: &Node) -> bool {
    let loading = node.get("apim.sync_runtime_artifacts.tenant_loading.enable");
    node.component == Component::Gateway && loading.and_then(Setting::bool) == Some(true)
}

fn h2(site: &Site) -> Vec<Finding> {
    let is_hub =
        |node: &Node| [Component::AllInOne, Component::ControlPlane].contains(&node.component);
    let mut found = Vec::new();
    for node in site.apim().filter(|n| !gets_its_tenants(n)) {
        for name in SHARED {
            let database = format!("database.{name}");
            let is_h2 = |key: &str, mark: &str| {
                let setting = node.get(&format!("{database}.{key}"))?;
                setting.text()?.starts_with(mark).then_some(setting)
            };
            if let Some(setting) = is_h2("url", "jdbc:h2").or_else(|| is_h2("type", "h2")) {
                found.push(setting.finds(format!("{name} is H2, a file of this node alone")));
            } else if is_hub(node) && node.settings.is_ok() && node.get(&database).is_none() {
                let what =
                    format!("there is no [{database}]: it is in no database that the nodes share");
                found.push(node.finds(what));
            }
        }
    }
    found
}

/// The server and schema of one of a node's databases: of its URL, or of the parts that the server makes one of.
/// Source: wso2/carbon-kernel v4.9.27, infer.json, database.$1.type.
pub fn schema(node: &Node, name: &str) -> Option<String> {
    let table = node.get(&format!("database.{name}"))?;
    if let Some(url) = table.get("url") {
        return schema_of(url.resolved()?.look());
    }
    let part = |key: &str| Some(table.get(key)?.resolved()?.look().to_owned());
    let port = table.get("port").and_then(Setting::int)?;
    Some(format!(
        "{}:{port}/{}",
        part("hostname")?.to_lowercase(),
        part("name")?
    ))
}

fn different_schemas(site: &Site) -> Vec<Finding> {
    let nodes: Vec<&Node> = site.apim().collect();
    let mut found = Vec::new();
    for name in SHARED {
        if disagree(&nodes, |node| schema(node, name)) {
            let hosts = nodes.iter().map(|n| n.host.as_str());
            found.push(Finding::among(
                hosts,
                format!("{name} is not the same schema on all nodes"),
            ));
        }
    }
    found
}

fn shared_local(site: &Site) -> Vec<Finding> {
    let mut found = Vec::new();
    for node in site.apim() {
        for name in ["local", "mb.store_db"] {
            let Some(url) = node.get(&format!("database.{name}.url")) else {
                continue;
            };
            if !url.text().unwrap_or_default().starts_with("jdbc:h2:./") {
                found.push(url.finds(format!("database.{name} is no file of the node")));
            }
        }
    }
    found
}

fn one_schema(site: &Site) -> Vec<Finding> {
    let [apim, shared] = SHARED;
    let is_one = |node: &&Node| {
        let schema_of = schema(node, apim);
        schema_of.is_some() && schema_of == schema(node, shared)
    };
    let nodes = site.apim().filter(is_one);
    nodes
        .map(|node| node.finds(format!("{apim} and {shared} are one schema")))
        .collect()
}

fn unnamed_driver(site: &Site) -> Vec<Finding> {
    let mut found = Vec::new();
    for node in site.apim() {
        let databases = node
            .get("database")
            .map(Setting::children)
            .unwrap_or_default();
        let of_mysql = databases
            .into_iter()
            .filter_map(|d| Some((d, d.get("type")?)));
        for (_, kind) in
            of_mysql.filter(|(d, k)| k.text() == Some("mysql") && d.get("driver").is_none())
        {
            found.push(kind.finds("a database of type mysql names no driver"));
        }
    }
    found
}

fn gateways_without(site: &Site) -> Vec<Finding> {
    let needs = |node: &&Node| {
        let facts = versions::facts(site, node).and_then(|f| f.get("gateway_database")?.as_bool());
        facts == Some(true) && node.get("database.shared_db").is_none()
    };
    let gateways = site.of(Component::Gateway).filter(needs);
    gateways
        .map(|node| node.finds("there is no [database.shared_db]"))
        .collect()
}

fn raw_ampersand(site: &Site) -> Vec<Finding> {
    let mut found = Vec::new();
    for node in site.apim() {
        for url in urls(node) {
            let text = url.text().unwrap_or_default();
            if text.replace("&amp;", "").contains('&') {
                found.push(url.finds("a JDBC URL has a bare `&`"));
            }
        }
    }
    found
}

fn shared_coordination(site: &Site) -> Vec<Finding> {
    let mut users: IndexMap<String, Vec<(&Node, Setting<'_>)>> = IndexMap::new();
    for node in &site.nodes {
        if let Some(url) = coordination(node)
            && let Some(schema) = url.resolved().and_then(|u| schema_of(u.look()))
        {
            users.entry(schema).or_default().push((node, url));
        }
    }
    let mut found = Vec::new();
    for (schema, users) in users {
        let Some((first, _)) = users.first() else {
            continue;
        };
        let other = users
            .iter()
            .find(|(n, _)| n.component != first.component || n.cluster != first.cluster);
        if let Some((other, url)) = other {
            let what = format!(
                "`{}` and `{}` share the coordination schema {schema}",
                first.cluster, other.cluster
            );
            let hosts = users.iter().map(|(n, _)| n.host.as_str());
            found.push(Finding::among(hosts, what).at(url.span()));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::{schema_of, server_of};

    #[test]
    fn urls_of_one_schema_are_the_same() {
        let one = schema_of("jdbc:mysql://DB:3306/apim?useSSL=true");
        assert_eq!(one.as_deref(), Some("db:3306/apim"));
        assert_eq!(one, schema_of("jdbc:mariadb://db/apim"));
        assert_ne!(one, schema_of("jdbc:mariadb://db/shared"));
        assert_eq!(schema_of("jdbc:h2:./x"), None);
        let server = server_of("jdbc:postgresql://Db.example.com/x?a=b");
        assert_eq!(server, Some(("db.example.com".to_owned(), 5432)));
    }
}
