//! `apim-deploy tenant` from outside: its messages, its codes, whom it asks.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use serde_json::Value;
use std::fs;
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// Everybody is this computer, but for a host where nobody listens.
const HOSTS: &str = "\
all:
  vars: { ansible_connection: local, ansible_become: false, wso2_admin_password: Adm1n.pass,
          apim_hostname: apim.example.com, api_hostname: api.example.com }
  children:
    apim: { hosts: { apim-1: { node_address: 127.0.0.1 } } }
    load_balancer: { hosts: { lb-1: { node_address: 127.0.0.1 } } }
    tenants:
      children:
        acme:
          vars: { tenant_domain: acme.example.com, mi_hostname: mi.acme.example.com }
          children:
            mi_acme: { hosts: { a-1: , a-2: { ansible_connection: ssh, ansible_host: 127.0.0.1, ansible_port: 1 } } }
        globex:
          vars: { tenant_domain: globex.example.com, mi_hostname: mi.globex.example.com }
          children:
            mi_globex: { hosts: { g-1: , g-2: } }
        former:
          vars: { tenant_domain: former.example.com, state: absent }
";

/// Says which tenant it is about, and whose hosts it has.
const PLAYS: &str = "\
- name: Tell
  hosts: all:retired
  gather_facts: false
  tasks: [debug: { msg: \"scope {{ tenant_scope }}, there {{ tenants }}, purge {{ purge | default(value='no') }}\" }]
";

struct Said {
    code: i32,
    text: String,
}

fn project(hosts: &str) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("hosts.yaml"), hosts).unwrap();
    fs::write(dir.path().join("plays.yaml"), PLAYS).unwrap();
    dir
}

fn tenant(dir: &TempDir, words: &str) -> Said {
    let output = Command::new(env!("CARGO_BIN_EXE_apim-deploy"))
        .arg("tenant")
        .args(words.split(' '))
        .current_dir(dir.path())
        .env("HOME", dir.path())
        .env("APIM_DEPLOY_STATE", dir.path().join("state"))
        .env("NO_COLOR", "1")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    Said {
        code: output.status.code().unwrap(),
        text: String::from_utf8(text).unwrap(),
    }
}

impl Said {
    #[track_caller]
    fn is(&self, code: i32, parts: &[&str]) {
        assert_eq!(self.code, code, "{}", self.text);
        for part in parts {
            assert!(
                self.text.contains(part),
                "`{part}` is missing in:\n{}",
                self.text
            );
        }
    }

    #[track_caller]
    fn never_says(&self, part: &str) {
        assert!(
            !self.text.contains(part),
            "`{part}` stands in:\n{}",
            self.text
        );
    }

    /// What was told of an event, one object each.
    fn events(&self, event: &str) -> Vec<Value> {
        let lines = self.text.lines().filter(|line| line.starts_with('{'));
        let events = lines.map(|line| serde_json::from_str::<Value>(line).unwrap());
        events.filter(|e| e["event"] == event).collect()
    }
}

#[test]
fn a_tenant_that_is_not_declared_is_told_with_what_to_write() {
    let dir = project(HOSTS);
    tenant(&dir, "add acmee -i hosts.yaml").is(
        2,
        &[
            "the inventory declares no tenant `acmee`",
            "did you mean `acme`?",
            "the group `tenants` stands at hosts.yaml:7:5",
            "acmee:\n",
            "vars: { tenant_domain: acmee.example.com }",
            "mi_acmee: { hosts: { acmee-mi-1: , acmee-mi-2: } }",
            "group_vars/acmee.yaml",
            "nothing was contacted",
        ],
    );
    let said = tenant(&dir, "remove zz_top -i hosts.yaml");
    said.is(
        2,
        &["vars: { tenant_domain: zz-top.example.com, state: absent }"],
    );
    said.never_says("did you mean");
    // What is pasted is what declares it.
    let pasted = HOSTS.replace(
        "        former:\n",
        "        acmee:\n          vars: { tenant_domain: acmee.example.com }\n          children:\n            \
         mi_acmee: { hosts: { acmee-mi-1: , acmee-mi-2: } }\n        former:\n",
    );
    let dir = project(&pasted);
    tenant(&dir, "add acmee -i hosts.yaml --playbook plays.yaml").is(0, &["done:"]);
}

#[test]
fn other_names_for_a_tenant_are_understood() {
    let dir = project(HOSTS);
    for (name, part) in [
        (
            "globex.example.com",
            "did you mean `globex`? that is its domain",
        ),
        (
            "mi_acme",
            "did you mean `acme`? `mi_acme` is a cluster of it",
        ),
        ("ACME", "`ACME` cannot be the name of a tenant"),
        ("apim", "`apim` is a group of another kind"),
    ] {
        for command in ["add", "remove"] {
            let said = tenant(&dir, &format!("{command} {name} -i hosts.yaml"));
            said.is(2, &[part, "1 mistake; nothing was contacted"]);
        }
    }
}

#[test]
fn a_tenant_that_is_to_leave_is_not_added() {
    let dir = project(HOSTS);
    tenant(&dir, "add former -i hosts.yaml").is(
        2,
        &[
            "tenant `former` is declared to leave",
            "hosts.yaml:18:61",
            "says so",
            "take `state` away, there and off its hosts, or write `present`",
            "apim-deploy tenant remove former",
        ],
    );
}

