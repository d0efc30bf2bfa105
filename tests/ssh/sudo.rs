//! Becoming root, and another user.

use super::*;

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
