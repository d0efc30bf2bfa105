//! Running what the author wrote: what `command` and `shell` have in common.

use crate::system::{Command, FileKind, Output, Result, System, tail};
use crate::wire::Failure;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// When to run, and where.
#[derive(Debug, Clone, Copy)]
pub struct Guard<'a> {
    /// Once this is there, there is nothing to do.
    pub creates: Option<&'a Path>,
    /// Once this is gone, there is nothing to do.
    pub removes: Option<&'a Path>,
    pub chdir: Option<&'a Path>,
}

impl Guard<'_> {
    /// Whether the program still has something to do.
    pub fn is_open(&self, system: &System) -> Result<bool> {
        let created = match self.creates {
            Some(path) => system.meta(&self.from(path))?.is_some(),
            None => false,
        };
        let removed = match self.removes {
            Some(path) => system.meta(&self.from(path))?.is_none(),
            None => false,
        };
        Ok(!created && !removed)
    }

    fn from(&self, path: &Path) -> PathBuf {
        self.chdir.unwrap_or(Path::new("/")).join(path)
    }

    /// A missing folder would otherwise read like a missing program.
    fn folder(&self, system: &System) -> Result<Option<PathBuf>> {
        let Some(dir) = self.chdir else {
            return Ok(None);
        };
        let found = system.meta(&system.follow(dir)?)?;
        if found.is_some_and(|m| m.kind == FileKind::Directory) {
            return Ok(Some(dir.to_owned()));
        }
        Err(Failure::new(format!(
            "`chdir`: there is no folder {} on the host",
            dir.display()
        )))
    }
}

/// Splits a command line into words by the shell's rules for quotes, and by no others.
pub fn split(line: &str) -> Result<Vec<String>> {
    match shlex::split(line) {
        Some(words) if !words.is_empty() => Ok(words),
        Some(_) => Err(Failure::new("the command is empty").help("name a program")),
        None => Err(Failure::new(format!("a quote is never closed in: {line}"))
            .help("close it, or write the words as a list in `argv`, where quotes mean nothing")),
    }
}

/// Runs to the end and notes what came out, also when that is a failure.
pub fn run(system: &System, guard: &Guard<'_>, shown: &str, mut command: Command) -> Result<()> {
    command.dir = guard.folder(system)?;
    let started = Instant::now();
    let output = system.run(&command)?;
    note(system, &command, &output, started);
    if output.ok() {
        return Ok(());
    }
    let said = match output.stderr.trim() {
        "" => &output.stdout,
        _ => &output.stderr,
    };
    let code = output.code;
    Err(Failure::new(format!("`{shown}` ended with exit code {code}")).detail(tail(said, 12)))
}

fn note(system: &System, command: &Command, output: &Output, started: Instant) {
    let stdout = output.stdout.trim_end_matches(['\r', '\n']);
    let stderr = output.stderr.trim_end_matches(['\r', '\n']);
    system.note("cmd", command.argv.clone());
    system.note("rc", output.code);
    system.note("stdout", stdout);
    system.note("stdout_lines", lines(stdout));
    system.note("stderr", stderr);
    system.note("stderr_lines", lines(stderr));
    // In seconds.
    system.note("delta", started.elapsed().as_secs_f64());
}

fn lines(text: &str) -> Vec<String> {
    text.lines().map(ToOwned::to_owned).collect()
}

/// What a program reads, ended with a line break as programs expect.
pub fn input(stdin: Option<&str>, add_newline: bool) -> Option<Vec<u8>> {
    let mut text = stdin?.to_owned();
    if add_newline && !text.ends_with('\n') {
        text.push('\n');
    }
    Some(text.into_bytes())
}
