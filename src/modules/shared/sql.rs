//! Databases through their own client, as the operating system's administrator on the database host.
//!
//! The unix socket is the login, so no administrator's password exists. SQL and the passwords in it
//! travel on the client's stdin, never on a command line, and where the engine takes a verifier
//! instead of a password it gets that, so that its logs hold no password either.

use crate::system::{Command, Result, System, hex, tail};
use crate::wire::Failure;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::path::PathBuf;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    Mariadb,
    Mysql,
    Postgresql,
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mariadb => "MariaDB",
            Self::Mysql => "MySQL",
            Self::Postgresql => "PostgreSQL",
        })
    }
}

/// A row of an answer.
pub type Row = Vec<String>;

impl Engine {
    /// Runs statements of ours and answers their rows.
    pub fn ask(self, system: &System, database: Option<&str>, sql: &str) -> Result<Vec<Row>> {
        // Whatever the server's default is, a quote in our texts is doubled and a backslash is itself.
        let mode = match self {
            Self::Postgresql => "",
            _ => "SET SESSION sql_mode = 'NO_BACKSLASH_ESCAPES';\n",
        };
        let output = system.run(&self.client(database).input(format!("{mode}{sql}\n")))?;
        if !output.ok() {
            return Err(self.refused(&output.stderr));
        }
        let rows = output.stdout.lines().filter(|l| !l.is_empty());
        Ok(rows
            .map(|line| line.split('\t').map(unescaped).collect())
            .collect())
    }

    /// Runs somebody else's script, up to its first error. On PostgreSQL it runs as the database's
    /// owner, to whom the tables then belong, and an error undoes all of it.
    pub fn run_script(self, system: &System, database: &str, script: Vec<u8>) -> Result<()> {
        let mut command = self.client(Some(database));
        let mut input = Vec::new();
        if self == Self::Postgresql {
            command.argv.push("--single-transaction".into());
            input.extend(
                format!("SET ROLE {};\n", self.name(&self.owner(system, database)?)).bytes(),
            );
        }
        input.extend(script);
        let output = system.run(&command.input(input))?;
        match output.ok() {
            true => Ok(()),
            false => Err(self.refused(&output.stderr)),
        }
    }

    /// The client, connected as the administrator.
    fn client(self, database: Option<&str>) -> Command {
        let mut command = match self {
            Self::Mariadb => mysql_client("mariadb"),
            Self::Mysql => mysql_client("mysql"),
            Self::Postgresql => Command {
                // The administrator's account may not enter our folder.
                dir: Some(PathBuf::from("/")),
                ..Command::new([
                    "runuser",
                    "-u",
                    "postgres",
                    "--",
                    "psql",
                    "--no-psqlrc",
                    "--quiet",
                    "--tuples-only",
                    "--no-align",
                    "--field-separator=\t",
                    "--set=ON_ERROR_STOP=1",
                    "--dbname",
                ])
            },
        };
        match (self, database) {
            (_, Some(database)) => command.argv.push(database.into()),
            (Self::Postgresql, None) => command.argv.push("postgres".into()),
            _ => {}
        }
        command
    }

    fn refused(self, stderr: &str) -> Failure {
        let lines: Vec<_> = tail(stderr, 6);
        let error = lines
            .iter()
            .find(|l| l.contains("ERROR") || l.contains("error"))
            .or(lines.last());
        let failure = Failure::new(format!(
            "{self} refused: {}",
            error.map_or("it gave no reason", String::as_str)
        ))
        .detail(lines.iter().cloned());
        match stderr.contains("through socket") || stderr.contains("on socket") {
            true => failure.help("this step runs on the database host itself, as root, and the server must be running there"),
            false => failure,
        }
    }

    /// An identifier, quoted.
    pub fn name(self, name: &str) -> String {
        match self {
            Self::Postgresql => format!("\"{}\"", name.replace('"', "\"\"")),
            _ => format!("`{}`", name.replace('`', "``")),
        }
    }

    /// A text, quoted; `ask` makes the server read it as it stands.
    pub fn text(self, text: &str) -> String {
        format!("'{}'", text.replace('\'', "''"))
    }

    /// Whether there is a database of this name.
    pub fn has_database(self, system: &System, database: &str) -> Result<bool> {
        let sql = match self {
            Self::Postgresql => "SELECT 1 FROM pg_database WHERE datname = ",
            _ => "SELECT 1 FROM information_schema.schemata WHERE schema_name = ",
        };
        let rows = self.ask(system, None, &format!("{sql}{};", self.text(database)))?;
        Ok(!rows.is_empty())
    }

    /// The character set and collation of a database; `None` when there is none of this name.
    pub fn charset(self, system: &System, database: &str) -> Result<Option<(String, String)>> {
        let sql = match self {
            Self::Postgresql => {
                "SELECT pg_encoding_to_char(encoding), datcollate FROM pg_database WHERE datname = "
            }
            _ => {
                "SELECT default_character_set_name, default_collation_name FROM information_schema.schemata WHERE schema_name = "
            }
        };
        let rows = self.ask(system, None, &format!("{sql}{};", self.text(database)))?;
        let mut cells = rows.into_iter().flatten();
        Ok(cells.next().zip(cells.next()))
    }

    /// The names of all tables in a database.
    pub fn tables(self, system: &System, database: &str) -> Result<Vec<String>> {
        let sql = match self {
            Self::Postgresql => {
                "SELECT tablename FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1;"
            }
            _ => {
                "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE() ORDER BY 1;"
            }
        };
        Ok(self
            .ask(system, Some(database), sql)?
            .into_iter()
            .flatten()
            .collect())
    }

