//! One task as written: its keywords, its module, its block.

use super::folder::Folder;
use super::read::{Reader, literal};
use super::{Action, Loop, Settings, Task, Until, keyword, params};
use crate::modules;
use crate::source::{Entry, File, Library, Mapping, Node, Problem, Yaml, nearest, parse};
use crate::vars::{Layer, check_texts};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What surrounds the tasks being read.
#[derive(Default)]
pub struct Around<'a> {
    pub library: Option<&'a Library>,
    pub folder: Option<Folder>,
    /// Those of the role, when the tasks are a role's.
    pub templates: Option<&'a BTreeMap<String, Arc<File>>>,
    /// The files that led here by `import_tasks`, outermost first.
    pub imports: Vec<String>,
    pub are_handlers: bool,
}

/// What an enclosing block, import, role or play hands down.
#[derive(Default)]
pub struct Inherited {
    pub when: Vec<Node>,
    pub tags: Vec<String>,
    pub settings: Settings,
    pub vars: Vec<Arc<Layer>>,
}

/// Keywords whose value is an expression, checked as such.
const CONDITIONS: &[&str] = &["changed_when", "failed_when", "until", "when"];
/// Keywords that are checked where they are read.
const CHECKED: &[&str] = &["always", "assert", "block", "environment", "rescue", "vars"];

/// Reads a list of tasks. `import_tasks` gives the tasks of its file in its place.
pub fn list(reader: &mut Reader, nodes: &[Node], around: &Around) -> Vec<Task> {
    nodes
        .iter()
        .flat_map(|node| item(reader, node, around))
        .collect()
}

/// A file of tasks.
pub fn file(reader: &mut Reader, file: &Arc<File>, around: &Around) -> Vec<Task> {
    let Some(node) = reader.problems.take(parse(file)) else {
        return vec![];
    };
    match &node.value {
        Yaml::Null => vec![],
        Yaml::List(nodes) => list(reader, nodes, around),
        _ => {
            reader.wrong(
                &node.span,
                format!("a file of tasks is a list, not {}", node.kind()),
                "start each task with `- name:`",
            );
            vec![]
        }
    }
}

fn item(reader: &mut Reader, node: &Node, around: &Around) -> Vec<Task> {
    let Some(map) = reader.map(
        node,
        "a task",
        "write `- name: ...` and the module below it",
    ) else {
        return vec![];
    };
    if map.get("block").is_some() {
        return vec![block(reader, node, map, around)];
    }
    let calls = calls(reader, map);
    check_keywords(reader, map, &calls);
    match calls.as_slice() {
        [] => {
            if map.entries.iter().all(is_keyword) {
                reader.wrong(
                    &node.span,
                    "the task does nothing",
                    "add a module, such as `debug:`",
                );
            }
            // Its name and what it registers are still good for the checks that follow.
            let mut task = bare(reader, node, map, "task vars");
            each_keyword(reader, &mut task, map, around);
            vec![task]
        }
        [call, others @ ..] => {
            for other in others {
                let problem = Problem::new(format!(
                    "a task has one module, and here is `{}` too",
                    other.key
                ))
                .at(&other.key_span)
                .also(&call.key_span, "the first")
                .help("make it a task of its own");
                reader.problems.push(problem);
            }
            one(reader, node, map, call, around)
        }
    }
}

fn is_keyword(entry: &Entry) -> bool {
    [keyword::COMMON, keyword::TASK]
        .concat()
        .contains(&entry.key.as_str())
}

/// `ansible.builtin.set_fact` is `set_fact`.
fn short(key: &str) -> &str {
    key.strip_prefix("ansible.builtin.").unwrap_or(key)
}

fn is_call(entry: &Entry) -> bool {
    keyword::ACTIONS.contains(&short(&entry.key)) || modules::find(&entry.key).is_some()
}

/// The keys that make the task do something; any key that means nothing is a problem.
fn calls<'n>(reader: &mut Reader, map: &'n Mapping) -> Vec<&'n Entry> {
    let calls: Vec<&Entry> = map
        .entries
        .iter()
        .filter(|e| !is_keyword(e) && is_call(e))
        .collect();
    for entry in map.entries.iter().filter(|e| !is_keyword(e) && !is_call(e)) {
        reader
            .problems
            .push(keyword::unknown_in_task(entry, map, calls.is_empty()));
    }
    calls
}

fn check_keywords(reader: &mut Reader, map: &Mapping, calls: &[&Entry]) {
    for entry in &map.entries {
        let key = short(&entry.key);
        if !CONDITIONS.contains(&key)
            && !CHECKED.contains(&key)
            && (is_keyword(entry) || calls.contains(&entry))
        {
            check_texts(&entry.value, &mut reader.problems);
        }
    }
}

