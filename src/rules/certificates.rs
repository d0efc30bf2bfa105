//! Certificates of MI and SI: whether their key stores open, are in time and for the right name, and whether they trust API-M.

use super::node::{Component, Node};
use super::{Finding, Instance, Rule, Seen, Severity, Site, Stage, keystores, survey};
use crate::wire::survey::{Keystore, PathKind, Reach, X509};
use std::borrow::Cow;

pub const RULES: &[Rule] = &[
    Rule {
        id: "integration-21",
        title: "the key stores of MI and SI open, hold the alias, are in time, and MI's is for the name of its cluster",
        severity: Severity::Error,
        stage: Stage::Host,
        why: "a listener does not open, or clients refuse what it presents",
        fix: "give keystore, keystore_password and keystore_alias of one file, with mi_hostname among its names",
        source: "docs-mi setup/security/configuring-keystores.md",
        check: |site| each(site, own),
    },
    Rule {
        id: "integration-22",
        title: "MI and SI trust the certificate that API-M presents where they announce their services",
        severity: Severity::Error,
        stage: Stage::Host,
        why: "no service gets into the catalog, and nothing tries again",
        fix: "import the certificate of API-M, or of whoever signed it, into truststore; SI takes that if its password is wso2carbon, and a file of si_extra_files otherwise",
        source: "wso2/product-integrator-mi v4.4.0, ServiceCatalogUtils; docs-apim reference on the service catalog",
        check: |site| each(site, trust),
    },
];

fn each(
    site: &Site,
    look: fn(&Site, &Node, &Instance) -> Result<Vec<Finding>, Finding>,
) -> Vec<Finding> {
    site.surveyed()
        .filter(|(node, _)| !node.component.is_apim())
        .flat_map(|(node, instance)| {
            look(site, node, instance).unwrap_or_else(|unseen| vec![unseen])
        })
        .collect()
}

fn file_name(store: &Keystore) -> Cow<'_, str> {
    let name = store.file.path.file_name();
    name.unwrap_or_default().to_string_lossy()
}

/// Seconds since the epoch, by the host's own clock: its products judge by it.
fn now(site: &Site, node: &Node) -> i64 {
    let clock = site.survey(&node.host).map(|survey| survey.clock.last_ns);
    clock.unwrap_or_default() / 1_000_000_000
}

fn own(site: &Site, node: &Node, instance: &Instance) -> Result<Vec<Finding>, Finding> {
    let mut found = Vec::new();
    let now = now(site, node);
    // A file that is not there yet is for the run to bring.
    let there = instance
        .keystores
        .iter()
        .filter(|k| k.file.kind == PathKind::File);
    for store in there {
        let name = file_name(store);
        let entries = match &store.entries {
            Seen::Known(entries) => entries,
            Seen::Unknown { why } if why.contains("is not the one of this keystore") => {
                found.push(node.finds(format!("{name} does not open with its password")));
                continue;
            }
            Seen::Unknown { why } => return Err(Finding::unjudged(&node.host, why.as_str())),
        };
        let keys = entries.iter().filter(|e| e.has_key);
        for certificate in keys.filter_map(|e| e.certificate.as_ref()) {
            if certificate.not_after <= now {
                found.push(node.finds(format!("{} in {name} is out of date", certificate.subject)));
            } else if certificate.not_before > now {
                found.push(node.finds(format!(
                    "{} in {name} is not in force yet",
                    certificate.subject
                )));
            }
        }
        found.extend(identity(node, store));
    }
    Ok(found)
}

/// The entry that MI shows, of its own key store. The packs' key is for nobody: integration-20 speaks of it.
fn identity(node: &Node, store: &Keystore) -> Option<Finding> {
    let file = node
        .text("keystore.primary.file_name")
        .filter(|_| node.component == Component::Mi)?;
    if !store.file.path.ends_with(file) || !keystores::is_own(file) {
        return None;
    }
    let alias = node.text("keystore.primary.alias")?;
    let short = file.rsplit('/').next().unwrap_or(file);
    let Some(certificate) = store.entry(alias).and_then(|e| e.certificate.as_ref()) else {
        return Some(node.finds(format!("{short} has no key under the alias {alias}")));
    };
    let name = node.text("server.hostname")?;
    let is_for = keystores::is_for(certificate, name);
    (!is_for).then(|| node.finds(format!("{} is not for {name}", certificate.subject)))
}

fn trust(site: &Site, node: &Node, instance: &Instance) -> Result<Vec<Finding>, Finding> {
    let Some((address, port)) = survey::catalog(node) else {
        return Ok(vec![]);
    };
    let peers = site
        .survey(&node.host)
        .map(|s| s.peers.as_slice())
        .unwrap_or_default();
    let Some(peer) = peers
        .iter()
        .find(|p| p.address == address && p.port == port)
    else {
        return Ok(vec![]);
    };
    // Before the first run nobody is there to present anything.
    if !matches!(Finding::seen(&node.host, &peer.reach)?, Reach::Open { .. }) {
        return Err(Finding::unjudged(
            &node.host,
            format!("{address} port {port} presents nothing"),
        ));
    }
    let Some(chain) = &peer.chain else {
        return Ok(vec![]);
    };
    let chain = Finding::seen(&node.host, chain)?;
    let stores = instance.keystores.iter();
    let Some(store) = stores.clone().find(|k| is_truststore(node, k)) else {
        return Ok(vec![]);
    };
    if store.file.kind == PathKind::Missing {
        return Ok(vec![]);
    }
    let entries = Finding::seen(&node.host, &store.entries)?;
    let trusted: Vec<&X509> = entries
        .iter()
        .filter_map(|e| e.certificate.as_ref())
        .collect();
    if chain.iter().any(|c| trusted.iter().any(|t| vouches(t, c))) {
        return Ok(vec![]);
    }
    let subject = chain.first().map_or("nothing", |c| c.subject.as_str());
    let name = file_name(store);
    Ok(vec![node.finds(format!(
        "{name} knows nobody who vouches for {subject} of {address}"
    ))])
}

/// The certificate itself, or by its name the one that signed it: the signature is not verified here.
fn vouches(trusted: &X509, certificate: &X509) -> bool {
    trusted.sha256 == certificate.sha256
        || trusted.subject == certificate.issuer && trusted.subject != certificate.subject
}

fn is_truststore(node: &Node, store: &Keystore) -> bool {
    let file = match node.component {
        Component::Mi => node.text("truststore.file_name").unwrap_or_default(),
        _ => survey::SI_TRUSTSTORE,
    };
    !file.is_empty() && store.file.path.ends_with(file)
}
