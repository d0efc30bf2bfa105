//! Upgrades and their way back with the real `release`, `instance` and `restore`, on nodes whose systemd is a script.
//!
//! Each node has a `/var/lib` of its own by a mount namespace, so these tests say nothing where none can be had.

use crate::host::{Behaviour, Host};
use crate::site::Site;
use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

const DEFAULTS: &str = r#"
apim_version: "4.5.0"
apim_update_level: 0
release: "{{ apim_version ~ ('+' ~ apim_update_level if apim_update_level | int > 0 else '') }}"
older: false
words: plain
removes: false
"#;

const CHANGE: &str = r#"
- name: Change the node
  instance:
    service: node
    link: { path: "{{ home }}/current", target: "{{ home }}/releases/{{ release }}" }
    files: [{ template: words, dest: "{{ home }}/words" }]
    absent: "{{ [home ~ '/orders.car'] if removes else [] }}"
    stop_timeout: 20
"#;

const MAY_CHANGE: &str = r#"
- name: Ask whether the node may become it
  release:
    product: apim
    link: "{{ home }}/current"
    target: "{{ home }}/releases/{{ release }}"
    older: "{{ is_peer or older | bool }}"
"#;

const RESTORE: &str = r#"
- name: Bring the old state back
  restore: { service: node, stop_timeout: 20 }
"#;

const ROLL_BACK: &str = r#"
- name: Bring the release before back
  restore: { service: node, stop_timeout: 20, before: release, link: "{{ home }}/current", from: "{{ rollback_from }}" }
"#;

const HEALTHY: &str = r#"
- name: Ask the node whether it serves
  shell: test -e {{ home }}/up
"#;

/// A service that is up while the file `up` is there, and does not stop while `hangs` is. A release that holds `refuses` never comes up, nor does one with these words.
const SYSTEMCTL: &str = r#"
case "$*" in
  show*)
    if [ -e HOME/hangs ] && [ -e HOME/asked ]; then
      printf 'LoadState=loaded\nActiveState=deactivating\nSubState=stop-sigterm\nUnitFileState=enabled\nMainPID=0\n'
      printf 'NeedDaemonReload=no\nSendSIGKILL=no\n'
    elif [ -e HOME/up ]; then
      printf 'LoadState=loaded\nActiveState=active\nSubState=running\nUnitFileState=enabled\nMainPID=%s\n' "$(cat HOME/up)"
      printf 'NeedDaemonReload=no\nExecMainStartTimestamp=%s\n' "$(cat HOME/since)"
    else
      state=inactive
      [ ! -e HOME/failed ] || state=failed
      printf 'LoadState=loaded\nActiveState=%s\nSubState=dead\nUnitFileState=enabled\nMainPID=0\nNeedDaemonReload=no\n' $state
    fi ;;
  stop*)
    echo "stop NAME" >> HOME/../log
    if [ -e HOME/hangs ]; then touch HOME/asked; else rm -f HOME/up; fi ;;
  start*)
    echo "start NAME $(basename "$(readlink HOME/current)")" >> HOME/../log
    if [ -e HOME/current/refuses ] || grep -qs refuses HOME/words; then touch HOME/failed; exit 1; fi
    rm -f HOME/failed
    date -u '+%a %Y-%m-%d %H:%M:%S.%6N UTC' > HOME/since
    echo $$ > HOME/up ;;
esac
"#;

/// Nodes at 4.5.0, one of which serves behind a balancer as the other does.
async fn site(nodes: &[&str]) -> Option<Site> {
    let can = Command::new("unshare").args(["-m", "true"]).status();
    if !can.is_ok_and(|status| status.success()) {
        return None;
    }
    let mut site = Site::new(nodes).await;
    for (name, text) in [
        ("tasks/main", CHANGE),
        ("tasks/may_change", MAY_CHANGE),
        ("tasks/restore", RESTORE),
        ("tasks/roll_back", ROLL_BACK),
        ("tasks/healthy", HEALTHY),
    ] {
        site.write(&format!("roles/node/{name}.yaml"), text);
    }
    let defaults = fs::read_to_string(site.path("roles/node/defaults/main.yaml")).unwrap();
    site.write("roles/node/defaults/main.yaml", &(defaults + DEFAULTS));
    fs::create_dir_all(site.path("roles/node/templates")).unwrap();
    site.write(
        "roles/node/templates/words",
        "{{ words }} of {{ release }}\n",
    );
    for node in nodes {
        let host = of_its_own(&site, node).await;
        site.replace_host(node, host);
    }
    site.run(&[]).await.is(0);
    for node in nodes {
        assert_eq!(runs(&site, node), "4.5.0");
    }
    forget(&site);
    Some(site)
}

