//! With the real `drain` on a balancer whose kernel is a script: who is out is refused by it, and stays so when a run dies.

use crate::host::Host;
use crate::site::Site;
use rustix::process::Signal;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

const LIST: &str =
    "server 10.9.0.1:8243 fail_timeout=100ms;\nserver 10.9.0.2:8243 fail_timeout=100ms;\n";

/// Of `m3` and `m4`.
const OTHER_LIST: &str =
    "server 10.9.0.3:8243 fail_timeout=100ms;\nserver 10.9.0.4:8243 fail_timeout=100ms;\n";

const DRAIN: &str = r#"
- name: Move the node
  drain:
    cluster: "{{ group_names | first }}"
    node: "10.9.0.{{ inventory_hostname | replace(from='n', to='') | replace(from='m', to='') }}"
    host: "{{ inventory_hostname }}"
    state: STATE
    lease: LEASE
    folder: "{{ playbook_dir }}/lists"
    within: 1
  delegate_to: "{{ balancer }}"
"#;

/// What this kernel refuses is the file to which it was last told.
const NFT: &str = r#"
test ! -e CANNOT || { echo 'Error: Operation not supported' >&2; exit 1; }
case "$*" in
  *list*) test ! -e MUTE || { echo 'Error: Operation not permitted' >&2; exit 1; } ;;
esac
case "$*" in
  '-f -') cat > RULES; sleep "$(cat SLOWLY 2>/dev/null || echo 0)" ;;
  *list*) sed -n 's/^\([0-9.]*\) \. \([0-9]*\),$/{"concat": ["\1", \2]}/p' RULES | paste -sd, |
    sed 's/.*/{"nftables": [{"set": {"name": "out_4", "elem": [&]}}]}/' ;;
esac
"#;

struct Nginx {
    site: Site,
    /// What the balancer keeps.
    state: PathBuf,
}

impl Nginx {
    async fn new() -> Self {
        Self::before(&["n1", "n2"]).await
    }

    async fn before(nodes: &[&str]) -> Self {
        let mut site = Site::new(nodes).await;
        let at = |name: &str| site.path("lb").join(name).display().to_string();
        let balancer = Host::usual().await;
        fs::create_dir_all(site.path("lists")).unwrap();
        balancer.stub("nginx", &format!("test ! -e {}", at("refuses")));
        balancer.stub(
            "nft",
            &NFT.replace("RULES", &at("rules"))
                .replace("CANNOT", &at("cannot"))
                .replace("SLOWLY", &at("slowly"))
                .replace("MUTE", &at("mute")),
        );
        site.write("lists/n.gateway.conf", LIST);
        site.write("lists/m.gateway.conf", OTHER_LIST);
        for (file, state, lease) in [
            ("take_out", "drained", "\"{{ drain_leased }}\""),
            ("keep_out", "drained", "false"),
            ("put_back", "serving", "false"),
        ] {
            let file = format!("roles/node/tasks/{file}.yaml");
            site.write(
                &file,
                &DRAIN.replace("STATE", state).replace("LEASE", lease),
            );
        }
        // Whom the kernel refuses while the node is changed.
        site.edit(
            "roles/node/tasks/main.yaml",
            "      sleep",
            &format!("      cp {} {{{{ home }}}}/seen\n      sleep", at("rules")),
        );
        let state = balancer.path("state");
        site.replace_host("lb", balancer);
        Self { site, state }
    }

    fn list(&self) -> String {
        fs::read_to_string(self.site.path("lists/n.gateway.conf")).unwrap()
    }

    /// Who is out, and why.
    fn drains(&self) -> String {
        fs::read_to_string(self.state.join("drains.json")).unwrap_or_default()
    }

    /// To whom no connection is opened now.
    fn refused(&self) -> Vec<String> {
        refused(&fs::read_to_string(self.site.path("lb/rules")).unwrap_or_default())
    }

    /// The same as it was when the node was changed.
    fn seen_by(&self, node: &str) -> Vec<String> {
        refused(&fs::read_to_string(self.site.path(node).join("seen")).unwrap())
    }
}

fn refused(rules: &str) -> Vec<String> {
    let elements = rules.lines().filter_map(|line| line.strip_suffix(','));
    elements.map(ToOwned::to_owned).collect()
}