fn one(
    reader: &mut Reader,
    node: &Node,
    map: &Mapping,
    call: &Entry,
    around: &Around,
) -> Vec<Task> {
    let mut task = bare(reader, node, map, "task vars");
    each_keyword(reader, &mut task, map, around);
    match short(&call.key) {
        "import_tasks" => return import(reader, &task, call, around),
        "include_tasks" => task.action = include(reader, call, around),
        "meta" => task.action = meta(reader, call),
        "set_fact" => task.action = set_fact(reader, call),
        "assert" => task.action = assert(reader, call),
        _ => {
            if let Some(module) = modules::find(&call.key) {
                let params = params::read(reader, call, map.entry("args"), module, around);
                task.action = Action::Call {
                    module: module.name.to_owned(),
                    params,
                };
            }
        }
    }
    vec![task]
}

/// What tasks and blocks have in common. The action stands in until the right one is read.
fn bare(reader: &mut Reader, node: &Node, map: &Mapping, origin: &str) -> Task {
    Task {
        name: map.entry("name").and_then(|e| reader.words(e)),
        span: node.span.clone(),
        role: None,
        when: map
            .entry("when")
            .map(|e| reader.conditions(e))
            .unwrap_or_default(),
        tags: map
            .entry("tags")
            .map(|e| reader.tags(e))
            .unwrap_or_default(),
        settings: reader.settings(map),
        vars: reader.vars(map, origin),
        action: Action::FlushHandlers,
        r#loop: None,
        register: None,
        changed_when: vec![],
        failed_when: vec![],
        until: None,
        notify: vec![],
        listen: vec![],
    }
}

fn each_keyword(reader: &mut Reader, task: &mut Task, map: &Mapping, around: &Around) {
    for entry in &map.entries {
        match entry.key.as_str() {
            "register" => task.register = reader.name(&entry.value, "`register`"),
            "changed_when" => task.changed_when = reader.conditions(entry),
            "failed_when" => task.failed_when = reader.conditions(entry),
            "notify" => task.notify = reader.one_or_more(entry),
            "listen" => task.listen = listen(reader, entry, around),
            _ => {}
        }
    }
    task.r#loop = looped(reader, map);
    task.until = until(reader, map);
}

fn listen(reader: &mut Reader, entry: &Entry, around: &Around) -> Vec<String> {
    if !around.are_handlers {
        reader.wrong(
            &entry.key_span,
            "`listen` belongs to a handler",
            "move the task to `handlers`",
        );
    }
    let nodes = reader.one_or_more(entry);
    nodes
        .iter()
        .filter_map(|node| reader.plain(node, "a topic to listen to"))
        .collect()
}

fn looped(reader: &mut Reader, map: &Mapping) -> Option<Loop> {
    let control = map.entry("loop_control");
    let Some(over) = map.entry("loop") else {
        if let Some(control) = control {
            reader.wrong(
                &control.key_span,
                "`loop_control` without `loop`",
                "add `loop:`",
            );
        }
        return None;
    };
    let is_template = over.value.as_text().is_some_and(super::read::is_template);
    if over.value.as_list().is_none() && !is_template {
        reader.wrong(
            &over.value.span,
            format!("`loop` wants a list, not {}", over.value.kind()),
            "write a list, or an expression that gives one: `loop: \"{{ names }}\"`",
        );
    }
    let mut found = Loop {
        over: over.value.clone(),
        variable: "item".to_owned(),
        index: None,
        label: None,
    };
    if let Some(map) =
        control.and_then(|e| reader.map(&e.value, "`loop_control`", "write `loop_var: node`"))
    {
        reader.only(
            map,
            "`loop_control`",
            &[&["index_var", "label", "loop_var"]],
        );
        if let Some(name) = map
            .get("loop_var")
            .and_then(|n| reader.name(n, "`loop_var`"))
        {
            found.variable = name;
        }
        found.index = map
            .get("index_var")
            .and_then(|n| reader.name(n, "`index_var`"));
        found.label = map.get("label").cloned();
    }
    Some(found)
}

fn until(reader: &mut Reader, map: &Mapping) -> Option<Until> {
    let Some(entry) = map.entry("until") else {
        for key in ["retries", "delay"] {
            if let Some(entry) = map.entry(key) {
                reader.wrong(
                    &entry.key_span,
                    format!("`{key}` without `until`"),
                    "add `until:` with the condition that ends the waiting",
                );
            }
        }
        return None;
    };
    Some(Until {
        conditions: reader.conditions(entry),
        retries: map.entry("retries").and_then(|e| reader.number(e)),
        delay: map.entry("delay").and_then(|e| reader.number(e)),
    })
}

