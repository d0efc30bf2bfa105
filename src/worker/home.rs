//! Where a worker keeps what outlives it: the lock, the handlers that are due, staged content.

use super::user::Account;
use crate::wire::Failure;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

/// Moves everything below one directory: several workers of one machine's tests must not meet.
/// sudo drops it, so nobody can point root's worker elsewhere.
const MOVED: &str = "APIM_DEPLOY_STATE";

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home {
    /// What modules keep: whom they took out of rotation.
    pub state: PathBuf,
    pub lock: PathBuf,
    /// Handlers that are due.
    pub due: PathBuf,
    /// Content on its way into place.
    pub content: PathBuf,
}

impl Home {
    /// The places of this user, made if need be.
    pub fn of(account: &Account) -> Result<Self, Failure> {
        let home = match std::env::var_os(MOVED) {
            Some(dir) => Self::below(Path::new(&dir)),
            None => Self::usual(account),
        };
        make_private(&home.content)?;
        Ok(home)
    }

    fn usual(account: &Account) -> Self {
        if account.is_root() {
            return Self {
                // Emptied at boot, as a lock should be.
                lock: "/run/apim-deploy.lock".into(),
                ..Self::below(Path::new("/var/lib/apim-deploy"))
            };
        }
        Self::below(&account.home.join(".local/state/apim-deploy"))
    }

    fn below(state: &Path) -> Self {
        Self {
            state: state.to_owned(),
            lock: state.join("lock"),
            due: state.join("due.json"),
            content: state.join("content"),
        }
    }
}

/// For this user only: content may hold secrets.
fn make_private(dir: &Path) -> Result<(), Failure> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(|e| {
            Failure::new(format!("cannot create {}: {e}", dir.display()))
                .help("the worker keeps its state there: make the file system writable, or free space on it")
        })
}
