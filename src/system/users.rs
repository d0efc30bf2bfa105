//! Users and groups, read from the files first and from `getent` on a miss.

use super::{Command, Result, System};
use crate::wire::Failure;
use std::path::Path;

/// A line of `/etc/passwd`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    pub name: String,
    pub uid: u32,
    pub gid: u32,
    pub comment: String,
    pub home: String,
    pub shell: String,
}

/// A line of `/etc/group`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    pub name: String,
    pub gid: u32,
    pub members: Vec<String>,
}

impl System {
    /// The user of this name or number.
    pub fn user(&self, name: &str) -> Result<Option<User>> {
        Ok(self.lookup("passwd", name)?.and_then(|l| parse_user(&l)))
    }

    /// The group of this name or number.
    pub fn group(&self, name: &str) -> Result<Option<Group>> {
        Ok(self.lookup("group", name)?.and_then(|l| parse_group(&l)))
    }

    /// The number of a user that must exist. A rehearsal without it answers its own number.
    pub fn uid_of(&self, name: &str) -> Result<u32> {
        if let Ok(number) = name.parse() {
            return Ok(number);
        }
        match self.user(name)? {
            Some(user) => Ok(user.uid),
            None if self.is_rehearsal() => Ok(rustix::process::getuid().as_raw()),
            None => Err(
                Failure::new(format!("there is no user `{name}` on this host"))
                    .help("create it with a `user` task before this one"),
            ),
        }
    }

    /// The number of a group that must exist.
    pub fn gid_of(&self, name: &str) -> Result<u32> {
        if let Ok(number) = name.parse() {
            return Ok(number);
        }
        match self.group(name)? {
            Some(group) => Ok(group.gid),
            None if self.is_rehearsal() => Ok(rustix::process::getgid().as_raw()),
            None => Err(
                Failure::new(format!("there is no group `{name}` on this host"))
                    .help("create it with a `group` task before this one"),
            ),
        }
    }

    /// The names of the local groups that list this user as a member, sorted.
    pub fn groups_with(&self, user: &str) -> Result<Vec<String>> {
        let text = self.read(Path::new("/etc/group"))?.unwrap_or_default();
        let mut names: Vec<_> = String::from_utf8_lossy(&text)
            .lines()
            .filter_map(parse_group)
            .filter(|group| group.members.iter().any(|member| member == user))
            .map(|group| group.name)
            .collect();
        names.sort();
        Ok(names)
    }

    fn lookup(&self, database: &str, key: &str) -> Result<Option<String>> {
        let file = self.locate(Path::new("/etc").join(database).as_path());
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let hit = text.lines().find(|line| {
            let mut fields = line.split(':');
            fields.next() == Some(key) || fields.nth(1) == Some(key)
        });
        if let Some(line) = hit {
            return Ok(Some(line.to_owned()));
        }
        if self.is_rehearsal() {
            return Ok(None);
        }
        let output = self.run(&Command::new(["getent", database, key]))?;
        Ok(output.ok().then(|| output.stdout.trim().to_owned()))
    }
}

fn parse_user(line: &str) -> Option<User> {
    let f: Vec<_> = line.split(':').collect();
    Some(User {
        name: (*f.first()?).to_owned(),
        uid: f.get(2)?.parse().ok()?,
        gid: f.get(3)?.parse().ok()?,
        comment: (*f.get(4)?).to_owned(),
        home: (*f.get(5)?).to_owned(),
        shell: (*f.get(6)?).to_owned(),
    })
}

fn parse_group(line: &str) -> Option<Group> {
    let f: Vec<_> = line.split(':').collect();
    Some(Group {
        name: (*f.first()?).to_owned(),
        gid: f.get(2)?.parse().ok()?,
        members: f
            .get(3)?
            .split(',')
            .filter(|m| !m.is_empty())
            .map(ToOwned::to_owned)
            .collect(),
    })
}
