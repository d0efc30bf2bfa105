//! `gateway:!gw-3`, `web*,&prod`, `db[0]`, `~gw-\d+`: which hosts are meant.
//!
//! All names are added up first, then `&` keeps what is also there, then `!` takes away.

use super::{Inventory, RETIRED, members};
use crate::source::{File, Problem, Problems, Result, Span, nearest, read};
use indexmap::IndexSet;
use regex::Regex;
use std::collections::HashSet;
use std::net::Ipv6Addr;
use std::path::Path;

/// A checked pattern; it knows nothing of an inventory until `select`.
#[derive(Debug, Clone)]
pub struct HostPattern {
    text: String,
    span: Option<Span>,
    terms: Vec<Term>,
}

/// The same text means the same hosts, wherever it is written.
impl PartialEq for HostPattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl std::fmt::Display for HostPattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

#[derive(Debug, Clone)]
struct Term {
    role: Role,
    /// Without `!` and `&`, with its index.
    text: String,
    matcher: Matcher,
    index: Option<Index>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Role {
    Add,
    Keep,
    Remove,
}

#[derive(Debug, Clone)]
enum Matcher {
    Name(String),
    Shape(Regex),
}

/// Both ends included; no end means up to the last.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Index {
    At(i64),
    Between(usize, Option<usize>),
}

impl HostPattern {
    /// The text of `hosts:` or of a command line.
    pub fn parse(text: &str, span: Option<&Span>) -> Result<Self> {
        Self::of(text, span, &split(text))
    }

    /// The text of `--limit`, in which `@file` stands for the lines of a file.
    pub fn limit(text: &str) -> Result<Self> {
        let mut parts = Vec::new();
        for part in split(text) {
            match part.strip_prefix('@') {
                Some(path) => parts.extend(lines_of(path).map_err(|p| limit_file(p, text))?),
                None => parts.push(part),
            }
        }
        Self::of(text, None, &parts)
    }

    fn of(text: &str, span: Option<&Span>, parts: &[String]) -> Result<Self> {
        let at = |problem: Problem| match span {
            Some(span) => problem.at(span),
            None => problem,
        };
        if parts.is_empty() {
            // An empty limit must never mean everybody.
            return Err(at(Problem::new("the host pattern is empty")
                .help("write `all` if every host is meant"))
            .into());
        }
        let mut problems = Problems::new();
        let terms = parts
            .iter()
            .filter_map(|part| Term::parse(part).map_err(|p| problems.push(at(p))).ok())
            .collect();
        problems.or(Self {
            text: text.to_owned(),
            span: span.cloned(),
            terms,
        })
    }

    /// The hosts meant, in the order of the inventory. What matches nothing adds nothing; see
    /// `unmatched`.
    pub fn select(&self, inventory: &Inventory) -> Result<Vec<String>> {
        let mut hosts: IndexSet<&str> = IndexSet::new();
        if self.with(Role::Add).next().is_none() {
            hosts.extend(members::hosts_of(inventory, "all"));
        }
        for term in self.with(Role::Add) {
            hosts.extend(self.matches(term, inventory)?);
        }
        for term in self.with(Role::Keep) {
            let kept: HashSet<&str> = self.matches(term, inventory)?.into_iter().collect();
            hosts.retain(|host| kept.contains(host));
        }
        for term in self.with(Role::Remove) {
            let removed: HashSet<&str> = self.matches(term, inventory)?.into_iter().collect();
            hosts.retain(|host| !removed.contains(host));
        }
        Ok(hosts.into_iter().map(ToOwned::to_owned).collect())
    }

    /// Whether it means a group as a whole by its name, whatever it keeps or takes away of it.
    pub fn names(&self, group: &str) -> bool {
        self.with(Role::Add).any(|term| {
            matches!(&term.matcher, Matcher::Name(name) if name == group) && term.index.is_none()
        })
    }

    /// The names and shapes, without their indices, that match no group and no host, `!` and `&` included: a
    /// mistyped exclusion is the most dangerous of them.
    pub fn unmatched(&self, inventory: &Inventory) -> Vec<&str> {
        self.terms
            .iter()
            .filter(|term| term.is_unknown(inventory))
            .map(|term| split_index(&term.text).0)
            .collect()
    }

    /// `unmatched`, said as mistakes with the nearest names.
    pub fn complaints(&self, inventory: &Inventory) -> Problems {
        self.complaints_but(inventory, |_| false)
    }

