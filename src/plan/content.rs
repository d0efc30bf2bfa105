//! What a step brings along: parameters that name templates and files of the controller become content.

use crate::modules::Brings;
use crate::playbook::Role;
use crate::source::{File, Node, Problem, Span};
use crate::vars::{Scope, Unresolved};
use crate::wire::Content;
use serde_json::{Map, Value};
use std::path::PathBuf;
use std::sync::Arc;

/// Something on the controller that a task names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    File(PathBuf),
    Folder(PathBuf),
    /// Built into the binary; the path within the library.
    BuiltIn(String),
}

/// The controller's disk, as far as planning needs it. Errors are sentences.
pub trait Files: Sync {
    /// Looks where Ansible looks: the role's folder (`files` or `templates`), the playbook's, the project.
    /// The error says where it looked.
    fn find(&self, role: Option<&Role>, folder: &str, name: &str) -> Result<Found, String>;

    fn text(&self, found: &Found) -> Result<Arc<File>, String>;

    fn content(&self, found: &Found) -> Result<Content, String>;

    /// Every file below a folder: its path within, its mode, its content.
    fn tree(&self, found: &Found) -> Result<Vec<(String, String, Content)>, String>;

    /// One file of an archive.
    fn member(&self, archive: &Found, member: &str) -> Result<Content, String>;
}

pub(super) struct Bringing<'a> {
    pub module: &'static str,
    pub files: &'a dyn Files,
    pub role: Option<&'a Role>,
    pub scope: &'a Scope<'a>,
    /// The task's parameters as written, for positions.
    pub written: &'a Node,
}

