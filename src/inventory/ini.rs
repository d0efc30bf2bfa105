//! An inventory in INI: `[group]`, `[group:children]`, `[group:vars]`.

use super::draft::Draft;
use super::{literal, words};
use crate::source::{Entry, File, Problem, Span, nearest};
use indexmap::IndexMap;
use std::ops::Range;
use std::sync::Arc;

pub fn read(file: &Arc<File>, draft: &mut Draft) {
    let mut reader = Reader::new(file, draft);
    let mut start = 0;
    for line in file.text.split_inclusive('\n') {
        reader.line(start + blank_before(line), line.trim());
        start += line.len();
    }
    reader.finish();
}

fn blank_before(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

#[derive(Clone, Copy)]
enum Section {
    Hosts,
    Children,
    Vars,
    /// Already noted; its lines cannot be understood.
    Unknown,
}

struct Reader<'r> {
    file: &'r Arc<File>,
    draft: &'r mut Draft,
    group: String,
    section: Section,
    /// Groups named before their section: who wants them as a child, and where.
    wanted: IndexMap<String, Vec<(String, Span)>>,
    /// Groups of which only `[group:vars]` was seen so far.
    only_vars: IndexMap<String, Span>,
}

impl<'r> Reader<'r> {
    /// The first lines belong to no section: their hosts are in no group.
    fn new(file: &'r Arc<File>, draft: &'r mut Draft) -> Self {
        Self {
            file,
            draft,
            group: "ungrouped".to_owned(),
            section: Section::Hosts,
            wanted: IndexMap::new(),
            only_vars: IndexMap::new(),
        }
    }

    fn line(&mut self, at: usize, line: &str) {
        if line.is_empty() || line.starts_with(['#', ';']) {
            return;
        }
        // `[1:3].example.com` and `[::1]:22` are hosts.
        let header = line
            .split('#')
            .next()
            .and_then(|line| line.trim_end().strip_prefix('['));
        match header.and_then(|header| header.strip_suffix(']')) {
            Some(name) if !name.contains(']') => self.header(at, name),
            _ => self.entry(at, line),
        }
    }

    fn entry(&mut self, at: usize, line: &str) {
        match self.section {
            Section::Hosts => self.hosts(at, line),
            Section::Children => self.child(at, line),
            Section::Vars => self.variable(at, line),
            Section::Unknown => {}
        }
    }

    fn header(&mut self, at: usize, inner: &str) {
        let (name, kind) = inner.split_once(':').unwrap_or((inner, "hosts"));
        let span = self.span(at + 1..at + 1 + inner.len());
        self.group = name.to_owned();
        self.section = match kind {
            "hosts" => Section::Hosts,
            "children" => Section::Children,
            "vars" => Section::Vars,
            _ => {
                self.draft.problems.push(unknown_kind(inner, kind, &span));
                Section::Unknown
            }
        };
        let is_new = !self.draft.groups.contains_key(name);
        self.draft.group(name, &span);
        if !matches!(self.section, Section::Vars) {
            self.only_vars.shift_remove(name);
            for (parent, span) in self.wanted.shift_remove(name).unwrap_or_default() {
                self.draft.link(&parent, name, &span);
            }
        } else if is_new && !self.wanted.contains_key(name) {
            self.only_vars.insert(name.to_owned(), span);
        }
    }

    fn hosts(&mut self, at: usize, line: &str) {
        let words = match words::split(line, at, self.file) {
            Ok(words) => words,
            Err(problem) => return self.draft.problems.push(problem),
        };
        let Some((first, rest)) = words.split_first() else {
            return;
        };
        let group = self.group.clone();
        let span = self.span(first.range.clone());
        let names = self.draft.hosts(&first.text, &group, &span);
        for word in rest {
            let span = self.span(word.range.clone());
            let Some(variable) = self.assignment(&word.text, &span) else {
                // What follows a slip in a line is only noise.
                return self.draft.problems.push(no_assignment(&word.text, &span));
            };
            for name in &names {
                self.draft.host_variable(name, &variable);
            }
        }
    }

    fn child(&mut self, at: usize, line: &str) {
        let name = line.split('#').next().unwrap_or(line).trim_end();
        let span = self.span(at..at + name.len());
        if self.draft.groups.contains_key(name) {
            let parent = self.group.clone();
            self.draft.link(&parent, name, &span);
        } else {
            let parent = self.group.clone();
            self.wanted
                .entry(name.to_owned())
                .or_default()
                .push((parent, span));
        }
    }

    fn variable(&mut self, at: usize, line: &str) {
        let span = self.span(at..at + line.len());
        let Some(variable) = self.assignment(line, &span) else {
            return self.draft.problems.push(no_assignment(line, &span));
        };
        let group = self.group.clone();
        self.draft.group_variable(&group, &variable);
    }

    /// `name=value`; `text` is what the span says when quotes are gone.
    fn assignment(&self, text: &str, span: &Span) -> Option<Entry> {
        let (key, value) = text.split_once('=').filter(|(key, _)| !key.is_empty())?;
        let range = span.range.clone();
        let written = &self.file.text[range.clone()];
        let (before, behind) = written.split_once('=').unwrap_or((written, ""));
        let value_span = self.span(range.end - behind.trim_start().len()..range.end);
        Some(Entry {
            key: key.trim().to_owned(),
            key_span: self.span(range.start..range.start + before.trim_end().len()),
            value: literal::read(value.trim(), &value_span),
        })
    }

    fn finish(self) {
        let known: Vec<String> = self.draft.groups.keys().cloned().collect();
        for (child, parents) in &self.wanted {
            for (parent, span) in parents {
                let problem = undefined_child(child, parent, span, &known);
                self.draft.problems.push(problem);
            }
        }
        for (name, span) in &self.only_vars {
            let others = known
                .iter()
                .map(String::as_str)
                .filter(|other| other != name);
            let problem = Problem::new(format!(
                "`[{name}:vars]` is for a group that does not exist"
            ))
            .at(span);
            self.draft.problems.push(match nearest(name, others) {
                Some(meant) => problem.help(format!("did you mean `[{meant}:vars]`?")),
                None => problem.help(format!("add a section `[{name}]`")),
            });
        }
    }

    fn span(&self, range: Range<usize>) -> Span {
        Span::new(self.file, range)
    }
}

fn unknown_kind(inner: &str, kind: &str, span: &Span) -> Problem {
    let problem = Problem::new(format!("`[{inner}]` is not a section"))
        .at(span)
        .because("sections are `[group]`, `[group:children]` and `[group:vars]`");
    match nearest(kind, ["hosts", "children", "vars"]) {
        Some(meant) => problem.help(format!("did you mean `:{meant}`?")),
        None => problem,
    }
}

fn no_assignment(text: &str, span: &Span) -> Problem {
    Problem::new(format!("`{text}` is not `name=value`"))
        .at(span)
        .help("write no spaces around `=`, and quote a value that holds spaces")
}

fn undefined_child(child: &str, parent: &str, span: &Span, known: &[String]) -> Problem {
    let problem = Problem::new(format!(
        "group `{parent}` has a child `{child}` that does not exist"
    ))
    .at(span)
    .because(format!("no section `[{child}]`"));
    match nearest(child, known.iter().map(String::as_str)) {
        Some(meant) => problem.help(format!("did you mean `{meant}`?")),
        None => problem.help(format!("add a section `[{child}]`")),
    }
}