    /// `complaints` without those about names that may be missing.
    pub fn complaints_but(
        &self,
        inventory: &Inventory,
        may_miss: impl Fn(&str) -> bool,
    ) -> Problems {
        let mut problems = Problems::new();
        for name in self.unmatched(inventory) {
            if !may_miss(name) {
                let problem = self.problem(format!("no host or group matches `{name}`"));
                problems.push(problem.help(instead_of(name, inventory)));
            }
        }
        problems
    }

    fn with(&self, role: Role) -> impl Iterator<Item = &Term> {
        self.terms.iter().filter(move |term| term.role == role)
    }

    fn matches<'i>(&self, term: &Term, inventory: &'i Inventory) -> Result<Vec<&'i str>> {
        let found = term.hosts(inventory);
        let Some(index) = term.index.filter(|_| !found.is_empty()) else {
            return Ok(found);
        };
        index.pick(&found).ok_or_else(|| {
            let count = found.len();
            self.problem(format!(
                "`{}` is beyond the {count} hosts it counts",
                term.text
            ))
            .help(format!("the last is `[{}]` or `[-1]`", count - 1))
            .into()
        })
    }

    fn problem(&self, message: String) -> Problem {
        let problem = Problem::new(message);
        match &self.span {
            Some(span) => problem.at(span),
            None => problem.because(format!("in `{}`", self.text)),
        }
    }
}

impl Term {
    fn parse(part: &str) -> std::result::Result<Self, Problem> {
        let (role, text) = match part.split_at_checked(1) {
            Some(("!", rest)) => (Role::Remove, rest),
            Some(("&", rest)) => (Role::Keep, rest),
            _ => (Role::Add, part),
        };
        if text.is_empty() {
            return Err(Problem::new(format!("`{part}` is followed by no name")));
        }
        let (name, index) = split_index(text);
        Ok(Self {
            role,
            text: text.to_owned(),
            matcher: Matcher::parse(name)?,
            index,
        })
    }

    fn hosts<'i>(&self, inventory: &'i Inventory) -> Vec<&'i str> {
        let mut hosts: IndexSet<&str> = IndexSet::new();
        let mut is_group = false;
        for group in inventory
            .groups
            .keys()
            .filter(|name| self.matcher.matches_group(name))
        {
            is_group = true;
            hosts.extend(members::hosts_of(inventory, group));
        }
        if !is_group || matches!(self.matcher, Matcher::Shape(_)) {
            hosts.extend(self.named_hosts(inventory));
        }
        hosts.into_iter().collect()
    }

    /// A retired host is not chosen by its name; but it can be kept among the retired, or taken away from them.
    fn named_hosts<'i>(&self, inventory: &'i Inventory) -> impl Iterator<Item = &'i str> {
        let names = inventory.hosts.keys().map(String::as_str);
        names.filter(|name| {
            self.matcher.matches(name) && (self.role != Role::Add || !inventory.is_retired(name))
        })
    }

    fn is_unknown(&self, inventory: &Inventory) -> bool {
        let is_group = inventory
            .groups
            .keys()
            .any(|name| self.matcher.matches(name));
        !is_group && self.named_hosts(inventory).next().is_none()
    }
}

impl Matcher {
    fn parse(text: &str) -> std::result::Result<Self, Problem> {
        // Ansible anchors its expressions at the start only.
        let expression = match text.strip_prefix('~') {
            Some(expression) => format!("^(?:{expression})"),
            None if text.contains(['*', '?', '[']) => glob(text),
            None => return Ok(Self::Name(text.to_owned())),
        };
        Regex::new(&expression).map(Self::Shape).map_err(|error| {
            Problem::new(format!("`{text}` is not a pattern")).help(
                error
                    .to_string()
                    .lines()
                    .last()
                    .unwrap_or_default()
                    .to_owned(),
            )
        })
    }

    /// `*` means everybody who is there, so those that leave are meant by name only.
    fn matches_group(&self, name: &str) -> bool {
        self.matches(name) && (name != RETIRED || matches!(self, Self::Name(_)))
    }

    fn matches(&self, name: &str) -> bool {
        match self {
            Self::Name(wanted) => wanted == name,
            Self::Shape(shape) => shape.is_match(name),
        }
    }
}

