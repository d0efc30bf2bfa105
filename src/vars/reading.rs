//! Where a template has its tags, its variables and its loops, found without evaluating it.

use super::engine::Form;
use regex::Regex;
use std::ops::Range;
use std::sync::LazyLock;

/// A variable as a text uses it: a name, and how far into its value the text goes.
#[derive(Debug, Clone, PartialEq)]
pub struct Path {
    pub name: Range<usize>,
    pub parts: Vec<Part>,
    /// The text asks whether it is there, or says what else to take.
    pub may_be_absent: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Part {
    /// The name behind a dot.
    Field(Range<usize>),
    /// The expression between brackets.
    Index(Range<usize>),
}

impl Part {
    /// Where it ends, its bracket included.
    fn end(&self) -> usize {
        match self {
            Self::Field(range) => range.end,
            Self::Index(range) => range.end + 1,
        }
    }
}

impl Path {
    /// The path up to and without the part of this number.
    pub fn up_to(&self, part: usize) -> Range<usize> {
        let before = part.checked_sub(1).and_then(|last| self.parts.get(last));
        self.name.start..before.map_or(self.name.end, Part::end)
    }

    pub fn whole(&self) -> Range<usize> {
        self.up_to(self.parts.len())
    }
}

/// `for x in xs`, as a block or within brackets.
#[derive(Debug, Clone, PartialEq)]
pub struct Each {
    pub variables: Vec<String>,
    pub over: Range<usize>,
    /// What is made of each, within brackets.
    pub element: Option<Range<usize>>,
}

/// The insides of `{{ }}` and `{% %}`; comments and raw blocks are passed over. An expression is
/// one of them as it stands.
pub fn tags(source: &str, form: Form) -> Vec<Range<usize>> {
    static TAG: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new(
            r"(?s)\{#.*?#\}|\{%-?\s*raw\s*-?%\}.*?\{%-?\s*endraw\s*-?%\}|\{\{(.*?)\}\}|\{%(.*?)%\}",
        )
        .ok()
    });
    let whole = 0..source.len();
    match (form, TAG.as_ref()) {
        (Form::Expression, _) => std::iter::once(whole).collect(),
        (Form::Text, None) => vec![],
        (Form::Text, Some(tag)) => tag
            .captures_iter(source)
            .filter_map(|c| c.get(1).or_else(|| c.get(2)))
            .map(|inside| inside.range())
            .collect(),
    }
}

/// Names in an expression, with strings passed over.
pub fn words(expression: &str) -> Vec<Range<usize>> {
    static WORD: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r#""[^"]*"|'[^']*'|`[^`]*`|([A-Za-z_]\w*)"#).ok());
    let Some(word) = WORD.as_ref() else {
        return vec![];
    };
    word.captures_iter(expression)
        .filter_map(|c| c.get(1))
        .map(|word| word.range())
        .collect()
}

/// Every use of a variable; also of the words of the language, which no variable is called by.
pub fn paths(source: &str, form: Form) -> Vec<Path> {
    let mut found = Vec::new();
    for tag in tags(source, form) {
        for word in words(&source[tag.clone()]) {
            let name = tag.start + word.start..tag.start + word.end;
            if is_variable(source, &name, &tag) {
                found.push(path(source, name, tag.end));
            }
        }
    }
    found
}

/// Whether a word stands for a variable, and is not part of something else or made here.
pub fn is_variable(source: &str, word: &Range<usize>, tag: &Range<usize>) -> bool {
    let before = source[tag.start..word.start].trim_end();
    let after = source[word.end..tag.end].trim_start();
    let is_part = before.ends_with(['.', '|', '<', '@'])
        || ["for", "set", "set_global", "is", "block", "component"]
            .iter()
            .any(|keyword| {
                before.trim_start_matches('-').trim_start() == *keyword
                    || before.ends_with(&format!(" {keyword}"))
            });
    let is_other = after.starts_with('(') || after.starts_with('=') && !after.starts_with("==");
    !is_part && !is_other
}

/// Whether what stands behind a variable allows for its absence.
pub fn allows_absence(after: &str) -> bool {
    let is_asked = after
        .strip_prefix("is ")
        .map(|test| test.trim_start().trim_start_matches("not ").trim_start())
        .is_some_and(|test| test.starts_with("defined") || test.starts_with("undefined"));
    let filter = after.strip_prefix('|').map(str::trim_start);
    is_asked || filter.is_some_and(|filter| filter.starts_with("default"))
}

fn path(source: &str, name: Range<usize>, end: usize) -> Path {
    let mut parts = Vec::new();
    let mut at = name.end;
    let mut is_optional = false;
    while let Some(rest) = source.get(at..end) {
        is_optional |= rest.starts_with("?.") || rest.starts_with("?[");
        let skipped = usize::from(rest.starts_with('?'));
        let part = match rest[skipped..].chars().next() {
            Some('.') => field(source, at + skipped + 1, end).map(Part::Field),
            Some('[') => {
                closing(source, at + skipped, end).map(|close| Part::Index(at + skipped + 1..close))
            }
            _ => None,
        };
        let Some(part) = part else { break };
        at = part.end();
        parts.push(part);
    }
    let behind = source.get(at..end).unwrap_or_default();
    let behind = behind.trim_start_matches(|c: char| c == ')' || c.is_whitespace());
    Path {
        name,
        parts,
        may_be_absent: is_optional || allows_absence(behind),
    }
}

