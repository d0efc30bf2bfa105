//! Hosts of a cluster that come and go: who else is touched, and who names them.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use apim_deploy::plan::Plan;
use apim_deploy::run::{Options, Prepared};
use serde_json::Value;
use std::path::Path;
use support::planned::{calls, steps};
use support::{prepared, refused, shipped};

const LARGE: &str = "inventories/simple-scalable-large.yaml";
const SMALL: &str = "inventories/standard-ha.yaml";

fn options(dir: &Path, playbook: &str, inventory: &str, retire: &str) -> Options {
    Options {
        retire: Some(retire.to_owned()).filter(|text| !text.is_empty()),
        ..shipped(dir, playbook, inventory)
    }
}

fn without(dir: &Path, retire: &str) -> Prepared {
    prepared(options(dir, "simple-scalable", LARGE, retire))
}

/// What decides whether a product is restarted: the files and the link of its `instance`.
fn instances(plan: &Plan) -> Vec<(&str, &Value)> {
    calls(plan, "instance")
}

/// The hosts whose products would be restarted by the difference of two plans.
fn restarted(one: &Plan, other: &Plan) -> Vec<String> {
    let before = instances(one);
    let differs = |(host, params): &(&str, &Value)| {
        let known = before.iter().find(|(name, _)| name == host);
        known.is_some_and(|(_, old)| old != params)
    };
    let hosts = instances(other).into_iter().filter(differs);
    hosts.map(|(host, _)| host.to_owned()).collect()
}

/// A host more or less is the difference between the same two plans.
#[test]
fn only_peers_that_must_know_a_host_are_restarted_for_it() {
    let dir = tempfile::tempdir().unwrap();
    let whole = without(dir.path(), "").plan;
    for (host, peers) in [
        ("mi-6", vec![]),
        ("gw-6", vec![]),
        ("mi-5:gw-5:gw-6", vec![]),
        // Each node copies its events to the other ones, and gateways and traffic managers listen to all of them.
        (
            "cp-3",
            vec![
                "cp-1", "cp-2", "tm-1", "tm-2", "gw-1", "gw-2", "gw-3", "gw-4", "gw-5", "gw-6",
            ],
        ),
    ] {
        let plan = without(dir.path(), host).plan;
        assert_eq!(restarted(&whole, &plan), peers, "without {host}");
        assert_eq!(restarted(&plan, &whole), peers, "with {host}");
    }
}

#[test]
fn nobody_names_a_host_that_left() {
    let dir = tempfile::tempdir().unwrap();
    for (host, address) in [
        ("mi-6", "10.0.2.16"),
        ("gw-6", "10.0.1.26"),
        ("cp-3", "10.0.1.13"),
    ] {
        let whole = serde_json::to_string(&without(dir.path(), "").plan).unwrap();
        assert!(whole.contains(address), "{address} is nowhere");
        let left = without(dir.path(), host);
        for (play, on, step) in steps(&left.plan) {
            let text = serde_json::to_string(step).unwrap();
            let named = text.contains(address) || text.contains(&format!("{host}\""));
            assert!(!named, "{play} on {on}: {text}");
        }
        // And it is stopped, behind all of that.
        let stopped = left.plan.plays.last().unwrap();
        let hosts: Vec<_> = stopped
            .batches
            .iter()
            .flat_map(|b| b.hosts.keys())
            .collect();
        assert_eq!(hosts, [host]);
    }
}

/// The play that would have it says what taking it out means, although no group has it any more.
#[test]
fn who_leaves_is_known_to_the_play_that_had_it() {
    let dir = tempfile::tempdir().unwrap();
    let prepared = without(dir.path(), "mi-6:gw-5:gw-6");
    let of = |name: &str| {
        let plays = &prepared.playbook.plays;
        let at = plays.iter().position(|play| play.name == name).unwrap();
        prepared.leaving(at)
    };
    assert_eq!(of("Deploy the gateways"), ["gw-5", "gw-6"]);
    assert_eq!(of("Deploy Micro Integrator"), ["mi-6"]);
    assert_eq!(of("Deploy the control plane"), [""; 0]);
    let limited = Options {
        limit: Some("mi".to_owned()),
        ..options(dir.path(), "simple-scalable", LARGE, "mi-6")
    };
    let limited = support::prepared(limited);
    assert!((0..limited.playbook.plays.len()).all(|at| limited.leaving(at).is_empty()));
}

#[test]
fn no_cluster_falls_below_its_pattern() {
    let dir = tempfile::tempdir().unwrap();
    for (playbook, inventory, retire, part) in [
        (
            "standard-ha",
            SMALL,
            "mi-2",
            "needs at least 2 hosts in group `mi`, the inventory has 1",
        ),
        (
            "standard-ha",
            SMALL,
            "apim-2",
            "needs 2 hosts in group `apim`, the inventory has 1",
        ),
        (
            "standard-ha",
            SMALL,
            "si-1",
            "needs 2 hosts in group `si`, the inventory has 1",
        ),
        (
            "simple-scalable",
            LARGE,
            "gw-[2-6]",
            "needs at least 2 hosts in group `gateway`, the inventory has 1",
        ),
        (
            "simple-scalable",
            LARGE,
            "cp-1:cp-2",
            "needs at least 2 hosts in group `apim`, the inventory has 1",
        ),
    ] {
        let said = refused(options(dir.path(), playbook, inventory, retire)).render(false);
        assert!(said.contains(part), "{retire}: {said}");
    }
}

/// What the command line says is text.
#[test]
fn what_a_host_ran_is_removed_when_that_is_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    for (extra, removed) in [("purge=false", false), ("purge=true", true)] {
        let mut options = options(dir.path(), "simple-scalable", LARGE, "mi-6");
        options.extra_vars.push(extra.to_owned());
        let plan = prepared(options).plan;
        let is_removed = calls(&plan, "file").into_iter().any(|(host, file)| {
            host == "mi-6"
                && file["state"] == "absent"
                && file["path"] == "/etc/systemd/system/wso2-mi.service"
        });
        assert_eq!(is_removed, removed, "{extra}");
    }
}
