//! The road and the far end together: a real worker behind a real SSH connection.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test stops at the first thing that is not as it should be, and says what it skips"
)]

#[path = "support/host.rs"]
mod host;

use apim_deploy::ssh::{Lost, Secret, Session, Target, connect};
use apim_deploy::wire::{Action, Digest, FromWorker, Item, Mode, Order, Outcome, Step, ToWorker};
use host::{Behaviour, Host, WORKER, key_pair, public};
use serde_json::json;
use sha2::Digest as _;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::time::{Duration, Instant};

async fn go(target: &Target) -> Result<Session, Lost> {
    connect(target, &WORKER, |_| {}).await
}

/// Connects and notes the phases.
async fn go_noting(target: &Target) -> (Session, Vec<String>) {
    let phases = Mutex::new(Vec::new());
    let session = connect(target, &WORKER, |phase| {
        phases.lock().unwrap().push(phase.to_owned())
    })
    .await
    .unwrap();
    (session, phases.into_inner().unwrap())
}

async fn refusal(target: &Target) -> String {
    match go(target).await {
        Err(Lost::Refused(failure)) => words(&failure),
        other => panic!("not refused: {other:?}"),
    }
}

async fn unreachable(target: &Target) -> String {
    match go(target).await {
        Err(Lost::Unreachable(failure)) => words(&failure),
        other => panic!("reached: {other:?}"),
    }
}

fn words(failure: &apim_deploy::wire::Failure) -> String {
    let help = failure.help.as_deref().unwrap_or_default();
    format!("{}\n{}\n{help}", failure.message, failure.detail.join("\n"))
}

fn has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "`{part}` is missing in:\n{text}");
    }
}

fn step(id: u32, module: &str, params: serde_json::Value) -> Item {
    Item::Step(Step {
        id,
        task: id,
        title: module.into(),
        item: None,
        action: Action::Call {
            module: module.into(),
            params,
        },
        notify: vec![],
        handler: None,
        changed_when: None,
        failed_when: None,
        undecided: false,
        ignore_errors: false,
        no_log: false,
        wants_result: false,
        environment: vec![],
        mode: None,
        diff: None,
    })
}

fn order(items: Vec<Item>) -> ToWorker {
    ToWorker::Carry(Order {
        id: 1,
        mode: Mode::Apply,
        diff: false,
        items,
    })
}

/// Hears until the order is through.
async fn story(session: &mut Session) -> Vec<FromWorker> {
    let mut heard = Vec::new();
    loop {
        let message = session.hear().await.unwrap();
        let done = matches!(message, FromWorker::Done { .. });
        heard.push(message);
        if done {
            return heard;
        }
    }
}

async fn works(mut session: Session) {
    session
        .send(&order(vec![step(7, "debug", json!({ "msg": "hello" }))]))
        .await
        .unwrap();
    let story = story(&mut session).await;
    assert!(
        matches!(&story[..], [
            FromWorker::Started { step: 7 },
            FromWorker::Told(told),
            FromWorker::Done { failed: false, .. },
        ] if told.outcome == Outcome::Unchanged),
        "{story:?}"
    );
    session.close().await;
}

#[tokio::test]
async fn the_worker_is_sent_once_and_works() {
    let host = Host::usual().await;
    let target = Target {
        remote_dirs: vec![],
        ..host.target()
    };
    let begun = Instant::now();
    let (session, phases) = go_noting(&target).await;
    let first = begun.elapsed();
    assert!(
        phases.contains(&"sending the worker".to_owned()),
        "{phases:?}"
    );
    assert_eq!(session.facts().system, "Linux");
    assert_eq!(session.round_trips(), 2);
    works(session).await;

    let begun = Instant::now();
    let (session, phases) = go_noting(&target).await;
    println!("first connect {first:?}, cached {:?}", begun.elapsed());
    assert_eq!(phases, ["connecting", "authenticating", "starting"]);
    works(session).await;
}

