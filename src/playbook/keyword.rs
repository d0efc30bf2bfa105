//! Which keywords there are, and what to say of those that are not.

use crate::modules;
use crate::source::{Entry, Mapping, Problem, nearest};

/// What a task, a block and a play all may say.
pub const COMMON: &[&str] = &[
    "become",
    "become_user",
    "check_mode",
    "diff",
    "environment",
    "ignore_errors",
    "name",
    "no_log",
    "tags",
    "vars",
];
/// What only a task may say, besides its module.
pub const TASK: &[&str] = &[
    "args",
    "changed_when",
    "delay",
    "delegate_to",
    "failed_when",
    "listen",
    "loop",
    "loop_control",
    "notify",
    "register",
    "retries",
    "run_once",
    "until",
    "when",
];
pub const BLOCK: &[&str] = &["always", "block", "delegate_to", "rescue", "when"];
pub const PLAY: &[&str] = &[
    "any_errors_fatal",
    "gather_facts",
    "handlers",
    "hosts",
    "max_fail_percentage",
    "post_tasks",
    "pre_tasks",
    "preflight",
    "roles",
    "rollout",
    "serial",
    "tasks",
    "vars_files",
];
pub const ROLE_USE: &[&str] = &[
    "become",
    "become_user",
    "environment",
    "ignore_errors",
    "no_log",
    "role",
    "tags",
    "vars",
    "when",
];
/// Kinds of task that the controller does itself.
pub const ACTIONS: &[&str] = &[
    "assert",
    "import_tasks",
    "include_tasks",
    "meta",
    "set_fact",
];

/// Ansible's words that we know and do not take, each with the reason or our way.
const REFUSED: &[(&str, &str)] = &[
    ("action", "write the module's name as the key"),
    ("any_errors_fatal", "it belongs to a play"),
    (
        "async",
        "steps run to their end; raise the module's `timeout` for a long one",
    ),
    ("become_exe", "the worker is started with sudo"),
    ("become_flags", "the worker is started with sudo"),
    ("become_method", "the worker is started with sudo"),
    (
        "collections",
        "modules are built in; write the module's short name",
    ),
    ("connection", "hosts are reached over SSH"),
    (
        "debugger",
        "use `--check --diff`, and `-v` to see every step",
    ),
    ("delegate_facts", "facts belong to the host they come from"),
    (
        "fact_path",
        "there are no local facts; use variables of the inventory",
    ),
    (
        "force_handlers",
        "handlers that are due run when the run is continued",
    ),
    ("gather_subset", "facts are few and gathered at once"),
    ("gather_timeout", "facts are few and gathered at once"),
    (
        "import_playbook",
        "a run has one playbook; put the plays into it",
    ),
    (
        "import_role",
        "list the role under `roles:`, or use `import_tasks`",
    ),
    ("include", "write `import_tasks` or `include_tasks`"),
    (
        "include_role",
        "list the role under `roles:`, or use `include_tasks` within the role",
    ),
    (
        "include_vars",
        "list the file under the play's `vars_files:`",
    ),
    (
        "local_action",
        "write the module with `delegate_to: localhost`",
    ),
    ("max_fail_percentage", "it belongs to a play"),
    (
        "module_defaults",
        "write the parameters at the task; a variable can hold them",
    ),
    ("order", "hosts go in the inventory's order"),
    (
        "poll",
        "steps run to their end; raise the module's `timeout` for a long one",
    ),
    ("port", "set `ansible_port` in the inventory"),
    ("remote_user", "set `ansible_user` in the inventory"),
    ("run_once", "it belongs to a task outside of blocks"),
    ("setup", "facts are gathered when the connection opens"),
    (
        "gather_facts",
        "facts are gathered when the connection opens; the play decides",
    ),
    ("serial", "it belongs to a play"),
    (
        "strategy",
        "hosts of a batch go side by side, and batches are cut by `serial`",
    ),
    ("throttle", "cut batches with the play's `serial`"),
    ("timeout", "modules that wait have a `timeout` of their own"),
    (
        "vars_prompt",
        "give values with `-e`, or keep them in a file: `-e @secrets.yaml`",
    ),
];

/// The problem of a key that nothing here takes. `known` are the keywords of `place`.
pub fn unknown(entry: &Entry, place: &str, known: &[&[&str]]) -> Problem {
    let key = entry.key.as_str();
    if let Some(why) = refusal(key) {
        return Problem::new(format!(
            "`{key}` is recognised, and not supported in {place}"
        ))
        .at(&entry.key_span)
        .help(why);
    }
    let known = || known.iter().flat_map(|words| words.iter().copied());
    let problem = Problem::new(format!("{place} has no keyword `{key}`")).at(&entry.key_span);
    match nearest(key, known()) {
        _ if TASK.contains(&key) => problem.help(format!("`{key}` belongs to a task")),
        Some(near) => problem.help(format!("did you mean `{near}`?")),
        None => problem.help(format!("it takes {}", sorted(known()).join(", "))),
    }
}

/// Why Ansible's word is not taken.
pub fn refusal(key: &str) -> Option<String> {
    if key.starts_with("with_") {
        return Some("write `loop:` with a list, or with an expression that gives one".to_owned());
    }
    let short = key.strip_prefix("ansible.builtin.").unwrap_or(key);
    REFUSED
        .iter()
        .find(|(word, _)| *word == short)
        .map(|(_, why)| (*why).to_owned())
}

/// A task's key that is neither a keyword nor a module. `is_only` tells that the task has no other module.
pub fn unknown_in_task(entry: &Entry, task: &Mapping, is_only: bool) -> Problem {
    let key = entry.key.as_str();
    // A keyword that the task has already was hardly meant a second time.
    let unused = COMMON
        .iter()
        .chain(TASK)
        .filter(|word| task.get(word).is_none());
    let near_keyword = nearest(key, unused.copied());
    let short = key.strip_prefix("ansible.builtin.").unwrap_or(key);
    let near_module = nearest(short, kinds());
    if refusal(key).is_some() || !is_only || (near_keyword.is_some() && near_module.is_none()) {
        return unknown(entry, "a task", &[COMMON, TASK]);
    }
    let problem = Problem::new(format!("there is no module `{key}`")).at(&entry.key_span);
    match near_module {
        Some(near) => problem.help(format!("did you mean `{near}`?")),
        None if key.contains('.') => problem.help("only Ansible's built-in collection has modules here, and not all of them; see `apim-deploy modules`"),
        None => problem.help("see `apim-deploy modules` for the list"),
    }
}

/// Every word that can make a task do something.
pub fn kinds() -> impl Iterator<Item = &'static str> {
    modules::all()
        .iter()
        .map(|m| m.name)
        .chain(ACTIONS.iter().copied())
}

/// Names for a message: in order, each once.
pub fn sorted<'a>(names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut names: Vec<&str> = names.collect();
    names.sort_unstable();
    names.dedup();
    names.iter().map(|name| format!("`{name}`")).collect()
}
