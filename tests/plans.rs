//! The plan of every shipped playbook with every shipped inventory, as a document that reviewers read: what
//! would be sent to whom, in which order, with every file as it would be written.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use apim_deploy::plan::{Line, Plan};
use apim_deploy::wire::{Action, Block, Item, Step};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use support::{prepared, shipped};

#[test]
fn standard_ha() {
    snapshot("standard-ha", "inventories/standard-ha.yaml");
}

#[test]
fn standard_ha_without_streaming() {
    snapshot("standard-ha", "inventories/standard-ha-mi.yaml");
}

#[test]
fn standard_ha_with_streaming_alone() {
    snapshot("standard-ha", "tests/fixtures/plans/standard-ha-si.yaml");
}

#[test]
fn standard_ha_with_many_integrators_in_zones() {
    snapshot("standard-ha", "inventories/standard-ha-large.yaml");
}

#[test]
fn simple_scalable_with_streaming_alone() {
    snapshot(
        "simple-scalable",
        "tests/fixtures/plans/simple-scalable-si.yaml",
    );
}

#[test]
fn simple_scalable() {
    snapshot("simple-scalable", "inventories/simple-scalable.yaml");
}

#[test]
fn simple_scalable_with_traffic_managers() {
    snapshot("simple-scalable", "inventories/simple-scalable-large.yaml");
}

#[test]
fn standard_ha_multitenant() {
    snapshot(
        "standard-ha-multitenant",
        "inventories/standard-ha-multitenant.yaml",
    );
}

#[test]
fn standard_ha_multitenant_with_tenants_of_all_shapes() {
    snapshot(
        "standard-ha-multitenant",
        "inventories/standard-ha-multitenant-large.yaml",
    );
}

/// With HAProxy only the balancers' own steps are other ones.
#[test]
fn standard_ha_behind_haproxy() {
    behind_haproxy("standard-ha", "inventories/standard-ha-mi.yaml");
}

#[test]
fn simple_scalable_behind_haproxy() {
    behind_haproxy("simple-scalable", "inventories/simple-scalable.yaml");
}

#[test]
fn standard_ha_multitenant_behind_haproxy() {
    behind_haproxy(
        "standard-ha-multitenant",
        "inventories/standard-ha-multitenant.yaml",
    );
}

/// Neither balancer nor peers know a host that left, and it is stopped after all of them.
#[test]
fn a_host_that_left_is_named_by_nobody_and_looked_at_last() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = shipped(
        dir.path(),
        "standard-ha-multitenant",
        "inventories/standard-ha-multitenant-large.yaml",
    );
    options.retire = Some("mi-acme-3".to_owned());
    let text = shown(&prepared(options).plan);
    let (before, last) = text.split_once("play Stop what left").unwrap();
    for name in ["mi-acme-3", "10.0.2.13"] {
        assert!(!before.contains(name), "{name} is still named");
    }
    assert!(before.contains("10.0.2.12"));
    assert!(last.contains("host mi-acme-3"), "{last}");
    assert!(last.contains("/etc/systemd/system/wso2-mi.service"));
}

/// Two nodes, a file that both have, and the settings in which it may differ.
type Twins<'t> = (&'t str, &'t str, &'t str, &'t [&'t str]);

const APIM: Twins<'_> = (
    "apim-1",
    "apim-2",
    "deployment.toml",
    &["node_ip", "event_duplicate_url"],
);
const MI: Twins<'_> = ("mi-1", "mi-2", "deployment.toml", &["node_id"]);
const SI: Twins<'_> = ("si-1", "si-2", "deployment.yaml", &["id", "advertisedHost"]);

