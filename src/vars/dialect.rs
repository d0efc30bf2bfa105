//! What our templates can say beyond Tera's own words: Ansible's filters, tests and functions.
//!
//! Tera takes arguments by name only, so each keeps Ansible's name and gives its arguments names.

use super::{lists, missing};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use regex::Regex;
use sha2::Digest as _;
use std::cmp::Ordering;
use tera::value::Key;
use tera::{Error, Kwargs, Map, State, Tera, TeraResult, Value};

/// The value of `omit`. A mapping's entry that renders to it is left out. No text from outside
/// can be equal to it by accident.
pub const OMIT: &str = "\u{0}omit\u{0}";

/// Tera's own filters, for "did you mean"; Tera has no way to ask for them.
const TERA_FILTERS: &[&str] = &[
    "abs",
    "capitalize",
    "default",
    "escape",
    "escape_html",
    "escape_xml",
    "first",
    "float",
    "get",
    "group_by",
    "indent",
    "int",
    "join",
    "keys",
    "last",
    "length",
    "lower",
    "newlines_to_br",
    "nth",
    "pairs",
    "pluralize",
    "replace",
    "reverse",
    "round",
    "safe",
    "sort",
    "split",
    "str",
    "title",
    "trim",
    "trim_end",
    "trim_start",
    "truncate",
    "unique",
    "upper",
    "values",
    "wordcount",
];
const OUR_FILTERS: &[&str] = &[
    "b64decode",
    "b64encode",
    "basename",
    "bool",
    "combine",
    "dict2items",
    "difference",
    "dirname",
    "flatten",
    "from_json",
    "hash",
    "items2dict",
    "mandatory",
    "max",
    "min",
    "quote",
    "regex_replace",
    "regex_search",
    "ternary",
    "to_json",
    "to_nice_json",
    "union",
];
const TERA_TESTS: &[&str] = &[
    "array",
    "bool",
    "containing",
    "defined",
    "divisible_by",
    "ending_with",
    "even",
    "float",
    "integer",
    "iterable",
    "map",
    "none",
    "number",
    "odd",
    "starting_with",
    "string",
    "undefined",
];
const OUR_TESTS: &[&str] = &[
    "changed",
    "failed",
    "match",
    "search",
    "skipped",
    "succeeded",
    "version",
];
const FUNCTIONS: &[&str] = &["lookup", "range", "throw"];

/// The names of one kind of word (`filter`, `test` or `function`).
pub fn words(kind: &str) -> Vec<&'static str> {
    match kind {
        "filter" => [TERA_FILTERS, OUR_FILTERS].concat(),
        "test" => [TERA_TESTS, OUR_TESTS].concat(),
        _ => FUNCTIONS.to_vec(),
    }
}

pub fn teach(tera: &mut Tera) {
    teach_filters(tera);
    teach_tests(tera);
    tera.register_function("lookup", lookup);
    tera.register_function(missing::FUNCTION, missing::complain);
    tera.register_function(lists::FUNCTION, lists::look);
}

fn teach_filters(tera: &mut Tera) {
    tera.register_filter("b64decode", b64decode);
    tera.register_filter("b64encode", |v: &str, _: Kwargs, _: &State| {
        BASE64.encode(v)
    });
    tera.register_filter("basename", |v: &str, _: Kwargs, _: &State| {
        split_path(v).1.to_owned()
    });
    tera.register_filter("bool", boolean);
    tera.register_filter("combine", combine);
    tera.register_filter("dict2items", dict2items);
    tera.register_filter("difference", difference);
    tera.register_filter("dirname", |v: &str, _: Kwargs, _: &State| {
        split_path(v).0.to_owned()
    });
    tera.register_filter("flatten", |v: &[Value], _: Kwargs, _: &State| flatten(v));
    tera.register_filter("from_json", from_json);
    tera.register_filter("hash", hash);
    tera.register_filter("items2dict", items2dict);
    tera.register_filter("mandatory", mandatory);
    tera.register_filter("max", |v: &[Value], _: Kwargs, _: &State| {
        extreme(v, Ordering::Greater)
    });
    tera.register_filter("min", |v: &[Value], _: Kwargs, _: &State| {
        extreme(v, Ordering::Less)
    });
    tera.register_filter("quote", |v: Value, _: Kwargs, _: &State| {
        quote(&v.to_string())
    });
    tera.register_filter("regex_replace", regex_replace);
    tera.register_filter("regex_search", regex_search);
    tera.register_filter("ternary", ternary);
    tera.register_filter("to_json", |v: Value, _: Kwargs, _: &State| {
        serde_json::to_string(&v).map_err(Error::message)
    });
    tera.register_filter("to_nice_json", |v: Value, _: Kwargs, _: &State| {
        serde_json::to_string_pretty(&v).map_err(Error::message)
    });
    tera.register_filter("union", union);
}

