//! A server's own log: the lines of its current boot, and its end.
//!
//! A log holds many boots and rotates, and this process may be new: only the lines' own times tell
//! which boot they belong to. A line without a time belongs to the line before it.

use crate::system::{Command, Result, System, tail as last_lines};
use regex::Regex;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// How far back the first look goes, in bytes. A boot writes far less.
const REACH: u64 = 8 << 20;

/// Follows a log from the boot that began at `since`.
pub struct Boot {
    path: PathBuf,
    /// The start in the host's own zone, as the log writes it: `2026-11-23 06:42:48`.
    since: String,
    time: Regex,
    inode: u64,
    offset: u64,
    /// A last line without its end.
    rest: String,
    is_this_boot: bool,
    /// A line of an earlier boot was seen, so the beginning of this one was too.
    older: bool,
    /// The log was too long to be read from its beginning.
    cut: bool,
    /// All that this boot wrote last, for messages.
    last: Vec<String>,
}

impl Boot {
    /// `since` in seconds since the epoch.
    pub fn new(system: &System, path: &Path, since: i64) -> Result<Self> {
        let stamp = format!("@{since}");
        // `date` knows the host's time zone; the server writes its log in the same.
        let since = system.expect(&Command::new([
            "date",
            "--date",
            &stamp,
            "+%Y-%m-%d %H:%M:%S",
        ]))?;
        Ok(Self {
            path: system.locate(path),
            since: since.stdout.trim().to_owned(),
            time: pattern(r"^.{0,60}?\[(\d{4}-\d\d-\d\d)[ T_](\d\d)[:-](\d\d)[:-](\d\d)")?,
            inode: 0,
            offset: 0,
            rest: String::new(),
            is_this_boot: false,
            older: false,
            cut: false,
            last: Vec::new(),
        })
    }

    /// The lines that came since the last call and belong to this boot.
    pub fn news(&mut self) -> Vec<String> {
        let Some(text) = self.read_on() else {
            return Vec::new();
        };
        let text = std::mem::take(&mut self.rest) + &text;
        let (whole, rest) = text.rsplit_once('\n').unwrap_or(("", &text));
        self.rest = rest.to_owned();
        let mut news = Vec::new();
        for line in whole.lines() {
            if let Some(time) = self.time_of(line) {
                self.is_this_boot = time >= self.since;
                self.older |= !self.is_this_boot;
            }
            if self.is_this_boot {
                news.push(line.to_owned());
            }
        }
        self.last.extend(news.iter().cloned());
        self.last = last_lines(&self.last.join("\n"), 200);
        news
    }

    /// Whether this boot's lines were seen from its first one on, as far as this file goes: `None` when
    /// only what was rotated away could tell.
    pub fn is_whole(&self) -> Option<bool> {
        match (self.older, self.cut) {
            (true, _) => Some(true),
            (false, true) => Some(false),
            (false, false) => None,
        }
    }

    /// The last `count` lines of this boot.
    pub fn tail(&self, count: usize) -> Vec<String> {
        self.last[self.last.len().saturating_sub(count)..].to_vec()
    }

    fn time_of(&self, line: &str) -> Option<String> {
        let found = self.time.captures(line)?;
        Some(format!(
            "{} {}:{}:{}",
            &found[1], &found[2], &found[3], &found[4]
        ))
    }

