//! What rules look at: hosts, what would be written to them, the nodes that makes, and what hosts said.

use super::Finding;
use super::node::{Component, Node};
use super::survey::{Instance, Survey};
use crate::inventory::TENANTS;
use crate::source::{File, Span};
use crate::vars::truth;
use crate::wire::Content;
use indexmap::IndexMap;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A deployment as it would be after a run, and as its hosts are now.
#[derive(Debug, Clone, Default)]
pub struct Site {
    pub hosts: IndexMap<String, Host>,
    /// Every product that would run somewhere, in inventory order.
    pub nodes: Vec<Node>,
    /// The groups that the playbook's pattern speaks of; `mi_*` is every name of the form.
    pub groups: Vec<String>,
}

#[derive(Debug, Clone, Default)]
pub struct Host {
    pub name: String,
    /// Where the other hosts reach it.
    pub address: String,
    pub groups: Vec<String>,
    /// It leaves in this run, or has left.
    pub is_retired: bool,
    /// Some play of the playbook has it, whatever part of it this run touches.
    pub is_played: bool,
    /// What the inventory and the roles say of it.
    pub variables: Map<String, Value>,
    /// Where the inventory, or the command line, says it.
    pub places: BTreeMap<String, Span>,
    /// Each module call of the plan, with its rendered parameters.
    pub calls: Vec<(String, Value)>,
    /// By service, which batch of the plan starts it.
    pub batches: BTreeMap<String, usize>,
    /// Files that the calls write, those of nodes aside.
    pub files: Vec<Written>,
    /// How far its clock is ahead of ours, in milliseconds, when it was asked.
    pub ahead_ms: Option<i64>,
    /// What it is like, or why that is not known.
    pub survey: Option<Result<Survey, String>>,
}

/// A file as it would be written.
#[derive(Debug, Clone)]
pub struct Written {
    pub dest: String,
    pub content: Content,
    pub mode: Option<String>,
    pub owner: Option<String>,
    /// Text, under the name that people are shown: `host:path`.
    pub text: Option<Arc<File>>,
}

impl Site {
    /// Finds files and nodes among the calls.
    pub fn new(mut hosts: Vec<Host>) -> Self {
        for host in &mut hosts {
            let writing = ["template", "upstreams", "copy", "blockinfile"];
            let calls = host.calls.iter();
            host.files = calls
                .filter(|(module, _)| writing.contains(&module.as_str()))
                .filter_map(|(_, params)| Written::read(&host.name, params))
                .collect();
        }
        let mut nodes: Vec<Node> = hosts.iter().flat_map(Node::all_of).collect();
        // From 4.5 the control plane may be the all-in-one pack: nothing in its own files tells.
        if nodes.iter().any(|n| n.component == Component::Gateway) {
            for node in &mut nodes {
                if node.component == Component::AllInOne {
                    node.component = Component::ControlPlane;
                }
            }
        }
        let hosts = hosts.into_iter().map(|h| (h.name.clone(), h)).collect();
        Self {
            hosts,
            nodes,
            groups: vec![],
        }
    }

    pub fn of(&self, component: Component) -> impl Iterator<Item = &Node> {
        self.nodes.iter().filter(move |n| n.component == component)
    }

    /// Nodes of API-M, whichever part they play.
    pub fn apim(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter().filter(|n| n.component.is_apim())
    }

    pub fn mi(&self) -> impl Iterator<Item = &Node> {
        self.of(Component::Mi)
    }

    pub fn si(&self) -> impl Iterator<Item = &Node> {
        self.of(Component::Si)
    }

    /// The nodes that gateways and publishers get their events from: control planes, or all-in-one nodes.
    pub fn event_hubs(&self) -> impl Iterator<Item = &Node> {
        use Component::{AllInOne, ControlPlane};
        let hubs = [AllInOne, ControlPlane];
        self.nodes
            .iter()
            .filter(move |n| hubs.contains(&n.component))
    }

    /// The nodes that count API calls: traffic managers, or the nodes that carry one inside.
    pub fn throttlers(&self) -> Vec<&Node> {
        let own: Vec<&Node> = self.of(Component::TrafficManager).collect();
        match own.is_empty() {
            true => self.event_hubs().collect(),
            false => own,
        }
    }

    /// The nodes of each cluster, by component and the cluster's name.
    pub fn clusters(&self) -> Vec<Vec<&Node>> {
        let mut found: IndexMap<_, Vec<&Node>> = IndexMap::new();
        for node in &self.nodes {
            found
                .entry((node.component, node.cluster.as_str()))
                .or_default()
                .push(node);
        }
        found.into_values().collect()
    }

    /// The others of the node's cluster.
    pub fn peers(&self, node: &Node) -> Vec<&Node> {
        let same = |n: &&Node| n.component == node.component && n.cluster == node.cluster;
        let others = self.nodes.iter().filter(same);
        others
            .filter(|n| n.host != node.host || n.service != node.service)
            .collect()
    }

    pub fn address<'s>(&'s self, host: &'s str) -> &'s str {
        self.hosts.get(host).map_or(host, |h| h.address.as_str())
    }

    /// What each host said that was asked.
    pub fn surveys(&self) -> impl Iterator<Item = (&Host, &Survey)> {
        self.hosts
            .values()
            .filter_map(|host| Some((host, host.survey.as_ref()?.as_ref().ok()?)))
    }

    pub fn survey(&self, host: &str) -> Option<&Survey> {
        self.hosts.get(host)?.survey.as_ref()?.as_ref().ok()
    }

