//! One host's view of the variables at one task: what a name is worth, what a text says.

use super::check::{Condition, condition};
use super::engine::{self, Compiled, Form};
use super::fault::Fault;
use super::piece::Piece;
use super::{Ladder, Unresolved, Variable, dialect};
use crate::source::{File, Node, Problem, Span, Yaml, nearest};
use serde_json::Value;
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;
use tera::value::Key;
use tera::{Context, Map, Value as Given};

/// How many variables may stand between a text and the value it needs.
const DEEPEST: usize = 50;

/// Resolves names and texts by one ladder. Each variable is resolved once, when it is first asked for.
pub struct Scope<'a> {
    pub(super) ladder: &'a Ladder,
    resolved: RefCell<HashMap<String, Result<Given, Miss>>>,
    /// The variables being resolved, outermost first: a name that comes twice is a cycle.
    chain: RefCell<Vec<(String, Span)>>,
}

/// Why there is no value. Like `Unresolved`, and knows absence from other mistakes: something
/// absent may have a default, a broken template may not.
#[derive(Debug, Clone)]
pub(super) enum Miss {
    Absent(Box<Problem>),
    Wrong(Box<Problem>),
    Pending { name: String, task: String },
}

impl From<Problem> for Miss {
    fn from(problem: Problem) -> Self {
        Self::Wrong(Box::new(problem))
    }
}

impl From<Miss> for Unresolved {
    fn from(miss: Miss) -> Self {
        match miss {
            Miss::Absent(problem) | Miss::Wrong(problem) => Self::Wrong(problem),
            Miss::Pending { name, task } => Self::Pending { name, task },
        }
    }
}

impl<'a> Scope<'a> {
    pub fn new(ladder: &'a Ladder) -> Self {
        Self {
            ladder,
            resolved: RefCell::default(),
            chain: RefCell::default(),
        }
    }

    /// What a variable is worth, with every template in it rendered.
    pub fn value(&self, name: &str) -> Result<Value, Unresolved> {
        self.get(name)
            .unwrap_or_else(|| Err(self.unknown(name).into()))
    }

    /// Like `value`; `None` when no layer has the name.
    pub fn get(&self, name: &str) -> Option<Result<Value, Unresolved>> {
        let found = self.variable(name)?;
        Some(
            found
                .map_err(Unresolved::from)
                .and_then(|given| plain(&given, None)),
        )
    }

    /// A node with every template in it rendered. A text that is exactly one `{{ }}` keeps its type.
    pub fn render(&self, node: &Node) -> Result<Value, Unresolved> {
        plain(&self.given(node)?, Some(&node.span))
    }

    /// A node that must give text. Numbers and booleans are written out.
    pub fn text(&self, node: &Node) -> Result<String, Unresolved> {
        let value = self.render(node)?;
        match value {
            Value::String(text) => Ok(text),
            Value::Number(_) | Value::Bool(_) => Ok(value.to_string()),
            _ => Err(Problem::new(format!(
                "text is wanted here, and this gives {}",
                kind(&value)
            ))
            .at(&node.span)
            .into()),
        }
    }

    /// A condition: YAML's boolean, or an expression without braces that gives one.
    pub fn truth(&self, node: &Node) -> Result<bool, Unresolved> {
        let text = match condition(node).map_err(Unresolved::Wrong)? {
            Condition::Known(truth) => return Ok(truth),
            Condition::Expression(text) => text,
        };
        let value = self.expression(&Piece::condition(text, &node.span))?;
        value.as_bool().ok_or_else(|| {
            let value = serde_json::to_value(&value).unwrap_or_default();
            Problem::new(format!(
                "the condition gives {}, not a boolean",
                kind(&value)
            ))
            .at(&node.span)
            .because("only true and false decide")
            .help("compare it (`x == 'yes'`, `x | length > 0`) or convert it (`x | bool`)")
            .into()
        })
    }

    /// What an expression without braces gives; `span` is where it stands.
    pub fn expressed(&self, text: &str, span: &Span) -> Result<Value, Unresolved> {
        plain(&self.expression(&Piece::condition(text, span))?, Some(span))
    }

    /// A template file, rendered.
    pub fn file(&self, file: &Arc<File>) -> Result<String, Unresolved> {
        let whole = Span::new(file, 0..file.text.len());
        self.template_text(&file.text, &whole)
    }

