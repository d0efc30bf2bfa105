//! `shell`: runs a line through the host's shell.

use super::shared::program::{self, Guard};
use super::{Kind, Module, Review, shared};
use crate::system::{Command, Result, System};
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// For pipes and redirections; `command` is the safer choice for everything else, since nothing in
/// a variable can become a second command there.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shell {
    cmd: String,
    chdir: Option<PathBuf>,
    creates: Option<PathBuf>,
    removes: Option<PathBuf>,
    /// The shell.
    #[serde(default = "sh")]
    executable: String,
    stdin: Option<String>,
    #[serde(default = "shared::yes")]
    stdin_add_newline: bool,
}

fn sh() -> String {
    "/bin/sh".into()
}

impl Shell {
    fn guard(&self) -> Guard<'_> {
        Guard {
            creates: self.creates.as_deref(),
            removes: self.removes.as_deref(),
            chdir: self.chdir.as_deref(),
        }
    }
}

impl Module for Shell {
    const NAME: &'static str = "shell";
    const KIND: Kind = Kind::Action;
    const ABOUT: &'static str = "runs a line through the host's shell";
    const EXAMPLE: &'static str = r#"shell:
  cmd: mysqldump apim_db | gzip > /var/backups/apim_db.sql.gz
  creates: /var/backups/apim_db.sql.gz
"#;
    type Change = String;

    fn review(&self, review: &mut Review<'_>) {
        review.filled("cmd", self.cmd.as_str());
        review.absolute("chdir", self.chdir.as_deref());
        review.absolute("executable", Path::new(&self.executable));
    }

    fn check(&self, system: &System) -> Result<Vec<String>> {
        Ok(match self.guard().is_open(system)? {
            true => vec![format!("run {}", self.cmd.trim_end())],
            false => vec![],
        })
    }

    fn apply(&self, system: &System, _: String) -> Result<()> {
        let mut command = Command::new([self.executable.as_str(), "-c", self.cmd.as_str()]);
        command.input = program::input(self.stdin.as_deref(), self.stdin_add_newline);
        program::run(system, &self.guard(), self.cmd.trim_end(), command)
    }
}