fn teach_tests(tera: &mut Tera) {
    tera.register_test("changed", |v: Value, _: Kwargs, _: &State| {
        result_says(&v, "changed")
    });
    tera.register_test("failed", |v: Value, _: Kwargs, _: &State| {
        result_says(&v, "failed")
    });
    tera.register_test("skipped", |v: Value, _: Kwargs, _: &State| {
        result_says(&v, "skipped")
    });
    tera.register_test("succeeded", |v: Value, _: Kwargs, _: &State| {
        result_says(&v, "failed").map(|failed| !failed)
    });
    tera.register_test("match", |v: &str, args: Kwargs, _: &State| {
        let found = pattern(&args)?.find(v).map(|m| m.start());
        TeraResult::Ok(found == Some(0))
    });
    tera.register_test("search", |v: &str, args: Kwargs, _: &State| {
        TeraResult::Ok(pattern(&args)?.is_match(v))
    });
    tera.register_test("version", version);
}

fn lookup(args: Kwargs, _: &State) -> TeraResult<String> {
    let name = args.must_get::<&str>("name")?;
    match args.must_get::<&str>("kind")? {
        "env" => std::env::var(name)
            .map_err(|_| Error::message(format!("the environment has no variable `{name}`"))),
        "file" => std::fs::read_to_string(name)
            .map(|text| text.trim_end().to_owned())
            .map_err(|e| Error::message(format!("{name} cannot be read: {e}"))),
        other => Err(Error::message(format!(
            "`lookup` knows the kinds \"file\" and \"env\", not \"{other}\""
        ))),
    }
}

fn b64decode(v: &str, _: Kwargs, _: &State) -> TeraResult<String> {
    let bytes = BASE64
        .decode(v.trim())
        .map_err(|e| Error::message(format!("this is not base64: {e}")))?;
    String::from_utf8(bytes).map_err(|_| Error::message("the decoded bytes are not UTF-8 text"))
}

/// `/opt/wso2/apim` is `/opt/wso2` and `apim`.
fn split_path(path: &str) -> (&str, &str) {
    match path.rsplit_once('/') {
        Some(("", name)) => ("/", name),
        Some((folder, name)) => (folder, name),
        None => ("", path),
    }
}

/// Stricter than Ansible, which takes every text it does not know for false.
fn boolean(v: Value, _: Kwargs, _: &State) -> TeraResult<bool> {
    if let Some(b) = v.as_bool() {
        return Ok(b);
    }
    truth(&v.to_string()).ok_or_else(|| {
        Error::message(format!(
            "`bool` wants yes or no (also true, on, 1, ...), not {}",
            v.name()
        ))
    })
}

/// What a text says to `bool`: values of a command line are texts. `None` is neither yes nor no.
pub fn truth(text: &str) -> Option<bool> {
    match text.to_lowercase().as_str() {
        "true" | "yes" | "on" | "1" => Some(true),
        "false" | "no" | "off" | "0" => Some(false),
        _ => None,
    }
}

