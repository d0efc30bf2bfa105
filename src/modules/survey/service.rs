//! The systemd unit of a product, and the environment that it gives.

use super::Scene;
use crate::modules::shared::unit;
use crate::system::{Result, System};
use crate::wire::environment_heap;
use crate::wire::survey::UnitFacts;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Told as they are. The environment is not among them: it may hold passwords.
const PROPERTIES: [&str; 34] = [
    "LoadState",
    "ActiveState",
    "SubState",
    "Result",
    "UnitFileState",
    "NeedDaemonReload",
    "MainPID",
    "NRestarts",
    "Type",
    "User",
    "Group",
    "Restart",
    "RestartUSec",
    "StartLimitIntervalUSec",
    "StartLimitBurst",
    "TimeoutStartUSec",
    "TimeoutStopUSec",
    "SendSIGKILL",
    "KillMode",
    "SuccessExitStatus",
    "LimitNOFILE",
    "LimitNOFILESoft",
    "LimitNPROC",
    "LimitNPROCSoft",
    "MemoryMax",
    "TasksMax",
    "OOMPolicy",
    "ExecMainCode",
    "ExecMainStatus",
    "ExecMainStartTimestamp",
    "InactiveEnterTimestamp",
    "WorkingDirectory",
    "FragmentPath",
    "DropInPaths",
];

const PROGRAMS: [&str; 4] = ["ExecStartPre", "ExecStart", "ExecStartPost", "ExecStop"];

pub struct Service {
    pub facts: UnitFacts,
    pub environment: Environment,
}

pub fn look(scene: &Scene<'_>, name: &str) -> Result<Service> {
    let mut wanted = PROPERTIES.to_vec();
    wanted.extend(PROGRAMS);
    wanted.extend(["Environment", "EnvironmentFiles"]);
    let said = unit::properties(scene.system, &unit::full_name(name), &wanted.join(","))?;
    let environment = Environment::of(scene.system, &said);
    let properties: BTreeMap<_, _> = said
        .iter()
        .filter(|(key, _)| PROPERTIES.contains(&key.as_str()))
        .cloned()
        .collect();
    let mut programs = BTreeMap::<_, Vec<_>>::new();
    for (key, value) in said
        .iter()
        .filter(|(key, _)| PROGRAMS.contains(&key.as_str()))
    {
        let line = command_line(value).map(|line| scene.mask.line(line));
        programs.entry(key.clone()).or_default().extend(line);
    }
    let exists = properties
        .get("LoadState")
        .is_some_and(|state| !matches!(state.as_str(), "not-found" | ""));
    Ok(Service {
        facts: UnitFacts {
            exists,
            properties,
            programs,
            java_home: environment
                .java_home()
                .map(|home| home.display().to_string()),
            max_heap: environment.max_heap(),
        },
        environment,
    })
}

/// `{ path=/bin/sh ; argv[]=/bin/sh /opt/x.sh ; ignore_errors=no ; ... }`
fn command_line(value: &str) -> Option<&str> {
    let (_, rest) = value.split_once("argv[]=")?;
    rest.split(" ; ").next()
}

/// What a unit puts into the environment of its program. Stays here, but for what is asked of it.
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// Files come after `Environment=` and win, whichever stands first in the unit.
    fn of(system: &System, said: &[(String, String)]) -> Self {
        let mut all = BTreeMap::new();
        for (_, value) in said.iter().filter(|(key, _)| key == "Environment") {
            let words = shlex::split(value).unwrap_or_default();
            all.extend(words.iter().filter_map(|word| assignment(word)));
        }
        for (_, value) in said.iter().filter(|(key, _)| key == "EnvironmentFiles") {
            let path = value.split(" (ignore_errors=").next().unwrap_or_default();
            let bytes = system.read(Path::new(path)).ok().flatten();
            all.extend(lines(&String::from_utf8_lossy(&bytes.unwrap_or_default())));
        }
        Self(all)
    }

    pub fn java_home(&self) -> Option<PathBuf> {
        let home = self.0.get("JAVA_HOME").filter(|home| !home.is_empty());
        home.map(PathBuf::from)
    }

    /// Where the unit's programs look for others.
    pub fn path(&self) -> &str {
        // Source: systemd.exec(5), "$PATH".
        const DEFAULT: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        self.0.get("PATH").map_or(DEFAULT, String::as_str)
    }

    /// What a setting means: `$env{NAME}` is the variable's value. What is not there stays as it is written.
    pub fn resolved<'v>(&'v self, setting: &'v str) -> &'v str {
        let name = setting
            .strip_prefix("$env{")
            .and_then(|s| s.strip_suffix('}'));
        let value = name.and_then(|name| self.0.get(name));
        value.map_or(setting, String::as_str)
    }

    fn max_heap(&self) -> Option<u64> {
        environment_heap(|name| self.0.get(name).map(String::as_str))
    }
}

fn assignment(text: &str) -> Option<(String, String)> {
    let (name, value) = text.split_once('=')?;
    Some((name.trim().to_owned(), value.to_owned()))
}

/// An environment file: a value may be quoted as a whole.
fn lines(text: &str) -> BTreeMap<String, String> {
    let is_said = |line: &&str| !line.starts_with(['#', ';']);
    let pair = |line: &str| {
        let (name, value) = assignment(line)?;
        let bare = |quote| value.trim().strip_prefix(quote)?.strip_suffix(quote);
        let bare = bare('"')
            .or_else(|| bare('\''))
            .unwrap_or(value.trim())
            .to_owned();
        Some((name, bare))
    };
    let said = text.lines().map(str::trim_start).filter(is_said);
    said.filter_map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_wins_over_the_unit_and_quotes_go() {
        let dir = tempfile::tempdir().unwrap();
        let file = "# heap\nJVM_MEM_OPTS=\"-Xms1g -Xmx2g\"\nJAVA_HOME=/jdk/21\nDB='x y'\n";
        std::fs::write(dir.path().join("apim.env"), file).unwrap();
        let system = System::under(dir.path(), vec![]);
        let said = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let environment = Environment::of(
            &system,
            &[
                said("EnvironmentFiles", "/apim.env (ignore_errors=no)"),
                said("EnvironmentFiles", "/none.env (ignore_errors=yes)"),
                said(
                    "Environment",
                    "JAVA_HOME=/jdk/17 \"JAVA_OPTS=-Da=b -Dc\" PATH=/bin",
                ),
            ],
        );
        assert_eq!(environment.java_home(), Some("/jdk/21".into()));
        assert_eq!(environment.max_heap(), Some(2 << 30));
        assert_eq!(environment.path(), "/bin");
        assert_eq!(environment.resolved("$env{DB}"), "x y");
        assert_eq!(environment.resolved("$env{NONE}"), "$env{NONE}");
        assert_eq!(environment.0["JAVA_OPTS"], "-Da=b -Dc");
    }

    #[test]
    fn a_program_is_its_command_line() {
        let said = "{ path=/bin/sh ; argv[]=/bin/sh /opt/x.sh -a ; ignore_errors=no ; pid=0 }";
        assert_eq!(command_line(said), Some("/bin/sh /opt/x.sh -a"));
    }
}
