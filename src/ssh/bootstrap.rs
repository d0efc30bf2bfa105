//! Bringing the worker: the only shell this product ever sends, and the talk until the first frame.
//!
//! One command does everything: it finds the cached program or asks for it, makes sure that nobody else
//! could have put it there, and becomes it, through sudo when asked to. Shell start-up files may speak
//! at any time, so only marked lines count, and what else was said is kept for the error message.

use super::pipe::{Ear, Ending, Heard, Mouth};
use super::session::{Diary, Session};
use super::worker::Build;
use super::{Lost, Target, Worker, sudo};
use crate::wire::{BUSY, Failure, FromWorker, MARKER, SORRY, decode, frame_length};
use std::hash::{BuildHasher as _, RandomState};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// Begins each line that the script means for us.
const WORD: &str = "APIM-DEPLOY-SETUP ";

/// POSIX shell on one line, with neither single quotes, backslashes nor exclamation marks: any login shell,
/// csh and fish too, hands it on unchanged. Arguments: the builds as `ARCH:DIGEST:SIZE`, how to become
/// root (`plain`, `never` asking for a password, `ask`), sudo's prompt, the user to become, directories.
const SCRIPT: &[&str] = &[
    // sudo's complaints are understood in English only.
    "umask 077; export LC_MESSAGES=C;",
    "builds=$1; how=$2; prompt=$3; user=$4; shift 4;",
    "tell() { echo; echo \"APIM-DEPLOY-SETUP $*\"; };",
    // The build for this processor.
    "arch=$(uname -m); build=;",
    "for b in $builds; do case $b in $arch:*) build=${b#*:};; esac; done;",
    "if [ -z \"$build\" ]; then tell machine $arch; exit 1; fi;",
    "size=${build#*:}; name=apim-deploy-${build%%:*};",
    // What to become in the end.
    "if [ $how = plain ] || [ \"$(id -u)\" = 0 ]; then how=plain; fi;",
    "run() { case $how in",
    "plain) exec \"$file\" worker ${user:+--as \"$user\"};;",
    "never) exec sudo -H -n -- \"$file\" worker ${user:+--as \"$user\"};;",
    "ask) exec sudo -H -S -p \"$prompt\" -- \"$file\" worker ${user:+--as \"$user\"};;",
    "esac; };",
    "place() { case $1 in \"~/\"*) dir=$HOME/${1#\"~/\"};; *) dir=$1;; esac; file=$dir/$name; };",
    // Ours, and writable by nobody else: the program may be about to run as root.
    "ours() { [ -d \"$dir\" ] && [ -O \"$dir\" ] && case $(ls -ld \"$dir\") in d????-??-*) true;; *) false;; esac; };",
    "whole() { [ -f \"$1\" ] && [ -O \"$1\" ] && [ $(wc -c <\"$1\") = $size ]; };",
    "for d in \"$@\"; do place \"$d\"; if ours && whole \"$file\" && [ -x \"$file\" ]; then tell have; run; fi; done;",
    "for d in \"$@\"; do place \"$d\";",
    "mkdir -p \"$dir\" 2>/dev/null;",
    "if ours; then :; else tell skip \"$dir\" is not a directory that only this user may write to; continue; fi;",
    // An empty script tells whether anything may be executed here.
    "probe=$dir/probe.$$;",
    "if { echo >\"$probe\" && chmod 700 \"$probe\"; } 2>/dev/null; then :; else tell skip \"$dir\" cannot be written to; rm -f \"$probe\"; continue; fi;",
    "\"$probe\" 2>/dev/null; code=$?; rm -f \"$probe\";",
    "if [ $code = 126 ]; then tell skip \"$dir\" is on a file system that executes nothing \"(noexec)\"; continue; fi;",
    "part=$file.$$; tell need $arch; read -r length;",
    "if head -c \"$length\" | gzip -dc >\"$part\" && whole \"$part\" && chmod 700 \"$part\" && mv -f \"$part\" \"$file\"; then run; fi;",
    "rm -f \"$part\"; tell unwritten \"$dir\" on $(df -P \"$dir\" | tail -n 1); exit 1;",
    "done; tell nowhere; exit 1",
];