/// Nodes of one cluster differ only where the product wants it; anything else is a copy that went wrong.
/// The keys: `reference` section 4.3 of API-M's active-active page, MI's node id, SI's id and address.
#[test]
fn twins_differ_only_where_they_must() {
    twins(
        "standard-ha",
        "inventories/standard-ha.yaml",
        &[APIM, MI, SI],
    );
    // The last of many as the first.
    let last: Twins<'_> = ("mi-1", "mi-14", MI.2, MI.3);
    twins(
        "standard-ha",
        "inventories/standard-ha-large.yaml",
        &[APIM, last, SI],
    );
}

/// Without a Micro Integrator too; a gateway is told nothing of itself but its address.
#[test]
fn twins_of_streaming_alone_differ_only_where_they_must() {
    let standard_ha = "tests/fixtures/plans/standard-ha-si.yaml";
    twins("standard-ha", standard_ha, &[APIM, SI]);
    let gateways: Twins<'_> = ("gw-1", "gw-2", "deployment.toml", &["node_ip"]);
    let simple_scalable = "tests/fixtures/plans/simple-scalable-si.yaml";
    twins("simple-scalable", simple_scalable, &[APIM, gateways, SI]);
}

fn twins(playbook: &str, inventory: &str, pairs: &[Twins<'_>]) {
    let dir = tempfile::tempdir().unwrap();
    let plan = prepared(shipped(dir.path(), playbook, inventory)).plan;
    for (one, other, file, allowed) in pairs {
        let texts = [one, other].map(|host| file_of(&plan, host, file));
        let differ: Vec<(&str, &str)> = texts[0]
            .lines()
            .zip(texts[1].lines())
            .filter(|(a, b)| a != b)
            .collect();
        assert!(
            !differ.is_empty(),
            "{file} of {one} and {other} are the same"
        );
        for (a, _) in &differ {
            let key = a.trim().split(['=', ':']).next().unwrap().trim();
            assert!(
                allowed.contains(&key),
                "{one} and {other} differ in {file}: {a}"
            );
        }
        assert_eq!(texts[0].lines().count(), texts[1].lines().count());
    }
}

/// Secrets travel in environment files alone, never in a configuration file that people read and compare.
#[test]
fn no_password_in_a_file_that_is_shown() {
    let dir = tempfile::tempdir().unwrap();
    let plan = prepared(shipped(
        dir.path(),
        "standard-ha",
        "inventories/standard-ha.yaml",
    ))
    .plan;
    for (host, step) in steps(&plan) {
        let Action::Call { params, .. } = &step.action else {
            continue;
        };
        if step.no_log {
            continue;
        }
        for file in params["files"].as_array().into_iter().flatten() {
            if file["secret"] == true {
                continue;
            }
            let text = file.to_string();
            for secret in support::SECRETS {
                let (_, value) = secret.split_once('=').unwrap();
                assert!(
                    !text.contains(value),
                    "{host}: {} shows {secret}",
                    file["dest"]
                );
            }
        }
    }
}

/// An application that must go goes with the change of its node, so that the way back knows of it.
#[test]
fn what_must_go_is_part_of_the_change() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = shipped(dir.path(), "standard-ha", "inventories/standard-ha.yaml");
    options.extra_vars.push(
        r#"{"mi_capps_removed": ["orders_1.0.0.car"], "si_apps_removed": ["Sensors.siddhi"]}"#
            .to_owned(),
    );
    let plan = prepared(options).plan;
    for (kind, name) in [
        ("mi", "carbonapps/orders_1.0.0.car"),
        ("si", "siddhi-files/Sensors.siddhi"),
    ] {
        let mut hosts = Vec::new();
        for (host, step) in steps(&plan) {
            let Action::Call { module, params } = &step.action else {
                continue;
            };
            if !params.to_string().contains(name) {
                continue;
            }
            assert_eq!(module, "instance", "{host}");
            let path = params["absent"][0].as_str().unwrap();
            assert!(path.ends_with(name), "{host}: {path}");
            hosts.push(host);
        }
        assert_eq!(hosts, [format!("{kind}-1"), format!("{kind}-2")]);
    }
}

