//! One task on one host becomes steps: its loop unrolled, its condition decided, its parameters rendered.

use super::content::Bringing;
use super::place::{Place, known_host, said_become};
use super::state::HostState;
use super::verdict;
use super::world::World;
use crate::modules::{self, Entry, Faults};
use crate::playbook::{self, Action as Written, Loop, Task};
use crate::source::{Node, Problem, Span, Yaml, nearest};
use crate::vars::{Layer, Scope, Unresolved};
use crate::wire::{Action, Mode, Step};
use serde_json::{Map, Value};
use std::sync::Arc;

/// A step, and the layers it was planned with, for the verdict on it.
pub(super) struct Planned {
    pub step: Step,
    pub over: Vec<Arc<Layer>>,
    /// The loop's item as a value, for `register`.
    pub item: Option<Value>,
}

pub(super) struct Stepping<'a> {
    pub world: &'a World<'a>,
    pub host: &'a HostState,
    pub task: &'a Task,
    pub over: &'a [Arc<Layer>],
    /// The key of a handler.
    pub handler: Option<String>,
    /// The task's number.
    pub number: u32,
}

impl Stepping<'_> {
    /// The steps of the task, ids still zero. An empty list is a loop over nothing.
    pub fn steps(&self) -> Result<Vec<Planned>, Unresolved> {
        let Some(each) = &self.task.r#loop else {
            return Ok(vec![self.step(self.over.to_vec(), None)?]);
        };
        // A condition that does not read the item decides for all of them, also when the list
        // could not be made on this host. A name of the item's that stands for something else already, such as
        // the item of an include around it, says nothing about it.
        let ladder = self.world.ladder(self.host, Some(self.task), self.over);
        if ladder.get(&each.variable).is_none()
            && let Ok(Some(reason)) = self.refused(self.over)
        {
            return Ok(vec![self.skip(self.over.to_vec(), None, reason)]);
        }
        let (mut planned, mut wrong) = (Vec::new(), Vec::new());
        for (at, item) in self.items(each)?.into_iter().enumerate() {
            let mut layer = Layer::new("loop").with(&each.variable, item.clone());
            if let Some(index) = &each.index {
                layer = layer.with(index, at);
            }
            let mut over = self.over.to_vec();
            over.push(Arc::new(layer));
            match self.step(over, Some(item)) {
                Ok(step) => planned.push(step),
                // Each item may have a mistake of its own.
                Err(Unresolved::Wrong(problem)) => wrong.push(*problem),
                Err(pending) => return Err(pending),
            }
        }
        match Problem::all(wrong) {
            None => Ok(planned),
            Some(problem) => Err(problem.into()),
        }
    }

    fn items(&self, each: &Loop) -> Result<Vec<Value>, Unresolved> {
        let ladder = self.world.ladder(self.host, Some(self.task), self.over);
        match Scope::new(&ladder).render(&each.over)? {
            Value::Array(items) => Ok(items),
            other => Err(Problem::new("`loop` needs a list")
                .at(&each.over.span)
                .because(format!("this is {}", kind(&other)))
                .help("for a mapping write `loop: \"{{ mapping | dict2items }}\"`")
                .into()),
        }
    }

    fn step(&self, over: Vec<Arc<Layer>>, item: Option<Value>) -> Result<Planned, Unresolved> {
        if let Some(reason) = self.refused(&over)? {
            return Ok(self.skip(over, item, reason));
        }
        let ladder = self.world.ladder(self.host, Some(self.task), &over);
        let scope = Scope::new(&ladder);
        let action = self.action(&scope)?;
        let mut planned = self.bare(over.clone(), item, action);
        let step = &mut planned.step;
        let settings = &self.task.settings;
        step.notify = self.notify(&scope)?;
        step.environment = environment(&scope, &settings.environment)?;
        step.ignore_errors = flag(&scope, settings.ignore_errors.as_ref())?.unwrap_or(false);
        step.no_log = flag(&scope, settings.no_log.as_ref())?.unwrap_or(false);
        let is_labelled = self.task.r#loop.as_ref().is_some_and(|l| l.label.is_some());
        if step.no_log && !is_labelled {
            // The item may be the secret itself.
            step.item = step.item.take().map(|_| "hidden".to_owned());
        }
        step.diff = flag(&scope, settings.diff.as_ref())?;
        step.mode = flag(&scope, settings.check_mode.as_ref())?
            .map(|check| if check { Mode::Check } else { Mode::Apply });
        Ok(planned)
    }

    fn skip(&self, over: Vec<Arc<Layer>>, item: Option<Value>, reason: String) -> Planned {
        let is_labelled = self.task.r#loop.as_ref().is_some_and(|l| l.label.is_some());
        let mut planned = self.bare(over, item, Action::Skip { reason });
        if !is_labelled && self.is_hidden(&planned.over) {
            planned.step.item = planned.step.item.take().map(|_| "hidden".to_owned());
        }
        planned
    }

    /// Whether `no_log` holds, or cannot be known.
    fn is_hidden(&self, over: &[Arc<Layer>]) -> bool {
        let no_log = self.task.settings.no_log.as_ref();
        if no_log.is_none() {
            return false;
        }
        let ladder = self.world.ladder(self.host, Some(self.task), over);
        flag(&Scope::new(&ladder), no_log) != Ok(Some(false))
    }

    fn bare(&self, over: Vec<Arc<Layer>>, item: Option<Value>, action: Action) -> Planned {
        let verdict = verdict::needed(self.task);
        let step = Step {
            id: 0,
            task: self.number,
            title: self.title(&over),
            item: item.as_ref().map(|i| self.label(&over, i)),
            action,
            notify: vec![],
            handler: self.handler.clone(),
            changed_when: verdict::literals(&self.task.changed_when).filter(|_| !verdict),
            failed_when: verdict::literals(&self.task.failed_when).filter(|_| !verdict),
            undecided: verdict,
            ignore_errors: false,
            no_log: false,
            wants_result: verdict || self.task.register.is_some(),
            environment: vec![],
            mode: None,
            diff: None,
        };
        Planned { step, over, item }
    }

    /// `role : name`. A name that cannot be rendered yet is shown as written.
    pub fn title(&self, over: &[Arc<Layer>]) -> String {
        let name = match &self.task.name {
            Some(name) => {
                let ladder = self.world.ladder(self.host, Some(self.task), over);
                Scope::new(&ladder)
                    .text(name)
                    .unwrap_or_else(|_| name.as_text().unwrap_or_default().to_owned())
            }
            None => match &self.task.action {
                Written::Call { module, .. } => module.clone(),
                Written::SetFact { .. } => "set_fact".into(),
                Written::Assert { .. } => "assert".into(),
                _ => "include_tasks".into(),
            },
        };
        match &self.task.role {
            Some(role) => format!("{} : {name}", role.name),
            None => name,
        }
    }

    fn label(&self, over: &[Arc<Layer>], item: &Value) -> String {
        let label = self.task.r#loop.as_ref().and_then(|l| l.label.as_ref());
        let ladder = self.world.ladder(self.host, Some(self.task), over);
        label
            .and_then(|l| Scope::new(&ladder).text(l).ok())
            .unwrap_or_else(|| name_of(item))
    }

    /// The first condition that does not hold, as written.
    fn refused(&self, over: &[Arc<Layer>]) -> Result<Option<String>, Unresolved> {
        if self.task.when.is_empty() {
            return Ok(None);
        }
        let ladder = self.world.ladder(self.host, Some(self.task), over);
        let scope = Scope::new(&ladder);
        for condition in &self.task.when {
            if !scope.truth(condition)? {
                let text = match &condition.value {
                    Yaml::Text(text) => text.trim().to_owned(),
                    _ => "false".into(),
                };
                return Ok(Some(format!("when {text}")));
            }
        }
        Ok(None)
    }

    fn action(&self, scope: &Scope<'_>) -> Result<Action, Unresolved> {
        match &self.task.action {
            Written::Call { module, params } => self.call(scope, module, params),
            Written::SetFact { .. } => Ok(call("set_fact", Map::new())),
            Written::Assert {
                that,
                fail_msg,
                success_msg,
            } => self.assert(scope, that, fail_msg.as_ref(), success_msg.as_ref()),
            Written::Block { .. } | Written::Include { .. } | Written::FlushHandlers => {
                Err(Problem::new("this cannot stand here")
                    .at(&self.task.span)
                    .into())
            }
        }
    }

    fn call(&self, scope: &Scope<'_>, module: &str, written: &Node) -> Result<Action, Unresolved> {
        let Some(entry) = modules::find(module) else {
            let known = modules::all().iter().map(|e| e.name);
            let mut problem =
                Problem::new(format!("there is no module `{module}`")).at(&self.task.span);
            if let Some(near) = nearest(module, known) {
                problem = problem.help(format!("did you mean `{near}`?"));
            }
            return Err(problem.into());
        };
        let mut params = match scope.render(written)? {
            Value::Object(map) => map,
            Value::Null => Map::new(),
            other => {
                return Err(Problem::new(format!("`{module}` takes a mapping"))
                    .at(&written.span)
                    .because(format!("this is {}", kind(&other)))
                    .into());
            }
        };
        // Ansible's `omit`: a parameter that was given as nothing was not given.
        params.retain(|_, value| !value.is_null());
        Bringing {
            module: entry.name,
            files: self.world.files,
            role: self.task.role.as_deref(),
            scope,
            written,
        }
        .prepare(entry.brings, &mut params)?;
        let params = Value::Object(params);
        match (entry.prepare)(&params) {
            Ok(_) => Ok(Action::Call {
                module: entry.name.to_owned(),
                params,
            }),
            Err(faults) => Err(self.refused_params(entry, written, faults)),
        }
    }

    fn refused_params(&self, module: &Entry, written: &Node, faults: Faults) -> Unresolved {
        let faults = faults
            .0
            .into_iter()
            .map(|fault| match self.is_hidden(self.over) {
                true => fault.hidden(),
                false => fault,
            });
        let problems = faults.map(|fault| playbook::refused(module, written, &fault));
        Problem::all(problems)
            .unwrap_or_else(|| Problem::new("these parameters are refused").at(&written.span))
            .into()
    }

    fn assert(
        &self,
        scope: &Scope<'_>,
        that: &[Node],
        fail_msg: Option<&Node>,
        success_msg: Option<&Node>,
    ) -> Result<Action, Unresolved> {
        let mut checks = Vec::new();
        for condition in that {
            let text = condition.as_text().unwrap_or("false").trim();
            checks.push(serde_json::json!({
                "condition": text,
                "holds": scope.truth(condition)?,
            }));
        }
        let mut params = Map::new();
        params.insert("checks".into(), checks.into());
        for (name, node) in [("fail_msg", fail_msg), ("success_msg", success_msg)] {
            if let Some(node) = node {
                params.insert(name.into(), scope.text(node)?.into());
            }
        }
        Ok(call("assert", params))
    }

    fn notify(&self, scope: &Scope<'_>) -> Result<Vec<String>, Unresolved> {
        let mut keys = Vec::new();
        for node in &self.task.notify {
            let names = match scope.render(node)? {
                Value::Array(list) => list,
                one => vec![one],
            };
            for name in names {
                let name = name.as_str().unwrap_or_default();
                keys.extend(handlers_named(self.world, name, &node.span)?);
            }
        }
        keys.dedup();
        Ok(keys)
    }

    /// Of the handlers that the task notifies, those that another worker carries: a host's record of
    /// what is due is its own.
    pub fn afar(&self, at: &Place, keys: &[String]) -> Vec<(Place, String)> {
        let handlers = self.world.play.handlers.iter();
        handlers
            .map(|handler| (handler, handler_key(handler)))
            .filter(|(_, key)| keys.contains(key))
            .filter_map(|(handler, key)| {
                let stepping = Stepping {
                    task: handler,
                    over: &[],
                    handler: None,
                    ..*self
                };
                // What cannot be known yet is taken to be the usual.
                let place = stepping.place().ok().filter(|place| place != at)?;
                Some((place, key))
            })
            .collect()
    }

    /// Whose worker carries the steps.
    pub fn place(&self) -> Result<Place, Unresolved> {
        let ladder = self.world.ladder(self.host, Some(self.task), self.over);
        let scope = Scope::new(&ladder);
        let settings = &self.task.settings;
        let host = match &settings.delegate_to {
            Some(node) => {
                let host = scope.text(node)?;
                known_host(self.world.inventory, &host, &node.span)?;
                host
            }
            None => self.host.name.clone(),
        };
        // A connection variable of the inventory is stronger than a keyword, as in Ansible.
        let wanted = match said_become(&ladder, &scope)? {
            Some(wanted) => wanted,
            None => flag(&scope, settings.r#become.as_ref())?.unwrap_or(false),
        };
        let user = match (wanted, scope.get("ansible_become_user")) {
            (false, _) => None,
            (true, Some(user)) => Some(user?.as_str().unwrap_or("root").to_owned()),
            (true, None) => match &settings.become_user {
                Some(node) => Some(scope.text(node)?),
                None => Some("root".to_owned()),
            },
        };
        Ok(Place { host, user })
    }
}

