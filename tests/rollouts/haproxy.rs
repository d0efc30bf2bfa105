//! With the real `drain` on a balancer with the real HAProxy, whose nodes are listeners of this process: who is out gets no
//! request, whoever reloads HAProxy meanwhile, and what somebody else did at its socket stays.
//!
//! The balancer's `/run` and `/etc/haproxy` are its own by a mount namespace, so these tests say nothing where none can be
//! had, or where HAProxy is not installed.

use crate::host::{Behaviour, Host};
use crate::site::Site;
use std::collections::BTreeSet;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};

const DRAIN: &str = r#"
- name: Move the node
  drain:
    cluster: n
    node: "127.9.0.{{ inventory_hostname | replace(from='n', to='') }}"
    host: "{{ inventory_hostname }}"
    state: STATE
    engine: haproxy
    within: WITHIN
  delegate_to: "{{ balancer }}"
"#;

const CONFIG: &str = "\
global
    stats socket DIR/run/haproxy.sock mode 600 level admin expose-fd listeners
    maxconn 500
defaults http
    mode http
    timeout connect 1s
    timeout client 30s
    timeout server 30s
    option http-server-close
    default-server check inter 100 fall 2 rise 2
defaults tcp
    mode tcp
    timeout connect 1s
    timeout client 30s
    timeout server 30s
    default-server check inter 100 fall 2 rise 2
frontend f from http
    bind 127.0.0.1:FRONT
    use_backend http:%[req.hdr(host)]
    default_backend n_http
";

const LIST: &str = "\
backend n_http from http
    server n1 127.9.0.1:PORT
    server n2 127.9.0.2:PORT
listen n_tcp from tcp
    bind 127.0.0.1:PASSED
    server n1 127.9.0.1:PORT
    server n2 127.9.0.2:PORT
";

/// A listener that says its name to whoever asks something.
struct Node {
    is_up: Arc<AtomicBool>,
}

impl Node {
    fn new(name: &'static str, listener: TcpListener) -> Self {
        let is_up = Arc::new(AtomicBool::new(true));
        let up = Arc::clone(&is_up);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                // As a closed port would: the check's connection is reset or ends at once.
                if !up.load(SeqCst) {
                    continue;
                }
                std::thread::spawn(move || answer(name, stream));
            }
        });
        Self { is_up }
    }
}

fn answer(name: &str, mut stream: TcpStream) {
    let mut piece = [0; 1024];
    if stream.read(&mut piece).is_ok_and(|n| n > 0) {
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            name.len()
        );
        let _ = stream.write_all(format!("{head}{name}").as_bytes());
    }
}

struct Haproxy {
    site: Site,
    master: Child,
    nodes: Vec<Node>,
    list: String,
    front: u16,
    passed: u16,
}

