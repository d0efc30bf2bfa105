//! Nodes that leave: out of rotation first, stopped last, and only while enough of the others serve.

use crate::site::Site;
use std::fs;

const STOP: &str = r#"
- name: Stop what left
  hosts: retired
  gather_facts: false
  tasks:
    - shell: echo "stop {{ inventory_hostname }}" >> {{ playbook_dir }}/log
"#;

/// Asks, and is refused if there is a file `no`.
const ASK: &str = r#"
- name: Ask whether this may be
  hosts: n1
  preflight: true
  gather_facts: false
  tasks:
    - shell: echo "ask" >> {{ playbook_dir }}/log; test ! -e {{ playbook_dir }}/no
      check_mode: false
"#;

/// Nodes that serve, and a play that stops what left.
async fn serving(nodes: &[&str]) -> Site {
    let site = Site::new(nodes).await;
    site.run(&[]).await.is(0);
    let plays = fs::read_to_string(site.path("site.yaml")).unwrap();
    site.write("site.yaml", &format!("{plays}{STOP}"));
    site.write("log", "");
    site
}

#[tokio::test(flavor = "multi_thread")]
async fn who_leaves_is_out_before_anything_else_is_done() {
    let site = serving(&["n1", "n2", "n3"]).await;
    site.run(&["--retire", "n3", "version=2"])
        .await
        .is(0)
        .says(&[
            "Take what leaves out of rotation",
            "n3           rollout  out of rotation",
        ]);
    site.did(&[
        "out n3",
        "out n1",
        "change n1",
        "back n1",
        "out n2",
        "change n2",
        "back n2",
        "stop n3",
    ]);
}

#[tokio::test(flavor = "multi_thread")]
async fn several_leave_at_once() {
    let site = serving(&["n1", "n2", "n3", "n4"]).await;
    site.run(&["--retire", "n3:n4", "--limit", "retired"])
        .await
        .is(0);
    let log = site.log();
    assert_eq!(log[..2], ["out n3", "out n4"]);
    let mut stopped = log[2..].to_vec();
    stopped.sort();
    assert_eq!(stopped, ["stop n3", "stop n4"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_leaves_those_who_could_not_serve_without_it() {
    let site = serving(&["n1", "n2", "n3"]).await;
    site.make_sick("n1");
    site.make_sick("n2");
    for more in [["version=1", "soak=0"].as_slice(), &["--check"]] {
        let words = [["--retire", "n3"].as_slice(), more].concat();
        site.run(&words).await.is(3).says(&[
            "without n3 0 of 2 would serve, and `min_healthy` is 1: n1, n2 do not",
            "n3           does not leave",
            "now:  nothing was changed on any host",
        ]);
        site.did(&[]);
    }
    // Nobody misses one that does not serve either.
    site.make_sick("n3");
    site.run(&["--retire", "n3", "--limit", "retired"])
        .await
        .is(0);
    site.did(&["out n3", "stop n3"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_one_leaves_without_being_asked() {
    let site = serving(&["n1", "n2", "n3"]).await;
    site.vanish("n3");
    site.run(&["--retire", "n3", "version=2"])
        .await
        .is(5)
        .says(&["leaves without being asked: nothing that it runs was stopped"]);
    let log = site.log();
    assert_eq!(log[0], "out n3");
    assert_eq!(log.len(), 7, "{log:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_balancer_refuses_is_undone_and_nothing_else_is_begun() {
    let site = serving(&["n1", "n2", "n3", "n4"]).await;
    site.write("n2/refuses", "");
    site.run(&["--retire", "n3:n4", "version=2", "{balancers: [lb, n2]}"])
        .await
        .is(4)
        .says(&["not out of rotation: n2:"]);
    site.did(&["out n3", "back n3", "back n3"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_says_who_would_leave() {
    let site = serving(&["n1", "n2", "n3"]).await;
    site.run(&["--retire", "n3", "--check"])
        .await
        .is(0)
        .says(&["note         would be taken out of rotation"]);
    site.did(&[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_comes_before_all_and_its_no_changes_nothing() {
    let site = serving(&["n1", "n2", "n3"]).await;
    let plays = fs::read_to_string(site.path("site.yaml")).unwrap();
    site.write("site.yaml", &format!("{ASK}{plays}"));
    site.write("no", "");
    site.run(&["--retire", "n3", "version=2"])
        .await
        .is(3)
        .says(&["nothing was changed on any host", "mend the cause, then:"]);
    site.did(&["ask"]);
    fs::remove_file(site.path("no")).unwrap();
    site.run(&["--retire", "n3", "--limit", "n1:retired"])
        .await
        .is(0);
    site.did(&["ask", "ask", "out n3", "stop n3"]);
    // Behind a play that may change something it could not keep its word.
    site.write("site.yaml", &format!("{plays}{ASK}"));
    site.does(&["lint", "./site.yaml", "-i", "hosts.yaml"])
        .await
        .is(2)
        .says(&["a play with `preflight` stands behind one without"]);
}