impl Bringing<'_> {
    pub fn prepare(
        &self,
        brings: Brings,
        params: &mut Map<String, Value>,
    ) -> Result<(), Unresolved> {
        match brings {
            Brings::Nothing => Ok(()),
            Brings::Template => self.template(params),
            Brings::File => self.file(params),
            Brings::Files => self.each_file(params),
            Brings::Member => self.member(params),
            Brings::Value => self.value(params),
        }
    }

    fn template(&self, params: &mut Map<String, Value>) -> Result<(), Unresolved> {
        let Some(name) = text_of(params, "src") else {
            return Ok(());
        };
        let content = self.render(&name, &self.span("src"))?;
        params.insert("content".into(), as_value(&content));
        Ok(())
    }

    fn file(&self, params: &mut Map<String, Value>) -> Result<(), Unresolved> {
        let remote = params.get("remote_src").and_then(Value::as_bool) == Some(true);
        if let Some(Value::String(text)) = params.get("content") {
            let content = as_value(&Content::Text(text.clone()));
            if params.contains_key("src") {
                return Err(self.either_content_or_src());
            }
            params.insert("content".into(), content);
            return Ok(());
        }
        let Some(name) = text_of(params, "src").filter(|_| !remote) else {
            return Ok(());
        };
        let span = self.span("src");
        let found = self.find("files", &name, &span)?;
        if matches!(found, Found::Folder(_)) {
            let tree = self
                .files
                .tree(&found)
                .map_err(|e| wrong(&span, &name, &e))?;
            let tree: Vec<_> = tree
                .into_iter()
                .map(|(path, mode, content)| {
                    serde_json::json!({"path": path, "mode": mode, "content": content})
                })
                .collect();
            params.insert("tree".into(), tree.into());
        } else {
            params.insert("content".into(), self.content(&found, &name, &span)?);
        }
        Ok(())
    }

    fn either_content_or_src(&self) -> Unresolved {
        Problem::new(format!(
            "`{}` takes `src` or `content`, not both",
            self.module
        ))
        .at(&self.span("content"))
        .help("write a task for each")
        .into()
    }

    fn value(&self, params: &mut Map<String, Value>) -> Result<(), Unresolved> {
        let Some(expression) = text_of(params, "var") else {
            return Ok(());
        };
        let value = self.scope.expressed(&expression, &self.span("var"))?;
        params.insert("value".into(), value);
        Ok(())
    }

    fn each_file(&self, params: &mut Map<String, Value>) -> Result<(), Unresolved> {
        let Some(Value::Array(files)) = params.get_mut("files") else {
            return Ok(());
        };
        for (at, file) in files.iter_mut().enumerate() {
            let Value::Object(file) = file else { continue };
            let span = self.span_in_list("files", at);
            if let Some(name) = text_of(file, "template") {
                file.remove("template");
                let content = self.render(&name, &span)?;
                file.insert("content".into(), as_value(&content));
            } else if let Some(name) = text_of(file, "src") {
                file.remove("src");
                let found = self.find("files", &name, &span)?;
                file.insert("content".into(), self.content(&found, &name, &span)?);
            } else if let Some(text) = text_of(file, "content") {
                file.insert("content".into(), as_value(&Content::Text(text)));
            }
        }
        Ok(())
    }

    fn member(&self, params: &mut Map<String, Value>) -> Result<(), Unresolved> {
        let (Some(pack), Some(member)) = (text_of(params, "pack"), text_of(params, "member"))
        else {
            return Ok(());
        };
        params.remove("pack");
        params.remove("member");
        let span = self.span("pack");
        let found = self.find("files", &pack, &span)?;
        let content = self
            .files
            .member(&found, &member)
            .map_err(|e| wrong(&self.span("member"), &member, &e))?;
        params.insert("content".into(), as_value(&content));
        Ok(())
    }

    fn render(&self, name: &str, span: &Span) -> Result<Content, Unresolved> {
        let file = template(self.files, self.role, name, span)?;
        Ok(Content::Text(self.scope.file(&file)?))
    }

    fn find(&self, folder: &str, name: &str, span: &Span) -> Result<Found, Unresolved> {
        find(self.files, self.role, folder, name, span)
    }

    fn content(&self, found: &Found, name: &str, span: &Span) -> Result<Value, Unresolved> {
        self.files
            .content(found)
            .map(|c| as_value(&c))
            .map_err(|e| wrong(span, name, &e))
    }

    fn span(&self, field: &str) -> Span {
        let value = self.written.as_map().and_then(|m| m.get(field));
        value.unwrap_or(self.written).span.clone()
    }

    fn span_in_list(&self, field: &str, at: usize) -> Span {
        let list = self.written.as_map().and_then(|m| m.get(field));
        let entry = list.and_then(Node::as_list).and_then(|l| l.get(at));
        entry.map_or_else(|| self.span(field), |n| n.span.clone())
    }
}

/// A template of the role, or of the project.
pub(super) fn template(
    files: &dyn Files,
    role: Option<&Role>,
    name: &str,
    span: &Span,
) -> Result<Arc<File>, Unresolved> {
    if let Some(file) = role.and_then(|r| r.templates.get(name)) {
        return Ok(Arc::clone(file));
    }
    let found = find(files, role, "templates", name, span)?;
    files.text(&found).map_err(|e| wrong(span, name, &e))
}

fn find(
    files: &dyn Files,
    role: Option<&Role>,
    folder: &str,
    name: &str,
    span: &Span,
) -> Result<Found, Unresolved> {
    files
        .find(role, folder, name)
        .map_err(|error| Problem::new(missing(name)).at(span).because(error).into())
}

fn text_of(params: &Map<String, Value>, field: &str) -> Option<String> {
    params.get(field)?.as_str().map(str::to_owned)
}

fn as_value(content: &Content) -> Value {
    serde_json::to_value(content).unwrap_or_default()
}

/// What is said of a file that is not there; one text, so that it is said once.
pub fn missing(name: &str) -> String {
    format!("`{name}` is missing on the controller")
}

fn wrong(span: &Span, name: &str, error: &str) -> Unresolved {
    Problem::new(format!("`{name}` cannot be used: {error}"))
        .at(span)
        .because("needed on the controller")
        .into()
}