    /// A text from anywhere, rendered; `span` is where it stands.
    pub fn template_text(&self, text: &str, span: &Span) -> Result<String, Unresolved> {
        Ok(self.words(text, span)?)
    }

    pub(super) fn variable(&self, name: &str) -> Option<Result<Given, Miss>> {
        if let Some(known) = self.resolved.borrow().get(name) {
            return Some(known.clone());
        }
        let found = match self.ladder.get(name) {
            None if name == "omit" => Ok(Given::from(dialect::OMIT)),
            None => return None,
            Some(Variable::Data(datum)) => match datum.given.get() {
                Some(given) => Ok(given.clone()),
                None => taken(datum).map(|given| datum.given.get_or_init(|| given).clone()),
            },
            Some(Variable::Pending(task)) => Err(Miss::Pending {
                name: name.to_owned(),
                task: task.clone(),
            }),
            Some(Variable::Written(node)) => self.written(name, node),
        };
        self.resolved
            .borrow_mut()
            .insert(name.to_owned(), found.clone());
        Some(found)
    }

    /// A variable that somebody wrote, which may lead to others.
    fn written(&self, name: &str, node: &Node) -> Result<Given, Miss> {
        self.enter(name, node)?;
        let given = self.given(node);
        self.chain.borrow_mut().pop();
        given
    }

    fn enter(&self, name: &str, node: &Node) -> Result<(), Miss> {
        let mut chain = self.chain.borrow_mut();
        if let Some(start) = chain.iter().position(|(link, _)| link == name) {
            return Err(circle(&chain[start..]).into());
        }
        if chain.len() >= DEEPEST {
            return Err(
                Problem::new(format!("more than {DEEPEST} variables lead to one another"))
                    .at(&node.span)
                    .help("give the text its values more directly")
                    .into(),
            );
        }
        chain.push((name.to_owned(), node.span.clone()));
        Ok(())
    }

    fn given(&self, node: &Node) -> Result<Given, Miss> {
        if node.tag.as_deref() == Some("unsafe") {
            return taken(&node.to_value());
        }
        match &node.value {
            Yaml::Text(text) => self.speak(text, &node.span),
            Yaml::List(items) => {
                let items: Result<Vec<Given>, Miss> =
                    items.iter().map(|item| self.given(item)).collect();
                let items = items?.into_iter().filter(|item| !is_omitted(item));
                Ok(items.collect::<Vec<_>>().into())
            }
            Yaml::Map(map) => {
                let mut out = Map::new();
                for entry in &map.entries {
                    let value = self.given(&entry.value)?;
                    if !is_omitted(&value) {
                        out.insert(Key::from(entry.key.clone()), value);
                    }
                }
                Ok(out.into())
            }
            _ => taken(&node.to_value()),
        }
    }

    /// A text: as it is, one expression, or words with templates among them.
    fn speak(&self, text: &str, span: &Span) -> Result<Given, Miss> {
        let piece = Piece::of(text, span);
        match piece.form {
            Form::Expression => self.expression(&piece),
            Form::Text => self.words(text, span).map(Given::from),
        }
    }

    fn words(&self, text: &str, span: &Span) -> Result<String, Miss> {
        if !engine::has_marks(text) {
            return Ok(text.to_owned());
        }
        self.ask(text, Form::Text, Compiled::text)
            .map_err(|trouble| self.explain(trouble, &Piece::text(text, span)))
    }

    fn expression(&self, piece: &Piece<'_>) -> Result<Given, Miss> {
        self.ask(piece.part, Form::Expression, Compiled::value)
            .map_err(|trouble| self.explain(trouble, piece))
    }

    /// Compiles a text, resolves what it names, and has the engine answer.
    fn ask<T>(
        &self,
        text: &str,
        form: Form,
        answer: impl Fn(&Compiled, &Context) -> Result<T, Box<Fault>>,
    ) -> Result<T, Trouble> {
        let compiled = engine::compile(text, form)?;
        let mut context = Context::new();
        let mut absent = HashMap::new();
        for name in &compiled.names {
            match self.variable(name) {
                None => {}
                Some(Ok(given)) => context.insert_value(name.clone(), given),
                // It only matters if the text really comes to ask for it.
                Some(Err(Miss::Absent(problem))) => {
                    absent.insert(name.clone(), problem);
                }
                Some(Err(miss)) => return Err(Trouble::Variable(miss)),
            }
        }
        answer(&compiled, &context).map_err(|fault| {
            let missed = match &fault.undefined {
                Some(name) => absent.remove(name),
                // What else could be undefined: names that nobody gave are told by name.
                None if fault.is_vague => compiled.names.iter().find_map(|n| absent.remove(n)),
                None => None,
            };
            match missed {
                Some(problem) => Trouble::Variable(Miss::Absent(problem)),
                None => Trouble::Text(fault),
            }
        })
    }

