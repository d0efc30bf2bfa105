//! An inventory while its sources are read: what they add, and what they contradict.

use super::members::{self, MAX_DEPTH};
use super::range::{self, Address};
use super::{Group, Host};
use crate::source::{Entry, File, Mapping, Node, Problem, Problems, Span, Yaml};
use crate::vars::{Layer, Variable};
use indexmap::IndexMap;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

const MAX_HOSTS: usize = 100_000;
const MAX_GROUPS: usize = 10_000;

#[derive(Default)]
pub struct Draft {
    pub hosts: IndexMap<String, Host>,
    pub groups: IndexMap<String, Group>,
    pub problems: Problems,
    /// Where a group was put under another: parent, child.
    links: HashMap<(String, String), Span>,
    /// Host, group.
    members: HashSet<(String, String)>,
}

impl Draft {
    /// `all` and `ungrouped` are there before anything is read.
    pub fn new(file: &Arc<File>) -> Self {
        let nowhere = Span::new(file, 0..0);
        let mut draft = Self::default();
        draft.group("all", &nowhere);
        draft.group("ungrouped", &nowhere);
        draft.link("all", "ungrouped", &nowhere);
        draft
    }

    /// Makes sure the group exists.
    pub fn group(&mut self, name: &str, span: &Span) {
        if self.groups.contains_key(name) || self.groups.len() > MAX_GROUPS {
            return;
        }
        if self.groups.len() == MAX_GROUPS {
            let limit = format!("the inventory names more than {MAX_GROUPS} groups");
            self.problems.push(Problem::new(limit).at(span));
        }
        if let Err(problem) = range::check_group_name(name, span) {
            self.problems.push(problem);
        }
        self.groups.insert(name.to_owned(), Group::new(name, span));
    }

    /// Makes sure the hosts of a name or range exist and are in the group; gives their names.
    pub fn hosts(&mut self, text: &str, group: &str, span: &Span) -> Vec<String> {
        if self.hosts.len() > MAX_HOSTS {
            return Vec::new();
        }
        let Address { names, port } = match range::expand(text, span) {
            Ok(address) => address,
            Err(problem) => {
                self.problems.push(problem);
                return Vec::new();
            }
        };
        if self.hosts.len() + names.len() > MAX_HOSTS {
            let limit = format!("the inventory names more than {MAX_HOSTS} hosts");
            self.problems.push(Problem::new(limit).at(span));
        }
        for name in &names {
            self.host(name, group, span);
            if let Some(port) = port {
                self.host_variable(name, &port_entry(port, span));
            }
        }
        names
    }

    fn host(&mut self, name: &str, group: &str, span: &Span) {
        if !self.hosts.contains_key(name) {
            self.hosts.insert(name.to_owned(), Host::new(name, span));
        }
        self.join(name, group);
    }

    fn join(&mut self, host: &str, group: &str) {
        if self.members.insert((host.to_owned(), group.to_owned()))
            && let Some(group) = self.groups.get_mut(group)
        {
            group.hosts.push(host.to_owned());
        }
    }

    /// Puts one group under another, unless that closes a circle.
    pub fn link(&mut self, parent: &str, child: &str, span: &Span) {
        let link = (parent.to_owned(), child.to_owned());
        if self.links.contains_key(&link) {
            return;
        }
        if let Some(path) = self.path(child, parent) {
            let problem = self.circle(&path, span);
            self.problems.push(problem);
            return;
        }
        if let Some(group) = self.groups.get_mut(parent) {
            group.children.push(child.to_owned());
            self.links.insert(link, span.clone());
        }
    }

    /// The groups from `from` down to `to`, both named, if there is a way.
    fn path(&self, from: &str, to: &str) -> Option<Vec<String>> {
        let mut above: HashMap<&str, &str> = HashMap::new();
        let mut open = vec![from];
        while let Some(name) = open.pop() {
            if name == to {
                return Some(climb(name, from, &above));
            }
            for child in self.groups.get(name).into_iter().flat_map(|g| &g.children) {
                if !above.contains_key(child.as_str()) {
                    above.insert(child, name);
                    open.push(child);
                }
            }
        }
        None
    }

