//! Plays with a `rollout:`, whole runs of the program against hosts in this process: who is taken out and when, and what
//! becomes of everybody when something goes wrong.
//!
//! A node is a folder, a balancer writes down what it was asked, and so does every change: one log tells the order.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "rollouts/evidence.rs"]
mod evidence;
#[path = "rollouts/haproxy.rs"]
mod haproxy;
#[path = "rollouts/hooks.rs"]
mod hooks;
#[expect(dead_code, reason = "made for tests/ssh.rs, which uses all of it")]
#[path = "support/host.rs"]
mod host;
#[path = "rollouts/leaving.rs"]
mod leaving;
#[path = "rollouts/nginx.rs"]
mod nginx;
#[path = "rollouts/releases.rs"]
mod releases;
#[path = "rollouts/site.rs"]
mod site;

use rustix::process::Signal;
use site::{Said, Site};
use std::fs;

/// The log of a node that was changed and serves.
const CHANGED: [&str; 3] = ["out", "change", "back"];

#[tokio::test(flavor = "multi_thread")]
async fn one_after_the_other_and_nobody_twice() {
    for nodes in [["n1", "n2"].as_slice(), &["n1", "n2", "n3"]] {
        let site = Site::new(nodes).await;
        site.run(&[])
            .await
            .is(0)
            .says(&["out of rotation", "in rotation", "done:"]);
        let all = nodes
            .iter()
            .flat_map(|node| CHANGED.map(|word| format!("{word} {node}")));
        let all: Vec<String> = all.collect();
        assert_eq!(site.log(), all);
        site.run(&[]).await.is(0).says(&["done:"]);
        assert_eq!(site.log(), all);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_out_as_a_whole_before_any_of_it_is_changed() {
    let site = Site::new(&["n1", "n2", "n3"]).await;
    site.edit("site.yaml", "serial: 1", "serial: 2");
    site.run(&["canary=0", "max_unavailable=2", "min_healthy=1"])
        .await
        .is(0);
    let log = site.log();
    let mut both = [log[..2].to_vec(), log[2..6].to_vec()];
    both.iter_mut().for_each(|lines| lines.sort());
    assert_eq!(both[0], ["out n1", "out n2"], "{log:?}");
    assert_eq!(both[1], ["back n1", "back n2", "change n1", "change n2"]);
    assert_eq!(log[6..], ["out n3", "change n3", "back n3"]);
}

/// In place of the play's: a ramp.
#[tokio::test(flavor = "multi_thread")]
async fn batches_grow_as_the_rollout_says() {
    let site = Site::new(&["n1", "n2", "n3", "n4", "n5"]).await;
    let ramp = "serial: [1, \"40%\"]\n    canary: \"";
    site.edit("site.yaml", "canary: \"", ramp);
    site.run(&["canary=0", "max_unavailable=40%", "min_healthy=2"])
        .await
        .is(0);
    let log = site.log();
    let outs = |lines: &[String]| lines.iter().filter(|l| l.starts_with("out")).count();
    let until_changed: Vec<usize> = log
        .split_inclusive(|line| line.starts_with("back"))
        .map(outs)
        .collect();
    assert_eq!(until_changed, [1, 2, 0, 2, 0], "{log:?}");
}

/// `max_unavailable` holds whatever `serial` wishes.
#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_no_larger_than_what_can_be_spared() {
    let site = Site::new(&["n1", "n2", "n3"]).await;
    site.edit("site.yaml", "serial: 1", "serial: 3");
    site.run(&["canary=0"]).await.is(0);
    for at in [0, 3, 6] {
        let log = site.log();
        let node = log[at].replace("out ", "");
        assert_eq!(site.done_to(&node), CHANGED);
        assert_eq!(
            log[at + 1..at + 3],
            [format!("change {node}"), format!("back {node}")]
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_needs_nothing_stays_in() {
    let site = Site::new(&["n1", "n2", "n3"]).await;
    site.write("n2/config", "version 1\n");
    site.write("n2/runs-1", "");
    site.run(&[]).await.is(0);
    assert_eq!(site.done_to("n1"), CHANGED);
    assert!(site.done_to("n2").is_empty());
    assert_eq!(site.done_to("n3"), CHANGED);
}

/// A condition on what a command answers, before anything else of the role.
fn ask_first(site: &Site, answer: &str) {
    let ask = format!(
        "---
- name: Ask something
  command: echo {answer}
  register: answer
  changed_when: false

- name: Hold the answer against what is wanted
  assert: {{ that: answer.stdout == \"yes\" }}
"
    );
    site.edit("roles/node/tasks/main.yaml", "---", &ask);
}

/// A dry run runs no command, so nobody knows what comes after the condition: it may stop the node.
#[tokio::test(flavor = "multi_thread")]
async fn who_cannot_be_looked_at_is_taken_out_for_its_steps() {
    let site = Site::new(&["n1", "n2"]).await;
    ask_first(&site, "yes");
    site.run(&[]).await.is(0);
    let each = ["n1", "n2"].map(|node| CHANGED.map(|word| format!("{word} {node}")));
    assert_eq!(site.log(), each.concat());
}

/// Where nothing tells which process runs, nobody knows whether it was changed: what is kept may be older than what it has.
#[tokio::test(flavor = "multi_thread")]
async fn who_cannot_be_looked_at_and_fails_gets_no_old_state() {
    let site = Site::new(&["n1", "n2"]).await;
    ask_first(&site, "no");
    site.run(&[])
        .await
        .is(8)
        .says(&["nobody could tell whether it was changed at all"]);
    site.did(&["out n1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_goes_last() {
    let site = Site::new(&["n1", "n2", "n3"]).await;
    site.run(&["leader=n1"]).await.is(0);
    let log = site.log();
    let outs: Vec<_> = log.iter().filter(|line| line.starts_with("out")).collect();
    assert_eq!(outs, ["out n2", "out n3", "out n1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_fails_is_taken_back_and_nobody_else_is_begun() {
    let site = Site::new(&["n1", "n2"]).await;
    site.run(&["broken=n1"]).await.is(7).says(&[
        "the old state is back",
        "n1: a task failed",
        "not begun",
        "the change proved bad and was taken back: the old state serves",
    ]);
    site.did(&["out n1", "change n1", "restore n1", "back n1"]);
    assert_eq!(site.config("n1"), "before\n");
    assert_eq!(site.config("n2"), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_finished_before_a_failure_stays() {
    let site = Site::new(&["n1", "n2"]).await;
    site.run(&["broken=n2"])
        .await
        .is(4)
        .says(&["changed and serving", "old state again: a task failed"]);
    assert_eq!(site.done_to("n1"), CHANGED);
    assert_eq!(site.done_to("n2"), ["out", "change", "restore", "back"]);
}

/// One host may fail, over all tiers: the others of its cluster and the next cluster get the new state.
#[tokio::test(flavor = "multi_thread")]
async fn within_the_budget_the_next_cluster_is_begun_too() {
    let site = Site::new(&["a1", "a2", "a3", "b1", "b2"]).await;
    let said = site.run(&["broken=a2", "on_failure=continue"]).await;
    assert_eq!(site.done_to("a2"), ["out", "change", "restore", "back"]);
    for node in ["a1", "a3", "b1", "b2"] {
        assert_eq!(site.done_to(node), CHANGED, "{node}: {}", said.text);
    }
    said.is(4).says(&["a2: a task failed"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_cannot_go_back_stays_out() {
    let site = Site::new(&["n1", "n2"]).await;
    site.run(&["broken=n1", "lost=n1"]).await.is(8).says(&[
        "quarantined, stays drained",
        "look at the hosts named above",
    ]);
    site.did(&["out n1", "change n1", "restore n1"]);
}

/// It proves bad only in rotation, so it is taken out once more.
#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_stay_healthy_is_taken_back() {
    let site = Site::new(&["n1", "n2"]).await;
    site.run(&["sickens=n1", "soak=1"])
        .await
        .is(7)
        .says(&["not healthy any more"]);
    site.did(&[
        "out n1",
        "change n1",
        "back n1",
        "out n1",
        "restore n1",
        "back n1",
    ]);
}

#[tokio::test(flavor = "multi_thread")]
async fn beside_a_sick_peer_nobody_is_taken_out() {
    let site = Site::new(&["n1", "n2"]).await;
    site.make_sick("n2");
    site.write("n2/config", "version 1\n");
    site.write("n2/runs-1", "");
    site.run(&[]).await.is(4).says(&[
        "note     not healthy: ",
        "without n1 0 of 2 would serve",
        "n2 is not healthy",
        "n2           not touched, and does not serve: not healthy",
    ]);
    site.did(&[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn peers_outside_of_the_limit_are_asked_and_not_touched() {
    let site = Site::new(&["n1", "n2"]).await;
    site.run(&["--limit", "n1"]).await.is(0);
    site.did(&["out n1", "change n1", "back n1"]);
    assert!(site.was_asked("n2"));
    assert_eq!(site.config("n2"), "");
    site.make_sick("n2");
    site.run(&["--limit", "n1", "version=2"])
        .await
        .is(4)
        .says(&["n2 is not healthy"]);
    site.did(&["out n1", "change n1", "back n1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_cannot_be_asked_holds_everybody() {
    let site = Site::new(&["n1", "n2"]).await;
    site.vanish("n2");
    site.run(&["--limit", "n1"]).await.is(4).says(&[
        "Connection refused",
        "n2: unreachable",
        "the run stopped, and nothing was changed before",
    ]);
    site.run(&[]).await.is(5).says(&["n2: unreachable"]);
    site.did(&[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_balancer_refuses_is_not_done() {
    let site = Site::new(&["n1", "n2"]).await;
    site.write("lb/refuses", "");
    site.run(&[])
        .await
        .is(4)
        .says(&["not out of rotation: lb:", "as it was, and back"]);
    site.did(&["back n1"]);
    assert_eq!(site.config("n1"), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_out_at_one_balancer_alone_is_not_changed() {
    let site = Site::new(&["n1", "n2"]).await;
    site.write("n2/refuses", "");
    site.run(&["{balancers: [lb, n2]}"])
        .await
        .is(4)
        .says(&["not out of rotation: n2:"]);
    site.did(&["out n1", "back n1", "back n1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_balancer_nobody_is_taken_out() {
    let site = Site::new(&["n1", "n2"]).await;
    site.vanish("lb");
    site.run(&[])
        .await
        .is(4)
        .says(&["cannot be read: lb: ", "Connection refused"]);
    assert_eq!(site.config("n1"), "");
    assert!(!site.log().contains(&"change n1".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_reaches_the_hosts_of_earlier_plays_newest_first() {
    let site = Site::new(&["a1", "a2", "b1", "b2"]).await;
    site.run(&["broken=b2", "on_failure=rollback"])
        .await
        .is(7)
        .says(&["the old state serves"]);
    let log = site.log();
    let back: Vec<&str> = log[9..].iter().map(String::as_str).collect();
    let whole = [
        ["out b2", "change b2", "restore b2", "back b2"].as_slice(),
        &["out b1", "restore b1", "back b1"],
        &["out a2", "restore a2", "back a2"],
        &["out a1", "restore a1", "back a1"],
    ];
    assert_eq!(back, whole.concat());
    for node in ["a1", "a2", "b1", "b2"] {
        assert_eq!(site.config(node), "before\n");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_way_back_that_ends_early_needs_a_person() {
    let site = Site::new(&["a1", "a2", "b1", "b2"]).await;
    site.run(&["broken=b1", "on_failure=rollback", "lost=a2"])
        .await
        .is(8)
        .says(&["then a2"]);
    let log = site.log();
    assert_eq!(log[10..], ["out a2", "restore a2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_takes_nobody_out_and_lists_the_same_steps() {
    let site = Site::new(&["n1", "n2"]).await;
    let dry = site.run(&["--check"]).await.is(0);
    site.did(&[]);
    assert_eq!(site.config("n1"), "");
    let wet = site.run(&[]).await.is(0);
    for node in ["n1", "n2"] {
        for title in ["Write the configuration", "Start the node anew"] {
            let lists = |said: &Said| {
                let mut lines = said.text.lines();
                lines.any(|line| line.starts_with(node) && line.contains(title))
            };
            assert!(lists(&dry), "{node}, {title}:\n{}", dry.text);
            assert!(lists(&wet), "{node}, {title}:\n{}", wet.text);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_balancer_that_does_not_tell_is_not_called_one_that_lacks_the_node() {
    let site = Site::new(&["n1"]).await;
    site.does(&[
        "status",
        "./site.yaml",
        "-i",
        "hosts.yaml",
        "--output",
        "plain",
    ])
    .await
    .is(0)
    .says(&["does not tell where a node is"]);
    site.did(&[]);
}

/// Twice at each look: whether it serves, and whether it leads.
#[tokio::test(flavor = "multi_thread")]
async fn status_goes_on_looking_and_says_what_changes() {
    let site = Site::new(&["n1", "n2"]).await;
    let words = [
        "status",
        "./site.yaml",
        "-i",
        "hosts.yaml",
        "--watch",
        "1",
        "--output",
        "plain",
    ];
    let is_done = || {
        if site.times_asked("n1") >= 2 && !site.path("n1/sick").exists() {
            site.make_sick("n1");
        }
        site.times_asked("n1") >= 8
    };
    let said = site.signalled_when(&words, Signal::INT, is_done).await;
    let said = said.is(0).says(&["n1: serves: yes -> NO", " n1: "]);
    let heads = said.text.lines().filter(|line| line.starts_with("cluster"));
    assert_eq!(heads.count(), 1, "{}", said.text);
    assert_eq!(said.text.matches("serves: yes -> NO").count(), 1);
    site.did(&[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_needs_a_rollout() {
    let site = Site::new(&["n1"]).await;
    site.write("plain.yaml", "- { name: plain, hosts: n, roles: [node] }\n");
    site.does(&["restart", "./plain.yaml", "-i", "hosts.yaml"])
        .await
        .is(2)
        .says(&["has a `rollout`", "standard-ha"]);
    site.did(&[]);
}

/// What stands in a file instead of what, where that is wrong, and in which words.
const MISTAKES: [(&str, &str, &str, &str, &str); 11] = [
    (
        PLAYBOOK,
        "canary: \"",
        "serial: [1, some]\n    canary: \"",
        "site.yaml:8:13",
        "`serial` cannot be `some`",
    ),
    (
        PLAYBOOK,
        "\"{{ canary }}\"",
        "\"{{ 0 if inventory_hostname == 'n2' else 1 }}\"",
        "site.yaml:6:5",
        "`canary` of n2 is another one than that of n1",
    ),
    (
        PLAYBOOK,
        "canary: \"",
        "canery: \"",
        "site.yaml:8:5",
        "did you mean `canary`?",
    ),
    (
        PLAYBOOK,
        "max_failures: 1",
        "max_failure: 1",
        "site.yaml:15:5",
        "did you mean `max_failures`?",
    ),
    (
        PLAYBOOK,
        "    max_failures: 1\n",
        "",
        "site.yaml:6:5",
        "`rollout` lacks `max_failures`",
    ),
    (
        PLAYBOOK,
        "first_install: serial",
        "first_install: sometimes",
        "site.yaml:17:20",
        "it is serial or parallel",
    ),
    (
        PLAYBOOK,
        "first_install: serial",
        "first_install: serial\n    max_error_rate: 2",
        "site.yaml:18:21",
        "it is a share between 0 and 1",
    ),
    (
        PLAYBOOK,
        "healthy_deadline: 60",
        "healthy_deadline: soon",
        "site.yaml:12:23",
        "a time in seconds",
    ),
    (
        PLAYBOOK,
        "\"{{ max_unavailable }}\"",
        "101%",
        "site.yaml:13:22",
        "`max_unavailable` cannot be",
    ),
    (
        PLAYBOOK,
        "\"{{ canary }}\"",
        "\"{{ canaries }}\"",
        "site.yaml:8:",
        "canaries",
    ),
    (
        "roles/node/tasks/healthy.yaml",
        "{{ home }}",
        "{{ houme }}",
        "healthy.yaml:6:",
        "houme",
    ),
];

const PLAYBOOK: &str = "site.yaml";

#[tokio::test(flavor = "multi_thread")]
async fn mistakes_are_found_before_anybody_is_asked() {
    let site = Site::new(&["n1", "n2"]).await;
    for (file, old, new, place, word) in MISTAKES {
        let right = fs::read_to_string(site.path(file)).unwrap();
        site.edit(file, old, new);
        site.does(&["lint", "./site.yaml", "-i", "hosts.yaml"])
            .await
            .is(2)
            .says(&[place, word]);
        site.write(file, &right);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn asked_to_stop_a_node_comes_back_and_the_next_run_goes_on() {
    let site = Site::new(&["n1", "n2"]).await;
    site.stopped_within("change n1", &["pause=2"])
        .await
        .is(130)
        .says(&["changed and serving", "not begun"]);
    site.did(&["out n1", "change n1", "back n1"]);
    site.run(&[]).await.is(0);
    assert_eq!(site.done_to("n1"), CHANGED);
    assert_eq!(site.done_to("n2"), CHANGED);
}

/// A CI job that is cancelled sends one signal and soon another one.
#[tokio::test(flavor = "multi_thread")]
async fn asked_twice_in_different_words_a_node_comes_back_all_the_same() {
    let site = Site::new(&["n1", "n2"]).await;
    let is_changed = || site.log().contains(&"change n1".to_owned());
    let words = site.run_words(&["pause=2"]);
    let signals = [Signal::INT, Signal::TERM, Signal::HUP];
    let said = site.signalled_with(&words, &signals, is_changed).await;
    said.is(130).says(&["changed and serving", "not begun"]);
    site.did(&["out n1", "change n1", "back n1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_leaves_at_once_says_so() {
    let site = Site::new(&["n1", "n2"]).await;
    let is_changed = || site.log().contains(&"change n1".to_owned());
    let words = site.run_words(&["pause=5"]);
    let signals = [Signal::INT, Signal::INT];
    let said = site.signalled_with(&words, &signals, is_changed).await;
    said.is(130)
        .says(&["left at once", "`status` says what is true"]);
    site.did(&["out n1", "change n1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn asked_to_stop_a_change_that_fails_is_taken_back_all_the_same() {
    let site = Site::new(&["n1", "n2"]).await;
    site.stopped_within("change n1", &["pause=2", "broken=n1"])
        .await
        .is(130)
        .says(&["old state again: a task failed", "not begun"]);
    site.did(&["out n1", "change n1", "restore n1", "back n1"]);
}

/// Nothing is begun any more, not even the way back of what is finished.
#[tokio::test(flavor = "multi_thread")]
async fn asked_to_stop_what_is_finished_stays() {
    let site = Site::new(&["n1", "n2", "n3"]).await;
    site.stopped_within(
        "change n2",
        &["pause=1", "broken=n2", "on_failure=rollback"],
    )
    .await
    .is(130);
    assert_eq!(site.done_to("n1"), CHANGED);
    assert_eq!(site.done_to("n2"), ["out", "change", "restore", "back"]);
    assert!(site.done_to("n3").is_empty());
}