    fn explain(&self, trouble: Trouble, piece: &Piece<'_>) -> Miss {
        match trouble {
            Trouble::Variable(miss) => miss,
            Trouble::Text(fault) => self.complain(*fault, piece),
        }
    }

    /// What is wrong with a piece of a text, with the fix and the places that led to it.
    pub(super) fn complain(&self, fault: Fault, piece: &Piece<'_>) -> Miss {
        let mut fault = self.told_apart(fault, piece);
        if let Some(name) = &fault.undefined {
            fault.help = fault.help.or_else(|| self.near(name));
        }
        let is_absence = fault.is_absence;
        let blamed = self.blamed(&fault, piece);
        let problem = self.with_origins(piece.problem(fault), &blamed);
        if is_absence {
            Miss::Absent(Box::new(problem))
        } else {
            Miss::Wrong(Box::new(problem))
        }
    }

    fn unknown(&self, name: &str) -> Problem {
        let problem = Problem::new(format!("`{name}` is not defined"));
        match self.near(name) {
            Some(help) => problem.help(help),
            None => problem,
        }
    }

    /// What somebody who wrote this name may have meant, or where it is explained.
    pub(super) fn near(&self, name: &str) -> Option<String> {
        match slip_of(name, self.ladder.names()) {
            Some(near) => Some(format!("did you mean `{near}`?")),
            None => self.documented(name),
        }
    }
}

/// Which variable somebody meant who wrote this name.
pub(super) fn slip_of<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    nearest(name, known.filter(|known| is_slip(name, known)))
}

/// Whether each word of one name is that of the other, but for a slip of the pen: `db_apim_password` is
/// no `db_admin_password`, and `mi_port` no `si_port`.
fn is_slip(name: &str, known: &str) -> bool {
    const SHORT: usize = 3;
    let (words, others) = (name.split('_'), known.split('_'));
    match (words.clone().count(), others.clone().count()) {
        (1, 1) => true,
        (one, other) if one != other => name.replace('_', "") == known.replace('_', ""),
        _ => words.zip(others).enumerate().all(|(at, (word, other))| {
            // The first word says what it is about: `apim` is not `api` with a letter too many.
            let is_other = at == 0 && (word.starts_with(other) || other.starts_with(word));
            let is_short = word.len().max(other.len()) <= SHORT;
            word == other || !is_other && !is_short && nearest(word, [other]).is_some()
        }),
    }
}

/// Where a text failed: in itself, or in a variable it needs.
enum Trouble {
    Text(Box<Fault>),
    Variable(Miss),
}

impl From<Box<Fault>> for Trouble {
    fn from(fault: Box<Fault>) -> Self {
        Self::Text(fault)
    }
}

fn circle(links: &[(String, Span)]) -> Problem {
    let mut names: Vec<&str> = links.iter().map(|(name, _)| name.as_str()).collect();
    names.extend(names.first().copied());
    let mut problem = Problem::new(format!(
        "variables need one another in a circle: {}",
        names.join(" -> ")
    ));
    for (at, (name, span)) in links.iter().enumerate() {
        problem = match at {
            0 => problem.at(span).because(format!("`{name}`")),
            _ => problem.also(span, format!("`{name}`")),
        };
    }
    problem
}

fn is_omitted(value: &Given) -> bool {
    value.as_str() == Some(dialect::OMIT)
}

fn taken(value: &Value) -> Result<Given, Miss> {
    Given::try_from_serializable(value).map_err(|e| Problem::new(e.to_string()).into())
}

fn plain(given: &Given, span: Option<&Span>) -> Result<Value, Unresolved> {
    serde_json::to_value(given).map_err(|e| {
        let problem = Problem::new(format!("the value cannot be kept: {e}"));
        span.map_or(problem.clone(), |span| problem.at(span)).into()
    })
}

/// What kind of value it is, for messages.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a mapping",
    }
}

#[cfg(test)]
#[path = "scope_tests.rs"]
mod tests;