impl Index {
    /// `None` if it names a place that is not there.
    fn pick<'i>(self, hosts: &[&'i str]) -> Option<Vec<&'i str>> {
        match self {
            Self::At(at) => {
                let at = if at < 0 {
                    at + i64::try_from(hosts.len()).ok()?
                } else {
                    at
                };
                hosts.get(usize::try_from(at).ok()?).map(|host| vec![*host])
            }
            Self::Between(first, last) => {
                let end = last.map_or(hosts.len(), |last| hosts.len().min(last.saturating_add(1)));
                Some(hosts.get(first..end).unwrap_or_default().to_vec())
            }
        }
    }

    fn parse(text: &str) -> Option<Self> {
        match text.split_once(':') {
            None => text.parse().ok().map(Self::At),
            Some((first, "")) => Some(Self::Between(first.parse().ok()?, None)),
            Some((first, last)) => {
                Some(Self::Between(first.parse().ok()?, Some(last.parse().ok()?)))
            }
        }
    }
}

/// What may be meant by a name that matches nothing.
fn instead_of(name: &str, inventory: &Inventory) -> String {
    if inventory.is_retired(name) {
        return format!("`{name}` is retired; `{RETIRED}` means those that are");
    }
    let known = inventory.groups.keys().chain(inventory.hosts.keys());
    match nearest(name, known.map(String::as_str)) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None if name == "localhost" => {
            "it is not there unless the inventory names it: `localhost: { ansible_connection: local }`"
                .to_owned()
        }
        None => "`apim-deploy inventory graph -i INVENTORY` shows the names".to_owned(),
    }
}

/// The brackets at the end are an index if they hold one; else they belong to a glob.
fn split_index(text: &str) -> (&str, Option<Index>) {
    if text.starts_with('~') {
        return (text, None);
    }
    text.strip_suffix(']')
        .and_then(|rest| rest.rsplit_once('['))
        .filter(|(name, _)| !name.is_empty())
        .and_then(|(name, index)| Some((name, Some(Index::parse(index)?))))
        .unwrap_or((text, None))
}

/// At commas if there are any, else at colons outside of brackets.
fn split(text: &str) -> Vec<String> {
    let parts = if text.contains(',') {
        text.split(',').map(ToOwned::to_owned).collect()
    } else if text.parse::<Ipv6Addr>().is_ok() {
        vec![text.to_owned()]
    } else {
        split_at_colons(text)
    };
    parts
        .into_iter()
        .map(|part| part.trim().to_owned())
        .filter(|part| !part.is_empty())
        .collect()
}

fn split_at_colons(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut is_inside = false;
    for c in text.chars() {
        match c {
            '[' => is_inside = true,
            ']' => is_inside = false,
            _ => {}
        }
        if c == ':' && !is_inside {
            parts.push(String::new());
        } else if let Some(part) = parts.last_mut() {
            part.push(c);
        }
    }
    parts
}

fn lines_of(path: &str) -> Result<Vec<String>> {
    let file = read(Path::new(path))?;
    let lines: Vec<String> = file
        .text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .flat_map(split)
        .collect();
    if lines.is_empty() {
        let problem = Problem::new(format!("{path} names no host, and a limit must name one"));
        return Err(problem.into());
    }
    Ok(lines)
}

fn limit_file(problems: Problems, text: &str) -> Problems {
    let file = File::new("--limit", text);
    let whole = Span::new(&file, 0..text.len());
    problems.placed(
        &whole,
        "`@FILE` is a file with a host or pattern on each line",
    )
}

/// `*`, `?`, `[ab]` and `[!ab]` as a shell reads them, for the whole name.
fn glob(text: &str) -> String {
    let mut expression = "^(?s:".to_owned();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        match c {
            '*' => expression.push_str(".*"),
            '?' => expression.push('.'),
            '[' => match rest.split_once(']').filter(|(set, _)| !set.is_empty()) {
                Some((set, after)) => {
                    expression.push_str(&class(set));
                    rest = after;
                }
                None => expression.push_str("\\["),
            },
            c => expression.push_str(&regex::escape(c.encode_utf8(&mut [0; 4]))),
        }
    }
    expression + ")$"
}

fn class(set: &str) -> String {
    let (not, set) = match set.strip_prefix('!') {
        Some(rest) => ("^", rest),
        None => ("", set),
    };
    let set = set
        .replace('\\', "\\\\")
        .replace('[', "\\[")
        .replace('^', "\\^");
    let set = set.replace('&', "\\&").replace('~', "\\~");
    format!("[{not}{set}]")
}