#[tokio::test]
async fn an_unknown_host_is_refused_with_its_fingerprint_and_the_way_to_trust_it() {
    let host = Host::usual().await;
    std::fs::write(host.path("known_hosts"), "").unwrap();
    let text = refusal(&host.target()).await;
    let fingerprint = public(&host.path("host_key")).fingerprint(russh::keys::HashAlg::Sha256);
    let scan = format!("ssh-keyscan -t ed25519 -p {} 127.0.0.1 >> ", host.port);
    has(
        &text,
        &[
            "is not known",
            &fingerprint.to_string(),
            &scan,
            "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub",
        ],
    );
}

#[tokio::test]
async fn a_changed_key_is_refused_with_both_fingerprints_and_the_line() {
    let host = Host::usual().await;
    let other = key_pair(host.dir.path(), "other", "");
    host.trust(&other);
    let text = refusal(&host.target()).await;
    let print = |path: &Path| {
        public(path)
            .fingerprint(russh::keys::HashAlg::Sha256)
            .to_string()
    };
    has(
        &text,
        &[
            "has changed",
            &print(&other),
            &print(&host.path("host_key")),
            "known_hosts:1",
            "ssh-keygen -R",
        ],
    );
}

#[tokio::test]
async fn a_revoked_key_is_refused() {
    let host = Host::usual().await;
    let known = std::fs::read_to_string(host.path("known_hosts")).unwrap();
    std::fs::write(host.path("known_hosts"), format!("{known}@revoked {known}")).unwrap();
    has(
        &refusal(&host.target()).await,
        &["is revoked by", "known_hosts:2"],
    );
}

#[tokio::test]
async fn a_chatty_login_does_not_matter() {
    let host = Host::start(Behaviour {
        profile: "echo Welcome to gw-1; echo motd >&2; printf 'no line end'".into(),
        ..Behaviour::default()
    })
    .await;
    works(go(&host.target()).await.unwrap()).await;
}

#[tokio::test]
async fn a_login_that_never_gets_to_the_worker_is_shown() {
    let host = Host::start(Behaviour {
        profile: "echo This account is currently not available.; exit 1".into(),
        ..Behaviour::default()
    })
    .await;
    has(
        &refusal(&host.target()).await,
        &["did not start", "exit code 1", "currently not available"],
    );
}

#[tokio::test]
async fn a_login_that_talks_without_end_is_left() {
    let host = Host::start(Behaviour {
        profile: "yes".into(),
        ..Behaviour::default()
    })
    .await;
    has(&refusal(&host.target()).await, &["talks without end"]);
}

#[tokio::test]
async fn sending_to_a_dead_worker_ends() {
    let host = Host::usual().await;
    let (mut sender, _receiver) = go(&host.target()).await.unwrap().split();
    kill_worker(&host);
    let piece = ToWorker::Piece {
        digest: Digest("ab".into()),
        data: vec![0; 1 << 20],
    };
    let sending = async { while sender.send(&piece).await.is_ok() {} };
    assert!(
        tokio::time::timeout(Duration::from_secs(10), sending)
            .await
            .is_ok()
    );
}

fn kill_worker(host: &Host) {
    let holder = std::fs::read_to_string(host.path("state/lock")).unwrap();
    let pid = serde_json::from_str::<serde_json::Value>(&holder).unwrap()["pid"].to_string();
    assert!(
        Command::new("kill")
            .args(["-9", &pid])
            .status()
            .unwrap()
            .success()
    );
}

#[tokio::test]
async fn passwords_both_ways() {
    for interactive in [false, true] {
        let host = Host::start(Behaviour {
            password: Some("right".into()),
            interactive,
            ..Behaviour::default()
        })
        .await;
        let wrong_key = key_pair(host.dir.path(), "stranger", "");
        let with = |password: &str| Target {
            private_key: Some(wrong_key.clone()),
            password: Some(Secret::new(password)),
            ..host.target()
        };
        works(go(&with("right")).await.unwrap()).await;
        let text = refusal(&with("wrong")).await;
        has(
            &text,
            &[
                "does not let `deploy` in",
                "stranger",
                "the password",
                "the server takes",
            ],
        );
        assert!(!text.contains("wrong"), "{text}");
    }
}