fn combine(v: &Map, args: Kwargs, _: &State) -> TeraResult<Value> {
    let recursive = args.get::<bool>("recursive")?.unwrap_or(false);
    let with = args.must_get::<Value>("with")?;
    let others = with
        .as_array()
        .map_or_else(|| vec![with.clone()], <[Value]>::to_vec);
    let mut all = v.clone();
    for other in &others {
        let Some(map) = other.as_map() else {
            return Err(Error::message(format!(
                "`combine` wants mappings, not {}",
                other.name()
            )));
        };
        merge(&mut all, map, recursive);
    }
    Ok(all.into())
}

fn merge(into: &mut Map, from: &Map, recursive: bool) {
    for (key, value) in from {
        let deeper = recursive.then(|| Some((into.get(key)?.as_map()?.clone(), value.as_map()?)));
        let value = match deeper.flatten() {
            Some((mut inner, map)) => {
                merge(&mut inner, map, true);
                inner.into()
            }
            None => value.clone(),
        };
        into.insert(key.clone(), value);
    }
}

fn dict2items(v: &Map, _: Kwargs, _: &State) -> Vec<Value> {
    v.iter()
        .map(|(key, value)| {
            let mut item = Map::new();
            item.insert("key".into(), key.as_value());
            item.insert("value".into(), value.clone());
            item.into()
        })
        .collect()
}

fn items2dict(v: &[Value], _: Kwargs, _: &State) -> TeraResult<Map> {
    v.iter()
        .map(|item| {
            let item = item.as_map();
            let key = item.and_then(|m| m.get(&Key::Str("key")));
            let value = item.and_then(|m| m.get(&Key::Str("value")));
            match (key, value) {
                (Some(key), Some(value)) => Ok((Key::from(key.to_string()), value.clone())),
                _ => Err(Error::message(
                    "`items2dict` wants mappings of `key` and `value`",
                )),
            }
        })
        .collect()
}

fn difference(v: &[Value], args: Kwargs, _: &State) -> TeraResult<Vec<Value>> {
    let with = args.must_get::<&[Value]>("with")?;
    Ok(v.iter()
        .filter(|item| !with.contains(item))
        .cloned()
        .collect())
}

fn union(v: &[Value], args: Kwargs, _: &State) -> TeraResult<Vec<Value>> {
    let mut all: Vec<Value> = Vec::new();
    for item in v.iter().chain(args.must_get::<&[Value]>("with")?) {
        if !all.contains(item) {
            all.push(item.clone());
        }
    }
    Ok(all)
}

fn flatten(list: &[Value]) -> Vec<Value> {
    list.iter()
        .flat_map(|item| match item.as_array() {
            Some(inner) => flatten(inner),
            None => vec![item.clone()],
        })
        .collect()
}

fn from_json(v: &str, _: Kwargs, _: &State) -> TeraResult<Value> {
    let json: serde_json::Value =
        serde_json::from_str(v).map_err(|e| Error::message(format!("this is not JSON: {e}")))?;
    Value::try_from_serializable(&json)
}