fn block(reader: &mut Reader, node: &Node, map: &Mapping, around: &Around) -> Task {
    reader.only(map, "a block", &[keyword::COMMON, keyword::BLOCK]);
    let mut task = bare(reader, node, map, "block vars");
    let mut part = |key: &str| {
        let nodes = map
            .entry(key)
            .map(|e| reader.list(e, "write a list of tasks"))
            .unwrap_or_default();
        list(reader, nodes, around)
    };
    let (mut block, mut rescue, mut always) = (part("block"), part("rescue"), part("always"));
    for inner in [&block, &rescue, &always].into_iter().flatten() {
        if inner.settings.run_once.is_some() {
            reader.wrong(
                &inner.span,
                "`run_once` can't stand inside a block",
                "the hosts of a batch wait for such a task; move it out of the block",
            );
        }
    }
    let by = Inherited {
        when: task.when.clone(),
        tags: task.tags.clone(),
        settings: task.settings.clone(),
        vars: task.vars.clone(),
    };
    for tasks in [&mut block, &mut rescue, &mut always] {
        hand_down(tasks, &by);
    }
    task.action = Action::Block {
        block,
        rescue,
        always,
    };
    task
}

fn file_name(reader: &mut Reader, call: &Entry) -> Option<Node> {
    let node = match call.value.as_map() {
        Some(map) => {
            reader.only(map, &format!("`{}`", call.key), &[&["file"]]);
            map.get("file")?.clone()
        }
        None => call.value.clone(),
    };
    if node.as_text().is_none() {
        reader.wrong(
            &node.span,
            format!(
                "`{}` wants the name of a file, not {}",
                call.key,
                node.kind()
            ),
            "write `install.yaml`",
        );
        return None;
    }
    Some(node)
}

fn import(reader: &mut Reader, task: &Task, call: &Entry, around: &Around) -> Vec<Task> {
    if let Some(over) = &task.r#loop {
        reader.wrong(
            &over.over.span,
            "an import happens once, before the run, and can't be in a loop",
            "use `include_tasks`",
        );
    }
    let Some(node) = file_name(reader, call) else {
        return vec![];
    };
    let Some(name) = literal(&node) else {
        reader.wrong(
            &node.span,
            "an import is read before any variable is known",
            "use `include_tasks` for a name that depends on variables",
        );
        return vec![];
    };
    if let Some(start) = around.imports.iter().position(|seen| seen == name) {
        let circle = [&around.imports[start..], &[name.to_owned()]]
            .concat()
            .join(" -> ");
        reader.wrong(
            &node.span,
            format!("task files import one another in a circle: {circle}"),
            "take one of the imports away",
        );
        return vec![];
    }
    let Some(found) = tasks_file(reader, &node, name, around) else {
        return vec![];
    };
    let inner = Around {
        folder: around.folder.clone(),
        imports: [&around.imports[..], &[name.to_owned()]].concat(),
        ..*around
    };
    let mut tasks = file(reader, &found, &inner);
    let by = Inherited {
        when: task.when.clone(),
        tags: task.tags.clone(),
        settings: task.settings.clone(),
        vars: task.vars.clone(),
    };
    hand_down(&mut tasks, &by);
    tasks
}

/// The named file beside the tasks.
fn tasks_file(reader: &mut Reader, node: &Node, name: &str, around: &Around) -> Option<Arc<File>> {
    let (library, folder) = (around.library?, around.folder.as_ref()?);
    let found = reader.problems.take(folder.read(library, name))?;
    if found.is_none() {
        let problem =
            Problem::new(format!("there is no file of tasks `{name}` here")).at(&node.span);
        let names = folder.names(library);
        reader
            .problems
            .push(match nearest(name, names.iter().map(String::as_str)) {
                Some(near) => problem.help(format!("did you mean `{near}`?")),
                None => problem.help("the name is relative to the folder of this file"),
            });
    }
    found
}

fn include(reader: &mut Reader, call: &Entry, around: &Around) -> Action {
    let Some(node) = file_name(reader, call) else {
        return Action::FlushHandlers;
    };
    if around.are_handlers {
        reader.wrong(
            &call.key_span,
            "handlers are known before the run and can't include tasks",
            "use `import_tasks`",
        );
    } else if around.templates.is_none() {
        reader.wrong(
            &call.key_span,
            "`include_tasks` includes a file of the role, and there is no role here",
            "use `import_tasks`",
        );
    } else if let Some(name) = literal(&node) {
        tasks_file(reader, &node, name, around);
    }
    Action::Include { file: node }
}

fn meta(reader: &mut Reader, call: &Entry) -> Action {
    if literal(&call.value) != Some("flush_handlers") {
        reader.wrong(
            &call.value.span,
            "`meta` knows only `flush_handlers`",
            "write `meta: flush_handlers`",
        );
    }
    Action::FlushHandlers
}

