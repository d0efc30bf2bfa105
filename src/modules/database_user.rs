//! `database_user`: a user of a database server, its password and the databases it may use.

use super::shared::sql::{Engine, Login, Server};
use super::shared::words::Words;
use super::{Fault, Kind, Module, Review};
use crate::system::{Result, System};
use crate::wire::Failure;
use serde::Deserialize;

/// Keeps a user there, or away. Privileges are added, never taken away.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatabaseUser {
    engine: Engine,
    name: String,
    /// An administrator's, to a server that is not on this host.
    #[serde(default)]
    login: Option<Login>,
    /// May be missing only for `state: absent`.
    #[serde(default)]
    password: Option<String>,
    /// Where the user may come from; `%` is anywhere. PostgreSQL decides that in `pg_hba.conf`.
    #[serde(default = "anywhere")]
    host: String,
    /// On each of these databases. On PostgreSQL the user becomes their owner.
    #[serde(default)]
    databases: Words,
    #[serde(default = "all")]
    privileges: Words,
    #[serde(default)]
    state: State,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum State {
    #[default]
    Present,
    Absent,
}

fn anywhere() -> String {
    "%".into()
}

fn all() -> Words {
    Words(vec!["ALL".into()])
}

#[derive(Debug)]
pub enum Change {
    Create,
    SetPassword,
    Grant { database: String },
    Drop,
}

impl std::fmt::Display for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Create => f.write_str("create"),
            Self::SetPassword => f.write_str("set the password"),
            Self::Grant { database } => write!(f, "grant on {database}"),
            Self::Drop => f.write_str("drop"),
        }
    }
}

impl Module for DatabaseUser {
    const NAME: &'static str = "database_user";
    const KIND: Kind = Kind::State;
    const ABOUT: &'static str = "keeps a database user there, with its password and databases";
    const EXAMPLE: &'static str = "\
database_user:
  engine: mariadb
  name: apimadmin
  password: \"{{ apim_db_password }}\"
  host: '%'
  databases: [apim_db, shared_db]
";
    type Change = Change;

    fn review(&self, review: &mut Review<'_>) {
        review.filled("name", self.name.as_str());
        if self.state == State::Present && self.password.is_none() {
            review.push(Fault::new(format!(
                "user `{}` needs a `password`",
                self.name
            )));
        }
        if self.engine == Engine::Postgresql {
            self.review_postgresql(review);
        }
    }

    fn check(&self, system: &System) -> Result<Vec<Change>> {
        let stored = self.stored(system)?;
        match (self.state, stored) {
            (State::Absent, None) => Ok(vec![]),
            (State::Absent, Some(_)) => Ok(vec![Change::Drop]),
            (State::Present, None) => {
                let mut changes = vec![Change::Create];
                changes.extend(
                    self.databases
                        .0
                        .iter()
                        .cloned()
                        .map(|database| Change::Grant { database }),
                );
                Ok(changes)
            }
            (State::Present, Some(stored)) => {
                let mut changes = Vec::new();
                changes
                    .extend((!self.has_password(system, &stored)?).then_some(Change::SetPassword));
                changes.extend(self.missing_grants(system)?);
                Ok(changes)
            }
        }
    }

    fn apply(&self, system: &System, change: Change) -> Result<()> {
        let sql = match change {
            Change::Create => self.create()?,
            Change::SetPassword => {
                format!("{} {} {};", self.alter(), self.account(), self.clause()?)
            }
            Change::Grant { database } => self.grant(&database),
            Change::Drop => format!("{} {};", self.drop_words(), self.account()),
        };
        self.server(system)
            .ask(None, &sql)
            .map(drop)
            .map_err(|failure| self.without_password(failure))
    }
}

impl DatabaseUser {
    fn server<'a>(&'a self, system: &'a System) -> Server<'a> {
        Server {
            system,
            engine: self.engine,
            login: self.login.as_ref(),
        }
    }

    fn review_postgresql(&self, review: &mut Review<'_>) {
        if self.host != "%" {
            review.push(
                Fault::of("host", &self.host, "`host` means nothing to PostgreSQL")
                    .help("say in pg_hba.conf where the user may come from"),
            );
        }
        if self.privileges != all() {
            let given = self.privileges.0.join(", ");
            review.push(
                Fault::of("privileges", given, "on PostgreSQL only `ALL` is supported").help(
                    "the user becomes the owner of its databases; give finer rights by a script",
                ),
            );
        }
    }

    /// The verifier that the server keeps; `None` without such a user.
    fn stored(&self, system: &System) -> Result<Option<String>> {
        let name = self.engine.text(&self.name);
        let sql = match self.engine {
            // What the server keeps is a superuser's to read; a login of ours may be less.
            Engine::Postgresql if self.login.is_some() => {
                format!("SELECT rolname FROM pg_roles WHERE rolname = {name};")
            }
            Engine::Postgresql => {
                format!("SELECT rolname, rolpassword FROM pg_authid WHERE rolname = {name};")
            }
            _ => format!(
                "SELECT user, authentication_string FROM mysql.user WHERE user = {name} AND host = {};",
                self.engine.text(&self.host)
            ),
        };
        let row = self.server(system).ask(None, &sql)?.into_iter().next();
        Ok(row.map(|cells| cells.into_iter().nth(1).unwrap_or_default()))
    }

