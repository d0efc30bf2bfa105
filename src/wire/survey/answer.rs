//! What one host looked like.

use super::Seen;
use crate::wire::Capp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The whole answer of one host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Survey {
    pub clock: Clock,
    pub memory: Seen<Memory>,
    pub cpus: Seen<u32>,
    pub disks: Vec<Disk>,
    /// File systems that matter: those of homes and asked paths, and every one that comes over the network.
    pub mounts: Seen<Vec<Mount>>,
    pub network: Network,
    pub names: Vec<Name>,
    pub peers: Vec<Peer>,
    pub instances: Vec<Instance>,
    pub databases: Vec<Database>,
    /// How long the survey took.
    pub millis: u64,
}

/// The host's time. Skew against the controller is bounded by its own times of sending and receiving;
/// skew between two hosts by the difference of the two.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clock {
    /// Nanoseconds since the epoch, at the survey's first and last moment.
    pub first_ns: i64,
    pub last_ns: i64,
    /// What systemd's `timedatectl` says about NTP.
    pub synchronized: Seen<bool>,
}

/// In bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    pub total: u64,
    pub available: u64,
    pub swap_total: u64,
    pub swap_free: u64,
}

/// The room on the file system of a path, in bytes for people who are not root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disk {
    pub path: PathBuf,
    pub room: Seen<Room>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Room {
    pub total: u64,
    pub free: u64,
    pub free_inodes: u64,
    pub read_only: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    pub at: PathBuf,
    pub source: String,
    /// `ext4`, `nfs4`.
    pub kind: String,
    pub read_only: bool,
}

