//! A cluster's files at a balancer, in which a node that is out has its lines marked. All of them, or none.

use crate::system::{Result, System};
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// Whose lists.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Engine {
    #[default]
    Nginx,
    Haproxy,
}

impl Engine {
    /// Where they are.
    pub fn folder(self) -> &'static Path {
        Path::new(match self {
            Self::Nginx => "/etc/nginx/clusters",
            Self::Haproxy => "/etc/haproxy/conf.d",
        })
    }
}

/// Path and text of each.
pub struct Lists(Vec<(PathBuf, String)>);

impl Lists {
    /// Those of `folder` whose name is a list's; none where there is no such folder.
    pub fn read(system: &System, folder: &Path, is_list: impl Fn(&str) -> bool) -> Result<Self> {
        if system.meta(folder)?.is_none() {
            return Ok(Self(vec![]));
        }
        let names = system.list(folder)?;
        let paths = names.iter().filter(|name| is_list(name));
        let lists = paths.map(|name| {
            let path = folder.join(name);
            let text = system.read(&path)?.unwrap_or_default();
            Ok((path, String::from_utf8_lossy(&text).into_owned()))
        });
        Ok(Self(lists.collect::<Result<_>>()?))
    }

    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(_, text)| text.as_str())
    }

    /// Rewrites all, does `then`, and puts all back when that fails.
    pub fn rewritten(
        &self,
        system: &System,
        rewrite: impl Fn(&str) -> String,
        then: impl FnOnce() -> Result<()>,
    ) -> Result<()> {
        let mut lists = self.0.iter();
        lists
            .try_for_each(|(path, text)| write(system, path, &rewrite(text)))
            .and_then(|()| then())
            .map_err(|failure| match self.restore(system) {
                Ok(()) => failure,
                Err(e) => failure.detail([format!("its list could not be restored: {e}")]),
            })
    }

    fn restore(&self, system: &System) -> Result<()> {
        let mut lists = self.0.iter();
        lists.try_for_each(|(path, text)| write(system, path, text))
    }
}

fn write(system: &System, path: &Path, text: &str) -> Result<()> {
    system.write(path, &mut text.as_bytes(), None, None)
}
