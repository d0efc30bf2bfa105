//! `user`: a local user, with its groups, home and shell.

use super::{Kind, Module, Review, shared};
use crate::system::{Command, Result, System, User as Found};
use crate::wire::Failure;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, IgnoredAny, SeqAccess, Visitor};
use std::fmt;
use std::path::Path;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct User {
    name: String,
    uid: Option<u32>,
    /// The primary group; it must exist.
    group: Option<String>,
    /// The other groups: a list, or names with commas between them.
    #[serde(default, deserialize_with = "names")]
    groups: Option<Vec<String>>,
    /// Groups that are not named stay. Without it they are left.
    #[serde(default)]
    append: bool,
    home: Option<String>,
    /// The old home moves along when `home` changes.
    #[serde(default)]
    move_home: bool,
    #[serde(default = "shared::yes")]
    create_home: bool,
    shell: Option<String>,
    comment: Option<String>,
    /// A number from the range of system users; only heeded when the user is made.
    #[serde(default)]
    system: bool,
    #[serde(default)]
    state: State,
    /// With `state: absent`: home and mail go too.
    #[serde(default)]
    remove: bool,
    #[serde(default, rename = "password", deserialize_with = "no_password")]
    _password: (),
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum State {
    #[default]
    Present,
    Absent,
}

/// A hash in a playbook is in every clone of it, and no run can tell that it is stale.
fn no_password<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<(), D::Error> {
    IgnoredAny::deserialize(deserializer)?;
    Err(D::Error::custom(
        "`password` is refused: a hash in a playbook is in every copy of it; use ssh keys, or run `passwd` on the host",
    ))
}

fn names<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> std::result::Result<Option<Vec<String>>, D::Error> {
    deserializer.deserialize_any(Names).map(Some)
}

struct Names;

impl<'de> Visitor<'de> for Names {
    type Value = Vec<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of groups")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> std::result::Result<Self::Value, E> {
        let names = text.split(',').map(str::trim).filter(|n| !n.is_empty());
        Ok(names.map(ToOwned::to_owned).collect())
    }

    fn visit_seq<A: SeqAccess<'de>>(
        self,
        mut list: A,
    ) -> std::result::Result<Self::Value, A::Error> {
        let mut names = Vec::new();
        while let Some(name) = list.next_element()? {
            names.push(name);
        }
        Ok(names)
    }
}

pub enum Change {
    Create,
    Remove,
    /// One field of the user's line, and the options of `usermod` that correct it.
    Field {
        field: &'static str,
        from: String,
        to: String,
        options: Vec<String>,
    },
    Groups {
        join: Vec<String>,
        leave: Vec<String>,
        all: Vec<String>,
    },
}

impl User {
    fn compare(&self, system: &System, found: &Found) -> Result<Vec<Change>> {
        let mut changes = Vec::new();
        let mut differ = |field, from: &str, to: Option<&str>, options: &[&str]| {
            let Some(to) = to.filter(|to| *to != from) else {
                return;
            };
            let mut options: Vec<_> = options.iter().map(|&o| o.to_owned()).collect();
            options.push(to.to_owned());
            let (from, to) = (from.to_owned(), to.to_owned());
            changes.push(Change::Field {
                field,
                from,
                to,
                options,
            });
        };
        let uid = self.uid.map(|uid| uid.to_string());
        differ("uid", &found.uid.to_string(), uid.as_deref(), &["--uid"]);
        let gid = self.gid(system)?.map(|gid| gid.to_string());
        differ("group", &found.gid.to_string(), gid.as_deref(), &["--gid"]);
        let home: &[_] = match self.move_home {
            true => &["--move-home", "--home"],
            false => &["--home"],
        };
        differ("home", &found.home, self.home.as_deref(), home);
        differ("shell", &found.shell, self.shell.as_deref(), &["--shell"]);
        differ(
            "comment",
            &found.comment,
            self.comment.as_deref(),
            &["--comment"],
        );
        changes.extend(self.compare_groups(system)?);
        Ok(changes)
    }

    fn gid(&self, system: &System) -> Result<Option<u32>> {
        let Some(name) = &self.group else {
            return Ok(None);
        };
        match system.group(name)? {
            Some(group) => Ok(Some(group.gid)),
            None => Err(
                Failure::new(format!("there is no group `{name}` on this host"))
                    .help("create it with a `group` task before this one"),
            ),
        }
    }