    /// Each node with what its host said of it. A node without an answer is not here: that it was not judged is told
    /// for all rules at once.
    pub fn surveyed(&self) -> impl Iterator<Item = (&Node, &Instance)> {
        self.nodes
            .iter()
            .filter_map(|node| Some((node, self.instance(node)?)))
    }

    /// Those whose host was asked and did not tell of them: for a rule of the plan that looks at hosts too, where they
    /// answered. Nobody asks offline.
    pub fn unanswered(&self, concerned: impl Fn(&Node) -> bool) -> Vec<Finding> {
        let nodes = self.nodes.iter().filter(|node| concerned(node));
        nodes
            .filter_map(|node| Some(Finding::unjudged(&node.host, self.why_unseen(node)?)))
            .collect()
    }

    /// The same of hosts that need have no node, such as a database's.
    pub fn silent(&self, concerned: impl Fn(&Host) -> bool) -> Vec<Finding> {
        let hosts = self.hosts.values().filter(|host| concerned(host));
        hosts
            .filter_map(|host| match &host.survey {
                Some(Err(why)) => Some(Finding::unjudged(&host.name, why.as_str())),
                _ => None,
            })
            .collect()
    }

    /// Why nothing is known of a node whose host was asked.
    pub fn why_unseen(&self, node: &Node) -> Option<String> {
        match self.hosts.get(&node.host)?.survey.as_ref()? {
            Err(why) => Some(why.clone()),
            Ok(_) if self.instance(node).is_some() => None,
            Ok(_) => Some(format!("it said nothing of {}", node.service)),
        }
    }

    pub fn instance(&self, node: &Node) -> Option<&Instance> {
        let instances = &self.survey(&node.host)?.instances;
        instances.iter().find(|i| i.name == node.service)
    }

    /// Whether the environment says of itself that people depend on it.
    pub fn is_production(&self) -> bool {
        self.hosts.values().any(|h| h.is("production"))
    }

    /// The hosts that stay, in inventory order.
    pub fn staying(&self) -> impl Iterator<Item = &Host> {
        self.hosts.values().filter(|host| !host.is_retired)
    }

    /// The hosts of a group that stay.
    pub fn members<'s>(&'s self, group: &'s str) -> impl Iterator<Item = &'s Host> {
        self.staying().filter(move |host| host.is_in(group))
    }

    /// The hosts of each cluster of MI or SI that stay, by its group: that of no tenant, and those of tenants.
    pub fn integration(&self, product: &str) -> Vec<(&str, Vec<&Host>)> {
        let mut found: IndexMap<&str, Vec<&Host>> = IndexMap::new();
        for host in self.staying() {
            let mut groups = host.groups.iter().map(String::as_str);
            let is_cluster = |group: &&str| match group.strip_prefix(product) {
                Some("") => true,
                Some(rest) => rest.starts_with('_') && host.is_in(TENANTS),
                None => false,
            };
            if let Some(group) = groups.find(is_cluster) {
                found.entry(group).or_default().push(host);
            }
        }
        found.into_iter().collect()
    }

    /// Where the first of these variables of a host is set that the inventory or the command line sets.
    pub fn place(&self, host: &str, variables: &[&str]) -> Option<&Span> {
        let host = self.hosts.get(host)?;
        variables.iter().find_map(|name| host.places.get(*name))
    }
}

impl Host {
    pub fn variable(&self, name: &str) -> Option<&Value> {
        self.variables.get(name)
    }

    /// A variable as text; numbers are written out.
    pub fn text(&self, name: &str) -> Option<String> {
        match self.variable(name)? {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        }
    }

    /// Whether a variable is true, as the filter `bool` has it.
    fn is(&self, name: &str) -> bool {
        let value = self.variable(name);
        value.and_then(truth_of) == Some(true)
    }

    pub fn is_in(&self, group: &str) -> bool {
        self.groups.iter().any(|name| name == group)
    }

    /// The parameters of each call of a module.
    pub fn calls(&self, module: &str) -> impl Iterator<Item = &Value> {
        self.calls
            .iter()
            .filter(move |(name, _)| name == module)
            .map(|(_, params)| params)
    }

    pub fn file(&self, dest: &str) -> Option<&Written> {
        self.files.iter().find(|f| f.dest == dest)
    }
}

/// A value as the filter `bool` takes it: true and false, or a word for them.
pub fn truth_of(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(truth) => Some(*truth),
        Value::String(text) => truth(text),
        Value::Number(number) => truth(&number.to_string()),
        _ => None,
    }
}

impl Written {
    /// From a call's parameters, or from an entry of its `files`.
    pub fn read(host: &str, params: &Value) -> Option<Self> {
        let text_of = |key: &str| Some(params.get(key)?.as_str()?.to_owned());
        let dest = text_of("dest").or_else(|| text_of("path"))?;
        let content = match (params.get("content"), text_of("block")) {
            (Some(Value::String(text)), _) => Content::Text(text.clone()),
            (None, Some(block)) => Content::Text(block),
            (Some(content), _) => serde_json::from_value(content.clone()).ok()?,
            (None, None) => return None,
        };
        let text = match &content {
            Content::Text(text) => Some(File::new(format!("{host}:{dest}"), text.as_str())),
            Content::Blob { .. } => None,
        };
        Some(Self {
            dest,
            content,
            mode: text_of("mode"),
            owner: text_of("owner"),
            text,
        })
    }
}
