//! Running programs: never with our own stdin or stdout, since those carry the protocol.

use super::{Result, System};
use crate::wire::Failure;
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

/// A program to run.
#[derive(Debug, Clone, Default)]
pub struct Command {
    pub argv: Vec<String>,
    pub dir: Option<PathBuf>,
    pub environment: Vec<(String, String)>,
    /// Handed over on stdin; secrets go this way, never on the command line.
    pub input: Option<Vec<u8>>,
    /// After this the process group is killed.
    pub timeout: Option<Duration>,
}

impl Command {
    pub fn new<I, S>(argv: I) -> Self
    where
        I: IntoIterator<Item = S>,
        S: Into<String>,
    {
        Self {
            argv: argv.into_iter().map(Into::into).collect(),
            ..Self::default()
        }
    }

    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    #[must_use]
    pub fn input(mut self, input: impl Into<Vec<u8>>) -> Self {
        self.input = Some(input.into());
        self
    }

    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// As a person would type it, for messages.
    pub fn shown(&self) -> String {
        self.argv.join(" ")
    }
}

/// What a program left behind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Output {
    /// The exit code; `128 + n` after signal `n`.
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Output {
    pub fn ok(&self) -> bool {
        self.code == 0
    }
}

/// A rehearsed answer: the first whose words begin the command line is taken, and used up.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    pub argv: String,
    pub output: Output,
    /// Stays for further calls.
    pub again: bool,
    /// Files that the program would have written, so that a second look finds them.
    pub writes: Vec<(PathBuf, String)>,
}

impl System {
    /// Runs a program to its end, whatever its exit code.
    pub fn run(&self, command: &Command) -> Result<Output> {
        match &self.answers {
            Some(answers) => self.rehearse(&mut answers.borrow_mut(), command),
            None => self.run_for_real(command),
        }
    }

    fn rehearse(&self, answers: &mut Vec<Answer>, command: &Command) -> Result<Output> {
        let shown = command.shown();
        let Some(at) = answers.iter().position(|a| shown.starts_with(&a.argv)) else {
            return Err(Failure::new(format!("unexpected command: {shown}")));
        };
        let answer = if answers[at].again {
            answers[at].clone()
        } else {
            answers.remove(at)
        };
        for (path, text) in &answer.writes {
            std::fs::write(self.locate(path), text)
                .map_err(|e| Failure::new(format!("cannot rehearse {}: {e}", path.display())))?;
        }
        Ok(answer.output)
    }

    /// The rehearsed answers that no command has taken yet.
    pub fn unused_answers(&self) -> Vec<String> {
        let answers = self.answers.as_ref().map(|a| a.borrow());
        let left = answers.iter().flat_map(|a| a.iter());
        left.filter(|a| !a.again).map(|a| a.argv.clone()).collect()
    }

    /// Runs a program that must succeed; its stderr becomes the failure's detail.
    pub fn expect(&self, command: &Command) -> Result<Output> {
        let output = self.run(command)?;
        if output.ok() {
            return Ok(output);
        }
        let text = if output.stderr.trim().is_empty() {
            &output.stdout
        } else {
            &output.stderr
        };
        Err(Failure::new(format!(
            "`{}` ended with exit code {}",
            command.shown(),
            output.code
        ))
        .detail(tail(text, 12)))
    }

    fn run_for_real(&self, command: &Command) -> Result<Output> {
        let (program, arguments) = command
            .argv
            .split_first()
            .ok_or_else(|| Failure::new("an empty command"))?;
        let mut process = std::process::Command::new(program);
        process
            .args(arguments)
            .envs(self.environment.borrow().iter().cloned())
            .envs(command.environment.iter().cloned())
            .stdin(if command.input.is_some() {
                Stdio::piped()
            } else {
                Stdio::null()
            })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        if let Some(dir) = &command.dir {
            process.current_dir(dir);
        }
        let mut child = process.spawn().map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound => {
                Failure::new(format!("there is no program `{program}` on this host"))
            }
            _ => Failure::new(format!("`{program}` cannot be started: {e}")),
        })?;
        // Each pipe has its own thread: a child that fills one while we wait on another would hang.
        let input = command.input.clone();
        let stdin = child.stdin.take();
        let feeder = std::thread::spawn(move || {
            if let (Some(mut stdin), Some(input)) = (stdin, input) {
                // A child that does not read all of its input is no error of ours.
                let _ = stdin.write_all(&input);
            }
        });
        let stdout = child.stdout.take().map(drain);
        let stderr = child.stderr.take().map(drain);
        let code = wait(&mut child, command)?;
        let _ = feeder.join();
        Ok(Output {
            code,
            stdout: stdout.map(joined).unwrap_or_default(),
            stderr: stderr.map(joined).unwrap_or_default(),
        })
    }
}

/// The last `count` lines that say something.
pub fn tail(text: &str, count: usize) -> Vec<String> {
    let lines: Vec<_> = text.lines().filter(|l| !l.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(count)..]
        .iter()
        .map(|l| (*l).to_owned())
        .collect()
}

/// Output kept of one stream, in bytes; the rest is read and dropped.
const KEPT: usize = 4 << 20;

type Drain = std::thread::JoinHandle<Vec<u8>>;

fn drain(mut from: impl std::io::Read + Send + 'static) -> Drain {
    std::thread::spawn(move || {
        let mut kept = Vec::new();
        let mut piece = [0; 16384];
        while let Ok(n) = from.read(&mut piece) {
            if n == 0 {
                break;
            }
            let room = KEPT.saturating_sub(kept.len()).min(n);
            kept.extend_from_slice(&piece[..room]);
        }
        kept
    })
}

fn joined(drain: Drain) -> String {
    String::from_utf8_lossy(&drain.join().unwrap_or_default()).into_owned()
}

fn wait(child: &mut std::process::Child, command: &Command) -> Result<i32> {
    use std::os::unix::process::ExitStatusExt as _;
    let failed = |e: std::io::Error| Failure::new(format!("`{}`: {e}", command.shown()));
    let status = match command.timeout {
        None => child.wait().map_err(failed)?,
        Some(timeout) => {
            let deadline = Instant::now() + timeout;
            loop {
                if let Some(status) = child.try_wait().map_err(failed)? {
                    break status;
                }
                if Instant::now() >= deadline {
                    kill_group(child);
                    return Err(Failure::new(format!(
                        "`{}` did not end within {} s and was killed",
                        command.shown(),
                        timeout.as_secs()
                    )));
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    };
    Ok(status
        .code()
        .unwrap_or_else(|| 128 + status.signal().unwrap_or(0)))
}

fn kill_group(child: &mut std::process::Child) {
    if let Some(pid) = i32::try_from(child.id())
        .ok()
        .and_then(rustix::process::Pid::from_raw)
    {
        // The group may be gone already; then there is nothing left to kill.
        let _ = rustix::process::kill_process_group(pid, rustix::process::Signal::KILL);
    }
    let _ = child.wait();
}
