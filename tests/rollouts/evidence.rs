//! With nodes that answer requests, and a balancer that sends them on: a changed node is judged by what clients meet.

use crate::site::Site;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Nodes whose folder says how they answer: `failing`, `slow`, `slower` (twice what others take), `noisy`, `poor` (an API of
/// theirs is gone), `mute` (none of their APIs answers).
struct Web {
    site: Site,
    balancer: SocketAddr,
}

const APIS: &str = r#"{"list":[{"name":"Orders","version":"1.0.0","context":"/orders/1.0.0"},
    {"name":"Stock","version":"2.1.0","context":"/stock/2.1.0"}]}"#;

impl Web {
    async fn new() -> Self {
        let site = Site::new(&["n1", "n2"]).await;
        let nodes = ["n1", "n2"].map(|node| (node, serve_node(site.path(node))));
        let balancer = serve_balancer(site.path("log"), nodes.map(|(node, at)| (node, at)));
        let urls = nodes.map(|(node, at)| format!("{node}: \"http://{at}\""));
        let addresses = nodes.map(|(node, at)| format!("{node}: {}", at.ip()));
        let defaults = "roles/node/defaults/main.yaml";
        let known = fs::read_to_string(site.path(defaults)).unwrap();
        site.write(
            defaults,
            &format!(
                "{known}\ntrait: none\nurls: {{ {} }}\naddresses: {{ {} }}\nbalancer_url: http://{balancer}\n",
                urls.join(", "),
                addresses.join(", ")
            ),
        );
        site.write("roles/node/tasks/probe.yaml", PROBE);
        site.write("roles/node/tasks/traffic.yaml", TRAFFIC);
        site.write("roles/node/tasks/content.yaml", CONTENT);
        let main = "roles/node/tasks/main.yaml";
        let start = "      touch {{ home }}/runs";
        site.edit(
            main,
            start,
            &format!("      touch {{{{ home }}}}/{{{{ trait }}}}\n{start}"),
        );
        let restore = "roles/node/tasks/restore.yaml";
        site.edit(restore, "rm -f", "rm -f {{ home }}/{{ trait }}");
        let last = "first_install: serial";
        let short = "\n    baseline: 2\n    alike_within: 3";
        site.edit("site.yaml", last, &format!("{last}{short}"));
        Self { site, balancer }
    }
}

const PROBE: &str = r#"
- probe:
    name: itself
    requests: [{ url: "{{ urls[inventory_hostname] }}/", status: 200 }]
    per_second: 10
    last: "{{ probe_last }}"
"#;

const TRAFFIC: &str = r#"
- probe:
    name: all
    requests: [{ url: "{{ balancer_url }}/", status: 200 }]
    per_second: 20
    nodes: "{{ addresses }}"
    last: "{{ probe_last }}"
  delegate_to: "{{ balancer }}"
"#;

const CONTENT: &str = r#"
- deployed:
    product: apim
    url: "{{ urls[inventory_hostname] }}"
    user: admin
    password: admin
    tenants: [carbon.super]
    calls: "{{ urls[inventory_hostname] }}"
    within: 0
"#;

/// Listens until the test's process ends.
fn listen(ip: [u8; 4], answer: impl Fn(&str) -> String + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind((std::net::IpAddr::from(ip), 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let answer = Arc::new(answer);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let answer = Arc::clone(&answer);
            std::thread::spawn(move || {
                let path = asked(&stream);
                let _ = (&stream).write_all(answer(&path).as_bytes());
            });
        }
    });
    address
}

fn asked(stream: &TcpStream) -> String {
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    let first = lines.next().unwrap_or_default();
    for line in lines {
        if line.is_empty() {
            break;
        }
    }
    first.split(' ').nth(1).unwrap_or_default().to_owned()
}

/// What an answer takes.
const USUAL: Duration = Duration::from_millis(60);

fn noise() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

fn says(status: &str, more: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\n{more}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
}

fn serve_node(home: PathBuf) -> SocketAddr {
    static NEXT: AtomicUsize = AtomicUsize::new(11);
    let last = u8::try_from(NEXT.fetch_add(1, Ordering::Relaxed)).unwrap();
    listen([127, 0, 0, last], move |path| {
        let is = |word: &str| home.join(word).exists();
        if path.starts_with("/api/am/gateway/v2/apis") {
            return says("200 OK", "", APIS);
        }
        if path.contains("apiName=Stock") && is("poor") {
            return says("404 Not Found", "", "");
        }
        std::thread::sleep(match () {
            () if is("slow") => Duration::from_millis(400),
            () if is("slower") => 2 * USUAL,
            // Half of the answers are as quick as ever.
            () if is("noisy") => {
                USUAL + [0, 3, 20, 60, 0, 300][noise() % 6] * Duration::from_millis(1)
            }
            () => USUAL,
        });
        match (is("failing") && path == "/") || (is("mute") && path != "/") {
            true => says("503 Service Unavailable", "", ""),
            false => says("200 OK", "", "fine"),
        }
    })
}

