//! A deployment pattern's rule: which groups it needs, and how many hosts in each. A name such as `mi_*` stands
//! for every group of that form.

use super::read::{Reader, is_name, literal};
use crate::source::{Entry, Node, Problem, Span, Yaml, nearest};
use globset::Glob;
use indexmap::IndexMap;

#[derive(Debug, Clone, PartialEq)]
pub struct Pattern {
    pub name: String,
    pub span: Span,
    pub summary: String,
    pub groups: IndexMap<String, GroupRule>,
    /// Of each list, at least one group has hosts.
    pub any_of: Vec<Vec<String>>,
    /// Name files that must exist on the controller; may hold templates.
    pub packs: Vec<Node>,
}

/// How many hosts a group has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupRule {
    pub min: usize,
    /// `None` is as many as you like.
    pub max: Option<usize>,
    /// The group may be absent or empty.
    pub optional: bool,
    pub span: Span,
}

/// What a rule is held against.
pub trait Groups {
    fn names(&self) -> Vec<&str>;
    /// How many hosts a group has.
    fn count(&self, group: &str) -> usize;
    /// The hosts that would be in it, if this run did not take them out.
    fn retired(&self, group: &str) -> Vec<&str>;
    /// Where the inventory speaks of a group, if it does.
    fn place(&self, group: &str) -> Option<Span>;
}

impl Pattern {
    /// Whether the pattern has a rule for a group.
    pub fn knows(&self, group: &str) -> bool {
        self.groups.contains_key(group)
    }

    /// Holds the rules against an inventory.
    pub fn check(&self, inventory: &impl Groups) -> Vec<Problem> {
        let counts = self.groups.iter().flat_map(|(name, rule)| {
            let groups = self.meant(name, inventory);
            groups
                .into_iter()
                .filter_map(|group| self.count_problem(group, rule, inventory))
                .collect::<Vec<_>>()
        });
        let is_empty = |name: &String| {
            let groups = self.meant(name, inventory);
            groups.into_iter().all(|group| inventory.count(group) == 0)
        };
        let lists = self
            .any_of
            .iter()
            .filter(|list| list.iter().all(is_empty))
            .map(|list| self.none_of(list));
        counts.chain(lists).collect()
    }

    /// The groups that a rule's name stands for; the name itself when no group has the form.
    fn meant<'g>(&self, name: &'g str, inventory: &'g impl Groups) -> Vec<&'g str> {
        if !name.contains('*') {
            return vec![name];
        }
        let mut groups = inventory.names();
        groups.retain(|group| is_of_form(group, name) && !self.knows(group));
        match groups.is_empty() {
            true => vec![name],
            false => groups,
        }
    }

    fn count_problem(
        &self,
        group: &str,
        rule: &GroupRule,
        inventory: &impl Groups,
    ) -> Option<Problem> {
        let count = inventory.count(group);
        if (count == 0 && rule.optional) || rule.allows(count) {
            return None;
        }
        let wanted = rule.in_words();
        let found = match count {
            0 => "none".to_owned(),
            count => count.to_string(),
        };
        let message = format!(
            "pattern `{}` needs {wanted} in group `{group}`, the inventory has {found}{}",
            self.name,
            without(&inventory.retired(group)),
        );
        let problem = Problem::new(message)
            .at(&rule.span)
            .because("the pattern's rule")
            .help(Self::mending(group, rule, count));
        Some(self.pointed(problem, group, inventory))
    }

    /// What to write in the inventory so that the rule holds.
    fn mending(group: &str, rule: &GroupRule, count: usize) -> String {
        let hosts = |n: usize| match n {
            1 => "1 host".to_owned(),
            n => format!("{n} hosts"),
        };
        match rule.max {
            Some(max) if count > max => format!("take {} out of `{group}`", hosts(count - max)),
            _ => format!("add {} to `{group}`", hosts(rule.min.saturating_sub(count))),
        }
    }

    fn pointed(&self, problem: Problem, group: &str, inventory: &impl Groups) -> Problem {
        if let Some(span) = inventory.place(group) {
            return problem.also(&span, "the inventory's group");
        }
        let mut others = inventory.names();
        others.retain(|name| !self.groups.keys().any(|rule| is_of_form(name, rule)));
        match nearest(group, others) {
            Some(near) => problem.help(format!("the inventory has a group `{near}`; is it meant?")),
            None => problem.help(format!("add the group `{group}` to the inventory")),
        }
    }

    fn none_of(&self, list: &[String]) -> Problem {
        let names: Vec<String> = list.iter().map(|g| format!("`{g}`")).collect();
        Problem::new(format!(
            "pattern `{}` needs hosts in at least one of the groups {}",
            self.name,
            names.join(", ")
        ))
        .at(&self.span)
        .help(format!("add hosts to {}", names.join(" or ")))
    }
}

impl GroupRule {
    fn allows(&self, count: usize) -> bool {
        count >= self.min && self.max.is_none_or(|max| count <= max)
    }

    fn in_words(&self) -> String {
        let hosts = |n| if n == 1 { "host" } else { "hosts" };
        match self.max {
            Some(max) if max == self.min => format!("{max} {}", hosts(max)),
            Some(max) => format!("{} to {max} hosts", self.min),
            None => format!("at least {} {}", self.min, hosts(self.min)),
        }
    }
}