fn behind_haproxy(playbook: &str, inventory: &str) {
    let dir = tempfile::tempdir().unwrap();
    let mut options = shipped(dir.path(), playbook, inventory);
    options
        .extra_vars
        .push("load_balancer_engine=haproxy".to_owned());
    let mut plan = prepared(options).plan;
    let files = files_of(&plan, "/etc/haproxy/");
    plan.plays
        .retain(|play| play.name == "Deploy the load balancer");
    insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!(format!("{playbook}@haproxy"), shown(&plan));
    });
    haproxy_takes(&files, dir.path());
}

/// No list of another kind is left, every cluster has its name at its port, and nobody else's name gets an answer.
#[test]
fn the_tls_of_mi_may_end_at_the_balancer() {
    for (playbook, inventory) in [
        ("standard-ha", "inventories/standard-ha.yaml"),
        (
            "standard-ha-multitenant",
            "inventories/standard-ha-multitenant.yaml",
        ),
    ] {
        let has_tenants = playbook == "standard-ha-multitenant";
        let dir = tempfile::tempdir().unwrap();
        let ends = |engine: &str| {
            let mut options = shipped(dir.path(), playbook, inventory);
            options.extra_vars.push("lb_ends_mi_tls=true".to_owned());
            let engine = format!("load_balancer_engine={engine}");
            options.extra_vars.push(engine);
            prepared(options).plan
        };
        let nginx = files_of(&ends("nginx"), "/etc/nginx/");
        let all = nginx.values().cloned().collect::<String>();
        for file in nginx.keys() {
            let is_other = file.starts_with("clusters/mi") && file.ends_with(".stream.conf");
            assert!(!is_other && !file.ends_with(".names"), "{file}");
        }
        let (name, host) = match has_tenants {
            true => ("mi_acme", "mi.acme.example.com"),
            false => ("mi", "mi.example.com"),
        };
        let site = &nginx[&format!("sites/{name}.http.conf")];
        assert!(site.contains("listen 8253 ssl;"), "{site}");
        assert!(site.contains(&format!("server_name {host};")), "{site}");
        assert!(site.contains(&format!("proxy_pass https://{name}_https;")));
        let list = &nginx[&format!("clusters/{name}.http.conf")];
        assert!(list.contains(":8290 ") && list.contains(":8253 "), "{list}");
        assert_eq!(
            all.contains("listen 8253 ssl default_server"),
            has_tenants,
            "{all}"
        );
        assert!(!all.contains("ssl_preread on"), "{all}");

        let haproxy = files_of(&ends("haproxy"), "/etc/haproxy/");
        let front = &haproxy["haproxy.cfg"];
        assert!(front.contains("frontend mi_8253 from http\n    bind :8253 ssl crt"));
        assert!(front.contains("use_backend tls:%[req.hdr(host),field(1,:),lower]:8253"));
        let list = &haproxy[&format!("conf.d/{name}.cfg")];
        let back = format!("backend tls:{host}:8253 from http");
        assert!(list.contains(&back) && list.contains(":8253 ssl verify none"));
        haproxy_takes(&haproxy, dir.path());
    }
}

/// The files below a folder as they would be.
fn files_of(plan: &Plan, folder: &str) -> BTreeMap<String, String> {
    let mut files = BTreeMap::<String, String>::new();
    for (_, step) in steps(plan) {
        let Action::Call { module, params } = &step.action else {
            continue;
        };
        let (path, text) = match module.as_str() {
            "template" | "upstreams" => (&params["dest"], &params["content"]["text"]),
            "blockinfile" => (&params["path"], &params["block"]),
            _ => continue,
        };
        let path = path.as_str().unwrap().strip_prefix(folder);
        if let (Some(path), Some(text)) = (path, text.as_str()) {
            files.entry(path.to_owned()).or_default().push_str(text);
        }
    }
    files
}

