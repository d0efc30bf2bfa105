//! JDBC drivers: whether each node has the one that its settings name, once, and in the form that it can load.

use super::node::{Component, Node};
use super::{Finding, Instance, Rule, Severity, Site, Stage};
use crate::wire::survey::{DriverJar, Library};
use std::collections::BTreeSet;
use std::path::Path;

pub const RULES: &[Rule] = &[
    Rule {
        id: "apim-27",
        title: "the JDBC driver is in lib, and there once",
        severity: Severity::Error,
        stage: Stage::Host,
        why: "without it no database is reached; of two, any may be loaded, and mixed ones fail in strange ways",
        fix: "keep one jar in repository/components/lib, and remove the others with their copies in dropins",
        source: "docs-apim install-and-setup/setup/setting-up-databases/changing-default-databases",
        check: |site| each(site, Component::is_apim, missing_or_double),
    },
    Rule {
        id: "integration-08",
        title: "MI and SI have their JDBC driver once, the same on all nodes, SI as an OSGi bundle",
        severity: Severity::Error,
        stage: Stage::Host,
        why: "without it no node joins its cluster; SI does not load a plain jar; two versions behave in two ways",
        fix: "give jdbc_driver once for all; for SI make a bundle of a plain jar with bin/jartobundle.sh",
        source: "docs-mi setup/databases; docs-si admin/adding-third-party-non-osgi-libraries.md",
        check: |site| {
            let mut found = each(site, |c| !c.is_apim(), missing_or_double);
            found.extend(each(site, |c| c == Component::Si, plain));
            found.extend(others(site));
            found
        },
    },
];

fn each(
    site: &Site,
    concerned: impl Fn(Component) -> bool,
    look: fn(&Node, &Instance) -> Result<Vec<Finding>, Finding>,
) -> Vec<Finding> {
    site.surveyed()
        .filter(|(node, _)| concerned(node.component))
        .flat_map(|(node, instance)| look(node, instance).unwrap_or_else(|unseen| vec![unseen]))
        .collect()
}

/// The drivers that the settings name; H2 is in every pack.
fn classes(node: &Node) -> BTreeSet<&str> {
    let (databases, key) = match node.component {
        Component::Mi => (node.list("datasource"), "driver"),
        Component::Si => (
            node.list("wso2.datasources.dataSources"),
            "definition.configuration.driverClassName",
        ),
        _ => {
            let tables = node.get("database").into_iter();
            (
                tables.flat_map(super::node::Setting::children).collect(),
                "driver",
            )
        }
    };
    let named = databases.into_iter().filter_map(|d| d.get(key)?.text());
    named.filter(|class| *class != "org.h2.Driver").collect()
}

/// What a folder of the release has; nothing is there before the first run.
fn folder<'i>(
    node: &Node,
    instance: &'i Instance,
    ending: &str,
) -> Result<Option<&'i Library>, Finding> {
    let found = instance.libraries.iter().find(|l| l.path.ends_with(ending));
    let Some(found) = found.filter(|_| is_release(node, instance)) else {
        return Ok(None);
    };
    Finding::seen(&node.host, &found.jars)?;
    Ok(Some(found))
}

/// Whether what is installed is the release that the run makes current: another one has files of its own.
fn is_release(node: &Node, instance: &Instance) -> bool {
    match (&instance.release, &node.release) {
        (Some(there), Some(wanted)) => there.as_path() == Path::new(wanted),
        (there, _) => there.is_some(),
    }
}

fn holders<'i>(library: Option<&'i Library>, class: &str) -> Vec<&'i DriverJar> {
    let drivers = library.into_iter().flat_map(|l| &l.drivers);
    drivers
        .filter(|jar| jar.classes.iter().any(|c| c == class))
        .collect()
}

/// The names of jars that the run puts into lib.
fn planned(node: &Node) -> Vec<&str> {
    let jars = node.files.iter().filter_map(|f| {
        let (folder, name) = f.dest.rsplit_once('/')?;
        (folder.ends_with("/lib") && name.contains(".jar")).then_some(name)
    });
    jars.collect()
}

fn missing_or_double(node: &Node, instance: &Instance) -> Result<Vec<Finding>, Finding> {
    let lib = folder(node, instance, "lib")?;
    let dropins = folder(node, instance, "dropins")?;
    let planned = planned(node);
    let mut found = Vec::new();
    if !is_release(node, instance) {
        return Ok(found);
    }
    for class in classes(node) {
        let there = holders(lib, class);
        // What has the name of a planned jar is replaced by it.
        let mut names: Vec<&str> = there
            .iter()
            .map(|jar| jar.file.as_str())
            .filter(|name| !planned.contains(name))
            .collect();
        let copies = holders(dropins, class);
        match (names.as_slice(), planned.is_empty()) {
            ([], true) if copies.is_empty() => {
                found.push(node.finds(format!("no jar in lib has {class}")))
            }
            ([], true) => found.push(node.finds(format!("{class} is in dropins only"))),
            ([], false) | ([_], true) => {}
            (_, _) => {
                names.extend(
                    there
                        .iter()
                        .map(|j| j.file.as_str())
                        .filter(|n| planned.contains(n)),
                );
                if names.len() > 1 {
                    found.push(node.finds(format!("{class} is in {}", names.join(" and "))));
                }
            }
        }
        // API-M and MI copy what is in lib, wrapped, and forget a copy when its jar goes.
        if let [first, second, ..] = copies.as_slice() {
            let what = format!(
                "{class} is in dropins twice, as {} and {}",
                first.file, second.file
            );
            found.push(node.finds(what));
        }
    }
    Ok(found)
}

fn plain(node: &Node, instance: &Instance) -> Result<Vec<Finding>, Finding> {
    let lib = folder(node, instance, "lib")?;
    let jars = classes(node)
        .into_iter()
        .flat_map(|class| holders(lib, class));
    let plain: BTreeSet<&str> = jars
        .filter(|jar| jar.bundle.is_none())
        .map(|jar| jar.file.as_str())
        .collect();
    let told = plain
        .into_iter()
        .map(|file| node.finds(format!("{file} is no OSGi bundle")));
    Ok(told.collect())
}

fn others(site: &Site) -> Vec<Finding> {
    let mut found = Vec::new();
    for cluster in site.clusters() {
        let mut known: Vec<(&Node, BTreeSet<&str>)> = Vec::new();
        for node in cluster.into_iter().filter(|n| !n.component.is_apim()) {
            let lib = site
                .instance(node)
                .and_then(|i| folder(node, i, "lib").ok()?);
            let digests: BTreeSet<&str> = classes(node)
                .into_iter()
                .flat_map(|class| holders(lib, class))
                .map(|jar| jar.sha256.as_str())
                .collect();
            if !digests.is_empty() {
                known.push((node, digests));
            }
        }
        let Some((first, digests)) = known.first() else {
            continue;
        };
        if let Some((other, _)) = known.iter().find(|(_, others)| others != digests) {
            let what = format!(
                "the drivers of {} and {} are not the same",
                first.host, other.host
            );
            found.push(Finding::among([first.host.as_str(), &other.host], what));
        }
    }
    found
}
