//! Every rule, held against deployments that trip it and deployments that almost do.
//!
//! `tests/rules/<id>/trips*.yaml` and `holds*.yaml` each say how a deployment differs from a good one: the shipped
//! playbook with a shipped inventory, as it would be written, on hosts as `survey.yaml` describes
//! them. `CASE=apim-21 cargo test --test rules` runs the cases of one rule.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use apim_deploy::rules::{self, Accepted, Site, Stage, Verdicts};
use serde::Deserialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use support::site::{Change, Good};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    /// An inventory of `inventories/`.
    #[serde(default = "standard_ha")]
    site: String,
    /// What balances there.
    #[serde(default)]
    balancer: Option<String>,
    /// By host, or several with commas between.
    #[serde(default)]
    hosts: BTreeMap<String, Change>,
    /// `hosts: what`, as the rule says it.
    #[serde(default)]
    finds: Vec<String>,
    /// What it could not judge: `host: why`.
    #[serde(default)]
    unjudged: Vec<String>,
}

fn standard_ha() -> String {
    "standard-ha".to_owned()
}

/// Ids of the two lists that no rule has: why, and which test holds it; and those that nobody has written yet.
#[derive(Deserialize)]
struct Lists {
    elsewhere: BTreeMap<String, String>,
    open: BTreeSet<String>,
}

fn lists() -> Lists {
    serde_yaml::from_str(include_str!("rules/lists.yaml")).unwrap()
}

