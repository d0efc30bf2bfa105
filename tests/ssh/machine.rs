//! Hosts on which something does not fit: processor, mounts, disk, folders, too many logins.

use super::*;

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
