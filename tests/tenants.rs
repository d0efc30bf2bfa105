//! Hosts and tenants that come and go: who is in a run, what `tenants` says, and what earns which words.
//!
//! A mistake is a folder of `errors/tenants`. To write the messages anew, run with `EXPECT=1` and read the difference.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use apim_deploy::inventory::{HostPattern, Inventory};
use apim_deploy::plan::{HostState, assumed_facts};
use apim_deploy::run::{Options, Prepared};
use apim_deploy::vars::Scope;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use support::{prepared, refused, written};

const CLUSTERS: &str = "\
all:
  children:
    apim: { hosts: { apim-1: , apim-2: , apim-3: }, vars: { home: /opt/apim } }
    mi: { hosts: { mi-1: , mi-2: { state: absent }, mi-3: } }
";

const PLAYS: &str = "\
- pattern: small
  summary: for tests
  groups:
    apim: { hosts: \"2+\" }
    mi: { hosts: \"2+\", optional: true }
- name: Stop
  hosts: retired
  gather_facts: false
  tasks: [debug: { msg: \"{{ home | default(value='none') }} {{ group_names }}\" }]
- name: Deploy
  hosts: apim:mi
  gather_facts: false
  tasks: [debug: { msg: \"{{ groups.apim }}\" }]
";

fn options(dir: &Path, playbook: &str, inventory: &str, retire: &str) -> Options {
    Options {
        retire: Some(retire.to_owned()).filter(|text| !text.is_empty()),
        ..written(dir, playbook, inventory)
    }
}

/// What a template is worth on a host of the first play.
fn worth(prepared: &Prepared, host: &str, name: &str) -> Value {
    let world = prepared.world(0, prepared.common_without_facts()).unwrap();
    let state = HostState::new(host, &assumed_facts(host), vec![]);
    let ladder = world.ladder(&state, None, &[]);
    Scope::new(&ladder).value(name).unwrap()
}

#[test]
fn a_retired_host_is_in_no_group_but_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let prepared = prepared(options(dir.path(), PLAYS, CLUSTERS, "apim-3"));
    assert_eq!(prepared.hosts[0], ["apim-3", "mi-2"]);
    assert_eq!(prepared.hosts[1], ["apim-1", "apim-2", "mi-1", "mi-3"]);
    let groups = worth(&prepared, "apim-1", "groups");
    assert_eq!(groups["all"], json!(["apim-1", "apim-2", "mi-1", "mi-3"]));
    assert_eq!(groups["apim"], json!(["apim-1", "apim-2"]));
    assert_eq!(groups["retired"], json!(["apim-3", "mi-2"]));
    // What it was is how a play finds what to stop.
    assert_eq!(worth(&prepared, "apim-3", "group_names"), json!(["apim"]));
    assert_eq!(worth(&prepared, "apim-3", "home"), json!("/opt/apim"));
    let hostvars = worth(&prepared, "apim-1", "hostvars");
    assert_eq!(hostvars["apim-3"]["home"], json!("/opt/apim"));
}

#[test]
fn the_group_of_the_retired_is_always_there() {
    let dir = tempfile::tempdir().unwrap();
    let nobody = CLUSTERS.replace("absent", "present");
    let prepared = prepared(options(dir.path(), PLAYS, &nobody, ""));
    assert_eq!(prepared.hosts[0], [""; 0]);
    assert_eq!(worth(&prepared, "apim-1", "groups")["retired"], json!([]));
    assert_eq!(prepared.hosts[1].len(), 6);
}

#[test]
fn patterns_find_the_retired_among_the_retired_only() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("hosts.yaml"), CLUSTERS).unwrap();
    let mut inventory = Inventory::load(&[dir.path().join("hosts.yaml")]).unwrap();
    let before = (inventory.list(), inventory.graph());
    let also = HostPattern::parse("apim-3", None).unwrap();
    inventory.retire(Some(&also)).unwrap();
    for (pattern, hosts) in [
        ("all", "apim-1 apim-2 mi-1 mi-3"),
        ("*", "apim-1 apim-2 mi-1 mi-3"),
        ("re*", ""),
        ("apim*", "apim-1 apim-2"),
        ("apim-3", ""),
        ("!mi", "apim-1 apim-2"),
        ("apim[-1]", "apim-2"),
        ("retired", "apim-3 mi-2"),
        ("retired:!apim-3", "mi-2"),
        ("retired:&apim-3", "apim-3"),
    ] {
        let selected = HostPattern::parse(pattern, None)
            .unwrap()
            .select(&inventory);
        assert_eq!(selected.unwrap().join(" "), hosts, "{pattern}");
    }
    // As Ansible prints them, an inventory knows nothing of a run.
    let read = Inventory::load(&[dir.path().join("hosts.yaml")]).unwrap();
    assert_eq!((read.list(), read.graph()), before);
}

#[test]
fn too_few_are_left() {
    let dir = tempfile::tempdir().unwrap();
    for (retire, limit, part) in [
        (
            "apim-2,apim-3",
            "",
            "needs at least 2 hosts in group `apim`, the inventory has 1 without `apim-2`, `apim-3`, which are retired",
        ),
        (
            "mi-1",
            "",
            "group `mi`, the inventory has 1 without `mi-1`, `mi-2`, which are retired",
        ),
        ("apim", "", "group `apim`, the inventory has none without"),
        ("apim-33", "", "no host or group matches `apim-33`"),
        ("apim-33", "", "did you mean `apim-3`?"),
        ("apim[7]", "", "beyond the 3 hosts"),
        (
            "",
            "mi-2",
            "`mi-2` is retired; `--limit retired` means those that are",
        ),
    ] {
        let mut options = options(dir.path(), PLAYS, CLUSTERS, retire);
        options.limit = Some(limit.to_owned()).filter(|text| !text.is_empty());
        let said = refused(options).render(false);
        assert!(said.contains(part), "{retire} {limit}: {said}");
    }
}

const TENANTS: &str = "\
all:
  children:
    apim: { hosts: { apim-1: , apim-2: } }
    tenants:
      children:
        zeta:
          vars: { tenant_domain: zeta.example.com }
          children:
            mi_zeta: { hosts: { z-1: , z-2: , z-3: { state: absent } } }
            si_zeta: { hosts: { z-4: , z-5: } }
        acme:
          vars: { tenant_domain: acme.example.com }
          children:
            mi_acme: { hosts: { a-1: , a-2: } }
        old:
          vars: { tenant_domain: old.example.com, state: absent }
          children:
            mi_old: { hosts: { o-1: } }
        older: { vars: { tenant_domain: older.example.com, state: absent } }
";

const MULTITENANT: &str = "\
- pattern: many
  summary: for tests
  groups:
    apim: { hosts: 2 }
    mi: { hosts: \"2+\", optional: true }
    tenants: { hosts: \"2+\", optional: true }
    \"mi_*\": { hosts: \"2+\", optional: true }
    \"si_*\": { hosts: 2, optional: true }
- hosts: all
  gather_facts: false
  tasks: [debug: { msg: \"{{ tenants }} {{ tenants_absent }}\" }]
";

#[test]
fn a_play_reads_the_tenants() {
    let dir = tempfile::tempdir().unwrap();
    let prepared = prepared(options(dir.path(), MULTITENANT, TENANTS, ""));
    assert_eq!(
        worth(&prepared, "apim-1", "tenants"),
        json!([
            { "name": "zeta", "domain": "zeta.example.com", "mi": ["z-1", "z-2"], "si": ["z-4", "z-5"] },
            { "name": "acme", "domain": "acme.example.com", "mi": ["a-1", "a-2"], "si": [] },
        ])
    );
    assert_eq!(
        worth(&prepared, "apim-1", "tenants_absent"),
        json!([
            { "name": "old", "domain": "old.example.com" },
            { "name": "older", "domain": "older.example.com" },
        ])
    );
}

/// By its name a tenant leaves; its hosts alone leave it without a cluster.
#[test]
fn a_retired_tenant_counts_as_absent() {
    let dir = tempfile::tempdir().unwrap();
    let prepared = prepared(options(dir.path(), MULTITENANT, TENANTS, "acme"));
    let names = |list: &str| {
        let found = worth(&prepared, "apim-1", list);
        let names: Vec<String> = found
            .as_array()
            .unwrap()
            .iter()
            .map(|t| t["name"].as_str().unwrap().to_owned())
            .collect();
        names.join(" ")
    };
    assert_eq!(names("tenants"), "zeta");
    assert_eq!(names("tenants_absent"), "acme old older");
    assert!(prepared.inventory.leaves_for_now("acme"));
    assert!(!prepared.inventory.leaves_for_now("old"));
    for pattern in ["a-1:a-2", "mi_acme", "acme[0:1]"] {
        let said = refused(options(dir.path(), MULTITENANT, TENANTS, pattern)).render(false);
        assert!(said.contains("tenant `acme` has no cluster"), "{said}");
    }
    // What stays of it is too small a cluster, and no absent tenant.
    let said = refused(options(dir.path(), MULTITENANT, TENANTS, "acme:!a-1")).render(false);
    assert!(
        said.contains("in group `mi_acme`, the inventory has 1"),
        "{said}"
    );
}

#[test]
fn without_tenants_the_lists_are_empty() {
    let dir = tempfile::tempdir().unwrap();
    let prepared = prepared(options(dir.path(), PLAYS, CLUSTERS, ""));
    assert_eq!(worth(&prepared, "apim-1", "tenants"), json!([]));
    assert_eq!(worth(&prepared, "apim-1", "tenants_absent"), json!([]));
}

#[test]
fn rules_count_each_tenant_for_itself() {
    let dir = tempfile::tempdir().unwrap();
    let said = refused(options(dir.path(), MULTITENANT, TENANTS, "z-2:a-1:z-4")).render(false);
    for part in [
        "in group `mi_zeta`, the inventory has 1 without `z-2`, `z-3`, which are retired",
        "in group `mi_acme`, the inventory has 1 without `a-1`, which is retired",
        "needs 2 hosts in group `si_zeta`, the inventory has 1 without `z-4`",
    ] {
        assert!(said.contains(part), "{part} is missing in {said}");
    }
    assert!(!said.contains("mi_old"), "{said}");
}

#[test]
fn a_pattern_without_tenants_refuses_them() {
    let dir = tempfile::tempdir().unwrap();
    let said = refused(options(dir.path(), PLAYS, TENANTS, "")).render(false);
    assert!(said.contains("pattern `small` knows no tenants"), "{said}");
    assert!(said.contains("hosts.yaml:4:5"), "{said}");
    assert!(said.contains("use `standard-ha-multitenant`"), "{said}");
}

#[test]
fn a_mistake_says_how_to_mend_it() {
    let folder = Path::new("tests/fixtures/errors/tenants");
    let mut cases: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    cases.sort();
    assert!(cases.len() >= 5, "{}", cases.len());
    let mut wrong = Vec::new();
    for case in &cases {
        let said = said_of(&case.join("hosts.yaml")).replace(&format!("{}/", case.display()), "");
        let place = case.join("expected.txt");
        if std::env::var_os("EXPECT").is_some() {
            fs::write(&place, &said).unwrap();
        }
        let expected = fs::read_to_string(&place).unwrap_or_default();
        if said != expected {
            wrong.push(format!("{}\n{said}\nis not\n{expected}", case.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

fn said_of(source: &Path) -> String {
    let read = Inventory::load(&[source.to_owned()]).and_then(|mut inventory| {
        inventory.retire(None)?;
        Ok(inventory)
    });
    match read {
        Ok(inventory) => inventory.tenant_mistakes().render(false),
        Err(problems) => problems.render(false),
    }
}
