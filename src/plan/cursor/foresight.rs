//! What a preview says of tasks that only a run decides: names that nobody can define in what waits for a result, and
//! assertions that fail whatever the hosts say.

use super::{Cursor, Frame, Stage};
use crate::modules::{self, Brings};
use crate::plan::content;
use crate::plan::state::HostState;
use crate::plan::step::Planned;
use crate::plan::verdict;
use crate::playbook::{Action as Written, Task};
use crate::source::{Node, Problem};
use crate::vars::{Ladder, Layer, Scope, Text, is_secret, secrets_within};
use crate::wire::Action;
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Shorter values are words of the language.
const SHORTEST_SECRET: usize = 4;

impl<'a> Cursor<'a> {
    /// The task waits for a result: its names are looked up now.
    pub(super) fn look_up_names(
        &mut self,
        host: &HostState,
        task: &Task,
        over: &[Arc<Layer>],
        after: &str,
    ) {
        let mut over = over.to_vec();
        if let Some(each) = &task.r#loop {
            let names = std::iter::once(&each.variable).chain(&each.index);
            over.push(Arc::new(pending("loop", names, after)));
        }
        let ladder = self.world.ladder(host, Some(task), &over);
        let scope = Scope::new(&ladder);
        // It never runs, whatever the result.
        if task.when.iter().any(|when| scope.truth(when) == Ok(false)) {
            return;
        }
        let texts = self.texts(&scope, task);
        self.mistakes.extend(scope.strangers(&texts, &[]));
        let verdict = verdict::foresee(self.world, host, task, &over);
        self.mistakes.extend(verdict);
    }

    /// All that is evaluated before the task's step goes out.
    fn texts<'t>(&self, scope: &Scope<'_>, task: &'t Task) -> Vec<Text<'t>> {
        let mut texts: Vec<Text<'t>> = task.when.iter().map(Text::Condition).collect();
        let settings = &task.settings;
        let words = [
            &settings.r#become,
            &settings.become_user,
            &settings.ignore_errors,
            &settings.no_log,
            &settings.check_mode,
            &settings.diff,
            &settings.delegate_to,
        ];
        texts.extend(task.r#loop.iter().map(|each| Text::Words(&each.over)));
        texts.extend(words.into_iter().flatten().map(Text::Words));
        texts.extend(settings.environment.iter().map(Text::Words));
        texts.extend(task.notify.iter().map(Text::Words));
        match &task.action {
            Written::Call { module, params } => {
                texts.push(Text::Words(params));
                texts.extend(self.templates(scope, task, module, params));
            }
            Written::SetFact { facts } => texts.push(Text::Words(facts)),
            Written::Include { file } => texts.push(Text::Words(file)),
            Written::Assert {
                that,
                fail_msg,
                success_msg,
            } => {
                texts.extend(that.iter().map(Text::Condition));
                texts.extend(fail_msg.iter().chain(success_msg).map(Text::Words));
            }
            Written::Block { .. } | Written::FlushHandlers => {}
        }
        texts
    }

    /// The templates that the task renders, as far as their names are known.
    fn templates<'t>(
        &self,
        scope: &Scope<'_>,
        task: &Task,
        module: &str,
        params: &Node,
    ) -> Vec<Text<'t>> {
        let (field, entry) = match modules::find(module).map(|entry| entry.brings) {
            Some(Brings::Template) => ("src", None),
            Some(Brings::Files) => ("files", Some("template")),
            _ => return vec![],
        };
        let Some(node) = params.as_map().and_then(|map| map.get(field)) else {
            return vec![];
        };
        let names: Vec<String> = match (entry, scope.render(node)) {
            (None, Ok(Value::String(name))) => vec![name],
            (Some(entry), Ok(Value::Array(files))) => {
                let name = |file: &Value| Some(file.get(entry)?.as_str()?.to_owned());
                files.iter().filter_map(name).collect()
            }
            _ => vec![],
        };
        let file = |name: &String| {
            content::template(self.world.files, task.role.as_deref(), name, &node.span)
        };
        names
            .iter()
            .filter_map(|name| Some(Text::template(&file(name).ok()?)))
            .collect()
    }

    /// What can be said of a task that was planned, before its step has run.
    pub(super) fn foresee(
        &mut self,
        host: &mut HostState,
        task: &Task,
        over: &[Arc<Layer>],
        planned: &[Planned],
    ) {
        if verdict::needed(task) {
            let run = planned
                .iter()
                .filter(|p| matches!(p.step.action, Action::Call { .. }));
            for one in run {
                let found = verdict::foresee(self.world, host, task, &one.over);
                self.mistakes.extend(found);
            }
        }
        self.judge_assertion(host, task, over);
        self.doubt(host, task, over, planned);
    }

    /// Marks what a task teaches as no more certain than what decided it.
    fn doubt(&self, host: &mut HostState, task: &Task, over: &[Arc<Layer>], planned: &[Planned]) {
        let names = task.teaches();
        let is_result = |p: &Planned| !matches!(p.step.action, Action::Skip { .. });
        let is_pending =
            !matches!(task.action, Written::SetFact { .. }) && planned.iter().any(is_result);
        if names.is_empty() || is_pending {
            return;
        }
        let is_certain = self.is_certain() && self.is_sure(host, task, over);
        host.doubt(&names, !is_certain);
    }

    /// Whether the task is planned the same whatever the hosts say of themselves.
    pub(super) fn is_sure(&self, host: &HostState, task: &Task, over: &[Arc<Layer>]) -> bool {
        let mut texts: Vec<Text<'_>> = task.when.iter().map(Text::Condition).collect();
        texts.extend(task.r#loop.iter().map(|each| Text::Words(&each.over)));
        match &task.action {
            Written::SetFact { facts } => texts.push(Text::Words(facts)),
            Written::Include { file } => texts.push(Text::Words(file)),
            Written::Assert { that, .. } => texts.extend(that.iter().map(Text::Condition)),
            _ => {}
        }
        let ladder = self.world.ladder(host, Some(task), over);
        let words = Scope::new(&ladder).reach(&texts);
        !words.iter().any(|word| host.may_change(word))
    }

    /// Whether what is walked now runs in any case, and what fails in it ends the host's run. Handlers run when
    /// something changed.
    fn is_certain(&self) -> bool {
        let is_handler = matches!(self.frames.last(), Some(Frame::Flush { .. }));
        !self.is_rehearsal
            && !is_handler
            && self.frames.iter().all(|frame| match frame {
                Frame::Tasks { is_certain, .. } => *is_certain,
                // Its turn comes later.
                Frame::Flush { .. } => true,
                Frame::Block { task, stage, .. } => *stage == Stage::Body && !has_rescue(task),
            })
    }

    /// An assertion that fails in any case is a mistake of who wrote the values.
    pub(super) fn judge_assertion(&mut self, host: &HostState, task: &Task, over: &[Arc<Layer>]) {
        let Written::Assert { that, fail_msg, .. } = &task.action else {
            return;
        };
        let may_fail = !task.failed_when.is_empty() || task.settings.ignore_errors.is_some();
        if may_fail || !self.is_certain() || !self.is_sure(host, task, over) {
            return;
        }
        let Ok(planned) = self.stepping(host, task, over, None).steps() else {
            return;
        };
        for one in &planned {
            let broken = broken(&one.step.action, that);
            let Some((first, others)) = broken.split_first() else {
                continue;
            };
            let ladder = self.world.ladder(host, Some(task), &one.over);
            let scope = Scope::new(&ladder);
            let text = first.as_text().unwrap_or("false").trim();
            let message = fail_msg
                .as_ref()
                .filter(|_| !one.step.no_log)
                .and_then(|node| scope.text(node).ok())
                .map(|text| text.trim().to_owned())
                .filter(|text| !tells_a_secret(&scope, &ladder, text))
                .unwrap_or_else(|| format!("`{text}` does not hold"));
            let mut problem = Problem::new(message)
                .at(&first.span)
                .because(format!("does not hold on {}", host.name));
            for other in others {
                problem = problem.also(&other.span, "nor does this");
            }
            if !one.step.no_log {
                problem = scope.traced(problem, first);
            }
            self.mistakes.push_back(problem);
        }
    }

    /// Those of a block that goes out whole.
    pub(super) fn judge_assertions_of(
        &mut self,
        host: &HostState,
        task: &'a Task,
        over: &[Arc<Layer>],
    ) {
        let Written::Block { block, .. } = &task.action else {
            return self.judge_assertion(host, task, over);
        };
        if has_rescue(task) {
            return;
        }
        for task in block.iter().filter(|t| self.world.tags.select(&t.tags)) {
            self.judge_assertions_of(host, task, over);
        }
    }
}

