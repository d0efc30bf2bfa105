//! A good deployment, and ways to spoil it.

use super::{prepared, shipped};
use apim_deploy::rules::{Host, Site};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, HashMap};

/// How a host differs from the good one.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct Change {
    /// The host is not there otherwise: it is made as a copy of this one.
    like: Option<String>,
    /// What runs on this host too.
    also: Option<String>,
    groups: Option<Vec<String>>,
    /// Whether a play has it.
    played: Option<bool>,
    /// Which batch starts its services.
    batch: Option<usize>,
    variables: Map<String, Value>,
    /// Merged over the parameters of every call of a module.
    calls: BTreeMap<String, Value>,
    /// By the end of the file's path.
    files: BTreeMap<String, Edit>,
    /// Merged over `survey.yaml`; entries of a list are named by their `name`, `path` or `file`.
    survey: Value,
    ahead_ms: i64,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Edit {
    /// Dotted keys of TOML; entries of lists of tables are for `replace` and `append`.
    set: BTreeMap<String, Value>,
    remove: Vec<String>,
    /// Texts that stand in the file, and what stands there instead.
    replace: BTreeMap<String, String>,
    append: String,
    /// All of it.
    text: Option<String>,
}

/// Good sites, each planned once.
#[derive(Default)]
pub struct Good(HashMap<(String, Option<String>), Site>);

pub struct Base<'g>(&'g Site);

impl Good {
    /// The site of an inventory of `inventories/`, deployed by the playbook whose name its own begins with.
    pub fn site(&mut self, name: &str) -> Base<'_> {
        self.behind(None, name)
    }

    /// The same with another `load_balancer_engine`.
    pub fn behind(&mut self, balancer: Option<&str>, name: &str) -> Base<'_> {
        let key = (name.to_owned(), balancer.map(ToOwned::to_owned));
        Base(self.0.entry(key).or_insert_with(|| {
            let dir = tempfile::tempdir().unwrap();
            let playbook = ["standard-ha-multitenant", "standard-ha", "simple-scalable"]
                .into_iter()
                .find(|playbook| name.starts_with(playbook))
                .unwrap_or_else(|| panic!("no playbook for {name}"));
            let mut options = shipped(dir.path(), playbook, &format!("inventories/{name}.yaml"));
            options
                .extra_vars
                .extend(balancer.map(|engine| format!("load_balancer_engine={engine}")));
            prepared(options).judgeable.unwrap().site
        }))
    }
}

impl Base<'_> {
    pub fn changed(&self, changes: &BTreeMap<String, Change>) -> Result<Site, String> {
        let mut hosts: Vec<Host> = self.0.hosts.values().cloned().collect();
        for (names, change) in changes {
            for name in names.split(',').map(str::trim) {
                change.make(name, &mut hosts)?;
            }
        }
        let mut site = Site::new(hosts);
        site.groups.clone_from(&self.0.groups);
        let surveys: Vec<_> = site.hosts.keys().map(|host| survey(&site, host)).collect();
        for ((name, host), mut survey) in site.hosts.iter_mut().zip(surveys) {
            host.ahead_ms.get_or_insert(0);
            for (names, change) in changes {
                if names.split(',').any(|n| n.trim() == name) {
                    merge(&mut survey, &change.survey);
                }
            }
            let read = serde_json::from_value(survey);
            host.survey = Some(Ok(read.map_err(|e| format!("{name}: survey: {e}"))?));
        }
        Ok(site)
    }
}

impl Change {
    fn make(&self, name: &str, hosts: &mut Vec<Host>) -> Result<(), String> {
        let find = |hosts: &[Host], name: &str| {
            let found = hosts.iter().find(|h| h.name == name).cloned();
            found.ok_or_else(|| format!("there is no host `{name}`"))
        };
        if let Some(like) = &self.like {
            let mut made = find(hosts, like)?;
            made.name = name.to_owned();
            made.address = name.to_owned();
            hosts.push(made);
        }
        let more = match &self.also {
            Some(other) => find(hosts, other)?.calls,
            None => vec![],
        };
        find(hosts, name)?;
        for host in hosts.iter_mut().filter(|h| h.name == name) {
            host.calls.extend(more.iter().cloned());
            if let Some(groups) = &self.groups {
                host.groups.clone_from(groups);
            }
            host.is_played = self.played.unwrap_or(host.is_played);
            if let Some(batch) = self.batch {
                host.batches.values_mut().for_each(|number| *number = batch);
            }
            host.variables.extend(self.variables.clone());
            host.ahead_ms = Some(self.ahead_ms);
            for (module, change) in &self.calls {
                let mut calls = host
                    .calls
                    .iter_mut()
                    .filter(|(name, _)| name == module)
                    .peekable();
                if calls.peek().is_none() {
                    return Err(format!("{name} has no call of `{module}`"));
                }
                calls.for_each(|(_, params)| merge(params, change));
            }
            for (file, edit) in &self.files {
                let contents = contents(host, file);
                if contents.is_empty() {
                    return Err(format!("{name} has no file `{file}`"));
                }
                for content in contents {
                    let text = edit.edited(content.as_str().unwrap_or_default());
                    *content = text.map_err(|e| format!("{name}/{file}: {e}"))?.into();
                }
            }
        }
        Ok(())
    }
}

