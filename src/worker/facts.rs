//! What the host says about itself, in Ansible's values. Read from files, asked of the kernel; no
//! name service is loaded and no program is started.

use crate::system::System;
use crate::wire::Facts;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr, UdpSocket};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// Whatever cannot be found out stays empty: a fact is asked for by a play, and fails there.
pub fn gather(system: &System) -> Facts {
    let kernel = rustix::system::uname();
    let nodename = kernel.nodename().to_string_lossy().into_owned();
    let release = Release::read(system);
    Facts {
        hostname: nodename.split('.').next().unwrap_or_default().to_owned(),
        fqdn: fqdn(system, &nodename),
        architecture: kernel.machine().to_string_lossy().into_owned(),
        system: kernel.sysname().to_string_lossy().into_owned(),
        kernel: kernel.release().to_string_lossy().into_owned(),
        distribution_major_version: release
            .version
            .split('.')
            .next()
            .unwrap_or_default()
            .to_owned(),
        distribution: release.name,
        distribution_version: release.version,
        distribution_release: release.codename,
        os_family: release.family,
        pkg_mgr: pkg_mgr(system),
        service_mgr: service_mgr(system),
        processor_vcpus: vcpus(&text(system, "/proc/cpuinfo")),
        memtotal_mb: memory(&text(system, "/proc/meminfo"), "MemTotal"),
        swaptotal_mb: memory(&text(system, "/proc/meminfo"), "SwapTotal"),
        all_ipv4_addresses: ipv4_addresses(&text(system, "/proc/net/fib_trie")),
        all_ipv6_addresses: ipv6_addresses(&text(system, "/proc/net/if_inet6")),
        default_ipv4: default_ipv4(),
        boot_id: text(system, "/proc/sys/kernel/random/boot_id")
            .trim()
            .to_owned(),
        user_id: user_id(system),
        epoch_ms: epoch_ms(),
    }
}

fn text(system: &System, path: &str) -> String {
    match system.read(Path::new(path)) {
        Ok(Some(bytes)) => String::from_utf8_lossy(&bytes).into_owned(),
        _ => String::new(),
    }
}

fn exists(system: &System, path: &str) -> bool {
    matches!(system.meta(Path::new(path)), Ok(Some(_)))
}

/// `/etc/os-release`, in Ansible's words.
struct Release {
    name: String,
    version: String,
    codename: String,
    family: String,
}

impl Release {
    fn read(system: &System) -> Self {
        let fields = assignments(&text(system, "/etc/os-release"));
        let field = |name: &str| fields.get(name).cloned().unwrap_or_default();
        let id = field("ID");
        Self {
            name: distribution(&id, &field("NAME")),
            version: version(
                &id,
                field("VERSION_ID"),
                &text(system, "/etc/debian_version"),
            ),
            codename: field("VERSION_CODENAME"),
            family: family(&id, &field("ID_LIKE")),
        }
    }
}

/// `NAME="value"` lines.
fn assignments(text: &str) -> BTreeMap<String, String> {
    text.lines()
        .filter_map(|line| line.trim().split_once('='))
        .map(|(name, value)| (name.to_owned(), value.trim_matches(['"', '\'']).to_owned()))
        .collect()
}

fn distribution(id: &str, name: &str) -> String {
    let known = match id {
        "debian" => "Debian",
        "ubuntu" => "Ubuntu",
        "rhel" => "RedHat",
        "centos" => "CentOS",
        "rocky" => "Rocky",
        "almalinux" => "AlmaLinux",
        "fedora" => "Fedora",
        "ol" => "OracleLinux",
        "amzn" => "Amazon",
        "sles" => "SLES",
        _ => name,
    };
    known.to_owned()
}

/// Debian's os-release has no point releases; Ansible takes them from elsewhere, and so do we.
fn version(id: &str, version_id: String, debian_version: &str) -> String {
    let point = debian_version.trim();
    if id == "debian" && point.starts_with(|c: char| c.is_ascii_digit()) {
        return point.to_owned();
    }
    version_id
}

fn family(id: &str, like: &str) -> String {
    let family = std::iter::once(id)
        .chain(like.split_whitespace())
        .find_map(|id| match id {
            "debian" | "ubuntu" => Some("Debian"),
            "rhel" | "fedora" | "centos" | "amzn" | "rocky" | "almalinux" | "ol" => Some("RedHat"),
            "suse" | "sles" | "opensuse" => Some("Suse"),
            _ => None,
        });
    family.unwrap_or_default().to_owned()
}

fn pkg_mgr(system: &System) -> String {
    [
        ("apt", "/usr/bin/apt-get"),
        ("dnf", "/usr/bin/dnf"),
        ("yum", "/usr/bin/yum"),
        ("zypper", "/usr/bin/zypper"),
    ]
    .into_iter()
    .find(|(_, program)| exists(system, program))
    .map_or_else(String::new, |(name, _)| name.to_owned())
}

fn service_mgr(system: &System) -> String {
    // systemd's own test (sd_booted).
    if exists(system, "/run/systemd/system") {
        return "systemd".to_owned();
    }
    text(system, "/proc/1/comm").trim().to_owned()
}

