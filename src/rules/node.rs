//! One product on one host, read from the files that the run would write for it.

use super::Finding;
use super::site::{Host, Written};
use crate::source::{self, Problem, Span, Yaml};
use crate::wire::environment_heap;
use indexmap::IndexMap;
use serde_json::Value;
use std::fmt;

/// The part that a node plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Component {
    AllInOne,
    /// Also an all-in-one node beside gateways.
    ControlPlane,
    Gateway,
    TrafficManager,
    Mi,
    Si,
}

impl Component {
    pub fn is_apim(self) -> bool {
        !matches!(self, Self::Mi | Self::Si)
    }

    /// The line of `products` that it belongs to.
    pub fn product(self) -> &'static str {
        match self {
            Self::Mi => "mi",
            Self::Si => "si",
            _ => "apim",
        }
    }

    /// By the script that its unit starts. Source: the packs' `bin` folders, wso2/product-apim v4.4.0 and v4.5.0.
    fn of_program(program: &str) -> Option<Self> {
        let (_, script) = program.split_once("/bin/")?;
        // `/bin/sh /opt/.../bin/api-manager.sh`: the last one counts.
        let script = script.rsplit("/bin/").next()?;
        let (script, arguments) = script.split_once(' ').unwrap_or((script, ""));
        let profile = arguments
            .split_whitespace()
            .find_map(|a| a.strip_prefix("-Dprofile="));
        Some(match (script, profile) {
            ("micro-integrator.sh", _) => Self::Mi,
            ("server.sh", _) => Self::Si,
            ("gateway.sh", _) | ("api-manager.sh", Some("gateway-worker")) => Self::Gateway,
            ("traffic-manager.sh", _) | ("api-manager.sh", Some("traffic-manager")) => {
                Self::TrafficManager
            }
            ("api-cp.sh", _) | ("api-manager.sh", Some("control-plane")) => Self::ControlPlane,
            ("api-manager.sh", None) => Self::AllInOne,
            _ => return None,
        })
    }

    /// By the place of its settings, for a unit that the run does not write.
    fn of_settings(dest: &str) -> Option<Self> {
        if dest.ends_with("/repository/conf/deployment.toml") {
            Some(Self::AllInOne)
        } else if dest.ends_with("/conf/deployment.toml") {
            Some(Self::Mi)
        } else if dest.ends_with("/conf/server/deployment.yaml") {
            Some(Self::Si)
        } else {
            None
        }
    }

    /// The groups that its clusters have: this one, or one that begins with it (`mi_acme`).
    fn group(self) -> &'static str {
        match self {
            Self::AllInOne | Self::ControlPlane => "apim",
            Self::Gateway => "gateway",
            Self::TrafficManager => "traffic_manager",
            Self::Mi => "mi",
            Self::Si => "si",
        }
    }
}

impl fmt::Display for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AllInOne => "API Manager",
            Self::ControlPlane => "the control plane",
            Self::Gateway => "the gateway",
            Self::TrafficManager => "the traffic manager",
            Self::Mi => "Micro Integrator",
            Self::Si => "Streaming Integrator",
        })
    }
}

#[derive(Debug, Clone)]
pub struct Node {
    pub host: String,
    /// The systemd unit, without `.service`.
    pub service: String,
    pub component: Component,
    /// The group whose nodes work together.
    pub cluster: String,
    /// Which batch of the plan starts it: nodes of one batch start at once.
    pub batch: Option<usize>,
    /// Of the release that the link names: `4.5.0`.
    pub version: Option<String>,
    /// The product's folder: the link that says which release runs.
    pub home: Option<String>,
    /// Where the release itself is.
    pub release: Option<String>,
    /// deployment.toml or deployment.yaml; or the reason why it cannot be read.
    pub settings: Result<source::Node, Box<Problem>>,
    /// Of the unit and its environment file, in their order; secrets are among them.
    pub environment: IndexMap<String, String>,
    /// Seconds between a stop and the next start, as the run waits.
    pub settle: u64,
    /// Every file of the node.
    pub files: Vec<Written>,
}

