//! From a name to a playbook, with everything that it uses.

use super::folder::Folder;
use super::read::Reader;
use super::role::Roles;
use super::task::{self, Around, Inherited, hand_down};
use super::{Play, Playbook, Section, Task, keyword, notify, pattern};
use crate::source::{self, File, Library, Mapping, Node, Problem, Result, Yaml, nearest, parse};
use crate::vars::{Layer, check_texts};
use std::path::Path;
use std::sync::Arc;

pub fn playbook(library: &Library, name: &str) -> Result<Playbook> {
    let (file, folder) = find(library, name)?;
    let node = parse(&file)?;
    let Some(items) = node.as_list().filter(|items| !items.is_empty()) else {
        return Err(Problem::new(format!(
            "a playbook is a list of plays, not {}",
            node.kind()
        ))
        .at(&node.span)
        .help("start with `- name:` and `hosts:`")
        .into());
    };
    let mut book = Book {
        library,
        folder,
        roles: Roles::new(library),
        reader: Reader::default(),
    };
    let mut playbook = Playbook {
        name: name.to_owned(),
        file,
        pattern: None,
        plays: vec![],
    };
    for item in items {
        book.item(item, &mut playbook);
    }
    if playbook.plays.is_empty() && book.reader.problems.is_empty() {
        book.reader.wrong(
            &node.span,
            "the playbook has no play",
            "add a play with `hosts:`",
        );
    }
    book.reader.problems.or(playbook)
}

/// A path when it looks like one, otherwise a name of the library.
fn find(library: &Library, name: &str) -> Result<(Arc<File>, Folder)> {
    let is_path = name.contains('/') || name.ends_with(".yaml") || name.ends_with(".yml");
    if is_path {
        let path = Path::new(name);
        let folder = path.parent().unwrap_or(Path::new("")).to_owned();
        return Ok((source::read(path)?, Folder::Disk(folder)));
    }
    for ending in ["yaml", "yml"] {
        if let Some(file) = library.text(&format!("playbooks/{name}.{ending}"))? {
            return Ok((file, Folder::Library("playbooks".to_owned())));
        }
    }
    Err(no_playbook(library, name).into())
}

fn no_playbook(library: &Library, name: &str) -> Problem {
    let files = library.files("playbooks");
    let names: Vec<&str> = files
        .iter()
        .filter_map(|f| f.rsplit_once('.'))
        .map(|(stem, _)| stem)
        .collect();
    let problem = Problem::new(format!("there is no playbook `{name}`"));
    match nearest(name, names.iter().copied()) {
        Some(near) => problem.help(format!("did you mean `{near}`?")),
        None => problem.help(format!(
            "there are {}; a file is given by its path",
            keyword::sorted(names.into_iter()).join(", ")
        )),
    }
}

/// A playbook being read.
struct Book<'a> {
    library: &'a Library,
    folder: Folder,
    roles: Roles<'a>,
    reader: Reader,
}

impl Book<'_> {
    fn item(&mut self, node: &Node, playbook: &mut Playbook) {
        let Some(map) =
            self.reader
                .map(node, "a play", "write `- name: ...` and `hosts:` below it")
        else {
            return;
        };
        if map.get("pattern").is_none() {
            let play = self.play(node, map);
            if let Some(play) = play {
                self.keep_preflight_first(&play, &playbook.plays);
                playbook.plays.push(play);
            }
            return;
        }
        if playbook.pattern.is_some() {
            self.reader.wrong(
                &node.span,
                "a playbook states one pattern",
                "remove this one",
            );
        }
        playbook.pattern = pattern::read(&mut self.reader, node);
    }

    /// Behind a play that may change something, it could no longer promise that nothing was changed.
    fn keep_preflight_first(&mut self, play: &Play, before: &[Play]) {
        if play.preflight && before.last().is_some_and(|last| !last.preflight) {
            self.reader.wrong(
                &play.span,
                "a play with `preflight` stands behind one without",
                "move it to the front: what it asks is asked before anything is changed",
            );
        }
    }

    fn play(&mut self, node: &Node, map: &Mapping) -> Option<Play> {
        self.reader
            .only(map, "a play", &[keyword::COMMON, keyword::PLAY]);
        let name = map
            .entry("name")
            .and_then(|e| self.reader.plain(&e.value, "a play's name"));
        let Some(hosts) = map.entry("hosts") else {
            // `import_playbook` and its kind were answered already.
            if map
                .entries
                .iter()
                .all(|e| keyword::refusal(&e.key).is_none())
            {
                self.reader.wrong(
                    &node.span,
                    "the play lacks `hosts`",
                    "write `hosts: all`, or the name of a group",
                );
            }
            return None;
        };
        check_texts(&hosts.value, &mut self.reader.problems);
        let mut play = Play {
            name: name.unwrap_or_else(|| hosts.value.as_text().unwrap_or("play").to_owned()),
            span: node.span.clone(),
            hosts: hosts.value.clone(),
            vars: Arc::new(self.play_vars(map)),
            vars_files: vec![],
            gather_facts: true,
            serial: None,
            rollout: None,
            max_fail_percentage: None,
            any_errors_fatal: false,
            preflight: false,
            settings: self.reader.settings(map),
            roles: vec![],
            sections: vec![],
            handlers: vec![],
        };
        self.keywords(&mut play, map);
        self.tasks(&mut play, map);
        notify::check(&play, &mut self.reader.problems);
        Some(play)
    }

    fn play_vars(&mut self, map: &Mapping) -> Layer {
        match map.get("vars") {
            Some(node) => self.reader.layer(node, "play vars"),
            None => Layer::new("play vars"),
        }
    }

    fn keywords(&mut self, play: &mut Play, map: &Mapping) {
        let reader = &mut self.reader;
        for entry in &map.entries {
            match entry.key.as_str() {
                "any_errors_fatal" => {
                    play.any_errors_fatal = reader.boolean(entry).unwrap_or(false)
                }
                "preflight" => play.preflight = reader.boolean(entry).unwrap_or(false),
                "gather_facts" => play.gather_facts = reader.boolean(entry).unwrap_or(true),
                "max_fail_percentage" => play.max_fail_percentage = reader.percentage(entry),
                "serial" => play.serial = reader.serial(entry),
                "rollout" => play.rollout = reader.rollout(entry),
                "vars_files" => {
                    play.vars_files = reader.one_or_more(entry);
                    check_texts(&entry.value, &mut reader.problems);
                }
                _ => {}
            }
        }
    }

    fn tasks(&mut self, play: &mut Play, map: &Mapping) {
        let roles = map
            .entry("roles")
            .map(|e| self.reader.list(e, "list names of roles"))
            .unwrap_or_default();
        let roles = self.roles.of_play(&mut self.reader, roles);
        play.roles = roles.roles;
        play.handlers = self.own(map, "handlers");
        play.handlers.extend(roles.handlers);
        let middle = [roles.tasks, self.own(map, "tasks")].concat();
        let inherited = Inherited {
            tags: map
                .entry("tags")
                .map(|e| self.reader.tags(e))
                .unwrap_or_default(),
            settings: play.settings.clone(),
            ..Inherited::default()
        };
        for mut tasks in [
            self.own(map, "pre_tasks"),
            middle,
            self.own(map, "post_tasks"),
        ] {
            hand_down(&mut tasks, &inherited);
            if !tasks.is_empty() {
                play.sections.push(Section { tasks });
            }
        }
        hand_down(&mut play.handlers, &inherited);
    }

    /// The tasks that stand in the play itself.
    fn own(&mut self, map: &Mapping, key: &str) -> Vec<Task> {
        let around = Around {
            library: Some(self.library),
            folder: Some(self.folder.clone()),
            are_handlers: key == "handlers",
            ..Around::default()
        };
        let nodes = map
            .entry(key)
            .map(|e| self.reader.list(e, "write a list of tasks"))
            .unwrap_or_default();
        task::list(&mut self.reader, nodes, &around)
    }
}

