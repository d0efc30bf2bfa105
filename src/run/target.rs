//! A host's connection variables become a [`Target`].

use super::address;
use crate::plan;
use crate::source::{Problem, Problems, Result, nearest};
use crate::ssh::{Secret, Target};
use crate::vars::{Ladder, Scope, Unresolved, Variable};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

/// What all connection variables begin with. It is Ansible's: nobody else's variables are called so.
const PREFIX: &str = "ansible_";

/// Variables of Ansible that we obey. Any other is a problem: a setting that is read and ignored would be a lie.
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
    // Says where Python is, and none is needed: many inventories have it for Ansible's sake.
    "ansible_python_interpreter",
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
    let local = reading.is_local();
    let login = reading.text(&["ansible_user", "ansible_ssh_user"]);
    reading.switch();
    let target = Target {
        name: host.to_owned(),
        address: reading.address(local),
        port: reading.port(),
        user: login.unwrap_or_else(login_name),
        local,
        private_key: reading.private_key(),
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
    /// The first of these variables that has a value, and its name.
    fn value<'n>(&mut self, names: &[&'n str]) -> Option<(&'n str, Value)> {
        for name in names {
            match self.scope.get(name) {
                None => {}
                Some(Ok(Value::Null)) => {}
                Some(Ok(value)) => return Some((name, value)),
                Some(Err(Unresolved::Wrong(problem))) => self.problems.push(*problem),
                Some(Err(Unresolved::Pending { .. })) => {}
            }
        }
        None
    }

    /// The same, if it is not empty.
    fn named_text<'n>(&mut self, names: &[&'n str]) -> Option<(&'n str, String)> {
        match self.value(names)? {
            (_, Value::String(text)) if text.is_empty() => None,
            (name, value) => Some((name, shown(value))),
        }
    }

    fn text(&mut self, names: &[&str]) -> Option<String> {
        self.named_text(names).map(|(_, text)| text)
    }

    /// A mistake, at the place where the variable is written: what a group says is said once for all its hosts.
    fn wrong(&mut self, name: &str, problem: Problem) {
        self.problems.push(match self.ladder.get(name) {
            Some(Variable::Written(node)) => problem.at(&node.span),
            _ => problem,
        });
    }

    /// `ansible_host` is there for every host: its name, unless more is written. A name that nobody calls may be any.
    fn address(&mut self, local: bool) -> String {
        for name in ["ansible_ssh_host", "ansible_host"] {
            let address = match self.scope.get(name) {
                Some(Ok(value)) => shown(value),
                Some(Err(Unresolved::Wrong(problem))) => {
                    self.problems.push(*problem);
                    continue;
                }
                None | Some(Err(Unresolved::Pending { .. })) => continue,
            };
            let is_written = matches!(self.ladder.get(name), Some(Variable::Written(_)));
            if let Some((reason, help)) = address::fault(&address)
                && (is_written || !local)
            {
                let message = format!("`{name}` is `{address}`, which is no address");
                self.wrong(name, Problem::new(message).because(reason).help(help));
            }
            return address;
        }
        self.host.to_owned()
    }

    /// Whether there is such a key shows when it is used: whoever lints need not have it.
    fn private_key(&mut self) -> Option<PathBuf> {
        let names = ["ansible_ssh_private_key_file", "ansible_private_key_file"];
        let (_, text) = self.named_text(&names)?;
        Some(PathBuf::from(home(&text)))
    }

    /// The plan asks for each task; a host without one may not have a wrong word either.
    fn switch(&mut self) {
        if let Err(Unresolved::Wrong(problem)) = plan::said_become(self.ladder, &self.scope) {
            self.problems.push(*problem);
        }
    }

    fn secret(&mut self, names: &[&str]) -> Option<Secret> {
        self.text(names).map(Secret::new)
    }

    fn port(&mut self) -> u16 {
        let Some((name, text)) = self.named_text(&["ansible_port", "ansible_ssh_port"]) else {
            return 22;
        };
        match text.parse() {
            Ok(port) if port > 0 => port,
            _ => {
                let problem = Problem::new(format!("`{name}` is `{text}`, which is no port"))
                    .because("a port is a number from 1 to 65535")
                    .help("write the port of sshd, or leave the variable out for 22");
                self.wrong(name, problem);
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
                let problem = Problem::new(format!(
                    "`{name}` is `{text}`, which is no number of seconds"
                ))
                .because("1 or more, without a unit")
                .help(format!("leave the variable out for {default}"));
                self.wrong(name, problem);
                Duration::from_secs(default)
            }
        }
    }

    fn is_local(&mut self) -> bool {
        const NAME: &str = "ansible_connection";
        match self.text(&[NAME]).as_deref() {
            Some("local") => true,
            None | Some("ssh" | "smart") => false,
            Some(other) => {
                let message = format!("`{NAME}: {other}` is not supported");
                self.wrong(NAME, Problem::new(message).help("use `ssh` or `local`"));
                false
            }
        }
    }

    fn method(&mut self) {
        const NAME: &str = "ansible_become_method";
        if let Some(method) = self.text(&[NAME])
            && method != "sudo"
        {
            let message = format!("`{NAME}: {method}` is not supported");
            self.wrong(NAME, Problem::new(message).help("only `sudo` is"));
        }
    }

    fn known_hosts(&mut self) -> Vec<PathBuf> {
        let said = self.value(&["apim_deploy_known_hosts"]);
        match said.map(|(_, value)| value) {
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

    /// Variables of Ansible that mean something there and nothing here, and slips of the pen.
    fn unknown(&mut self) {
        let ladder = self.ladder;
        let names: BTreeSet<&str> = ladder.names().collect();
        for name in names {
            // Those that are no person's are ours: what a play is about, and its hosts.
            let Some(Variable::Written(node)) = ladder.get(name) else {
                continue;
            };
            if name.starts_with(PREFIX) && !KNOWN.contains(&name) {
                let problem = Problem::new(format!("`{name}` is not supported"))
                    .at(&node.span)
                    .because("no variable of Ansible's that has a meaning here")
                    .help(instead_of(name));
                self.problems.push(problem);
            }
        }
    }
}

/// What all of them begin with says nothing of how near they are.
fn instead_of(name: &str) -> String {
    let end = |name: &'static str| name.strip_prefix(PREFIX);
    let wanted = name.strip_prefix(PREFIX).unwrap_or(name);
    match nearest(wanted, KNOWN.iter().copied().filter_map(end)) {
        Some(near) => {
            format!("did you mean `{PREFIX}{near}`? README.md lists the connection variables")
        }
        None => "remove it; README.md lists the connection variables".to_owned(),
    }
}

/// As text; nothing is an empty one.
fn shown(value: Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text,
        other => other.to_string(),
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
