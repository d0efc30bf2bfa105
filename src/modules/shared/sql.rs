//! Databases through their own clients: on the database host itself as the operating system's
//! administrator, or from another host with a login.
//!
//! The unix socket is a login by itself, so there no administrator's password exists. SQL and the
//! passwords in it travel on the client's stdin and the login's password in a file, never on a command
//! line, and where the engine takes a verifier instead of a password it gets that, so that its logs
//! hold no password either.

use crate::system::{Command, Output, Result, System, hex, tail};
use crate::wire::Failure;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::path::{Path, PathBuf};

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

/// An administrator's login over the network: somebody else's server has no socket of ours.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Login {
    host: String,
    #[serde(default)]
    port: Option<u16>,
    user: String,
    password: String,
}

/// A server, and the way to it.
#[derive(Clone, Copy)]
pub struct Server<'a> {
    pub system: &'a System,
    pub engine: Engine,
    /// Without one, the server's socket on this host.
    pub login: Option<&'a Login>,
}

impl fmt::Display for Server<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.login {
            None => write!(f, "{}", self.engine),
            Some(login) => write!(f, "{} at {}", self.engine, self.address(login)),
        }
    }
}

impl Server<'_> {
    /// Runs statements of ours and answers their rows.
    pub fn ask(&self, database: Option<&str>, sql: &str) -> Result<Vec<Row>> {
        // Whatever the server's default is, a quote in our texts is doubled and a backslash is itself.
        let mode = match self.engine {
            Engine::Postgresql => "",
            _ => "SET SESSION sql_mode = 'NO_BACKSLASH_ESCAPES';\n",
        };
        let output = self.told(database, format!("{mode}{sql}\n"))?;
        let rows = output.stdout.lines().filter(|l| !l.is_empty());
        Ok(rows
            .map(|line| line.split('\t').map(unescaped).collect())
            .collect())
    }

    /// Runs somebody else's script, up to its first error.
    pub fn run_script(&self, database: &str, script: Vec<u8>) -> Result<()> {
        self.told(Some(database), script).map(drop)
    }

    /// PostgreSQL only: runs somebody else's script and `last` as the database's owner, to whom the
    /// tables then belong; all of it or, whatever ends it early, nothing.
    pub fn run_whole(&self, database: &str, script: &[u8], last: &str) -> Result<()> {
        let owner = self.engine.name(&self.owner(database)?);
        self.told(Some(database), whole(&owner, script, last))
            .map(drop)
    }

    fn told(&self, database: Option<&str>, input: impl Into<Vec<u8>>) -> Result<Output> {
        let output = self.output(database, input)?;
        match output.ok() {
            true => Ok(output),
            false => Err(self.refused(&output.stderr)),
        }
    }

    fn output(&self, database: Option<&str>, input: impl Into<Vec<u8>>) -> Result<Output> {
        let file = self
            .login
            .map(|login| PasswordFile::write(self, login))
            .transpose()?;
        let mut command = match (self.login, &file) {
            (Some(login), Some(file)) => self.remote_client(login, file),
            _ => self.local_client(),
        };
        match (self.engine, database) {
            (Engine::Postgresql, database) => command
                .argv
                .push(format!("--dbname={}", database.unwrap_or("postgres"))),
            (_, Some(database)) => command.argv.push(database.into()),
            (_, None) => {}
        }
        self.system.run(&command.input(input))
    }

    /// The client on the database host, as the administrator.
    fn local_client(&self) -> Command {
        let mut command = match self.engine {
            Engine::Postgresql => Command {
                // The administrator's account may not enter our folder.
                dir: Some(PathBuf::from("/")),
                ..Command::new(["runuser", "-u", "postgres", "--", "psql"])
            },
            engine => Command::new([engine.client(), "--protocol=socket", "--user=root"]),
        };
        command.argv.extend(self.engine.habits());
        command
    }

    fn remote_client(&self, login: &Login, file: &PasswordFile<'_>) -> Command {
        let path = file.path.display().to_string();
        let host = format!("--host={}", login.host);
        let port = format!("--port={}", self.port(login));
        let mut command = match self.engine {
            Engine::Postgresql => Command::new([
                "psql".into(),
                host,
                port,
                format!("--username={}", login.user),
                "--no-password".into(),
            ])
            .env("PGPASSFILE", &path)
            .env("PGCONNECT_TIMEOUT", "10"),
            // The file is only taken as the first option. A ~/.my.cnf would win over it, so there is no home.
            engine => Command::new([
                engine.client().into(),
                format!("--defaults-extra-file={path}"),
                "--protocol=tcp".into(),
                host,
                port,
                format!("--user={}", login.user),
                "--connect-timeout=10".into(),
            ])
            .env("HOME", "/nonexistent"),
        };
        command.argv.extend(self.engine.habits());
        command
    }

    fn port(&self, login: &Login) -> u16 {
        login.port.unwrap_or(match self.engine {
            Engine::Postgresql => 5432,
            _ => 3306,
        })
    }

    fn address(&self, login: &Login) -> String {
        format!("{}:{}", login.host, self.port(login))
    }

    fn refused(&self, stderr: &str) -> Failure {
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
        let at_socket = stderr.contains("through socket") || stderr.contains("on socket");
        match self.login {
            Some(login) if is_about_the_login(stderr) => failure.help(format!(
                "nothing was changed by this step; it logs in from this host as `{}`. Mend the address, the login or its password, and try it here with: {}",
                login.user,
                self.by_hand(login)
            )),
            None if at_socket => failure.help("this step runs on the database host itself, as root, and the server must be running there"),
            _ => failure,
        }
    }

    /// What a person types to try a login; the client asks for the password.
    fn by_hand(&self, login: &Login) -> String {
        let (host, port, user) = (&login.host, self.port(login), &login.user);
        match self.engine {
            Engine::Postgresql => {
                format!("psql --host={host} --port={port} --username={user} postgres")
            }
            engine => format!(
                "{} --protocol=tcp --host={host} --port={port} --user={user} --password",
                engine.client()
            ),
        }
    }

    /// PostgreSQL only: whether a user of the server can log in with this password, tried over the
    /// network, because only a superuser may read what the server keeps. `None` when something else is in the way.
    pub fn admits(
        &self,
        user: &str,
        password: &str,
        database: Option<&str>,
    ) -> Result<Option<bool>> {
        let Some(ours) = self.login else {
            return Ok(None);
        };
        let login = Login {
            host: ours.host.clone(),
            port: ours.port,
            user: user.into(),
            password: password.into(),
        };
        let theirs = Server {
            login: Some(&login),
            ..*self
        };
        let output = theirs.output(database, "SELECT 1;\n")?;
        let is_wrong = output.stderr.contains("password authentication failed");
        Ok(match output.ok() {
            true => Some(true),
            false => is_wrong.then_some(false),
        })
    }

    /// Whether there is a database of this name.
    pub fn has_database(&self, database: &str) -> Result<bool> {
        let sql = match self.engine {
            Engine::Postgresql => "SELECT 1 FROM pg_database WHERE datname = ",
            _ => "SELECT 1 FROM information_schema.schemata WHERE schema_name = ",
        };
        let rows = self.ask(None, &format!("{sql}{};", self.engine.text(database)))?;
        Ok(!rows.is_empty())
    }

    /// The character set and collation of a database; `None` when there is none of this name.
    pub fn charset(&self, database: &str) -> Result<Option<(String, String)>> {
        let sql = match self.engine {
            Engine::Postgresql => {
                "SELECT pg_encoding_to_char(encoding), datcollate FROM pg_database WHERE datname = "
            }
            _ => {
                "SELECT default_character_set_name, default_collation_name FROM information_schema.schemata WHERE schema_name = "
            }
        };
        let rows = self.ask(None, &format!("{sql}{};", self.engine.text(database)))?;
        let mut cells = rows.into_iter().flatten();
        Ok(cells.next().zip(cells.next()))
    }

    /// The names of all tables in a database.
    pub fn tables(&self, database: &str) -> Result<Vec<String>> {
        let sql = match self.engine {
            Engine::Postgresql => {
                "SELECT tablename FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1;"
            }
            _ => {
                "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE() ORDER BY 1;"
            }
        };
        Ok(self
            .ask(Some(database), sql)?
            .into_iter()
            .flatten()
            .collect())
    }

    /// PostgreSQL only: to whom a database belongs.
    pub fn owner(&self, database: &str) -> Result<String> {
        let sql = format!(
            "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = {};",
            self.engine.text(database)
        );
        let owner = self.ask(None, &sql)?.into_iter().flatten().next();
        owner.ok_or_else(|| {
            Failure::new(format!("there is no database `{database}` on this server"))
        })
    }
}