fn set_fact(reader: &mut Reader, call: &Entry) -> Action {
    if let Some(map) = reader.map(&call.value, "`set_fact`", "write `name: value` below it") {
        if let Some(cacheable) = map.entry("cacheable") {
            reader.wrong(
                &cacheable.key_span,
                "`cacheable` is recognised, and not supported in `set_fact`",
                "facts live for one run",
            );
        }
        reader.layer(&call.value, "set_fact");
    }
    Action::SetFact {
        facts: call.value.clone(),
    }
}

fn assert(reader: &mut Reader, call: &Entry) -> Action {
    let mut action = (vec![], None, None);
    if let Some(map) = reader.map(
        &call.value,
        "`assert`",
        "write `that:` with a list of conditions",
    ) {
        reader.only(
            map,
            "`assert`",
            &[&["fail_msg", "msg", "quiet", "success_msg", "that"]],
        );
        match map.entry("that") {
            Some(entry) => action.0 = reader.conditions(entry),
            None => reader.wrong(
                &call.key_span,
                "`assert` lacks `that`",
                "write `that:` with a list of conditions",
            ),
        }
        action.1 = map.get("fail_msg").or_else(|| map.get("msg")).cloned();
        action.2 = map.get("success_msg").cloned();
        for text in [&action.1, &action.2].into_iter().flatten() {
            check_texts(text, &mut reader.problems);
        }
    }
    Action::Assert {
        that: action.0,
        fail_msg: action.1,
        success_msg: action.2,
    }
}

/// Gives tasks what encloses them. What they say themselves wins.
pub fn hand_down(tasks: &mut [Task], by: &Inherited) {
    for task in tasks {
        task.when.splice(0..0, by.when.iter().cloned());
        let tags = std::mem::take(&mut task.tags);
        task.tags.clone_from(&by.tags);
        task.tags
            .extend(tags.into_iter().filter(|tag| !by.tags.contains(tag)));
        task.settings = by
            .settings
            .clone()
            .overridden_by(std::mem::take(&mut task.settings));
        task.vars.splice(0..0, by.vars.iter().cloned());
        if let Action::Block {
            block,
            rescue,
            always,
        } = &mut task.action
        {
            for tasks in [block, rescue, always] {
                hand_down(tasks, by);
            }
        }
    }
}

impl Settings {
    fn overridden_by(self, inner: Self) -> Self {
        Self {
            r#become: inner.r#become.or(self.r#become),
            become_user: inner.become_user.or(self.become_user),
            environment: [self.environment, inner.environment].concat(),
            ignore_errors: inner.ignore_errors.or(self.ignore_errors),
            no_log: inner.no_log.or(self.no_log),
            check_mode: inner.check_mode.or(self.check_mode),
            diff: inner.diff.or(self.diff),
            delegate_to: inner.delegate_to.or(self.delegate_to),
            run_once: inner.run_once.or(self.run_once),
        }
    }
}

/// A task of a role's file, as an include brings it in.
pub fn included(task: &Task, include: &Task) -> Task {
    let mut tasks = [task.clone()];
    if let Some(role) = &include.role {
        belong(&mut tasks, role);
    }
    let by = Inherited {
        settings: include.settings.clone(),
        vars: include.vars.clone(),
        ..Inherited::default()
    };
    hand_down(&mut tasks, &by);
    let [task] = tasks;
    task
}

/// A role's file as the play itself calls for it.
pub fn errand(
    role: &Arc<super::Role>,
    file: &str,
    settings: &Settings,
    vars: Arc<Layer>,
) -> Vec<Task> {
    let mut tasks = role.task_files.get(file).cloned().unwrap_or_default();
    belong(&mut tasks, role);
    let by = Inherited {
        settings: settings.clone(),
        vars: vec![vars],
        tags: vec!["always".to_owned()],
        ..Inherited::default()
    };
    hand_down(&mut tasks, &by);
    tasks
}

/// Visits tasks and those within their blocks.
pub fn walk<'t>(tasks: &'t [Task], visit: &mut impl FnMut(&'t Task)) {
    for task in tasks {
        visit(task);
        if let Action::Block {
            block,
            rescue,
            always,
        } = &task.action
        {
            for tasks in [block, rescue, always] {
                walk(tasks, visit);
            }
        }
    }
}

/// Makes tasks those of a role.
pub fn belong(tasks: &mut [Task], role: &Arc<super::Role>) {
    for task in tasks {
        task.role = Some(Arc::clone(role));
        if let Action::Block {
            block,
            rescue,
            always,
        } = &mut task.action
        {
            for tasks in [block, rescue, always] {
                belong(tasks, role);
            }
        }
    }
}