impl Node {
    /// The nodes among a host's calls. A run may change one twice: it is what the last call says.
    pub(super) fn all_of(host: &Host) -> Vec<Self> {
        let calls = host.calls("instance");
        let nodes = calls.filter_map(|params| Self::of(host, params));
        let last: IndexMap<String, Self> = nodes.map(|n| (n.service.clone(), n)).collect();
        last.into_values().collect()
    }

    fn of(host: &Host, params: &Value) -> Option<Self> {
        let service = params.get("service")?.as_str()?;
        let service = service.strip_suffix(".service").unwrap_or(service);
        let files: Vec<Written> = params
            .get("files")?
            .as_array()?
            .iter()
            .filter_map(|file| Written::read(&host.name, file))
            .collect();
        let settings = files
            .iter()
            .find(|f| Component::of_settings(&f.dest).is_some())?;
        let unit = unit_of(&files, service);
        let started = unit.and_then(|unit| directive(unit, "ExecStart"));
        let component = started
            .and_then(Component::of_program)
            .or_else(|| Component::of_settings(&settings.dest))?;
        let link = |end: &str| Some(params.get("link")?.get(end)?.as_str()?.to_owned());
        let release = link("target");
        Some(Self {
            host: host.name.clone(),
            service: service.to_owned(),
            component,
            cluster: cluster_of(&host.groups, component, service),
            batch: host.batches.get(service).copied(),
            version: release.as_deref().and_then(version_of),
            home: link("path"),
            release,
            settings: settings_of(settings),
            environment: environment_of(&files, unit),
            settle: params.get("settle").map_or(0, whole),
            files,
        })
    }

    /// A setting by its dotted path. Keys may hold dots themselves: `wso2.carbon.id` of SI is found too.
    pub fn get(&self, path: &str) -> Option<Setting<'_>> {
        let at = within(self.settings.as_ref().ok()?, path)?;
        Some(Setting { node: self, at })
    }

    /// A text setting, as it would be written.
    pub fn text(&self, path: &str) -> Option<&str> {
        self.get(path)?.text()
    }

    /// The entries of a list, or of an array of tables; none where there is no such list.
    pub fn list(&self, path: &str) -> Vec<Setting<'_>> {
        self.get(path).map(|s| s.list()).unwrap_or_default()
    }

    /// Every text of the settings, however deep.
    pub fn texts(&self) -> Vec<Setting<'_>> {
        let mut found = Vec::new();
        let mut left: Vec<&source::Node> = self.settings.iter().collect();
        while let Some(at) = left.pop() {
            let entries = at.as_map().map_or(&[][..], |m| &m.entries);
            left.extend(entries.iter().rev().map(|entry| &entry.value));
            left.extend(at.as_list().unwrap_or_default().iter().rev());
            if at.as_text().is_some() {
                found.push(Setting { node: self, at });
            }
        }
        found
    }

    /// A whole number of the settings, or what counts when it is not there.
    pub fn number(&self, path: &str, otherwise: i64) -> i64 {
        self.get(path).and_then(|s| s.int()).unwrap_or(otherwise)
    }

    /// Of SI: a datasource by name. Of MI: by id.
    pub fn datasource(&self, name: &str) -> Option<Setting<'_>> {
        let (list, key) = match self.component {
            Component::Si => ("wso2.datasources.dataSources", "name"),
            _ => ("datasource", "id"),
        };
        let mut all = self.list(list).into_iter();
        all.find(|s| s.get(key).and_then(Setting::text) == Some(name))
    }

    /// Of the process: a `-D` of its JVM, or its environment. MI asks them in this order, and its file last.
    /// Source: wso2/micro-integrator, DataHolder.
    pub fn property(&self, name: &str) -> Option<&str> {
        let options = self.environment.get("JAVA_OPTS").map_or("", String::as_str);
        let given = options.split_whitespace().find_map(|option| {
            let property = option.strip_prefix("-D")?;
            property.strip_prefix(name)?.strip_prefix('=')
        });
        given.or_else(|| self.environment.get(name).map(String::as_str))
    }

    /// Of the JVM, in bytes; `None` leaves it to the start script.
    pub fn heap(&self) -> Option<u64> {
        environment_heap(|name| self.environment.get(name).map(String::as_str))
    }

    /// A directive of the unit that the run writes.
    pub fn unit(&self, name: &str) -> Option<&str> {
        directive(unit_of(&self.files, &self.service)?, name)
    }

    pub fn file(&self, ending: &str) -> Option<&Written> {
        self.files.iter().find(|f| f.dest.ends_with(ending))
    }

    pub fn finds(&self, what: impl Into<String>) -> Finding {
        Finding::on(&self.host, what)
    }

    /// `4.5` as (4, 5); `None` when the release says no version.
    pub fn line(&self) -> Option<(u32, u32)> {
        let mut numbers = self.version.as_deref()?.split(['.', '+', '-']);
        Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
    }
}