impl Engine {
    /// The name of its client.
    fn client(self) -> &'static str {
        match self {
            Self::Mariadb => "mariadb",
            Self::Mysql => "mysql",
            Self::Postgresql => "psql",
        }
    }

    /// How every client answers: one row a line, cells between tabs, and an end at the first error.
    fn habits(self) -> impl Iterator<Item = String> {
        let words: &[&str] = match self {
            Self::Postgresql => &[
                "--no-psqlrc",
                "--quiet",
                "--tuples-only",
                "--no-align",
                "--field-separator=\t",
                "--set=ON_ERROR_STOP=1",
            ],
            _ => &[
                "--batch",
                "--skip-column-names",
                "--default-character-set=utf8mb4",
            ],
        };
        words.iter().map(ToString::to_string)
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

/// A script and what follows it in one transaction. Should the client die, or we and with us its stdin,
/// the last line never comes, and the server forgets all of it.
fn whole(owner: &str, script: &[u8], last: &str) -> Vec<u8> {
    let before = format!("BEGIN;\nSET LOCAL ROLE {owner};\n");
    let after = format!("\n;\n{last}\nCOMMIT;\n");
    [before.as_bytes(), script, after.as_bytes()].concat()
}

/// Errors of the clients themselves, and a login that is not accepted; not what a statement met.
fn is_about_the_login(stderr: &str) -> bool {
    ["psql: error:", "ERROR 1045", "ERROR 1130", "ERROR 20"]
        .iter()
        .any(|mark| stderr.contains(mark))
}

/// A login's password where its client reads it, for as long as the client runs.
struct PasswordFile<'a> {
    system: &'a System,
    path: &'static Path,
}

