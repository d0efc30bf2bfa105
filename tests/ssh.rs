//! The road and the far end together: a real worker behind a real SSH connection.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test stops at the first thing that is not as it should be, and says what it skips"
)]

#[path = "ssh/carry.rs"]
mod carry;
#[path = "support/host.rs"]
mod host;
#[path = "ssh/login.rs"]
mod login;
#[path = "ssh/machine.rs"]
mod machine;
#[path = "ssh/sudo.rs"]
mod sudo;
#[path = "ssh/talk.rs"]
mod talk;
#[path = "ssh/trust.rs"]
mod trust;

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
