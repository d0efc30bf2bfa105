//! What Tera complains of, in our words and at the author's place.

use super::dialect;
use super::place;
use crate::source::{Problem, Span, nearest};
use regex::Regex;
use std::ops::Range;
use std::sync::LazyLock;
use tera::ErrorKind;

/// A complaint about one text; positions are bytes of that text.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    pub message: String,
    pub reason: String,
    pub range: Option<Range<usize>>,
    pub help: Option<String>,
    /// The name that is not defined, when that is the trouble.
    pub undefined: Option<String>,
    /// Something is not defined: a name, or a field of one.
    pub is_absence: bool,
    /// Something is not defined, and Tera does not say what.
    pub is_vague: bool,
    /// The text cannot even be read.
    pub is_syntax: bool,
    /// The variable whose value is the key that something lacks.
    pub key: Option<String>,
}

impl Fault {
    /// `text` is what the author wrote; `shift` is how far Tera's positions are ahead of it.
    pub fn new(error: &tera::Error, text: &str, shift: usize) -> Box<Self> {
        Box::new(match error.kind() {
            ErrorKind::SyntaxError(report) | ErrorKind::RenderingError(report) => {
                let start = report
                    .span()
                    .range
                    .start
                    .saturating_sub(shift)
                    .min(text.len());
                let end = report
                    .span()
                    .range
                    .end
                    .saturating_sub(shift)
                    .clamp(start, text.len());
                let is_syntax = matches!(error.kind(), ErrorKind::SyntaxError(_));
                Self::told(report.message(), is_syntax, text, Some(start..end))
            }
            ErrorKind::Msg(report) if report.starts_with("error: Unknown ") => {
                unknown_word(report, text, shift)
            }
            other => Self::told(&other.to_string(), false, text, None),
        })
    }

    /// An expression that gives nothing.
    pub fn undefined(whole: Range<usize>) -> Self {
        Self {
            range: Some(whole),
            is_absence: true,
            ..Self::plain("the expression gives nothing: its value is not defined")
        }
    }

    /// The bare name at `at` does not exist.
    pub fn missing(text: &str, at: usize) -> Self {
        let rest = text.get(at..).unwrap_or_default();
        let name: String = rest
            .chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect();
        Self {
            range: Some(at..at + name.len()),
            ..Self::unknown_name(&name)
        }
    }

    /// A loop goes over the text at `range`.
    pub fn no_list(text: &str, range: Range<usize>) -> Self {
        let over = text.get(range.clone()).unwrap_or_default();
        Self {
            range: Some(range),
            help: Some("write a list: `[one, two]`, also for a single entry".to_owned()),
            ..Self::plain(format!("`{over}` is text, and a list is wanted"))
        }
    }

    /// As a problem of the text that stands at `span`.
    pub fn problem(self, text: &str, span: &Span) -> Problem {
        Problem {
            message: self.message,
            span: Some(place::of(text, span, self.range)),
            reason: self.reason,
            help: self.help,
            also: vec![],
            elsewhere: vec![],
            more: vec![],
        }
    }

    fn plain(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            reason: String::new(),
            range: None,
            help: None,
            undefined: None,
            is_absence: false,
            is_vague: false,
            is_syntax: false,
            key: None,
        }
    }

    fn vague() -> Self {
        Self {
            is_absence: true,
            is_vague: true,
            ..Self::plain("this is not defined")
        }
    }

    fn unknown_name(name: &str) -> Self {
        Self {
            undefined: Some(name.to_owned()),
            is_absence: true,
            ..Self::plain(format!("`{name}` is not defined"))
        }
    }

    fn told(message: &str, is_syntax: bool, text: &str, range: Option<Range<usize>>) -> Self {
        let help = tera_habit(message).or_else(|| jinja_habit(text, range.as_ref()));
        let fault = match (quoted(message), is_syntax) {
            (Some(name), false) if message.starts_with("Variable `") => Self::unknown_name(name),
            (Some(field), false) if message.starts_with("Field `") => missing_field(field, message),
            (_, true) => Self {
                reason: lowered(message),
                is_syntax: true,
                ..Self::plain("the template cannot be read")
            },
            // A filter or test was given nothing: what matters is which name that was.
            (_, false) if message.contains("but got `none`") => {
                let given = range.clone().and_then(|range| text.get(range));
                let name = given.map_or_else(|| "this".to_owned(), |name| format!("`{name}`"));
                Self::plain(format!("{name} has no value"))
            }
            (_, false) if message.contains("but got `undefined`") => {
                let given = range.clone().and_then(|range| text.get(range));
                match given.filter(|name| is_name(name)) {
                    Some(name) => Self::unknown_name(name),
                    None => Self::vague(),
                }
            }
            (_, false) if message.contains("undefined") => Self::vague(),
            (_, false) => Self::plain(lowered(message)),
        };
        Self {
            range,
            help: fault.help.clone().or(help),
            ..fault
        }
    }
}

