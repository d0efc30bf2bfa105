//! Roles: everything in a role's folder, read once, and the order in which a play uses them.

use super::folder::Folder;
use super::read::{Reader, literal};
use super::task::{self, Around, Inherited, belong, hand_down};
use super::{Role, Task, keyword};
use crate::source::{File, Library, Node, Problem, Yaml, nearest, parse};
use crate::vars::{Layer, check_template};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// The roles that a playbook has come to use.
pub struct Roles<'a> {
    library: &'a Library,
    loaded: HashMap<String, Option<Arc<Loaded>>>,
    /// The roles being read, outermost first: one that comes twice is a cycle.
    chain: Vec<String>,
}

/// A role with what only its use in a play needs.
struct Loaded {
    role: Arc<Role>,
    tasks: Vec<Task>,
    handlers: Vec<Task>,
    dependencies: Vec<Use>,
    allow_duplicates: bool,
}

/// A role as a play or another role names it.
struct Use {
    name: Node,
    inherited: Inherited,
}

/// What the roles of one play come to.
#[derive(Default)]
pub struct Used {
    pub tasks: Vec<Task>,
    pub handlers: Vec<Task>,
    /// Each role once, dependencies first.
    pub roles: Vec<Arc<Role>>,
    /// Who ran with which variables: a second time would do nothing new.
    seen: Vec<(String, Vec<Arc<Layer>>)>,
}

impl<'a> Roles<'a> {
    pub fn new(library: &'a Library) -> Self {
        Self {
            library,
            loaded: HashMap::new(),
            chain: vec![],
        }
    }

    /// The roles of a play's list, dependencies first.
    pub fn of_play(&mut self, reader: &mut Reader, nodes: &[Node]) -> Used {
        let mut used = Used::default();
        for node in nodes {
            if let Some(wanted) = read_use(reader, node) {
                self.run(reader, &wanted, &Inherited::default(), &mut used);
            }
        }
        used
    }

    fn run(&mut self, reader: &mut Reader, wanted: &Use, outer: &Inherited, used: &mut Used) {
        let Some(loaded) = self.load(reader, &wanted.name) else {
            return;
        };
        let name = loaded.role.name.clone();
        let vars = wanted.inherited.vars.clone();
        let again = used
            .seen
            .iter()
            .any(|(seen, with)| *seen == name && *with == vars);
        if again && !loaded.allow_duplicates {
            return;
        }
        let is_first = !used.seen.iter().any(|(seen, _)| *seen == name);
        used.seen.push((name, vars));
        for dependency in &loaded.dependencies {
            self.run(reader, dependency, &wanted.inherited, used);
        }
        let settle = |tasks: &[Task]| {
            let mut tasks = tasks.to_vec();
            belong(&mut tasks, &loaded.role);
            hand_down(&mut tasks, &wanted.inherited);
            hand_down(&mut tasks, outer);
            tasks
        };
        used.tasks.extend(settle(&loaded.tasks));
        if is_first {
            used.roles.push(Arc::clone(&loaded.role));
            used.handlers.extend(settle(&loaded.handlers));
        }
    }

    fn load(&mut self, reader: &mut Reader, node: &Node) -> Option<Arc<Loaded>> {
        let name = literal(node)?.to_owned();
        if let Some(start) = self.chain.iter().position(|link| *link == name) {
            let circle = [&self.chain[start..], &[name]].concat().join(" -> ");
            reader.wrong(
                &node.span,
                format!("roles depend on one another in a circle: {circle}"),
                "take one of the dependencies away",
            );
            return None;
        }
        if let Some(known) = self.loaded.get(&name) {
            return known.clone();
        }
        let loaded = self.exists(reader, &name, node).then(|| {
            self.chain.push(name.clone());
            let loaded = self.read(reader, &name);
            self.chain.pop();
            Arc::new(loaded)
        });
        self.loaded.insert(name, loaded.clone());
        loaded
    }

    fn exists(&self, reader: &mut Reader, name: &str, node: &Node) -> bool {
        if name.contains(['/', '\\']) || name.starts_with('.') {
            reader.wrong(
                &node.span,
                format!("`{name}` is a path, and a role is a name"),
                "put the role into the project's `roles/` and write its name",
            );
            return false;
        }
        let names = self.library.folders("roles");
        if names.iter().any(|known| known == name) {
            return true;
        }
        let problem = Problem::new(format!("there is no role `{name}`")).at(&node.span);
        reader
            .problems
            .push(match nearest(name, names.iter().map(String::as_str)) {
                Some(near) => problem.help(format!("did you mean `{near}`?")),
                None => problem.help(format!("put it into the project's `roles/{name}/`")),
            });
        false
    }

    fn read(&mut self, reader: &mut Reader, name: &str) -> Loaded {
        let folder = format!("roles/{name}");
        let templates = self.templates(reader, &format!("{folder}/templates"));
        let around = self.around(&folder, "tasks", &templates);
        let task_files = self.task_files(reader, &format!("{folder}/tasks"), &around);
        let handlers = self.handlers(reader, &folder, &templates);
        let role = Role {
            name: name.to_owned(),
            defaults: self.variables(reader, &folder, name, "defaults"),
            vars: self.variables(reader, &folder, name, "vars"),
            task_files,
            templates,
        };
        let (dependencies, allow_duplicates) = self.meta(reader, &folder);
        // Read now, so that a broken or circular dependency is found even if this use is skipped.
        for dependency in &dependencies {
            self.load(reader, &dependency.name);
        }
        Loaded {
            tasks: main_of(&role.task_files).to_vec(),
            role: Arc::new(role),
            handlers,
            dependencies,
            allow_duplicates,
        }
    }