/// By its own check, where it is installed; with another certificate.
fn haproxy_takes(files: &BTreeMap<String, String>, dir: &Path) {
    assert!(files.len() > 3, "{:?}", files.keys());
    let shown = dir.display().to_string();
    for (name, text) in files {
        let path = dir.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let text = text.replace("/etc/haproxy", &shown);
        std::fs::write(path, text.replace(" ssl crt ", " # ")).unwrap();
    }
    let check = Command::new("haproxy")
        .args([
            "-c",
            "-f",
            &format!("{shown}/haproxy.cfg"),
            "-f",
            &format!("{shown}/conf.d"),
        ])
        .output();
    if let Ok(output) = check {
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        assert!(!said.contains("[WARNING]"), "{said}");
    }
}

/// A level is in the names of packs, folders and units, and nowhere else: tables and settings are the version's.
#[test]
fn an_update_level_changes_names_alone() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = shipped(dir.path(), "standard-ha", "inventories/standard-ha.yaml");
    let base = shown(&prepared(options.clone()).plan);
    support::packs_of_level(&dir.path().join("packs"), ".12");
    let levels = ["apim", "mi", "si"].map(|product| format!("{product}_update_level=12"));
    options.extra_vars.extend(levels);
    let level = shown(&prepared(options).plan);
    let names = |line: &&str| !line.contains("sha256");
    let without = level.replace("+12", "").replace(".0.12.zip", ".0.zip");
    let lines =
        |text: &str| -> Vec<String> { text.lines().filter(names).map(ToOwned::to_owned).collect() };
    assert_eq!(lines(&without), lines(&base));
    let mut named: Vec<&str> = level
        .lines()
        .map(str::trim)
        .filter(|l| l.contains("12"))
        .collect();
    named.retain(|line| line.contains("+12") || line.contains(".12."));
    named.sort_unstable();
    named.dedup();
    let text = named
        .join("\n")
        .replace(&dir.path().display().to_string(), "PACKS");
    insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!("standard-ha-at-a-level", text);
    });
}

fn snapshot(playbook: &str, inventory: &str) {
    let dir = tempfile::tempdir().unwrap();
    let prepared = prepared(shipped(dir.path(), playbook, inventory));
    let text = shown(&prepared.plan).replace(&dir.path().display().to_string(), "PACKS");
    let name = Path::new(inventory).file_name().unwrap().display();
    insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!(format!("{playbook}@{name}"), text);
    });
}

fn shown(plan: &Plan) -> String {
    let mut text = String::new();
    for play in &plan.plays {
        writeln!(text, "play {}", play.name).unwrap();
        let mut before: Vec<(&str, String)> = vec![];
        for (number, batch) in play.batches.iter().enumerate() {
            for (host, lines) in &batch.hosts {
                writeln!(text, "\n  batch {} host {host}", number + 1).unwrap();
                let mut all = String::new();
                for line in lines {
                    show_line(&mut all, line);
                }
                match twin(&all, &before) {
                    Some((other, rest)) => {
                        writeln!(text, "    as {other}, but for\n{rest}").unwrap();
                    }
                    None => text += &all,
                }
                before.push((host, all));
            }
        }
        text.push('\n');
    }
    text
}

/// The host before that is told what this one is, but for a few lines; and those lines.
fn twin<'h>(text: &str, before: &[(&'h str, String)]) -> Option<(&'h str, String)> {
    let count = text.lines().count();
    let alike = before.iter().filter(|(_, b)| b.lines().count() == count);
    let differing = |other: &str| -> Vec<String> {
        let lines = text.lines().zip(other.lines());
        let own = lines.filter(|(line, other)| line != other);
        own.map(|(line, _)| line.to_owned()).collect()
    };
    let found = alike.map(|(host, other)| (*host, differing(other)));
    let (host, rest) = found.min_by_key(|(_, rest)| rest.len())?;
    (rest.len() * 5 < count).then(|| (host, rest.join("\n")))
}

