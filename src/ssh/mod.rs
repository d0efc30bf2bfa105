//! ROAD: the only folder that knows russh. Connect, trust, bring the worker, carry frames.

mod agent;
mod auth;
mod bootstrap;
mod connect;
mod known_hosts;
mod local;
mod pipe;
mod resolve;
mod session;
mod socket;
mod sudo;
mod trust;
mod worker;

pub use connect::connect;
pub use session::{Receiver, Sender, Session};
pub use worker::Worker;

use crate::wire::Failure;
use std::path::PathBuf;
use std::time::Duration;

/// How to reach one host; made from its connection variables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The inventory's name.
    pub name: String,
    /// A name or an address (`ansible_host`).
    pub address: String,
    pub port: u16,
    pub user: String,
    /// `ansible_connection: local`: the worker is started here, without SSH.
    pub local: bool,
    /// Tried before the agent's keys.
    pub private_key: Option<PathBuf>,
    pub passphrase: Option<Secret>,
    pub password: Option<Secret>,
    pub known_hosts: Vec<PathBuf>,
    pub r#become: bool,
    /// `root` unless said.
    pub become_user: String,
    pub become_password: Option<Secret>,
    /// Where the worker is kept on the host; tried in this order. Empty: the usual places.
    pub remote_dirs: Vec<String>,
    pub connect_timeout: Duration,
    /// Without any sign of life for this long the connection counts as lost.
    pub idle_timeout: Duration,
}

/// Text that prints as `•••`; `expose` is the single way out.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("•••")
    }
}

/// Why a host could not be reached, or was lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lost {
    /// No connection: refused, timed out, unknown name, cut off.
    Unreachable(Failure),
    /// The host is there and said no, or must not be trusted: host key, login, sudo, noexec.
    Refused(Failure),
    /// Another run's worker holds the host.
    Busy(Failure),
}

impl Lost {
    pub fn failure(&self) -> &Failure {
        match self {
            Self::Unreachable(failure) | Self::Refused(failure) | Self::Busy(failure) => failure,
        }
    }
}

impl std::fmt::Display for Lost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.failure().fmt(f)
    }
}

impl std::error::Error for Lost {}

impl Target {
    /// The machine and the account on it: one worker serves each, as one lock does. Names of this machine
    /// are one machine.
    pub fn seat(&self) -> (String, String) {
        let machine = if self.local { "localhost" } else { &self.name };
        let is_root = self.local && rustix::process::geteuid().is_root();
        let account = match (self.r#become, self.local) {
            (true, _) => &self.become_user,
            (false, true) if is_root => "root",
            (false, true) => "",
            (false, false) => &self.user,
        };
        (machine.to_owned(), account.to_owned())
    }

    /// The host as messages name it: `gw-1 (10.0.0.5:22)`.
    fn shown(&self) -> String {
        if self.local {
            return format!("{} (this machine)", self.name);
        }
        match self.address.contains(':') {
            true => format!("{} ([{}]:{})", self.name, self.address, self.port),
            false => format!("{} ({}:{})", self.name, self.address, self.port),
        }
    }
}
