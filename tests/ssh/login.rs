//! Passwords, keys and agents.

use super::*;

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
