//! Orders, content and stops, and what is lost with a connection.

use super::*;

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
    kill_worker(&host);
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