/// Of the host and of the user; RSA signs with SHA-2, never with SHA-1.
#[tokio::test]
async fn keys_of_every_kind() {
    for kind in ["ed25519", "ecdsa", "rsa"] {
        let host = Host::start(Behaviour {
            kind: Some(kind),
            ..Behaviour::default()
        })
        .await;
        works(go(&host.target()).await.unwrap()).await;
    }
}

#[tokio::test]
async fn an_encrypted_key_wants_its_passphrase() {
    let host = Host::usual().await;
    let locked = host.path("user_key");
    let status = Command::new("ssh-keygen")
        .args(["-q", "-p", "-a", "1", "-P", "", "-N", "open sesame", "-f"])
        .arg(&locked)
        .status();
    assert!(status.unwrap().success());
    let with = |passphrase: Option<&str>| Target {
        passphrase: passphrase.map(Secret::new),
        ..host.target()
    };
    works(go(&with(Some("open sesame"))).await.unwrap()).await;
    has(
        &refusal(&with(Some("wrong"))).await,
        &["the passphrase of the private key", "is wrong"],
    );
    has(
        &refusal(&with(None)).await,
        &["it is encrypted", "apim_deploy_key_passphrase"],
    );
}

#[tokio::test]
async fn a_key_that_others_may_read_is_refused() {
    let host = Host::usual().await;
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    std::fs::set_permissions(host.path("user_key"), open).unwrap();
    has(
        &refusal(&host.target()).await,
        &["others may read it (mode 0644)", "chmod 600"],
    );
}

/// The agent is found through the environment, which a test must not change for its neighbours: so the
/// test starts itself once more, with an agent around it.
#[tokio::test]
async fn an_agent_opens_what_the_file_keeps_locked() {
    let status = Command::new("ssh-agent")
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "--ignored", "within_an_agent"])
        .stdout(std::process::Stdio::null())
        .status();
    assert!(status.unwrap().success());
}

#[tokio::test]
#[ignore = "started by an_agent_opens_what_the_file_keeps_locked"]
async fn within_an_agent() {
    let host = Host::usual().await;
    let key = host.path("user_key");
    assert!(
        Command::new("ssh-add")
            .arg("-q")
            .arg(&key)
            .status()
            .unwrap()
            .success()
    );
    let unnamed = Target {
        private_key: None,
        ..host.target()
    };
    works(go(&unnamed).await.unwrap()).await;
    let status = Command::new("ssh-keygen")
        .args(["-q", "-p", "-a", "1", "-P", "", "-N", "secret", "-f"])
        .arg(&key)
        .status();
    assert!(status.unwrap().success());
    works(go(&host.target()).await.unwrap()).await;
}

#[tokio::test]
async fn a_lost_connection_is_noticed_and_frees_the_lock() {
    let host = Host::usual().await;
    let mut session = go(&host.target()).await.unwrap();
    host.cut();
    let lost = loop {
        match session.hear().await {
            Ok(_) => {}
            Err(lost) => break lost,
        }
    };
    assert!(
        matches!(&lost, Lost::Unreachable(f) if f.message.contains("was lost")),
        "{lost:?}"
    );
    works(go(&host.target()).await.unwrap()).await;
}

/// Pulls the cable once the worker is in the middle of its step, as this file tells.
async fn lose_in_mid_step(host: &Host, item: Item, begun: &Path) {
    let mut session = go(&host.target()).await.unwrap();
    let items = vec![item, step(2, "fail", json!({}))];
    session.send(&order(items)).await.unwrap();
    let started = session.hear().await.unwrap();
    assert_eq!(started, FromWorker::Started { step: 1 });
    while !begun.exists() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    host.cut();
    let lost = loop {
        if let Err(lost) = session.hear().await {
            break lost;
        }
    };
    assert!(matches!(lost, Lost::Unreachable(_)), "{lost:?}");
}

