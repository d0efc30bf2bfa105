//! Tera behind one door: texts are compiled once per process and rendered with few variables.
//!
//! Nothing outside this folder knows Tera, so that it can be exchanged.

use super::fault::Fault;
use super::{dialect, lists, missing};
use std::cell::RefCell;
use std::collections::HashMap;
use std::io::Write;
use std::ops::Range;
use std::sync::{Arc, LazyLock, RwLock};
use tera::{Context, Kwargs, State, Tera, Value};

/// The most that one text may render to, in bytes. Tera has no limit of its own.
const LARGEST: usize = 16 * 1024 * 1024;
/// The name of the one template in each compiled text.
const NAME: &str = "text";
const GIVE_OPEN: &str = "{{ __give(v=(";
const GIVE_CLOSE: &str = ")) }}";

/// How a text is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Form {
    /// Words with templates among them; gives text.
    Text,
    /// An expression without braces; gives a value of any type.
    Expression,
}

/// A text that Tera has understood.
pub struct Compiled {
    tera: Tera,
    /// The same, which sees to it that no loop goes over a text.
    looking: Option<Tera>,
    source: String,
    /// How far Tera's positions are from the author's.
    shift: usize,
    /// The variables it may ask for.
    pub names: Vec<String>,
}

/// Whether the text needs the engine at all.
pub fn has_marks(text: &str) -> bool {
    text.contains("{{") || text.contains("{%") || text.contains("{#")
}

/// The expression of a text that is exactly one `{{ }}`, and where it starts.
pub fn sole_expression(text: &str) -> Option<(&str, usize)> {
    let inside = text.strip_prefix("{{")?.strip_suffix("}}")?;
    let start = if inside.starts_with('-') { 3 } else { 2 };
    let inside = inside.strip_prefix('-').unwrap_or(inside);
    let inside = inside.strip_suffix('-').unwrap_or(inside);
    is_one_expression(inside).then_some((inside, start))
}

/// Whether no `}}` in it closes the braces early: those of strings and mappings do not.
fn is_one_expression(inside: &str) -> bool {
    let mut quote = None;
    let mut depth = 0_i32;
    for c in inside.chars() {
        match (quote, c) {
            (Some(open), _) if open == c => quote = None,
            (None, '"' | '\'' | '`') => quote = Some(c),
            (None, '{') => depth += 1,
            (None, '}') => depth -= 1,
            _ => {}
        }
        if depth < 0 {
            return false;
        }
    }
    depth == 0
}

type Cache = RwLock<HashMap<Form, HashMap<String, Arc<Compiled>>>>;

/// Compiles a text, or finds it compiled.
pub fn compile(text: &str, form: Form) -> Result<Arc<Compiled>, Box<Fault>> {
    static CACHE: LazyLock<Cache> = LazyLock::new(Cache::default);
    // A poisoned cache holds nothing half-made: entries are inserted whole.
    let known = CACHE
        .read()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
        .get(&form)
        .and_then(|texts| texts.get(text))
        .cloned();
    if let Some(compiled) = known {
        return Ok(compiled);
    }
    let compiled = Arc::new(Compiled::new(text, form)?);
    CACHE
        .write()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
        .entry(form)
        .or_default()
        .insert(text.to_owned(), Arc::clone(&compiled));
    Ok(compiled)
}

impl Compiled {
    fn new(text: &str, form: Form) -> Result<Self, Box<Fault>> {
        let (source, shift) = match form {
            Form::Text => (text.to_owned(), 0),
            Form::Expression => (format!("{GIVE_OPEN}{text}{GIVE_CLOSE}"), GIVE_OPEN.len()),
        };
        let tera = parsed(&source).map_err(|e| misread(&e, text, form, shift))?;
        let mut names: Vec<String> = tera
            .get_template_variables(NAME)
            .map_err(|e| Fault::new(&e, text, shift))?
            .into_iter()
            .map(ToOwned::to_owned)
            .collect();
        names.sort();
        let looking = lists::rewrite(&source, shift).and_then(|text| parsed(&text).ok());
        Ok(Self {
            tera,
            looking,
            source,
            shift,
            names,
        })
    }

    /// Renders to text.
    pub fn text(&self, context: &Context) -> Result<String, Box<Fault>> {
        self.strictly(context, rendered)
    }

    /// Evaluates an expression, keeping its type.
    pub fn value(&self, context: &Context) -> Result<Value, Box<Fault>> {
        let value = self.strictly(context, |tera, context| {
            rendered(tera, context)?;
            Ok(GIVEN.replace(Value::undefined()))
        })?;
        if value.is_undefined() {
            return Err(self.why_nothing(context));
        }
        Ok(value)
    }

    /// Renders, then makes sure that no missing name was silently taken for false.
    fn strictly<T>(
        &self,
        context: &Context,
        render: impl Fn(&Tera, &Context) -> tera::TeraResult<T>,
    ) -> Result<T, Box<Fault>> {
        let value = self.looking(context, &render)?;
        let absent: Vec<&str> = self
            .names
            .iter()
            .map(String::as_str)
            .filter(|name| !context.contains_key(name))
            .collect();
        if absent.is_empty() {
            return Ok(value);
        }
        let Some(strict) = missing::rewrite(&self.source, &absent, self.shift) else {
            return Ok(value);
        };
        let Err(error) = parsed(&strict).and_then(|tera| render(&tera, context)) else {
            return Ok(value);
        };
        match missing::place_in(&error.to_string()) {
            Some(at) => Err(Box::new(Fault::missing(self.authors(), at))),
            None => Ok(value),
        }
    }