    /// PostgreSQL only: to whom a database belongs.
    pub fn owner(self, system: &System, database: &str) -> Result<String> {
        let sql = format!(
            "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = {};",
            self.text(database)
        );
        let owner = self.ask(system, None, &sql)?.into_iter().flatten().next();
        owner.ok_or_else(|| Failure::new(format!("there is no database `{database}` on this host")))
    }

    /// What follows `CREATE USER name` or `ALTER USER name` to set a password.
    pub fn password_clause(self, password: &str) -> Result<String> {
        Ok(match self {
            Self::Mariadb => format!(
                "IDENTIFIED BY PASSWORD {}",
                self.text(&native_hash(password))
            ),
            // MySQL 8 takes no verifier of its default method.
            Self::Mysql => format!("IDENTIFIED BY {}", self.text(password)),
            Self::Postgresql => {
                format!("PASSWORD {}", self.text(&scram(password, &salt()?, 4096)?))
            }
        })
    }

    /// Whether a stored verifier is of this password; `None` when its method cannot be compared.
    pub fn is_password(self, stored: &str, password: &str) -> Option<bool> {
        match self {
            Self::Postgresql => Some(is_scram_of(stored, password)),
            _ if stored.starts_with("$A$") => None,
            _ => Some(stored.eq_ignore_ascii_case(&native_hash(password))),
        }
    }
}

fn mysql_client(program: &str) -> Command {
    Command::new([
        program,
        "--protocol=socket",
        "--user=root",
        "--batch",
        "--skip-column-names",
        "--default-character-set=utf8mb4",
    ])
}

/// `--batch` writes tabs and line ends inside a value as escapes.
fn unescaped(cell: &str) -> String {
    let mut text = String::new();
    let mut letters = cell.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => match letters.next() {
                Some('t') => text.push('\t'),
                Some('n') => text.push('\n'),
                Some('0') => text.push('\0'),
                Some(other) => text.push(other),
                None => text.push('\\'),
            },
            other => text.push(other),
        }
    }
    text
}

/// What `mysql_native_password` stores.
pub fn native_hash(password: &str) -> String {
    use sha1::{Digest as _, Sha1};
    let twice = Sha1::digest(Sha1::digest(password.as_bytes()));
    format!("*{}", hex(&twice).to_uppercase())
}

/// What PostgreSQL stores for SCRAM-SHA-256: RFC 5802 with RFC 7677.
fn scram(password: &str, salt: &[u8], rounds: u32) -> Result<String> {
    if !password.is_ascii() {
        // They would have to be normalised first, as clients do.
        return Err(Failure::new(
            "a password for PostgreSQL may only have ASCII characters here",
        ));
    }
    let salted = pbkdf2(password.as_bytes(), salt, rounds);
    let stored = Sha256::digest(hmac(&salted, b"Client Key"));
    let server = hmac(&salted, b"Server Key");
    Ok(format!(
        "SCRAM-SHA-256${rounds}:{}${}:{}",
        STANDARD.encode(salt),
        STANDARD.encode(stored),
        STANDARD.encode(server)
    ))
}

fn is_scram_of(stored: &str, password: &str) -> bool {
    let parts = stored
        .strip_prefix("SCRAM-SHA-256$")
        .and_then(|rest| rest.split_once('$'))
        .and_then(|(how, _)| how.split_once(':'));
    let Some((rounds, salt)) = parts else {
        // An older method; setting the password again replaces it.
        return false;
    };
    let (Ok(rounds), Ok(salt)) = (rounds.parse(), STANDARD.decode(salt)) else {
        return false;
    };
    scram(password, &salt, rounds).is_ok_and(|own| own == stored)
}

/// One block of PBKDF2 with HMAC-SHA-256, which is all that SCRAM needs.
fn pbkdf2(password: &[u8], salt: &[u8], rounds: u32) -> [u8; 32] {
    let mut last = hmac(password, &[salt, &1_u32.to_be_bytes()].concat());
    let mut sum = last;
    for _ in 1..rounds {
        last = hmac(password, &last);
        sum.iter_mut().zip(last).for_each(|(s, l)| *s ^= l);
    }
    sum
}

fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    // HMAC takes keys of any length, so this cannot fail.
    Hmac::<Sha256>::new_from_slice(key).map_or([0; 32], |mac| {
        mac.chain_update(message).finalize().into_bytes().into()
    })
}

fn salt() -> Result<[u8; 16]> {
    use std::io::Read as _;
    let mut salt = [0; 16];
    std::fs::File::open("/dev/urandom")
        .and_then(|mut random| random.read_exact(&mut salt))
        .map_err(|e| Failure::new(format!("this host gives no random numbers: {e}")))?;
    Ok(salt)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verifiers_are_those_of_the_engines() {
        assert_eq!(
            native_hash("secret"),
            "*14E65567ABDB5135D0CFD9A70B3032C179A49EE7"
        );
        // The example of RFC 7677.
        let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let stored = scram("pencil", &salt, 4096).unwrap();
        assert!(
            stored.ends_with(":wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="),
            "{stored}"
        );
        assert!(is_scram_of(&stored, "pencil"));
        assert!(!is_scram_of(&stored, "pencils"));
        assert!(!is_scram_of("md5abc", "pencil"));
    }

    #[test]
    fn names_and_texts_cannot_break_out() {
        assert_eq!(Engine::Mariadb.name("a`b"), "`a``b`");
        assert_eq!(Engine::Postgresql.name("a\"b"), "\"a\"\"b\"");
        assert_eq!(Engine::Mariadb.text("it's \\"), "'it''s \\'");
    }
}