    fn has_password(&self, system: &System, stored: &str) -> Result<bool> {
        let password = self.password.as_deref().unwrap_or_default();
        let same = match (self.engine, &self.login) {
            (Engine::Postgresql, Some(_)) => {
                let database = self.databases.0.first().map(String::as_str);
                self.server(system).admits(&self.name, password, database)?
            }
            _ => self.engine.is_password(stored, password),
        };
        // People who look for the reason of a refused login should know what was not looked at.
        system.note("password_compared", same.is_some());
        Ok(same.unwrap_or(true))
    }

    fn missing_grants(&self, system: &System) -> Result<Vec<Change>> {
        let has = match self.engine {
            Engine::Postgresql => self.owned(system)?,
            _ => self.granted(system)?,
        };
        let missing = self.databases.0.iter().filter(|d| !has.contains(d));
        Ok(missing
            .cloned()
            .map(|database| Change::Grant { database })
            .collect())
    }

    fn owned(&self, system: &System) -> Result<Vec<String>> {
        let sql = format!(
            "SELECT datname FROM pg_database WHERE pg_get_userbyid(datdba) = {};",
            self.engine.text(&self.name)
        );
        Ok(self
            .server(system)
            .ask(None, &sql)?
            .into_iter()
            .flatten()
            .collect())
    }

    /// The databases on which the user has all that is asked for.
    fn granted(&self, system: &System) -> Result<Vec<String>> {
        let sql = format!("SHOW GRANTS FOR {};", self.account());
        let lines = self.server(system).ask(None, &sql)?.into_iter().flatten();
        Ok(lines
            .filter_map(|line| parse_grant(&line))
            .filter(|(privileges, _)| self.suffices(privileges))
            .map(|(_, database)| database)
            .collect())
    }

    fn suffices(&self, granted: &[String]) -> bool {
        let has = |p: &str| granted.iter().any(|g| g.eq_ignore_ascii_case(p));
        has("ALL PRIVILEGES") || self.privileges.0.iter().all(|p| has(p))
    }

    fn account(&self) -> String {
        match self.engine {
            Engine::Postgresql => self.engine.name(&self.name),
            _ => format!(
                "{}@{}",
                self.engine.text(&self.name),
                self.engine.text(&self.host)
            ),
        }
    }

    fn clause(&self) -> Result<String> {
        self.engine
            .password_clause(self.password.as_deref().unwrap_or_default())
    }

    fn create(&self) -> Result<String> {
        let words = match self.engine {
            Engine::Postgresql => ("CREATE ROLE", "LOGIN "),
            _ => ("CREATE USER", ""),
        };
        Ok(format!(
            "{} {} {}{};",
            words.0,
            self.account(),
            words.1,
            self.clause()?
        ))
    }

    fn alter(&self) -> &'static str {
        match self.engine {
            Engine::Postgresql => "ALTER ROLE",
            _ => "ALTER USER",
        }
    }

    fn drop_words(&self) -> &'static str {
        match self.engine {
            Engine::Postgresql => "DROP ROLE",
            _ => "DROP USER",
        }
    }

    fn grant(&self, database: &str) -> String {
        let name = self.engine.name(database);
        match self.engine {
            // Who is no superuser may only give a database to a role of which it is a member.
            Engine::Postgresql if self.login.is_some() => format!(
                "GRANT {0} TO CURRENT_USER;\nALTER DATABASE {name} OWNER TO {0};",
                self.account()
            ),
            Engine::Postgresql => format!("ALTER DATABASE {name} OWNER TO {};", self.account()),
            // An underscore is a wildcard here: unescaped, `tenant_a` would open `tenantXa` as well.
            _ => format!(
                "GRANT {} ON {}.* TO {};",
                self.privileges.0.join(", "),
                name.replace('_', "\\_"),
                self.account()
            ),
        }
    }

    /// Servers quote the statement that they refuse.
    fn without_password(&self, mut failure: Failure) -> Failure {
        if let Some(password) = self.password.as_deref().filter(|p| !p.is_empty()) {
            failure.message = failure.message.replace(password, "***");
            for line in &mut failure.detail {
                *line = line.replace(password, "***");
            }
        }
        failure
    }
}

/// The privileges and the database of ``GRANT SELECT, INSERT ON `apim\_db`.* TO ...``.
fn parse_grant(line: &str) -> Option<(Vec<String>, String)> {
    let (privileges, rest) = line.strip_prefix("GRANT ")?.split_once(" ON ")?;
    let database = rest.split_once(".* TO ")?.0.trim_matches('`');
    let privileges = privileges.split(", ").map(ToOwned::to_owned).collect();
    Some((privileges, database.replace("\\_", "_").replace("``", "`")))
}