fn hash(v: &str, args: Kwargs, _: &State) -> TeraResult<String> {
    match args.get::<&str>("kind")?.unwrap_or("sha256") {
        "sha256" => Ok(hex(&sha2::Sha256::digest(v))),
        "sha512" => Ok(hex(&sha2::Sha512::digest(v))),
        "sha1" => Ok(hex(&sha1::Sha1::digest(v))),
        other => Err(Error::message(format!(
            "`hash` knows sha256, sha512 and sha1, not {other}"
        ))),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn mandatory(v: Value, args: Kwargs, _: &State) -> TeraResult<Value> {
    if v.is_undefined() {
        let message = args
            .get::<&str>("message")?
            .unwrap_or("a mandatory value is not defined");
        return Err(Error::message(message));
    }
    Ok(v)
}

fn extreme(v: &[Value], wanted: Ordering) -> TeraResult<Value> {
    v.iter()
        .reduce(|best, item| if item.cmp(best) == wanted { item } else { best })
        .cloned()
        .ok_or_else(|| Error::message("an empty list has no smallest and no greatest item"))
}

/// For a shell: one word, whatever is in it.
fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

fn regex_replace(v: &str, args: Kwargs, _: &State) -> TeraResult<String> {
    let replacement = args.get::<&str>("replacement")?.unwrap_or("");
    Ok(pattern(&args)?
        .replace_all(v, groups(replacement))
        .into_owned())
}

/// Python writes `\1` where the regex crate writes `${1}`.
fn groups(replacement: &str) -> String {
    let mut out = String::new();
    let mut chars = replacement.chars().peekable();
    while let Some(c) = chars.next() {
        match (c, chars.peek()) {
            ('\\', Some(digit)) if digit.is_ascii_digit() => {
                out.push_str(&format!("${{{digit}}}"));
                chars.next();
            }
            ('$', _) => out.push_str("$$"),
            _ => out.push(c),
        }
    }
    out
}

/// What the first group found, or the whole match; none without a match.
fn regex_search(v: &str, args: Kwargs, _: &State) -> TeraResult<Value> {
    let pattern = pattern(&args)?;
    let found = pattern
        .captures(v)
        .and_then(|c| c.get(1).or_else(|| c.get(0)));
    Ok(found.map_or_else(Value::none, |m| m.as_str().into()))
}

fn pattern(args: &Kwargs) -> TeraResult<Regex> {
    Regex::new(args.must_get::<&str>("pattern")?)
        .map_err(|e| Error::message(format!("this is no regular expression: {e}")))
}

fn ternary(v: Value, args: Kwargs, _: &State) -> TeraResult<Value> {
    args.must_get::<Value>(if v.is_truthy() { "yes" } else { "no" })
}

/// Asks a registered result; a key that the result lacks is false.
fn result_says(v: &Value, key: &'static str) -> TeraResult<bool> {
    let Some(map) = v.as_map() else {
        return Err(Error::message(format!(
            "`is {key}` asks a registered result, and this is {}",
            v.name()
        )));
    };
    Ok(map.get(&Key::Str(key)).is_some_and(Value::is_truthy))
}

fn version(v: Value, args: Kwargs, _: &State) -> TeraResult<bool> {
    let than = args.must_get::<Value>("than")?;
    let order = version_parts(&v.to_string()).cmp(&version_parts(&than.to_string()));
    match args.get::<&str>("op")?.unwrap_or("==") {
        "==" | "=" | "eq" => Ok(order.is_eq()),
        "!=" | "ne" => Ok(order.is_ne()),
        "<" | "lt" => Ok(order.is_lt()),
        "<=" | "le" => Ok(order.is_le()),
        ">" | "gt" => Ok(order.is_gt()),
        ">=" | "ge" => Ok(order.is_ge()),
        other => Err(Error::message(format!(
            "`version` knows ==, !=, <, <=, > and >=, not {other}"
        ))),
    }
}

/// Words sort before numbers, so `1.0.rc` is older than `1.0.1`.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Word(String),
    Number(u64),
}

fn version_parts(version: &str) -> Vec<Part> {
    version
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|part| !part.is_empty())
        .map(|part| {
            part.parse()
                .map_or_else(|_| Part::Word(part.to_owned()), Part::Number)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_we_name_is_one_that_tera_knows() {
        let mut tera = Tera::new();
        teach(&mut tera);
        for filter in words("filter") {
            tera.add_raw_template("t", &format!("{{{{ x | {filter} }}}}"))
                .unwrap();
        }
        for test in words("test") {
            tera.add_raw_template("t", &format!("{{{{ x is {test} }}}}"))
                .unwrap();
        }
        for function in words("function") {
            tera.add_raw_template("t", &format!("{{{{ {function}() }}}}"))
                .unwrap();
        }
    }

    #[test]
    fn versions_compare_by_number() {
        assert!(version_parts("4.10.0") > version_parts("4.9.3"));
        assert!(version_parts("1.0.rc") < version_parts("1.0.1"));
        assert_eq!(version_parts("4.5.0"), version_parts("4-5-0"));
    }

    #[test]
    fn python_groups_become_ours() {
        assert_eq!(groups(r"\1$x"), "${1}$$x");
    }

    #[test]
    fn quoting_keeps_one_word() {
        assert_eq!(quote("a'b c"), r"'a'\''b c'");
    }
}
