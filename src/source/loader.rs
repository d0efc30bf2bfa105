//! From the parser's events to nodes: anchors, merge keys, unique keys, limits.
//!
//! What is wrong inside well-formed YAML is noted and the reading goes on, so that one look shows
//! all mistakes of a file. Only broken syntax and a passed limit end it.

use super::{Entry, File, Mapping, Node, Problem, Problems, Span, Yaml, scalar, syntax};
use granit_parser::{Event, Options, Parser, ScalarStyle, StrInput, StructureStyle, Tag};
use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

const MAX_DEPTH: usize = 100;
const MAX_NODES: usize = 200_000;

/// The reading cannot go on; why is already noted.
pub(super) struct Stop;

type Step<T> = std::result::Result<T, Stop>;
type WrittenTag<'f> = Option<Cow<'f, Tag>>;

pub(super) struct Loader<'f> {
    file: &'f Arc<File>,
    events: Parser<'f, StrInput<'f>>,
    anchors: HashMap<usize, Anchored>,
    /// Nodes made so far, copies by alias included: what a bomb of aliases is measured by.
    nodes: usize,
    pub problems: Problems,
}

struct Anchored {
    node: Node,
    size: Size,
}

#[derive(Clone, Copy)]
struct Size {
    nodes: usize,
    height: usize,
}

enum Key {
    Name(String, Span),
    Merge(Span),
    /// Already noted.
    Wrong,
}

/// A mapping while it is read.
#[derive(Default)]
struct Open {
    mapping: Mapping,
    places: HashMap<String, usize>,
    merges: Vec<Node>,
}

impl<'f> Loader<'f> {
    pub fn new(file: &'f Arc<File>) -> Self {
        let mut options = Options::default();
        options.set_emit_comments(false);
        options.emit_unresolved_aliases = true;
        options.block_scalar_eof_without_line_feed = true;
        options.flow_nesting_limit = MAX_DEPTH;
        options.block_nesting_limit = MAX_DEPTH;
        Self {
            file,
            events: Parser::new_from_str_with_options(&file.text, options),
            anchors: HashMap::new(),
            nodes: 0,
            problems: Problems::new(),
        }
    }

    /// Every document of the file, in order.
    pub fn documents(&mut self) -> Step<Vec<Node>> {
        let mut documents = Vec::new();
        loop {
            match self.next()? {
                (Event::StreamEnd, _) => return Ok(documents),
                (event, at) if event.is_node() => documents.push(self.node(event, at, 1)?),
                // Names of anchors do not reach into the next document.
                (Event::DocumentEnd, _) => self.anchors.clear(),
                _ => {}
            }
        }
    }

    fn next(&mut self) -> Step<(Event<'f>, Range<usize>)> {
        match self.events.next_event() {
            Some(Ok((event, span))) => Ok((event, span.byte_range().unwrap_or_default())),
            Some(Err(error)) => {
                self.problems.push(syntax::explain(self.file, &error));
                Err(Stop)
            }
            None => Ok((Event::StreamEnd, 0..0)),
        }
    }

