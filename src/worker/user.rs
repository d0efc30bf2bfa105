//! Whom the worker runs as. `--as USER` gives up root for good, before any thread is started:
//! each thread of Linux has rights of its own, and later ones inherit them.

use crate::system::{Command, Store, System, Tell, User};
use crate::wire::{Digest, Failure};
use rustix::fs::{Gid, Uid};
use std::path::PathBuf;

/// The user that the worker is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    pub uid: u32,
    pub home: PathBuf,
    /// Set when this is not the user who logged in: the environment still speaks of that one.
    dropped_to: Option<User>,
}

/// Where administration commands live; a plain user's login may leave them out of `PATH`.
const SBIN: [&str; 3] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

impl Account {
    pub fn is_root(&self) -> bool {
        self.uid == 0
    }

    /// What every command of every step finds in its environment, besides the inherited.
    pub fn environment(&self) -> Vec<(String, String)> {
        let mut environment = vec![("PATH".to_owned(), full_path(std::env::var("PATH").ok()))];
        if let Some(user) = &self.dropped_to {
            environment.push(("HOME".to_owned(), user.home.clone()));
            environment.push(("USER".to_owned(), user.name.clone()));
            environment.push(("LOGNAME".to_owned(), user.name.clone()));
        }
        environment
    }
}

fn full_path(path: Option<String>) -> String {
    let mut path = path.unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".to_owned());
    for dir in SBIN {
        if !path.split(':').any(|d| d == dir) {
            path.push(':');
            path.push_str(dir);
        }
    }
    path
}

/// Becomes `name` for the rest of this process, or stays who we are.
pub fn become_user(name: Option<&str>) -> Result<Account, Failure> {
    match name {
        None | Some("root") => Ok(current()),
        Some(name) => drop_to(name),
    }
}

fn current() -> Account {
    Account {
        uid: rustix::process::geteuid().as_raw(),
        home: std::env::var_os("HOME").map_or_else(|| PathBuf::from("/"), PathBuf::from),
        dropped_to: None,
    }
}

fn drop_to(name: &str) -> Result<Account, Failure> {
    let system = System::real(Box::new(Nothing), Box::new(Nothing));
    let user = system.user(name)?.ok_or_else(|| {
        Failure::new(format!("there is no user `{name}` to become on this host"))
            .help("create the user in an earlier play, or correct `become_user`")
    })?;
    let groups = groups_of(&system, &user)?;
    give_up_root(&user, &groups).map_err(|e| {
        Failure::new(format!("cannot become `{name}`: {e}"))
            .help("the worker must start as root to become another user: check what sudo allows")
    })?;
    // The login's directory may be closed to this user, and every command starts in ours.
    if std::env::set_current_dir(&user.home).is_err() {
        let _ = std::env::set_current_dir("/");
    }
    Ok(Account {
        uid: user.uid,
        home: PathBuf::from(&user.home),
        dropped_to: Some(user),
    })
}

/// `id` asks the host's name services, which a static binary must not load itself.
fn groups_of(system: &System, user: &User) -> Result<Vec<Gid>, Failure> {
    let output = system.expect(&Command::new(["id", "-G", &user.name]))?;
    Ok(output
        .stdout
        .split_whitespace()
        .filter_map(|id| id.parse().ok())
        .map(Gid::from_raw)
        .collect())
}

/// The user comes last: without root the groups could no longer be set.
fn give_up_root(user: &User, groups: &[Gid]) -> rustix::io::Result<()> {
    let (uid, gid) = (Uid::from_raw(user.uid), Gid::from_raw(user.gid));
    rustix::thread::set_thread_groups(groups)?;
    rustix::thread::set_thread_res_gid(gid, gid, gid)?;
    rustix::thread::set_thread_res_uid(uid, uid, uid)
}

/// Looking a user up needs no content, and has nothing to show.
struct Nothing;

impl Store for Nothing {
    fn fetch(&self, digest: &Digest) -> Result<PathBuf, Failure> {
        Err(Failure::new(format!(
            "nobody can give content {digest} yet"
        )))
    }
}

impl Tell for Nothing {
    fn progress(&self, _: &str) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn administration_commands_are_always_found() {
        assert_eq!(
            full_path(Some("/usr/sbin:/bin".into())),
            "/usr/sbin:/bin:/usr/local/sbin:/sbin"
        );
    }
}
