//! `ansible_connection: local`: the worker as a child of this very process.

use super::bootstrap::{Talk, dropped_to, unique_prompt};
use super::pipe::{ChildEar, Ear, Mouth};
use super::session::Session;
use super::{Lost, Target, Worker};
use crate::wire::Failure;
use std::ffi::OsString;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use tokio::process::{Child, Command};

/// Starts the worker here, through sudo when it must be root and we are not.
pub async fn start(target: &Target, worker: &Arc<Worker>) -> Result<Session, Lost> {
    let impossible = |why: String| {
        Lost::Refused(Failure::new(format!(
            "the worker cannot be started on {}: {why}",
            target.shown()
        )))
    };
    let Some(build) = worker.own() else {
        return Err(impossible(
            "there is no program for this machine".to_owned(),
        ));
    };
    let prompt = unique_prompt();
    let words = command(target, &build.path, &prompt);
    let mut child = spawn(&words).map_err(|e| impossible(e.to_string()))?;
    match (child.stdin.take(), child.stdout.take(), child.stderr.take()) {
        (Some(stdin), Some(stdout), Some(stderr)) => {
            let ear = Ear::Child(Box::new(ChildEar {
                child,
                stdout,
                stderr,
                open: (true, true),
            }));
            let talk = Talk::new(target, worker, Mouth::Child(stdin), ear, prompt);
            talk.until_hello(&|_: &str| {}).await
        }
        _ => Err(impossible("its pipes are missing".to_owned())),
    }
}

fn spawn(words: &[OsString]) -> std::io::Result<Child> {
    let (program, arguments) = words
        .split_first()
        .ok_or(std::io::ErrorKind::InvalidInput)?;
    Command::new(program)
        .args(arguments)
        // sudo's complaints are understood in English only.
        .env("LC_MESSAGES", "C")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // Ctrl-C reaches the whole group of the terminal; a worker must finish its step.
        .process_group(0)
        .spawn()
}

fn command(target: &Target, program: &Path, prompt: &str) -> Vec<OsString> {
    let mut words: Vec<OsString> = Vec::new();
    if target.r#become && !rustix::process::geteuid().is_root() {
        words.extend(["sudo", "-H"].map(OsString::from));
        match target.become_password {
            Some(_) => words.extend(["-S", "-p", prompt].map(OsString::from)),
            None => words.push("-n".into()),
        }
        words.push("--".into());
    }
    words.push(program.into());
    words.push("worker".into());
    if let Some(user) = dropped_to(target) {
        words.extend(["--as", user].map(OsString::from));
    }
    words
}
