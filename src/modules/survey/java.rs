//! Which Java there is, and the JVM that runs.

use super::{Scene, text};
use crate::modules::shared::unit::Unit;
use crate::system::{Command, FileKind, Result, System};
use crate::wire::Failure;
use crate::wire::heap;
use crate::wire::survey::{InstanceRequest, Java, JavaVersion, Jvm, Seen};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub fn look(system: &System, home: Option<&Path>, path: &str) -> Java {
    let at_home = match home {
        Some(home) => version(system, home.join("bin/java")),
        None => Err(Failure::new(
            "neither the survey nor the unit names a JAVA_HOME",
        )),
    };
    let on_path = match (first_on(system, path), &at_home) {
        (None, _) => Err(Failure::new(format!("there is no `java` in {path}"))),
        // Mostly it is the same, and starting Java takes its time.
        (Some(program), Ok(known)) if is_same(system, &program, &known.program) => {
            Ok(JavaVersion {
                program,
                ..known.clone()
            })
        }
        (Some(program), _) => version(system, program),
    };
    Java {
        at_home: at_home.into(),
        on_path: on_path.into(),
    }
}

fn first_on(system: &System, path: &str) -> Option<PathBuf> {
    let all = path.split(':').map(|folder| Path::new(folder).join("java"));
    let is_program = |path: &PathBuf| {
        let real = system.follow(path).and_then(|real| system.meta(&real));
        matches!(real, Ok(Some(meta)) if meta.kind == FileKind::File)
    };
    all.into_iter().find(is_program)
}

fn is_same(system: &System, one: &Path, other: &Path) -> bool {
    matches!((system.follow(one), system.follow(other)), (Ok(one), Ok(other)) if one == other)
}

fn version(system: &System, program: PathBuf) -> Result<JavaVersion> {
    let shown = program.display().to_string();
    let output = system.expect(&Command::new([shown.as_str(), "-version"]))?;
    let mut lines = output
        .stderr
        .lines()
        .filter(|l| !l.starts_with("Picked up"));
    let first = lines.next().unwrap_or_default();
    let version = first.split('"').nth(1).unwrap_or_default().to_owned();
    let major = major(&version)
        .ok_or_else(|| Failure::new(format!("`{shown} -version` says `{first}`")))?;
    Ok(JavaVersion {
        program,
        major,
        version,
        runtime: lines.next().unwrap_or_default().to_owned(),
    })
}

/// `1.8.0_402` is 8, `17.0.12` is 17, `25-ea` is 25.
fn major(version: &str) -> Option<u32> {
    let mut numbers = version.split(|c: char| !c.is_ascii_digit());
    match numbers.next()? {
        "1" => numbers.next()?.parse().ok(),
        other => other.parse().ok(),
    }
}

/// The server's JVM: of the unit's Java processes the largest, since a script or a tool may run beside it.
pub fn running(scene: &Scene<'_>, asked: &InstanceRequest, unit: &Unit) -> Option<Seen<Jvm>> {
    let mut pids = unit.processes(scene.system);
    pids.extend(unit.main_pid());
    let is_java = |pid: &u32| scene.processes.get(*pid).is_some_and(|p| p.name == "java");
    let pid = pids
        .into_iter()
        .filter(is_java)
        .max_by_key(|pid| resident(scene.system, *pid))?;
    Some(jvm(scene, asked, pid).into())
}

fn jvm(scene: &Scene<'_>, asked: &InstanceRequest, pid: u32) -> Result<Jvm> {
    let system = scene.system;
    let Some(process) = scene.processes.get(pid) else {
        return Err(Failure::new(format!(
            "{}'s process {pid} has ended",
            asked.name
        )));
    };
    let uid = system
        .meta(Path::new(&format!("/proc/{pid}")))?
        .map(|m| m.uid);
    let uid = uid.unwrap_or_default().to_string();
    let open = system.list(Path::new(&format!("/proc/{pid}/fd"))).ok();
    Ok(Jvm {
        pid,
        user: system.user(&uid)?.map_or(uid, |user| user.name),
        max_heap: heap(process.argv.iter().map(String::as_str)),
        arguments: arguments(&process.argv)
            .iter()
            .map(|argument| scene.mask.line(argument))
            .collect(),
        resident: resident(system, pid),
        open_files: open.map(|all| all.len() as u64),
        limits: limits(&text(system, &format!("/proc/{pid}/limits"))?),
    })
}

/// Without the class path, which is long and says little.
fn arguments(argv: &[String]) -> Vec<&str> {
    let mut words = argv.iter().skip(1);
    let mut kept = Vec::new();
    while let Some(word) = words.next() {
        match word.as_str() {
            "-classpath" | "-cp" | "--class-path" => drop(words.next()),
            other => kept.push(other),
        }
    }
    kept
}

fn resident(system: &System, pid: u32) -> Option<u64> {
    let status = text(system, &format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().ok()?;
    Some(kib << 10)
}

/// The columns stand where the title's words stand.
fn limits(text: &str) -> BTreeMap<String, (Option<u64>, Option<u64>)> {
    let mut lines = text.lines();
    let title = lines.next().unwrap_or_default();
    let column = title.find("Soft Limit").unwrap_or(26);
    let limit = |line: &str| {
        let (name, rest) = line.split_at_checked(column)?;
        let mut numbers = rest.split_whitespace().map(|word| word.parse().ok());
        Some((name.trim().to_owned(), (numbers.next()?, numbers.next()?)))
    };
    lines.filter_map(limit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_old_and_new() {
        assert_eq!(major("1.8.0_402"), Some(8));
        assert_eq!(major("17.0.12"), Some(17));
        assert_eq!(major("25-ea"), Some(25));
        assert_eq!(major(""), None);
    }

    #[test]
    fn limits_are_read_by_their_columns() {
        let text = "Limit                     Soft Limit           Hard Limit           Units     \n\
                    Max cpu time              unlimited            unlimited            seconds   \n\
                    Max open files            65535                524288               files     \n";
        let limits = limits(text);
        assert_eq!(limits["Max open files"], (Some(65535), Some(524_288)));
        assert_eq!(limits["Max cpu time"], (None, None));
    }

    #[test]
    fn the_class_path_is_left_out() {
        let argv = ["java", "-Xmx1g", "-classpath", "/a:/b", "Main"].map(String::from);
        assert_eq!(arguments(&argv), ["-Xmx1g", "Main"]);
    }
}
