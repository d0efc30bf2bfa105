//! The examples of the manual, turned into parameters as the controller does.

use apim_deploy::modules::{Brings, Entry};
use serde_json::{Map, Value, json};

/// An example is one task's module line in YAML; its parameters must be accepted.
pub fn check(entry: &Entry) -> Result<(), String> {
    let example = rendered(entry.example);
    let task: Map<String, Value> = serde_yaml::from_str(&example).map_err(|e| e.to_string())?;
    let params = task.get(entry.name).ok_or("it does not use the module")?;
    let params = params.as_object().cloned().unwrap_or_default();
    (entry.prepare)(&Value::Object(sent(entry, params)))
        .map(drop)
        .map_err(|faults| format!("refused: {}", faults.failure(entry.name)))
}

/// Every variable of an example is a path, which passes for a text as well.
fn rendered(example: &str) -> String {
    let mut parts = example.split("{{");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        text.push_str("/srv/it");
        text.push_str(part.split_once("}}").map_or("", |(_, rest)| rest));
    }
    text
}

/// What the controller makes of parameters as people write them.
fn sent(entry: &Entry, mut params: Map<String, Value>) -> Map<String, Value> {
    if entry.name == "set_fact" {
        // The controller keeps the facts; the host only hears that some were set.
        return Map::new();
    }
    match entry.brings {
        Brings::Nothing | Brings::Value => {}
        // `src` stays, for messages.
        Brings::Template => {
            params.insert("content".into(), json!({"text": "rendered"}));
        }
        Brings::File => bring(&mut params, "src"),
        Brings::Files => {
            let files = params.get_mut("files").and_then(Value::as_array_mut);
            for file in files.into_iter().flatten().filter_map(Value::as_object_mut) {
                bring(file, "src");
                bring(file, "template");
            }
        }
        Brings::Member => {
            bring(&mut params, "pack");
            params.remove("member");
        }
    }
    if let Some(that) = params.remove("that") {
        let that = that.as_array().cloned().unwrap_or_else(|| vec![that]);
        let checks = that.iter().map(|c| json!({"condition": c, "holds": true}));
        params.insert("checks".into(), checks.collect());
    }
    params
}

/// Takes the name of a file on the controller, leaves its content.
fn bring(params: &mut Map<String, Value>, key: &str) {
    if params.get("remote_src") == Some(&Value::Bool(true)) {
        return;
    }
    if let Some(name) = params.remove(key) {
        let blob = json!({"digest": "00", "size": 0, "name": name});
        params.insert("content".into(), json!({ "blob": blob }));
    }
}