fn without(node: &str) -> String {
    LIST.replace(
        &format!("{node}:8243 fail_timeout=100ms"),
        &format!("{node}:8243 fail_timeout=100ms down"),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_is_refused_while_it_is_changed() {
    let nginx = Nginx::new().await;
    nginx.site.run(&[]).await.is(0);
    nginx.site.did(&["change n1", "change n2"]);
    assert_eq!(nginx.seen_by("n1"), ["10.9.0.1 . 8243"]);
    assert_eq!(nginx.seen_by("n2"), ["10.9.0.2 . 8243"]);
    assert!(nginx.refused().is_empty());
    assert_eq!(nginx.list(), LIST);
}

/// Of a pair that is finished one is taken out by hand: its peer does not go back, or nobody would serve.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_goes_back_while_a_peer_is_out_by_hand() {
    let nginx = Nginx::before(&["n1", "n2", "m3", "m4"]).await;
    let site = &nginx.site;
    let words = ["broken=m3", "on_failure=rollback", "pause=1"];
    let by_hand = async {
        while !site.log().contains(&"change m3".to_owned()) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        site.write("lists/n.gateway.conf", &without("10.9.0.1"));
    };
    let (said, ()) = tokio::join!(site.run(&words), by_hand);
    said.is(8)
        .says(&["n2 stays: n1 is not in rotation on every balancer"]);
    assert_eq!(site.config("n2"), "version 1\n");
    assert!(nginx.refused().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_left_out_by_a_run_that_died_is_put_back_by_the_next() {
    let nginx = Nginx::new().await;
    let site = &nginx.site;
    site.killed_within("change n1", &["pause=1"]).await;
    assert_eq!(nginx.refused(), ["10.9.0.1 . 8243"]);
    // The worker finishes the step that it is at, and leaves.
    while !site.path("n1/runs-1").exists() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // The balancer's has left too, and let nobody in: the node may be stopped.
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(nginx.refused(), ["10.9.0.1 . 8243"]);
    site.run(&["--wait-lock", "20"]).await.is(0);
    assert!(nginx.refused().is_empty());
    site.did(&["change n1", "change n2"]);
}

/// Nobody has to run anything: the drain's lease ends with the run. Once the node may be stopped it does not, see above.
#[tokio::test(flavor = "multi_thread")]
async fn who_was_only_taken_out_by_a_run_that_died_comes_back_by_itself() {
    let nginx = Nginx::new().await;
    let site = &nginx.site;
    site.write("lb/slowly", "1");
    let words = site.run_words(&[]);
    let is_out = || !nginx.refused().is_empty();
    site.signalled_when(&words, Signal::KILL, is_out).await;
    let began = Instant::now();
    let is_back = || nginx.refused().is_empty() && nginx.drains() == "{}";
    while !is_back() && began.elapsed() < Duration::from_secs(20) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(is_back(), "{:?} {}", nginx.refused(), nginx.drains());
    site.did(&[]);
    site.run(&["--wait-lock", "20"]).await.is(0);
    site.did(&["change n1", "change n2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_cannot_go_back_stays_out() {
    let nginx = Nginx::new().await;
    nginx.site.run(&["broken=n1", "lost=n1"]).await.is(8);
    assert_eq!(nginx.refused(), ["10.9.0.1 . 8243"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_else_took_out_stays_out_and_holds_the_others() {
    let nginx = Nginx::new().await;
    let site = &nginx.site;
    site.write("lists/n.gateway.conf", &without("10.9.0.2"));
    site.run(&[])
        .await
        .is(4)
        .says(&["n2 is drained by somebody else, at lb"]);
    site.did(&[]);
    assert_eq!(nginx.list(), without("10.9.0.2"));
}

/// What n1 serves there nobody else would.
#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_is_out_of_one_list_does_not_count() {
    let nginx = Nginx::new().await;
    let site = &nginx.site;
    site.write(
        "lists/n.tcp.conf",
        &without("10.9.0.2").replace("8243", "9443"),
    );
    let held = "n2 is drained by somebody else, at lb (`server 10.9.0.2:9443";
    site.run(&[]).await.is(4).says(&[held]);
    site.did(&[]);
    assert!(nginx.refused().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_taken_out_where_nginx_would_not_start_again_or_the_kernel_cannot() {
    let nginx = Nginx::new().await;
    let site = &nginx.site;
    for why in ["refuses", "cannot"] {
        site.write(&format!("lb/{why}"), "");
        site.run(&[])
            .await
            .is(4)
            .says(&["n1 is not drained", "as it was"]);
        fs::remove_file(site.path("lb").join(why)).unwrap();
    }
    site.did(&[]);
    assert!(nginx.refused().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_let_in_by_somebody_in_the_middle_is_taken_out_again() {
    let nginx = Nginx::new().await;
    let site = &nginx.site;
    site.run(&["broken=n1", "lost=n1"]).await.is(8);
    // As after `nft flush ruleset`.
    site.write("lb/rules", "");
    site.run(&[]).await.is(0);
    assert_eq!(nginx.seen_by("n1"), ["10.9.0.1 . 8243"]);
    assert!(nginx.refused().is_empty());
}

/// There is a new connection for the way back.
#[tokio::test(flavor = "multi_thread")]
async fn who_was_stopped_gets_its_old_state_and_its_place_also_when_the_balancer_is_lost() {
    let nginx = Nginx::new().await;
    let site = &nginx.site;
    let words = site.run_words(&["broken=n1", "pause=1"]);
    let is_changed = || {
        let is_changed = site.log().contains(&"change n1".to_owned());
        if is_changed {
            site.cut("lb");
        }
        is_changed
    };
    // A signal that nobody hears.
    let said = site.signalled_when(&words, Signal::CONT, is_changed).await;
    said.is(7)
        .says(&["its connection was lost; there is a new one"]);
    site.did(&["change n1", "restore n1"]);
    assert!(nginx.refused().is_empty());
}

/// The worker at the old one finishes its step first.
#[tokio::test(flavor = "multi_thread")]
async fn who_is_lost_in_the_middle_of_its_change_gets_its_old_state() {
    let nginx = Nginx::new().await;
    let site = &nginx.site;
    let words = site.run_words(&["pause=1", "--wait-lock", "30"]);
    let is_changed = || {
        let is_changed = site.log().contains(&"change n1".to_owned());
        if is_changed {
            site.cut("n1");
        }
        is_changed
    };
    let said = site.signalled_when(&words, Signal::CONT, is_changed).await;
    said.is(7).says(&["n1: the connection to "]);
    assert_eq!(site.config("n1"), "before\n");
    assert!(nginx.refused().is_empty());
}

/// A dry run excuses what fails after it announced something, here that n1 would be taken out; a look at a balancer may not.
#[tokio::test(flavor = "multi_thread")]
async fn a_kernel_that_does_not_tell_holds_everybody() {
    let nginx = Nginx::new().await;
    let site = &nginx.site;
    site.run(&["broken=n2", "lost=n2"]).await.is(8);
    let before = site.log();
    site.write("lb/mute", "");
    site.run(&["version=2"])
        .await
        .is(4)
        .says(&["cannot be read: lb: ", "does not tell who is refused"]);
    assert_eq!(site.log(), before);
}

/// Whom an earlier run left out for good does not come back when this one ends.
#[tokio::test(flavor = "multi_thread")]
async fn who_proves_bad_when_it_is_put_back_stays_out_for_good() {
    let nginx = Nginx::new().await;
    let site = &nginx.site;
    site.killed_within("change n1", &["pause=1"]).await;
    while !site.path("n1/runs-1").exists() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // All its steps are done; it is put back, and then it is not healthy.
    site.edit(
        "roles/node/tasks/put_back.yaml",
        "- name: Move the node",
        "- shell: touch {{ home }}/sick\n- name: Move the node",
    );
    site.run(&["--wait-lock", "20", "soak=2"]).await.is(8);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(nginx.refused(), ["10.9.0.1 . 8243"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_to_leave_and_stays_after_all_is_put_back() {
    let nginx = Nginx::new().await;
    let site = &nginx.site;
    site.run(&[]).await.is(0);
    let plays = fs::read_to_string(site.path("site.yaml")).unwrap();
    site.write(
        "site.yaml",
        &format!("{plays}- {{ hosts: retired, gather_facts: false, tasks: [shell: 'true'] }}\n"),
    );
    site.run(&["--retire", "n2", "--limit", "retired"])
        .await
        .is(0);
    assert_eq!(nginx.refused(), ["10.9.0.2 . 8243"]);
    site.run(&[]).await.is(0);
    assert!(nginx.refused().is_empty());
}
