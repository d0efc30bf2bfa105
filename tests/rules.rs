//! Every rule, held against deployments that trip it and deployments that almost do.
//!
//! `tests/rules/<id>/trips*.yaml` and `holds*.yaml` each say how a deployment differs from a good one: the shipped
//! playbook with a shipped inventory, as it would be written, on hosts as `survey.yaml` describes
//! them. `CASE=apim-21 cargo test --test rules` runs the cases of one rule.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use apim_deploy::rules::{self, Accepted, Site, Stage, Verdicts};
use serde::Deserialize;
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
        let site = match good.site(&case.site).changed(&case.hosts) {
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
        assert!(items.contains(id) || id.starts_with("versions-"), "{id}");
    }
}

/// What the shipped playbooks write trips no rule, but for warnings that are for trying out.
#[test]
fn a_good_site_is_clean() {
    let mut good = Good::default();
    for name in ["standard-ha", "standard-ha-mi"] {
        let verdicts = judged(&good.site(name).changed(&BTreeMap::new()).unwrap());
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
                    .map(|u| format!("{}: {} not judged: {}", u.rule.id, u.host, u.why)),
            )
            .collect();
        assert!(found.is_empty(), "{name}\n{}", found.join("\n"));
    }
}

/// Warnings that a sample without certificates of its own must trip.
const SAMPLES: &[&str] = &[];

/// A host that did not answer is said to be unseen by every rule about hosts.
#[test]
fn an_absent_host_is_not_judged() {
    let mut site = Good::default()
        .site("standard-ha")
        .changed(&BTreeMap::new())
        .unwrap();
    site.hosts["mi-1"].survey = Some(Err("nobody is there".to_owned()));
    let verdicts = judged(&site);
    for rule in rules::all().filter(|rule| rule.stage != Stage::Plan) {
        let unseen = |u: &rules::Unjudged| u.rule.id == rule.id && u.host == "mi-1";
        assert!(verdicts.unjudged.iter().any(unseen), "{}", rule.id);
    }
}
