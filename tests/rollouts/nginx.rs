//! With the real `drain` on a balancer whose NGINX is a script: who is out stands in its list, and stays so when a run dies.
//!
//! The balancer's `/run` and `/var/lib` are its own by a mount namespace, so these tests are skipped, and say so, where none can be had.

use crate::host::{Behaviour, Host};
use crate::site::Site;
use std::fs;
use std::io::Write as _;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const LIST: &str = "server 10.9.0.1:8243;\nserver 10.9.0.2:8243;\n";

const DRAIN: &str = r#"
- name: Move the node
  drain:
    cluster: n
    node: "10.9.0.{{ inventory_hostname | replace(from='n', to='') }}"
    host: "{{ inventory_hostname }}"
    state: STATE
    folder: "{{ playbook_dir }}/lists"
    within: 1
  delegate_to: "{{ balancer }}"
"#;

/// Its master: on HUP a new worker takes the place of the old one.
const MASTER: &str = r#"
begin() { (exec -a 'nginx: worker process' sleep 300) & worker=$!; }
trap 'kill $worker; begin' HUP
trap 'kill $worker; exit' TERM
begin
echo $$ > "$0"
while :; do wait; done
"#;

struct Nginx {
    site: Site,
    master: Child,
}

impl Nginx {
    /// `None` where a process cannot have mounts of its own.
    async fn new() -> Option<Self> {
        let can = Command::new("unshare").args(["-m", "true"]).status();
        if !can.is_ok_and(|status| status.success()) {
            // Past the capture of the tests' output, which shows nothing of those that pass.
            let why = "SKIPPED: `unshare -m` does not work here, and the balancer needs mounts of its own (run as root)";
            let _ = writeln!(std::io::stderr(), "rollouts::nginx: {why}");
            return None;
        }
        let mut site = Site::new(&["n1", "n2"]).await;
        let inside = "[ \"$INSIDE\" ] || INSIDE=1 exec unshare -m sh -c \
                      \"$(tr '\\0' '\\n' < /proc/$$/cmdline | tail -n +3)\"\n";
        let at = |name: &str| site.path("lb").join(name).display().to_string();
        let (run, lib) = (at("run"), at("lib"));
        let profile = format!("{inside}mount --bind {run} /run\nmount --bind {lib} /var/lib\n");
        let balancer = Host::start(Behaviour {
            profile,
            ..Behaviour::default()
        });
        let balancer = balancer.await;
        for dir in ["lb/run", "lb/lib", "lists"] {
            fs::create_dir_all(site.path(dir)).unwrap();
        }
        let pid_file = at("run/nginx.pid");
        balancer.stub(
            "systemctl",
            &format!("case \"$*\" in *reload*) kill -HUP $(cat {pid_file});; esac"),
        );
        balancer.stub("nginx", &format!("test ! -e {}", at("refuses")));
        site.write("lists/n.gateway.conf", LIST);
        for (file, state) in [("take_out", "drained"), ("put_back", "serving")] {
            let file = format!("roles/node/tasks/{file}.yaml");
            site.write(&file, &DRAIN.replace("STATE", state));
        }
        // What the balancer says while the node is changed.
        site.edit(
            "roles/node/tasks/main.yaml",
            "      sleep",
            "      cp {{ playbook_dir }}/lists/n.gateway.conf {{ home }}/seen\n      sleep",
        );
        // Who runs the tests with `nohup` would have it hear no HUP.
        let master = Command::new("env")
            .args(["--default-signal=HUP", "bash", "-c", MASTER, &pid_file])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        while !site.path("lb/run/nginx.pid").exists() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        site.replace_host("lb", balancer);
        Some(Self { site, master })
    }

    fn list(&self) -> String {
        fs::read_to_string(self.site.path("lists/n.gateway.conf")).unwrap()
    }

    /// The list as it was when the node was changed.
    fn seen_by(&self, node: &str) -> String {
        fs::read_to_string(self.site.path(node).join("seen")).unwrap()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let pid = i32::try_from(self.master.id()).unwrap();
        let pid = rustix::process::Pid::from_raw(pid).unwrap();
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let _ = self.master.wait();
    }
}

fn without(node: &str) -> String {
    let port = format!("{node}:8243");
    LIST.replace(&port, &format!("{port} down"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_is_down_in_the_list_while_it_is_changed() {
    let Some(nginx) = Nginx::new().await else {
        return;
    };
    nginx.site.run(&[]).await.is(0);
    nginx.site.did(&["change n1", "change n2"]);
    assert_eq!(nginx.seen_by("n1"), without("10.9.0.1"));
    assert_eq!(nginx.seen_by("n2"), without("10.9.0.2"));
    assert_eq!(nginx.list(), LIST);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_left_out_by_a_run_that_died_is_put_back_by_the_next() {
    let Some(nginx) = Nginx::new().await else {
        return;
    };
    let site = &nginx.site;
    site.killed_within("change n1", &["pause=1"]).await;
    assert_eq!(nginx.list(), without("10.9.0.1"));
    // The worker finishes the step that it is at, and leaves.
    while !site.path("n1/runs-1").exists() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    site.run(&["--wait-lock", "20"]).await.is(0);
    assert_eq!(nginx.list(), LIST);
    site.did(&["change n1", "change n2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_cannot_go_back_stays_down() {
    let Some(nginx) = Nginx::new().await else {
        return;
    };
    nginx.site.run(&["broken=n1", "lost=n1"]).await.is(8);
    assert_eq!(nginx.list(), without("10.9.0.1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_else_took_out_stays_out_and_holds_the_others() {
    let Some(nginx) = Nginx::new().await else {
        return;
    };
    let site = &nginx.site;
    site.write("lists/n.gateway.conf", &without("10.9.0.2"));
    site.run(&[])
        .await
        .is(4)
        .says(&["n2 is drained by somebody else, at lb"]);
    site.did(&[]);
    assert_eq!(nginx.list(), without("10.9.0.2"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_nginx_refuses_is_as_it_was() {
    let Some(nginx) = Nginx::new().await else {
        return;
    };
    nginx.site.write("lb/refuses", "");
    nginx
        .site
        .run(&[])
        .await
        .is(4)
        .says(&["n1 is not drained", "as it was"]);
    nginx.site.did(&[]);
    assert_eq!(nginx.list(), LIST);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_to_leave_and_stays_after_all_is_put_back() {
    let Some(nginx) = Nginx::new().await else {
        return;
    };
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
    assert_eq!(nginx.list(), without("10.9.0.2"));
    site.run(&[]).await.is(0);
    assert_eq!(nginx.list(), LIST);
}
