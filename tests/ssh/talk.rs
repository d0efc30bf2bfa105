//! Logins that say more, less or other things than the worker.

use super::*;

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