    fn circle(&self, path: &[String], span: &Span) -> Problem {
        let closed: Vec<&str> = path
            .iter()
            .chain(path.first())
            .map(String::as_str)
            .collect();
        let mut problem = Problem::new(format!("groups form a circle: {}", closed.join(" > ")))
            .at(span)
            .because("this closes the circle")
            .help("take one of these groups out of the other");
        for pair in path.windows(2) {
            if let Some(span) = self.links.get(&(pair[0].clone(), pair[1].clone())) {
                problem = problem.also(span, format!("`{}` is put under `{}`", pair[1], pair[0]));
            }
        }
        problem
    }

    pub fn host_variable(&mut self, host: &str, variable: &Entry) {
        if let Some(found) = self.hosts.get_mut(host) {
            let owner = format!("host `{host}`");
            set(&mut found.layers, &owner, variable, &mut self.problems);
        }
    }

    /// `ansible_group_priority` orders the groups and is no variable.
    pub fn group_variable(&mut self, group: &str, variable: &Entry) {
        let Some(found) = self.groups.get_mut(group) else {
            return;
        };
        if variable.key != "ansible_group_priority" {
            let owner = format!("group `{group}`");
            set(&mut found.layers, &owner, variable, &mut self.problems);
            return;
        }
        match priority(&variable.value) {
            Some(priority) => found.priority = priority,
            None => self.problems.push(
                Problem::new("`ansible_group_priority` must be a whole number")
                    .at(&variable.value.span)
                    .help("a higher number is stronger; 1 is the default"),
            ),
        }
    }

    /// The rules that hold when all is read: every group is under `all`, and `ungrouped` holds
    /// exactly the hosts that are in no other group.
    pub fn settle(&mut self) {
        self.put_roots_under_all();
        self.sort_out_ungrouped();
        self.refuse_shared_names();
        self.refuse_depth();
    }

    fn put_roots_under_all(&mut self) {
        let children: HashSet<String> = self.links.keys().map(|(_, child)| child.clone()).collect();
        let roots: Vec<(String, Span)> = self
            .groups
            .values()
            .filter(|g| g.name != "all" && !children.contains(&g.name))
            .map(|g| (g.name.clone(), g.span.clone()))
            .collect();
        for (root, span) in roots {
            self.link("all", &root, &span);
        }
    }

    fn sort_out_ungrouped(&mut self) {
        let is_common = |group: &str| matches!(group, "all" | "ungrouped");
        let grouped: HashSet<String> = self
            .members
            .iter()
            .filter(|(_, group)| !is_common(group))
            .map(|(host, _)| host.clone())
            .collect();
        let loose: Vec<String> = self
            .hosts
            .keys()
            .filter(|h| !grouped.contains(*h))
            .cloned()
            .collect();
        if let Some(ungrouped) = self.groups.get_mut("ungrouped") {
            ungrouped.hosts.retain(|host| !grouped.contains(host));
        }
        for host in loose {
            self.join(&host, "ungrouped");
        }
    }

    /// A pattern could not tell which of the two is meant.
    fn refuse_shared_names(&mut self) {
        for host in self.hosts.values() {
            if let Some(group) = self.groups.get(&host.name) {
                let name = &host.name;
                let problem =
                    Problem::new(format!("`{name}` is the name of a host and of a group"))
                        .at(&host.span)
                        .because("the host")
                        .also(&group.span, "the group")
                        .help("rename one of them");
                self.problems.push(problem);
            }
        }
    }
}

impl Draft {
    /// Whoever walks the groups may do so by recursion.
    fn refuse_depth(&mut self) {
        let depths = members::depths(&self.groups);
        let deepest = depths.into_iter().max_by_key(|(_, depth)| *depth);
        if let Some((name, _)) = deepest.filter(|(_, depth)| *depth > MAX_DEPTH) {
            let problem = Problem::new(format!(
                "group `{name}` is more than {MAX_DEPTH} levels below `all`"
            ));
            self.problems.push(match self.groups.get(name) {
                Some(group) => problem.at(&group.span.clone()),
                None => problem,
            });
        }
    }
}

