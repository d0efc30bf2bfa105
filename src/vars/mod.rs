//! WITH what: the one ladder of precedence, and Tera, strict.
//!
//! A variable's text may hold templates; it is resolved when something asks for it, in the asking
//! host's scope, so a broken variable that nobody uses breaks nothing. What a host said (facts,
//! registered results) is data: it is never read as a template, whatever it contains.

mod absence;
mod blame;
mod check;
mod dialect;
mod engine;
mod fault;
mod lists;
mod missing;
mod piece;
mod place;
mod reading;
mod scope;
mod secret;
mod strangers;

pub use check::{check_condition, check_template, check_texts};
pub use dialect::truth;
pub use scope::Scope;
pub use secret::{is_secret, secrets_within};
pub use strangers::Text;

use crate::source::{Node, Problem};
use indexmap::IndexMap;
use serde_json::Value;
use std::sync::{Arc, OnceLock};

/// A variable as it stands in a layer.
#[derive(Debug, Clone, PartialEq)]
pub enum Variable {
    /// As somebody wrote it; may hold templates.
    Written(Node),
    /// A fact, a registered result, a loop's item: never a template.
    Data(Datum),
    /// Known when the task of this title has run.
    Pending(String),
}

/// A value that nobody wrote, and, once it was asked for, the engine's form of it: making that of
/// `hostvars` anew for each text would cost a thousand hosts a million times the variables of one.
#[derive(Debug, Clone)]
pub struct Datum {
    value: Value,
    given: OnceLock<tera::Value>,
}

impl From<Value> for Datum {
    fn from(value: Value) -> Self {
        Self {
            value,
            given: OnceLock::new(),
        }
    }
}

impl std::ops::Deref for Datum {
    type Target = Value;

    fn deref(&self) -> &Value {
        &self.value
    }
}

impl PartialEq for Datum {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

/// Variables of one origin.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Layer {
    /// `group_vars/all`, `role apim defaults`, `extra vars`; for `--explain`.
    pub origin: String,
    pub variables: IndexMap<String, Variable>,
}

impl Layer {
    pub fn new(origin: impl Into<String>) -> Self {
        Self {
            origin: origin.into(),
            variables: IndexMap::new(),
        }
    }

    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.variables
            .insert(name.to_owned(), Variable::Data(value.into().into()));
        self
    }
}

/// Layers from the weakest to the strongest.
#[derive(Debug, Clone, Default)]
pub struct Ladder {
    pub layers: Vec<Arc<Layer>>,
}

impl Ladder {
    pub fn push(&mut self, layer: Arc<Layer>) {
        if !layer.variables.is_empty() {
            self.layers.push(layer);
        }
    }

    /// The strongest variable of this name.
    pub fn get(&self, name: &str) -> Option<&Variable> {
        self.find(name).map(|(_, variable)| variable)
    }

    /// The strongest variable of this name, and the layer that has it.
    pub fn find(&self, name: &str) -> Option<(&Layer, &Variable)> {
        let layers = self.layers.iter().rev();
        let mut with = layers.filter_map(|l| Some((l.as_ref(), l.variables.get(name)?)));
        with.next()
    }

    /// Every name that stands in some layer.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.layers
            .iter()
            .flat_map(|l| l.variables.keys().map(String::as_str))
    }
}

/// Why something could not be resolved.
#[derive(Debug, Clone, PartialEq)]
pub enum Unresolved {
    /// A mistake somebody has to mend.
    Wrong(Box<Problem>),
    /// It reads `name`, which is known when `task` has run.
    Pending { name: String, task: String },
}

impl From<Problem> for Unresolved {
    fn from(problem: Problem) -> Self {
        Self::Wrong(Box::new(problem))
    }
}