    /// What was appended; from the beginning after a rotation. `None` while there is no log.
    fn read_on(&mut self) -> Option<String> {
        let mut file = File::open(&self.path).ok()?;
        let meta = file.metadata().ok()?;
        if self.inode == 0 {
            self.offset = meta.len().saturating_sub(REACH);
            self.cut = self.offset > 0;
        } else if meta.ino() != self.inode || meta.len() < self.offset {
            self.offset = 0;
            self.rest.clear();
        }
        self.inode = meta.ino();
        file.seek(SeekFrom::Start(self.offset)).ok()?;
        let mut bytes = Vec::new();
        file.take(REACH).read_to_end(&mut bytes).ok()?;
        self.offset += bytes.len() as u64;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// What the line at `at` says, in words, with the deepest cause that the stack trace below it names: "cannot start" says
/// less than "access denied".
pub fn report(lines: &[String], at: usize) -> String {
    let line = lines.get(at).map_or("", |line| line.trim());
    // Carbon's pattern: time, level and class stand before. What has another form stays whole.
    let words = line.split_once("} - ").map_or(line, |(_, words)| words);
    let trace = lines.iter().skip(at + 1).take_while(|l| !begins(l));
    match trace.filter_map(|l| l.strip_prefix("Caused by: ")).last() {
        Some(cause) => format!("{words}: {}", without_class(cause.trim())),
        None => words.to_owned(),
    }
}

/// A line of the log itself, not of a stack trace.
fn begins(line: &str) -> bool {
    line.starts_with('[') || line.starts_with("TID: ")
}

/// `java.sql.SQLException: no` says "no"; a class alone stays.
fn without_class(cause: &str) -> &str {
    match cause.split_once(": ") {
        Some((class, words)) if !class.contains(' ') && class.contains('.') => words,
        _ => cause,
    }
}

/// A regular expression that the program itself wrote, or that a task gave.
pub fn pattern(text: &str) -> Result<Regex> {
    Regex::new(text)
        .map_err(|e| crate::wire::Failure::new(format!("`{text}` is no regular expression: {e}")))
}

/// The last lines of a log, whichever boot they are from; none when there is no log.
pub fn tail(system: &System, path: &Path, count: usize) -> Vec<String> {
    let read = || -> std::io::Result<String> {
        let mut file = File::open(system.locate(path))?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(64 << 10)))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    last_lines(&read().unwrap_or_default(), count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::{Answer, Output};
    use std::io::Write as _;

    fn boot(dir: &Path) -> Boot {
        let answer = Answer {
            argv: "date --date @7".into(),
            output: Output {
                stdout: "2026-11-23 10:00:00\n".into(),
                ..Output::default()
            },
            ..Answer::default()
        };
        Boot::new(&System::under(dir, vec![answer]), Path::new("/log"), 7).unwrap()
    }

    #[test]
    fn a_report_names_the_deepest_cause() {
        let lines: Vec<String> = [
            "TID: [-1234] [] [2026-11-23 10:00:01,002] ERROR {Activator} - Cannot start User Manager",
            "org.wso2.UserStoreException: no realm",
            "\tat org.wso2.Realm.start(Realm.java:7)",
            "Caused by: org.wso2.DatabaseException: no connection",
            "Caused by: java.sql.SQLException: Access denied for user 'apim'",
            "\t... 3 more",
            "[2026-11-23 10:00:02,000] INFO on we go",
        ]
        .map(str::to_owned)
        .into();
        assert_eq!(
            report(&lines, 0),
            "Cannot start User Manager: Access denied for user 'apim'"
        );
        assert_eq!(report(&lines, 6), "[2026-11-23 10:00:02,000] INFO on we go");
    }

    #[test]
    fn only_this_boot_counts_with_its_lines_without_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let mut boot = boot(dir.path());
        assert!(boot.news().is_empty(), "no log yet");
        let old = "[2026-11-23 09:59:59,999] INFO started\n\tat old\n";
        let new = "TID: [-1] [] [2026-11-23 10:00:00,001] INFO booting\n\tat new\nhalf";
        std::fs::write(dir.path().join("log"), format!("{old}{new}")).unwrap();
        assert_eq!(boot.news().len(), 2);
        let mut log = File::options()
            .append(true)
            .open(dir.path().join("log"))
            .unwrap();
        log.write_all(b" a line\n").unwrap();
        assert_eq!(boot.news(), ["half a line"]);
    }

    #[test]
    fn a_rotated_log_is_read_from_its_beginning() {
        let dir = tempfile::tempdir().unwrap();
        let mut boot = boot(dir.path());
        let log = dir.path().join("log");
        std::fs::write(&log, "[2026-11-23 10:00:01,0] one\n").unwrap();
        assert_eq!(boot.news().len(), 1);
        std::fs::rename(&log, dir.path().join("log.1")).unwrap();
        std::fs::write(&log, "[2026-11-23 10:00:02,0] two\n").unwrap();
        assert_eq!(boot.news(), ["[2026-11-23 10:00:02,0] two"]);
    }
}