    fn looking<T>(
        &self,
        context: &Context,
        render: &impl Fn(&Tera, &Context) -> tera::TeraResult<T>,
    ) -> Result<T, Box<Fault>> {
        if let Some(tera) = &self.looking {
            match render(tera, context) {
                Ok(value) => return Ok(value),
                Err(error) => {
                    if let Some(range) = lists::place_in(&error.to_string()) {
                        return Err(Box::new(Fault::no_list(self.authors(), range)));
                    }
                }
            }
        }
        // Its positions are the author's.
        render(&self.tera, context).map_err(|e| Fault::new(&e, self.authors(), self.shift))
    }

    /// Written out as text, Tera says which part of the expression is not there.
    fn why_nothing(&self, context: &Context) -> Box<Fault> {
        let nothing = Box::new(Fault::undefined(self.whole()));
        let source = format!("{{{{{}}}}}", self.authors());
        let Err(error) = parsed(&source).and_then(|tera| rendered(&tera, context)) else {
            return nothing;
        };
        match Fault::new(&error, self.authors(), 2) {
            fault if fault.is_absence => fault,
            _ => nothing,
        }
    }

    fn authors(&self) -> &str {
        let end = self.source.len() - if self.shift == 0 { 0 } else { GIVE_CLOSE.len() };
        &self.source[self.shift..end]
    }

    fn whole(&self) -> Range<usize> {
        let text = self.authors();
        let start = text.len() - text.trim_start().len();
        start..text.trim_end().len().max(start)
    }
}

/// What the author did wrong. An expression is read again without our wrapping, which would
/// otherwise appear among the things Tera says it expected.
fn misread(error: &tera::Error, text: &str, form: Form, shift: usize) -> Box<Fault> {
    match parsed(&format!("{{{{{text}}}}}")) {
        Err(own) if form == Form::Expression => Fault::new(&own, text, 2),
        _ => Fault::new(error, text, shift),
    }
}

fn parsed(source: &str) -> tera::TeraResult<Tera> {
    static TAUGHT: LazyLock<Tera> = LazyLock::new(taught);
    let mut tera = TAUGHT.clone();
    tera.add_raw_template(NAME, source)?;
    Ok(tera)
}

fn taught() -> Tera {
    let mut tera = Tera::new();
    // Nobody here writes HTML.
    tera.autoescape_on(Vec::<String>::new());
    dialect::teach(&mut tera);
    tera.register_function("__give", give);
    tera
}

thread_local! {
    /// What the expression being evaluated gave. Tera renders only text, so the value takes this way out.
    static GIVEN: RefCell<Value> = RefCell::new(Value::undefined());
}

fn give(args: Kwargs, _: &State) -> tera::TeraResult<String> {
    GIVEN.replace(args.get::<Value>("v")?.unwrap_or_else(Value::undefined));
    Ok(String::new())
}

fn rendered(tera: &Tera, context: &Context) -> tera::TeraResult<String> {
    let mut out = Limited(Vec::new());
    match tera.render_to(NAME, context, &mut out) {
        Err(_) if out.is_full() => Err(tera::Error::message(format!(
            "the text grows beyond {} MiB",
            LARGEST / 1024 / 1024
        ))),
        Err(e) => Err(e),
        Ok(()) => Ok(String::from_utf8(out.0)?),
    }
}

struct Limited(Vec<u8>);

impl Limited {
    fn is_full(&self) -> bool {
        self.0.len() >= LARGEST
    }
}

impl Write for Limited {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let room = LARGEST - self.0.len();
        // Nothing written means "no room" to `write_all`, which then stops Tera.
        self.0.extend_from_slice(&bytes[..bytes.len().min(room)]);
        Ok(bytes.len().min(room))
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_pair_of_braces_is_an_expression() {
        assert_eq!(sole_expression("{{ a }}"), Some((" a ", 2)));
        assert_eq!(sole_expression("{{- a -}}"), Some((" a ", 3)));
        assert_eq!(
            sole_expression("{{ {'a': {'b': 1}} }}"),
            Some((" {'a': {'b': 1}} ", 2))
        );
        assert_eq!(sole_expression("{{ '}} {{' }}"), Some((" '}} {{' ", 2)));
        assert_eq!(sole_expression("{{ a }} {{ b }}"), None);
        assert_eq!(sole_expression("{{ a }}\n"), None);
    }

    #[test]
    fn a_text_that_grows_without_end_is_stopped() {
        let text = "{% for a in range(end=100000) %}{% for b in range(end=100000) %}xxxxxxxxxxxxxxxxxxxx{% endfor %}{% endfor %}";
        let fault = compile(text, Form::Text)
            .ok()
            .unwrap()
            .text(&Context::new())
            .unwrap_err();
        assert_eq!(fault.message, "the text grows beyond 16 MiB");
    }
}
