//! What the rules say, as one table: what was found with its fix, then how much was looked at.

use super::words;
use crate::event::{Judged, Judgement, Unjudged};
use console::{StyledObject, Term, style};

/// Columns of the table; that of the hosts is as wide as its widest cell.
const RULE: usize = 15;
const SEVERITY: usize = 9;
const HOSTS: usize = 16;

/// A cell names no more hosts than fit into this.
const CELL: usize = 32;

/// More hosts or rules than this are counted, not named.
const NAMED: usize = 6;

/// All of it, and a line that counts.
pub fn table(judgement: &Judgement) -> Vec<String> {
    let mut lines = findings(judgement);
    lines.push(sum(judgement));
    lines
}

/// What was found and what could not be judged: no line when all is well.
pub fn findings(judgement: &Judgement) -> Vec<String> {
    let mut lines = rows(judgement);
    lines.extend(judgement.unjudged.iter().map(unjudged));
    lines
}

fn rows(judgement: &Judgement) -> Vec<String> {
    if judgement.found.is_empty() {
        return vec![];
    }
    let cells = judgement.found.iter().map(|judged| cell(&judged.hosts));
    let wide = cells.map(|cell| cell.chars().count()).max();
    let wide = wide.unwrap_or(0).max(HOSTS);
    let head = format!(
        "{:<RULE$} {:<SEVERITY$} {:<wide$} {}",
        "rule", "severity", "hosts", "finding"
    );
    let rows = judgement.found.iter().flat_map(|judged| row(judged, wide));
    std::iter::once(style(head).bold().to_string())
        .chain(rows)
        .collect()
}

type Colour = fn(StyledObject<String>) -> StyledObject<String>;

fn row(judged: &Judged, wide: usize) -> Vec<String> {
    let (word, as_): (_, Colour) = match judged {
        Judged {
            accepted: Some(_), ..
        } => ("accepted", StyledObject::dim),
        Judged { is_error: true, .. } => ("error", |word| word.red().bold()),
        _ => ("warning", StyledObject::yellow),
    };
    let hosts = cell(&judged.hosts);
    let indent = RULE + SEVERITY + wide + 3;
    let mut text = vec![words::tame(&judged.found)];
    text.extend(judged.place.iter().map(|place| format!("at {place}")));
    text.push(match &judged.accepted {
        Some(reason) => format!("accepted: {}", words::tame(reason)),
        None => format!("fix: {}", judged.fix),
    });
    let mut lines = text.iter().flat_map(|text| wrapped(text, indent));
    let first = lines.next().unwrap_or_default();
    // Padded before it is styled: escape codes have a length too.
    let word = as_(style(format!("{word:<SEVERITY$}")));
    let head = format!("{:<RULE$} {word} {hosts:<wide$} {first}", judged.rule);
    let rest = lines.map(|line| format!("{:indent$}{line}", ""));
    std::iter::once(head).chain(rest).collect()
}

fn unjudged(unjudged: &Unjudged) -> String {
    let on = match unjudged.hosts.as_slice() {
        [] => String::new(),
        hosts => format!(" on {}", several(hosts)),
    };
    format!(
        "not judged{on}: {} ({})",
        words::tame(&unjudged.why),
        several(&unjudged.rules)
    )
}

fn sum(judgement: &Judgement) -> String {
    let count = |of: fn(&Judged) -> bool| judgement.found.iter().filter(|j| of(j)).count();
    let accepted = count(|j| j.accepted.is_some());
    let errors = count(|j| j.is_error);
    let warnings = judgement.found.len() - accepted - errors;
    let mut blind: Vec<&String> = judgement.unjudged.iter().flat_map(|u| &u.rules).collect();
    blind.sort_unstable();
    blind.dedup();
    format!(
        "{} passed, {} not judged everywhere; {}, {}, {accepted} accepted",
        words::count(judgement.passed, "rule"),
        blind.len(),
        words::count(errors, "error"),
        words::count(warnings, "warning"),
    )
}