/// What the login shell is asked to run.
pub fn command(target: &Target, worker: &Worker, prompt: &str) -> String {
    let builds: Vec<_> = worker
        .builds()
        .iter()
        .map(|build| format!("{}:{}:{}", build.architecture, build.digest, build.size))
        .collect();
    let how = match (target.r#become, &target.become_password) {
        (false, _) => "plain",
        (true, None) => "never",
        (true, Some(_)) => "ask",
    };
    let mut words = vec![
        SCRIPT.join(" "),
        "sh".into(),
        builds.join(" "),
        how.into(),
        prompt.into(),
    ];
    words.push(dropped_to(target).unwrap_or_default().to_owned());
    words.extend(places(target));
    let quoted: Vec<_> = words.iter().map(|word| quote(word)).collect();
    format!("exec sh -c {}", quoted.join(" "))
}

/// Where the worker is kept when nobody says: the home first, since `/var/tmp` is shared.
const USUAL_PLACES: [&str; 2] = ["~/.cache/apim-deploy", "/var/tmp/apim-deploy-$USER"];

fn places(target: &Target) -> Vec<String> {
    let named = target.remote_dirs.iter().map(String::as_str);
    let usual = USUAL_PLACES
        .into_iter()
        .filter(|_| target.remote_dirs.is_empty());
    named
        .chain(usual)
        .map(|dir| dir.replace("$USER", &target.user))
        .collect()
}

/// Whom root gives its rights up for; `None` stays root, or never was.
pub fn dropped_to(target: &Target) -> Option<&str> {
    let user = target.become_user.as_str();
    (target.r#become && user != "root" && !user.is_empty()).then_some(user)
}

fn quote(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\"'\"'"))
}

/// Told apart from everything else that a host may print.
pub fn unique_prompt() -> String {
    format!("[apim-deploy-{:016x}]", RandomState::new().hash_one(0))
}

/// Runs the script on a fresh channel and talks until the worker says hello.
pub async fn over_ssh(
    target: &Target,
    worker: &Arc<Worker>,
    mouth: Mouth,
    ear: Ear,
    phase: &(impl Fn(&str) + Send + Sync),
) -> Result<Session, Lost> {
    let prompt = unique_prompt();
    if let Mouth::Channel(half, _) = &mouth {
        let command = command(target, worker, &prompt);
        half.exec(true, command).await.map_err(|e| {
            Lost::Unreachable(Failure::new(format!("{} was lost: {e}", target.shown())))
        })?;
    }
    phase("starting");
    Talk::new(target, worker, mouth, ear, prompt)
        .until_hello(phase)
        .await
}

/// The conversation before the first frame.
pub struct Talk<'a> {
    target: &'a Target,
    worker: &'a Arc<Worker>,
    mouth: Mouth,
    ear: Ear,
    prompt: String,
    /// Of stdout, what has not been understood yet.
    buffer: Vec<u8>,
    /// Lines of stdout that mean nothing to us.
    chatter: Diary,
    diary: Diary,
    /// Directories that will not do, and why.
    skipped: Vec<String>,
    password_given: bool,
    /// Bytes heard so far.
    heard: usize,
    turns: u32,
}

/// What a line of stdout asks of us.
enum Cue {
    Send(String),
    /// The marker: frames from here on.
    Ready,
    Nothing,
}

/// A line that never ends is cut here, in bytes.
const LONGEST_LINE: usize = 64 << 10;
/// What a host may say before the first frame, in bytes; banners are shorter.
const MOST_CHATTER: usize = 4 << 20;
/// How much is sent before the time limit starts anew, in bytes.
const PIECE: usize = 32 << 10;

impl<'a> Talk<'a> {
    pub fn new(
        target: &'a Target,
        worker: &'a Arc<Worker>,
        mouth: Mouth,
        ear: Ear,
        prompt: String,
    ) -> Self {
        Self {
            target,
            worker,
            mouth,
            ear,
            prompt,
            buffer: Vec::new(),
            chatter: Diary::default(),
            diary: Diary::default(),
            skipped: Vec::new(),
            password_given: false,
            heard: 0,
            turns: 1,
        }
    }

    pub async fn until_hello(
        mut self,
        phase: &(impl Fn(&str) + Send + Sync),
    ) -> Result<Session, Lost> {
        loop {
            match self.next_cue()? {
                Some(Cue::Ready) => break,
                Some(Cue::Send(architecture)) => {
                    phase("sending the worker");
                    self.send_worker(&architecture).await?;
                    phase("starting");
                }
                Some(Cue::Nothing) => {}
                None => self.listen().await?,
            }
        }
        let hello = self.hello().await?;
        self.check(&hello)?;
        Session::open(
            self.target,
            self.mouth,
            self.ear,
            hello,
            self.buffer,
            self.diary,
            self.turns,
        )
    }