    fn compare_groups(&self, system: &System) -> Result<Option<Change>> {
        let Some(wanted) = &self.groups else {
            return Ok(None);
        };
        let has = system.groups_with(&self.name)?;
        let join = without(wanted, &has);
        let leave = match self.append {
            true => Vec::new(),
            false => without(&has, wanted),
        };
        if join.is_empty() && leave.is_empty() {
            return Ok(None);
        }
        let mut all = without(&has, &leave);
        all.extend(join.iter().cloned());
        Ok(Some(Change::Groups { join, leave, all }))
    }

    fn create(&self, system: &System) -> Result<Command> {
        let mut argv = vec!["useradd".to_owned()];
        if self.system {
            argv.push("--system".into());
        }
        argv.push(match self.create_home {
            true => "--create-home".into(),
            false => "--no-create-home".into(),
        });
        let mut option = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                argv.extend([name.to_owned(), value]);
            }
        };
        option("--uid", self.uid.map(|uid| uid.to_string()));
        option("--gid", self.first_group(system)?);
        let groups = self.groups.as_ref().filter(|groups| !groups.is_empty());
        option("--groups", groups.map(|groups| groups.join(",")));
        option("--home-dir", self.home.clone());
        option("--shell", self.shell.clone());
        option("--comment", self.comment.clone());
        argv.push(self.name.clone());
        Ok(Command::new(argv))
    }

    /// `useradd` fails where a group of the user's name exists already, unless it is told to use it.
    fn first_group(&self, system: &System) -> Result<Option<String>> {
        if self.group.is_some() {
            return Ok(self.group.clone());
        }
        Ok(system.group(&self.name)?.map(|group| group.name))
    }

    fn modify(&self, options: &[String]) -> Command {
        let program = std::iter::once("usermod");
        let words = program.chain(options.iter().map(String::as_str));
        Command::new(words.chain([self.name.as_str()]))
    }

    fn delete(&self) -> Command {
        match self.remove {
            true => Command::new(["userdel", "--remove", &self.name]),
            false => Command::new(["userdel", &self.name]),
        }
    }
}

fn without(all: &[String], some: &[String]) -> Vec<String> {
    all.iter().filter(|n| !some.contains(n)).cloned().collect()
}

impl Module for User {
    const NAME: &'static str = "user";
    const KIND: Kind = Kind::State;
    const ABOUT: &'static str = "a local user, with its groups, home and shell";
    const EXAMPLE: &'static str = r#"user:
  name: wso2carbon
  group: wso2
  home: /home/wso2carbon
  shell: /usr/sbin/nologin
  system: true
"#;
    type Change = Change;

    fn review(&self, review: &mut Review<'_>) {
        review.account("name", self.name.as_str());
        review.account("group", self.group.as_deref());
        for group in self.groups.iter().flatten() {
            review.account("groups", group.as_str());
        }
        review.absolute("home", self.home.as_deref().map(Path::new));
        review.absolute("shell", self.shell.as_deref().map(Path::new));
    }

    fn check(&self, system: &System) -> Result<Vec<Change>> {
        system.note("name", self.name.clone());
        match (self.state, system.user(&self.name)?) {
            (State::Present, None) => Ok(vec![Change::Create]),
            (State::Present, Some(found)) => self.compare(system, &found),
            (State::Absent, None) => Ok(vec![]),
            (State::Absent, Some(_)) => Ok(vec![Change::Remove]),
        }
    }

    fn apply(&self, system: &System, change: Change) -> Result<()> {
        let command = match change {
            Change::Create => self.create(system)?,
            Change::Remove => self.delete(),
            Change::Field { options, .. } => self.modify(&options),
            Change::Groups { all, .. } => self.modify(&["--groups".into(), all.join(",")]),
        };
        system.expect(&command).map(drop)
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Create => f.write_str("create"),
            Self::Remove => f.write_str("remove"),
            Self::Field {
                field, from, to, ..
            } => write!(f, "{field} {from} -> {to}"),
            Self::Groups { join, leave, .. } => {
                let join = join.iter().map(|name| format!("join {name}"));
                let leave = leave.iter().map(|name| format!("leave {name}"));
                f.write_str(&join.chain(leave).collect::<Vec<_>>().join(", "))
            }
        }
    }
}
