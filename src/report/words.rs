//! Words shared by the listeners: how a step, a difference, a duration and a size are said.

use crate::event::{Evidence, Phase, StepEnded, Times};
use crate::wire::{Diff, Failure, Outcome};
use console::{StyledObject, style};
use std::time::Duration;

/// Columns that stand: how wide names of hosts are padded, and the words for outcomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Columns {
    pub host: usize,
    word: usize,
}

impl Default for Columns {
    fn default() -> Self {
        Self::of(&[], false)
    }
}

impl Columns {
    /// A name beyond the widest column shifts its own line only.
    pub fn of(hosts: &[String], check: bool) -> Self {
        let longest = hosts.iter().map(|h| h.chars().count()).max().unwrap_or(0);
        Self {
            host: longest.clamp(12, 32),
            word: if check { "would change" } else { "changed " }.len(),
        }
    }

    /// `host  word  text`. Padded before it is styled: escape codes have a length too.
    pub fn row(
        self,
        host: &str,
        word: &str,
        as_: fn(StyledObject<String>) -> StyledObject<String>,
        text: &str,
    ) -> String {
        let word = as_(style(format!("{word:<width$}", width = self.word)));
        format!("{host:<width$} {word} {text}", width = self.host)
    }
}

/// `changed`, `ok`, ...
pub fn outcome(outcome: &Outcome, ignored: bool) -> &'static str {
    match outcome {
        Outcome::Unchanged => "ok",
        Outcome::Changed(_) => "changed",
        Outcome::Skipped(_) => "skipped",
        Outcome::Failed(_) if ignored => "ignored",
        Outcome::Failed(_) => "FAILED",
    }
}

/// One line for a step, coloured where the terminal wants it.
pub fn step(ended: &StepEnded, columns: Columns, check: bool) -> String {
    let word = match (&ended.outcome, check) {
        (Outcome::Changed(_), true) => "would change",
        (other, _) => outcome(other, ended.ignored),
    };
    let mut text = title(ended);
    let detail = detail(&ended.outcome);
    if !detail.is_empty() {
        text.push_str(": ");
        text.push_str(&detail);
    }
    if ended.took >= Duration::from_secs(1) {
        text.push_str(&format!("  ({})", duration(ended.took)));
    }
    let as_ = match &ended.outcome {
        Outcome::Changed(_) => StyledObject::yellow,
        Outcome::Failed(_) if !ended.ignored => |word: StyledObject<String>| word.red().bold(),
        Outcome::Unchanged => StyledObject::green,
        _ => StyledObject::dim,
    };
    columns.row(&ended.host, word, as_, &text)
}

pub fn title(ended: &StepEnded) -> String {
    match &ended.item {
        Some(item) => format!("{} ({})", ended.title, brief(item)),
        None => ended.title.clone(),
    }
}

fn detail(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Changed(changes) => several(changes),
        Outcome::Skipped(reason) => brief(reason),
        _ => String::new(),
    }
}

