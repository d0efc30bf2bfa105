//! A balancer that is somebody else's: what was written for it takes nodes out, puts them back and tells where they are.

use super::super::uri::Uri;
use super::patience::{Attempt, Patience, insist, spoken};
use super::rotation::{Balancer, Place};
use super::words::seconds;
use crate::system::{Command, Result, System, tail};
use crate::wire::Failure;
use regex::Regex;
use serde::Deserialize;
use std::time::Duration;

/// How nodes are moved there.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hooks {
    take_out: Hook,
    put_back: Hook,
    /// Without it what we did ourselves is all that is known.
    look: Option<Look>,
    /// In seconds: how long what is on its way to a node that was taken out may take. Nobody sees whether it ended.
    #[serde(default = "ten", deserialize_with = "seconds")]
    settle: Duration,
}

/// One of the three.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Hook {
    /// A program and its words; it must end with 0.
    Command(Vec<String>),
    /// The same for a shell, with all that a shell makes of its words.
    Shell(String),
    /// A question to a web server, with the parameters of the module `uri`.
    Uri(Box<Uri>),
}

/// In rotation, or not: a program ends with 0 or 1. With a `serving`, which a web server needs, its answer tells.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Look {
    command: Option<Vec<String>>,
    shell: Option<String>,
    uri: Option<Box<Uri>>,
    /// A regular expression that matches the answer while the node is in rotation.
    serving: Option<String>,
}

fn ten() -> Duration {
    Duration::from_secs(10)
}

/// A program that does not end holds a rollout no longer than this.
const PATIENCE: Duration = Duration::from_secs(300);

impl Hook {
    fn run(&self, system: &System) -> Result<()> {
        let words = match self {
            Self::Uri(uri) => return uri.asked(system).map(drop),
            Self::Command(words) => words.clone(),
            Self::Shell(line) => shell(line),
        };
        system.expect(&command(&words)?).map(drop)
    }
}

fn shell(line: &str) -> Vec<String> {
    ["/bin/sh", "-c", line].map(ToOwned::to_owned).to_vec()
}

fn command(words: &[String]) -> Result<Command> {
    match words.is_empty() {
        true => Err(Failure::new("a hook's `command` has no words")
            .help("`command` is a list: the program, then its words")),
        false => Ok(Command::new(words.to_vec()).timeout(PATIENCE)),
    }
}

impl Look {
    fn is_serving(&self, system: &System) -> Result<bool> {
        let words = match (&self.command, &self.shell, &self.uri) {
            (Some(words), None, None) => words.clone(),
            (None, Some(line), None) => shell(line),
            (None, None, Some(uri)) => {
                let Some(serving) = &self.serving else {
                    return Err(Failure::new("a hook's `look` with `uri` has no `serving`").help(
                        "give the regular expression that the answer matches while the node is in rotation",
                    ));
                };
                return self.matches(serving, &uri.asked(system)?);
            }
            _ => {
                return Err(Failure::new(
                    "a hook's `look` is not one of `command`, `shell` and `uri`",
                ));
            }
        };
        let command = command(&words)?;
        let output = system.run(&command)?;
        match (output.code, &self.serving) {
            (0, Some(serving)) => self.matches(serving, &output.stdout),
            (0, None) => Ok(true),
            (1, None) => Ok(false),
            (code, _) => Err(Failure::new(format!(
                "`{}` does not tell where the node is: exit code {code}",
                command.shown()
            ))
            .detail(tail(&output.stderr, 5))
            .help("0: in rotation, 1: not; with `serving` its output tells, and the code is 0")),
        }
    }

    fn matches(&self, serving: &str, text: &str) -> Result<bool> {
        let pattern = Regex::new(serving)
            .map_err(|e| Failure::new(format!("`serving` is no regular expression: {e}")))?;
        Ok(pattern.is_match(text))
    }
}

/// The balancer as one that has this node.
pub struct External<'s> {
    pub system: &'s System,
    pub hooks: &'s Hooks,
    /// We took it out, as far as we know.
    pub is_out: bool,
    pub within: Duration,
}

impl External<'_> {
    fn until(&self, serving: bool, within: Duration) -> Result<()> {
        let Some(look) = &self.hooks.look else {
            return Ok(());
        };
        insist(self.system, within, || {
            Ok(match look.is_serving(self.system)? == serving {
                true => Attempt::Done(()),
                false => Attempt::NotYet(Failure::new(format!(
                    "the balancer was asked, and the node is still {} rotation by its `look`",
                    if serving { "out of" } else { "in" }
                ))),
            })
        })
    }
}

impl Balancer for External<'_> {
    fn place(&self) -> Result<Place> {
        let serving = match &self.hooks.look {
            Some(look) => look.is_serving(self.system)?,
            None => !self.is_out,
        };
        Ok(match serving {
            true => Place::In,
            false => Place::Out { lasts: true },
        })
    }

    fn part_out(&self) -> Result<Option<String>> {
        Ok(None)
    }

    fn take_out(&self) -> Result<()> {
        self.hooks.take_out.run(self.system)?;
        self.until(false, self.within).map_err(|failure| {
            match self.hooks.put_back.run(self.system) {
                Ok(()) => failure,
                Err(e) => failure.detail([format!("it may be out all the same: {e}")]),
            }
        })
    }

    fn put_back(&self, within: Duration) -> Result<()> {
        self.hooks.put_back.run(self.system)?;
        self.until(true, within)
    }

    fn settle(&self, _: Duration) -> Result<Option<usize>> {
        let patience = Patience::new(self.system, self.hooks.settle);
        while !patience.is_over() {
            let left = spoken(self.hooks.settle.saturating_sub(patience.waited()));
            self.system.progress(&format!(
                "what is on its way to the node may finish: {left} more"
            ));
            patience.rest(Duration::from_secs(1));
        }
        Ok(None)
    }
}