/// A loop's item for people: a mapping goes by what usually names it, else by its first plain value.
fn name_of(item: &Value) -> String {
    const NAMES: &[&str] = &["name", "path", "dest", "key"];
    let Value::Object(map) = item else {
        return item
            .as_str()
            .map_or_else(|| item.to_string(), str::to_owned);
    };
    NAMES
        .iter()
        .filter_map(|name| map.get(*name))
        .chain(map.values())
        .find(|value| !value.is_object() && !value.is_array() && !value.is_null())
        .map_or_else(|| item.to_string(), name_of)
}

/// The stable name of a handler: what the host's record of due handlers holds.
pub(super) fn handler_key(handler: &Task) -> String {
    let name = handler
        .name
        .as_ref()
        .and_then(Node::as_text)
        .unwrap_or_default();
    match &handler.role {
        Some(role) => format!("{} : {name}", role.name),
        None => name.to_owned(),
    }
}

fn handlers_named(world: &World<'_>, name: &str, span: &Span) -> Result<Vec<String>, Unresolved> {
    let handlers = &world.play.handlers;
    let plain = |h: &&Task| h.name.as_ref().and_then(Node::as_text) == Some(name);
    let keys: Vec<_> = handlers
        .iter()
        .filter(|h| plain(h) || h.listen.iter().any(|l| l == name) || handler_key(h) == name)
        .map(handler_key)
        .collect();
    if !keys.is_empty() {
        return Ok(keys);
    }
    let known: Vec<_> = handlers
        .iter()
        .filter_map(|h| h.name.as_ref().and_then(Node::as_text))
        .chain(
            handlers
                .iter()
                .flat_map(|h| h.listen.iter().map(String::as_str)),
        )
        .collect();
    let mut problem = Problem::new(format!("no handler of this play hears `{name}`")).at(span);
    if let Some(near) = nearest(name, known) {
        problem = problem.help(format!("did you mean `{near}`?"));
    }
    Err(problem.into())
}