/// A file of variables. An empty one has none.
pub fn vars_file(path: &Path) -> Result<Layer> {
    variables(&source::read(path)?)
}

/// What stands behind `-e`: `@file`, a YAML or JSON mapping, or `name=value` pairs.
pub fn extra_vars(text: &str) -> Result<Layer> {
    let mut layer = match text.strip_prefix('@') {
        Some(path) => vars_file(Path::new(path)).map_err(|p| unread(p, text))?,
        None if text.trim_start().starts_with('{') || !text.contains('=') => {
            variables(&File::new("-e", text))?
        }
        None => pairs(text)?,
    };
    layer.origin = "extra vars".to_owned();
    Ok(layer)
}

fn unread(problems: source::Problems, text: &str) -> source::Problems {
    let file = File::new("-e", text);
    let span = source::Span::new(&file, 1..text.len());
    let from = "`-e @FILE` is a file of variables; its path begins where this command was typed";
    problems.placed(&span, from)
}

fn variables(file: &Arc<File>) -> Result<Layer> {
    let node = parse(file)?;
    let mut reader = Reader::default();
    let layer = reader.layer(&node, &file.name);
    reader.problems.or(layer)
}

/// `a=1 b='two words'`; values are text, as in Ansible.
fn pairs(text: &str) -> Result<Layer> {
    let file = File::new("-e", text);
    let mut reader = Reader::default();
    let mut layer = Layer::new("extra vars");
    for word in words(text) {
        let span = source::Span::new(&file, word.clone());
        let Some((name, value)) = text[word]
            .split_once('=')
            .filter(|(name, _)| super::read::is_name(name))
        else {
            reader.wrong(
                &span,
                "this is no `name=value`",
                "write `-e name=value`, `-e '{name: value}'` or `-e @file.yaml`",
            );
            continue;
        };
        let value: String = value.chars().filter(|c| !matches!(c, '\'' | '"')).collect();
        let node = Node {
            value: Yaml::Text(value),
            span,
            tag: None,
        };
        check_texts(&node, &mut reader.problems);
        layer
            .variables
            .insert(name.to_owned(), crate::vars::Variable::Written(node));
    }
    reader.problems.or(layer)
}

/// Words between blanks; quotes and braces keep blanks together.
fn words(text: &str) -> Vec<std::ops::Range<usize>> {
    let mut words = vec![];
    let (mut start, mut quote, mut depth) = (None, None, 0_usize);
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (Some(open), _) if open == c => quote = None,
            (None, '\'' | '"') => quote = Some(c),
            (None, '{') => depth += 1,
            (None, '}') => depth = depth.saturating_sub(1),
            _ => {}
        }
        let is_blank = c.is_whitespace() && quote.is_none() && depth == 0;
        match (start, is_blank) {
            (None, false) => start = Some(at),
            (Some(from), true) => {
                words.push(from..at);
                start = None;
            }
            _ => {}
        }
    }
    words.extend(start.map(|from| from..text.len()));
    words
}

#[cfg(test)]
#[path = "load_tests.rs"]
mod tests;
