//! `command`: runs a program, without a shell in between.

use super::shared::program::{self, Guard};
use super::{Kind, Module, Review, shared};
use crate::system::{self, Result, System};
use crate::wire::Failure;
use serde::Deserialize;
use std::path::PathBuf;

/// Pipes, redirections and `$variables` are plain words here; `shell` knows them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Command {
    /// Split into words by the shell's rules for quotes.
    cmd: Option<String>,
    /// The words themselves, instead of `cmd`.
    argv: Option<Vec<String>>,
    chdir: Option<PathBuf>,
    creates: Option<PathBuf>,
    removes: Option<PathBuf>,
    stdin: Option<String>,
    #[serde(default = "shared::yes")]
    stdin_add_newline: bool,
}

impl Command {
    fn words(&self) -> Result<Vec<String>> {
        match (&self.cmd, &self.argv) {
            (Some(cmd), None) => program::split(cmd),
            (None, Some(argv)) if argv.first().is_some_and(|program| !program.is_empty()) => {
                Ok(argv.clone())
            }
            (None, Some(_)) => Err(Failure::new("`argv` names no program")
                .help("its first word is the program, for example `[ls, -l]`")),
            (Some(_), Some(_)) => Err(Failure::new("`command` takes `cmd` or `argv`, not both")),
            (None, None) => Err(Failure::new("`command` needs `cmd` or `argv`")),
        }
    }

    fn guard(&self) -> Guard<'_> {
        Guard {
            creates: self.creates.as_deref(),
            removes: self.removes.as_deref(),
            chdir: self.chdir.as_deref(),
        }
    }
}

impl Module for Command {
    const NAME: &'static str = "command";
    const KIND: Kind = Kind::Action;
    const ABOUT: &'static str = "runs a program, without a shell in between";
    const EXAMPLE: &'static str = r#"command:
  cmd: ./dbscripts/create.sh --schema apim_db
  chdir: "{{ apim_home }}"
  creates: "{{ apim_home }}/.schema-created"
"#;
    type Change = String;

    fn review(&self, review: &mut Review<'_>) {
        let wrong = self.cmd.as_ref().filter(|_| self.argv.is_none());
        review.hear(wrong.map(|_| "cmd"), self.words());
        review.absolute("chdir", self.chdir.as_deref());
    }

    fn check(&self, system: &System) -> Result<Vec<String>> {
        let words = self.words()?;
        Ok(match self.guard().is_open(system)? {
            true => vec![format!("run {}", words.join(" "))],
            false => vec![],
        })
    }

    fn apply(&self, system: &System, _: String) -> Result<()> {
        let words = self.words()?;
        let shown = words.join(" ");
        let mut command = system::Command::new(words);
        command.input = program::input(self.stdin.as_deref(), self.stdin_add_newline);
        program::run(system, &self.guard(), &shown, command)
    }
}