fn several(names: &[String]) -> String {
    match names.len() {
        0..=NAMED => names.join(", "),
        more => format!("{} and {} more", names[..NAMED].join(", "), more - NAMED),
    }
}

/// As many names as fit, one at least; the others are counted.
fn cell(hosts: &[String]) -> String {
    let named = |count: usize| match hosts.len() - count {
        0 => hosts.join(", "),
        more => format!("{} and {more} more", hosts[..count].join(", ")),
    };
    let fits = |count: &usize| named(*count).chars().count() <= CELL;
    let most = (1..=hosts.len()).rev().find(fits);
    named(most.unwrap_or(hosts.len().min(1)))
}

/// Cut between words where a terminal would cut anywhere; a pipe gets whole lines.
fn wrapped(text: &str, indent: usize) -> Vec<String> {
    let width = match Term::stdout().size_checked() {
        Some((_, columns)) => usize::from(columns).saturating_sub(indent).max(40),
        None => usize::MAX,
    };
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let Some(line) = lines.last_mut() else { break };
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > width {
            lines.push(word.to_owned());
        } else {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(rule: &str, hosts: &[&str]) -> Judged {
        Judged {
            rule: rule.into(),
            is_error: true,
            hosts: hosts.iter().map(ToString::to_string).collect(),
            found: "apim_db is H2".into(),
            place: Some("apim-1:/x/deployment.toml:3:7".into()),
            why: String::new(),
            fix: "name a schema".into(),
            accepted: None,
        }
    }

    #[test]
    fn columns_stand_below_each_other_whatever_is_in_them() {
        let judgement = Judgement {
            found: vec![
                judged("apim-21", &["apim-1"]),
                judged("mi-1", &["mi-1", "mi-2", "mi-3", "mi-4"]),
                judged(
                    "mi-2",
                    &["mi-acme-1", "mi-acme-2", "mi-acme-3", "mi-acme-4"],
                ),
                judged(
                    "mi-3",
                    &["a-name-that-is-longer-than.any.cell.example.com", "mi-2"],
                ),
                judged("mi-4", &[]),
            ],
            unjudged: vec![],
            passed: 0,
        };
        let text = findings(&judgement).join("\n");
        let plain = console::strip_ansi_codes(&text).into_owned();
        let cells = |start: &str| plain.lines().find(|l| l.starts_with(start)).unwrap_or("");
        assert!(
            cells("mi-1").contains(" mi-1, mi-2, mi-3, mi-4 "),
            "{plain}"
        );
        assert!(
            cells("mi-2").contains(" mi-acme-1, mi-acme-2 and 2 more "),
            "{plain}"
        );
        assert!(
            cells("mi-3").contains(".example.com and 1 more apim_db"),
            "{plain}"
        );
        let at = plain.find("finding");
        let is_below = |line: &str| {
            let text = at.and_then(|at| line.get(at..));
            text.is_some_and(|text| {
                ["finding", "apim_db", "at ", "fix: "]
                    .iter()
                    .any(|w| text.starts_with(w))
            })
        };
        assert!(plain.lines().all(is_below), "{plain}");
    }

    #[test]
    fn a_finding_stands_with_its_place_and_its_fix() {
        let judgement = Judgement {
            found: vec![judged("apim-21", &["apim-1", "apim-2"])],
            unjudged: vec![Unjudged {
                rules: vec!["apim-34".into(), "apim-59".into()],
                hosts: vec!["db-1".into()],
                why: "it could not be reached".into(),
            }],
            passed: 3,
        };
        let text = table(&judgement).join("\n");
        let plain = console::strip_ansi_codes(&text);
        assert_eq!(
            plain,
            "\
rule            severity  hosts            finding
apim-21         error     apim-1, apim-2   apim_db is H2
                                           at apim-1:/x/deployment.toml:3:7
                                           fix: name a schema
not judged on db-1: it could not be reached (apim-34, apim-59)
3 rules passed, 2 not judged everywhere; 1 error, 0 warnings, 0 accepted"
        );
    }
}
