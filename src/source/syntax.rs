//! What people do to YAML, and what to do about it.

use super::{File, Problem, Span};
use granit_parser::{ErrorKind, ScanError};
use std::ops::Range;
use std::sync::Arc;

/// Says a syntax error in words that lead to its fix.
pub(super) fn explain(file: &Arc<File>, error: &ScanError) -> Problem {
    let at = floor(
        &file.text,
        error.marker().byte_offset().unwrap_or(file.text.len()),
    );
    template_near(file, at)
        .or_else(|| tab_near(file, at))
        .or_else(|| lookalike_near(file, at))
        .unwrap_or_else(|| by_kind(file, at, error))
}

/// A character no file that people write should hold, if there is one. It is looked for before
/// parsing, which would name a place far behind it.
pub fn forbidden(file: &Arc<File>) -> Option<Problem> {
    let (at, found) = file
        .text
        .char_indices()
        .find(|(at, c)| is_forbidden(*c) || (*c == '\u{feff}' && *at > 0))?;
    let problem = Problem::new(format!("the file holds U+{:04X}", u32::from(found)))
        .at(&Span::new(file, at..at + found.len_utf8()))
        .because(name_of(found));
    Some(problem.help("delete it; in double quotes it can be written as an escape"))
}

/// A space or a quote that only looks like one, at the start of something unquoted.
pub(super) fn lookalike(file: &Arc<File>, found: char, at: usize) -> Option<Problem> {
    let help = match found {
        '\u{2018}' | '\u{2019}' => "write `'`",
        '\u{201c}' | '\u{201d}' => "write `\"`",
        c if is_odd_space(c) => "write ordinary spaces; if it is meant, quote the text",
        _ => return None,
    };
    let problem = Problem::new(format!("U+{:04X} does not belong here", u32::from(found)))
        .at(&Span::new(file, at..at + found.len_utf8()))
        .because(name_of(found));
    Some(problem.help(help))
}

/// `{{ x }}` at the start of a value, unquoted.
pub(super) fn unquoted_template(file: &Arc<File>, at: usize) -> Problem {
    let rest = &file.text[at..];
    let line = rest.lines().next().unwrap_or_default().trim_end();
    let value = line.split(" #").next().unwrap_or(line).trim_end();
    let quoted = if value.contains('"') {
        format!("'{}'", value.replace('\'', "''"))
    } else {
        format!("\"{value}\"")
    };
    Problem::new("a value that starts with `{{` must be quoted")
        .at(&Span::new(file, at..at + value.len()))
        .because("unquoted, YAML reads `{` as the start of a mapping")
        .help(format!("write `{quoted}`"))
}

/// An unquoted template often breaks the syntax a little further on.
fn template_near(file: &Arc<File>, at: usize) -> Option<Problem> {
    [at, before_line(&file.text, at)]
        .into_iter()
        .map(|at| line_around(&file.text, at))
        .find_map(|line| template_in(&file.text[line.clone()]).map(|found| line.start + found))
        .map(|at| unquoted_template(file, at))
}

fn template_in(line: &str) -> Option<usize> {
    let at = line.find("{{")?;
    let before = line[..at].trim_end();
    let starts_value = before.ends_with(':') || before.ends_with('-') || before.is_empty();
    (starts_value && !before.trim_start().starts_with('#')).then_some(at)
}

/// The parser may stop at the end of the line above the tab.
fn tab_near(file: &Arc<File>, at: usize) -> Option<Problem> {
    let line = line_around(&file.text, at);
    let next = (line.end + 1).min(file.text.len());
    tab_in(file, line).or_else(|| tab_in(file, line_around(&file.text, next)))
}

fn tab_in(file: &Arc<File>, line: Range<usize>) -> Option<Problem> {
    let text = &file.text[line.clone()];
    let indent = text.len() - text.trim_start_matches([' ', '\t']).len();
    let tab = text[..indent].find('\t')?;
    let tabs = text[tab..].len() - text[tab..].trim_start_matches('\t').len();
    Some(
        Problem::new("YAML forbids tabs here")
            .at(&Span::new(file, line.start + tab..line.start + tab + tabs))
            .because("indentation is made of spaces only")
            .help("replace the tab with spaces"),
    )
}

fn lookalike_near(file: &Arc<File>, at: usize) -> Option<Problem> {
    let line = line_around(&file.text, at);
    let text = &file.text[line.clone()];
    let indent = text.len() - text.trim_start_matches(' ').len();
    let found = text[indent..].chars().next().filter(|c| is_odd_space(*c))?;
    lookalike(file, found, line.start + indent)
}

