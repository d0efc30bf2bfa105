//! What is in the databases: whether a schema is empty, whole, of the right version and character set. Only schemas on hosts of
//! ours can be looked into: of another server every rule here says that it could not judge.

use super::database::{coordination, schema_of};
use super::node::{Node, Setting};
use super::{Finding, Rule, Severity, Site, Stage};
use crate::wire::survey::{Database, Schema};
use serde_json::Value;
use std::collections::BTreeSet;

pub const RULES: &[Rule] = &[
    Rule {
        id: "apim-25",
        title: "a schema of API-M is there and empty for the run to fill, or has the tables of its version (4.4 and 4.5 are told apart)",
        severity: Severity::Error,
        stage: Stage::Host,
        why: "a script that stopped half-way, or one of another version, gives errors at the start or later",
        fix: "restore the schema, or empty it and let the next run fill it",
        source: "wso2/product-apim v4.4.0 and v4.5.0, dbscripts/",
        check: partial_schemas,
    },
    Rule {
        id: "apim-26",
        title: "scripts that make tables run on an empty schema only",
        severity: Severity::Error,
        stage: Stage::Plan,
        why: "the packs' scripts drop tables on PostgreSQL and stop half-way elsewhere: what is stored is lost",
        fix: "let `database_schema` run the script: it refuses a schema that has other tables; take -Dsetup out of units",
        source: "wso2/product-apim v4.5.0, dbscripts/ and bin/api-manager.sh",
        check: destructive_scripts,
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
        id: "integration-06",
        title: "the coordination schema of MI has its tables, or the run makes them",
        severity: Severity::Error,
        stage: Stage::Host,
        why: "MI makes no tables: without them it never opens a port",
        fix: "run dbscripts/<engine>/<engine>_cluster.sql of the pack once, or let the role `database` do it (db_schemas: managed)",
        source: "wso2/product-integrator-mi v4.4.0, dbscripts/mysql/mysql_cluster.sql",
        check: |site| missing_tables(site, COORDINATION, |_| true),
    },
    Rule {
        id: "integration-07",
        title: "a coordination schema of MI has one byte per character, as the run makes it and as it is",
        severity: Severity::Error,
        stage: Stage::Plan,
        why: "a key of two VARCHAR(512) exceeds InnoDB's 3072 bytes, and the script stops with ERROR 1071",
        fix: "create the schema with CHARACTER SET latin1 (database_charset)",
        source: "docs-mi setup/databases/setting-up-mysql.md; wso2/product-integrator-mi v4.4.0, mysql_cluster.sql",
        check: wide_characters,
    },
    Rule {
        id: "integration-44",
        title: "from 4.6 on the coordination schema of MI has the tables of the barrier for deleted tasks",
        severity: Severity::Error,
        stage: Stage::Host,
        why: "an upgraded node asks tables that the script of an older version did not make: tasks cannot be deleted or moved",
        fix: "stop all nodes and run <engine>_cluster_task_delete_barrier.sql of the pack once, or set [task_handling] \
            enable_task_delete_barrier = false on all nodes",
        source: "wso2/product-integrator-mi v4.6.0, dbscripts and TaskHandlingConfigUtils",
        check: |site| missing_tables(site, BARRIER, has_barrier),
    },
];

/// A schema, as a host of ours told of it.
struct Look<'s> {
    host: &'s str,
    database: &'s Database,
    schema: Result<&'s Schema, Finding>,
}

/// By `server/name`. Schemas have one name on all servers of a deployment, so the name is enough.
fn looks<'s>(site: &'s Site, schema: &str) -> Vec<Look<'s>> {
    let name = name_of(schema);
    let mut found = Vec::new();
    for (host, survey) in site.surveys() {
        for database in &survey.databases {
            found.extend(database.schemas.get(name).map(|seen| Look {
                host: &host.name,
                database,
                schema: Finding::seen(&host.name, seen),
            }));
        }
    }
    found
}

fn name_of(schema: &str) -> &str {
    schema.rsplit('/').next().unwrap_or_default()
}

/// Nobody of ours can look into it. Where its host was asked and did not answer, that is told of the host already.
fn unseen(site: &Site, node: &Node, schema: &str) -> Option<Finding> {
    let is_ours = |host: &super::Host| {
        host.calls("database")
            .any(|call| call["name"].as_str() == Some(name_of(schema)))
    };
    let asked = site.surveys().next().is_some() && !site.hosts.values().any(is_ours);
    asked.then(|| {
        Finding::unjudged(
            &node.host,
            format!("no host of ours can look into {schema}"),
        )
    })
}

