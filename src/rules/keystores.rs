//! Keys and certificates: what nodes must share, what must never change, and what must be trusted.

use super::cluster::disagree;
use super::node::{Node, Setting};
use super::{Finding, Instance, Rule, Severity, Site, Stage, versions};
use crate::wire::Content;
use crate::wire::survey::{Keystore, PathKind, X509};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;

pub const RULES: &[Rule] = &[
    Rule {
        id: "apim-17",
        title: "all nodes of API-M have one primary and one internal keystore",
        severity: Severity::Error,
        stage: Stage::Plan,
        why: "a node cannot read what another encrypted, and refuses the tokens that it signed",
        fix: "give every node the same file, alias and password; only the keystore of TLS may differ",
        source: "docs-apim install-and-setup/setup/security/configuring-keystores",
        check: shared,
    },
    Rule {
        id: "apim-18",
        title: "the keystore or, from 4.7 on, the key that data is encrypted with stays the same",
        severity: Severity::Error,
        stage: Stage::Host,
        why: "secrets in the database were encrypted with the old one, and cannot be read any more",
        fix: "keep the old file as [keystore.internal], or the old apim_encryption_key; change the primary keystore only",
        source: "docs-apim install-and-setup/setup/security/configuring-keystores",
        check: changed,
    },
    Rule {
        id: "apim-19",
        title: "from 4.7 on all nodes have one encryption key of 64 hex digits",
        severity: Severity::Error,
        stage: Stage::Plan,
        why: "each node makes a key of its own and cannot read the others' secrets; a key of another form stops the start",
        fix: "set apim_encryption_key to what `openssl rand -hex 32` says, once for ever",
        source: "wso2/api-manager#4785, #4891",
        check: encryption_keys,
    },
    Rule {
        id: "apim-20",
        title: "from 4.7 on a node without an encryption key may write its settings",
        severity: Severity::Error,
        stage: Stage::Host,
        why: "its start script adds a key to deployment.toml, and stops where that or its folder is a link or read-only",
        fix: "set apim_encryption_key",
        source: "wso2/product-apim v4.7.0, bin/api-manager.sh, EncryptionKeyGenerator",
        check: settings_are_writable,
    },
    Rule {
        id: "apim-48",
        title: "each node of API-M trusts the certificate that tokens are signed with, under the alias that it looks for",
        severity: Severity::Error,
        stage: Stage::Host,
        why: "every JWT, or every API key, is refused",
        fix: "import the certificate of the primary keystore into the truststore as gateway_certificate_alias",
        source: "docs-apim install-and-setup/setup/security/configuring-keystores; wso2/carbon-apimgt 9.33, JWTValidatorImpl, \
            DefaultApiKeyGenerator and core.default.json",
        check: trust,
    },
    Rule {
        id: "apim-49",
        title: "a certificate of API-M is for localhost and for the node's host name",
        severity: Severity::Error,
        stage: Stage::Host,
        why: "a node calls itself, and the others by this name: calls fail and the health check stays 500",
        fix: "make a certificate with both as subject alternative names",
        source: "wso2/api-manager#1698",
        check: names,
    },
];

/// The table that counts: a node without an internal keystore takes the primary one.
fn table<'n>(node: &'n Node, name: &str) -> Option<Setting<'n>> {
    let own = node.get(&format!("keystore.{name}"));
    own.or_else(|| node.get("keystore.primary"))
}

fn file_name<'n>(node: &'n Node, name: &str) -> Option<&'n str> {
    table(node, name)?.get("file_name")?.text()
}

/// Of the file that the run would write.
fn planned_digest<'n>(node: &'n Node, file: &str) -> Option<&'n str> {
    match &node.file(&format!("/{file}"))?.content {
        Content::Blob { digest, .. } => Some(&digest.0),
        Content::Text(_) => None,
    }
}

/// The file as the host has it.
fn kept<'i>(instance: &'i Instance, file: &str) -> Option<&'i Keystore> {
    instance
        .keystores
        .iter()
        .find(|k| k.file.path.ends_with(file))
}