    fn node(&mut self, event: Event<'f>, at: Range<usize>, depth: usize) -> Step<Node> {
        self.count(1, depth, &at)?;
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let node = self.scalar(&text, style, tag, at);
                self.remember(anchor, node)
            }
            Event::SequenceStart(_, anchor, tag) => {
                let list = self.list(&at, depth)?;
                let node = self.tagged(Yaml::List(list.0), list.1, tag);
                self.remember(anchor, node)
            }
            Event::MappingStart(style, anchor, tag) => {
                let map = self.mapping(style, &at, depth)?;
                let node = self.tagged(map.0, map.1, tag);
                self.remember(anchor, node)
            }
            Event::Alias(anchor) => self.alias(anchor, at, depth),
            Event::UnresolvedAlias(name) => Ok(self.unknown_alias(&name, at)),
            _ => Ok(self.null(at)),
        }
    }

    fn scalar(
        &mut self,
        text: &str,
        style: ScalarStyle,
        tag: WrittenTag,
        at: Range<usize>,
    ) -> Node {
        match style {
            ScalarStyle::Plain => {
                self.refuse_lookalikes(text, &at);
                let value = match &tag {
                    None => scalar::resolve(if at.is_empty() { "" } else { text }),
                    Some(tag) => self.as_tagged(text, tag, &at),
                };
                self.tagged(value, at, tag)
            }
            ScalarStyle::Literal | ScalarStyle::Folded => {
                let at = lines_of_block(&self.file.text, text, at);
                self.tagged(Yaml::Text(text.to_owned()), at, tag)
            }
            _ => {
                let value = match &tag {
                    None => Yaml::Text(text.to_owned()),
                    Some(tag) => self.as_tagged(text, tag, &at),
                };
                self.tagged(value, at, tag)
            }
        }
    }

    /// `!!int "5"` asks for a number; other tags leave the text alone.
    fn as_tagged(&mut self, text: &str, tag: &Tag, at: &Range<usize>) -> Yaml {
        let Some(wanted) = tag.core_suffix() else {
            return Yaml::Text(text.to_owned());
        };
        let value = match (wanted, scalar::resolve(text)) {
            ("float", Yaml::Int(i)) => Yaml::Float(i as f64),
            (_, value) => value,
        };
        match (wanted, &value) {
            ("str", _) => Yaml::Text(text.to_owned()),
            ("int", Yaml::Int(_))
            | ("float", Yaml::Float(_))
            | ("bool", Yaml::Bool(_))
            | ("null", Yaml::Null) => value,
            _ => {
                self.wrong(
                    at,
                    format!("`{text}` is not what its tag `!!{wanted}` says"),
                );
                Yaml::Null
            }
        }
    }

    fn list(&mut self, start: &Range<usize>, depth: usize) -> Step<(Vec<Node>, Range<usize>)> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, end) => {
                    let last = items.last().map_or(start.end, |n: &Node| n.span.range.end);
                    return Ok((items, start.start..end.end.min(self.past(last, ']'))));
                }
                (event, at) => items.push(self.node(event, at, depth + 1)?),
            }
        }
    }

    fn mapping(
        &mut self,
        style: StructureStyle,
        start: &Range<usize>,
        depth: usize,
    ) -> Step<(Yaml, Range<usize>)> {
        if style == StructureStyle::Flow && self.file.text[start.start..].starts_with("{{") {
            let problem = syntax::unquoted_template(self.file, start.start);
            self.problems.push(problem);
            self.skip_collection()?;
            return Ok((Yaml::Null, start.clone()));
        }
        let mut open = Open::default();
        let mut last = start.end;
        loop {
            let (event, at) = self.next()?;
            if event == Event::MappingEnd {
                let range = start.start..at.end.min(self.past(last, '}'));
                return Ok((Yaml::Map(self.close(open)), range));
            }
            let key = self.key(event, at)?;
            let (event, at) = self.next()?;
            let value = self.node(event, at, depth + 1)?;
            last = last.max(value.span.range.end);
            self.enter(&mut open, key, value);
        }
    }

    fn key(&mut self, event: Event<'f>, at: Range<usize>) -> Step<Key> {
        match event {
            Event::Scalar(text, style, ..) => {
                let is_plain = style == ScalarStyle::Plain;
                if is_plain {
                    self.refuse_lookalikes(&text, &at);
                }
                if at.is_empty() {
                    self.wrong(&at, "a key is missing before this `:`");
                    return Ok(Key::Wrong);
                }
                let span = Span::new(self.file, at);
                Ok(if is_plain && text == "<<" {
                    Key::Merge(span)
                } else {
                    Key::Name(text.into_owned(), span)
                })
            }
            event => {
                if matches!(event, Event::MappingStart(..) | Event::SequenceStart(..)) {
                    self.skip_collection()?;
                }
                let problem = Problem::new("a key must be text")
                    .at(&Span::new(self.file, at))
                    .because("a list, a mapping or an alias cannot be a key")
                    .help("if it is meant as text, quote it");
                self.problems.push(problem);
                Ok(Key::Wrong)
            }
        }
    }

    fn enter(&mut self, open: &mut Open, key: Key, value: Node) {
        match key {
            Key::Wrong => {}
            Key::Merge(span) => match merged(value) {
                Ok(maps) => open.merges.extend(maps),
                Err(()) => self.problems.push(
                    Problem::new("`<<` merges a mapping, or a list of mappings")
                        .at(&span)
                        .help("write `<<: *name`, where `&name` marks a mapping above"),
                ),
            },
            Key::Name(name, span) => match open.places.get(&name) {
                Some(&first) => {
                    let first = &open.mapping.entries[first].key_span;
                    self.problems.push(twice(&name, &span, first));
                }
                None => {
                    open.places.insert(name.clone(), open.mapping.entries.len());
                    open.mapping.entries.push(Entry {
                        key: name,
                        key_span: span,
                        value,
                    });
                }
            },
        }
    }

    /// Puts the merged entries before the own ones, as PyYAML orders them. An own key wins, then
    /// the mapping that is named first.
    fn close(&mut self, open: Open) -> Mapping {
        let Open {
            mapping,
            mut places,
            merges,
        } = open;
        if merges.is_empty() {
            return mapping;
        }
        let mut entries = Vec::new();
        for entry in merges.into_iter().flat_map(entries_of) {
            if places.insert(entry.key.clone(), 0).is_none() {
                entries.push(entry);
            }
        }
        entries.extend(mapping.entries);
        Mapping { entries }
    }

    fn alias(&mut self, anchor: usize, at: Range<usize>, depth: usize) -> Step<Node> {
        let Some(anchored) = self.anchors.get(&anchor) else {
            // Known to the parser, not finished here: it stands inside of what it names.
            self.wrong(&at, "an alias cannot stand inside of what it names");
            return Ok(self.null(at));
        };
        let (node, size) = (anchored.node.clone(), anchored.size);
        self.count(size.nodes, depth + size.height, &at)?;
        Ok(node)
    }

    fn unknown_alias(&mut self, name: &str, at: Range<usize>) -> Node {
        self.problems.push(
            Problem::new(format!("no `&{name}` stands above"))
                .at(&Span::new(self.file, at.clone()))
                .because("an unquoted `*` refers to a marked node")
                .help("if it is meant as text, quote it"),
        );
        self.null(at)
    }

    /// Keeps the node for its aliases. The copy counts, or nested anchors would multiply for free.
    fn remember(&mut self, anchor: usize, node: Node) -> Step<Node> {
        if anchor != 0 {
            let size = size_of(&node);
            self.count(size.nodes, 0, &node.span.range)?;
            let kept = Anchored {
                node: node.clone(),
                size,
            };
            self.anchors.insert(anchor, kept);
        }
        Ok(node)
    }

    fn count(&mut self, nodes: usize, depth: usize, at: &Range<usize>) -> Step<()> {
        self.nodes += nodes;
        let limit = if depth > MAX_DEPTH {
            format!("nested more than {MAX_DEPTH} levels deep")
        } else if self.nodes > MAX_NODES {
            format!("the file holds more than {MAX_NODES} values")
        } else {
            return Ok(());
        };
        let problem = Problem::new(limit)
            .at(&Span::new(self.file, at.clone()))
            .because("the limit is passed here, aliases counted in full");
        self.problems.push(problem);
        Err(Stop)
    }

    /// Reads past the collection whose start was just read.
    fn skip_collection(&mut self) -> Step<()> {
        let mut open = 1;
        while open > 0 {
            match self.next()?.0 {
                Event::SequenceStart(..) | Event::MappingStart(..) => open += 1,
                Event::SequenceEnd | Event::MappingEnd => open -= 1,
                Event::StreamEnd => return Ok(()),
                _ => {}
            }
        }
        Ok(())
    }

    /// Characters that look like a space or a quote and are neither.
    fn refuse_lookalikes(&mut self, text: &str, at: &Range<usize>) {
        let first = text.chars().next().unwrap_or_default();
        if let Some(problem) = syntax::lookalike(self.file, first, at.start) {
            self.problems.push(problem);
        }
    }

    /// Where a collection ends: behind its bracket if one follows, else behind its last node.
    fn past(&self, last: usize, bracket: char) -> usize {
        let rest = &self.file.text[last..];
        let blank = rest.len() - rest.trim_start_matches([' ', '\t', '\n', '\r', ',']).len();
        if rest[blank..].starts_with(bracket) {
            last + blank + 1
        } else {
            last
        }
    }

    fn tagged(&self, value: Yaml, at: Range<usize>, tag: WrittenTag) -> Node {
        let tag = tag
            .filter(|tag| tag.core_suffix().is_none() && tag.suffix() != "!")
            .map(|tag| tag.original().trim_start_matches('!').to_owned())
            .filter(|name| !name.is_empty());
        Node {
            value,
            span: Span::new(self.file, at),
            tag,
        }
    }

    fn null(&self, at: Range<usize>) -> Node {
        self.tagged(Yaml::Null, at, None)
    }

    fn wrong(&mut self, at: &Range<usize>, message: impl Into<String>) {
        let problem = Problem::new(message).at(&Span::new(self.file, at.clone()));
        self.problems.push(problem);
    }
}

