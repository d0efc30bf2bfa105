//! A host for tests: an SSH server in the test's own process that runs what it is asked to in a
//! temporary home, with stubs first in `PATH`.

use apim_deploy::ssh::{Secret, Target, Worker};
use russh::keys::{PrivateKey, PublicKey, load_secret_key};
use russh::server::{
    Auth, ChannelOpenHandle, Config, Handler, Msg, Response, Session, VerifiedPublicKey,
};
use russh::{Channel, ChannelId, ChannelMsg, MethodKind, MethodSet};
use std::borrow::Cow;
use std::collections::HashMap;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// The real program.
pub static WORKER: LazyLock<Arc<Worker>> = LazyLock::new(|| {
    Arc::new(Worker::from_file(Path::new(env!("CARGO_BIN_EXE_apim-deploy"))).unwrap())
});

/// A directory on the "hosts" where the worker stays between tests.
static SHARED: LazyLock<PathBuf> = LazyLock::new(|| {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("workers");
    let _ = std::fs::remove_dir_all(&dir);
    dir
});

/// How a host behaves.
#[derive(Default, Clone)]
pub struct Behaviour {
    pub password: Option<String>,
    /// The password is asked for in a conversation.
    pub interactive: bool,
    /// Shell lines before every command.
    pub profile: String,
    /// Connections cut off before the banner.
    pub turned_away: usize,
    /// Of the host's and the user's keys, as `ssh-keygen -t` names it; ed25519 unless said.
    pub kind: Option<&'static str>,
}

pub struct Host {
    pub dir: TempDir,
    pub port: u16,
    behaviour: Behaviour,
    streams: Streams,
}

type Streams = Arc<Mutex<Vec<std::net::TcpStream>>>;

/// A key pair made by ssh-keygen; the path of its private half.
pub fn key_pair(dir: &Path, name: &str, passphrase: &str) -> PathBuf {
    key_pair_of("ed25519", dir, name, passphrase)
}

fn key_pair_of(kind: &str, dir: &Path, name: &str, passphrase: &str) -> PathBuf {
    let path = dir.join(name);
    let output = std::process::Command::new("ssh-keygen")
        .args([
            "-q", "-t", kind, "-a", "1", "-C", name, "-N", passphrase, "-f",
        ])
        .arg(&path)
        .output()
        .unwrap();
    assert!(output.status.success());
    path
}

pub fn public(path: &Path) -> PublicKey {
    PublicKey::from_openssh(
        std::fs::read_to_string(path.with_extension("pub"))
            .unwrap()
            .trim(),
    )
    .unwrap()
}