fn by_kind(file: &Arc<File>, at: usize, error: &ScanError) -> Problem {
    let (message, help) = words(error.kind());
    let message = message.map_or_else(|| error.kind().to_string(), ToOwned::to_owned);
    let problem = Problem::new(format!("this is not YAML: {message}"))
        .at(&Span::new(file, visible(&file.text, at)));
    match help {
        Some(help) => problem.help(help),
        None => problem,
    }
}

fn words(kind: &ErrorKind) -> (Option<&'static str>, Option<&'static str>) {
    use ErrorKind as E;
    match kind {
        E::MappingValueNotAllowed | E::InvalidSimpleKey | E::InvalidColonPlacement => (
            Some("a `key: value` cannot start here"),
            Some(
                "quote a text that holds `: `, indent a key like its neighbours, close every `[` and `{`",
            ),
        ),
        E::SimpleKeyExpected => (
            Some("a `:` is missing after this key"),
            Some("write `key: value`; a list item starts with `- `"),
        ),
        E::ExpectedBlockMappingKey | E::ExpectedBlockSequenceEntry | E::InvalidIndentation => (
            Some("this line does not belong to what is above it"),
            Some("indent it exactly like the lines it belongs to"),
        ),
        E::UnclosedQuotedScalar => (
            Some("a quote is opened and never closed"),
            Some("close it, or double a `'` that belongs to the text"),
        ),
        E::InvalidTrailingSingleQuotedScalar | E::InvalidTrailingDoubleQuotedScalar => (
            Some("text follows a closing quote"),
            Some("put the quotes around the whole value"),
        ),
        E::UnexpectedCharacter { .. } => (
            Some("unquoted text cannot start with this character"),
            Some("quote the text"),
        ),
        E::MissingAnchorOrAliasName => (
            Some("`*` and `&` are followed by a name"),
            Some("if it is meant as text, quote it: \"*\""),
        ),
        E::UnclosedFlowCollection { .. }
        | E::UnexpectedEofFlowSequence
        | E::UnexpectedEofFlowMapping
        | E::ExpectedFlowMappingSeparator
        | E::ExpectedFlowSequenceSeparator => (
            Some("a `[` or `{` is not closed properly"),
            Some("separate with `,` and close with `]` or `}`; if it is meant as text, quote it"),
        ),
        E::UnknownQuotedScalarEscape => (
            Some("no such escape in double quotes"),
            Some("write `\\\\` for a backslash, or use single quotes"),
        ),
        E::RecursionLimitExceeded => (Some("nested more than 100 levels deep"), None),
        _ => (None, None),
    }
}

fn is_forbidden(c: char) -> bool {
    let is_control = c.is_control() && !matches!(c, '\t' | '\n' | '\r');
    is_control || matches!(c, '\u{2028}' | '\u{2029}' | '\u{fffe}' | '\u{ffff}')
}

fn is_odd_space(c: char) -> bool {
    let is_wide = c.is_whitespace() && !matches!(c, ' ' | '\t' | '\n' | '\r');
    is_wide || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2060}')
}

fn name_of(c: char) -> &'static str {
    match c {
        '\0' => "a NUL byte",
        '\u{a0}' => "a no-break space, not a space",
        '\u{2018}' | '\u{2019}' | '\u{201c}' | '\u{201d}' => {
            "a typographic quote, which means nothing to YAML"
        }
        '\u{2028}' | '\u{2029}' | '\u{85}' => "an invisible line separator",
        '\u{feff}' => "a byte order mark inside the file",
        c if is_odd_space(c) => "a space of another kind",
        _ => "a control character",
    }
}

fn before_line(text: &str, at: usize) -> usize {
    let line = line_around(text, at).start;
    text[..line].trim_end().len()
}

fn line_around(text: &str, at: usize) -> Range<usize> {
    let start = text[..at].rfind('\n').map_or(0, |n| n + 1);
    let end = text[at..].find('\n').map_or(text.len(), |n| at + n);
    start..end
}

/// One visible character at `at`, or the last one before the file ends.
fn visible(text: &str, at: usize) -> Range<usize> {
    let at = if text[at..].trim().is_empty() {
        let kept = text[..at].trim_end();
        kept.len() - kept.chars().next_back().map_or(0, char::len_utf8)
    } else {
        at
    };
    at..at + text[at..].chars().next().map_or(0, char::len_utf8)
}

fn floor(text: &str, mut at: usize) -> usize {
    at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}