/// The parameters of the calls that make the schema's tables.
fn scripts<'s>(site: &'s Site, schema: &'s str) -> impl Iterator<Item = (&'s str, &'s Value)> {
    site.hosts.values().flat_map(move |host| {
        let calls = host.calls("database_schema");
        let own = calls.filter(move |call| call["database"].as_str() == Some(name_of(schema)));
        own.map(|call| (host.name.as_str(), call))
    })
}

/// The tables of a schema, without the record that `database_schema` keeps.
fn tables(schema: &Schema) -> Vec<&str> {
    let all = schema.tables.iter().map(String::as_str);
    all.filter(|t| *t != "apim_deploy_schema").collect()
}

/// One of the databases that API-M's nodes share.
fn shared<'s>(site: &'s Site, name: &str) -> Option<(&'s Node, String)> {
    site.event_hubs()
        .find_map(|hub| Some((hub, super::database::schema(hub, name)?)))
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
    for (database, wanted) in TABLES {
        let Some((hub, schema)) = shared(site, database) else {
            continue;
        };
        let name = name_of(&schema);
        found.extend(unseen(site, hub, &schema));
        for look in looks(site, &schema) {
            let seen = match look.schema {
                Ok(seen) => seen,
                Err(unseen) => {
                    found.push(unseen);
                    continue;
                }
            };
            let finds = |what: String| Finding::on(look.host, what);
            if tables(seen).is_empty() {
                if scripts(site, &schema).next().is_none() {
                    found.push(finds(format!(
                        "{name} is empty, and the run does not fill it"
                    )));
                }
            } else if let Some(missing) = wanted.iter().find(|table| !seen.has_table(table)) {
                found.push(finds(format!("{name} is not empty and has no {missing}")));
            } else {
                // Governance came with 4.5.
                let is_governance = |t: &String| t.to_uppercase().starts_with("AM_GOV");
                let governs = seen.tables.iter().any(is_governance);
                if database == "apim_db" && line.is_some_and(|line| governs != (line >= (4, 5))) {
                    found.push(finds(format!("{name} is of another version")));
                }
            }
        }
    }
    found
}

fn destructive_scripts(site: &Site) -> Vec<Finding> {
    let mut found = site.silent(|host| host.calls("database_schema").next().is_some());
    for host in site.hosts.values() {
        let programs = ["command", "shell"]
            .iter()
            .flat_map(|module| host.calls(module));
        let scripts = programs.filter(|call| {
            let text = call.to_string();
            text.contains("dbscripts/") && text.contains(".sql")
        });
        found.extend(scripts.map(|_| {
            Finding::on(
                &host.name,
                "a command runs a script of the packs, whatever the schema holds",
            )
        }));
    }
    for node in &site.nodes {
        let options = node.environment.get("JAVA_OPTS").map(String::as_str);
        let given = node.unit("ExecStart").into_iter().chain(options);
        if given
            .into_iter()
            .flat_map(str::split_whitespace)
            .any(|word| word == "-Dsetup")
        {
            found.push(node.finds(format!(
                "{} is started with -Dsetup, which makes its tables again",
                node.service
            )));
        }
    }
    for host in site.hosts.values() {
        found.extend(
            host.calls("database_schema")
                .flat_map(|call| occupied(site, call)),
        );
    }
    found
}

/// Where a script would meet tables that are not its own.
fn occupied(site: &Site, call: &Value) -> Vec<Finding> {
    let name = call["database"].as_str().unwrap_or_default();
    let markers = call["markers"].as_array().into_iter().flatten();
    let markers: Vec<&str> = markers.filter_map(Value::as_str).collect();
    if call["beside"].as_bool() == Some(true) {
        return vec![];
    }
    let mut found = Vec::new();
    for look in looks(site, name) {
        let Ok(schema) = look.schema else { continue };
        let there = tables(schema);
        if !there.is_empty() && !markers.iter().any(|marker| schema.has_table(marker)) {
            let what = format!(
                "{name} has {} tables of something else, and a script is to run there",
                there.len()
            );
            found.push(Finding::on(look.host, what));
        }
    }
    found
}