fn twice(name: &str, again: &Span, first: &Span) -> Problem {
    Problem::new(format!("`{name}` is written twice in one mapping"))
        .at(again)
        .because("again here")
        .also(first, "first here")
        .help("keep one of them")
}

fn merged(value: Node) -> Result<Vec<Node>, ()> {
    let maps = match value.value {
        Yaml::Map(_) => vec![value],
        Yaml::List(list) => list,
        _ => return Err(()),
    };
    let all_maps = maps.iter().all(|node| node.as_map().is_some());
    all_maps.then_some(maps).ok_or(())
}

fn entries_of(node: Node) -> Vec<Entry> {
    match node.value {
        Yaml::Map(map) => map.entries,
        _ => Vec::new(),
    }
}

fn size_of(node: &Node) -> Size {
    let inner: Vec<Size> = match &node.value {
        Yaml::List(list) => list.iter().map(size_of).collect(),
        Yaml::Map(map) => map.entries.iter().map(|e| size_of(&e.value)).collect(),
        _ => Vec::new(),
    };
    Size {
        nodes: 1 + inner.iter().map(|s| s.nodes).sum::<usize>(),
        height: 1 + inner.iter().map(|s| s.height).max().unwrap_or(0),
    }
}

/// Line 3 of a block text is line 3 of its span: the parser starts the span behind leading blank
/// lines, though they belong to the text, and ends it behind the next line's indentation.
fn lines_of_block(file: &str, text: &str, at: Range<usize>) -> Range<usize> {
    let blank = text.len() - text.trim_start_matches('\n').len();
    let start = match blank {
        0 => at.start,
        _ => file[..at.start]
            .rmatch_indices('\n')
            .nth(blank)
            .map_or(at.start, |(newline, _)| newline + 1),
    };
    let end = file[..at.end].trim_end_matches(' ').len();
    start..end.max(start)
}
