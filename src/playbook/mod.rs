//! WHAT: plays, roles, tasks and handlers exactly as written, checked on load.
//!
//! Ansible's keywords. The subset is strict: whatever is not supported is a problem with a position
//! and the nearest supported name; nothing is accepted and then ignored.

mod folder;
mod keyword;
mod load;
mod notify;
mod params;
mod pattern;
mod read;
mod role;
mod task;

pub use params::{names as parameters, refused};
pub use pattern::{GroupRule, Groups, Pattern};

use crate::source::{File, Library, Node, Result, Span};
use crate::vars::Layer;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

#[derive(Debug)]
pub struct Playbook {
    /// `standard-ha`, or the path as given.
    pub name: String,
    pub file: Arc<File>,
    /// The rule of the deployment pattern that this playbook deploys, if it states one.
    pub pattern: Option<Pattern>,
    pub plays: Vec<Play>,
}

#[derive(Debug)]
pub struct Play {
    pub name: String,
    pub span: Span,
    /// The host pattern; may hold templates of extra vars.
    pub hosts: Node,
    pub vars: Arc<Layer>,
    /// File names; may hold templates.
    pub vars_files: Vec<Node>,
    pub gather_facts: bool,
    /// `serial`: a count, a percentage, or a list of them.
    pub serial: Option<Node>,
    /// Our own keyword: nodes that serve are changed one batch after the other, out of rotation. A mapping, or a template
    /// that gives one.
    pub rollout: Option<Node>,
    pub max_fail_percentage: Option<Node>,
    pub any_errors_fatal: bool,
    /// Our own keyword: the play asks whether the run may begin, and changes nothing. What fails in it ends the run with
    /// nothing changed.
    pub preflight: bool,
    pub settings: Settings,
    /// Each role that the play uses, dependencies first: also those that only bring variables.
    pub roles: Vec<Arc<Role>>,
    /// `pre_tasks`, then those of the roles (dependencies first), then `tasks`, then `post_tasks`, with
    /// the handlers flushed in between as Ansible does.
    pub sections: Vec<Section>,
    /// The play's own, then those of its roles.
    pub handlers: Vec<Task>,
}

/// Tasks after which due handlers run.
#[derive(Debug)]
pub struct Section {
    pub tasks: Vec<Task>,
}

/// What a task inherits from its blocks, its role and its play; the innermost wins.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    pub r#become: Option<Node>,
    pub become_user: Option<Node>,
    /// Outermost first; later mappings override earlier ones.
    pub environment: Vec<Node>,
    pub ignore_errors: Option<Node>,
    pub no_log: Option<Node>,
    pub check_mode: Option<Node>,
    pub diff: Option<Node>,
    pub delegate_to: Option<Node>,
    pub run_once: Option<Node>,
}

/// A task, a block, an include or a handler. What a block says of its tasks has been handed down to them.
#[derive(Debug, Clone)]
pub struct Task {
    /// As written; may hold templates. Without one, the module's name.
    pub name: Option<Node>,
    pub span: Span,
    pub role: Option<Arc<Role>>,
    /// All must hold. Those of enclosing blocks and imports come first.
    pub when: Vec<Node>,
    /// Already with those inherited.
    pub tags: Vec<String>,
    pub settings: Settings,
    /// Outermost first: the vars of the play's role use, of blocks, of the task.
    pub vars: Vec<Arc<Layer>>,
    pub action: Action,
    pub r#loop: Option<Loop>,
    pub register: Option<String>,
    pub changed_when: Vec<Node>,
    pub failed_when: Vec<Node>,
    pub until: Option<Until>,
    pub notify: Vec<Node>,
    /// On a handler: other names it hears.
    pub listen: Vec<String>,
}