fn shared(site: &Site) -> Vec<Finding> {
    let nodes: Vec<&Node> = site.apim().collect();
    let mut found = site.unanswered(|node| node.component.is_apim());
    for name in ["primary", "internal"] {
        let mut differs = |what: String| {
            let hosts = nodes.iter().map(|n| n.host.as_str());
            found.push(Finding::among(hosts, what));
        };
        for key in ["file_name", "type", "alias", "password", "key_password"] {
            if disagree(&nodes, |node| table(node, name)?.get(key)?.resolved()) {
                differs(format!(
                    "{key} of the {name} keystore is not the same on all nodes"
                ));
            }
        }
        if disagree(&nodes, |node| {
            planned_digest(node, file_name(node, name)?).map(str::to_owned)
        }) {
            differs(format!(
                "the {name} keystore would not be the same file on all nodes"
            ));
        }
        let there: Vec<_> = site
            .surveyed()
            .filter(|(node, _)| node.component.is_apim())
            .collect();
        let mut digests = there
            .iter()
            .filter_map(|(node, i)| kept(i, file_name(node, name)?)?.sha256.as_deref());
        let first = digests.next();
        if digests.any(|digest| Some(digest) != first) {
            differs(format!(
                "the {name} keystore is not the same file on all nodes"
            ));
        }
    }
    found
}

fn changed(site: &Site) -> Vec<Finding> {
    let nodes = site.surveyed().filter(|(node, _)| node.component.is_apim());
    nodes
        .flat_map(|(node, instance)| [change(node, instance), other_key(node, instance)])
        .flatten()
        .collect()
}

/// By their digests: the host does not tell the key itself.
fn other_key(node: &Node, instance: &Instance) -> Option<Finding> {
    const KEY: &str = "encryption.key";
    let now = instance.configs.iter().find_map(|c| c.digests.get(KEY))?;
    let setting = node.get(KEY)?;
    let wanted = Sha256::digest(setting.resolved()?.look());
    let wanted: String = wanted.iter().map(|byte| format!("{byte:02x}")).collect();
    (*now != wanted)
        .then(|| setting.finds("encryption.key would be another one than stored secrets have"))
}

fn change(node: &Node, instance: &Instance) -> Option<Finding> {
    let wanted = file_name(node, "internal")?;
    let values = &instance.configs.first()?.values;
    let names = ["keystore.internal.file_name", "keystore.primary.file_name"];
    let now = names.iter().find_map(|name| values.get(*name))?;
    if now != wanted {
        return Some(node.finds(format!(
            "the keystore of stored secrets was {now} and would be {wanted}"
        )));
    }
    let digest = kept(instance, wanted)?.sha256.as_deref()?;
    let is_other = planned_digest(node, wanted)? != digest;
    is_other.then(|| {
        node.finds(format!(
            "{wanted}, the keystore of stored secrets, would be another file"
        ))
    })
}

/// Whether its version encrypts with a key of the settings, and the settings do not choose the keystore instead.
fn has_key(site: &Site, node: &Node) -> bool {
    let facts = versions::facts(site, node).and_then(|facts| facts.get("encryption")?.as_bool());
    facts == Some(true) && node.get("encryption.internal_crypto_provider").is_none()
}

fn encryption_keys(site: &Site) -> Vec<Finding> {
    let nodes: Vec<&Node> = site.apim().filter(|node| has_key(site, node)).collect();
    let key = |node: &Node| node.get("encryption.key").and_then(Setting::resolved);
    let mut found = Vec::new();
    for node in &nodes {
        let is_hex = |key: &str| key.len() == 64 && key.chars().all(|c| c.is_ascii_hexdigit());
        match key(node) {
            None => found.push(node.finds("there is no encryption.key")),
            Some(key) if !is_hex(key.look()) => {
                found.push(node.finds("encryption.key is not 64 hex digits"));
            }
            Some(_) => {}
        }
    }
    if found.is_empty() && disagree(&nodes, |node| key(node)) {
        let hosts = nodes.iter().map(|n| n.host.as_str());
        found.push(Finding::among(
            hosts,
            "encryption.key is not the same on all nodes",
        ));
    }
    found
}

