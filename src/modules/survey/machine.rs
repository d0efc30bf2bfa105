//! The machine itself: clock, memory, processors, disks, mounts.

use super::{Scene, text};
use crate::system::{Command, Result, System, failed};
use crate::wire::Failure;
use crate::wire::survey::{Disk, Memory, Mount, Room};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

pub fn now_ns() -> i64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    // A clock before 1970 is told as 1970: the skew is as plain.
    now.map_or(0, |n| i64::try_from(n.as_nanos()).unwrap_or(i64::MAX))
}

pub fn synchronized(system: &System) -> Result<bool> {
    let output = system.expect(&Command::new([
        "timedatectl",
        "show",
        "--property=NTPSynchronized",
        "--value",
    ]))?;
    match output.stdout.trim() {
        "yes" => Ok(true),
        "no" => Ok(false),
        other => Err(Failure::new(format!("timedatectl says `{other}`"))),
    }
}

pub fn memory(system: &System) -> Result<Memory> {
    let text = text(system, "/proc/meminfo")?;
    let field = |name: &str| {
        let value = text.lines().find_map(|line| line.strip_prefix(name));
        let kib = value.and_then(|v| v.trim().trim_end_matches(" kB").parse::<u64>().ok());
        kib.map(|kib| kib << 10)
            .ok_or_else(|| Failure::new(format!("/proc/meminfo has no {name}")))
    };
    Ok(Memory {
        total: field("MemTotal:")?,
        available: field("MemAvailable:")?,
        swap_total: field("SwapTotal:")?,
        swap_free: field("SwapFree:")?,
    })
}

pub fn cpus(system: &System) -> Result<u32> {
    let text = text(system, "/proc/stat")?;
    let is_one = |line: &&str| {
        line.strip_prefix("cpu")
            .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    };
    let count = text.lines().filter(is_one).count();
    u32::try_from(count).map_err(|e| Failure::new(e.to_string()))
}

pub fn disks(scene: &Scene<'_>) -> Vec<Disk> {
    let room = |path: PathBuf| Disk {
        room: room(scene.system, &path).into(),
        path,
    };
    asked_paths(scene).into_iter().map(room).collect()
}

/// The homes and the asked paths, each once.
fn asked_paths(scene: &Scene<'_>) -> BTreeSet<PathBuf> {
    let homes = scene.asked.instances.iter().map(|i| i.home.clone());
    homes.chain(scene.asked.disks.iter().cloned()).collect()
}

fn room(system: &System, path: &Path) -> Result<Room> {
    let found = rustix::fs::statvfs(system.locate(path))
        .map_err(|e| failed("look at the file system of", path, &e.into()))?;
    Ok(Room {
        total: found.f_blocks * found.f_frsize,
        free: found.f_bavail * found.f_frsize,
        free_inodes: found.f_favail,
        read_only: found.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY),
    })
}

pub fn mounts(scene: &Scene<'_>) -> Result<Vec<Mount>> {
    let all = parse_mounts(&text(scene.system, "/proc/self/mounts")?);
    let folders = scene
        .asked
        .instances
        .iter()
        .flat_map(|i| i.folders.iter().map(|f| i.home.join(f)));
    let paths: Vec<_> = asked_paths(scene)
        .into_iter()
        .chain(folders)
        .map(|path| canonical(scene.system, &path))
        .collect();
    let used: BTreeSet<_> = paths.iter().filter_map(|p| position(&all, p)).collect();
    let matters = |(number, mount): &(usize, Mount)| mount.is_shared() || used.contains(number);
    let kept = all.into_iter().enumerate().filter(matters);
    Ok(kept.map(|(_, mount)| mount).collect())
}

/// Where the path really is; itself when it is not there.
fn canonical(system: &System, path: &Path) -> PathBuf {
    let root = system.locate(Path::new("/"));
    let real = std::fs::canonicalize(system.locate(path)).ok();
    let inside = real.and_then(|real| real.strip_prefix(root).ok().map(Path::to_owned));
    inside.map_or_else(|| path.to_owned(), |inside| Path::new("/").join(inside))
}

/// The mount that a path is on: the deepest, and of those at one place the last.
fn position(mounts: &[Mount], path: &Path) -> Option<usize> {
    let above = mounts
        .iter()
        .enumerate()
        .filter(|(_, m)| path.starts_with(&m.at));
    let depth = |mount: &Mount| mount.at.components().count();
    above
        .max_by_key(|(_, m)| depth(m))
        .map(|(number, _)| number)
}

fn parse_mounts(text: &str) -> Vec<Mount> {
    let mount = |line: &str| {
        let mut fields = line.split(' ');
        let (source, at, kind) = (fields.next()?, fields.next()?, fields.next()?);
        Some(Mount {
            at: PathBuf::from(unescaped(at)),
            source: unescaped(source),
            kind: kind.to_owned(),
            read_only: fields.next()?.split(',').any(|option| option == "ro"),
        })
    };
    text.lines().filter_map(mount).collect()
}

/// The kernel writes blanks, tabs, line ends and backslashes as three octal digits.
fn unescaped(text: &str) -> String {
    [
        ("\\040", " "),
        ("\\011", "\t"),
        ("\\012", "\n"),
        ("\\134", "\\"),
    ]
    .iter()
    .fold(text.to_owned(), |text, (code, letter)| {
        text.replace(code, letter)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_on_the_deepest_and_last_mount_above_it() {
        let mounts = parse_mounts(
            "/dev/sda1 / ext4 rw,relatime 0 0\n\
             nas:/cars /opt/wso2\\040mi nfs4 rw,vers=4.2 0 0\n\
             /dev/sdb /opt ext4 rw 0 0\n\
             tmpfs /opt tmpfs ro 0 0\n",
        );
        let at = |path: &str| position(&mounts, Path::new(path)).map(|n| mounts[n].kind.clone());
        assert_eq!(at("/opt/wso2 mi/carbonapps").as_deref(), Some("nfs4"));
        assert_eq!(at("/opt/wso2").as_deref(), Some("tmpfs"));
        assert_eq!(at("/optional").as_deref(), Some("ext4"));
        assert!(mounts[1].is_shared() && !mounts[2].is_shared());
        assert!(mounts[3].read_only && !mounts[0].read_only);
    }
}