/// Parameters may be written as texts.
fn whole(value: &Value) -> u64 {
    let text = || value.as_str()?.trim().parse().ok();
    value.as_u64().or_else(text).unwrap_or_default()
}

/// A place in a node's settings.
#[derive(Clone, Copy)]
pub struct Setting<'n> {
    node: &'n Node,
    at: &'n source::Node,
}

impl<'n> Setting<'n> {
    pub fn get(self, path: &str) -> Option<Self> {
        let at = within(self.at, path)?;
        Some(Self { at, ..self })
    }

    /// As it would be written: what stands for a secret (`$env{X}`) is left as it is.
    pub fn text(self) -> Option<&'n str> {
        self.at.as_text()
    }

    pub fn int(self) -> Option<i64> {
        match &self.at.value {
            Yaml::Int(number) => Some(*number),
            Yaml::Text(text) => text.parse().ok(),
            _ => None,
        }
    }

    pub fn bool(self) -> Option<bool> {
        match self.at.value {
            Yaml::Bool(truth) => Some(truth),
            _ => None,
        }
    }

    pub fn list(self) -> Vec<Self> {
        let entries = self.at.as_list().unwrap_or_default().iter();
        entries.map(|at| Self { at, ..self }).collect()
    }

    /// The texts of a list.
    pub fn texts(self) -> Vec<&'n str> {
        self.list().into_iter().filter_map(Self::text).collect()
    }

    /// The tables directly below.
    pub fn children(self) -> Vec<Self> {
        let entries = self.at.as_map().into_iter().flat_map(|m| &m.entries);
        entries
            .map(|entry| Self {
                at: &entry.value,
                ..self
            })
            .collect()
    }

    /// What the server will read, with the environment put in. May be a secret: compare it, never show it.
    pub fn resolved(self) -> Option<Hidden> {
        self.text().map(|text| Hidden(resolve(text, self.node)))
    }

    /// A finding that points here.
    pub fn finds(self, what: impl Into<String>) -> Finding {
        self.node.finds(what).at(&self.at.span)
    }

    pub fn span(self) -> &'n Span {
        &self.at.span
    }
}

/// A value that may be a secret: it can be compared and looked into, and does not show itself.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Hidden(String);

impl Hidden {
    pub fn look(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("•••")
    }
}

fn within<'n>(node: &'n source::Node, path: &str) -> Option<&'n source::Node> {
    node.as_map()?
        .entries
        .iter()
        .find_map(|entry| match path.strip_prefix(entry.key.as_str())? {
            "" => Some(&entry.value),
            rest => within(&entry.value, rest.strip_prefix('.')?),
        })
}

