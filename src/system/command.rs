//! Running programs: never with our own stdin or stdout, since those carry the protocol.

use super::{Result, System};
use crate::wire::Failure;
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
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
        let left = self.time_left();
        if left.is_some_and(|left| left.is_zero()) {
            return Err(Failure::new(format!(
                "no time was left for `{}`",
                command.shown()
            )));
        }
        let limit = command.timeout.into_iter().chain(left).min();
        let mut child = self.start(command)?;
        // Each pipe has its own thread: a child that fills one while we wait on another would hang.
        let stdout = child.stdout.take().map(Drain::of);
        let stderr = child.stderr.take().map(Drain::of);
        if let (Some(mut stdin), Some(input)) = (child.stdin.take(), command.input.clone()) {
            std::thread::spawn(move || {
                // A child that does not read all of its input is no error of ours.
                let _ = stdin.write_all(&input);
            });
        }
        Ok(Output {
            code: wait(&mut child, command, limit)?,
            stdout: stdout.map(Drain::text).unwrap_or_default(),
            stderr: stderr.map(Drain::text).unwrap_or_default(),
        })
    }

    fn start(&self, command: &Command) -> Result<Child> {
        let (program, arguments) = command
            .argv
            .split_first()
            .ok_or_else(|| Failure::new("an empty command"))?;
        let stdin = match command.input {
            Some(_) => Stdio::piped(),
            None => Stdio::null(),
        };
        let mut process = std::process::Command::new(program);
        process
            .args(arguments)
            .envs(self.environment.borrow().iter().cloned())
            .envs(command.environment.iter().cloned())
            .stdin(stdin)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        if let Some(dir) = &command.dir {
            process.current_dir(dir);
        }
        process.spawn().map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound => {
                Failure::new(format!("there is no program `{program}` on this host"))
            }
            _ => Failure::new(format!("`{program}` cannot be started: {e}")),
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

/// How long a stream may stay open after its program has ended. A program that leaves a daemon
/// behind often leaves it our pipe as well, and that one never closes.
const PATIENCE: Duration = Duration::from_secs(1);

/// One stream, read by a thread of its own.
struct Drain {
    kept: Arc<Mutex<Vec<u8>>>,
    closed: mpsc::Receiver<()>,
}

impl Drain {
    fn of(mut from: impl std::io::Read + Send + 'static) -> Self {
        let kept = Arc::new(Mutex::new(Vec::new()));
        let (end, closed) = mpsc::channel();
        let ours = Arc::clone(&kept);
        std::thread::spawn(move || {
            let mut piece = [0; 16384];
            while let Ok(n) = from.read(&mut piece) {
                if n == 0 {
                    break;
                }
                let mut kept = ours.lock().unwrap_or_else(PoisonError::into_inner);
                let room = KEPT.saturating_sub(kept.len()).min(n);
                kept.extend_from_slice(&piece[..room]);
            }
            // Nobody listens any more when patience ran out.
            let _ = end.send(());
        });
        Self { kept, closed }
    }

    fn text(self) -> String {
        // Out of patience or not: what came so far is the answer.
        let _ = self.closed.recv_timeout(PATIENCE);
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&kept).into_owned()
    }
}

fn wait(child: &mut Child, command: &Command, limit: Option<Duration>) -> Result<i32> {
    use std::os::unix::process::ExitStatusExt as _;
    let failed = |e: std::io::Error| Failure::new(format!("`{}`: {e}", command.shown()));
    let status = match limit {
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

fn kill_group(child: &mut Child) {
    if let Some(pid) = i32::try_from(child.id())
        .ok()
        .and_then(rustix::process::Pid::from_raw)
    {
        // The group may be gone already; then there is nothing left to kill.
        let _ = rustix::process::kill_process_group(pid, rustix::process::Signal::KILL);
    }
    let _ = child.wait();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(line: &str) -> Command {
        Command::new(["/bin/sh", "-c", line])
    }

    fn run(command: &Command) -> Result<Output> {
        System::under(std::path::Path::new("/"), vec![]).run_for_real(command)
    }

    #[test]
    fn a_daemon_that_keeps_our_pipe_does_not_keep_us() {
        let started = Instant::now();
        let output = run(&sh("echo started; sleep 30 & exit 0")).unwrap();
        assert_eq!(output.stdout, "started\n");
        assert!(started.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn a_command_out_of_time_is_killed_with_its_children() {
        let slow = sh("sleep 30 | sleep 30").timeout(Duration::from_millis(100));
        let failure = run(&slow).unwrap_err();
        assert!(failure.message.contains("did not end within"), "{failure}");
    }

    #[test]
    fn a_bound_holds_for_all_commands_in_it_and_for_none_after() {
        let system = System::under(std::path::Path::new("/"), vec![]);
        let (killed, late) = system.bounded(Duration::from_millis(100), || {
            let killed = system.run_for_real(&sh("sleep 30").timeout(Duration::from_secs(20)));
            (killed, system.run_for_real(&sh("true")))
        });
        assert!(killed.unwrap_err().message.contains("was killed"));
        assert!(late.unwrap_err().message.contains("no time was left"));
        assert!(system.run_for_real(&sh("true")).unwrap().ok());
    }

    #[test]
    fn input_arrives_and_codes_come_back() {
        let output = run(&sh("cat >&2; exit 3").input("secret")).unwrap();
        assert_eq!((output.code, output.stderr.as_str()), (3, "secret"));
        assert_eq!(run(&sh("kill -9 $$")).unwrap().code, 137);
    }

    #[test]
    fn a_missing_program_is_named() {
        let failure = run(&Command::new(["no-such-program"])).unwrap_err();
        assert_eq!(
            failure.message,
            "there is no program `no-such-program` on this host"
        );
    }
}