#[derive(Debug, Clone)]
pub enum Action {
    /// `module` is known to exist; `params` is a mapping as written, templates unrendered.
    Call { module: String, params: Node },
    Block {
        block: Vec<Task>,
        rescue: Vec<Task>,
        always: Vec<Task>,
    },
    /// `include_tasks`; the file name may hold templates. Its `when` and loop belong to the include itself.
    Include { file: Node },
    /// `meta: flush_handlers`.
    FlushHandlers,
    /// `set_fact`: decided by the controller, no host needed.
    SetFact { facts: Node },
    /// `assert`: conditions are evaluated by the controller.
    Assert {
        that: Vec<Node>,
        fail_msg: Option<Node>,
        success_msg: Option<Node>,
    },
}

#[derive(Debug, Clone)]
pub struct Loop {
    /// A list, or a template that gives one.
    pub over: Node,
    /// `item` unless `loop_control` names another.
    pub variable: String,
    pub index: Option<String>,
    /// What to show of an item.
    pub label: Option<Node>,
}

#[derive(Debug, Clone)]
pub struct Until {
    pub conditions: Vec<Node>,
    pub retries: Option<Node>,
    /// In seconds.
    pub delay: Option<Node>,
}

/// A role as loaded, shared by its tasks.
#[derive(Debug)]
pub struct Role {
    pub name: String,
    pub defaults: Arc<Layer>,
    pub vars: Arc<Layer>,
    /// By name below `templates/`.
    pub templates: BTreeMap<String, Arc<File>>,
    /// Every file of `tasks/`, for includes: parsed, by name (`main.yaml`). See `Task::included_by`.
    pub task_files: BTreeMap<String, Vec<Task>>,
}

impl Play {
    /// The tasks of a file that a role of the play offers beside its own, such as `healthy.yaml`. They run whatever tags
    /// are asked for. `None` when no role has the file.
    pub fn errand(&self, file: &str, vars: Layer) -> Option<Vec<Task>> {
        let with = |role: &&Arc<Role>| role.task_files.contains_key(file);
        let role = self.roles.iter().find(with)?;
        Some(task::errand(role, file, &self.settings, Arc::new(vars)))
    }
}

impl Playbook {
    /// Loads a playbook by name (`playbooks/NAME.yaml` of the library) or by path, with everything
    /// it uses: roles, their dependencies, templates, imported tasks. All mistakes come together.
    pub fn load(library: &Library, name: &str) -> Result<Self> {
        load::playbook(library, name)
    }

    /// Every task as it is written, also those in blocks, handlers, and what includes may bring.
    pub fn tasks(&self) -> Vec<&Task> {
        let mut open: Vec<&Task> = Vec::new();
        for play in &self.plays {
            open.extend(play.sections.iter().flat_map(|section| &section.tasks));
            open.extend(&play.handlers);
            let files = play.roles.iter().flat_map(|role| role.task_files.values());
            open.extend(files.flatten());
        }
        let mut tasks = Vec::new();
        while let Some(task) = open.pop() {
            if let Action::Block {
                block,
                rescue,
                always,
            } = &task.action
            {
                open.extend(block.iter().chain(rescue).chain(always));
            }
            tasks.push(task);
        }
        tasks
    }
}

impl Task {
    /// The names that are known when it has run.
    pub fn teaches(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.register.as_deref().into_iter().collect();
        if let Action::SetFact { facts } = &self.action {
            let entries = facts.as_map().map(|map| map.entries.as_slice());
            names.extend(entries.unwrap_or_default().iter().map(|e| e.key.as_str()));
        }
        if let Action::Block {
            block,
            rescue,
            always,
        } = &self.action
        {
            let tasks = [block, rescue, always].into_iter().flatten();
            names.extend(tasks.flat_map(Self::teaches));
        }
        names
    }

    /// This task of a role's file, as an `include_tasks` of that role brings it in. The include's `when`
    /// and tags decide about the include; its vars and settings go on to what it brings.
    #[must_use]
    pub fn included_by(&self, include: &Task) -> Task {
        task::included(self, include)
    }
}

/// The value of an `-e` option: `name=value` pairs, a YAML or JSON mapping, or `@file`.
pub fn extra_vars(text: &str) -> Result<Layer> {
    load::extra_vars(text)
}

/// A file of variables for `vars_files` and `-e @file`.
pub fn vars_file(path: &Path) -> Result<Layer> {
    load::vars_file(path)
}
