//! A balancer and nodes in the test's process, and runs of the program against them.

use crate::host::Host;
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;
use tempfile::TempDir;
use tokio::process::Command;

const ROLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/rollouts/node");

const PLAY: &str = r#"
- name: Change GROUP
  hosts: GROUP
  serial: 1
  rollout:
    cluster: GROUP
    balancers: "{{ balancers }}"
    canary: "{{ canary }}"
    canary_bake: "{{ bake }}"
    canary_soak: "{{ soak }}"
    min_healthy_time: "{{ soak }}"
    healthy_deadline: 60
    max_unavailable: "{{ max_unavailable }}"
    min_healthy: "{{ min_healthy }}"
    max_failures: 1
    on_failure: "{{ on_failure }}"
    first_install: serial
  roles: [node]
"#;

pub struct Said {
    pub code: Option<i32>,
    pub text: String,
}

impl Said {
    #[track_caller]
    pub fn is(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}", self.text);
        self
    }

    #[track_caller]
    pub fn says(self, parts: &[&str]) -> Self {
        for part in parts {
            assert!(
                self.text.contains(part),
                "`{part}` is missing in:\n{}",
                self.text
            );
        }
        self
    }
}

/// A balancer and the nodes behind it; `b2` is the second node of group `b`.
pub struct Site {
    dir: TempDir,
    hosts: Vec<(String, Host)>,
}

impl Site {
    pub async fn new(nodes: &[&str]) -> Self {
        let site = Self {
            dir: tempfile::tempdir().unwrap(),
            hosts: Vec::new(),
        };
        let mut groups: Vec<&str> = nodes.iter().map(|node| &node[..1]).collect();
        groups.dedup();
        let plays = groups.iter().map(|group| PLAY.replace("GROUP", group));
        site.write("site.yaml", &plays.collect::<String>());
        copy(Path::new(ROLE), &site.path("roles/node"));
        site.with_hosts(nodes).await
    }

    async fn with_hosts(mut self, nodes: &[&str]) -> Self {
        for name in ["lb"].iter().chain(nodes) {
            fs::create_dir_all(self.path(name)).unwrap();
            self.hosts.push(((*name).to_owned(), Host::usual().await));
        }
        self.write_inventory();
        self
    }

    /// Another machine under the same name.
    pub fn replace_host(&mut self, name: &str, host: Host) {
        let place = self.hosts.iter_mut().find(|(known, _)| known == name);
        place.unwrap().1 = host;
        self.write_inventory();
    }