#[tokio::test]
async fn a_change_is_finished_though_the_controller_is_gone() {
    let host = Host::usual().await;
    let (begun, done) = (host.path("begun"), host.path("done"));
    let script = format!(
        "touch {}; sleep 1; touch {}",
        begun.display(),
        done.display()
    );
    let item = step(1, "command", json!({ "argv": ["sh", "-c", script] }));
    lose_in_mid_step(&host, item, &begun).await;
    // The lock is free only after the step.
    works(go(&host.target()).await.unwrap()).await;
    assert!(done.exists());
}

#[tokio::test]
async fn a_wait_is_abandoned_when_the_controller_is_gone() {
    let host = Host::usual().await;
    let waiting = json!({ "path": "/no/such/file", "timeout": 300 });
    lose_in_mid_step(&host, step(1, "wait_for", waiting), &host.path("home")).await;
    works(go(&host.target()).await.unwrap()).await;
}

#[tokio::test]
async fn large_content_is_sent_when_it_is_asked_for_and_not_twice() {
    let host = Host::usual().await;
    let bytes: Vec<u8> = (0..5_000_000_u32)
        .map(|n| (n.wrapping_mul(n) >> 7) as u8)
        .collect();
    let digest = Digest(apim_deploy::system::hex(&sha2::Sha256::digest(&bytes)));
    let copy = |id, name| {
        let content =
            json!({ "blob": { "digest": digest.0, "size": bytes.len(), "name": "pack.zip" } });
        step(
            id,
            "copy",
            json!({ "content": content, "dest": host.path(name) }),
        )
    };
    let mut session = go(&host.target()).await.unwrap();
    session
        .send(&order(vec![copy(1, "one"), copy(2, "two")]))
        .await
        .unwrap();
    let mut wants = 0;
    loop {
        match session.hear().await.unwrap() {
            FromWorker::Want { digest } => {
                wants += 1;
                for piece in bytes.chunks(256 << 10).chain([&[][..]]) {
                    let (digest, data) = (digest.clone(), piece.to_vec());
                    session
                        .send(&ToWorker::Piece { digest, data })
                        .await
                        .unwrap();
                }
            }
            FromWorker::Told(told) => {
                assert!(matches!(told.outcome, Outcome::Changed(_)), "{told:?}")
            }
            FromWorker::Done { failed, .. } => {
                assert!(!failed);
                break;
            }
            _ => {}
        }
    }
    session.close().await;
    assert_eq!(wants, 1);
    assert_eq!(std::fs::read(host.path("two")).unwrap(), bytes);
}

#[tokio::test]
async fn a_stop_ends_the_order_after_the_current_step() {
    let host = Host::usual().await;
    let mut session = go(&host.target()).await.unwrap();
    let items = vec![
        step(1, "command", json!({ "argv": ["sleep", "1"] })),
        step(2, "fail", json!({})),
    ];
    session.send(&order(items)).await.unwrap();
    assert_eq!(
        session.hear().await.unwrap(),
        FromWorker::Started { step: 1 }
    );
    session.send(&ToWorker::Stop).await.unwrap();
    let story = story(&mut session).await;
    assert!(
        matches!(&story[..], [FromWorker::Told(told), FromWorker::Done { failed: true, .. }] if told.step == 1),
        "{story:?}"
    );
}

#[tokio::test]
async fn a_worker_that_dies_is_another_story_than_a_lost_connection() {
    let host = Host::usual().await;
    let mut session = go(&host.target()).await.unwrap();
    let holder = std::fs::read_to_string(host.path("state/lock")).unwrap();
    let pid = serde_json::from_str::<serde_json::Value>(&holder).unwrap()["pid"].to_string();
    assert!(
        Command::new("kill")
            .args(["-9", &pid])
            .status()
            .unwrap()
            .success()
    );
    let lost = session.hear().await.unwrap_err();
    assert!(
        matches!(&lost, Lost::Refused(f) if f.message.contains("died")),
        "{lost:?}"
    );
}

