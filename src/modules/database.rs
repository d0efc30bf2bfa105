//! `database`: an empty database, ready for its schema.

use super::shared::sql::{Engine, Login, Server};
use super::{Kind, Module, Review};
use crate::system::{Result, System};
use crate::wire::Failure;
use serde::Deserialize;

/// Keeps a database there. One with tables in it is never altered.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Database {
    engine: Engine,
    name: String,
    /// An administrator's, to a server that is not on this host.
    #[serde(default)]
    login: Option<Login>,
    /// `latin1`, `utf8mb4`; on PostgreSQL the encoding. It can only be chosen while there are no tables.
    #[serde(default)]
    charset: Option<String>,
    #[serde(default)]
    collation: Option<String>,
    #[serde(default)]
    #[expect(dead_code, reason = "there is one state: nothing here ever drops data")]
    state: State,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum State {
    #[default]
    Present,
}

#[derive(Debug)]
pub enum Change {
    Create,
    Alter { from: String },
}

impl std::fmt::Display for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Create => f.write_str("create"),
            Self::Alter { from } => write!(f, "change the default character set from {from}"),
        }
    }
}

impl Module for Database {
    const NAME: &'static str = "database";
    const KIND: Kind = Kind::State;
    const ABOUT: &'static str = "keeps a database there, with its character set";
    const EXAMPLE: &'static str = "database:\n  engine: mariadb\n  name: apim_db\n  charset: latin1\n  collation: latin1_swedish_ci\n";
    type Change = Change;

    fn review(&self, review: &mut Review<'_>) {
        review.filled("name", self.name.as_str());
    }

    fn check(&self, system: &System) -> Result<Vec<Change>> {
        let server = self.server(system);
        let Some((charset, collation)) = server.charset(&self.name)? else {
            return Ok(vec![Change::Create]);
        };
        let same = agrees(self.charset.as_deref(), &charset)
            && agrees(self.collation.as_deref(), &collation);
        if same {
            return Ok(vec![]);
        }
        let from = format!("{charset} ({collation})");
        let tables = server.tables(&self.name)?.len();
        if tables > 0 || self.engine == Engine::Postgresql {
            return Err(self.fixed(&from, tables));
        }
        Ok(vec![Change::Alter { from }])
    }

    fn apply(&self, system: &System, change: Change) -> Result<()> {
        let verb = match change {
            Change::Create => "CREATE",
            Change::Alter { .. } => "ALTER",
        };
        let sql = format!(
            "{verb} DATABASE {}{};",
            self.engine.name(&self.name),
            self.options()
        );
        self.server(system).ask(None, &sql).map(drop)
    }
}

impl Database {
    fn server<'a>(&'a self, system: &'a System) -> Server<'a> {
        Server {
            system,
            engine: self.engine,
            login: self.login.as_ref(),
        }
    }

    fn options(&self) -> String {
        let mut sql = String::new();
        if self.engine == Engine::Postgresql {
            // Only the empty template takes any encoding.
            if self.charset.is_some() || self.collation.is_some() {
                sql.push_str(" TEMPLATE template0");
            }
            for (word, value) in [("ENCODING", &self.charset), ("LC_COLLATE", &self.collation)] {
                if let Some(value) = value {
                    sql.push_str(&format!(" {word} {}", self.engine.text(value)));
                }
            }
        } else {
            for (word, value) in [
                ("CHARACTER SET", &self.charset),
                ("COLLATE", &self.collation),
            ] {
                if let Some(value) = value {
                    sql.push_str(&format!(" {word} {}", self.engine.name(value)));
                }
            }
        }
        sql
    }

    fn fixed(&self, from: &str, tables: usize) -> Failure {
        Failure::new(format!(
            "database `{}` is there with {from} and {tables} tables, and another character set is asked for",
            self.name
        ))
        .help("its tables would have to be converted, which is a person's decision: ask for what it has, or move the data to a new database")
    }
}

/// `utf8` is `utf8mb3` by its old name, and `UTF8` is `utf-8`.
fn agrees(wanted: Option<&str>, found: &str) -> bool {
    let plain = |text: &str| {
        let letters: String = text.to_lowercase().chars().filter(|c| *c != '-').collect();
        letters.replace("utf8mb3", "utf8")
    };
    wanted.is_none_or(|wanted| plain(wanted) == plain(found))
}
