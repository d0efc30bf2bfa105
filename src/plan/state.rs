//! What is known of one host in the middle of a run.

use crate::source::Node;
use crate::vars::{Layer, Variable};
use crate::wire::Facts;
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Lives as long as the run; plays add to it.
#[derive(Debug, Clone)]
pub struct HostState {
    pub name: String,
    /// `ansible_facts` and its `ansible_` aliases, as data.
    pub facts: Arc<Layer>,
    /// Registered results and `set_fact`, the latest wins.
    pub learned: Arc<Layer>,
    /// In a preview: names that may turn out otherwise, because a fact or a failure decides.
    pub unsure: BTreeSet<String>,
    /// Handlers that are due on the host from an earlier run.
    pub due: Vec<String>,
    /// Handlers that some step so far may have made due; they wait for the next flush, across the
    /// stretches that a `run_once` task cuts.
    pub notified: BTreeSet<String>,
    /// The next step's number.
    pub next_step: u32,
    pub next_task: u32,
}

impl HostState {
    pub fn new(name: &str, facts: &Facts, due: Vec<String>) -> Self {
        Self {
            name: name.to_owned(),
            facts: Arc::new(facts_layer(facts)),
            learned: Arc::new(Layer::new("set_fact and register")),
            unsure: BTreeSet::new(),
            due,
            notified: BTreeSet::new(),
            next_step: 0,
            next_task: 0,
        }
    }

    /// What another worker of this host found due from an earlier run.
    pub fn owes_still(&mut self, due: &[String]) {
        for key in due {
            if !self.due.contains(key) {
                self.due.push(key.clone());
            }
        }
    }

    /// Marks a register as known only when its task has run.
    pub fn expect(&mut self, register: &str, task: &str) {
        Arc::make_mut(&mut self.learned)
            .variables
            .insert(register.to_owned(), Variable::Pending(task.to_owned()));
    }

    /// The result is in; or the task never ran, and the name is unknown again.
    pub fn learn(&mut self, register: &str, result: Option<Value>) {
        match result {
            Some(result) => {
                Arc::make_mut(&mut self.learned)
                    .variables
                    .insert(register.to_owned(), Variable::Data(result.into()));
            }
            None => {
                Arc::make_mut(&mut self.learned)
                    .variables
                    .shift_remove(register);
            }
        }
    }

    /// Whether these names may turn out otherwise.
    pub(super) fn doubt(&mut self, names: &[&str], may: bool) {
        for name in names {
            match may {
                true => self.unsure.insert((*name).to_owned()),
                false => self.unsure.remove(*name),
            };
        }
    }

    /// Whether a name may turn out otherwise than a preview takes it.
    pub(super) fn may_change(&self, name: &str) -> bool {
        self.facts.variables.contains_key(name) || self.unsure.contains(name)
    }

    /// `set_fact`, already resolved.
    pub fn set(&mut self, name: &str, value: Value) {
        self.learn(name, Some(value));
    }

    /// A fact that waits for a registered result.
    pub fn set_written(&mut self, name: &str, node: &Node) {
        Arc::make_mut(&mut self.learned)
            .variables
            .insert(name.to_owned(), Variable::Written(node.clone()));
    }
}

fn facts_layer(facts: &Facts) -> Layer {
    let mut layer = Layer::new("facts");
    let all = serde_json::to_value(facts).unwrap_or_default();
    if let Value::Object(fields) = &all {
        for (name, value) in fields {
            layer.variables.insert(
                format!("ansible_{name}"),
                Variable::Data(value.clone().into()),
            );
        }
    }
    layer.with("ansible_facts", all)
}