#[test]
fn domains_are_held_to_the_rules_of_api_manager() {
    let dir = project(&HOSTS.replace("acme.example.com, mi_host", "Acme.example.com, mi_host"));
    // Before anything else, whichever playbook it is.
    for more in ["", " --playbook plays.yaml"] {
        tenant(&dir, &format!("add acme -i hosts.yaml{more}")).is(
            2,
            &[
                "`tenant_domain` of `acme` is no domain of a tenant",
                "API Manager takes lower-case letters",
            ],
        );
    }
    tenant(&dir, "list -i hosts.yaml").is(2, &["`tenant_domain` of `acme` is no domain"]);
}

#[test]
fn a_run_about_one_tenant_has_its_hosts_and_what_all_share() {
    let dir = project(HOSTS);
    // Whatever the caller says of the scope.
    let words = "globex -i hosts.yaml --playbook plays.yaml --output json -e tenant_scope=acme";
    let said = tenant(&dir, &format!("add {words}"));
    said.is(0, &["scope globex", "purge no"]);
    let hosts = ["apim-1", "lb-1", "g-1", "g-2"];
    assert_eq!(said.events("run")[0]["hosts"], Value::from(hosts.to_vec()));

    // Its hosts are retired ones now, and it is nobody's tenant any more.
    let said = tenant(&dir, &format!("remove {words} --purge"));
    said.is(0, &["scope globex", "purge true", "acme.example.com"]);
    said.never_says("globex.example.com");
    assert_eq!(said.events("run")[0]["hosts"], Value::from(hosts.to_vec()));
}

#[test]
fn who_removes_a_tenant_that_stays_declared_is_told() {
    let dir = project(HOSTS);
    let said = tenant(&dir, "remove globex -i hosts.yaml --playbook plays.yaml");
    let parts = [
        "the inventory still has `globex`",
        "the next full run brings it back",
        "write `state: absent` under the `vars` of the group `globex`",
        "done:",
    ];
    said.is(0, &parts);
    let said = tenant(
        &dir,
        "remove globex -i hosts.yaml --playbook plays.yaml --output json",
    );
    let notes = said.events("note");
    let notes: Vec<&str> = notes.iter().filter_map(|n| n["text"].as_str()).collect();
    assert!(
        notes.iter().any(|text| text.contains("brings it back")),
        "{notes:?}"
    );

    // `former` has no host, and is said to leave; and nobody who adds one hears of it.
    for words in ["remove former", "add globex"] {
        let said = tenant(
            &dir,
            &format!("{words} -i hosts.yaml --playbook plays.yaml"),
        );
        said.is(0, &["done:"]);
        said.never_says("brings it back");
    }
}

/// API Manager's own configuration says to load tenants at the start, and a run about one tenant does not touch it.
#[test]
fn the_first_tenant_is_told_of_the_full_run() {
    let words = "add globex -i hosts.yaml --playbook plays.yaml";
    let (before, acme) = HOSTS.split_once("        acme:\n").unwrap();
    let (_, globex) = acme.split_once("        globex:\n").unwrap();
    let alone = project(&format!("{before}        globex:\n{globex}"));
    let parts = [
        "`globex` is the only tenant",
        "until `apim-deploy run plays.yaml`, the first call of `globex` after a restart is answered with 404",
    ];
    tenant(&alone, words).is(0, &parts);
    let said = tenant(&project(HOSTS), words);
    said.is(0, &["done:"]);
    said.never_says("the only tenant");
}

#[test]
fn the_list_says_what_nobody_could_be_asked() {
    let dir = project(HOSTS);
    let said = tenant(&dir, "list -i hosts.yaml --output json");
    said.is(5, &[]);
    let tenants = said.events("tenant");
    let names: Vec<&str> = tenants
        .iter()
        .filter_map(|t| t["tenant"].as_str())
        .collect();
    assert_eq!(names, ["acme", "globex", "former"]);
    let acme = &tenants[0];
    assert_eq!(acme["domain"], "acme.example.com");
    let nodes = &acme["clusters"][0]["nodes"];
    assert_eq!(nodes[0]["state"], "fails", "{nodes}");
    assert_eq!(nodes[1]["state"], "unknown", "{nodes}");
    assert_eq!(nodes[1]["why"], "could not be reached");
    let route = &acme["clusters"][0]["routes"][0];
    assert_eq!(route["balancer"], "lb-1");
    assert_eq!(route["configured"], false, "{route}");
    assert_eq!(tenants[2]["declared"], "absent");
    assert_eq!(tenants[2]["clusters"], Value::from(Vec::<Value>::new()));

    let said = tenant(&dir, "list -i hosts.yaml");
    let row = said
        .text
        .lines()
        .find(|line| line.starts_with("acme "))
        .unwrap();
    assert!(row.contains("mi 0 of 2 serve (1 not known)"), "{row}");
    assert!(
        said.text.contains("acme: a-2: could not be reached"),
        "{}",
        said.text
    );
}

#[test]
fn without_tenants_nobody_is_asked() {
    let (before, _) = HOSTS.split_once("    tenants:\n").unwrap();
    let dir = project(before);
    let said = tenant(&dir, "list -i hosts.yaml");
    said.is(0, &["the inventory declares no tenant"]);
    tenant(&dir, "add acme -i hosts.yaml").is(2, &["there is no group `tenants` yet"]);
}

#[test]
fn the_help_teaches() {
    let dir = project(HOSTS);
    for (command, parts) in [
        (
            "add",
            [
                "apim-deploy tenant add acme -i prod.yaml --check --diff",
                "nothing of another tenant is touched",
            ],
        ),
        (
            "remove",
            [
                "schemas and\ndatabase users stay, with --purge too",
                "names the API",
            ],
        ),
        ("list", ["--output json", "5 something could not be asked"]),
    ] {
        tenant(&dir, &format!("{command} --help")).is(0, &parts);
    }
}