impl Host {
    fn new(name: &str, span: &Span) -> Self {
        Self {
            name: name.to_owned(),
            span: span.clone(),
            layers: Vec::new(),
            files: Vec::new(),
        }
    }
}

impl Group {
    pub(super) fn new(name: &str, span: &Span) -> Self {
        Self {
            name: name.to_owned(),
            span: span.clone(),
            hosts: Vec::new(),
            children: Vec::new(),
            layers: Vec::new(),
            files: Vec::new(),
            priority: 1,
        }
    }
}

/// The way back up, told downwards.
fn climb(to: &str, from: &str, above: &HashMap<&str, &str>) -> Vec<String> {
    let mut path = vec![to.to_owned()];
    let mut name = to;
    while let Some(parent) = above.get(name).filter(|_| name != from) {
        path.push((*parent).to_owned());
        name = parent;
    }
    path.reverse();
    path
}

/// Enters a variable into the layer of its file. Files may override each other; one file that
/// says two things about one variable is a mistake, though Ansible would take the last.
fn set(layers: &mut Vec<Arc<Layer>>, owner: &str, variable: &Entry, problems: &mut Problems) {
    check(variable, problems);
    let value = &variable.value;
    let origin = format!("{}, {owner}", variable.key_span.file.name);
    if layers.last().is_none_or(|layer| layer.origin != origin) {
        layers.push(Arc::new(Layer::new(origin)));
    }
    let Some(layer) = layers.last_mut().map(Arc::make_mut) else {
        return;
    };
    let written = Variable::Written(value.clone());
    let before = layer.variables.insert(variable.key.clone(), written);
    if let Some(Variable::Written(first)) = before
        && first.to_value() != value.to_value()
    {
        problems.push(
            Problem::new(format!("{owner} has two values for `{}`", variable.key))
                .at(&value.span)
                .because("another value here")
                .also(&first.span, "first here")
                .help("keep one of them"),
        );
    }
}

/// Reads a mapping of variables, checking each.
pub fn variables(map: &Mapping, problems: &mut Problems) -> IndexMap<String, Variable> {
    map.entries
        .iter()
        .inspect(|entry| check(entry, problems))
        .map(|entry| (entry.key.clone(), Variable::Written(entry.value.clone())))
        .collect()
}

fn check(variable: &Entry, problems: &mut Problems) {
    check_name(&variable.key, &variable.key_span, problems);
    check_value(&variable.value, problems);
}

fn check_name(name: &str, span: &Span, problems: &mut Problems) {
    let starts_well = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if !starts_well || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
        problems.push(
            Problem::new(format!("`{name}` cannot be the name of a variable"))
                .at(span)
                .because("names are made of letters, digits and `_`, a letter first")
                .help("no template could read it; rename it"),
        );
    }
}

fn check_value(value: &Node, problems: &mut Problems) {
    match value.tag.as_deref() {
        None | Some("unsafe") => {}
        Some("vault") => problems.push(
            Problem::new("vault-encrypted values are not supported yet")
                .at(&value.span)
                .help("decrypt it with `ansible-vault`, or give it with `-e @FILE`"),
        ),
        Some(tag) => problems.push(
            Problem::new(format!("the tag `!{tag}` is not supported"))
                .at(&value.span)
                .because("`!unsafe` is the only one"),
        ),
    }
    match &value.value {
        Yaml::List(items) => items.iter().for_each(|item| check_value(item, problems)),
        Yaml::Map(map) => map
            .entries
            .iter()
            .for_each(|e| check_value(&e.value, problems)),
        _ => {}
    }
}

fn priority(value: &Node) -> Option<i64> {
    match &value.value {
        Yaml::Int(priority) => Some(*priority),
        Yaml::Text(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// The port of `host:port`.
fn port_entry(port: u16, span: &Span) -> Entry {
    Entry {
        key: "ansible_port".to_owned(),
        key_span: span.clone(),
        value: Node {
            value: Yaml::Int(port.into()),
            span: span.clone(),
            tag: None,
        },
    }
}