fn field(source: &str, start: usize, end: usize) -> Option<Range<usize>> {
    let rest = source.get(start..end)?;
    let length = rest
        .find(|c: char| !c.is_alphanumeric() && c != '_')
        .unwrap_or(rest.len());
    (length > 0).then_some(start..start + length)
}

/// The bracket that closes the one at `open`.
fn closing(source: &str, open: usize, end: usize) -> Option<usize> {
    let mut depth = 0_usize;
    outside_strings(source.get(open..end)?).find_map(|(at, c)| {
        match c {
            '[' | '(' | '{' => depth += 1,
            ']' | ')' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        (depth == 0).then_some(open + at)
    })
}

fn outside_strings(text: &str) -> impl Iterator<Item = (usize, char)> {
    let mut quote = None;
    text.char_indices().filter(move |(_, c)| match quote {
        Some(open) => {
            if open == *c {
                quote = None;
            }
            false
        }
        None if matches!(c, '"' | '\'' | '`') => {
            quote = Some(*c);
            false
        }
        None => true,
    })
}

/// Every loop, in blocks and within brackets.
pub fn loops(source: &str, form: Form) -> Vec<Each> {
    let mut found = Vec::new();
    for tag in tags(source, form) {
        let inside = &source[tag.clone()];
        let dash = inside.len() - inside.trim_start_matches(['-', ' ', '\n', '\t']).len();
        if form == Form::Text && inside[dash..].starts_with("for ") {
            found.extend(each(source, tag.start + dash..tag.end));
        }
        for (at, _) in outside_strings(inside).filter(|(_, c)| *c == '[') {
            let open = tag.start + at;
            if let Some(close) = closing(source, open, tag.end) {
                found.extend(each(source, open + 1..close));
            }
        }
    }
    found
}

/// A loop whose `for` stands in this range, and not deeper.
fn each(source: &str, within: Range<usize>) -> Option<Each> {
    let words = flat_words(source, &within);
    let mut words = words.iter();
    let start = words.find(|w| &source[(*w).clone()] == "for")?;
    let mut variables = Vec::new();
    let over = loop {
        let word = words.next()?;
        match &source[word.clone()] {
            "in" => break word.end,
            name => variables.push(name.to_owned()),
        }
    };
    let condition = words.find(|w| &source[(*w).clone()] == "if");
    let end = condition.map_or(within.end, |word| word.start);
    let over = trimmed(source, over..end);
    let element = trimmed(source, within.start..start.start);
    Some(Each {
        variables,
        over,
        element: Some(element).filter(|element| !element.is_empty()),
    })
}

fn trimmed(source: &str, range: Range<usize>) -> Range<usize> {
    let text = source.get(range.clone()).unwrap_or_default();
    let start = range.start + text.len() - text.trim_start().len();
    let text = text.trim_end_matches(|c: char| c.is_whitespace() || c == '-');
    start..(range.start + text.len()).max(start)
}

/// The words of a range that stand in no bracket of it.
fn flat_words(source: &str, within: &Range<usize>) -> Vec<Range<usize>> {
    let Some(text) = source.get(within.clone()) else {
        return vec![];
    };
    let words = words(text);
    let mut depth = 0_usize;
    let mut flat = Vec::new();
    for (at, c) in outside_strings(text) {
        match c {
            '[' | '(' | '{' => depth += 1,
            ']' | ')' | '}' => depth = depth.saturating_sub(1),
            _ if depth > 0 => {}
            _ => flat.extend(words.iter().find(|w| w.start == at)),
        }
    }
    flat.iter()
        .map(|w| within.start + w.start..within.start + w.end)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used(text: &str) -> Vec<(&str, bool)> {
        paths(text, Form::Expression)
            .iter()
            .map(|p| (&text[p.whole()], p.may_be_absent))
            .collect()
    }

    #[test]
    fn a_path_goes_as_far_as_the_text_does() {
        assert_eq!(
            used("a.b['c'].d ~ f(v=e[g.h]) | x(y='z')"),
            [("a.b['c'].d", false), ("e[g.h]", false), ("g.h", false)]
        );
    }

    #[test]
    fn what_may_be_absent_is_known() {
        for text in [
            "a is defined",
            "a.b is not defined",
            "a['b'] | default(value=1)",
            "(a.b) | default(value=1)",
            "a?.b",
        ] {
            assert!(used(text)[0].1, "{text}");
        }
        for text in ["a.b", "a | mandatory", "a is none", "a == 1"] {
            assert!(!used(text)[0].1, "{text}");
        }
    }

    #[test]
    fn loops_are_found_with_what_they_are_over() {
        let shown = |text: &str, form| -> Vec<(String, String, String)> {
            loops(text, form)
                .into_iter()
                .map(|each| {
                    let element = each.element.map(|e| text[e].to_owned());
                    let over = text[each.over].to_owned();
                    (each.variables.join(","), over, element.unwrap_or_default())
                })
                .collect()
        };
        let all = |x: &str, y: &str, z: &str| (x.to_owned(), y.to_owned(), z.to_owned());
        assert_eq!(
            shown(
                "[x.a for x in xs if x] ~ [[y for y in z] for z in zs]",
                Form::Expression
            ),
            [
                all("x", "xs", "x.a"),
                all("z", "zs", "[y for y in z]"),
                all("y", "z", "y")
            ]
        );
        assert_eq!(
            shown(
                "{%- for k, v in m -%}{{ ' for a in b' }}{% endfor %}",
                Form::Text
            ),
            [all("k,v", "m", "")]
        );
    }
}