fn vcpus(cpuinfo: &str) -> u32 {
    let count = cpuinfo
        .lines()
        .filter(|l| l.starts_with("processor"))
        .count();
    u32::try_from(count.max(1)).unwrap_or(1)
}

/// In MiB; the file counts in KiB.
fn memory(meminfo: &str, field: &str) -> u64 {
    meminfo
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| *name == field)
        .and_then(|(_, value)| value.split_whitespace().next()?.parse::<u64>().ok())
        .map_or(0, |kib| kib / 1024)
}

/// The kernel's routing table names each own address as `/32 host LOCAL`, on the line after it.
fn ipv4_addresses(fib_trie: &str) -> Vec<String> {
    let mut found: Vec<Ipv4Addr> = fib_trie
        .lines()
        .zip(fib_trie.lines().skip(1))
        .filter(|(_, next)| next.trim() == "/32 host LOCAL")
        .filter_map(|(line, _)| line.trim().strip_prefix("|-- ")?.parse().ok())
        .filter(|address: &Ipv4Addr| !address.is_loopback())
        .collect();
    found.sort_unstable();
    found.dedup();
    found.iter().map(ToString::to_string).collect()
}

/// Each line begins with an address of 32 hex digits.
fn ipv6_addresses(if_inet6: &str) -> Vec<String> {
    let mut found: Vec<Ipv6Addr> = if_inet6
        .lines()
        .filter_map(|line| u128::from_str_radix(line.split_whitespace().next()?, 16).ok())
        .map(Ipv6Addr::from)
        .filter(|address| !address.is_loopback())
        .collect();
    found.sort_unstable();
    found.iter().map(ToString::to_string).collect()
}

/// Connecting a UDP socket sends nothing; it only makes the kernel choose a way and an address.
fn default_ipv4() -> String {
    let somewhere = (Ipv4Addr::new(192, 0, 2, 1), 9);
    UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))
        .and_then(|socket| {
            socket.connect(somewhere)?;
            socket.local_addr()
        })
        .map_or_else(|_| String::new(), |address| address.ip().to_string())
}

/// The canonical name that `/etc/hosts` gives this host, when its own name has no domain.
fn fqdn(system: &System, nodename: &str) -> String {
    if nodename.contains('.') {
        return nodename.to_owned();
    }
    text(system, "/etc/hosts")
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default())
        .map(|line| line.split_whitespace().skip(1).collect::<Vec<_>>())
        .find(|names| names.contains(&nodename))
        .and_then(|names| names.into_iter().find(|name| name.contains('.')))
        .unwrap_or(nodename)
        .to_owned()
}

fn user_id(system: &System) -> String {
    let uid = rustix::process::geteuid().as_raw().to_string();
    match system.user(&uid) {
        Ok(Some(user)) => user.name,
        _ => uid,
    }
}

fn epoch_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(files: &[(&str, &str)]) -> (tempfile::TempDir, System) {
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let system = System::under(dir.path(), vec![]);
        (dir, system)
    }

    #[test]
    fn debian_as_ansible_sees_it() {
        let (_dir, system) = host(&[
            (
                "etc/os-release",
                "NAME=\"Debian GNU/Linux\"\nVERSION_ID=\"12\"\nVERSION_CODENAME=bookworm\nID=debian\n",
            ),
            ("etc/debian_version", "12.5\n"),
            ("usr/bin/apt-get", ""),
            ("run/systemd/system/x", ""),
        ]);
        let facts = gather(&system);
        assert_eq!(facts.distribution, "Debian");
        assert_eq!(facts.distribution_version, "12.5");
        assert_eq!(facts.distribution_major_version, "12");
        assert_eq!(facts.distribution_release, "bookworm");
        assert_eq!(facts.os_family, "Debian");
        assert_eq!(facts.pkg_mgr, "apt");
        assert_eq!(facts.service_mgr, "systemd");
    }

    #[test]
    fn a_derivative_belongs_to_the_family_it_names() {
        let (_dir, system) = host(&[(
            "etc/os-release",
            "NAME=\"Rocky Linux\"\nVERSION_ID=\"9.4\"\nID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n",
        )]);
        let facts = gather(&system);
        assert_eq!(
            (facts.distribution.as_str(), facts.os_family.as_str()),
            ("Rocky", "RedHat")
        );
    }

    #[test]
    fn own_addresses_come_from_the_kernel_without_loopback() {
        let trie = "Local:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 127.0.0.1\n        /32 host LOCAL\n     |-- 10.0.0.7\n        /32 host LOCAL\n     |-- 10.0.0.255\n        /32 link BROADCAST\n";
        assert_eq!(ipv4_addresses(trie), ["10.0.0.7"]);
        let inet6 = "00000000000000000000000000000001 01 80 10 80 lo\nfe800000000000000042acfffe110002 02 40 20 80 eth0\n";
        assert_eq!(ipv6_addresses(inet6), ["fe80::42:acff:fe11:2"]);
    }

    #[test]
    fn memory_is_counted_in_mebibytes() {
        assert_eq!(
            memory("MemFree: 1 kB\nMemTotal:  4028440 kB\n", "MemTotal"),
            3934
        );
    }
}