/// Up to three changes, and how many more. What is said twice in a row is said once.
fn several(changes: &[String]) -> String {
    const SHOWN: usize = 3;
    let mut phrases: Vec<String> = changes.iter().map(|c| brief(c)).collect();
    phrases.dedup();
    let more = phrases.len().saturating_sub(SHOWN);
    phrases.truncate(SHOWN);
    let shown = phrases.join(", ");
    match more {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// One line, and not a long one: scripts and mappings are shown by how they begin.
pub fn brief(text: &str) -> String {
    const LONGEST: usize = 80;
    let text = tame(text.trim());
    let line = text.lines().next().unwrap_or_default().trim_end();
    let cut: String = line.chars().take(LONGEST).collect();
    if cut.len() < text.len() {
        format!("{} ...", cut.trim_end())
    } else {
        cut
    }
}

/// A failure as a block: what, where, the lines worth reading, the advice.
pub fn failure(host: &str, what: &str, place: &str, failure: &Failure) -> String {
    let message = &failure.message;
    // Those about a connection name the host themselves, with its address.
    let host = match message.strip_prefix(host) {
        Some(rest) if rest.starts_with([' ', ':']) => String::new(),
        _ => format!("{host}: "),
    };
    let mut text = format!("{}: {host}{message}", style("error").red().bold());
    if !what.is_empty() {
        text.push_str(&format!("\n  in   {what}"));
    }
    if !place.is_empty() {
        text.push_str(&format!("\n  at   {place}"));
    }
    for line in &failure.detail {
        text.push_str(&format!("\n     {} {line}", style("|").blue()));
    }
    if let Some(help) = &failure.help {
        for (at, line) in help.lines().enumerate() {
            let mark = if at == 0 { "help" } else { "    " };
            text.push_str(&format!("\n  {} {line}", style(mark).cyan()));
        }
    }
    text
}

/// A node on its way through a rollout.
pub fn moved(
    columns: Columns,
    host: &str,
    phase: Phase,
    failure: Option<&str>,
    took: Duration,
) -> String {
    let text = match (phase, failure) {
        (Phase::TakenOut, None) => "out of rotation".to_owned(),
        (Phase::PutBack, None) => "in rotation".to_owned(),
        (Phase::Soaked, None) => format!("healthy for {}", duration(took)),
        (Phase::Restored, None) => "the old state is back".to_owned(),
        (Phase::TakenOut, Some(why)) => format!("not out of rotation: {why}"),
        (Phase::PutBack, Some(why)) => format!("not in rotation: {why}"),
        (Phase::Soaked, Some(why)) => format!("not healthy any more: {why}"),
        (Phase::Restored, Some(why)) => format!("the old state is not back: {why}"),
    };
    let as_ = match failure {
        None => StyledObject::cyan,
        Some(_) => |word: StyledObject<String>| word.red().bold(),
    };
    let text = match phase {
        Phase::Soaked => text,
        _ if took >= Duration::from_secs(1) => format!("{text}  ({})", duration(took)),
        _ => text,
    };
    columns.row(host, "rollout", as_, &tame(&text))
}

/// Why a rollout stopped, and where it left each host.
pub fn rolled_out(
    columns: Columns,
    cluster: &str,
    why: &str,
    hosts: &[(String, String)],
) -> Vec<String> {
    let head = style("error").red().bold();
    let mut lines = vec![format!(
        "{head}: the rollout of {cluster} stopped: {}",
        tame(why)
    )];
    let rows = hosts
        .iter()
        .map(|(host, what)| format!("  {host:<width$} {}", tame(what), width = columns.host));
    lines.extend(rows);
    lines
}

/// What clients met, and how many nodes they had.
pub fn evidence(columns: Columns, seen: &Evidence) -> String {
    let mut text = match seen.sent {
        0 => String::new(),
        sent => {
            let failed = match (seen.failed, &seen.failure) {
                (0, _) => "none failed".to_owned(),
                (failed, Some(why)) => format!("{failed} FAILED (the last: {why})"),
                (failed, None) => format!("{failed} FAILED"),
            };
            let times = times(seen.before, seen.during);
            format!("{sent} requests through the balancers, {failed}{times}; ")
        }
    };
    text.push_str(&format!(
        "at least {} of {} in service, {} promised",
        seen.least,
        count(seen.of, "node"),
        seen.promised
    ));
    let as_ = match seen.failed == 0 && seen.least >= seen.promised {
        true => StyledObject::cyan,
        false => |word: StyledObject<String>| word.red().bold(),
    };
    columns.row(&seen.cluster, "evidence", as_, &tame(&text))
}

fn times(before: Option<Times>, during: Option<Times>) -> String {
    let Some(during) = during else {
        return String::new();
    };
    let was = |of: fn(&Times) -> Duration| {
        before.map_or_else(String::new, |b| format!(" (before {})", millis(of(&b))))
    };
    format!(
        ", p50 {}{}, p99 {}{}",
        millis(during.p50),
        was(|t| t.p50),
        millis(during.p99),
        was(|t| t.p99)
    )
}

fn millis(time: Duration) -> String {
    match time.as_millis() {
        0..10 => format!("{:.1} ms", time.as_secs_f64() * 1000.0),
        whole => format!("{whole} ms"),
    }
}

/// A unified difference with three lines around each change.
pub fn diff(diff: &Diff) -> String {
    let changes = similar::TextDiff::from_lines(&diff.before, &diff.after);
    let mut text = format!("--- {0}\n+++ {0}\n", diff.path);
    for hunk in changes.unified_diff().context_radius(3).iter_hunks() {
        for line in hunk.to_string().lines() {
            let line = match line.as_bytes().first() {
                Some(b'+') => style(line).green(),
                Some(b'-') => style(line).red(),
                Some(b'@') => style(line).cyan(),
                _ => style(line),
            };
            text.push_str(&format!("{line}\n"));
        }
    }
    text.trim_end().to_owned()
}

/// Rows below a head, in columns as wide as their widest cell. The first line is the head.
pub fn columns<const N: usize>(head: &[&str; N], rows: &[[String; N]]) -> Vec<String> {
    let width = |at: usize| {
        let cells = rows.iter().map(|row| row[at].chars().count());
        cells.chain([head[at].len()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..N).map(width).collect();
    let line = |cells: Vec<&str>| {
        let padded = cells.iter().zip(&widths);
        let padded = padded.map(|(cell, width)| format!("{cell:<width$}"));
        let line: Vec<String> = padded.collect();
        line.join("  ").trim_end().to_owned()
    };
    let rows = rows
        .iter()
        .map(|row| line(row.iter().map(String::as_str).collect()));
    std::iter::once(line(head.to_vec())).chain(rows).collect()
}

/// `0.4 s`, `12.3 s`, `4 min 05 s`.
pub fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    if seconds < 60 {
        format!("{:.1} s", duration.as_secs_f64())
    } else {
        format!("{} min {:02} s", seconds / 60, seconds % 60)
    }
}

/// `512 B`, `3.4 MB`.
pub fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{} kB", bytes / 1_000),
        _ => format!("{}.{} MB", bytes / 1_000_000, bytes % 1_000_000 / 100_000),
    }
}

/// `1 host`, `3 hosts`.
pub fn count(number: usize, noun: &str) -> String {
    if number == 1 {
        format!("1 {noun}")
    } else {
        format!("{number} {noun}s")
    }
}

/// What a host says is shown, never obeyed: control characters become visible.
pub fn tame(text: &str) -> String {
    text.chars()
        .map(|c| {
            if c.is_control() && c != '\n' && c != '\t' {
                '\u{fffd}'
            } else {
                c
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes_in_words() {
        assert_eq!(duration(Duration::from_millis(420)), "0.4 s");
        assert_eq!(duration(Duration::from_secs(245)), "4 min 05 s");
        assert_eq!(size(999), "999 B");
        assert_eq!(size(3_450_000), "3.4 MB");
        assert_eq!(count(1, "host"), "1 host");
    }

    #[test]
    fn a_step_is_one_line() {
        let said = |changes: &[&str]| {
            several(&changes.iter().map(|c| (*c).to_owned()).collect::<Vec<_>>())
        };
        assert_eq!(said(&["stop", "swap a", "swap b"]), "stop, swap a, swap b");
        assert_eq!(
            said(&["stop", "swap a", "swap b", "start"]),
            "stop, swap a, swap b and 1 more"
        );
        assert_eq!(
            said(&["hidden (no_log)", "hidden (no_log)"]),
            "hidden (no_log)"
        );
        assert_eq!(said(&["run set -eu\nrm -rf tmp\n"]), "run set -eu ...");
        assert_eq!(brief("  a word\n"), "a word");
        assert_eq!(brief(&"x".repeat(81)).len(), 84);
    }

    #[test]
    fn a_host_cannot_move_the_cursor() {
        assert_eq!(tame("a\u{1b}[2Jb"), "a\u{fffd}[2Jb");
    }
}