fn call(module: &str, params: Map<String, Value>) -> Action {
    Action::Call {
        module: module.to_owned(),
        params: Value::Object(params),
    }
}

fn environment(scope: &Scope<'_>, nodes: &[Node]) -> Result<Vec<(String, String)>, Unresolved> {
    let mut merged = indexmap::IndexMap::new();
    for node in nodes {
        match scope.render(node)? {
            Value::Object(map) => {
                for (name, value) in map {
                    let text = match value {
                        Value::String(text) => text,
                        other => other.to_string(),
                    };
                    merged.insert(name, text);
                }
            }
            other => {
                return Err(Problem::new("`environment` needs a mapping")
                    .at(&node.span)
                    .because(format!("this is {}", kind(&other)))
                    .into());
            }
        }
    }
    Ok(merged.into_iter().collect())
}

/// A boolean setting: YAML's, or a template that gives one.
pub(super) fn flag(scope: &Scope<'_>, node: Option<&Node>) -> Result<Option<bool>, Unresolved> {
    let Some(node) = node else { return Ok(None) };
    match scope.render(node)? {
        Value::Bool(b) => Ok(Some(b)),
        Value::String(t) if t == "true" || t == "yes" => Ok(Some(true)),
        Value::String(t) if t == "false" || t == "no" => Ok(Some(false)),
        other => Err(Problem::new("this must be true or false")
            .at(&node.span)
            .because(format!("this is {}", kind(&other)))
            .into()),
    }
}

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
