//! WHO: hosts, groups, their variables, and patterns that choose among them.
//!
//! Ansible's inventory, YAML and INI, read as Ansible reads it.

mod asked;
mod clash;
mod draft;
mod graph;
mod group_vars;
mod ini;
mod list;
mod literal;
mod members;
mod pattern;
mod range;
mod retire;
mod sources;
mod tenants;
mod words;
mod yaml;

pub use pattern::HostPattern;
pub use retire::RETIRED;
pub use tenants::{KINDS, TENANTS, Tenant};

use crate::source::{Problem, Problems, Result, Span};
use crate::vars::Layer;
use indexmap::{IndexMap, IndexSet};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

#[derive(Debug, Clone)]
pub struct Inventory {
    /// In the order they were first named.
    pub hosts: IndexMap<String, Host>,
    /// `all` and `ungrouped` always exist.
    pub groups: IndexMap<String, Group>,
    /// The folder of the first source; `inventory_dir` in templates.
    pub dir: PathBuf,
    /// The first source; `inventory_file`.
    pub file: PathBuf,
    /// Of every host, the weakest group first.
    groups_of: HashMap<String, Vec<String>>,
    /// Known by their variables alone; see `retire`.
    retired: IndexSet<String>,
    /// Tenants that leave in this run, whatever is written of them.
    leaving: IndexSet<String>,
}

#[derive(Debug, Clone)]
pub struct Host {
    pub name: String,
    /// Where it is first named.
    pub span: Span,
    /// Of the inventory itself, one per file.
    pub layers: Vec<Arc<Layer>>,
    /// Of `host_vars/`, each with the rank of its source.
    pub files: Vec<(usize, Arc<Layer>)>,
}

#[derive(Debug, Clone)]
pub struct Group {
    pub name: String,
    pub span: Span,
    /// Directly in it, in order.
    pub hosts: Vec<String>,
    pub children: Vec<String>,
    /// Of the inventory itself, one per file.
    pub layers: Vec<Arc<Layer>>,
    /// Of `group_vars/`, each with the rank of its source.
    pub files: Vec<(usize, Arc<Layer>)>,
    /// `ansible_group_priority`; 1 unless said.
    pub priority: i64,
}

impl Inventory {
    /// Reads the sources in order; later ones add to earlier ones. Each is a YAML or INI file, or a folder of them.
    pub fn load(sources: &[PathBuf]) -> Result<Self> {
        sources::load(sources)
    }

    /// The hosts of a group and of its children, in inventory order.
    pub fn hosts_of(&self, group: &str) -> Vec<&str> {
        members::hosts_of(self, group)
    }

    /// Every group the host is in, also through children, without `all`; sorted by name as Ansible's `group_names`.
    pub fn group_names(&self, host: &str) -> Vec<&str> {
        members::group_names(self, host)
    }

    /// The host's variables from the weakest to the strongest: `all`, its groups by depth, priority
    /// and name, the host itself.
    pub fn layers(&self, host: &str) -> Vec<Arc<Layer>> {
        members::layers(self, host)
    }

    /// Takes hosts out of every group and into the group `retired`: those whose variable `state` is
    /// `absent`, and those of a pattern. Their variables and `group_names` stay as they were.
    pub fn retire(&mut self, also: Option<&HostPattern>) -> Result<()> {
        retire::retire(self, also)
    }

    /// The retired hosts that were in a group.
    pub fn retired_from(&self, group: &str) -> Vec<&str> {
        let was_in = |host: &&str| self.group_names(host).contains(&group);
        self.retired
            .iter()
            .map(String::as_str)
            .filter(was_in)
            .collect()
    }

    pub fn is_retired(&self, host: &str) -> bool {
        self.retired.contains(host)
    }

    /// The tenants that the group `tenants` declares, as far as they can be read; see `tenant_mistakes`.
    pub fn tenants(&self) -> Vec<Tenant> {
        tenants::read(self)
    }

    /// A problem unless a tenant of this name is declared, and, unless it `leaves`, is declared to be there.
    pub fn ask_for_tenant(&self, name: &str, leaves: bool) -> std::result::Result<(), Problem> {
        asked::tenant(self, name, leaves)
    }

    /// Whether the tenant leaves in this run alone: the inventory has it as one that is there.
    pub fn leaves_for_now(&self, tenant: &str) -> bool {
        self.leaving.contains(tenant) && retire::said_absent(self, tenant).is_none()
    }

    /// What is wrong with the tenants and their clusters.
    pub fn tenant_mistakes(&self) -> Problems {
        tenants::check(self)
    }

    /// What `ansible-inventory --list` prints.
    pub fn list(&self) -> serde_json::Value {
        list::list(self)
    }

    /// What `ansible-inventory --graph` prints.
    pub fn graph(&self) -> String {
        graph::graph(self)
    }

    /// Where relative paths of an inventory begin.
    pub fn dir(&self) -> &Path {
        &self.dir
    }
}

impl Host {
    /// What is said of it alone, the weakest first.
    fn layers(&self) -> impl Iterator<Item = Arc<Layer>> {
        own_layers(&self.layers, &self.files)
    }
}

impl Group {
    /// What is said of it alone, the weakest first.
    fn layers(&self) -> impl Iterator<Item = Arc<Layer>> {
        own_layers(&self.layers, &self.files)
    }
}

fn own_layers<'a>(
    layers: &'a [Arc<Layer>],
    files: &'a [(usize, Arc<Layer>)],
) -> impl Iterator<Item = Arc<Layer>> + 'a {
    let files = files.iter().map(|(_, layer)| layer);
    layers.iter().chain(files).cloned()
}

#[cfg(test)]
mod tests {
    use super::draft::Draft;
    use super::{ini, members, yaml};
    use crate::source::File;
    use proptest::prelude::*;

    fn settle(text: &str, read: fn(&std::sync::Arc<File>, &mut Draft)) {
        let file = File::new("hosts", text);
        let mut draft = Draft::new(&file);
        read(&file, &mut draft);
        draft.settle();
        members::groups_of(&draft.groups);
        draft.problems.render(false);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        #[test]
        fn no_ini_makes_it_panic(text in "(\\[?[a-c]{1,2}(:children|:vars|\\[[0-9a-z]{0,2}:[0-9]{1,3}\\])?\\]?|[ =#'\"\\[\\]{}:,.0-9-]|[a-cé]|\n|\\PC){0,40}") {
            settle(&text, ini::read);
        }

        #[test]
        fn no_yaml_makes_it_panic(text in "((all|web|hosts|children|vars|x): ?|\n {0,6}|[&*]a|- |\\{\\{? |\\}|\\[|\\]|, |<<: |[|>]-?\n|'|\"|!!int |~|1|é|\t|\r\n|\u{feff}|\\PC){0,40}") {
            settle(&text, yaml::read);
        }
    }
}