fn missing_field(field: &str, message: &str) -> Fault {
    let fields: Vec<&str> = message
        .split_once("Available fields: ")
        .map(|(_, list)| list.split(", ").collect())
        .unwrap_or_default();
    let help = match nearest(field, fields.iter().copied()) {
        Some(near) => Some(format!("did you mean `{near}`?")),
        None if fields.is_empty() => None,
        None => Some(format!("it has {}", some_of(&fields))),
    };
    Fault {
        help,
        is_absence: true,
        ..Fault::plain(format!("there is no field `{field}`"))
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || c == '_')
}

fn some_of(names: &[&str]) -> String {
    let shown: Vec<String> = names.iter().take(8).map(|n| format!("`{n}`")).collect();
    let more = names.len().saturating_sub(shown.len());
    if more == 0 {
        shown.join(", ")
    } else {
        format!("{} and {more} more", shown.join(", "))
    }
}

/// Tera finds these while linking and reports them as one long text; the first is enough here.
fn unknown_word(report: &str, text: &str, shift: usize) -> Fault {
    static REPORT: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"Unknown (\w+) `([^`]+)`\n\s*--> [^\n]*:(\d+):(\d+)").ok());
    let Some(found) = REPORT.as_ref().and_then(|r| r.captures(report)) else {
        return Fault::plain(lowered(report));
    };
    let (kind, word) = (&found[1], &found[2]);
    let start = position(text, &found[3], &found[4], shift);
    let fault = Fault::plain(format!("there is no {kind} `{word}`"));
    let near = nearest(word, dialect::words(kind)).map(|near| format!("did you mean `{near}`?"));
    let help = jinja_word(kind, word).or(near).or_else(|| match kind {
        "filter" | "test" | "function" => {
            Some(format!("there are {}", dialect::words(kind).join(", ")))
        }
        _ => Some("a template stands alone here: no include, no inheritance".to_owned()),
    });
    Fault {
        range: start.map(|at| word_near(text, at, word)),
        help,
        is_syntax: true,
        ..fault
    }
}

/// Tera marks the whole call; the word itself is shorter and clearer.
fn word_near(text: &str, at: usize, word: &str) -> Range<usize> {
    let start = text
        .get(at..)
        .and_then(|rest| rest.find(word))
        .map_or(at, |offset| at + offset);
    start..(start + word.len()).min(text.len())
}

/// The byte of a line (from 1) and a column (from 1, in characters) that Tera printed.
fn position(text: &str, line: &str, column: &str, shift: usize) -> Option<usize> {
    let line: usize = line.parse().ok()?;
    let column: usize = column.parse().ok()?;
    let column = if line == 1 {
        column.saturating_sub(shift)
    } else {
        column
    };
    let start: usize = text
        .split_inclusive('\n')
        .take(line - 1)
        .map(str::len)
        .sum();
    let rest = text.get(start..)?;
    let offset = rest
        .char_indices()
        .nth(column.saturating_sub(1))
        .map_or(rest.len(), |(at, _)| at);
    Some(start + offset)
}

fn quoted(message: &str) -> Option<&str> {
    message.split('`').nth(1)
}

fn lowered(message: &str) -> String {
    let mut chars = message.chars();
    let first = chars
        .next()
        .map(|c| c.to_lowercase().to_string())
        .unwrap_or_default();
    (first + chars.as_str()).trim_end_matches('.').to_owned()
}

/// Words of Jinja2 that Tera says otherwise.
fn jinja_word(kind: &str, word: &str) -> Option<String> {
    let help = match (kind, word) {
        ("filter", "map") => "write a comprehension: `[x.name for x in xs]`",
        ("filter", "selectattr" | "select") => "write a comprehension: `[x for x in xs if x.on]`",
        ("filter", "rejectattr" | "reject") => {
            "write a comprehension: `[x for x in xs if not x.on]`"
        }
        ("filter", "d") => "write `default(value=...)`",
        ("filter", "list") => "a list is a list already; for a mapping use `keys` or `values`",
        ("filter", "string") => "write `str`",
        ("filter", "count") => "write `length`",
        ("filter", "dictsort" | "items") => "write `for k, v in mapping`, or use `pairs`",
        ("filter", "sha256") => "write `hash(kind=\"sha256\")`",
        ("filter", "sum") => "there is no sum; add in the variables",
        ("test", "success" | "successful") => "write `is succeeded`",
        ("test", "mapping") => "write `is map`",
        ("test", "sequence") => "write `is array`",
        ("test", "in") => "write `x in xs`",
        ("test", "divisibleby") => "write `is divisible_by(divisor=...)`",
        ("function", "query" | "q") => "write `lookup(kind=\"file\", name=...)`",
        _ => return None,
    };
    Some(help.to_owned())
}

