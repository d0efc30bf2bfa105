use super::super::Action;
use super::*;
use crate::playbook::Groups;
use crate::source::Span;
use crate::vars::Variable;
use std::path::PathBuf;

/// A project with these files.
fn project(files: &[(&str, &str)]) -> (tempfile::TempDir, Library) {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path: PathBuf = dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let library = Library::new(dir.path());
    (dir, library)
}

fn load(files: &[(&str, &str)]) -> Playbook {
    let (_dir, library) = project(files);
    playbook(&library, "p").unwrap_or_else(|problems| panic!("{}", problems.render(false)))
}

fn told(tasks: &[Task]) -> Vec<String> {
    tasks
        .iter()
        .map(|t| {
            t.name
                .as_ref()
                .and_then(Node::as_text)
                .unwrap_or("?")
                .to_owned()
        })
        .collect()
}

const ROLES: &[(&str, &str)] = &[
    (
        "roles/a/meta/main.yaml",
        "dependencies: [b, {role: c, vars: {x: 1}}]\n",
    ),
    (
        "roles/a/tasks/main.yaml",
        "- name: a\n  debug: {msg: 1}\n  tags: own\n  notify: hear\n- import_tasks: more.yaml\n  when: x\n  tags: [more]\n",
    ),
    (
        "roles/a/tasks/more.yaml",
        "- name: more\n  debug: {msg: 1}\n  when: y\n",
    ),
    (
        "roles/a/handlers/main.yml",
        "- name: restart\n  debug: {msg: 1}\n  listen: hear\n",
    ),
    ("roles/a/defaults/main.yaml", "port: 9443\n"),
    ("roles/a/templates/conf/a.toml", "port = {{ port }}\n"),
    ("roles/b/tasks/main.yaml", "- name: b\n  debug: {msg: 1}\n"),
    ("roles/c/meta/main.yaml", "dependencies: [b]\n"),
    ("roles/c/tasks/main.yaml", "- name: c\n  debug: {msg: 1}\n"),
];

fn with_roles(playbook: &'static str) -> Playbook {
    load(&[ROLES, &[("playbooks/p.yaml", playbook)]].concat())
}

#[test]
fn roles_run_dependencies_first_and_once() {
    let book = with_roles(
        "- hosts: all\n  pre_tasks: [{name: pre, debug: {msg: 1}}]\n  roles: [a, b]\n  tasks: [{name: own, debug: {msg: 1}}]\n  post_tasks: [{name: post, debug: {msg: 1}}]\n",
    );
    let sections: Vec<_> = book.plays[0]
        .sections
        .iter()
        .map(|s| told(&s.tasks))
        .collect();
    assert_eq!(
        sections,
        [
            vec!["pre"],
            vec!["b", "c", "a", "more", "own"],
            vec!["post"]
        ]
    );
}

#[test]
fn a_role_brings_its_variables_templates_and_handlers() {
    let book = with_roles("- hosts: all\n  roles: [a]\n");
    let play = &book.plays[0];
    assert_eq!(told(&play.handlers), ["restart"]);
    let role = play.handlers[0].role.as_ref().unwrap();
    assert!(role.templates.contains_key("conf/a.toml"));
    assert!(matches!(
        role.defaults.variables["port"],
        Variable::Written(_)
    ));
    assert_eq!(
        role.task_files.keys().collect::<Vec<_>>(),
        ["main.yaml", "more.yaml"]
    );
    assert!(play.sections[0].tasks.iter().all(|t| t.role.is_some()));
}

#[test]
fn what_encloses_a_task_is_handed_down() {
    let book = with_roles(
        "- hosts: all\n  become: true\n  tags: play\n  roles: [{role: a, when: z, vars: {v: 1}, become_user: wso2}]\n",
    );
    let tasks = &book.plays[0].sections[0].tasks;
    let more = tasks
        .iter()
        .find(|t| told(std::slice::from_ref(t)) == ["more"])
        .unwrap();
    let when: Vec<_> = more.when.iter().filter_map(Node::as_text).collect();
    assert_eq!(when, ["z", "x", "y"]);
    assert_eq!(more.tags, ["play", "more"]);
    assert_eq!(
        more.settings.r#become.as_ref().map(|n| &n.value),
        Some(&Yaml::Bool(true))
    );
    assert_eq!(
        more.settings.become_user.as_ref().and_then(Node::as_text),
        Some("wso2")
    );
    assert_eq!(more.vars.len(), 1);
}

#[test]
fn a_block_hands_down_to_all_its_parts() {
    let book = load(&[(
        "playbooks/p.yaml",
        "- hosts: all\n  tasks:\n    - block: [{name: a, fail: , when: b}]\n      rescue: [{name: r, debug: {msg: 1}}]\n      always: [{block: [{name: l, debug: {msg: 1}}]}]\n      when: c\n      ignore_errors: true\n",
    )]);
    let Action::Block {
        block,
        rescue,
        always,
    } = &book.plays[0].sections[0].tasks[0].action
    else {
        panic!("no block");
    };
    let mut seen = vec![];
    for tasks in [block, rescue, always] {
        task::walk(tasks, &mut |t| {
            seen.push((
                told(std::slice::from_ref(t)).remove(0),
                t.when.len(),
                t.settings.ignore_errors.is_some(),
            ))
        });
    }
    let seen: Vec<_> = seen
        .iter()
        .map(|(name, when, ignored)| (name.as_str(), *when, *ignored))
        .collect();
    assert_eq!(
        seen,
        [
            ("a", 2, true),
            ("r", 1, true),
            ("?", 1, true),
            ("l", 1, true)
        ]
    );
}