fn can() -> bool {
    let runs = |program: &str, words: &[&str]| {
        let quiet = Command::new(program)
            .args(words)
            .stdout(Stdio::null())
            .status();
        quiet.is_ok_and(|status| status.success())
    };
    runs("unshare", &["-m", "true"]) && runs("haproxy", &["-v"])
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

impl Haproxy {
    /// `None` where it cannot be.
    async fn new(check: &str, within: u32) -> Option<Self> {
        if !can() {
            return None;
        }
        let one = TcpListener::bind("127.9.0.1:0").unwrap();
        let port = one.local_addr().unwrap().port();
        let two = TcpListener::bind(("127.9.0.2", port)).unwrap();
        let (front, passed) = (free_port(), free_port());
        let mut site = Site::new(&["n1", "n2"]).await;
        let dir = site.path("lb").display().to_string();
        for part in ["run", "etc/conf.d"] {
            fs::create_dir_all(format!("{dir}/{part}")).unwrap();
        }
        let config = CONFIG
            .replace("DIR", &dir)
            .replace("FRONT", &front.to_string());
        site.write("lb/etc/haproxy.cfg", &config);
        let list = LIST
            .replace("PORT", &port.to_string())
            .replace("PASSED", &passed.to_string());
        let list = list.replace(
            "backend n_http from http\n",
            &format!("backend n_http from http\n{check}"),
        );
        site.write("lb/etc/conf.d/n.cfg", &list);
        for (file, state) in [("take_out", "drained"), ("put_back", "serving")] {
            let text = DRAIN
                .replace("STATE", state)
                .replace("WITHIN", &within.to_string());
            site.write(&format!("roles/node/tasks/{file}.yaml"), &text);
        }
        // What the list says while the node is changed.
        site.edit(
            "roles/node/tasks/main.yaml",
            "      sleep",
            "      cp {{ playbook_dir }}/lb/etc/conf.d/n.cfg {{ home }}/seen\n      sleep",
        );
        site.replace_host("lb", balancer(&dir).await);
        let nodes = vec![Node::new("n1", one), Node::new("n2", two)];
        let master = master(&dir);
        let haproxy = Self {
            site,
            master,
            nodes,
            list,
            front,
            passed,
        };
        haproxy.until(|h| h.who_answers() == ["n1", "n2"]);
        Some(haproxy)
    }

    fn list(&self) -> String {
        fs::read_to_string(self.site.path("lb/etc/conf.d/n.cfg")).unwrap()
    }

    fn without(&self, node: &str) -> String {
        let lines = self
            .list
            .split_inclusive('\n')
            .map(|line| match line.contains(node) {
                true => line.replace('\n', " disabled\n"),
                false => line.to_owned(),
            });
        lines.collect()
    }

    fn seen_by(&self, node: &str) -> String {
        fs::read_to_string(self.site.path(node).join("seen")).unwrap()
    }

    fn tell(&self, line: &str) -> String {
        let mut heard = String::new();
        let Ok(mut stream) = UnixStream::connect(self.site.path("lb/run/haproxy.sock")) else {
            return heard;
        };
        stream.write_all(format!("{line}\n").as_bytes()).unwrap();
        let _ = stream.read_to_string(&mut heard);
        heard
    }

    fn worker(&self) -> String {
        let info = self.tell("show info");
        let pid = info.lines().find(|line| line.starts_with("Pid: "));
        pid.unwrap_or_default().to_owned()
    }

    /// As somebody else does it.
    fn is_reloaded(&self) {
        let before = self.worker();
        assert!(!before.is_empty());
        let pid = self.master.id().to_string();
        Command::new("kill").args(["-USR2", &pid]).status().unwrap();
        self.until(|h| !h.worker().is_empty() && h.worker() != before);
    }

    fn asked(&self) -> String {
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.front)) else {
            return "nobody".to_owned();
        };
        stream
            .write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            .unwrap();
        let mut text = String::new();
        let _ = stream.read_to_string(&mut text);
        text.rsplit("\r\n\r\n")
            .next()
            .unwrap_or_default()
            .to_owned()
    }

    /// The names that answer twelve requests.
    fn who_answers(&self) -> Vec<String> {
        let names: BTreeSet<_> = (0..12).map(|_| self.asked()).collect();
        names.into_iter().collect()
    }

    #[track_caller]
    fn until(&self, holds: impl Fn(&Self) -> bool) {
        let began = Instant::now();
        while !holds(self) {
            assert!(
                began.elapsed() < Duration::from_secs(20),
                "{:?}\n{}",
                self.who_answers(),
                self.tell("show servers state")
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

async fn balancer(dir: &str) -> Host {
    let inside = "[ \"$INSIDE\" ] || INSIDE=1 exec unshare -m sh -c \
                  \"$(tr '\\0' '\\n' < /proc/$$/cmdline | tail -n +3)\"\n";
    let profile =
        format!("{inside}mount --bind {dir}/run /run\nmount --bind {dir}/etc /etc/haproxy\n");
    let balancer = Host::start(Behaviour {
        profile,
        ..Behaviour::default()
    })
    .await;
    balancer.stub(
        "systemctl",
        &format!("case \"$*\" in *reload*) kill -USR2 $(cat {dir}/run/haproxy.pid);; esac"),
    );
    balancer
}

fn master(dir: &str) -> Child {
    let words = [
        "-W",
        "-f",
        &format!("{dir}/etc/haproxy.cfg"),
        "-f",
        &format!("{dir}/etc/conf.d"),
        "-p",
        &format!("{dir}/run/haproxy.pid"),
    ];
    Command::new("haproxy")
        .args(words)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

impl Drop for Haproxy {
    fn drop(&mut self) {
        let _ = Command::new("kill")
            .args(["-TERM", &self.master.id().to_string()])
            .status();
        let _ = self.master.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_is_out_while_it_is_changed_and_back_after() {
    let Some(haproxy) = Haproxy::new("", 5).await else {
        return;
    };
    haproxy.site.run(&[]).await.is(0);
    haproxy.site.did(&["change n1", "change n2"]);
    assert_eq!(haproxy.seen_by("n1"), haproxy.without("n1"));
    assert_eq!(haproxy.seen_by("n2"), haproxy.without("n2"));
    assert_eq!(haproxy.list(), haproxy.list);
    haproxy.until(|h| h.who_answers() == ["n1", "n2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_reloads_it_meanwhile_brings_nobody_back() {
    let Some(haproxy) = Haproxy::new("", 5).await else {
        return;
    };
    let site = &haproxy.site;
    site.killed_within("change n1", &["pause=1"]).await;
    assert_eq!(haproxy.who_answers(), ["n2"]);
    haproxy.is_reloaded();
    for _ in 0..5 {
        assert_eq!(haproxy.who_answers(), ["n2"]);
    }
    while !site.path("n1/runs-1").exists() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    site.run(&["--wait-lock", "20"]).await.is(0);
    assert_eq!(haproxy.list(), haproxy.list);
    site.did(&["change n1", "change n2"]);
    haproxy.until(|h| h.who_answers() == ["n1", "n2"]);
}

/// The mark in its file would take it out again with the next reload.
#[tokio::test(flavor = "multi_thread")]
async fn who_was_put_back_by_somebody_is_put_back_for_good() {
    let Some(haproxy) = Haproxy::new("", 5).await else {
        return;
    };
    let site = &haproxy.site;
    site.killed_within("change n1", &["pause=1"]).await;
    for proxy in ["n_http", "n_tcp"] {
        assert_eq!(
            haproxy
                .tell(&format!("set server {proxy}/n1 state ready"))
                .trim(),
            ""
        );
    }
    while !site.path("n1/runs-1").exists() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(haproxy.list(), haproxy.without("n1"));
    site.run(&["--wait-lock", "20"]).await.is(0);
    assert_eq!(haproxy.list(), haproxy.list);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_else_took_out_stays_out_and_holds_the_others() {
    for state in ["maint", "drain"] {
        let Some(haproxy) = Haproxy::new("", 5).await else {
            return;
        };
        for proxy in ["n_http", "n_tcp"] {
            haproxy.tell(&format!("set server {proxy}/n2 state {state}"));
        }
        haproxy
            .site
            .run(&[])
            .await
            .is(4)
            .says(&["n2 is drained by somebody else, at lb"]);
        haproxy.site.did(&[]);
        assert_eq!(haproxy.list(), haproxy.list);
        assert_eq!(haproxy.who_answers(), ["n1"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_out_in_part_is_not_taken_out_with_the_rest() {
    let Some(haproxy) = Haproxy::new("", 5).await else {
        return;
    };
    haproxy.tell("set server n_tcp/n1 state maint");
    let said = haproxy.site.run(&[]).await.is(4);
    said.says(&["n1 is drained by somebody else, at lb (n_tcp/n1 is out)"]);
    haproxy.site.did(&[]);
    assert_eq!(haproxy.list(), haproxy.list);
    assert_eq!(haproxy.who_answers(), ["n1", "n2"]);
    assert!(
        haproxy
            .tell("show stat")
            .lines()
            .any(|line| line.starts_with("n_tcp,n1,") && line.contains(",MAINT,"))
    );
}

/// What n1 serves there nobody else would.
#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_is_out_in_part_does_not_count() {
    let Some(haproxy) = Haproxy::new("", 5).await else {
        return;
    };
    haproxy.tell("set server n_tcp/n2 state maint");
    let held = "n2 is drained by somebody else, at lb (n_tcp/n2 is out)";
    haproxy.site.run(&[]).await.is(4).says(&[held]);
    haproxy.site.did(&[]);
    assert_eq!(haproxy.list(), haproxy.list);
    haproxy
        .site
        .does(&["status", "-i", "hosts.yaml", "./site.yaml"])
        .await
        .says(&["IN PART", "n2 at lb: n_tcp/n2 is out"]);
}

/// One of its checks passes, the other does not.
#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_the_balancer_finds_down_in_part_does_not_count() {
    let check = "    option httpchk GET /\n";
    let Some(haproxy) = Haproxy::new(check, 2).await else {
        return;
    };
    haproxy.nodes[1].is_up.store(false, SeqCst);
    haproxy.until(|h| h.who_answers() == ["n1"]);
    haproxy.site.run(&["--limit", "n1"]).await.is(4).says(&[
        "not healthy: lb: n_http/n2 fails its check: ",
        "n2 is not in rotation on every balancer",
        "n1           not begun",
    ]);
    haproxy.site.did(&[]);
    assert_eq!(haproxy.list(), haproxy.list);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_that_haproxy_refuses_takes_nobody_out() {
    let Some(haproxy) = Haproxy::new("", 5).await else {
        return;
    };
    haproxy.site.write("lb/etc/conf.d/zz.cfg", "nonsense\n");
    haproxy
        .site
        .run(&[])
        .await
        .is(4)
        .says(&["n1 is not drained", "haproxy -c", "as it was"]);
    haproxy.site.did(&[]);
    assert_eq!(haproxy.list(), haproxy.list);
    assert_eq!(haproxy.who_answers(), ["n1", "n2"]);
}

/// The role finds it healthy, and the balancer does not.
#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_pass_its_health_check_stays_out() {
    let check = "    option httpchk GET /\n";
    let Some(haproxy) = Haproxy::new(check, 2).await else {
        return;
    };
    haproxy.nodes[0].is_up.store(false, SeqCst);
    haproxy.until(|h| h.who_answers() == ["n2"]);
    haproxy
        .site
        .run(&[])
        .await
        .says(&["its health check at the balancer does not pass within 2 s: n_http/n1"]);
    assert_eq!(haproxy.site.log()[0], "change n1");
    assert_eq!(haproxy.list(), haproxy.without("n1"));
    assert_eq!(haproxy.who_answers(), ["n2"]);
    haproxy.nodes[0].is_up.store(true, SeqCst);
    haproxy.site.run(&[]).await.is(0);
    assert_eq!(haproxy.list(), haproxy.list);
    haproxy.until(|h| h.who_answers() == ["n1", "n2"]);
}

/// A client of what is passed through keeps its connection; also one that an older process has.
#[tokio::test(flavor = "multi_thread")]
async fn connections_that_stay_are_waited_for_and_told() {
    let Some(haproxy) = Haproxy::new("", 2).await else {
        return;
    };
    let held: Vec<_> = (0..4)
        .map(|_| TcpStream::connect(("127.0.0.1", haproxy.passed)).unwrap())
        .collect();
    std::thread::sleep(Duration::from_millis(500));
    haproxy.is_reloaded();
    let said = haproxy.site.run(&[]).await.is(0);
    said.says(&["2 connections of lb did not end in time"]);
    drop(held);
}
