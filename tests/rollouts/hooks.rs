//! A balancer that is somebody else's, told by programs that this machine runs.

use crate::site::Site;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

const DRAIN: &str = r#"
- name: Move the node
  drain:
    cluster: n
    node: "10.9.0.{{ inventory_hostname | replace(from='n', to='') }}"
    host: "{{ inventory_hostname }}"
    state: STATE
    within: 1
    engine: hooks
    hooks:
      take_out: { command: ["{{ playbook_dir }}/pool", out, "{{ inventory_hostname }}"] }
      put_back: { command: ["{{ playbook_dir }}/pool", back, "{{ inventory_hostname }}"] }
      look: { command: ["{{ playbook_dir }}/pool", is-in, "{{ inventory_hostname }}"] }
      settle: 0
  delegate_to: "{{ balancer }}"
"#;

/// Who is out has a file.
const POOL: &str = r#"#!/bin/sh
cd "$(dirname "$0")"
case $1 in
  is-in) test ! -e "out-$2"; exit ;;
  out) test ! -e refuses && touch "out-$2" || exit 7 ;;
  back) rm -f "out-$2" ;;
esac
echo "$1 $2" >> log
"#;

async fn site() -> Site {
    let site = Site::new(&["n1", "n2"]).await;
    for (file, state) in [("take_out", "drained"), ("put_back", "serving")] {
        let file = format!("roles/node/tasks/{file}.yaml");
        site.write(&file, &DRAIN.replace("STATE", state));
    }
    site.write("pool", POOL);
    fs::set_permissions(site.path("pool"), fs::Permissions::from_mode(0o755)).unwrap();
    site
}

const HERE: &str = "{balancers: [localhost]}";

#[tokio::test(flavor = "multi_thread")]
async fn nodes_are_moved_by_what_was_written_for_the_balancer() {
    let site = site().await;
    site.run(&[HERE]).await.is(0);
    let whole = [
        "out n1",
        "change n1",
        "back n1",
        "out n2",
        "change n2",
        "back n2",
    ];
    site.did(&whole);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_balancer_that_refuses_keeps_the_node_from_being_changed() {
    let site = site().await;
    site.write("refuses", "");
    site.run(&[HERE])
        .await
        .is(4)
        .says(&["n1 is not drained", "exit code 7"]);
    assert_eq!(site.config("n1"), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_else_took_out_there_stays_out_and_holds_the_others() {
    let site = site().await;
    site.write("out-n2", "");
    site.run(&[HERE])
        .await
        .is(4)
        .says(&["n2 is drained by somebody else, at localhost"]);
    site.did(&[]);
    assert!(site.path("out-n2").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_left_out_there_by_a_run_that_died_is_put_back_by_the_next() {
    let site = site().await;
    site.killed_within("change n1", &["pause=1", HERE]).await;
    assert!(site.path("out-n1").exists());
    while !site.path("n1/runs-1").exists() {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    site.run(&["--wait-lock", "20", HERE]).await.is(0);
    assert!(!site.path("out-n1").exists());
    assert_eq!(site.done_to("n2"), ["out", "change", "back"]);
}