/// The texts of the files that end so, wherever the calls hold them.
fn contents<'h>(host: &'h mut Host, ending: &str) -> Vec<&'h mut Value> {
    let calls = host.calls.iter_mut().map(|(_, params)| params);
    let mut found = Vec::new();
    for params in calls {
        let single = params["dest"].is_string() || params["path"].is_string();
        let files: Vec<&mut Value> = match single {
            true => vec![params],
            false => params
                .get_mut("files")
                .and_then(Value::as_array_mut)
                .into_iter()
                .flatten()
                .collect(),
        };
        for file in files {
            let dest = file.get("dest").or(file.get("path"));
            if !dest
                .and_then(Value::as_str)
                .is_some_and(|d| d.ends_with(ending))
            {
                continue;
            }
            let key = ["content", "block"]
                .into_iter()
                .find(|k| file.get(k).is_some());
            let Some(key) = key else { continue };
            let content = &mut file[key];
            match content.get("text").is_some() {
                true => found.push(&mut content["text"]),
                false => found.push(content),
            }
        }
    }
    found
}

impl Edit {
    fn edited(&self, text: &str) -> Result<String, String> {
        let mut text = self.text.clone().unwrap_or_else(|| text.to_owned());
        for (old, new) in &self.replace {
            if !text.contains(old) {
                return Err(format!("`{old}` does not stand there"));
            }
            text = text.replace(old, new);
        }
        if !self.set.is_empty() || !self.remove.is_empty() {
            let mut document: toml_edit::DocumentMut =
                text.parse().map_err(|e| format!("no TOML: {e}"))?;
            for (key, value) in &self.set {
                let (table, last) = parent(&mut document, key)?;
                table[last.as_str()] = toml_edit::value(toml(value)?);
            }
            for key in &self.remove {
                let (table, last) = parent(&mut document, key)?;
                let table = table.as_table_like_mut().ok_or("no table")?;
                table.remove(&last).ok_or(format!("`{key}` is not there"))?;
            }
            text = document.to_string();
        }
        Ok(text + &self.append)
    }
}

/// The table of a dotted key, and the key's last part.
fn parent<'d>(
    document: &'d mut toml_edit::DocumentMut,
    key: &str,
) -> Result<(&'d mut toml_edit::Item, String), String> {
    let (tables, last) = key.rsplit_once('.').ok_or("a key has a table")?;
    let mut item = document.as_item_mut();
    for table in tables.split('.') {
        item = &mut item[table];
        if item.is_none() {
            let mut made = toml_edit::Table::new();
            made.set_implicit(true);
            *item = toml_edit::Item::Table(made);
        }
    }
    Ok((item, last.to_owned()))
}

fn toml(value: &Value) -> Result<toml_edit::Value, String> {
    Ok(match value {
        Value::Bool(b) => (*b).into(),
        Value::Number(n) => n.as_i64().ok_or("a whole number is expected")?.into(),
        Value::String(text) => text.as_str().into(),
        Value::Array(list) => {
            let list: Result<Vec<_>, _> = list.iter().map(toml).collect();
            toml_edit::Value::Array(list?.into_iter().collect())
        }
        _ => return Err("a mapping cannot be set".to_owned()),
    })
}

/// What a good host answers: `survey.yaml`, with an instance for each of its nodes.
fn survey(site: &Site, host: &str) -> Value {
    let text = include_str!("../rules/survey.yaml");
    let mut survey: Value = serde_yaml::from_str(text).unwrap();
    let instance = survey["instances"][0].take();
    let nodes = site.nodes.iter().filter(|n| n.host == host);
    let instances: Vec<Value> = nodes
        .map(|node| {
            let mut instance = instance.clone();
            instance["name"] = node.service.clone().into();
            instance["home"] = node.home.clone().into();
            instance["release"] = node.release.clone().into();
            let first = site.peers(node).iter().all(|peer| peer.host > node.host);
            let role = if first { "Active" } else { "Passive" };
            let body = format!("{{\"haStatus\":\"{role}\"}}");
            instance["http"] = serde_json::json!([
                {"name": "statistics", "answer": {"known": {"status": 200, "location": null, "body": body}}},
                {"name": "applications", "answer": {"known": {"status": 200, "location": null, "body": "{\"activeList\":[],\"faultyList\":[]}"}}}
            ]);
            instance
        })
        .collect();
    survey["instances"] = instances.into();
    let asked = apim_deploy::rules::request(site, host).databases;
    let databases: Vec<Value> = asked.into_iter().map(|asked| {
        let empty = serde_json::json!({"known": {"exists": false, "charset": "", "collation": "", "tables": [], "contents": {}}});
        let schemas: Map<String, Value> = asked.schemas.into_keys().map(|name| (name, empty.clone())).collect();
        let server = serde_json::json!({"known": {"version": "10.11.6-MariaDB", "max_connections": 1000, "connections": 1}});
        serde_json::json!({"engine": asked.engine, "server": server, "schemas": schemas})
    }).collect();
    survey["databases"] = databases.into();
    survey
}

/// Lays a change over a value. A fact that is seen takes the place of one that is not, and the other way round.
fn merge(base: &mut Value, change: &Value) {
    match (base, change) {
        (_, Value::Null) => {}
        (Value::Object(base), Value::Object(change)) => {
            for (key, value) in change {
                match key.as_str() {
                    "known" => drop(base.remove("unknown")),
                    "unknown" => drop(base.remove("known")),
                    _ => {}
                }
                merge(base.entry(key).or_insert(Value::Null), value);
            }
        }
        (Value::Array(list), Value::Object(change)) => {
            for (name, value) in change {
                let named = |e: &&mut Value| {
                    let keys = ["name", "path", "file"];
                    keys.iter()
                        .any(|key| e[*key].as_str() == Some(name.as_str()))
                };
                match list.iter_mut().find(named) {
                    Some(entry) => merge(entry, value),
                    None => list.push(value.clone()),
                }
            }
        }
        (base, change) => *base = change.clone(),
    }
}