#[test]
fn an_include_gives_its_role_vars_and_settings() {
    let book = with_roles("- hosts: all\n  roles: [a]\n");
    let mut include = book.plays[0].sections[0].tasks[0].clone();
    include.vars = vec![Arc::new(Layer::new("task vars").with("n", 1))];
    let role = book.plays[0].handlers[0].role.clone();
    include.role.clone_from(&role);
    let included = role.unwrap().task_files["more.yaml"][0].included_by(&include);
    assert_eq!(
        (
            included.vars.len(),
            included.when.len(),
            included.role.is_some()
        ),
        (1, 1, true)
    );
}

const PATTERN: &str = "- pattern: ha\n  summary: two of each\n  groups:\n    apim: { hosts: 2 }\n    mi: { hosts: \"2+\", optional: true }\n    si: { hosts: 1-3, optional: true }\n  any_of: [[mi, si]]\n  packs: [\"{{ pack }}\"]\n- hosts: all\n";

/// Groups and their numbers of hosts; one more host called `gone` was taken out of `mi`.
struct Counts<'a>(&'a [(&'a str, usize)]);

impl Groups for Counts<'_> {
    fn names(&self) -> Vec<&str> {
        self.0.iter().map(|(name, _)| *name).collect()
    }

    fn count(&self, group: &str) -> usize {
        let found = self.0.iter().find(|(name, _)| *name == group);
        found.map_or(0, |(_, count)| *count)
    }

    fn retired(&self, group: &str) -> Vec<&str> {
        Vec::from_iter((group == "mi").then_some("gone"))
    }

    fn place(&self, _: &str) -> Option<Span> {
        None
    }
}

fn held(counts: &[(&str, usize)]) -> String {
    held_by(PATTERN, counts)
}

fn held_by(pattern: &str, counts: &[(&str, usize)]) -> String {
    let book = load(&[("playbooks/p.yaml", pattern)]);
    let problems = book.pattern.unwrap().check(&Counts(counts));
    problems
        .iter()
        .map(|p| format!("{}\n{}\n", p.message, p.help.as_deref().unwrap_or_default()))
        .collect()
}

#[test]
fn a_pattern_counts_hosts() {
    assert_eq!(held(&[("apim", 2), ("mi", 5)]), "");
    assert_eq!(held(&[("apim", 2), ("si", 3)]), "");
    insta::assert_snapshot!(held(&[("apim", 1), ("mi", 1)]));
    insta::assert_snapshot!(held(&[("apm", 2), ("si", 4)]));
}

const GLOBS: &str = "- pattern: ha\n  summary: by form\n  groups:\n    \"mi_*\": { hosts: \"2+\", optional: true }\n    mi_big: { hosts: \"4+\" }\n    \"gw_*\": { hosts: 1 }\n    \"si_*\": { hosts: 2, optional: true }\n  any_of: [[\"mi_*\", \"si_*\"]]\n- hosts: all\n";

#[test]
fn a_rule_may_stand_for_every_group_of_a_form() {
    let fine = [("mi_a", 2), ("mi_b", 0), ("mi_big", 4), ("gw_a", 1)];
    assert_eq!(held_by(GLOBS, &fine), "");
    // The rule of its own is the only one for `mi_big`; `mi` is not of the form; no `gw_*` is there.
    let wrong = [("mi_a", 1), ("mi_b", 1), ("mi_big", 3), ("mi", 1)];
    insta::assert_snapshot!(held_by(GLOBS, &wrong));
    let without = GLOBS.replace("    mi_big: { hosts: \"4+\" }\n", "");
    insta::assert_snapshot!(held_by(&without, &[("mi_a", 0), ("gw_a", 1)]));
}

#[test]
fn extra_vars_come_in_three_forms() {
    let values = |text: &str| -> Vec<(String, serde_json::Value)> {
        let layer = extra_vars(text).unwrap_or_else(|p| panic!("{}", p.render(false)));
        let plain = |v: &Variable| match v {
            Variable::Written(node) => node.to_value(),
            other => panic!("{other:?}"),
        };
        layer
            .variables
            .iter()
            .map(|(k, v)| (k.clone(), plain(v)))
            .collect()
    };
    assert_eq!(
        values("a=1 b='two words'"),
        [("a".into(), "1".into()), ("b".into(), "two words".into())]
    );
    assert_eq!(values("a={{ b }}"), [("a".into(), "{{ b }}".into())]);
    assert_eq!(
        values("{a: [1], b: x=y}"),
        [
            ("a".into(), serde_json::json!([1])),
            ("b".into(), "x=y".into())
        ]
    );
    assert_eq!(values(r#"{"a": true}"#), [("a".into(), true.into())]);
    let (dir, _) = project(&[("v.yaml", "a: 1\n")]);
    assert_eq!(
        values(&format!("@{}", dir.path().join("v.yaml").display())),
        [("a".into(), 1.into())]
    );
    assert!(extra_vars("nonsense").is_err());
    assert!(extra_vars("a-b=1").is_err());
}
