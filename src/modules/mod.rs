//! Kinds of task, one file each. This file holds the trait and the list.
//!
//! A module looks, then corrects; it never does both at once. Check mode is `apply` not being
//! called, so no author can forget it.

use crate::system::{Result, System};
use crate::wire::{Failure, Mode};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::fmt::Display;

/// What the worker may assume about a module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// After applying, it is checked again, and any remainder is a failure.
    State,
    /// Always a change, unless its guard finds nothing to do.
    Action,
    /// Changes nothing; waits until something holds. Not asked in check mode.
    Probe,
    /// Changes nothing and only looks, also in check mode.
    Look,
}

/// What the controller prepares among the parameters before the step is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Brings {
    Nothing,
    /// `src` names a template; it becomes `content`.
    Template,
    /// `src` names a file or folder on the controller; it becomes `content` (or `tree` for a folder).
    /// With `remote_src: true` it stays as it is.
    File,
    /// Each entry of `files` has `template` or `src`, which become `content`.
    Files,
    /// `pack` names an archive on the controller and `member` a file in it; they become `content`.
    Member,
    /// `var` is an expression, without braces; what it gives becomes `value`.
    Value,
}

/// One kind of task.
pub trait Module: DeserializeOwned {
    const NAME: &'static str;
    const KIND: Kind;
    /// One line for the list of modules.
    const ABOUT: &'static str;
    /// The manual's example, as YAML of one task; a test parses it.
    const EXAMPLE: &'static str;
    const BRINGS: Brings = Brings::Nothing;
    /// Other names of parameters, each with the one that `review` uses.
    const ALIASES: &'static [(&'static str, &'static str)] = &[];
    type Change: Display;

    /// Gathers what is wrong with the parameters, whatever the host is like. Asked before anything is touched, so
    /// it never sees a host. Of what the controller brings, only that it was asked for is known then.
    fn review(&self, _: &mut Review<'_>) {}

    /// What separates this host from what the task asks for. Empty means nothing does.
    fn check(&self, system: &System) -> Result<Vec<Self::Change>>;

    /// Carries out one change that `check` just found on this host.
    fn apply(&self, system: &System, change: Self::Change) -> Result<()>;
}

/// A module behind one face, made from a step's parameters.
pub trait Ready {
    fn kind(&self) -> Kind;

    /// Looks at the host and changes nothing.
    fn look(&self, system: &System) -> Result<Found<'_>>;

    /// Looks, and in `Mode::Apply` corrects. Answers the changes that were made, or would be.
    fn carry_out(&self, system: &System, mode: Mode) -> Result<Vec<String>> {
        let found = self.look(system)?;
        let changes = found.changes.clone();
        if mode == Mode::Apply {
            found.correct(system)?;
        }
        Ok(changes)
    }
}

/// What a look found. Between the look and the correction the worker writes down which handlers
/// become due, so that a host that loses power in between still owes them.
pub struct Found<'a> {
    /// One phrase per change; empty when the host is as asked for.
    pub changes: Vec<String>,
    correct: Correction<'a>,
}

type Correction<'a> = Box<dyn FnOnce(&System) -> Result<()> + 'a>;

impl Found<'_> {
    /// Makes the changes; does nothing when there are none.
    pub fn correct(self, system: &System) -> Result<()> {
        (self.correct)(system)
    }
}

/// What people are told about a module, and how to make one from parameters.
pub struct Entry {
    pub name: &'static str,
    pub kind: Kind,
    pub about: &'static str,
    pub example: &'static str,
    pub brings: Brings,
    /// The names of its parameters.
    pub parameters: fn() -> &'static [&'static str],
    /// Parameters to a module, or all that is wrong with them.
    pub prepare: fn(&Value) -> std::result::Result<Box<dyn Ready>, Faults>,
}

impl<M: Module> Ready for M {
    fn kind(&self) -> Kind {
        M::KIND
    }

    fn look(&self, system: &System) -> Result<Found<'_>> {
        let changes = self.check(system)?;
        Ok(Found {
            changes: changes.iter().map(ToString::to_string).collect(),
            correct: Box::new(move |system| correct(self, system, changes)),
        })
    }
}

fn correct<M: Module>(module: &M, system: &System, changes: Vec<M::Change>) -> Result<()> {
    if changes.is_empty() {
        return Ok(());
    }
    for change in changes {
        module.apply(system, change)?;
    }
    match M::KIND {
        Kind::State => nothing_left(module, system),
        Kind::Action | Kind::Probe | Kind::Look => Ok(()),
    }
}

/// A step that claims success and left a difference is the worst kind of failure.
fn nothing_left<M: Module>(module: &M, system: &System) -> Result<()> {
    let left: Vec<_> = module
        .check(system)?
        .iter()
        .map(ToString::to_string)
        .collect();
    if left.is_empty() {
        return Ok(());
    }
    Err(Failure::new(format!(
        "`{}` did what was asked, and the host still differs: {}",
        M::NAME,
        left.join(", ")
    ))
    .help("something on the host puts the old state back; look for another tool that manages it"))
}

/// The module of this name; `ansible.builtin.copy` is `copy`.
pub fn find(name: &str) -> Option<&'static Entry> {
    let name = name
        .strip_prefix("ansible.builtin.")
        .or_else(|| name.strip_prefix("ansible.legacy."))
        .unwrap_or(name);
    ENTRIES.iter().find(|e| e.name == name)
}

/// Every module, by name.
pub fn all() -> &'static [Entry] {
    ENTRIES
}

macro_rules! modules {
    ($($file:ident :: $type:ident),* $(,)?) => {
        $(mod $file;)*

        static ENTRIES: &[Entry] = &[$(Entry {
            name: <$file::$type as Module>::NAME,
            kind: <$file::$type as Module>::KIND,
            about: <$file::$type as Module>::ABOUT,
            example: <$file::$type as Module>::EXAMPLE,
            brings: <$file::$type as Module>::BRINGS,
            parameters: fields::of::<$file::$type>,
            prepare: given::prepare::<$file::$type>,
        }),*];
    };
}

mod fault;
mod fields;
mod given;
mod shared;

pub use fault::{Fault, Faults, Part, Review};

modules! {
    apt::Apt,
    assert::Assert,
    blockinfile::Blockinfile,
    certificate::Certificate,
    command::Command,
    copy::Copy,
    database::Database,
    database_schema::DatabaseSchema,
    database_user::DatabaseUser,
    debug::Debug,
    deployed::Deployed,
    dnf::Dnf,
    drain::Drain,
    drains::Drains,
    fail::Fail,
    file::File,
    gate::Gate,
    get_url::GetUrl,
    group::Group,
    instance::Instance,
    lineinfile::Lineinfile,

    package::Package,
    probe::Probe,
    release::Release,
    restore::Restore,
    self_signed::SelfSigned,
    service::Service,
    service_catalog::ServiceCatalog,
    set_fact::SetFact,
    shell::Shell,
    si_roles::SiRoles,
    stat::Stat,
    survey::Survey,
    systemd::Systemd,
    template::Template,
    tenant::Tenant,
    toml::Toml,
    unarchive::Unarchive,
    upstreams::Upstreams,
    uri::Uri,
    user::User,
    wait_for::WaitFor,
}