impl Mount {
    /// Whether other hosts may write to the same files.
    pub fn is_shared(&self) -> bool {
        const SHARED: [&str; 9] = [
            "nfs",
            "nfs4",
            "cifs",
            "smb3",
            "ceph",
            "glusterfs",
            "fuse.glusterfs",
            "gfs2",
            "ocfs2",
        ];
        SHARED.contains(&self.kind.as_str())
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// Kernel parameters by their name (`net.ipv4.tcp_tw_recycle`); absent where this kernel has none.
    pub sysctl: BTreeMap<String, String>,
    /// First and last port for outgoing connections.
    pub local_ports: Seen<(u16, u16)>,
    /// Ports that no outgoing connection takes, as written: `5672,9443-9445`.
    pub reserved_ports: Seen<String>,
    /// Every listening TCP port.
    pub listeners: Seen<Vec<Listener>>,
    /// Established connections to the asked ports of other hosts.
    pub connections: Seen<Vec<Connection>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listener {
    /// `0.0.0.0`, `::`, `127.0.0.1`.
    pub address: String,
    pub port: u16,
    /// Whose socket it is: the kernel always says.
    pub user: String,
    /// Who holds it; absent for the kernel's own and for processes that we may not look into, such as
    /// another user's where root has no `CAP_SYS_PTRACE`, as in most containers.
    pub process: Option<Process>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    pub pid: u32,
    /// As `/proc/<pid>/comm` has it: `java`.
    pub name: String,
    /// The instance whose `home` is in its command line.
    pub instance: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connection {
    pub address: String,
    pub port: u16,
    pub user: String,
    /// As of a listener.
    pub process: Option<Process>,
}

/// A name and the addresses that this host gives it; none means that it does not resolve.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Name {
    pub name: String,
    pub addresses: Seen<Vec<String>>,
}

/// One port of a peer, seen from this host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    pub name: String,
    pub address: String,
    pub port: u16,
    pub reach: Seen<Reach>,
    /// What the server said of its own accord, made printable; absent where it was not asked.
    pub greeting: Option<String>,
    /// What it presents in a TLS handshake, its own certificate first; absent where it was not asked.
    pub chain: Option<Seen<Vec<X509>>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reach {
    Open {
        millis: u64,
    },
    /// Something answered that nobody listens.
    Refused,
    /// Nothing answered: a firewall, a wrong address, a host that is down.
    Silent,
    /// The name has no address here.
    NoAddress,
    /// Any other reason, as the operating system words it.
    Failed {
        why: String,
    },
}

/// One product.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    pub name: String,
    pub home: PathBuf,
    /// Where `home` leads once links are followed; absent while nothing is installed.
    pub release: Option<PathBuf>,
    pub unit: Seen<UnitFacts>,
    pub java: Java,
    /// The running server; absent while it is down.
    pub jvm: Option<Seen<Jvm>>,
    pub pid_file: Option<Seen<PidFile>>,
    pub log: Option<Seen<LogFacts>>,
    /// Lines of the unit's journal of the last day that matched, the last ones.
    pub journal: Seen<Vec<String>>,
    pub configs: Vec<Config>,
    pub keystores: Vec<Keystore>,
    pub libraries: Vec<Library>,
    pub folders: Vec<Folder>,
    /// Files directly in `home` whose name begins with `password-`.
    pub password_files: Seen<Vec<PathFacts>>,
    pub offenders: Seen<Offenders>,
    pub update: Seen<Update>,
    pub http: Vec<HttpAnswer>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitFacts {
    /// Whether systemd knows the unit at all.
    pub exists: bool,
    /// As `systemctl show` words them: `ActiveState`, `Result`, `LimitNOFILE`, `TimeoutStopUSec`, `User`...
    pub properties: BTreeMap<String, String>,
    /// The paths of its programs with their arguments, masked: `ExecStart`, `ExecStartPre`, ...
    pub programs: BTreeMap<String, Vec<String>>,
    /// Of `Environment=` and the environment files.
    pub java_home: Option<String>,
    /// In bytes, by `-Xmx` in `JVM_MEM_OPTS` or `JAVA_OPTS` there.
    pub max_heap: Option<u64>,
}

impl UnitFacts {
    /// A property, if systemd has it.
    pub fn property(&self, name: &str) -> Option<&str> {
        self.properties.get(name).map(String::as_str)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Java {
    /// Of the `java_home` that was asked for, or the unit's.
    pub at_home: Seen<JavaVersion>,
    /// Of the first `java` on the unit's `PATH`.
    pub on_path: Seen<JavaVersion>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JavaVersion {
    pub program: PathBuf,
    /// `17.0.12`, `1.8.0_402`.
    pub version: String,
    /// `17`, `8`.
    pub major: u32,
    /// The line that names the build.
    pub runtime: String,
}

/// The running JVM of an instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Jvm {
    pub pid: u32,
    pub user: String,
    /// Its options and main class, masked, without the class path.
    pub arguments: Vec<String>,
    /// In bytes, by the last `-Xmx`.
    pub max_heap: Option<u64>,
    /// In bytes.
    pub resident: Option<u64>,
    pub open_files: Option<u64>,
    /// Soft and hard limits by their name in `/proc/<pid>/limits`; absent is unlimited.
    pub limits: BTreeMap<String, (Option<u64>, Option<u64>)>,
}

/// A pid file and whose the number is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PidFile {
    pub path: PathBuf,
    /// Absent when there is no such file, or no number in it.
    pub pid: Option<u32>,
    pub holder: PidHolder,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PidHolder {
    NoFile,
    NoNumber,
    /// No process has this number.
    Gone,
    /// Its command line names the instance's home.
    Instance,
    /// A process that has nothing to do with it: the start script would take it for the server.
    Foreign {
        name: String,
    },
}

/// What the log of the current boot says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogFacts {
    pub path: PathBuf,
    /// Whether the whole boot was seen: false when the log rotated or grew beyond our reach since, so a
    /// line that is missing here may have been written.
    pub complete: bool,
    pub matches: BTreeMap<String, Matches>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Matches {
    pub count: u64,
    pub first: Option<String>,
    pub last: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    pub file: PathFacts,
    /// The folder it is in: 4.7 writes there, and refuses a link.
    pub folder: PathFacts,
    /// Absent while there is no file.
    pub sha256: Option<String>,
    /// Whether `<path>.backup` is there: a profile's script has replaced the file at some time.
    pub has_backup: bool,
    /// The names of TOML tables at the top, in the file's order.
    pub tables: Seen<Vec<String>>,
    /// The asked keys that the file has.
    pub values: BTreeMap<String, String>,
    /// Of the asked digests, those whose key the file has.
    pub digests: BTreeMap<String, String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathFacts {
    pub path: PathBuf,
    pub kind: PathKind,
    /// A name, or the number of a user without one; empty when there is nothing to see.
    pub owner: String,
    pub group: String,
    /// Permission bits.
    pub mode: u32,
    pub size: u64,
    /// Whether the instance's user may write it; absent when no user was named.
    pub writable: Option<bool>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PathKind {
    Missing,
    File,
    Folder,
    Link,
    Other,
    /// Something may be there, but it cannot be looked at.
    Unreadable,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keystore {
    pub file: PathFacts,
    /// Of the whole file; absent while there is none.
    pub sha256: Option<String>,
    pub entries: Seen<Vec<KeystoreEntry>>,
}

impl Keystore {
    /// The entry of this alias; keystores do not tell upper case from lower.
    pub fn entry(&self, alias: &str) -> Option<&KeystoreEntry> {
        let entries = self.entries.known()?;
        entries.iter().find(|e| e.alias.eq_ignore_ascii_case(alias))
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeystoreEntry {
    pub alias: String,
    /// A private key with its certificate, and not only a trusted certificate.
    pub has_key: bool,
    /// Of a secret key there is none.
    pub certificate: Option<X509>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct X509 {
    /// Of the whole certificate, in lower-case hex.
    pub sha256: String,
    /// `CN=localhost,OU=WSO2,O=WSO2,...`
    pub subject: String,
    pub issuer: String,
    /// The common name of the subject.
    pub common_name: Option<String>,
    /// Names and addresses it is for.
    pub alt_names: Vec<String>,
    /// Seconds since the epoch.
    pub not_before: i64,
    pub not_after: i64,
}

/// The jars of a folder that are worth telling.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Library {
    pub path: PathBuf,
    /// How many jars there are.
    pub jars: Seen<u32>,
    pub drivers: Vec<DriverJar>,
}

/// A jar with a JDBC driver.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DriverJar {
    /// The name of its file.
    pub file: String,
    pub sha256: String,
    /// The driver's classes that it has: `com.mysql.cj.jdbc.Driver`.
    pub classes: Vec<String>,
    /// Of its manifest: a bundle, as SI needs it, has one.
    pub bundle: Option<String>,
    pub version: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Folder {
    pub path: PathBuf,
    /// Direct children, sorted; at most 500.
    pub entries: Seen<Vec<FolderEntry>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FolderEntry {
    pub name: String,
    pub kind: PathKind,
    pub size: u64,
    /// Of files up to 64 MiB.
    pub sha256: Option<String>,
    /// Of files whose name ends with `.car`.
    #[serde(default)]
    pub capp: Option<Seen<Capp>>,
}

/// The worst of a bounded walk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offenders {
    /// How many files and folders were looked at.
    pub seen: u64,
    /// False when the walk came to its limit before its end.
    pub complete: bool,
    /// How many the service's user does not own, and the first of them.
    pub foreign: u64,
    pub foreign_paths: Vec<PathFacts>,
    /// How many everybody may write, and the first of them.
    pub open: u64,
    pub open_paths: Vec<PathFacts>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Update {
    /// The first line of `updates/product.txt`.
    pub product: Option<String>,
    /// Of `updates/config.json`; absent on a pack that was never updated.
    pub level: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpAnswer {
    pub name: String,
    pub answer: Seen<HttpFacts>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpFacts {
    pub status: u16,
    /// Where a redirect leads.
    pub location: Option<String>,
    /// Its first bytes, masked.
    pub body: String,
}

/// A database server on this host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Database {
    pub engine: String,
    pub server: Seen<DatabaseServer>,
    pub schemas: BTreeMap<String, Seen<Schema>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabaseServer {
    /// `10.11.6-MariaDB`.
    pub version: String,
    pub max_connections: u32,
    pub connections: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schema {
    /// False when there is no such database; then the rest is empty.
    pub exists: bool,
    pub charset: String,
    pub collation: String,
    /// The names of its tables, as the engine has them.
    pub tables: Vec<String>,
    /// The asked tables that are there.
    pub contents: BTreeMap<String, Seen<Table>>,
}

impl Schema {
    /// Whether a table is there; engines fold names differently.
    pub fn has_table(&self, name: &str) -> bool {
        self.tables.iter().any(|t| t.eq_ignore_ascii_case(name))
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// All of its columns.
    pub columns: Vec<String>,
    /// The asked columns of its first 50 rows.
    pub rows: Vec<Vec<String>>,
}
