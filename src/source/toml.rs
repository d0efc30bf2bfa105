//! TOML with a position on every node, in the same form as YAML: who reads settings need not care which it was.

use super::{Entry, File, Mapping, Node, Problem, Result, Span, Yaml};
use std::ops::Range;
use std::sync::Arc;
use toml_edit::{Array, Document, InlineTable, Item, Key, Table, Value};

/// Reads a file strictly: a table or key that stands twice is a problem.
pub fn parse_toml(file: &Arc<File>) -> Result<Node> {
    let document = Document::parse(file.text.as_str()).map_err(|e| {
        let message = e.message().lines().collect::<Vec<_>>().join(", ");
        Problem::new(format!("this is not TOML: {message}"))
            .at(&Span::new(file, e.span().unwrap_or_default()))
    })?;
    Ok(Reading { file }.table(document.as_table()))
}

struct Reading<'f> {
    file: &'f Arc<File>,
}

impl Reading<'_> {
    fn item(&self, item: &Item) -> Option<Node> {
        match item {
            Item::None => None,
            Item::Value(value) => Some(self.value(value)),
            Item::Table(table) => Some(self.table(table)),
            Item::ArrayOfTables(tables) => {
                let list = tables.iter().map(|table| self.table(table)).collect();
                Some(self.node(Yaml::List(list), tables.span()))
            }
        }
    }

    fn table(&self, table: &Table) -> Node {
        let pairs = table.iter().filter_map(|(name, item)| {
            let (key, _) = table.get_key_value(name)?;
            Some(self.entry(key, self.item(item)?))
        });
        let entries = pairs.collect();
        self.node(Yaml::Map(Mapping { entries }), table.span())
    }

    fn inline(&self, table: &InlineTable) -> Node {
        let pairs = table.iter().filter_map(|(name, value)| {
            let (key, _) = table.get_key_value(name)?;
            Some(self.entry(key, self.value(value)))
        });
        let entries = pairs.collect();
        self.node(Yaml::Map(Mapping { entries }), table.span())
    }

    fn list(&self, list: &Array) -> Yaml {
        Yaml::List(list.iter().map(|value| self.value(value)).collect())
    }

    fn value(&self, value: &Value) -> Node {
        let plain = match value {
            Value::String(text) => Yaml::Text(text.value().clone()),
            Value::Integer(number) => Yaml::Int(*number.value()),
            Value::Float(number) => Yaml::Float(*number.value()),
            Value::Boolean(truth) => Yaml::Bool(*truth.value()),
            Value::Datetime(time) => Yaml::Text(time.value().to_string()),
            Value::Array(list) => self.list(list),
            Value::InlineTable(table) => return self.inline(table),
        };
        self.node(plain, value.span())
    }

    fn entry(&self, key: &Key, value: Node) -> Entry {
        Entry {
            key: key.get().to_owned(),
            key_span: self.span(key.span()),
            value,
        }
    }

    fn node(&self, value: Yaml, at: Option<Range<usize>>) -> Node {
        Node {
            value,
            span: self.span(at),
            tag: None,
        }
    }

    /// What no single place wrote, such as the parent of `[a.b]`, stands at the start.
    fn span(&self, at: Option<Range<usize>>) -> Span {
        Span::new(self.file, at.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_lists_and_dotted_keys_have_places() {
        let text = "[a]\nb.c = 1\n\n[[a.list]]\nname = \"x\"\n";
        let file = File::new("deployment.toml", text);
        let node = parse_toml(&file).unwrap();
        assert_eq!(
            node.to_value(),
            serde_json::json!({"a": {"b": {"c": 1}, "list": [{"name": "x"}]}})
        );
        let list = node.as_map().unwrap().get("a").unwrap().as_map().unwrap();
        let first = &list.get("list").unwrap().as_list().unwrap()[0];
        let name = first.as_map().unwrap().get("name").unwrap();
        assert_eq!(name.span.place(), "deployment.toml:5:8");
    }

    #[test]
    fn a_table_that_stands_twice_is_a_problem() {
        let file = File::new("deployment.toml", "[a]\n[b]\n[a]\n");
        let problems = parse_toml(&file).unwrap_err();
        let problem = problems.iter().next().unwrap();
        assert_eq!(problem.span.as_ref().unwrap().line(), 3, "{problem:?}");
    }
}