#[tokio::test]
async fn the_second_run_hears_who_is_at_work() {
    let host = Host::usual().await;
    let first = go(&host.target()).await.unwrap();
    let second = go(&host.target()).await;
    assert!(
        matches!(&second, Err(Lost::Busy(f)) if f.message.contains("another run is at work")),
        "{second:?}"
    );
    first.close().await;
    works(go(&host.target()).await.unwrap()).await;
}

#[tokio::test]
async fn sudo_without_and_with_a_password() {
    let host = Host::usual().await;
    host.stub_sudo("while [ \"$1\" != -- ]; do shift; done; shift; exec \"$@\"");
    works(go(&host.becoming(None)).await.unwrap()).await;
    // A password that nobody asks for must not reach the worker.
    works(go(&host.becoming(Some("unused"))).await.unwrap()).await;
    host.stub_sudo(ASKING);
    works(go(&host.becoming(Some("right"))).await.unwrap()).await;
}

/// Asks as sudo does with -S -p, up to twice.
const ASKING: &str = r#"[ "$2" = -n ] && { echo "sudo: a password is required" >&2; exit 1; }
prompt=$4
for try in 1 2; do
  printf %s "$prompt" >&2; read -r password
  if [ "$password" = right ]; then while [ "$1" != -- ]; do shift; done; shift; exec "$@"; fi
  echo "Sorry, try again." >&2
done
echo "sudo: 2 incorrect password attempts" >&2; exit 1"#;

#[tokio::test]
async fn sudo_that_says_no_is_understood() {
    let host = Host::usual().await;
    host.stub_sudo(ASKING);
    has(
        &refusal(&host.becoming(None)).await,
        &[
            "asks for the password of `deploy`",
            "ansible_become_password",
        ],
    );
    let text = refusal(&host.becoming(Some("mistaken"))).await;
    has(&text, &["does not accept the password of `deploy`"]);
    assert!(!text.contains("mistaken"), "{text}");
    host.stub_sudo("echo 'sudo: sorry, you must have a tty to run sudo' >&2; exit 1");
    has(
        &refusal(&host.becoming(None)).await,
        &["wants a terminal", "!requiretty"],
    );
    host.stub_sudo("echo 'deploy is not in the sudoers file.' >&2; exit 1");
    has(
        &refusal(&host.becoming(None)).await,
        &["allows `deploy` nothing"],
    );
}

#[tokio::test]
async fn sudo_that_waits_for_something_else_does_not_hang_us() {
    let host = Host::usual().await;
    host.stub_sudo("printf 'Verification code: ' >&2; read -r code");
    let target = Target {
        idle_timeout: Duration::from_secs(2),
        ..host.becoming(None)
    };
    has(
        &unreachable(&target).await,
        &["said nothing for 2 s", "Verification code:"],
    );
}

#[tokio::test]
async fn root_may_be_given_up_for_another_user() {
    if !rustix::process::geteuid().is_root() {
        return println!("skipped: only root can become another user");
    }
    let host = Host::usual().await;
    let everyone = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    std::fs::set_permissions(host.path("state"), everyone).unwrap();
    let passable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(host.dir.path(), passable).unwrap();
    let target = Target {
        become_user: "nobody".into(),
        ..host.becoming(None)
    };
    let session = go(&target).await.unwrap();
    assert_eq!(session.facts().user_id, "nobody");
    works(session).await;
    let target = Target {
        become_user: "nobody-at-all".into(),
        ..host.becoming(None)
    };
    has(
        &refusal(&target).await,
        &["there is no user `nobody-at-all`", "become_user"],
    );
}

#[tokio::test]
async fn another_processor_is_named() {
    let host = Host::usual().await;
    host.stub("uname", "echo riscv64");
    has(
        &refusal(&host.target()).await,
        &["architecture riscv64", "apim-deploy-linux-riscv64"],
    );
}

/// A file system of its own, with these options; `None` where we may not mount.
struct Mount(std::path::PathBuf);

