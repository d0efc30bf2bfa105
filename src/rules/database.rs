//! Databases: which one each node uses, and how its address is written.

use super::cluster::disagree;
use super::node::{Component, Node, Setting};
use super::{Finding, Rule, Severity, Site, Stage, versions};
use crate::wire::survey::{Database, Schema};
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
        id: "apim-25",
        title: "a schema is empty, or has all the tables of its version",
        severity: Severity::Error,
        stage: Stage::Host,
        why: "a script that stopped half-way, or one of another version, gives errors at the start or later",
        fix: "restore the schema, or empty it and let the next run fill it",
        source: "wso2/product-apim v4.4.0 and v4.5.0, dbscripts/",
        check: partial_schemas,
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
        id: "apim-30",
        title: "apim_db on MySQL or MariaDB has one byte per character and tells upper case from lower",
        severity: Severity::Warning,
        stage: Stage::Host,
        why: "long keys exceed what an index may have (ERROR 1071), and names that differ in case only are one",
        fix: "create it with `CHARACTER SET latin1 COLLATE latin1_general_cs`",
        source: "docs-apim setup/setting-up-databases/changing-default-databases/changing-to-mysql.md",
        check: charsets,
    },
    Rule {
        id: "apim-31",
        title: "a database server takes as many connections as the nodes of API-M may open",
        severity: Severity::Warning,
        stage: Stage::Host,
        why: "under load the nodes wait for connections that never come",
        fix: "raise max_connections, or lower apim_db_pool_size",
        source: "wso2/product-apim v4.5.0, default.json: pool_options.maxActive 50",
        check: connections,
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

/// Every JDBC URL of a node.
pub fn urls(node: &Node) -> Vec<Setting<'_>> {
    let (databases, key) = match node.component {
        Component::Mi => (node.list("datasource"), "url"),
        Component::Si => (
            node.list("wso2.datasources.dataSources"),
            "definition.configuration.jdbcUrl",
        ),
        _ => {
            let tables = node.get("database").into_iter();
            (tables.flat_map(Setting::children).collect(), "url")
        }
    };
    databases.into_iter().filter_map(|d| d.get(key)).collect()
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
            }
        }
    }
    found
}

/// The server and schema of one of a node's databases.
fn schema(node: &Node, name: &str) -> Option<String> {
    let url = node.get(&format!("database.{name}.url"))?;
    schema_of(url.resolved()?.look())
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

/// What the host of a database said of a schema that nodes of API-M use: host, name, engine and the schema.
fn seen<'s>(
    site: &'s Site,
    name: &str,
) -> Vec<(&'s str, String, &'s Database, Result<&'s Schema, Finding>)> {
    let Some(used) = site.event_hubs().find_map(|hub| schema(hub, name)) else {
        return vec![];
    };
    let schema = used.rsplit('/').next().unwrap_or_default().to_owned();
    let mut found = Vec::new();
    for (host, survey) in site.surveys() {
        for database in &survey.databases {
            if let Some(seen) = database.schemas.get(&schema) {
                found.push((
                    host.name.as_str(),
                    schema.clone(),
                    database,
                    Finding::seen(&host.name, seen),
                ));
            }
        }
    }
    found
}

/// Tables that every version has, by database.
const TABLES: [(&str, &[&str]); 2] = [
    (
        "apim_db",
        &[
            "IDN_BASE_TABLE",
            "AM_API",
            "AM_SYSTEM_APPS",
            "AM_GATEWAY_ENVIRONMENT",
        ],
    ),
    (
        "shared_db",
        &["UM_TENANT", "REG_CLUSTER_LOCK", "REG_RESOURCE"],
    ),
];

fn partial_schemas(site: &Site) -> Vec<Finding> {
    let line = site.event_hubs().find_map(Node::line);
    let mut found = Vec::new();
    for (name, tables) in TABLES {
        for (host, schema, _, seen) in seen(site, name) {
            let seen = match seen {
                Ok(seen) if !seen.tables.is_empty() => seen,
                Ok(_) => continue,
                Err(unseen) => {
                    found.push(unseen);
                    continue;
                }
            };
            if let Some(missing) = tables.iter().find(|table| !seen.has_table(table)) {
                found.push(Finding::on(
                    host,
                    format!("{schema} is not empty and has no {missing}"),
                ));
                continue;
            }
            // Governance came with 4.5.
            let governs = seen
                .tables
                .iter()
                .any(|t| t.to_uppercase().starts_with("AM_GOV"));
            if name == "apim_db" && line.is_some_and(|line| governs != (line >= (4, 5))) {
                found.push(Finding::on(host, format!("{schema} is of another version")));
            }
        }
    }
    found
}

fn charsets(site: &Site) -> Vec<Finding> {
    let mut found = Vec::new();
    for (host, name, database, seen) in seen(site, "apim_db") {
        match seen {
            Err(unseen) => found.push(unseen),
            Ok(schema) if !schema.exists || database.engine == "postgresql" => {}
            Ok(schema) if schema.charset != "latin1" || schema.collation.ends_with("_ci") => {
                let what = format!("{name} has {} and {}", schema.charset, schema.collation);
                found.push(Finding::on(host, what));
            }
            Ok(_) => {}
        }
    }
    found
}

fn connections(site: &Site) -> Vec<Finding> {
    let mut wanted = 0;
    for node in site.apim() {
        for name in SHARED.iter().filter(|name| schema(node, name).is_some()) {
            wanted += node.number(&format!("database.{name}.pool_options.maxActive"), 50);
        }
    }
    let mut found = Vec::new();
    for (host, _, database, _) in seen(site, "apim_db") {
        match Finding::seen(host, &database.server) {
            Err(unseen) => found.push(unseen),
            Ok(server) if i64::from(server.max_connections) < wanted => {
                let what = format!(
                    "{} connections are allowed, and API-M may open {wanted}",
                    server.max_connections
                );
                found.push(Finding::on(host, what));
            }
            Ok(_) => {}
        }
    }
    found
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
