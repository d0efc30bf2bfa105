//! A mistake in the input, said so that the reader can mend it at once.

use super::{File, Span};
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use std::sync::Arc;

pub type Result<T> = std::result::Result<T, Problems>;

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What is wrong, lower case, no final stop.
    pub message: String,
    pub span: Option<Span>,
    /// Written under the marked text: why it is wrong.
    pub reason: String,
    /// What to write instead.
    pub help: Option<String>,
    /// Other places that belong to it.
    pub also: Vec<(Span, String)>,
    /// Where the same mistake stands again.
    pub elsewhere: Vec<Span>,
    /// Other mistakes that were found with it; each is told on its own.
    pub more: Vec<Problem>,
}

impl Problem {
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            span: None,
            reason: String::new(),
            help: None,
            also: Vec::new(),
            elsewhere: Vec::new(),
            more: Vec::new(),
        }
    }

    /// Several mistakes that travel as one.
    pub fn all(problems: impl IntoIterator<Item = Self>) -> Option<Self> {
        let mut problems = problems.into_iter();
        let mut first = problems.next()?;
        first.more.extend(problems);
        Some(first)
    }

    #[must_use]
    pub fn at(mut self, span: &Span) -> Self {
        self.span = Some(span.clone());
        self
    }

    #[must_use]
    pub fn because(mut self, reason: impl Into<String>) -> Self {
        self.reason = reason.into();
        self
    }

    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    #[must_use]
    pub fn also(mut self, span: &Span, label: impl Into<String>) -> Self {
        self.also.push((span.clone(), label.into()));
        self
    }

    /// Another place of the same mistake is named, not shown.
    fn again(&mut self, span: Option<Span>) {
        let Some(span) = span else { return };
        if !self.elsewhere.contains(&span) {
            self.elsewhere.push(span);
        }
    }

    /// For people: the message, the marked excerpt, the reason and the fix.
    pub fn render(&self, coloured: bool) -> String {
        let renderer = if coloured {
            Renderer::styled()
        } else {
            Renderer::plain()
        };
        let title = Level::ERROR.primary_title(self.message.as_str());
        let mut group = match &self.span {
            None => Group::with_title(title),
            Some(span) => title.element(snippet(span, &self.reason, AnnotationKind::Primary)),
        };
        for (span, label) in &self.also {
            group = group.element(snippet(span, label, AnnotationKind::Context));
        }
        let again = self.again_text();
        if let Some(again) = &again {
            group = group.element(Level::NOTE.message(again.as_str()));
        }
        if let Some(help) = &self.help {
            group = group.element(Level::HELP.message(help.as_str()));
        }
        renderer.render(&[group])
    }
}

impl Problem {
    fn again_text(&self) -> Option<String> {
        const SHOWN: usize = 3;
        let places: Vec<_> = self.elsewhere.iter().take(SHOWN).map(Span::place).collect();
        match self.elsewhere.len() {
            0 => None,
            n if n <= SHOWN => Some(format!("the same at {}", places.join(", "))),
            n => Some(format!(
                "the same at {} and {} more places",
                places.join(", "),
                n - SHOWN
            )),
        }
    }
}

fn snippet<'a>(
    span: &'a Span,
    label: &'a str,
    kind: AnnotationKind,
) -> Snippet<'a, annotate_snippets::Annotation<'a>> {
    let annotation = kind.span(within(span));
    Snippet::source(span.file.text.as_str())
        .path(span.file.name.as_str())
        .annotation(if label.is_empty() {
            annotation
        } else {
            annotation.label(label)
        })
}

/// The marked range, cut to its first line: a block of fifty lines says nothing.
fn within(span: &Span) -> std::ops::Range<usize> {
    let text = &span.file.text;
    let start = span.range.start.min(text.len());
    let end = span.range.end.clamp(start, text.len());
    let first_line = text[start..end].find('\n').map_or(end, |at| start + at);
    start..first_line
}

/// All mistakes found in one pass. Never empty when it travels as an error.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

impl Problems {
    pub fn new() -> Self {
        Self::default()
    }

    /// The same mistake seen from several hosts, loops or places is one mistake: the first place stands for all.
    pub fn push(&mut self, mut problem: Problem) {
        let more = std::mem::take(&mut problem.more);
        self.push_one(problem);
        for problem in more {
            self.push(problem);
        }
    }

    fn push_one(&mut self, problem: Problem) {
        match self.0.iter_mut().find(|p| p.message == problem.message) {
            None => self.0.push(problem),
            Some(known) if known.span == problem.span => {}
            Some(known) => known.again(problem.span),
        }
    }

    pub fn extend(&mut self, other: Problems) {
        for problem in other.0 {
            self.push(problem);
        }
    }

    /// Keeps the value, or the problems when there are any.
    pub fn take<T>(&mut self, result: Result<T>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(problems) => {
                self.extend(problems);
                None
            }
        }
    }

    /// `value` if nothing was wrong.
    pub fn or<T>(self, value: T) -> Result<T> {
        if self.0.is_empty() {
            Ok(value)
        } else {
            Err(self)
        }
    }

    /// Those without a place get this one, and those among them without a way to mend them this help.
    #[must_use]
    pub fn placed(self, span: &Span, help: &str) -> Self {
        let placed = |problem: Problem| match problem {
            Problem { span: Some(_), .. } => problem,
            Problem { help: Some(_), .. } => problem.at(span),
            _ => problem.at(span).help(help),
        };
        Self(self.0.into_iter().map(placed).collect())
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.0.iter()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn render(&self, coloured: bool) -> String {
        let mut texts: Vec<_> = self.0.iter().map(|p| p.render(coloured)).collect();
        texts.push(String::new());
        texts.join("\n\n").trim_end().to_owned() + "\n"
    }
}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        let mut problems = Self::new();
        problems.push(problem);
        problems
    }
}

/// For a file that cannot even be read.
pub fn unreadable(name: &str, error: &std::io::Error) -> Problem {
    Problem::new(format!("{name} cannot be read: {error}"))
}

/// A whole file as a span, for mistakes that have no better place.
pub fn start_of(file: &Arc<File>) -> Span {
    Span::new(file, 0..0)
}