    /// Waits for something to be said, and keeps it.
    async fn listen(&mut self) -> Result<(), Lost> {
        let limit = self.target.idle_timeout;
        match timeout(limit, self.ear.hear()).await {
            Ok(heard) => self.keep(heard)?,
            Err(_) => return Err(self.silent()),
        }
        self.answer_prompt().await
    }

    fn keep(&mut self, heard: Heard) -> Result<(), Lost> {
        if let Heard::Out(bytes) | Heard::Err(bytes) = &heard {
            self.heard += bytes.len();
        }
        if self.heard > MOST_CHATTER {
            return Err(Lost::Refused(self.endless()));
        }
        match heard {
            Heard::Out(bytes) => self.buffer.extend(bytes),
            Heard::Err(bytes) => self.diary.hear(&bytes),
            Heard::Ended(ending) => return Err(self.not_started(&ending)),
        }
        Ok(())
    }

    /// The password goes out only when sudo asks, and only once: sent unasked it would
    /// reach the worker's stdin where sudo asks for none.
    async fn answer_prompt(&mut self) -> Result<(), Lost> {
        if !self.diary.take_prompt(&self.prompt) {
            return Ok(());
        }
        let password = match &self.target.become_password {
            Some(password) if !self.password_given => password,
            _ => {
                return Err(Lost::Refused(
                    sudo::wrong_password(self.target).detail(self.diary.lines()),
                ));
            }
        };
        self.password_given = true;
        self.turns += 1;
        let line = format!("{}\n", password.expose()).into_bytes();
        self.mouth
            .send(line)
            .await
            .map_err(|e| self.cut_off(&e.to_string()))
    }

    /// Understands the next line of stdout, when one is complete.
    fn next_cue(&mut self) -> Result<Option<Cue>, Lost> {
        let end = match self.buffer.iter().position(|b| *b == b'\n') {
            Some(end) => end,
            None if self.buffer.len() > LONGEST_LINE => LONGEST_LINE,
            None => return Ok(None),
        };
        let line: Vec<u8> = self.buffer.drain(..=end).collect();
        let line = String::from_utf8_lossy(&line).trim_end().to_owned();
        if line == MARKER {
            return Ok(Some(Cue::Ready));
        }
        match line.strip_prefix(WORD) {
            Some(said) => self.heed(said).map(Some),
            None => {
                self.chatter.add(&line);
                Ok(Some(Cue::Nothing))
            }
        }
    }

    /// The script's own words.
    fn heed(&mut self, said: &str) -> Result<Cue, Lost> {
        let (word, rest) = said.split_once(' ').unwrap_or((said, ""));
        match word {
            "need" => Ok(Cue::Send(rest.to_owned())),
            "skip" => {
                self.skipped.push(rest.to_owned());
                Ok(Cue::Nothing)
            }
            "machine" => Err(Lost::Refused(self.foreign(rest))),
            "unwritten" => Err(Lost::Refused(self.unwritten(rest))),
            "nowhere" => Err(Lost::Refused(self.nowhere())),
            _ => Ok(Cue::Nothing),
        }
    }

    /// Listens while it sends: a script that gave up reads no further, and says why.
    async fn send_worker(&mut self, architecture: &str) -> Result<(), Lost> {
        let packed = self.pack(architecture).await?;
        self.turns += 1;
        let (sent, meanwhile) = send_and_listen(
            &mut self.mouth,
            &mut self.ear,
            &packed,
            self.target.idle_timeout,
        )
        .await;
        for heard in meanwhile {
            self.keep_or_explain(heard)?;
        }
        sent.map_err(|e| self.cut_off(&e.to_string()))
    }

    /// The script's last words come before its end: they are understood first.
    fn keep_or_explain(&mut self, heard: Heard) -> Result<(), Lost> {
        if matches!(heard, Heard::Ended(_)) {
            while self.next_cue()?.is_some() {}
        }
        self.keep(heard)
    }

    async fn pack(&self, architecture: &str) -> Result<Arc<Vec<u8>>, Lost> {
        let worker = Arc::clone(self.worker);
        let architecture = architecture.to_owned();
        let packing =
            tokio::task::spawn_blocking(move || worker.build_for(&architecture).map(Build::packed));
        match packing.await {
            Ok(Some(packed)) => packed.map_err(Lost::Refused),
            Ok(None) | Err(_) => Err(Lost::Refused(self.foreign("unknown"))),
        }
    }

