//! Owner, group and mode, compared and corrected alike wherever a module takes them.
//!
//! Each module still lists the three parameters itself: serde can't both flatten them in and refuse
//! parameters that nobody knows.

use super::permissions::Permissions;
use crate::system::{FileKind, Meta, Result, System, ourselves};
use std::fmt;
use std::path::Path;

/// What a task asks for; `None` leaves things as they are.
#[derive(Debug, Clone, Copy, Default)]
pub struct Attributes<'a> {
    pub owner: Option<&'a str>,
    pub group: Option<&'a str>,
    pub mode: Option<&'a Permissions>,
}

/// One of them that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attribute {
    Owner { from: String, to: String, uid: u32 },
    Group { from: String, to: String, gid: u32 },
    Mode { from: u32, to: u32 },
}

impl Attributes<'_> {
    pub fn differences(&self, system: &System, found: &Meta) -> Result<Vec<Attribute>> {
        let mut differences = Vec::new();
        if let Some(to) = self.owner {
            let uid = system.uid_of(to)?;
            if uid != found.uid {
                let from = user_shown(system, found.uid)?;
                let to = to.to_owned();
                differences.push(Attribute::Owner { from, to, uid });
            }
        }
        if let Some(to) = self.group {
            let gid = system.gid_of(to)?;
            if gid != found.gid {
                let from = group_shown(system, found.gid)?;
                let to = to.to_owned();
                differences.push(Attribute::Group { from, to, gid });
            }
        }
        // Last, because giving a file away clears its setuid bit.
        if let Some(to) = self.bits(Some(found)).filter(|to| *to != found.mode) {
            let from = found.mode;
            differences.push(Attribute::Mode { from, to });
        }
        Ok(differences)
    }

    /// The permission bits asked for, on top of what is there.
    pub fn bits(&self, found: Option<&Meta>) -> Option<u32> {
        let is_folder = found.is_some_and(|m| m.kind == FileKind::Directory);
        let before = found.map_or(0o644, |m| m.mode);
        self.mode.map(|mode| mode.over(before, is_folder))
    }

    /// The numbers to give something that is made anew; `None` when the task does not care.
    pub fn numbers(&self, system: &System, found: Option<&Meta>) -> Result<Option<(u32, u32)>> {
        if self.owner.is_none() && self.group.is_none() {
            return Ok(None);
        }
        let (uid, gid) = found.map_or_else(ourselves, |m| (m.uid, m.gid));
        let uid = self.owner.map_or(Ok(uid), |name| system.uid_of(name))?;
        let gid = self.group.map_or(Ok(gid), |name| system.gid_of(name))?;
        Ok(Some((uid, gid)))
    }

    /// Corrects whatever differs on `path` now.
    pub fn settle(&self, system: &System, path: &Path) -> Result<()> {
        let Some(found) = system.meta(path)? else {
            return Ok(());
        };
        for difference in self.differences(system, &found)? {
            difference.settle(system, path)?;
        }
        Ok(())
    }

    /// Makes a folder and its missing parents, each of them with these attributes.
    pub fn make_folders(&self, system: &System, path: &Path) -> Result<()> {
        let mut missing = Vec::new();
        for folder in path.ancestors() {
            if folder.as_os_str().is_empty() || system.meta(folder)?.is_some() {
                break;
            }
            missing.push(folder);
        }
        for folder in missing.into_iter().rev() {
            system.make_dir(folder)?;
            self.settle(system, folder)?;
        }
        Ok(())
    }
}

impl Attribute {
    pub fn settle(&self, system: &System, path: &Path) -> Result<()> {
        match self {
            Self::Owner { uid, .. } => system.set_owner(path, Some(*uid), None),
            Self::Group { gid, .. } => system.set_owner(path, None, Some(*gid)),
            Self::Mode { to, .. } => system.set_mode(path, *to),
        }
    }
}

fn user_shown(system: &System, uid: u32) -> Result<String> {
    let number = uid.to_string();
    Ok(system.user(&number)?.map_or(number, |user| user.name))
}

fn group_shown(system: &System, gid: u32) -> Result<String> {
    let number = gid.to_string();
    Ok(system.group(&number)?.map_or(number, |group| group.name))
}

impl fmt::Display for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Owner { from, to, .. } => write!(f, "owner {from} -> {to}"),
            Self::Group { from, to, .. } => write!(f, "group {from} -> {to}"),
            Self::Mode { from, to } => write!(f, "mode {from:04o} -> {to:04o}"),
        }
    }
}
