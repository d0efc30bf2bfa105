//! What to look at. The module knows no roles: whoever asks says where things are.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The parameters of the `survey` module.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// Products installed here, one entry for each service.
    #[serde(default)]
    pub instances: Vec<InstanceRequest>,
    /// Where this host must be able to connect to.
    #[serde(default)]
    pub peers: Vec<PeerRequest>,
    /// Names that this host must know an address of.
    #[serde(default)]
    pub names: Vec<String>,
    /// Databases on this host, asked through the unix socket.
    #[serde(default)]
    pub databases: Vec<DatabaseRequest>,
    /// Paths whose file system must have room; the file systems of instances' homes are always told.
    #[serde(default)]
    pub disks: Vec<PathBuf>,
    /// Ports of other hosts: established connections to them are told (5672, 9611, 9711).
    #[serde(default)]
    pub connections: Vec<u16>,
    /// In seconds, for the whole survey: what was not reached by then is unknown.
    #[serde(default = "half_a_minute")]
    pub within: u64,
}

fn half_a_minute() -> u64 {
    30
}

/// One product on this host.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InstanceRequest {
    /// Answers carry it.
    pub name: String,
    /// The systemd unit.
    pub service: String,
    /// The product's folder; a link that says which release runs is fine.
    pub home: PathBuf,
    #[serde(default)]
    pub java_home: Option<PathBuf>,
    /// Whom the service runs as.
    #[serde(default)]
    pub user: Option<String>,
    /// Below `home` if relative: `wso2carbon.pid`, `wso2/server/runtime.pid`.
    #[serde(default)]
    pub pid_file: Option<PathBuf>,
    #[serde(default)]
    pub log: Option<LogRequest>,
    /// Regular expressions, looked for in the unit's journal of the last day.
    #[serde(default)]
    pub journal: Vec<String>,
    #[serde(default)]
    pub configs: Vec<ConfigRequest>,
    #[serde(default)]
    pub keystores: Vec<KeystoreRequest>,
    /// Folders with jars, below `home` if relative: `lib`, `repository/components/dropins`.
    #[serde(default)]
    pub libraries: Vec<PathBuf>,
    /// Folders whose files are told by name, size and digest: `carbonapps`, `siddhi-files`, `webapps`.
    #[serde(default)]
    pub folders: Vec<PathBuf>,
    /// Files and folders walked for wrong owners and modes, below `home` if relative.
    #[serde(default)]
    pub walk: Vec<PathBuf>,
    #[serde(default)]
    pub http: Vec<HttpRequest>,
}

/// What a server's log may have said since its last start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogRequest {
    /// Below `home` if relative.
    pub path: PathBuf,
    /// Regular expressions by the name under which the answer tells their lines.
    pub patterns: BTreeMap<String, String>,
}

/// A configuration file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfigRequest {
    /// Below `home` if relative.
    pub path: PathBuf,
    /// Dotted keys whose values are told (`server.hostname`). Never name a secret here.
    #[serde(default)]
    pub keys: Vec<String>,
    /// Dotted keys of which only the value's sha256 is told, that of the variable for `$env{NAME}`: for long random keys
    /// (`encryption.key`), since the digest of a password can be guessed.
    #[serde(default)]
    pub digests: Vec<String>,
}

/// A Java keystore.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeystoreRequest {
    /// Below `home` if relative.
    pub path: PathBuf,
    pub password: String,
    /// `JKS` or `PKCS12`; keytool finds out by itself.
    #[serde(default)]
    pub kind: Option<String>,
}

/// A question to a web server, asked with GET. No redirect is followed and no certificate judged:
/// where it leads and what is presented are facts of their own.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpRequest {
    /// Answers carry it.
    pub name: String,
    pub url: String,
    #[serde(default)]
    pub user: Option<String>,
    #[serde(default)]
    pub password: Option<String>,
    /// Asked first, with user and password; its `AccessToken` then opens `url` (MI's management API).
    #[serde(default)]
    pub login: Option<String>,
    /// Bytes of the body that are told, at most 65536.
    #[serde(default = "one_kib")]
    pub keep: u32,
}

fn one_kib() -> u32 {
    1024
}

/// Another host, as this one must be able to reach it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PeerRequest {
    /// Answers carry it.
    pub name: String,
    /// A name or an address.
    pub address: String,
    #[serde(default)]
    pub ports: Vec<u16>,
    /// Ports that speak TLS from the first byte: the certificates they present are told.
    #[serde(default)]
    pub tls: Vec<u16>,
    /// Ports whose server speaks first; MySQL says here that it refuses this host.
    #[serde(default)]
    pub greets: Vec<u16>,
}

/// A database server on this host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatabaseRequest {
    /// `mariadb`, `mysql` or `postgresql`.
    pub engine: String,
    /// By schema, the tables whose columns and first rows are told, besides the names of all its tables.
    pub schemas: BTreeMap<String, Vec<TableRequest>>,
}

/// A small table worth reading, such as `CLUSTER_NODE_STATUS_TABLE`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableRequest {
    pub table: String,
    /// The columns of the rows; none asks for the names of the columns only.
    #[serde(default)]
    pub columns: Vec<String>,
}