fn has_rescue(task: &Task) -> bool {
    matches!(&task.action, Written::Block { rescue, .. } if !rescue.is_empty())
}

/// The conditions of an assertion that do not hold.
fn broken<'n>(action: &Action, that: &'n [Node]) -> Vec<&'n Node> {
    let checks = match action {
        Action::Call { params, .. } => params.get("checks").and_then(Value::as_array),
        Action::Skip { .. } => None,
    };
    let holds = |check: &Value| check.get("holds") != Some(&Value::Bool(false));
    that.iter()
        .zip(checks.into_iter().flatten())
        .filter(|(_, check)| !holds(check))
        .map(|(node, _)| node)
        .collect()
}

fn tells_a_secret(scope: &Scope<'_>, ladder: &Ladder, text: &str) -> bool {
    let mut secrets = BTreeSet::new();
    for name in ladder.names() {
        if let Ok(value) = scope.value(name) {
            secrets_within(&value, is_secret(name), SHORTEST_SECRET, &mut secrets);
        }
    }
    secrets.iter().any(|secret| text.contains(secret))
}

/// Names that are known when a task has run.
pub(in crate::plan) fn pending<'n>(
    origin: &str,
    names: impl IntoIterator<Item = &'n String>,
    task: &str,
) -> Layer {
    let mut layer = Layer::new(origin);
    for name in names {
        let variable = crate::vars::Variable::Pending(task.to_owned());
        layer.variables.insert(name.clone(), variable);
    }
    layer
}