#[test]
fn every_case_says_what_the_rule_says() {
    let only = std::env::var("CASE").ok();
    let mut good = Good::default();
    let mut wrong = Vec::new();
    for (rule, path) in cases() {
        if only.as_deref().is_some_and(|only| only != rule) {
            continue;
        }
        let name = path.strip_prefix("tests/rules").unwrap().display();
        let case: Case = match serde_yaml::from_str(&fs::read_to_string(&path).unwrap()) {
            Ok(case) => case,
            Err(error) => {
                wrong.push(format!("{name}: {error}"));
                continue;
            }
        };
        let site = match good
            .behind(case.balancer.as_deref(), &case.site)
            .changed(&case.hosts)
        {
            Ok(site) => site,
            Err(error) => {
                wrong.push(format!("{name}: {error}"));
                continue;
            }
        };
        let (finds, unjudged) = said(&rule, &site);
        if finds != case.finds || unjudged != case.unjudged {
            let said = |list: &[String]| {
                list.iter()
                    .map(|l| format!("  - {l:?}\n"))
                    .collect::<String>()
            };
            wrong.push(format!(
                "{name}: the rule says\nfinds:\n{}unjudged:\n{}",
                said(&finds),
                said(&unjudged)
            ));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// What one rule says of a site.
fn said(rule: &str, site: &Site) -> (Vec<String>, Vec<String>) {
    let verdicts = judged(site);
    let finds = verdicts.found.iter().filter(|j| j.rule.id == rule);
    let unjudged = verdicts.unjudged.iter().filter(|u| u.rule.id == rule);
    (
        finds
            .map(|j| format!("{}: {}", j.finding.hosts.join(", "), j.finding.what))
            .collect(),
        unjudged.map(|u| format!("{}: {}", u.host, u.why)).collect(),
    )
}

fn judged(site: &Site) -> Verdicts {
    rules::judge(site, &Accepted::default(), |_| true)
}

/// Each rule's id and the file of one of its cases.
fn cases() -> Vec<(String, PathBuf)> {
    let mut found = Vec::new();
    for folder in fs::read_dir("tests/rules").unwrap() {
        let folder = folder.unwrap().path();
        if !folder.is_dir() {
            continue;
        }
        let rule = folder.file_name().unwrap().to_str().unwrap().to_owned();
        let files = fs::read_dir(&folder).unwrap();
        found.extend(files.map(|file| (rule.clone(), file.unwrap().path())));
    }
    found.sort();
    found
}

#[test]
fn every_rule_has_a_case_that_trips_it_and_one_that_does_not() {
    let mut wrong = Vec::new();
    let ids: BTreeSet<&str> = rules::all().map(|rule| rule.id).collect();
    assert_eq!(ids.len(), rules::all().count(), "an id stands twice");
    let kind = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
    for id in &ids {
        let own: Vec<_> = cases().into_iter().filter(|(rule, _)| rule == id).collect();
        for word in ["trips", "holds"] {
            if !own.iter().any(|(_, path)| kind(path).starts_with(word)) {
                wrong.push(format!("{id} has no case {word}.yaml"));
            }
        }
    }
    for (rule, path) in cases() {
        if !ids.contains(rule.as_str()) {
            wrong.push(format!("{}: there is no rule `{rule}`", path.display()));
        }
        let text = fs::read_to_string(&path).unwrap();
        let finds = text.lines().any(|line| line.starts_with("finds:"));
        let trips = kind(&path).starts_with("trips");
        if finds != trips || (!trips && !kind(&path).starts_with("holds")) {
            wrong.push(format!(
                "{}: `trips` has `finds`, `holds` has none",
                path.display()
            ));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// The lists have 64 and 47 items: none is forgotten.
#[test]
fn every_item_of_the_lists_is_a_rule_or_says_why_not() {
    let Lists { elsewhere, open } = lists();
    let rules: BTreeSet<&str> = rules::all().map(|rule| rule.id).collect();
    let apim = (1..=64).map(|n| format!("apim-{n:02}"));
    let integration = (1..=47).map(|n| format!("integration-{n:02}"));
    let items: BTreeSet<String> = apim.chain(integration).collect();
    for id in &items {
        let places = [
            rules.contains(id.as_str()),
            elsewhere.contains_key(id),
            open.contains(id),
        ];
        let count = places.iter().filter(|p| **p).count();
        assert_eq!(
            count, 1,
            "{id} stands in {count} of: rules, elsewhere, open"
        );
    }
    for id in elsewhere.keys().chain(&open) {
        assert!(items.contains(id), "{id} is in no list");
    }
    for id in rules {
        let is_of_a_topic = TOPICS.iter().any(|topic| id.starts_with(topic));
        assert!(items.contains(id) || is_of_a_topic, "{id}");
    }
}

/// Ids that follow no list.
const TOPICS: [&str; 5] = ["groups-", "isolation-", "names-", "values-", "versions-"];

/// What the shipped playbooks write trips no rule, but for warnings that are for trying out.
#[test]
fn a_good_site_is_clean() {
    let mut good = Good::default();
    let names = inventories();
    assert!(names.len() >= 2, "{names:?}");
    let behind = |balancer| names.iter().map(move |name| (balancer, name));
    for (balancer, name) in behind(None).chain(behind(Some("haproxy"))) {
        let verdicts = judged(
            &good
                .behind(balancer, name)
                .changed(&BTreeMap::new())
                .unwrap(),
        );
        let found: Vec<String> = verdicts
            .found
            .iter()
            .filter(|j| !SAMPLES.contains(&j.rule.id))
            .map(|j| {
                format!(
                    "{}: {}: {}",
                    j.rule.id,
                    j.finding.hosts.join(", "),
                    j.finding.what
                )
            })
            .chain(
                verdicts
                    .unjudged
                    .iter()
                    // A server of somebody else: its rules must not seem to hold.
                    .filter(|u| {
                        !u.why
                            .starts_with("no host of ours can look into db.internal.")
                    })
                    .map(|u| format!("{}: {} not judged: {}", u.rule.id, u.host, u.why)),
            )
            .collect();
        assert!(found.is_empty(), "{name}\n{}", found.join("\n"));
    }
}

/// The names of the sample inventories.
fn inventories() -> Vec<String> {
    let files = fs::read_dir("inventories").unwrap();
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names
        .filter_map(|name| Some(name.strip_suffix(".yaml")?.to_owned()))
        .collect();
    names.sort();
    names
}

/// Warnings that a sample without certificates of its own must trip.
const SAMPLES: &[&str] = &["apim-50", "integration-20"];

/// What a host is asked is what its nodes' files say, with the secrets that the survey needs put in.
#[test]
fn each_host_is_asked_for_what_it_has() {
    let mut good = Good::default();
    let site = good.site("standard-ha").changed(&BTreeMap::new()).unwrap();
    let asked = rules::request(&site, "mi-1");
    assert_eq!(asked.instances.len(), 1);
    let mi = &asked.instances[0];
    assert_eq!(mi.home.to_str(), Some("/opt/wso2/mi/current"));
    assert_eq!(mi.user.as_deref(), Some("wso2carbon"));
    assert_eq!(mi.keystores.len(), 2);
    assert!(mi.keystores.iter().all(|k| k.password == "wso2carbon"));
    let applications = mi.http.iter().find(|h| h.name == "applications").unwrap();
    assert_eq!(
        applications.url,
        "https://localhost:9164/management/applications"
    );
    assert_eq!(applications.password.as_deref(), Some("Adm1n.pass"));
    let database = asked
        .peers
        .iter()
        .find(|p| p.address == "10.0.0.6")
        .unwrap();
    assert_eq!(database.greets, [3306]);

    let catalog = mi.http.iter().find(|h| h.name == "catalog").unwrap();
    let services = "https://apim.example.com:9443/api/am/service-catalog/v1/services?limit=1";
    assert_eq!(catalog.url, services);
    assert_eq!(catalog.password.as_deref(), Some("Adm1n.pass"));
    assert_eq!(catalog.keep, 0);

    let apim = rules::request(&site, "apim-1");
    assert_eq!(apim.instances[0].journal.len(), 1);
    assert!(mi.journal.is_empty());
    let login = |request: &apim_deploy::wire::survey::Request| {
        let asked = request.instances[0].http.iter();
        asked
            .clone()
            .find(|h| h.name == "login")
            .unwrap()
            .url
            .clone()
    };
    let of_hub = "https://localhost:9443/internal/data/v1/revokedjwt";
    assert_eq!(login(&apim), of_hub);
    let scalable = good.site("simple-scalable").changed(&BTreeMap::new());
    let gateway = rules::request(&scalable.unwrap(), "gw-1");
    assert!(login(&gateway).contains("/api/am/gateway/v2/api-artifact?"));
    let other = apim.peers.iter().find(|p| p.name == "apim-2").unwrap();
    assert_eq!(other.ports, [5672, 9611, 9711]);

    let si = rules::request(&site, "si-2");
    let statistics = si.instances[0]
        .http
        .iter()
        .find(|h| h.name == "statistics")
        .unwrap();
    assert_eq!(statistics.password.as_deref(), Some("Adm1n.pass"));
    let stores = si.instances[0].keystores.iter();
    let stores: Vec<&str> = stores.map(|k| k.path.to_str().unwrap()).collect();
    assert_eq!(
        stores,
        [
            "resources/security/wso2carbon.jks",
            "resources/security/client-truststore.jks"
        ]
    );

    let schemas = &rules::request(&site, "db-1").databases[0].schemas;
    assert_eq!(schemas.len(), 5, "{:?}", schemas.keys());
    assert!(rules::request(&site, "lb-1").instances.is_empty());
}

/// A host that did not answer is said to be unseen by every rule about hosts.
#[test]
fn an_absent_host_is_not_judged() {
    let mut site = Good::default()
        .site("standard-ha")
        .changed(&BTreeMap::new())
        .unwrap();
    site.hosts["mi-1"].survey = Some(Err("nobody is there".to_owned()));
    let verdicts = judged(&site);
    for rule in rules::all().filter(|rule| rule.stage > Stage::Plan) {
        let unseen = |u: &rules::Unjudged| u.rule.id == rule.id && u.host == "mi-1";
        assert!(verdicts.unjudged.iter().any(unseen), "{}", rule.id);
    }

    // Rules of the plan that look at hosts too must not seem to hold there.
    site.hosts["db-1"].survey = Some(Err("nobody is there".to_owned()));
    let looking = [
        ("mi-1", "integration-01"),
        ("mi-1", "integration-29"),
        ("mi-1", "integration-33"),
        ("db-1", "apim-26"),
        ("db-1", "integration-07"),
    ];
    let verdicts = judged(&site);
    for (host, rule) in looking {
        let unseen = |u: &rules::Unjudged| u.rule.id == rule && u.host == host;
        assert!(verdicts.unjudged.iter().any(unseen), "{rule} on {host}");
    }

    let answer = site.hosts["mi-2"]
        .survey
        .as_mut()
        .unwrap()
        .as_mut()
        .unwrap();
    answer.instances.clear();
    let untold = judged(&site).unjudged;
    let mut of_node = untold.iter().filter(|u| u.host == "mi-2");
    assert!(of_node.any(|u| u.rule.id == "integration-17" && u.why.contains("wso2-mi")));
}

fn shipped_with(more: &[&str]) -> (tempfile::TempDir, apim_deploy::run::Options) {
    let dir = tempfile::tempdir().unwrap();
    let mut options = support::shipped(dir.path(), "standard-ha", "inventories/standard-ha.yaml");
    options
        .extra_vars
        .extend(more.iter().map(|v| (*v).to_owned()));
    (dir, options)
}

/// Two ids that are one, in an inventory that has another mistake too.
#[test]
fn what_a_rule_finds_is_a_mistake_of_the_input() {
    let (_dir, mut options) = shipped_with(&["mi_node_id=one", "ansible_ssh_pipelining=true"]);
    let text = support::refused(options.clone()).render(false);
    assert!(
        text.contains("error: integration-05: mi-1, mi-2: the node id `one`"),
        "{text}"
    );
    assert!(text.contains("node_id = \"one\""), "{text}");
    assert!(text.contains("help: make the id the host's name"), "{text}");
    assert!(text.contains("ansible_ssh_pipelining"), "{text}");

    // Whatever part of the deployment this run would touch.
    options.extra_vars.pop();
    options.limit = Some("mi-1".to_owned());
    options.tags.only = vec!["nothing".to_owned()];
    let text = support::refused(options).render(false);
    assert!(text.contains("integration-05: mi-1, mi-2"), "{text}");
}

/// A variable that is missing elsewhere hides nothing of what stands in a node's own file; one that the file needs does, and
/// then nothing is said of files that are not there.
#[test]
fn undefined_variables_and_rules_are_told_in_one_go() {
    let undefined = r#"{"lb_body_limit": "{{ nowhere }}"}"#;
    let (_dir, options) = shipped_with(&["mi_node_id=one", undefined]);
    let text = support::refused(options).render(false);
    assert!(text.contains("`nowhere` is not defined"), "{text}");
    assert!(text.contains("integration-05: mi-1, mi-2"), "{text}");

    let undefined = r#"{"mi_socket_timeout": "{{ nowhere }}"}"#;
    let (_dir, options) = shipped_with(&["si_node_id=one", undefined]);
    let text = support::refused(options).render(false);
    assert!(text.contains("`nowhere` is not defined"), "{text}");
    assert!(!text.contains("integration-"), "{text}");
}

/// What people say of hosts is judged whatever came of planning it, and pointed at where they say it.
#[test]
fn what_was_said_is_judged_without_a_plan() {
    let (_dir, options) = shipped_with(&["mi_pack=fake/wso2mi-4.3.0.zip"]);
    let text = support::refused(options).render(false);
    assert!(text.contains("`fake/wso2mi-4.3.0.zip`"), "{text}");
    let said = "versions-03: mi-1, mi-2: wso2mi-4.3.0.zip is unpacked as Micro Integrator 4.4.0";
    assert!(text.contains(said), "{text}");
    assert!(text.contains("mi_pack=fake/wso2mi-4.3.0.zip"), "{text}");

    // MI's nodes cannot be planned at all.
    let undefined = r#"{"mi_socket_timeout": "{{ nowhere }}"}"#;
    let (_dir, options) = shipped_with(&["apim_java=seventeen", "apim_heap=2gb", undefined]);
    let text = support::refused(options).render(false);
    assert!(text.contains("`apim_java` is `seventeen`"), "{text}");
    assert!(text.contains("`apim_heap` is `2gb`"), "{text}");
    assert!(!text.contains("JDK 64"), "{text}");
}

/// `-e production=true` gives a text.
#[test]
fn production_may_be_said_on_the_command_line() {
    for (said, is_error) in [("true", true), ("Yes", true), ("false", false)] {
        let (_dir, options) = shipped_with(&[&format!("production={said}")]);
        let found = match apim_deploy::run::Prepared::new(options) {
            Ok(_) => String::new(),
            Err(problems) => problems.render(false),
        };
        assert_eq!(found.contains("apim-50"), is_error, "{said}: {found}");
    }
}

/// Of standard-ha: with `gateway` the balancer would send calls to hosts that no play deploys.
#[test]
fn a_group_of_another_pattern_is_refused() {
    for (group, help) in [
        ("gateway", "use `simple-scalable`, or take the group out"),
        (
            "traffic_manager",
            "use `simple-scalable`, or take the group out",
        ),
    ] {
        let (dir, mut options) = shipped_with(&[]);
        let inventory = dir.path().join("more.yaml");
        let hosts = "{ gw-1: { ansible_host: 10.0.9.1 } }";
        let text = format!("all: {{ children: {{ {group}: {{ hosts: {hosts} }} }} }}\n");
        fs::write(&inventory, text).unwrap();
        options.inventory.push(inventory);
        let text = support::refused(options).render(false);
        let said =
            format!("pattern `standard-ha` has no group `{group}`, and the inventory has gw-1");
        assert!(text.contains(&said) && text.contains(help), "{text}");
        assert!(text.contains("more.yaml:1:"), "{text}");
    }
}

/// A group of one's own is nobody's business while its hosts are deployed; a host that is not is told of.
#[test]
fn a_host_without_a_play_is_warned_of() {
    let (dir, mut options) = shipped_with(&[]);
    let inventory = dir.path().join("more.yaml");
    let text = "all: { children: { frankfurt: { hosts: { apim-1: , mi-1: } }, \
                load_balancrs: { hosts: { lb-9: { ansible_host: 10.0.9.9 } } } } }\n";
    fs::write(&inventory, text).unwrap();
    options.inventory.push(inventory);
    let judgeable = support::prepared(options).judgeable.unwrap();
    let verdicts = judgeable.offline();
    let found = verdicts.found.iter();
    let found = found.filter(|j| j.rule.id.starts_with("groups-"));
    let found: Vec<_> = found
        .map(|j| (j.rule.id, j.finding.hosts.as_slice(), j.fix().to_owned()))
        .collect();
    let lb = ["lb-9".to_owned()];
    let wanted = [
        (
            "groups-01",
            lb.as_slice(),
            "did you mean `load_balancer` where it says `load_balancrs`?".to_owned(),
        ),
        (
            "groups-02",
            lb.as_slice(),
            "did you mean `load_balancer`?".to_owned(),
        ),
    ];
    assert_eq!(found, wanted);
    assert_eq!(verdicts.errors().count(), 0);
}

#[test]
fn a_rule_may_be_accepted_with_a_reason() {
    let accepted = r#"{"accepted_rules": {"integration-05": "a rehearsal"}}"#;
    let (_dir, options) = shipped_with(&["mi_node_id=one", accepted]);
    let told = support::prepared(options)
        .judgeable
        .unwrap()
        .offline()
        .told();
    let reason = told
        .found
        .iter()
        .find(|j| j.rule == "integration-05")
        .unwrap();
    assert_eq!(reason.accepted.as_deref(), Some("a rehearsal"));
    assert!(!reason.is_error);

    for (wrong, said) in [
        (
            r#"{"integration-5": "x"}"#,
            "did you mean `integration-05`?",
        ),
        (
            r#"{"integration-05": ""}"#,
            "gives no reason for `integration-05`",
        ),
        (r#"["integration-05"]"#, "`accepted_rules` needs a mapping"),
    ] {
        let (_dir, options) = shipped_with(&[&format!("{{\"accepted_rules\": {wrong}}}")]);
        let text = support::refused(options).render(false);
        assert!(text.contains(said), "{text}");
    }
}

/// A line that names a secret, or holds one that is known, is pointed at and not shown.
#[test]
fn a_line_that_may_hold_a_secret_is_not_shown() {
    for (line, shown) in [
        ("db_password = \"Hidden-1\"\n", false),
        ("url = \"jdbc:x://Known-1\"\n", false),
        ("hostname = \"Plain-1\"\n", true),
    ] {
        let file = apim_deploy::source::File::new("h:/deployment.toml", line);
        let at = line.find('"').unwrap();
        let span = apim_deploy::source::Span::new(&file, at..line.len() - 1);
        let judged = rules::Judged {
            rule: rules::all().next().unwrap(),
            finding: rules::Finding::on("h", "Known-1 is wrong").at(&span),
            accepted: None,
            is_error: true,
        };
        let problem = judged.problem(|text| text.replace("Known-1", "•••"));
        let text = apim_deploy::source::Problems::from(problem).render(false);
        assert_eq!(text.contains(line.trim_end()), shown, "{text}");
        assert!(text.contains("h:/deployment.toml:1:"), "{text}");
        assert!(text.contains("h: ••• is wrong"), "{text}");
    }
}

/// Nobody is there: what can be judged offline is, and the rest says so.
#[test]
fn check_says_what_it_could_not_see() {
    let dir = tempfile::tempdir().unwrap();
    let packs = support::packs(dir.path());
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_apim-deploy"));
    command.args(["check", "standard-ha"]);
    for secret in support::SECRETS {
        command.args(["-e", secret]);
    }
    command.args(["-e", &format!("packs_dir={}", packs.display())]);
    // Port 1 refuses at once. Each host needs an address of its own.
    let hosts = [
        "apim-1", "apim-2", "mi-1", "mi-2", "si-1", "si-2", "db-1", "lb-1",
    ];
    let hosts: String = hosts
        .iter()
        .enumerate()
        .map(|(n, host)| format!("{host}: {{ ansible_host: 127.0.1.{n}, ansible_port: 1, node_address: 10.0.9.{n} }}\n"))
        .collect();
    let hosts: Value = serde_yaml::from_str(&hosts).unwrap();
    let inventory = fs::read_to_string("inventories/standard-ha.yaml").unwrap();
    let mut inventory: Value = serde_yaml::from_str(&inventory).unwrap();
    for group in inventory["all"]["children"]
        .as_object_mut()
        .unwrap()
        .values_mut()
    {
        for (name, vars) in group["hosts"].as_object_mut().unwrap() {
            *vars = hosts[name].clone();
        }
    }
    fs::create_dir(dir.path().join("group_vars")).unwrap();
    fs::copy(
        "inventories/group_vars/all.yaml",
        dir.path().join("group_vars/all.yaml"),
    )
    .unwrap();
    fs::write(dir.path().join("hosts.yaml"), inventory.to_string()).unwrap();
    let output = command
        .args(["-i", &dir.path().join("hosts.yaml").display().to_string()])
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(5), "{said}");
    let line = said
        .lines()
        .find(|l| l.starts_with("not judged on apim-1"))
        .unwrap();
    assert!(line.contains("apim-34"), "{said}");
    assert!(said.contains("0 errors"), "{said}");
}

/// The page is made of the tables.
#[test]
fn the_list_of_rules_names_all() {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_apim-deploy"))
        .args(["check", "--rules"])
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success());
    for rule in rules::all() {
        assert!(
            said.contains(rule.id) && said.contains(rule.title),
            "{}",
            rule.id
        );
    }
}