fn charsets(site: &Site) -> Vec<Finding> {
    let Some((hub, used)) = shared(site, "apim_db") else {
        return vec![];
    };
    let mut found: Vec<Finding> = unseen(site, hub, &used).into_iter().collect();
    for look in looks(site, &used) {
        match look.schema {
            Err(unseen) => found.push(unseen),
            Ok(schema) if !schema.exists || look.database.engine == "postgresql" => {}
            Ok(schema) if schema.charset != "latin1" || schema.collation.ends_with("_ci") => {
                let name = name_of(&used);
                let what = format!("{name} has {} and {}", schema.charset, schema.collation);
                found.push(Finding::on(look.host, what));
            }
            Ok(_) => {}
        }
    }
    found
}

/// The coordination schemas of MI, each with one of its nodes.
fn of_mi(site: &Site) -> Vec<(&Node, String)> {
    let mut known = BTreeSet::new();
    let all = site
        .mi()
        .filter_map(|node| Some((node, schema_of(coordination(node)?.resolved()?.look())?)));
    all.filter(|(_, schema)| known.insert(schema.clone()))
        .collect()
}

const COORDINATION: &[&str] = &[
    "LEADER_STATUS_TABLE",
    "CLUSTER_NODE_STATUS_TABLE",
    "MEMBERSHIP_EVENT_TABLE",
    "REMOVED_MEMBERS_TABLE",
    "COORDINATED_TASK_TABLE",
];

const BARRIER: &[&str] = &[
    "TASK_DELETE_GUARD",
    "TASK_DELETE_BARRIER",
    "TASK_DELETE_BARRIER_EXPECTED",
    "TASK_DELETE_BARRIER_ACK",
];

fn has_barrier(node: &Node) -> bool {
    let switch = node.get("task_handling.enable_task_delete_barrier");
    node.line() >= Some((4, 6)) && switch.and_then(Setting::bool) != Some(false)
}

/// Of an empty schema only where the run has no script for it.
fn missing_tables(site: &Site, wanted: &[&str], concerned: fn(&Node) -> bool) -> Vec<Finding> {
    let mut found = Vec::new();
    for (node, schema) in of_mi(site).into_iter().filter(|(node, _)| concerned(node)) {
        found.extend(unseen(site, node, &schema));
        for look in looks(site, &schema) {
            match look.schema {
                Err(unseen) => found.push(unseen),
                Ok(seen) if tables(seen).is_empty() && scripts(site, &schema).next().is_some() => {}
                Ok(seen) => {
                    let missing = wanted.iter().find(|table| !seen.has_table(table));
                    let what = missing.map(|table| format!("{} has no {table}", name_of(&schema)));
                    found.extend(what.map(|what| Finding::on(look.host, what)));
                }
            }
        }
    }
    found
}

fn is_wide(charset: &str) -> bool {
    let wide = ["utf8", "ucs2", "utf16", "utf32"];
    wide.iter().any(|c| charset.to_lowercase().starts_with(c))
}

fn wide_characters(site: &Site) -> Vec<Finding> {
    let schemas = of_mi(site);
    let mut found = site.silent(|host| host.calls("database").next().is_some());
    for host in site.hosts.values() {
        for call in host.calls("database") {
            let text = |key: &str| call[key].as_str().unwrap_or_default();
            let (name, charset) = (text("name"), text("charset"));
            let is_wanted = schemas.iter().any(|(_, schema)| name_of(schema) == name);
            if is_wide(charset) && text("engine") != "postgresql" && is_wanted {
                let what = format!("{name} is created in {charset}");
                found.push(Finding::on(&host.name, what));
            }
        }
    }
    for (node, schema) in &schemas {
        found.extend(unseen(site, node, schema));
        for look in looks(site, schema) {
            match look.schema {
                Err(unseen) => found.push(unseen),
                Ok(seen)
                    if seen.exists
                        && look.database.engine != "postgresql"
                        && is_wide(&seen.charset) =>
                {
                    let what = format!("{} has {}", name_of(schema), seen.charset);
                    found.push(Finding::on(look.host, what));
                }
                Ok(_) => {}
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    #[test]
    fn wide_are_those_that_exceed_the_index() {
        for (charset, wide) in [("utf8mb4", true), ("UTF8", true), ("latin1", false)] {
            assert_eq!(super::is_wide(charset), wide, "{charset}");
        }
    }
}