async fn of_its_own(site: &Site, node: &str) -> Host {
    for release in ["4.4.0", "4.5.0", "4.5.0+1", "4.5.0+2", "4.6.0"] {
        fs::create_dir_all(site.path(node).join("releases").join(release)).unwrap();
    }
    let lib = site.path(node).join("lib");
    fs::create_dir_all(&lib).unwrap();
    let inside = "[ \"$INSIDE\" ] || INSIDE=1 exec unshare -m sh -c \
                  \"$(tr '\\0' '\\n' < /proc/$$/cmdline | tail -n +3)\"\n";
    let profile = format!("{inside}mount --bind {} /var/lib\n", lib.display());
    let host = Host::start(Behaviour {
        profile,
        ..Behaviour::default()
    })
    .await;
    let home = site.path(node).display().to_string();
    let systemctl = SYSTEMCTL.replace("HOME", &home).replace("NAME", node);
    host.stub("systemctl", &systemctl);
    host
}

fn runs(site: &Site, node: &str) -> String {
    let target = fs::read_link(site.path(node).join("current")).unwrap();
    target.file_name().unwrap().to_str().unwrap().to_owned()
}

fn words(site: &Site, node: &str) -> String {
    fs::read_to_string(site.path(node).join("words")).unwrap()
}

fn forget(site: &Site) {
    site.write("log", "");
}

fn all_run(site: &Site, nodes: &[&str], release: &str) {
    for node in nodes {
        assert_eq!(runs(site, node), release, "{node}");
        assert!(site.path(node).join("up").exists(), "{node} is down");
    }
}

async fn does(site: &Site, verb: &str, more: &[&str]) -> crate::site::Said {
    let mut words = vec![verb, "./site.yaml", "-i", "hosts.yaml", "--output", "plain"];
    words.extend(more);
    site.does(&words).await
}