    fn around<'t>(
        &self,
        folder: &str,
        part: &str,
        templates: &'t BTreeMap<String, Arc<File>>,
    ) -> Around<'t>
    where
        'a: 't,
    {
        Around {
            library: Some(self.library),
            folder: Some(Folder::Library(format!("{folder}/{part}"))),
            templates: Some(templates),
            imports: vec![],
            are_handlers: part == "handlers",
        }
    }

    /// Every file below a folder, by its name below it.
    fn templates(&self, reader: &mut Reader, folder: &str) -> BTreeMap<String, Arc<File>> {
        let mut all = BTreeMap::new();
        let mut folders = vec![String::new()];
        while let Some(below) = folders.pop() {
            let here = format!("{folder}/{below}");
            let here = here.trim_end_matches('/');
            folders.extend(
                self.library
                    .folders(here)
                    .iter()
                    .map(|name| format!("{below}{name}/")),
            );
            for name in self.library.files(here) {
                if let Some(Some(file)) = reader
                    .problems
                    .take(self.library.text(&format!("{here}/{name}")))
                {
                    check_template(&file, &mut reader.problems);
                    all.insert(format!("{below}{name}"), file);
                }
            }
        }
        all
    }

    fn task_files(
        &self,
        reader: &mut Reader,
        folder: &str,
        around: &Around,
    ) -> BTreeMap<String, Vec<Task>> {
        let mut files = BTreeMap::new();
        for name in self.library.files(folder) {
            if !name.ends_with(".yaml") && !name.ends_with(".yml") {
                continue;
            }
            if let Some(Some(file)) = reader
                .problems
                .take(self.library.text(&format!("{folder}/{name}")))
            {
                let inner = Around {
                    folder: around.folder.clone(),
                    imports: vec![name.clone()],
                    ..*around
                };
                files.insert(name, task::file(reader, &file, &inner));
            }
        }
        files
    }

    fn handlers(
        &self,
        reader: &mut Reader,
        folder: &str,
        templates: &BTreeMap<String, Arc<File>>,
    ) -> Vec<Task> {
        let around = self.around(folder, "handlers", templates);
        self.main(reader, folder, "handlers")
            .map(|file| task::file(reader, &file, &around))
            .unwrap_or_default()
    }

    fn variables(&self, reader: &mut Reader, folder: &str, role: &str, part: &str) -> Arc<Layer> {
        let node = self
            .main(reader, folder, part)
            .and_then(|file| reader.problems.take(parse(&file)));
        let origin = format!("role {role} {part}");
        Arc::new(match node {
            Some(node) => reader.layer(&node, &origin),
            None => Layer::new(origin),
        })
    }

    /// `main.yaml` or `main.yml` of a part of the role.
    fn main(&self, reader: &mut Reader, folder: &str, part: &str) -> Option<Arc<File>> {
        ["main.yaml", "main.yml"].iter().find_map(|name| {
            reader
                .problems
                .take(self.library.text(&format!("{folder}/{part}/{name}")))?
        })
    }

    fn meta(&self, reader: &mut Reader, folder: &str) -> (Vec<Use>, bool) {
        let node = self
            .main(reader, folder, "meta")
            .and_then(|file| reader.problems.take(parse(&file)));
        let Some(node) = node.filter(|node| node.value != Yaml::Null) else {
            return (vec![], false);
        };
        let Some(map) = reader.map(&node, "a role's `meta`", "write `dependencies:`") else {
            return (vec![], false);
        };
        reader.only(
            map,
            "a role's `meta`",
            &[&["allow_duplicates", "dependencies", "galaxy_info"]],
        );
        let nodes = map
            .entry("dependencies")
            .map(|e| reader.list(e, "list names of roles"))
            .unwrap_or_default();
        let uses = nodes
            .iter()
            .filter_map(|node| read_use(reader, node))
            .collect();
        let duplicates = map
            .entry("allow_duplicates")
            .and_then(|e| reader.boolean(e));
        (uses, duplicates.unwrap_or(false))
    }
}

fn main_of(files: &BTreeMap<String, Vec<Task>>) -> &[Task] {
    ["main.yaml", "main.yml"]
        .iter()
        .find_map(|name| files.get(*name))
        .map_or(&[], Vec::as_slice)
}

fn read_use(reader: &mut Reader, node: &Node) -> Option<Use> {
    let (name, inherited) = match node.as_map() {
        None => (node.clone(), Inherited::default()),
        Some(map) => {
            reader.only(map, "a use of a role", &[keyword::ROLE_USE]);
            let Some(name) = map.get("role") else {
                reader.wrong(&node.span, "which role?", "write `- role: apim`");
                return None;
            };
            let inherited = Inherited {
                when: map
                    .entry("when")
                    .map(|e| reader.conditions(e))
                    .unwrap_or_default(),
                tags: map
                    .entry("tags")
                    .map(|e| reader.tags(e))
                    .unwrap_or_default(),
                settings: reader.settings(map),
                vars: reader.vars(map, "role use"),
            };
            (name.clone(), inherited)
        }
    };
    reader.plain(&name, "a role's name")?;
    Some(Use { name, inherited })
}