fn settings_are_writable(site: &Site) -> Vec<Finding> {
    let mut found = Vec::new();
    let nodes = site.surveyed().filter(|(node, _)| has_key(site, node));
    for (node, instance) in nodes.filter(|(node, _)| node.get("encryption.key").is_none()) {
        for path in instance.configs.iter().flat_map(|c| [&c.file, &c.folder]) {
            let shown = path.path.display();
            if path.kind == PathKind::Link {
                found.push(node.finds(format!("{shown} is a link")));
            } else if path.writable == Some(false) {
                found.push(node.finds(format!("{shown} is read-only for the service")));
            }
        }
    }
    found
}

/// The packs' own key: apim-50 speaks of it.
pub fn is_own(file: &str) -> bool {
    !file.ends_with("wso2carbon.jks")
}

/// The certificate under the alias of a keystore; `None` while the file is not there.
fn certificate<'i>(
    node: &Node,
    instance: &'i Instance,
    name: &str,
) -> Option<Result<&'i X509, Finding>> {
    let file = file_name(node, name).filter(|file| is_own(file))?;
    let keystore = kept(instance, file).filter(|k| k.file.kind != PathKind::Missing)?;
    let alias = table(node, name)?.get("alias")?.text()?;
    if let Err(unseen) = Finding::seen(&node.host, &keystore.entries) {
        return Some(Err(unseen));
    }
    let entry = keystore.entry(alias).and_then(|e| e.certificate.as_ref());
    Some(
        entry.ok_or_else(|| {
            node.finds(format!("{file} has no certificate under the alias {alias}"))
        }),
    )
}

fn trust(site: &Site) -> Vec<Finding> {
    let nodes: Vec<_> = site
        .surveyed()
        .filter(|(node, _)| node.component.is_apim())
        .collect();
    let mut found = Vec::new();
    for (node, instance) in &nodes {
        let signing = match certificate(node, instance, "primary") {
            Some(Ok(signing)) => signing,
            Some(Err(finding)) => {
                found.push(finding);
                continue;
            }
            None => continue,
        };
        let Some(file) = node.text("truststore.file_name") else {
            continue;
        };
        let Some(store) = kept(instance, file) else {
            continue;
        };
        match Finding::seen(&node.host, &store.entries) {
            Err(unseen) => found.push(unseen),
            Ok(entries) => {
                let mut trusted = entries.iter().filter_map(|e| e.certificate.as_ref());
                if !trusted.any(|c| c.sha256 == signing.sha256) {
                    found.push(node.finds(format!("{file} does not have {}", signing.subject)));
                    continue;
                }
                for alias in aliases(node) {
                    let under = store.entry(alias).and_then(|e| e.certificate.as_ref());
                    if under.is_none_or(|c| c.sha256 != signing.sha256) {
                        let what = format!(
                            "{file} has another certificate than {} as {alias}, or none",
                            signing.subject
                        );
                        found.push(node.finds(what));
                    }
                }
            }
        }
    }
    found
}

/// Of API keys and of the publisher's test keys, which are looked up by alias.
fn aliases(node: &Node) -> BTreeSet<&str> {
    let keys = ["apim.devportal.api_key_alias", "apim.publisher.key_alias"];
    keys.iter()
        .map(|key| node.text(key).unwrap_or("gateway_certificate_alias"))
        .collect()
}

fn names(site: &Site) -> Vec<Finding> {
    let mut found = Vec::new();
    for (node, instance) in site.surveyed().filter(|(node, _)| node.component.is_apim()) {
        let certificate = match certificate(node, instance, "tls") {
            Some(Ok(certificate)) => certificate,
            Some(Err(finding)) => {
                found.push(finding);
                continue;
            }
            None => continue,
        };
        let wanted = ["localhost"]
            .into_iter()
            .chain(node.text("server.hostname"));
        for name in wanted.filter(|name| !is_for(certificate, name)) {
            found.push(node.finds(format!("{} is not for {name}", certificate.subject)));
        }
    }
    found
}

/// `*.example.com` is for one label in its place.
pub fn is_for(certificate: &X509, name: &str) -> bool {
    let any = name
        .split_once('.')
        .map(|(_, domain)| format!("*.{domain}"));
    let own = certificate.alt_names.iter().chain(&certificate.common_name);
    own.into_iter()
        .any(|n| n.eq_ignore_ascii_case(name) || Some(n) == any.as_ref())
}
