//! The modules' one door to the operating system, real or rehearsed.
//!
//! `System::real()` is the host. `System::under(dir, answers)` shifts absolute paths below `dir` and
//! answers commands from a table, where an unexpected command is a failure: modules are tested
//! in a temporary directory without being root.
//!
//! Never here: `getpwnam` and its family, `getaddrinfo`. In a static binary they load the
//! host's name service libraries and may crash; `/etc/passwd` is read directly and `getent` asked on a miss.

mod archive;
mod clock;
mod command;
mod files;
mod http;
mod knock;
mod lapse;
mod notes;
mod pem;
mod resolve;
mod socket;
mod steady;
mod together;
mod unpack;
mod users;

pub use command::{Answer, Command, Output, tail};
pub use files::{Kind as FileKind, Meta, digest_of, failed, hex, ourselves};
pub use http::{Request, Response, Text, host_of};
pub use knock::{Knock, Knocked, Want};
pub use notes::Notes;
pub use pem::certificates;
pub use steady::{Question, Steady, Tally};
pub use unpack::{Choice, Owner, Thing, ThingKind, Things, Unpacked};
pub use users::{Group, User};

use crate::wire::{Digest, Failure};
use std::cell::{Cell, RefCell};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

pub type Result<T> = std::result::Result<T, Failure>;

/// Gives the path of a local copy of some content, fetching it from the controller if need be.
pub trait Store {
    fn fetch(&self, digest: &Digest) -> Result<PathBuf>;
}

/// Says something while a step goes on.
pub trait Tell {
    fn progress(&self, text: &str);
}

pub struct System {
    /// Where `/` is; the real one, or a test's directory.
    root: PathBuf,
    /// Commands are answered from here instead of being run.
    answers: Option<RefCell<Vec<Answer>>>,
    store: Option<Box<dyn Store>>,
    tell: Option<Box<dyn Tell>>,
    notes: RefCell<Notes>,
    /// Added to the environment of every command of the current step.
    environment: RefCell<Vec<(String, String)>>,
    /// No command may run beyond it.
    deadline: Cell<Option<Instant>>,
    /// Requests that go on beside the steps.
    paces: RefCell<steady::Paces>,
    leases: RefCell<lapse::Leases>,
    /// Where a host keeps what outlives a run.
    state: PathBuf,
}

const STATE: &str = "/var/lib/apim-deploy";

impl System {
    /// The host itself.
    pub fn real(store: Box<dyn Store>, tell: Box<dyn Tell>) -> Self {
        Self {
            root: PathBuf::from("/"),
            answers: None,
            store: Some(store),
            tell: Some(tell),
            notes: RefCell::default(),
            environment: RefCell::default(),
            deadline: Cell::default(),
            paces: RefCell::default(),
            leases: RefCell::default(),
            state: STATE.into(),
        }
    }

    /// A rehearsal: absolute paths live below `dir`, commands are answered from `answers`.
    pub fn under(dir: &Path, answers: Vec<Answer>) -> Self {
        Self {
            root: dir.to_path_buf(),
            answers: Some(RefCell::new(answers)),
            store: None,
            tell: None,
            notes: RefCell::default(),
            environment: RefCell::default(),
            deadline: Cell::default(),
            paces: RefCell::default(),
            leases: RefCell::default(),
            state: STATE.into(),
        }
    }

    /// Content for a rehearsal.
    #[must_use]
    pub fn with_store(mut self, store: Box<dyn Store>) -> Self {
        self.store = Some(store);
        self
    }

    /// Elsewhere, for whoever may not write to the usual place.
    #[must_use]
    pub fn with_state(mut self, folder: PathBuf) -> Self {
        self.state = folder;
        self
    }

    pub fn state(&self) -> &Path {
        &self.state
    }

    pub fn is_rehearsal(&self) -> bool {
        self.answers.is_some()
    }

    /// Where `path` really is.
    pub fn locate(&self, path: &Path) -> PathBuf {
        match path.strip_prefix("/") {
            Ok(relative) => self.root.join(relative),
            Err(_) => self.root.join(path),
        }
    }

    /// A local copy of content that the controller has.
    pub fn fetch(&self, digest: &Digest) -> Result<PathBuf> {
        match &self.store {
            Some(store) => store.fetch(digest),
            None => Err(Failure::new(format!("nobody can give content {digest}"))),
        }
    }

    /// Shows what a long step is doing.
    pub fn progress(&self, text: &str) {
        if let Some(tell) = &self.tell {
            tell.progress(text);
        }
    }

    /// A fresh notebook for the next step; returns what the last step noted.
    pub fn take_notes(&self) -> Notes {
        std::mem::take(&mut self.notes.borrow_mut())
    }

    /// Does `work`; its commands are killed when `within` is over, and later ones do not begin.
    pub fn bounded<T>(&self, within: Duration, work: impl FnOnce() -> T) -> T {
        let before = self.deadline.replace(Some(Instant::now() + within));
        let result = work();
        self.deadline.set(before);
        result
    }

    /// What is left of the time that `bounded` gave; `None` without a bound.
    pub fn time_left(&self) -> Option<Duration> {
        let deadline = self.deadline.get()?;
        Some(deadline.saturating_duration_since(Instant::now()))
    }

    /// The environment for the commands of the next step.
    pub fn set_environment(&self, environment: Vec<(String, String)>) {
        *self.environment.borrow_mut() = environment;
    }
}