impl Mount {
    fn new(path: std::path::PathBuf, options: &str) -> Option<Self> {
        std::fs::create_dir(&path).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", options, "tmpfs"])
            .arg(&path)
            .output();
        if mounted.is_ok_and(|output| output.status.success()) {
            return Some(Self(path));
        }
        println!("skipped: mounting needs more rights");
        None
    }

    fn dir(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[tokio::test]
async fn a_mount_that_executes_nothing_is_passed_over() {
    let host = Host::usual().await;
    let Some(mount) = Mount::new(host.path("noexec"), "noexec,mode=0755") else {
        return;
    };
    let only = Target {
        remote_dirs: vec![mount.dir("w")],
        ..host.target()
    };
    has(
        &refusal(&only).await,
        &[
            "no place where the worker may be put",
            "noexec",
            &mount.dir("w"),
            "apim_deploy_remote_dir",
        ],
    );
    let both = Target {
        remote_dirs: [only.remote_dirs, host.target().remote_dirs].concat(),
        ..host.target()
    };
    works(go(&both).await.unwrap()).await;
}

#[tokio::test]
async fn a_full_disk_is_named() {
    let host = Host::usual().await;
    let Some(mount) = Mount::new(host.path("full"), "size=1m,mode=0755") else {
        return;
    };
    let target = Target {
        remote_dirs: vec![mount.dir("w")],
        ..host.target()
    };
    has(
        &refusal(&target).await,
        &[
            "could not be written to",
            &mount.dir("w"),
            "file system: tmpfs",
            "apim_deploy_remote_dir",
        ],
    );
}

#[tokio::test]
async fn a_folder_that_others_may_write_to_is_not_used() {
    let host = Host::usual().await;
    let dir = host.path("open");
    std::fs::create_dir(&dir).unwrap();
    std::fs::set_permissions(&dir, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    let target = Target {
        remote_dirs: vec![dir.display().to_string()],
        ..host.target()
    };
    has(&refusal(&target).await, &["only this user may write to"]);
}

#[tokio::test]
async fn too_many_logins_at_once_are_tried_again() {
    let host = Host::start(Behaviour {
        turned_away: 2,
        ..Behaviour::default()
    })
    .await;
    works(go(&host.target()).await.unwrap()).await;
}

/// Something that accepts connections, says this, and nothing more.
async fn stranger(words: &'static [u8]) -> u16 {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, words).await;
            held.push(stream);
        }
    });
    port
}

#[tokio::test]
async fn nobody_waits_for_ever() {
    let host = Host::usual().await;
    let target = |port| Target {
        port,
        connect_timeout: Duration::from_secs(1),
        ..host.target()
    };
    has(
        &unreachable(&target(stranger(b"").await)).await,
        &["said nothing for 1 s", "after the connection"],
    );
    has(
        &unreachable(&target(stranger(b"SSH-2.0-sleepy\r\n").await)).await,
        &["said nothing for 1 s", "during the handshake"],
    );
    has(
        &unreachable(&target(1)).await,
        &["Connection refused", "ansible_port"],
    );
    let nameless = Target {
        address: "no-such-host.invalid".into(),
        connect_timeout: Duration::from_secs(5),
        ..host.target()
    };
    has(
        &unreachable(&nameless).await,
        &["no-such-host.invalid", "ansible_host"],
    );
}

#[tokio::test]
async fn this_machine_needs_no_ssh() {
    // The child inherits our environment, and with it the lock of whoever runs this test.
    if !Path::new("/run").exists() || std::env::var_os("APIM_DEPLOY_STATE").is_none() {
        let state = tempfile::tempdir().unwrap();
        let status = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "this_machine_needs_no_ssh"])
            .env("APIM_DEPLOY_STATE", state.path())
            .stdout(std::process::Stdio::null())
            .status();
        return assert!(status.unwrap().success());
    }
    let host = Host::usual().await;
    let target = Target {
        local: true,
        ..host.target()
    };
    works(go(&target).await.unwrap()).await;
}