/// What Tera's own reading trips over.
fn tera_habit(message: &str) -> Option<String> {
    let help = match message {
        m if m.contains("escape character") => {
            r"a backslash is written twice inside a template: `\\d`"
        }
        m if m.starts_with("found `}}`") => {
            "closing braces of a mapping want a space between them: `} }`"
        }
        _ => return None,
    };
    Some(help.to_owned())
}

/// Forms of Jinja2 that Tera cannot read, with Tera's way.
fn jinja_habit(text: &str, range: Option<&Range<usize>>) -> Option<String> {
    let line = line_of(text, range);
    positional_argument(line)
        .or_else(|| method_call(line))
        .or_else(|| plus_between_texts(line))
        .or_else(|| if_without_else(line))
}

fn line_of<'a>(text: &'a str, range: Option<&Range<usize>>) -> &'a str {
    let at = range.map_or(0, |r| r.start).min(text.len());
    let start = text[..at].rfind('\n').map_or(0, |n| n + 1);
    let end = text[at..].find('\n').map_or(text.len(), |n| at + n);
    &text[start..end]
}

fn positional_argument(line: &str) -> Option<String> {
    static CALL: LazyLock<Option<Regex>> = LazyLock::new(|| {
        let given = r#"('[^']*'|"[^"]*"|[^)=,'"]+?)\s*[,)]"#;
        let filter_or_test = r"(?:\||\bis(?:\s+not)?)\s*(\w+)\(\s*";
        Regex::new(&format!(
            r"{filter_or_test}{given}|\b(lookup|range)\(\s*{given}"
        ))
        .ok()
    });
    let call = CALL.as_ref()?.captures(line)?;
    let word = call.get(1).or_else(|| call.get(3))?.as_str();
    let given = call.get(2).or_else(|| call.get(4))?.as_str();
    let form = match word {
        "default" | "d" => format!("default(value={given})"),
        "join" => format!("join(sep={given})"),
        "split" => format!("split(pat={given})"),
        "replace" => "replace(from=..., to=...)".to_owned(),
        "round" => "round(precision=..., method=\"ceil\")".to_owned(),
        "regex_replace" => "regex_replace(pattern=..., replacement=...)".to_owned(),
        "regex_search" | "match" | "search" => format!("{word}(pattern={given})"),
        "combine" | "union" | "difference" => format!("{word}(with={given})"),
        "ternary" => "ternary(yes=..., no=...)".to_owned(),
        "hash" => format!("hash(kind={given})"),
        "version" => format!("version(op=\">=\", than={given})"),
        "indent" => format!("indent(width={given})"),
        "truncate" => format!("truncate(length={given})"),
        "lookup" => format!("lookup(kind={given}, name=...)"),
        "range" => format!("range(end={given})"),
        _ => {
            return jinja_word("filter", word)
                .or_else(|| Some(format!("arguments have names here: `{word}(name={given})`")));
        }
    };
    Some(format!("arguments have names here: write `{form}`"))
}

fn method_call(line: &str) -> Option<String> {
    static METHOD: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"\.(\w+)\(").ok());
    let method = METHOD.as_ref()?.captures(line)?;
    let form = match &method[1] {
        "items" => "write `for k, v in mapping` without `.items()`",
        "keys" => "write `| keys`",
        "values" => "write `| values`",
        "get" => "write `| get(key=..., default=...)`",
        "split" => "write `| split(pat=...)`",
        "replace" => "write `| replace(from=..., to=...)`",
        "upper" => "write `| upper`",
        "lower" => "write `| lower`",
        "strip" => "write `| trim`",
        "startswith" => "write `is starting_with(pat=...)`",
        "endswith" => "write `is ending_with(pat=...)`",
        "join" => "write `xs | join(sep=...)`",
        _ => "use a filter: `x | upper`",
    };
    Some(format!("values have no methods here: {form}"))
}

fn plus_between_texts(line: &str) -> Option<String> {
    static TEXT: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r#"'[^']*'|"[^"]*""#).ok());
    static PLUS: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"\+\s*''|''\s*\+").ok());
    // A plus within a text joins nothing.
    let line = TEXT.as_ref()?.replace_all(line, "''");
    PLUS.as_ref()?
        .is_match(&line)
        .then(|| "`~` joins text: write `a ~ 'b'`".to_owned())
}

fn if_without_else(line: &str) -> Option<String> {
    static INLINE_IF: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"[^%\s-]\s*\bif\b").ok());
    let found =
        INLINE_IF.as_ref()?.is_match(line) && !line.contains("else") && !line.contains(" for ");
    found.then(|| "an `if` inside an expression needs its `else`: `'a' if c else ''`".to_owned())
}