fn is_of_form(group: &str, form: &str) -> bool {
    Glob::new(form).is_ok_and(|form| form.compile_matcher().is_match(group))
}

/// Said after a count: a host that somebody sees in the inventory may be missing in it.
fn without(retired: &[&str]) -> String {
    match retired {
        [] => String::new(),
        [one] => format!(" without `{one}`, which is retired"),
        many => format!(" without `{}`, which are retired", many.join("`, `")),
    }
}

/// `30%` is 30.
pub fn percent(text: &str) -> Option<u32> {
    text.strip_suffix('%')?.trim().parse().ok()
}

const KEYWORDS: &[&str] = &["any_of", "groups", "packs", "pattern", "summary"];
const HOSTS_HELP: &str = "write `hosts: 2` for exactly two, `hosts: \"2+\"` for two or more, `hosts: \"2-4\"` for a range";

/// Reads the playbook's item that states the pattern.
pub fn read(reader: &mut Reader, node: &Node) -> Option<Pattern> {
    let map = node.as_map()?;
    reader.only(map, "a pattern", &[KEYWORDS]);
    let name = reader.plain(map.get("pattern")?, "a pattern's name")?;
    let mut pattern = Pattern {
        name,
        span: map.get("pattern")?.span.clone(),
        summary: String::new(),
        groups: IndexMap::new(),
        any_of: vec![],
        packs: vec![],
    };
    for entry in &map.entries {
        match entry.key.as_str() {
            "summary" => {
                pattern.summary = reader.plain(&entry.value, "a summary").unwrap_or_default()
            }
            "groups" => pattern.groups = groups(reader, entry),
            "any_of" => pattern.any_of = any_of(reader, entry),
            "packs" => {
                pattern.packs = reader.list(entry, "list file names").to_vec();
                crate::vars::check_texts(&entry.value, &mut reader.problems);
            }
            _ => {}
        }
    }
    alternatives_have_rules(reader, map.entry("any_of"), &pattern);
    Some(pattern)
}

fn groups(reader: &mut Reader, entry: &Entry) -> IndexMap<String, GroupRule> {
    let Some(map) = reader.map(&entry.value, "`groups`", "write `apim: { hosts: 2 }`") else {
        return IndexMap::new();
    };
    map.entries
        .iter()
        .filter_map(|group| Some((group.key.clone(), rule(reader, group)?)))
        .collect()
}

fn rule(reader: &mut Reader, group: &Entry) -> Option<GroupRule> {
    if !is_name(&group.key.replace('*', "_")) {
        reader.wrong(
            &group.key_span,
            format!("`{}` can't be a group's name", group.key),
            "use letters, digits and `_`, and `*` for any of them",
        );
    }
    let map = reader.map(&group.value, "a group's rule", HOSTS_HELP)?;
    reader.only(map, "a group's rule", &[&["hosts", "optional"]]);
    let Some(hosts) = map.get("hosts") else {
        reader.wrong(
            &group.key_span,
            format!("the rule of `{}` lacks `hosts`", group.key),
            HOSTS_HELP,
        );
        return None;
    };
    let Some((min, max)) = range(hosts) else {
        reader.wrong(&hosts.span, "this is no number of hosts", HOSTS_HELP);
        return None;
    };
    let optional = map
        .entry("optional")
        .and_then(|e| reader.boolean(e))
        .unwrap_or(false);
    let span = hosts.span.clone();
    Some(GroupRule {
        min,
        max,
        optional,
        span,
    })
}

/// `2`, `2+` and `2-4` as a least and a most.
fn range(node: &Node) -> Option<(usize, Option<usize>)> {
    let text = match &node.value {
        Yaml::Int(n) => n.to_string(),
        _ => literal(node)?.to_owned(),
    };
    if let Some(min) = text.strip_suffix('+') {
        return Some((min.trim().parse().ok()?, None));
    }
    if let Some((min, max)) = text.split_once('-') {
        let (min, max) = (min.trim().parse().ok()?, max.trim().parse().ok()?);
        return (min <= max).then_some((min, Some(max)));
    }
    let exactly = text.parse().ok()?;
    Some((exactly, Some(exactly)))
}

fn any_of(reader: &mut Reader, entry: &Entry) -> Vec<Vec<String>> {
    let help = "write `any_of: [[mi, si]]`";
    let mut lists = vec![];
    for node in reader.list(entry, help) {
        match node.as_list() {
            Some(groups) => lists.push(
                groups
                    .iter()
                    .filter_map(|g| reader.plain(g, "a group's name"))
                    .collect(),
            ),
            None => reader.wrong(&node.span, "`any_of` wants lists of groups", help),
        }
    }
    lists
}

fn alternatives_have_rules(reader: &mut Reader, entry: Option<&Entry>, pattern: &Pattern) {
    let nodes = entry.and_then(|e| e.value.as_list()).unwrap_or_default();
    for group in nodes.iter().filter_map(Node::as_list).flatten() {
        let unknown = literal(group).filter(|name| !pattern.groups.contains_key(*name));
        if let Some(name) = unknown {
            let problem = Problem::new(format!(
                "`any_of` names the group `{name}`, which has no rule"
            ))
            .at(&group.span);
            let near = nearest(name, pattern.groups.keys().map(String::as_str));
            reader.problems.push(match near {
                Some(near) => problem.help(format!("did you mean `{near}`?")),
                None => problem.help(format!("add `{name}` to `groups`")),
            });
        }
    }
}