/// What a node goes through on its way from one release to another.
fn moved(node: &str, release: &str) -> [String; 4] {
    [
        format!("out {node}"),
        format!("stop {node}"),
        format!("start {node} {release}"),
        format!("back {node}"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn up_and_back_and_nothing_twice() {
    let Some(site) = site(&["n1", "n2"]).await else {
        return;
    };
    let both = ["n1", "n2"];
    does(&site, "upgrade", &["--to", "+1", "--check"])
        .await
        .is(0)
        .says(&["switch current to 4.5.0+1"]);
    assert!(site.log().is_empty());
    does(&site, "upgrade", &["--to", "+1"])
        .await
        .is(0)
        .says(&["write `apim_update_level: 1` into the inventory"]);
    all_run(&site, &both, "4.5.0+1");
    assert_eq!(site.log(), both.map(|n| moved(n, "4.5.0+1")).concat());
    forget(&site);

    // The inventory still names the older one.
    site.run(&[]).await.is(3).says(&[
        "error: n1: ",
        "API Manager 4.5.0+1 runs here, and this run would bring the older 4.5.0 back",
        "`apim_update_level: 1` into the inventory",
        "`apim-deploy rollback`",
        "nothing was changed",
    ]);
    site.run(&["apim_update_level=1"]).await.is(0);
    does(&site, "upgrade", &["--to", "+1"]).await.is(0);
    assert!(site.log().is_empty(), "{:?}", site.log());

    does(&site, "rollback", &["--check"])
        .await
        .is(0)
        .says(&["would", "bring the old state back: 4.5.0"]);
    assert!(site.log().is_empty());
    does(&site, "rollback", &[])
        .await
        .is(0)
        .says(&["n: 4.5.0 runs again in place of 4.5.0+1", "done:"]);
    all_run(&site, &both, "4.5.0");
    assert_eq!(words(&site, "n1"), "plain of 4.5.0\n");
    assert_eq!(site.log(), both.map(|n| moved(n, "4.5.0")).concat());
    forget(&site);

    does(&site, "rollback", &[])
        .await
        .is(0)
        .says(&["n: there is nothing to go back to"]);
    site.run(&[]).await.is(0);
    assert!(site.log().is_empty(), "{:?}", site.log());

    does(&site, "upgrade", &["--to", "+1"]).await.is(0);
    all_run(&site, &both, "4.5.0+1");
}

/// A change of settings after the upgrade is no upgrade: the way back leads before the release all the same.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_changed_after_an_upgrade_does_not_cut_its_way_back() {
    let Some(site) = site(&["n1", "n2"]).await else {
        return;
    };
    does(&site, "upgrade", &["--to", "+1"]).await.is(0);
    site.run(&["apim_update_level=1", "words=other"])
        .await
        .is(0);
    assert_eq!(words(&site, "n2"), "other of 4.5.0+1\n");
    does(&site, "rollback", &[]).await.is(0);
    all_run(&site, &["n1", "n2"], "4.5.0");
    assert_eq!(words(&site, "n2"), "plain of 4.5.0\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn half_way_both_ways_are_open() {
    let Some(site) = site(&["n1", "n2", "n3"]).await else {
        return;
    };
    let all = ["n1", "n2", "n3"];
    does(&site, "upgrade", &["--to", "+1"]).await.is(0);
    forget(&site);
    does(&site, "upgrade", &["--to", "+2", "-l", "n1"])
        .await
        .is(0);
    assert_eq!(runs(&site, "n1"), "4.5.0+2");
    forget(&site);

    // Back: those that never came to it stay, although they could go back further.
    does(&site, "rollback", &[])
        .await
        .is(0)
        .says(&["n2, n3 stayed as it was"]);
    all_run(&site, &all, "4.5.0+1");
    assert_eq!(site.log(), moved("n1", "4.5.0+1"));
    forget(&site);
    does(&site, "rollback", &[])
        .await
        .is(0)
        .says(&["nothing to go back to"]);
    assert!(site.log().is_empty(), "{:?}", site.log());

    // On.
    does(&site, "upgrade", &["--to", "+2", "-l", "n1"])
        .await
        .is(0);
    forget(&site);
    does(&site, "upgrade", &["--to", "+2"]).await.is(0);
    all_run(&site, &all, "4.5.0+2");
    assert_eq!(
        site.log(),
        [moved("n2", "4.5.0+2"), moved("n3", "4.5.0+2")].concat()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_that_does_not_start_is_taken_back() {
    let Some(site) = site(&["n1", "n2"]).await else {
        return;
    };
    site.write("n1/releases/4.5.0+1/refuses", "");
    does(&site, "upgrade", &["--to", "+1"])
        .await
        .is(7)
        .says(&["the old state is back", "the old state serves"]);
    all_run(&site, &["n1", "n2"], "4.5.0");
    assert!(site.done_to("n2").is_empty());
    forget(&site);
    // The one that failed is back already, and nobody else was begun.
    does(&site, "rollback", &[])
        .await
        .is(0)
        .says(&["nothing to go back to"]);
    site.run(&[]).await.is(0);
    assert!(site.log().is_empty(), "{:?}", site.log());
}

/// What was taken back never happened: the way back of the upgrade that stayed is as open as before, on the node that tried
/// the bad release, twice, and on the one that never did.
#[tokio::test(flavor = "multi_thread")]
async fn a_release_that_is_taken_back_leaves_the_earlier_way_back_open() {
    let Some(site) = site(&["n1", "n2"]).await else {
        return;
    };
    let both = ["n1", "n2"];
    site.write("n1/releases/4.5.0+2/refuses", "");
    does(&site, "upgrade", &["--to", "+1"]).await.is(0);
    for _ in 0..2 {
        does(&site, "upgrade", &["--to", "+2"]).await.is(7);
        all_run(&site, &both, "4.5.0+1");
    }
    does(&site, "rollback", &[])
        .await
        .is(0)
        .says(&["n: 4.5.0 runs again in place of 4.5.0+1"]);
    all_run(&site, &both, "4.5.0");
    assert_eq!(words(&site, "n1"), "plain of 4.5.0\n");
    does(&site, "rollback", &[])
        .await
        .is(0)
        .says(&["nothing to go back to"]);
}

/// A change of settings that is taken back is no change of release: who was rolled back goes no further.
#[tokio::test(flavor = "multi_thread")]
async fn settings_that_are_taken_back_open_no_way_further_back() {
    let Some(site) = site(&["n1", "n2"]).await else {
        return;
    };
    let both = ["n1", "n2"];
    does(&site, "upgrade", &["--to", "+1"]).await.is(0);
    does(&site, "upgrade", &["--to", "+2"]).await.is(0);
    does(&site, "rollback", &[]).await.is(0);
    all_run(&site, &both, "4.5.0+1");
    site.run(&["apim_update_level=1", "words=refuses"])
        .await
        .is(7);
    does(&site, "rollback", &[])
        .await
        .is(0)
        .says(&["nothing to go back to"]);
    all_run(&site, &both, "4.5.0+1");
}

/// What goes with a change comes back with it; alone it is a change like any other.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_removed_comes_back_with_the_old_state() {
    let Some(site) = site(&["n1", "n2"]).await else {
        return;
    };
    let both = ["n1", "n2"];
    for node in both {
        site.write(&format!("{node}/orders.car"), "1.0.0");
    }
    let orders = |node: &str| fs::read_to_string(site.path(node).join("orders.car")).ok();
    site.run(&["removes=true", "words=refuses"]).await.is(7);
    assert_eq!(
        both.map(orders),
        [Some("1.0.0".into()), Some("1.0.0".into())]
    );
    all_run(&site, &both, "4.5.0");
    forget(&site);

    site.run(&["removes=true", "--check"])
        .await
        .is(0)
        .says(&["stop: orders.car is there, remove orders.car, start"]);
    assert_eq!(
        both.map(orders),
        [Some("1.0.0".into()), Some("1.0.0".into())]
    );
    site.run(&["removes=true"]).await.is(0);
    assert_eq!(both.map(orders), [None, None]);
    assert_eq!(site.log(), both.map(|n| moved(n, "4.5.0")).concat());
}

/// Nobody kills it: the step fails, the node stays out, and the run after it has ended goes on from there.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_does_not_stop_stays_out_until_it_has() {
    let Some(site) = site(&["n1", "n2"]).await else {
        return;
    };
    let both = ["n1", "n2"];
    for file in ["main", "restore"] {
        let file = format!("roles/node/tasks/{file}.yaml");
        site.edit(&file, "stop_timeout: 20", "stop_timeout: 1");
    }
    site.write("n1/hangs", "");
    site.run(&["words=other"]).await.is(8).says(&[
        "node.service is deactivating (stop-sigterm) after 1 s: it has not stopped",
        "wso2/api-manager#4560",
    ]);
    assert_eq!(words(&site, "n1"), "plain of 4.5.0\n");
    assert_eq!(site.done_to("n1"), ["out", "stop", "stop"]);
    assert!(site.done_to("n2").is_empty());

    for file in ["hangs", "asked", "up"] {
        fs::remove_file(site.path("n1").join(file)).unwrap();
    }
    forget(&site);
    site.run(&["words=other"]).await.is(0);
    all_run(&site, &both, "4.5.0");
    assert_eq!(both.map(|n| words(&site, n)), ["other of 4.5.0\n"; 2]);
    assert_eq!(site.done_to("n1").last().unwrap(), "back");
}

/// A run that died before the link was switched never came to the new release: the way back is that of the old one.
#[tokio::test(flavor = "multi_thread")]
async fn a_release_that_was_only_begun_leaves_the_earlier_way_back_open() {
    let Some(site) = site(&["n1", "n2"]).await else {
        return;
    };
    let both = ["n1", "n2"];
    does(&site, "upgrade", &["--to", "+1"]).await.is(0);
    for file in ["main", "restore"] {
        let file = format!("roles/node/tasks/{file}.yaml");
        site.edit(&file, "stop_timeout: 20", "stop_timeout: 1");
    }
    site.write("n1/hangs", "");
    does(&site, "upgrade", &["--to", "+2"]).await.is(8);
    for file in ["hangs", "asked", "up"] {
        fs::remove_file(site.path("n1").join(file)).unwrap();
    }
    site.run(&["apim_update_level=1"]).await.is(0);
    all_run(&site, &both, "4.5.0+1");
    does(&site, "rollback", &[])
        .await
        .is(0)
        .says(&["n: 4.5.0 runs again in place of 4.5.0+1"]);
    all_run(&site, &both, "4.5.0");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_rollback_policy_finished_nodes_go_back_too() {
    let Some(site) = site(&["n1", "n2"]).await else {
        return;
    };
    site.write("n2/releases/4.5.0+1/refuses", "");
    does(
        &site,
        "upgrade",
        &["--to", "+1", "-e", "on_failure=rollback"],
    )
    .await
    .is(7);
    all_run(&site, &["n1", "n2"], "4.5.0");
}

/// The old release is what does not come up: the newer one, which serves, stays.
#[tokio::test(flavor = "multi_thread")]
async fn a_way_back_that_fails_is_taken_back_itself() {
    let Some(site) = site(&["n1", "n2"]).await else {
        return;
    };
    does(&site, "upgrade", &["--to", "+1"]).await.is(0);
    site.write("n1/releases/4.5.0/refuses", "");
    does(&site, "rollback", &[]).await.is(7);
    all_run(&site, &["n1", "n2"], "4.5.0+1");
    fs::remove_file(site.path("n1/releases/4.5.0/refuses")).unwrap();
    does(&site, "rollback", &[]).await.is(0);
    all_run(&site, &["n1", "n2"], "4.5.0");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_line_is_refused_before_anybody_is_touched() {
    let Some(site) = site(&["n1", "n2"]).await else {
        return;
    };
    does(&site, "upgrade", &["--to", "4.6.0"])
        .await
        .is(2)
        .says(&[
            "apim 4.6.0 is of another line than 4.5.0, which the inventory names for n1",
            "playbooks/migrate.yaml",
        ]);
    for verb in ["run", "restart"] {
        does(&site, verb, &["-e", "apim_version=4.6.0"])
            .await
            .is(3)
            .says(&[
                "error: n1: ",
                "API Manager 4.5.0 runs here, and 4.6.0 is of another line",
                "playbooks/migrate.yaml",
                "nothing was changed",
            ]);
    }
    does(&site, "run", &["-e", "apim_version=4.6.0", "--check"])
        .await
        .is(3);
    // A new node of the wanted line beside an old one, which is no part of the run.
    fs::remove_file(site.path("n1/current")).unwrap();
    fs::remove_file(site.path("n1/up")).unwrap();
    does(&site, "run", &["-e", "apim_version=4.6.0", "-l", "n1"])
        .await
        .is(3)
        .says(&["error: n2: "]);
    assert!(site.log().is_empty(), "{:?}", site.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn across_a_line_there_is_no_way_back() {
    let Some(site) = site(&["n1", "n2"]).await else {
        return;
    };
    does(&site, "upgrade", &["--to", "+1"]).await.is(0);
    let kept = site.path("n2/lib/apim-deploy/earlier/node.service/generation.json");
    let text = fs::read_to_string(&kept).unwrap();
    fs::write(&kept, text.replace("releases/4.5.0\"", "releases/4.4.0\"")).unwrap();
    forget(&site);
    does(&site, "rollback", &[]).await.is(3).says(&[
        "error: n2: ",
        "which is of another line",
        "nothing was changed",
    ]);
    assert!(site.log().is_empty(), "{:?}", site.log());
    // Only what is asked for is asked.
    does(&site, "rollback", &["-l", "n1"]).await.is(0);
    assert_eq!([runs(&site, "n1"), runs(&site, "n2")], ["4.5.0", "4.5.0+1"]);
}

/// A folder that somebody called otherwise says nothing of its version.
#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_can_tell_the_version_of_is_not_replaced() {
    let Some(site) = site(&["n1"]).await else {
        return;
    };
    let current = site.path("n1/current");
    fs::remove_file(&current).unwrap();
    symlink(site.path("n1/releases/latest"), &current).unwrap();
    site.run(&[])
        .await
        .is(3)
        .says(&["nobody can tell which version"]);
}

/// A step before the change fails, in the look too: the node was taken out for nothing, and gets no older state for it.
#[tokio::test(flavor = "multi_thread")]
async fn who_was_not_changed_does_not_go_back() {
    let Some(site) = site(&["n1", "n2"]).await else {
        return;
    };
    does(&site, "upgrade", &["--to", "+1"]).await.is(0);
    forget(&site);
    site.write("roles/node/tasks/main.yaml", &format!("---{CHANGE}"));
    crate::ask_first(&site, "no");
    site.run(&["apim_update_level=1", "words=other"])
        .await
        .is(4)
        .says(&["as it was, and back"]);
    all_run(&site, &["n1", "n2"], "4.5.0+1");
    assert_eq!(site.log(), ["out n1", "back n1"]);
}
