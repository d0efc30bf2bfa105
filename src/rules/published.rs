//! Passwords and keys that everybody has: those of the packs.

use super::node::{Component, Node, Setting};
use super::{Finding, Rule, Severity, Stage, survey};
use crate::wire::survey::X509;

pub const RULES: &[Rule] = &[
    Rule {
        id: "apim-50",
        title: "API-M has neither the super admin's password nor the key of the packs",
        severity: Severity::Production,
        stage: Stage::Plan,
        why: "both are published: whoever reaches a port manages the platform, and signs tokens that every gateway takes",
        fix: "set keystore and truststore, with a key of your own",
        source: "docs-apim deployment-best-practices/security-guidelines-for-production-deployment.md",
        check: |site| {
            let mut found = site.unanswered(|node| node.component.is_apim());
            found.extend(site.apim().flat_map(of_apim));
            found.extend(site.surveyed().flat_map(|(node, instance)| {
                let stores = instance
                    .keystores
                    .iter()
                    .filter(|_| node.component.is_apim());
                let entries = stores.filter_map(|k| k.entries.known()).flatten();
                let own = entries
                    .filter(|e| e.has_key)
                    .filter_map(|e| e.certificate.as_ref());
                let packs = own
                    .filter(|c| is_of_pack(c))
                    .map(|c| node.finds(format!("its key is {}", c.subject)));
                packs.collect::<Vec<_>>()
            }));
            found
        },
    },
    Rule {
        id: "integration-20",
        title: "no management user of MI and SI has the password of the packs, and MI not their key",
        severity: Severity::Production,
        stage: Stage::Plan,
        why: "admin/admin and the key of the packs are published: whoever reaches a port manages the node",
        fix: "set mi_admin_password and si_admin_password, and a keystore of your own",
        source: "docs-mi setup/deployment-best-practices/security-guidelines-for-production-deployment.md; \
            wso2/product-integrator-mi v4.4.0, default.json: internal_apis.users",
        check: |site| site.nodes.iter().flat_map(of_integration).collect(),
    },
];

/// `CN=localhost,O=WSO2,...`, self-signed, in whatever form the names stand.
fn is_of_pack(certificate: &X509) -> bool {
    let is_local = certificate.common_name.as_deref() == Some("localhost");
    is_local && certificate.subject.contains("WSO2") && certificate.subject == certificate.issuer
}

fn is(setting: Setting<'_>, published: &str) -> bool {
    setting
        .resolved()
        .is_some_and(|value| value.look() == published)
}

const FIRST: &str = "choose another wso2_admin_password before the first boot; after it, change it in /carbon first";

fn of_apim(node: &Node) -> Vec<Finding> {
    let mut found = Vec::new();
    let password = node.get("super_admin.password").filter(|p| is(*p, "admin"));
    found.extend(password.map(|p| {
        p.finds("the super admin has the password of the packs")
            .fix(FIRST)
    }));
    let tables = ["keystore.primary", "keystore.tls", "keystore.internal"];
    let files = tables
        .iter()
        .filter_map(|table| node.get(table)?.get("file_name"));
    let mut packs = files.filter(|file| file.text() == Some("wso2carbon.jks"));
    found.extend(
        packs
            .next()
            .map(|file| file.finds("the key store is that of the packs")),
    );
    found
}

/// Of SI only logins: its launcher names the packs' key and its password itself (integration-42).
fn of_integration(node: &Node) -> Vec<Finding> {
    let mut found = Vec::new();
    let users = match node.component {
        Component::Mi => node.list("internal_apis.users"),
        Component::Si => node.list("auth.configs.userManager.userStore.users"),
        _ => return found,
    };
    let has_file = node
        .get("internal_apis.file_user_store.enable")
        .and_then(Setting::bool);
    if node.component == Component::Mi
        && users.is_empty()
        && has_file != Some(false)
        && node.settings.is_ok()
    {
        found.push(node.finds("there are no [[internal_apis.users]], so MI has the packs' admin"));
    }
    for password in users
        .into_iter()
        .filter_map(|user| user.get("user.password"))
    {
        let encoded = password
            .resolved()
            .and_then(|value| survey::decoded(value.look()));
        if is(password, "admin") || encoded.as_deref() == Some("admin") {
            found.push(password.finds("a management user has the password of the packs"));
        }
    }
    let key = node
        .get("keystore.primary.password")
        .filter(|p| is(*p, "wso2carbon"));
    found.extend(key.map(|p| p.finds("the key store is that of the packs, or has its password")));
    found
}