fn show_line(text: &mut String, line: &Line) {
    match line {
        Line::Deferred { task, after } => {
            writeln!(text, "    {task}: decided after {after}").unwrap();
        }
        Line::Carry { place, items } => {
            let user = place.user.as_deref().unwrap_or("login user");
            writeln!(text, "    one message to {} as {user}", place.host).unwrap();
            for item in items {
                show_item(text, item, 6);
            }
        }
    }
}

fn show_item(text: &mut String, item: &Item, indent: usize) {
    match item {
        Item::Step(step) => show_step(text, step, indent),
        Item::Block(Block {
            steps,
            rescue,
            always,
        }) => {
            for (name, part) in [("block", steps), ("rescue", rescue), ("always", always)] {
                if !part.is_empty() {
                    writeln!(text, "{:indent$}{name}", "").unwrap();
                }
                for item in part {
                    show_item(text, item, indent + 2);
                }
            }
        }
    }
}

fn show_step(text: &mut String, step: &Step, indent: usize) {
    let item = step
        .item
        .as_ref()
        .map(|i| format!(" ({i})"))
        .unwrap_or_default();
    write!(text, "{:indent$}{}{item}", "", step.title).unwrap();
    match &step.action {
        Action::Skip { reason } => writeln!(text, "  skipped: {reason}").unwrap(),
        Action::Call { module, params } => {
            writeln!(text, "  [{module}]").unwrap();
            show_value(text, params, indent + 4);
        }
    }
    for handler in &step.notify {
        writeln!(text, "{:1$}-> {handler}", "", indent + 4).unwrap();
    }
}

/// YAML-like, with texts of several lines as blocks.
fn show_value(text: &mut String, value: &Value, indent: usize) {
    let pad = " ".repeat(indent);
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                match value {
                    Value::Object(_) | Value::Array(_) => {
                        writeln!(text, "{pad}{key}:").unwrap();
                        show_value(text, value, indent + 2);
                    }
                    Value::String(block) if block.contains('\n') => {
                        writeln!(text, "{pad}{key}: |").unwrap();
                        for line in block.lines() {
                            writeln!(text, "{pad}  {line}").unwrap();
                        }
                    }
                    other => writeln!(text, "{pad}{key}: {other}").unwrap(),
                }
            }
        }
        Value::Array(list) => {
            for value in list {
                if value.is_object() {
                    writeln!(text, "{pad}-").unwrap();
                    show_value(text, value, indent + 2);
                } else {
                    writeln!(text, "{pad}- {value}").unwrap();
                }
            }
        }
        other => writeln!(text, "{pad}{other}").unwrap(),
    }
}

fn steps(plan: &Plan) -> Vec<(String, &Step)> {
    fn below<'p>(item: &'p Item, host: &str, found: &mut Vec<(String, &'p Step)>) {
        match item {
            Item::Step(step) => found.push((host.to_owned(), step)),
            Item::Block(block) => {
                for item in block.steps.iter().chain(&block.rescue).chain(&block.always) {
                    below(item, host, found);
                }
            }
        }
    }
    let mut found = Vec::new();
    for batch in plan.plays.iter().flat_map(|p| &p.batches) {
        for (host, lines) in &batch.hosts {
            for line in lines {
                if let Line::Carry { items, .. } = line {
                    for item in items {
                        below(item, host, &mut found);
                    }
                }
            }
        }
    }
    found
}

/// The text of a file that `instance` would put on a host.
fn file_of(plan: &Plan, host: &str, name: &str) -> String {
    steps(plan)
        .into_iter()
        .filter(|(h, _)| h == host)
        .filter_map(|(_, step)| match &step.action {
            Action::Call { params, .. } => params["files"].as_array(),
            Action::Skip { .. } => None,
        })
        .flatten()
        .find(|f| f["dest"].as_str().is_some_and(|d| d.ends_with(name)))
        .and_then(|f| f["content"]["text"].as_str())
        .unwrap_or_else(|| panic!("{host} gets no {name}"))
        .to_owned()
}