/// `$env{X}` of the TOML products, `${env:X}` of SI. Source: wso2/carbon-config and the products' config mapper.
fn resolve(text: &str, node: &Node) -> String {
    let mut resolved = text.to_owned();
    for (name, value) in &node.environment {
        resolved = resolved
            .replace(&format!("$env{{{name}}}"), value)
            .replace(&format!("${{env:{name}}}"), value);
    }
    resolved
}

fn unit_of<'f>(files: &'f [Written], service: &str) -> Option<&'f Written> {
    let name = format!("/{service}.service");
    files.iter().find(|f| f.dest.ends_with(&name))
}

/// The last one counts, as for systemd's settings that are no lists.
fn directive<'f>(unit: &'f Written, name: &str) -> Option<&'f str> {
    directives(unit, name).last()
}

fn directives<'f>(unit: &'f Written, name: &str) -> impl Iterator<Item = &'f str> {
    let text = unit.text.as_ref().map_or("", |file| file.text.as_str());
    text.lines().filter_map(move |line| {
        let value = line.trim().strip_prefix(name)?.trim_start();
        Some(value.strip_prefix('=')?.trim())
    })
}

fn environment_of(files: &[Written], unit: Option<&Written>) -> IndexMap<String, String> {
    let mut found = IndexMap::new();
    let Some(unit) = unit else { return found };
    for words in directives(unit, "Environment") {
        found.extend(words.split_whitespace().filter_map(assignment));
    }
    for path in directives(unit, "EnvironmentFile") {
        let path = path.trim_start_matches('-');
        let file = files.iter().find(|f| f.dest == path);
        let text = file.and_then(|f| f.text.as_ref());
        found.extend(
            text.iter()
                .flat_map(|t| t.text.lines())
                .filter_map(assignment),
        );
    }
    found
}

fn assignment(line: &str) -> Option<(String, String)> {
    let (name, value) = line.trim().split_once('=')?;
    if name.starts_with(['#', ';']) {
        return None;
    }
    let value = value.trim();
    let unquoted = value
        .strip_prefix('"')
        .and_then(|v| v.strip_suffix('"'))
        .unwrap_or(value);
    Some((
        name.trim_matches('"').to_owned(),
        unquoted.trim_end_matches('"').to_owned(),
    ))
}

fn settings_of(file: &Written) -> Result<source::Node, Box<Problem>> {
    let Some(text) = &file.text else {
        let message = format!("{} is no text", file.dest);
        return Err(Box::new(Problem::new(message)));
    };
    let read = match file.dest.ends_with(".toml") {
        true => source::parse_toml(text),
        false => source::parse(text),
    };
    read.map_err(|problems| {
        let first = problems.iter().next().cloned();
        Box::new(first.unwrap_or_else(|| Problem::new("it cannot be read")))
    })
}

/// The host's group of this component. Where it has several (`mi_acme` and `mi_globex` share it), the one that the
/// unit is named after.
fn cluster_of(groups: &[String], component: Component, service: &str) -> String {
    let name = component.group();
    let prefix = format!("{name}_");
    let own: Vec<&String> = groups
        .iter()
        .filter(|g| *g == name || g.starts_with(&prefix))
        .collect();
    let named = own.iter().find(|g| {
        g.strip_prefix(&prefix)
            .is_some_and(|tenant| service.ends_with(tenant))
    });
    // A tenant's group may be a child of the common one.
    let narrowest = own.iter().max_by_key(|g| g.len());
    named
        .or(narrowest)
        .map_or(name.to_owned(), |g| (*g).clone())
}

/// `/opt/wso2/apim/releases/4.5.0` is 4.5.0.
fn version_of(release: &str) -> Option<String> {
    let last = release.trim_end_matches('/').rsplit('/').next()?;
    let version = last.rsplit('-').next()?;
    version
        .starts_with(|c: char| c.is_ascii_digit())
        .then(|| version.to_owned())
}