    async fn hello(&mut self) -> Result<FromWorker, Lost> {
        let garbled = |e: &dyn std::fmt::Display| {
            Failure::new(format!(
                "the worker on {} greets in a way that cannot be read: {e}",
                self.target.shown()
            ))
        };
        loop {
            if let Some(header) = self.buffer.first_chunk::<4>() {
                let length = frame_length(*header).map_err(|e| Lost::Refused(garbled(&e)))?;
                if self.buffer.len() >= 4 + length {
                    let hello = decode(&self.buffer[4..4 + length])
                        .map_err(|e| Lost::Refused(garbled(&e)))?;
                    self.buffer.drain(..4 + length);
                    return Ok(hello);
                }
            }
            self.listen().await?;
        }
    }

    /// The program says itself what it is: a file that somebody exchanged gives itself away.
    fn check(&self, hello: &FromWorker) -> Result<(), Lost> {
        match hello {
            FromWorker::Hello { digest, .. } if self.worker.builds().iter().any(|b| b.digest == *digest) => Ok(()),
            _ => Err(Lost::Refused(
                Failure::new(format!("the worker on {} is not the program that was sent", self.target.shown()))
                    .help("somebody changed the file on the host: find out who, and remove it from the directories of `apim_deploy_remote_dir`"),
            )),
        }
    }

    fn foreign(&self, architecture: &str) -> Failure {
        let have: Vec<_> = self
            .worker
            .builds()
            .iter()
            .map(|b| b.architecture.as_str())
            .collect();
        Failure::new(format!(
            "{} is of the architecture {architecture}, and this program brings workers for {} only",
            self.target.shown(),
            have.join(", ")
        ))
        .help(format!(
            "put the release's `apim-deploy-linux-{architecture}` beside the `apim-deploy` you run"
        ))
    }

    fn unwritten(&self, place: &str) -> Failure {
        let (dir, file_system) = place.split_once(" on ").unwrap_or((place, "unknown"));
        Failure::new(format!("the worker could not be written to {dir} on {}", self.target.shown()))
            .detail([format!("file system: {file_system}")])
            .detail(self.diary.lines())
            .help(format!("free space there (`df -h {dir}`), or name another directory with `apim_deploy_remote_dir`"))
    }

    fn nowhere(&self) -> Failure {
        Failure::new(format!("{} has no place where the worker may be put and executed", self.target.shown()))
            .detail(self.skipped.iter().cloned())
            .help("name a directory of the login user, on a file system mounted without noexec, with `apim_deploy_remote_dir`")
    }

    fn endless(&self) -> Failure {
        Failure::new(format!(
            "{} talks without end and does not get to the worker",
            self.target.shown()
        ))
        .detail(self.last_words())
        .help("look into the user's shell start-up files")
    }

    fn silent(&self) -> Lost {
        let limit = self.target.idle_timeout.as_secs();
        Lost::Unreachable(
            Failure::new(format!("{} said nothing for {limit} s while the worker was started", self.target.shown()))
                .detail(self.last_words())
                .help("sudo or a shell start-up file may be waiting for something: log in by hand and run `sudo -n true`"),
        )
    }

    fn cut_off(&self, why: &str) -> Lost {
        Lost::Unreachable(
            Failure::new(format!(
                "the connection to {} was lost while the worker was started: {why}",
                self.target.shown()
            ))
            .detail(self.last_words()),
        )
    }

    fn last_words(&self) -> Vec<String> {
        [self.chatter.lines(), self.diary.lines()].concat()
    }

    /// The host ended the conversation; somewhere in its last words is the reason.
    fn not_started(&self, ending: &Ending) -> Lost {
        if let Some(busy) = self.diary.failure_after(BUSY) {
            return Lost::Busy(self.on_host(busy));
        }
        if let Some(sorry) = self.diary.failure_after(SORRY) {
            return Lost::Refused(self.on_host(sorry));
        }
        if let Ending::CutOff(why) = ending {
            return self.cut_off(why);
        }
        let lines = self.diary.lines();
        if let Some(failure) = sudo::complaint(&lines, self.target) {
            return Lost::Refused(failure);
        }
        if self.password_given
            && lines
                .iter()
                .any(|line| line.contains("try again") || line.contains("incorrect password"))
        {
            return Lost::Refused(sudo::wrong_password(self.target).detail(lines));
        }
        Lost::Refused(self.not_executed(ending))
    }