impl Host {
    pub async fn start(behaviour: Behaviour) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for part in ["home", "stubs", "state"] {
            std::fs::create_dir(dir.path().join(part)).unwrap();
        }
        let kind = behaviour.kind.unwrap_or("ed25519");
        let host_key = key_pair_of(kind, dir.path(), "host_key", "");
        key_pair_of(kind, dir.path(), "user_key", "");
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let host = Self {
            dir,
            port,
            behaviour,
            streams: Streams::default(),
        };
        host.trust(&host_key);
        tokio::spawn(host.server(&host_key).serve(listener));
        host
    }

    pub async fn usual() -> Self {
        Self::start(Behaviour::default()).await
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Makes this the recorded key of the host.
    pub fn trust(&self, key: &Path) {
        let line = format!(
            "[127.0.0.1]:{} {}\n",
            self.port,
            public(key).to_openssh().unwrap()
        );
        std::fs::write(self.path("known_hosts"), line).unwrap();
    }

    /// A program that is found before the real one.
    pub fn stub(&self, name: &str, script: &str) {
        let path = self.path("stubs").join(name);
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// sudo is only asked by users who are not root.
    pub fn stub_sudo(&self, script: &str) {
        self.stub(
            "id",
            "[ \"$1\" = -u ] && echo 1000 || exec /usr/bin/id \"$@\"",
        );
        self.stub("sudo", script);
    }

    /// Cuts every connection, as a pulled cable would.
    pub fn cut(&self) {
        for stream in self.streams.lock().unwrap().iter() {
            let _ = stream.shutdown(std::net::Shutdown::Both);
        }
    }

    pub fn target(&self) -> Target {
        Target {
            name: "gw-1".into(),
            address: "127.0.0.1".into(),
            port: self.port,
            user: "deploy".into(),
            local: false,
            private_key: Some(self.path("user_key")),
            passphrase: None,
            password: None,
            known_hosts: vec![self.path("known_hosts")],
            r#become: false,
            become_user: "root".into(),
            become_password: None,
            remote_dirs: vec![SHARED.display().to_string()],
            connect_timeout: Duration::from_secs(20),
            idle_timeout: Duration::from_secs(20),
        }
    }

    pub fn becoming(&self, password: Option<&str>) -> Target {
        Target {
            r#become: true,
            become_password: password.map(Secret::new),
            ..self.target()
        }
    }

    fn server(&self, host_key: &Path) -> Server {
        let environment = [
            ("HOME", self.path("home")),
            ("APIM_DEPLOY_STATE", self.path("state")),
            (
                "PATH",
                format!("{}:/usr/bin:/bin:/usr/sbin", self.path("stubs").display()).into(),
            ),
            ("USER", "deploy".into()),
        ];
        let methods = match (self.behaviour.interactive, &self.behaviour.password) {
            (true, _) => vec![MethodKind::PublicKey, MethodKind::KeyboardInteractive],
            (false, Some(_)) => vec![MethodKind::PublicKey, MethodKind::Password],
            (false, None) => vec![MethodKind::PublicKey],
        };
        let config = Config {
            keys: vec![secret(host_key)],
            methods: MethodSet::from(methods.as_slice()),
            auth_rejection_time: Duration::ZERO,
            nodelay: true,
            ..Config::default()
        };
        Server {
            config: Arc::new(config),
            login: Login {
                key: public(&self.path("user_key")),
                behaviour: self.behaviour.clone(),
                environment: Arc::new(
                    environment
                        .into_iter()
                        .map(|(n, v)| (n.to_owned(), v))
                        .collect(),
                ),
                channels: HashMap::new(),
            },
            streams: Arc::clone(&self.streams),
            turned_away: AtomicUsize::new(self.behaviour.turned_away),
        }
    }
}

fn secret(path: &Path) -> PrivateKey {
    load_secret_key(path, None).unwrap()
}

struct Server {
    config: Arc<Config>,
    login: Login,
    streams: Streams,
    turned_away: AtomicUsize,
}

impl Server {
    async fn serve(self, listener: TcpListener) {
        while let Ok((stream, _)) = listener.accept().await {
            let left = self.turned_away.load(SeqCst);
            if left > 0 {
                self.turned_away.store(left - 1, SeqCst);
                continue;
            }
            let stream = stream.into_std().unwrap();
            self.streams
                .lock()
                .unwrap()
                .push(stream.try_clone().unwrap());
            let stream = TcpStream::from_std(stream).unwrap();
            let (config, login) = (Arc::clone(&self.config), self.login.fresh());
            tokio::spawn(async move {
                if let Ok(running) = russh::server::run_stream(config, stream, login).await {
                    let _ = running.await;
                }
            });
        }
    }
}

/// One connection.
struct Login {
    key: PublicKey,
    behaviour: Behaviour,
    environment: Arc<Vec<(String, PathBuf)>>,
    channels: HashMap<ChannelId, Channel<Msg>>,
}

impl Login {
    fn fresh(&self) -> Self {
        Self {
            key: self.key.clone(),
            behaviour: self.behaviour.clone(),
            environment: Arc::clone(&self.environment),
            channels: HashMap::new(),
        }
    }

    fn accepts(&self, password: &str) -> Auth {
        match self.behaviour.password.as_deref() == Some(password) {
            true => Auth::Accept,
            false => Auth::reject(),
        }
    }
}

impl Handler for Login {
    type Error = russh::Error;

    async fn auth_publickey(
        &mut self,
        _: &str,
        key: VerifiedPublicKey<'_>,
    ) -> Result<Auth, Self::Error> {
        match key.public_key.key_data() == self.key.key_data() {
            true => Ok(Auth::Accept),
            false => Ok(Auth::reject()),
        }
    }

    async fn auth_password(&mut self, _: &str, password: &str) -> Result<Auth, Self::Error> {
        Ok(self.accepts(password))
    }

    async fn auth_keyboard_interactive<'a>(
        &'a mut self,
        _: &str,
        _: &str,
        response: Option<Response<'a>>,
    ) -> Result<Auth, Self::Error> {
        match response.and_then(|mut answers| answers.next()) {
            Some(answer) => Ok(self.accepts(&String::from_utf8_lossy(&answer))),
            None => Ok(Auth::Partial {
                name: "".into(),
                instructions: "".into(),
                prompts: Cow::Owned(vec![("Password: ".into(), false)]),
            }),
        }
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        self.channels.insert(channel.id(), channel);
        reply.accept().await;
        Ok(())
    }

    async fn exec_request(
        &mut self,
        id: ChannelId,
        command: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        let command = format!(
            "{}\n{}",
            self.behaviour.profile,
            String::from_utf8_lossy(command)
        );
        if let Some(channel) = self.channels.remove(&id) {
            session.channel_success(id)?;
            tokio::spawn(run(channel, command, Arc::clone(&self.environment)));
        }
        Ok(())
    }
}

async fn run(channel: Channel<Msg>, command: String, environment: Arc<Vec<(String, PathBuf)>>) {
    let mut child = tokio::process::Command::new("sh")
        .args(["-c", &command])
        .env_clear()
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut stdin, mut stdout, mut stderr) = (
        child.stdin.take().unwrap(),
        child.stdout.take().unwrap(),
        child.stderr.take().unwrap(),
    );
    let (mut read, write) = channel.split();
    let input = tokio::spawn(async move {
        while let Some(message) = read.wait().await {
            let written = match message {
                ChannelMsg::Data { data } => stdin.write_all(&data).await,
                ChannelMsg::Eof | ChannelMsg::Close => break,
                _ => Ok(()),
            };
            if written.is_err() {
                break;
            }
        }
        drop(stdin);
        while read.wait().await.is_some() {}
    });
    let (mut out, mut err) = ([0; 16384], [0; 16384]);
    let (mut out_open, mut err_open) = (true, true);
    while out_open || err_open {
        tokio::select! {
            read = stdout.read(&mut out), if out_open => match read {
                Ok(n) if n > 0 => { let _ = write.data_bytes(out[..n].to_vec()).await; }
                _ => out_open = false,
            },
            read = stderr.read(&mut err), if err_open => match read {
                Ok(n) if n > 0 => { let _ = write.extended_data_bytes(1, err[..n].to_vec()).await; }
                _ => err_open = false,
            },
        }
    }
    // sshd tells a signal in another message, which russh's half of a channel cannot send.
    let status = child.wait().await.unwrap();
    let code = status
        .code()
        .unwrap_or_else(|| 128 + status.signal().unwrap());
    let _ = write.exit_status(u32::try_from(code).unwrap()).await;
    let _ = write.eof().await;
    let _ = write.close().await;
    input.abort();
}
