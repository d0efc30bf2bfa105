//! `database_schema`: the tables of a product, made once and never touched again.
//!
//! The products' scripts must not run twice: some begin with DROP TABLE, others fail half-way. So one
//! only runs on an empty database. PostgreSQL makes all of the tables or none; the others cannot, so a
//! record of ours says whether the script came to its end.

use super::shared::content::{self, Source};
use super::shared::sql::{Engine, Login, Server};
use super::{Brings, Fault, Kind, Module, Review};
use crate::system::{Result, System};
use crate::wire::{Content, Failure};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatabaseSchema {
    engine: Engine,
    database: String,
    /// An administrator's, to a server that is not on this host.
    #[serde(default)]
    login: Option<Login>,
    /// The script.
    content: Content,
    /// Tables that prove the schema is there: the first and the last that the script makes, and a few between.
    markers: Vec<String>,
    /// Other tables may be there: the script makes its own beside them.
    #[serde(default)]
    beside: bool,
}

/// Our record, in the database itself: it is backed up and restored with the tables it speaks of.
const RECORD: &str = "apim_deploy_schema";

#[derive(Debug)]
pub struct Install;

impl std::fmt::Display for Install {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("create the tables")
    }
}

impl Module for DatabaseSchema {
    const NAME: &'static str = "database_schema";
    const KIND: Kind = Kind::State;
    const ABOUT: &'static str = "creates the tables of a product in an empty database, once";
    const EXAMPLE: &'static str = "\
database_schema:
  engine: mariadb
  database: apim_db
  pack: wso2am-4.5.0.zip
  member: wso2am-4.5.0/dbscripts/apimgt/mysql.sql
  markers: [IDN_BASE_TABLE, AM_API, AM_SYSTEM_APPS, AM_GW_PUBLISHED_API_DETAILS]
";
    const BRINGS: Brings = Brings::Member;
    type Change = Install;

    fn review(&self, review: &mut Review<'_>) {
        review.filled("database", self.database.as_str());
        if self.markers.is_empty() {
            let reason = "nothing could prove that the schema is there";
            review.push(Fault::of("markers", "", reason));
        }
    }

    fn check(&self, system: &System) -> Result<Vec<Install>> {
        // Without the database an earlier task has yet to make it.
        let server = self.server(system);
        if !server.has_database(&self.database)? {
            return Ok(vec![Install]);
        }
        let tables = server.tables(&self.database)?;
        let begun = self.is_begun(&server, &tables)?;
        self.judge(&tables, begun)
            .map(|due| Vec::from_iter(due.then_some(Install)))
    }

    fn apply(&self, system: &System, _: Install) -> Result<()> {
        let source = Source::Sent(&self.content);
        let script = content::bytes(&source, system)?;
        let digest = source.digest(system)?.unwrap_or_default();
        system.progress(&format!("running the script in `{}`", self.database));
        let server = self.server(system);
        match self.engine {
            Engine::Postgresql => self.install_at_once(&server, &script, &digest),
            _ => self.install_noting(&server, script, &digest),
        }
    }
}

impl DatabaseSchema {
    fn server<'a>(&'a self, system: &'a System) -> Server<'a> {
        Server {
            system,
            engine: self.engine,
            login: self.login.as_ref(),
        }
    }

    fn install_at_once(&self, server: &Server<'_>, script: &[u8], digest: &str) -> Result<()> {
        server
            .run_whole(&self.database, script, &record(digest, "done"))
            .map_err(|failure| {
                self.broken_off(failure).help(
                    "PostgreSQL has undone it, so nothing is left over: mend the cause and run again",
                )
            })
    }

    fn install_noting(&self, server: &Server<'_>, script: Vec<u8>, digest: &str) -> Result<()> {
        let note = |state| server.ask(Some(&self.database), &record(digest, state));
        note("started")?;
        server
            .run_script(&self.database, script)
            .map_err(|failure| self.broken_off(failure).help(self.how_to_clean()))?;
        note("done").map(drop)
    }

    /// Whether the script has to run; an error when a person has to decide.
    fn judge(&self, tables: &[String], begun: bool) -> Result<bool> {
        let others: Vec<_> = tables
            .iter()
            .filter(|t| !t.eq_ignore_ascii_case(RECORD))
            .collect();
        let is_there = |marker: &&String| others.iter().any(|t| t.eq_ignore_ascii_case(marker));
        let (there, missing): (Vec<_>, Vec<_>) = self.markers.iter().partition(is_there);
        if begun && !others.is_empty() {
            return Err(self.unfinished(others.len()));
        }
        if missing.is_empty() {
            return Ok(false);
        }
        if !there.is_empty() {
            return Err(self.partly_there(&there, &missing));
        }
        match others.first() {
            Some(other) if !self.beside => Err(self.not_empty(others.len(), other)),
            _ => Ok(true),
        }
    }

    fn is_begun(&self, server: &Server<'_>, tables: &[String]) -> Result<bool> {
        if !tables.iter().any(|t| t == RECORD) {
            return Ok(false);
        }
        let sql = format!("SELECT script FROM {RECORD} WHERE state = 'started';");
        Ok(!server.ask(Some(&self.database), &sql)?.is_empty())
    }

    fn broken_off(&self, failure: Failure) -> Failure {
        Failure::new(format!(
            "the script for database `{}` did not run to its end: {}",
            self.database, failure.message
        ))
        .detail(failure.detail)
    }

    fn unfinished(&self, tables: usize) -> Failure {
        Failure::new(format!(
            "a script was begun in database `{}` and never came to its end; {tables} tables are there",
            self.database
        ))
        .help(self.how_to_clean())
    }

    fn how_to_clean(&self) -> String {
        let name = self.engine.name(&self.database);
        match self.beside {
            false => format!(
                "{} does not undo such scripts. The database was empty before: if nobody has used it since, DROP DATABASE {name}, and run again",
                self.engine
            ),
            true => format!(
                "{} does not undo such scripts. Drop the tables that the script made ({} and so on), then DELETE FROM {RECORD} WHERE state = 'started', and run again",
                self.engine,
                self.markers.join(", ")
            ),
        }
    }

    fn partly_there(&self, there: &[&String], missing: &[&String]) -> Failure {
        let list = |names: &[&String]| {
            names
                .iter()
                .map(|n| n.as_str())
                .collect::<Vec<_>>()
                .join(", ")
        };
        Failure::new(format!(
            "database `{}` has only a part of the schema: {} {} there, {} {} not",
            self.database,
            list(there),
            is_or_are(there),
            list(missing),
            is_or_are(missing)
        ))
        .help("it may be broken or of another version; nothing was touched. A person has to decide: restore it, migrate it, or empty it")
    }

    fn not_empty(&self, tables: usize, one: &str) -> Failure {
        Failure::new(format!(
            "database `{}` has {tables} tables (`{one}`, for one), but none of this schema",
            self.database
        ))
        .help("use an empty database; if the two are meant to share this one, say `beside: true`")
    }
}

/// Statements that put a script's state in the record.
fn record(digest: &str, state: &str) -> String {
    format!(
        "CREATE TABLE IF NOT EXISTS {RECORD} (script VARCHAR(64) PRIMARY KEY, state VARCHAR(16) NOT NULL);\n\
         DELETE FROM {RECORD} WHERE script = '{digest}';\n\
         INSERT INTO {RECORD} (script, state) VALUES ('{digest}', '{state}');"
    )
}

fn is_or_are(names: &[&String]) -> &'static str {
    if names.len() == 1 { "is" } else { "are" }
}