    fn on_host(&self, mut failure: Failure) -> Failure {
        failure.message = format!("{}: {}", self.target.shown(), failure.message);
        failure
    }

    fn not_executed(&self, ending: &Ending) -> Failure {
        let lines = self.last_words();
        let said = |word: &str| lines.iter().any(|line| line.contains(word));
        let host = self.target.shown();
        let failure = if said("xec format error") {
            Failure::new(format!(
                "{host} cannot execute the worker: its processor is another one than it says"
            ))
        } else if said("ermission denied")
            || said("Operation not permitted")
            || said("unable to execute")
        {
            Failure::new(format!("{host} does not let the worker be executed"))
                .help("a mount with noexec, SELinux or fapolicyd may forbid it (`journalctl -t fapolicyd`): allow the program, or name another directory with `apim_deploy_remote_dir`")
        } else {
            Failure::new(format!("the worker did not start on {host}: {ending}"))
                .help("log in by hand: the account needs a working shell and `sh`, `head`, `gzip`")
        };
        failure.detail(lines)
    }
}

/// Sends the length and the bytes. Listens meanwhile, and stops when the script gives up or ends: what it
/// said on the way out explains more than our broken pipe.
async fn send_and_listen(
    mouth: &mut Mouth,
    ear: &mut Ear,
    packed: &[u8],
    limit: Duration,
) -> (std::io::Result<()>, Vec<Heard>) {
    let mut sending = pin!(async move {
        mouth
            .send(format!("{}\n", packed.len()).into_bytes())
            .await?;
        for piece in packed.chunks(PIECE) {
            timeout(limit, mouth.send(piece.to_vec())).await??;
        }
        Ok(())
    });
    let mut meanwhile = Vec::new();
    loop {
        tokio::select! {
            sent = &mut sending => return (sent, meanwhile),
            heard = ear.hear() => {
                let over = gave_up(&heard);
                meanwhile.push(heard);
                if over {
                    return (Ok(()), meanwhile);
                }
            }
        }
    }
}

/// Whether the script reads no further.
fn gave_up(heard: &Heard) -> bool {
    match heard {
        Heard::Ended(_) => true,
        Heard::Out(bytes) => String::from_utf8_lossy(bytes).contains("APIM-DEPLOY-SETUP unwritten"),
        Heard::Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ssh::Secret;
    use std::process::Command;

    fn target() -> Target {
        Target {
            name: "gw-1".into(),
            address: "10.0.0.5".into(),
            port: 22,
            user: "deploy".into(),
            local: false,
            private_key: None,
            passphrase: None,
            password: None,
            known_hosts: vec![],
            r#become: true,
            become_user: "wso2".into(),
            become_password: Some(Secret::new("hunter2")),
            remote_dirs: vec!["~/.cache/apim-deploy".into(), "/var/tmp/it's-$USER".into()],
            connect_timeout: Duration::from_secs(1),
            idle_timeout: Duration::from_secs(1),
        }
    }

    #[test]
    fn any_login_shell_hands_the_script_on_unchanged() {
        let script = SCRIPT.join(" ");
        assert_eq!(script.find(['\'', '\\', '!', '\n']), None);
        for shell in ["sh", "bash"] {
            let output = Command::new(shell)
                .args(["-n", "-c", &script])
                .output()
                .unwrap();
            assert!(
                output.status.success(),
                "{shell}: {}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
    }

    /// Auditors may ask what exactly is sent to their shells. This is it.
    #[test]
    fn the_script_is_exactly_this() {
        insta::assert_snapshot!(SCRIPT.join("\n"));
    }

    #[test]
    fn arguments_are_quoted_and_hold_no_secret() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let worker = Worker::from_file(file.path()).unwrap();
        let command = command(&target(), &worker, "[prompt]");
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let machine = &worker.builds()[0].architecture;
        let arguments = format!(
            "'sh' '{machine}:{empty}:0' 'ask' '[prompt]' 'wso2' '~/.cache/apim-deploy' '/var/tmp/it'\"'\"'s-deploy'"
        );
        assert!(command.ends_with(&arguments), "{command}");
        assert!(!command.contains("hunter2"));
    }
}