impl<'a> PasswordFile<'a> {
    /// In memory, so that no disk keeps it. One name is enough, since one worker at a time has a host's
    /// lock, and what a killed worker left is overwritten by the next.
    const PATH: &'static str = "/run/apim-deploy.login";

    fn write(server: &Server<'a>, login: &Login) -> Result<Self> {
        if login.password.contains(char::is_control) {
            return Err(Failure::new(format!(
                "the password of the login `{}` has a line end or another control character",
                login.user
            )));
        }
        let text = match server.engine {
            Engine::Postgresql => format!("*:*:*:*:{}\n", escaped(&login.password, ['\\', ':'])),
            _ => format!(
                "[client]\npassword=\"{}\"\n",
                escaped(&login.password, ['\\', '"'])
            ),
        };
        let file = Self {
            system: server.system,
            path: Path::new(Self::PATH),
        };
        let mut text = text.as_bytes();
        file.system.write(file.path, &mut text, Some(0o600), None)?;
        Ok(file)
    }
}

impl Drop for PasswordFile<'_> {
    fn drop(&mut self) {
        // Only its owner can read it, and a reboot clears the folder: no reason to fail.
        let _ = self.system.remove(self.path);
    }
}

/// With a backslash before each of `letters`.
fn escaped(text: &str, letters: [char; 2]) -> String {
    let mut result = String::with_capacity(text.len());
    for letter in text.chars() {
        if letters.contains(&letter) {
            result.push('\\');
        }
        result.push(letter);
    }
    result
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
    fn a_script_that_is_cut_off_anywhere_is_never_committed() {
        let input = whole("\"apim\"", b"CREATE TABLE a (b int)", "SELECT 1;");
        let text = String::from_utf8(input).unwrap();
        let (first, last) = text.split_once("CREATE TABLE a (b int)").unwrap();
        assert_eq!(first, "BEGIN;\nSET LOCAL ROLE \"apim\";\n");
        assert_eq!(last, "\n;\nSELECT 1;\nCOMMIT;\n");
    }

    #[test]
    fn the_password_file_is_the_clients() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("run")).unwrap();
        let system = System::under(dir.path(), vec![]);
        let real = dir.path().join("run/apim-deploy.login");
        for (engine, text) in [
            (Engine::Postgresql, "*:*:*:*:a\\:b\\\\c\"#\n"),
            (Engine::Mysql, "[client]\npassword=\"a:b\\\\c\\\"#\"\n"),
        ] {
            let login = Login {
                host: "db".into(),
                port: None,
                user: "admin".into(),
                password: "a:b\\c\"#".into(),
            };
            let server = Server {
                system: &system,
                engine,
                login: Some(&login),
            };
            let file = PasswordFile::write(&server, &login).unwrap();
            assert_eq!(std::fs::read_to_string(&real).unwrap(), text);
            assert_eq!(system.meta(file.path).unwrap().unwrap().mode & 0o777, 0o600);
            drop(file);
            assert!(!real.exists());
        }
    }

    #[test]
    fn names_and_texts_cannot_break_out() {
        assert_eq!(Engine::Mariadb.name("a`b"), "`a``b`");
        assert_eq!(Engine::Postgresql.name("a\"b"), "\"a\"\"b\"");
        assert_eq!(Engine::Mariadb.text("it's \\"), "'it''s \\'");
    }
}
