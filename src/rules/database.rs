//! Databases: which one each node uses, and how its address is written.

use super::node::{Component, Node, Setting};
use super::{Finding, Rule, Severity, Site, Stage};
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

fn h2(site: &Site) -> Vec<Finding> {
    let mut found = Vec::new();
    for node in site.apim() {
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