/// Takes turns among those that the log says are in rotation.
fn serve_balancer(log: PathBuf, nodes: [(&'static str, SocketAddr); 2]) -> SocketAddr {
    let turn = AtomicUsize::new(0);
    listen([127, 0, 0, 1], move |path| {
        let log = fs::read_to_string(&log).unwrap_or_default();
        let is_in = |node: &str| {
            let last = log.lines().rev().find(|line| {
                line.ends_with(node) && (line.starts_with("out") || line.starts_with("back"))
            });
            last.is_none_or(|line| line.starts_with("back"))
        };
        let able: Vec<_> = nodes.iter().filter(|(node, _)| is_in(node)).collect();
        let Some((_, at)) = able.get(turn.fetch_add(1, Ordering::Relaxed) % able.len().max(1))
        else {
            return says("502 Bad Gateway", "", "");
        };
        let status = sent_on(*at, path);
        says(&status, &format!("X-Served-By: {at}\r\n"), "")
    })
}

fn sent_on(at: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(at).unwrap();
    let _ = write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    );
    let first = BufReader::new(stream).lines().next();
    let first = first.and_then(Result::ok).unwrap_or_default();
    first
        .split_once(' ')
        .map_or("502", |(_, status)| status)
        .to_owned()
}

const TAKEN_BACK: [&str; 6] = [
    "out n1",
    "change n1",
    "back n1",
    "out n1",
    "restore n1",
    "back n1",
];

#[tokio::test(flavor = "multi_thread")]
async fn what_clients_met_is_told_at_the_end() {
    let web = Web::new().await;
    let said = web.site.run(&["soak=3"]).await.is(0).says(&[
        "evidence",
        " requests through the balancers, none failed, p50 ",
        "at least 1 of 2 nodes in service, 1 promised",
    ]);
    let line = said
        .text
        .lines()
        .find(|line| line.contains("evidence"))
        .unwrap();
    let words: Vec<&str> = line.split_whitespace().collect();
    let sent: u32 = words[2].parse().unwrap();
    assert!(sent > 60, "{line}");
    assert!(line.contains("(before "), "{line}");
    assert_eq!(web.site.log().len(), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_answers_503_after_its_change_is_taken_back() {
    let web = Web::new().await;
    web.site
        .run(&["soak=30", "trait=failing"])
        .await
        .is(7)
        .says(&[
            "not healthy any more: asked on itself, ",
            " requests failed (GET http://",
            "answers 503)",
            "n2           not begun",
            "FAILED (the last: ",
        ]);
    web.site.did(&TAKEN_BACK);
}

/// Its gates have passed; what it answers a while later tells, and clients are still with its peer.
#[tokio::test(flavor = "multi_thread")]
async fn a_canary_that_turns_bad_while_it_bakes_meets_nobody() {
    let web = Web::new().await;
    web.site
        .run(&["soak=1", "bake=30", "trait=failing"])
        .await
        .is(7)
        .says(&[
            " requests failed (GET http://",
            "n1           old state again",
            "n2           not begun",
            "requests through the balancers, none failed",
        ]);
    web.site
        .did(&["out n1", "change n1", "restore n1", "back n1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canary_that_bakes_well_is_put_back_and_the_others_need_not_bake() {
    let web = Web::new().await;
    let began = Instant::now();
    web.site.run(&["soak=1", "bake=5"]).await.is(0);
    assert!(began.elapsed() >= Duration::from_secs(5));
    assert_eq!(web.site.log().len(), 6);
}

/// Found where the balancer tells who answered, too.
#[tokio::test(flavor = "multi_thread")]
async fn the_balancer_alone_can_tell_who_fails() {
    let web = Web::new().await;
    fs::remove_file(web.site.path("roles/node/tasks/probe.yaml")).unwrap();
    web.site
        .run(&["soak=12", "trait=failing"])
        .await
        .is(7)
        .says(&["not healthy any more: through lb, "]);
    web.site.did(&TAKEN_BACK);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_gets_slow_is_taken_back() {
    let web = Web::new().await;
    web.site
        .run(&["soak=6", "trait=slow"])
        .await
        .is(7)
        .says(&["not healthy any more: ", " ms to be answered, and took "]);
    web.site.did(&TAKEN_BACK);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_that_doubles_its_time_is_taken_back() {
    let web = Web::new().await;
    web.site
        .run(&["soak=6", "trait=slower"])
        .await
        .is(7)
        .says(&["not healthy any more: ", " ms to be answered, and took "]);
    web.site.did(&TAKEN_BACK);
}

#[tokio::test(flavor = "multi_thread")]
async fn noise_is_no_reason_to_take_a_node_back() {
    let web = Web::new().await;
    web.site.run(&["soak=6", "trait=noisy"]).await.is(0);
    assert_eq!(web.site.log().len(), 6);
}

/// An earlier run was stopped when its first node had the slow release.
#[tokio::test(flavor = "multi_thread")]
async fn a_release_is_slow_also_where_a_peer_has_it_already() {
    let web = Web::new().await;
    web.site
        .stopped_within("back n1", &["soak=300", "trait=slower"])
        .await
        .is(130);
    web.site
        .run(&["soak=6", "trait=slower"])
        .await
        .is(7)
        .says(&["not healthy any more: ", "n2           old state again"]);
}

/// A peer that does not say in time what it answered takes nothing from the soak.
#[tokio::test(flavor = "multi_thread")]
async fn no_soak_ends_before_the_node_was_looked_at() {
    let web = Web::new().await;
    let probe = format!("- shell: test {{{{ inventory_hostname }}}} = n1 || sleep 3\n{PROBE}");
    web.site.write("roles/node/tasks/probe.yaml", &probe);
    web.site.edit(
        "roles/node/tasks/put_back.yaml",
        "- name: Put",
        "- shell: test ! -e {{ home }}/runs-{{ version }} || touch {{ home }}/sick\n- name: Put",
    );
    web.site
        .run(&["soak=2"])
        .await
        .is(7)
        .says(&["n1           old state again"]);
    web.site.did(&TAKEN_BACK);
}

/// It is healthy, and its gates have passed: still it is not put back.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_lost_an_api_is_taken_back_before_anybody_meets_it() {
    let web = Web::new().await;
    web.site.run(&["soak=1", "trait=poor"]).await.is(7).says(&[
        "it serves 1 of the 2 that its peers serve; missing: Stock 2.1.0",
        "old state again",
    ]);
    web.site
        .did(&["out n1", "change n1", "restore n1", "back n1"]);
}

/// Its peer says nothing, and it lacks what it had itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_lost_an_api_is_taken_back_also_where_no_peer_tells() {
    let web = Web::new().await;
    let content = format!("- shell: test {{{{ inventory_hostname }}}} = n1\n{CONTENT}");
    web.site.write("roles/node/tasks/content.yaml", &content);
    web.site.run(&["soak=1", "trait=poor"]).await.is(7).says(&[
        "it serves 1 of the 2 that it served before; missing: Stock 2.1.0",
        "n1           old state again",
    ]);
    web.site
        .did(&["out n1", "change n1", "restore n1", "back n1"]);
}

/// What it says late is no answer to the next question.
#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_does_not_tell_in_time_holds_nobody() {
    let web = Web::new().await;
    let late = r#"
- shell: |
    test {{ inventory_hostname }} != n2 || test -e {{ home }}/told || {
      touch {{ home }}/told
      sleep 6
      echo "told n2" >> {{ log }}
      touch {{ home }}/sick
    }
"#;
    web.site
        .write("roles/node/tasks/content.yaml", &format!("{late}{CONTENT}"));
    // So that the next question is whether it is healthy.
    for file in ["probe", "traffic"] {
        fs::remove_file(web.site.path(&format!("roles/node/tasks/{file}.yaml"))).unwrap();
    }
    let said = web.site.run(&[]).await.is(4).says(&[
        "n2           note     not healthy: ",
        "n2/sick` ended with exit code 1",
    ]);
    assert!(!said.text.contains("did not get through"), "{}", said.text);
    web.site.did(&["out n1", "change n1", "back n1", "told n2"]);
}

/// All is deployed, and health is well: only calls tell.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_whose_apis_answer_503_is_taken_back_before_anybody_meets_it() {
    let web = Web::new().await;
    web.site
        .run(&["soak=1", "trait=mute"])
        .await
        .is(7)
        .says(&["it serves 0 of the 2 that its peers serve; missing: Orders 1.0.0"]);
    web.site
        .did(&["out n1", "change n1", "restore n1", "back n1"]);
}

/// The canary is well, so it stays; nobody else is begun while others fail.
#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_fails_holds_the_rollout_and_not_the_canary() {
    let web = Web::new().await;
    let main = "roles/node/tasks/main.yaml";
    let start = "      touch {{ home }}/{{ trait }}";
    web.site
        .edit(main, start, "      touch {{ playbook_dir }}/n2/failing");
    web.site.run(&["soak=12"]).await.is(4).says(&[
        "stopped: through lb, ",
        "n1           changed and serving",
        "n2           not begun",
    ]);
    web.site.did(&["out n1", "change n1", "back n1"]);
}

/// What fails before anything is touched says nothing of the change.
#[tokio::test(flavor = "multi_thread")]
async fn what_failed_before_is_not_held_against_the_change() {
    let web = Web::new().await;
    for node in ["n1", "n2"] {
        web.site.write(&format!("{node}/failing"), "");
    }
    web.site.run(&["soak=3"]).await.is(0).says(&["FAILED"]);
    assert_eq!(web.site.log().len(), 6);
    assert_eq!(web.balancer.ip().to_string(), "127.0.0.1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_soak_ends_with_the_wish_to_stop() {
    let web = Web::new().await;
    let began = Instant::now();
    web.site
        .stopped_within("back n1", &["soak=300"])
        .await
        .is(130)
        .says(&[
            "not watched any longer: the run was asked to stop",
            "n1           changed and serving; not watched to the end",
            "n2           not begun",
            "next:",
        ]);
    assert!(began.elapsed() < Duration::from_secs(60));
    web.site.did(&["out n1", "change n1", "back n1"]);
}