    fn write_inventory(&self) {
        let mut inventory = String::new();
        let mut group = "";
        for (name, host) in &self.hosts {
            if name[..1] != *group {
                group = &name[..1];
                inventory.push_str(&format!("{group}:\n  hosts:\n"));
            }
            inventory.push_str(&format!(
                "    {name}: {{ ansible_host: 127.0.0.1, ansible_port: {}, ansible_ssh_private_key_file: {}, \
                 apim_deploy_known_hosts: {}, apim_deploy_remote_dir: {} }}\n",
                host.port,
                host.path("user_key").display(),
                host.path("known_hosts").display(),
                host.target().remote_dirs[0],
            ));
        }
        self.write("hosts.yaml", &inventory);
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    pub fn edit(&self, name: &str, old: &str, new: &str) {
        let text = fs::read_to_string(self.path(name)).unwrap();
        assert!(text.contains(old), "`{old}` does not stand in {name}");
        self.write(name, &text.replace(old, new));
    }

    /// Nobody listens at its port any more.
    pub fn vanish(&self, node: &str) {
        let host = self.hosts.iter().find(|(name, _)| name == node);
        let port = format!("ansible_port: {},", host.unwrap().1.port);
        self.edit("hosts.yaml", &port, "ansible_port: 1,");
    }

    /// Its connections are gone, as by a pulled cable.
    pub fn cut(&self, node: &str) {
        let host = self.hosts.iter().find(|(name, _)| name == node);
        host.unwrap().1.cut();
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_apim-deploy"));
        command
            .args(words)
            .current_dir(self.dir.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", self.dir.path())
            .env("USER", "deploy")
            .env("APIM_DEPLOY_STATE", self.path("state"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    pub async fn does(&self, words: &[&str]) -> Said {
        self.said(&self.command(words).output().await.unwrap())
    }

    /// A run that is asked to stop as soon as this was done.
    pub async fn stopped_within(&self, deed: &str, more: &[&str]) -> Said {
        self.signalled_within(deed, more, Signal::INT).await
    }

    /// A run that dies as soon as this was done.
    pub async fn killed_within(&self, deed: &str, more: &[&str]) {
        self.signalled_within(deed, more, Signal::KILL).await;
    }

    async fn signalled_within(&self, deed: &str, more: &[&str], signal: Signal) -> Said {
        let words = self.run_words(more);
        let is_done = || self.log().iter().any(|line| line == deed);
        self.signalled_when(&words, signal, is_done).await
    }

    pub async fn signalled_when(
        &self,
        words: &[&str],
        signal: Signal,
        is_done: impl Fn() -> bool,
    ) -> Said {
        self.signalled_with(words, &[signal], is_done).await
    }

    /// By one signal after the other, a bit more than a second apart.
    pub async fn signalled_with(
        &self,
        words: &[&str],
        signals: &[Signal],
        is_done: impl Fn() -> bool,
    ) -> Said {
        let child = self.command(words).spawn().unwrap();
        let done = async {
            while !is_done() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), done)
            .await
            .unwrap();
        let pid = i32::try_from(child.id().unwrap()).unwrap();
        for (nth, signal) in signals.iter().enumerate() {
            if nth > 0 {
                tokio::time::sleep(Duration::from_millis(1200)).await;
            }
            // It may have ended by itself.
            let _ = kill_process(Pid::from_raw(pid).unwrap(), *signal);
        }
        self.said(&child.wait_with_output().await.unwrap())
    }

    fn said(&self, output: &Output) -> Said {
        let text = [output.stdout.as_slice(), &output.stderr].concat();
        let dir = self.dir.path().display().to_string();
        Said {
            code: output.status.code(),
            text: String::from_utf8_lossy(&text).replace(&dir, "DIR"),
        }
    }

    /// `more` are variables as `name=value`, and options.
    pub fn run_words<'w>(&self, more: &[&'w str]) -> Vec<&'w str> {
        let mut words = vec![
            "run",
            "./site.yaml",
            "-i",
            "hosts.yaml",
            "--output",
            "plain",
        ];
        for word in more {
            if word.contains('=') || word.starts_with('{') {
                words.push("-e");
            }
            words.push(word);
        }
        words
    }

    pub async fn run(&self, more: &[&str]) -> Said {
        self.does(&self.run_words(more)).await
    }

    pub fn log(&self) -> Vec<String> {
        let text = fs::read_to_string(self.path("log")).unwrap_or_default();
        text.lines().map(ToOwned::to_owned).collect()
    }

    #[track_caller]
    pub fn did(&self, lines: &[&str]) {
        assert_eq!(self.log(), lines);
    }

    /// What was done to one node, without its name.
    pub fn done_to(&self, node: &str) -> Vec<String> {
        let log = self.log();
        let ours = log.iter().filter_map(|line| line.strip_suffix(node));
        ours.map(|word| word.trim().to_owned()).collect()
    }

    pub fn was_asked(&self, node: &str) -> bool {
        self.times_asked(node) > 0
    }

    /// How often the node was asked whether it serves.
    pub fn times_asked(&self, node: &str) -> usize {
        let asked = fs::read_to_string(self.path("asked")).unwrap_or_default();
        asked.lines().filter(|line| *line == node).count()
    }

    pub fn config(&self, node: &str) -> String {
        fs::read_to_string(self.path(node).join("config")).unwrap_or_default()
    }

    pub fn make_sick(&self, node: &str) {
        self.write(&format!("{node}/sick"), "");
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        match entry.path().is_dir() {
            true => copy(&entry.path(), &to),
            false => drop(fs::copy(entry.path(), to).unwrap()),
        }
    }
}
