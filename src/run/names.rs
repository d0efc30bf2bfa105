//! Names of hosts, groups and tags that nothing bears: a slip of the pen that would leave something out without a word.

use super::prepare::Prepared;
use crate::inventory::HostPattern;
use crate::plan;
use crate::playbook::Task;
use crate::source::{Problem, Problems, nearest};
use std::collections::BTreeSet;

impl Prepared {
    /// What a play says of hosts and groups. Missing may be what the playbook's pattern has a rule for, which says how
    /// many there must be; a host that leaves; and whatever a shape such as `mi_*` stands for, which takes what there is.
    pub(super) fn check_play_hosts(&self, pattern: &HostPattern) -> Problems {
        let rules = self.playbook.pattern.as_ref();
        pattern.complaints_but(&self.inventory, |name| {
            rules.is_some_and(|rules| rules.knows(name))
                || self.inventory.is_retired(name)
                || name.contains(['*', '?'])
        })
    }

    /// A host that a task is delegated to, where the task is not planned either. A template is looked at when it is.
    pub(super) fn check_delegation(&self, problems: &mut Problems) {
        let tasks = self.playbook.tasks().into_iter();
        for node in tasks.filter_map(|task| task.settings.delegate_to.as_ref()) {
            let literal = node
                .as_text()
                .filter(|text| !text.contains("{{") && !text.contains("{%"));
            if let Some(host) = literal
                && let Err(problem) = plan::known_host(&self.inventory, host, &node.span)
            {
                problems.push(problem);
            }
        }
    }

    /// Tags that were asked for. A run about a tenant has one of its own, which its playbook need not know.
    pub(super) fn check_tags(&self, problems: &mut Problems) {
        if self.options.tenant.is_some() {
            return;
        }
        let tasks = self.playbook.tasks();
        let known: BTreeSet<&str> = tasks.iter().flat_map(|task| tags(task)).collect();
        for tag in self.options.tags.unknown(&known) {
            let name = &self.playbook.name;
            let problem = Problem::new(format!("no task of `{name}` has the tag `{tag}`"));
            problems.push(problem.help(instead_of(tag, &known)));
        }
    }
}

fn tags(task: &Task) -> impl Iterator<Item = &str> {
    task.tags.iter().map(String::as_str)
}

fn instead_of(tag: &str, known: &BTreeSet<&str>) -> String {
    let all: Vec<&str> = known.iter().copied().collect();
    match nearest(tag, all.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if all.is_empty() => "none of its tasks has tags".to_owned(),
        None => format!("it has {}", all.join(", ")),
    }
}
