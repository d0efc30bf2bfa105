//! A host's connection variables become a [`Target`].

use crate::source::{Problem, Problems, Result};
use crate::ssh::{Secret, Target};
use crate::vars::{Ladder, Scope, Unresolved};
use serde_json::Value;
use std::path::PathBuf;
use std::time::Duration;

/// Connection variables that we obey. Any other `ansible_ssh_*` or `ansible_become_*` variable is a
/// problem: a setting that is read and ignored would be a lie.
const KNOWN: &[&str] = &[
    "ansible_host",
    "ansible_port",
    "ansible_user",
    "ansible_password",
    "ansible_connection",
    "ansible_ssh_private_key_file",
    "ansible_private_key_file",
    "ansible_ssh_pass",
    "ansible_ssh_user",
    "ansible_ssh_port",
    "ansible_ssh_host",
    "ansible_ssh_timeout",
    "ansible_become",
    "ansible_become_user",
    "ansible_become_password",
    "ansible_become_pass",
    "ansible_become_method",
    "ansible_group_priority",
];

/// Seconds until a connection attempt counts as failed.
const CONNECT_TIMEOUT: u64 = 10;
/// Seconds without a sign of life until a connection counts as lost.
const IDLE_TIMEOUT: u64 = 30;

pub fn target(host: &str, ladder: &Ladder, user: Option<&str>) -> Result<Target> {
    let mut reading = Reading {
        host,
        ladder,
        scope: Scope::new(ladder),
        problems: Problems::new(),
    };
    reading.unknown();
    let address = reading.text(&["ansible_host", "ansible_ssh_host"]);
    let login = reading.text(&["ansible_user", "ansible_ssh_user"]);
    let target = Target {
        name: host.to_owned(),
        address: address.unwrap_or_else(|| host.to_owned()),
        port: reading.port(),
        user: login.unwrap_or_else(login_name),
        local: reading.is_local(),
        private_key: reading
            .text(&["ansible_ssh_private_key_file", "ansible_private_key_file"])
            .map(|p| PathBuf::from(home(&p))),
        passphrase: reading.secret(&["apim_deploy_key_passphrase"]),
        password: reading.secret(&["ansible_password", "ansible_ssh_pass"]),
        known_hosts: reading.known_hosts(),
        r#become: user.is_some(),
        become_user: user.unwrap_or("root").to_owned(),
        become_password: reading.secret(&["ansible_become_password", "ansible_become_pass"]),
        remote_dirs: reading
            .text(&["apim_deploy_remote_dir"])
            .map_or_else(Vec::new, |dir| vec![dir]),
        connect_timeout: reading.seconds("ansible_ssh_timeout", CONNECT_TIMEOUT),
        idle_timeout: reading.seconds("apim_deploy_idle_timeout", IDLE_TIMEOUT),
    };
    reading.method();
    reading.problems.or(target)
}

struct Reading<'a> {
    host: &'a str,
    ladder: &'a Ladder,
    scope: Scope<'a>,
    problems: Problems,
}

impl Reading<'_> {
    fn value(&mut self, names: &[&str]) -> Option<Value> {
        for name in names {
            match self.scope.get(name) {
                None => {}
                Some(Ok(Value::Null)) => {}
                Some(Ok(value)) => return Some(value),
                Some(Err(Unresolved::Wrong(problem))) => self.problems.push(*problem),
                Some(Err(Unresolved::Pending { .. })) => {}
            }
        }
        None
    }

    fn text(&mut self, names: &[&str]) -> Option<String> {
        match self.value(names)? {
            Value::String(text) if text.is_empty() => None,
            Value::String(text) => Some(text),
            other => Some(other.to_string()),
        }
    }

    fn secret(&mut self, names: &[&str]) -> Option<Secret> {
        self.text(names).map(Secret::new)
    }

    fn port(&mut self) -> u16 {
        let Some(text) = self.text(&["ansible_port", "ansible_ssh_port"]) else {
            return 22;
        };
        match text.parse() {
            Ok(port) if port > 0 => port,
            _ => {
                self.problems.push(Problem::new(format!(
                    "host `{}`: `ansible_port` is `{text}`, which is no port from 1 to 65535",
                    self.host
                )));
                22
            }
        }
    }

    fn seconds(&mut self, name: &str, default: u64) -> Duration {
        let Some(text) = self.text(&[name]) else {
            return Duration::from_secs(default);
        };
        match text.parse::<u64>() {
            Ok(seconds) if seconds > 0 => Duration::from_secs(seconds),
            _ => {
                self.problems.push(Problem::new(format!(
                    "host `{}`: `{name}` is `{text}`, which is no number of seconds",
                    self.host
                )));
                Duration::from_secs(default)
            }
        }
    }

    fn is_local(&mut self) -> bool {
        match self.text(&["ansible_connection"]).as_deref() {
            Some("local") => true,
            None | Some("ssh" | "smart") => false,
            Some(other) => {
                self.problems.push(
                    Problem::new(format!(
                        "host `{}`: `ansible_connection: {other}` is not supported",
                        self.host
                    ))
                    .help("use `ssh` or `local`"),
                );
                false
            }
        }
    }

    fn method(&mut self) {
        if let Some(method) = self.text(&["ansible_become_method"])
            && method != "sudo"
        {
            self.problems.push(
                Problem::new(format!(
                    "host `{}`: `ansible_become_method: {method}` is not supported",
                    self.host
                ))
                .help("only `sudo` is"),
            );
        }
    }

    fn known_hosts(&mut self) -> Vec<PathBuf> {
        match self.value(&["apim_deploy_known_hosts"]) {
            Some(Value::String(path)) => vec![PathBuf::from(home(&path))],
            Some(Value::Array(paths)) => paths
                .iter()
                .filter_map(Value::as_str)
                .map(|p| PathBuf::from(home(p)))
                .collect(),
            _ => vec![
                PathBuf::from(home("~/.ssh/known_hosts")),
                PathBuf::from("/etc/ssh/ssh_known_hosts"),
            ],
        }
    }

    /// Connection variables of Ansible that mean something there and nothing here.
    fn unknown(&mut self) {
        let names: std::collections::BTreeSet<&str> = self.ladder.names().collect();
        for name in names {
            let about_ssh = [
                "ansible_ssh_",
                "ansible_become",
                "ansible_scp",
                "ansible_sftp",
                "ansible_paramiko",
            ]
            .iter()
            .any(|prefix| name.starts_with(prefix));
            if about_ssh && !KNOWN.contains(&name) {
                let mut problem = Problem::new(format!("`{name}` is not supported"))
                    .because("a connection variable of Ansible that has no meaning here")
                    .help("remove it; README.md lists the connection variables");
                if let Some(crate::vars::Variable::Written(node)) = self.ladder.get(name) {
                    problem = problem.at(&node.span);
                }
                self.problems.push(problem);
            }
        }
    }
}

/// `~` is the controller's user's home.
fn home(path: &str) -> String {
    match (path.strip_prefix("~/"), std::env::var("HOME")) {
        (Some(rest), Ok(home)) => format!("{home}/{rest}"),
        _ => path.to_owned(),
    }
}

fn login_name() -> String {
    std::env::var("USER")
        .or_else(|_| std::env::var("LOGNAME"))
        .unwrap_or_else(|_| "root".into())
}
