//! Whether a host is who it says it is.

use super::*;

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
