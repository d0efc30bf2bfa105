//! The running HAProxy, asked over its socket.
//! Source: HAProxy 2.6 management guide, section 9.3, and `include/haproxy/server-t.h` for the states.

use crate::system::{Result, System};
use crate::wire::Failure;
use std::path::Path;
use std::time::Duration;

/// It answers from memory.
const PATIENCE: Duration = Duration::from_secs(10);

/// Whatever keeps requests away on purpose: maintenance and drain, set, inherited, or for want of an address. What
/// a file disabled (4) is among them as forced maintenance, and keeps its own flag when that is lifted.
const OUT: u32 = 0x01 | 0x02 | 0x08 | 0x10 | 0x20;
/// Of these the ones in which no checks are made.
const MAINTENANCE: u32 = 0x01 | 0x02 | 0x20;
const BY_FILE: u32 = 0x04;

/// A server as the running process has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Live {
    pub proxy: String,
    pub name: String,
    admin: u32,
    operation: u32,
    weight: u32,
    /// Connections that it has now, of the process that answers.
    pub connections: usize,
    /// What the last check said: `L7OK`, `L4CON`, `INI` before the first one; nothing without checks.
    pub check: String,
}

impl Live {
    /// As its socket names it.
    pub fn shown(&self) -> String {
        format!("{}/{}", self.proxy, self.name)
    }

    /// Nothing new is sent to it, because somebody wants that.
    pub fn is_out(&self) -> bool {
        self.admin & OUT != 0 || self.weight == 0
    }

    /// Out by other means than ours, which are a drain and the word in the file.
    pub fn is_held(&self) -> bool {
        self.weight == 0 || (self.is_in_maintenance() && self.admin & BY_FILE == 0)
    }

    pub fn is_in_maintenance(&self) -> bool {
        self.admin & MAINTENANCE != 0
    }

    /// By its checks, as far as there are any.
    pub fn is_up(&self) -> bool {
        // 0: stopped.
        self.operation != 0
    }

    /// A check was made since checks began, and it passed; `L7OKC`: with a condition.
    pub fn is_proved(&self) -> bool {
        let ok = ["", "L4OK", "L6OK", "L7OK", "L7OKC"];
        self.is_up() && ok.contains(&self.check.as_str())
    }
}

pub fn ask(system: &System, socket: &Path, line: &str) -> Result<String> {
    let said = system.ask_socket(socket, line, PATIENCE);
    said.map_err(|failure| {
        failure.help(
            "`systemctl status haproxy` says whether it runs, and haproxy.cfg where its socket is",
        )
    })
}

/// All servers of all proxies.
pub fn servers(system: &System, socket: &Path) -> Result<Vec<Live>> {
    let states = ask(system, socket, "show servers state")?;
    let stats = ask(system, socket, "show stat")?;
    let (states, stats) = (Table::of(&states, ' '), Table::of(&stats, ','));
    let names = [
        "be_name",
        "srv_name",
        "srv_admin_state",
        "srv_op_state",
        "srv_uweight",
    ];
    let rows = states
        .rows(&names)
        .ok_or_else(|| unread("show servers state"))?;
    let found = stats
        .rows(&["pxname", "svname", "scur", "check_status"])
        .ok_or_else(|| unread("show stat"))?;
    let lives = rows.into_iter().map(|row| {
        let [proxy, name, admin, operation, weight] = row[..] else {
            return None;
        };
        let stat = found.iter().find(|stat| stat[..2] == [proxy, name])?;
        Some(Live {
            proxy: proxy.to_owned(),
            name: name.to_owned(),
            admin: admin.parse().ok()?,
            operation: operation.parse().ok()?,
            weight: weight.parse().ok()?,
            connections: stat[2].parse().ok()?,
            // A star says that a check is under way.
            check: stat[3].trim_start_matches("* ").to_owned(),
        })
    });
    lives
        .collect::<Option<_>>()
        .ok_or_else(|| unread("show servers state"))
}

/// Sets the state of a server; `ready`, `drain` or `maint`.
pub fn set(system: &System, socket: &Path, server: &Live, state: &str) -> Result<()> {
    let line = format!("set server {}/{} state {state}", server.proxy, server.name);
    let said = ask(system, socket, &line)?;
    match said.trim() {
        "" => Ok(()),
        refused => Err(
            Failure::new(format!("haproxy does not `{line}`: {refused}"))
                .help("its socket must have `level admin`"),
        ),
    }
}

/// The process that answers.
pub fn pid(system: &System, socket: &Path) -> Result<u32> {
    let said = ask(system, socket, "show info")?;
    let pid = said.lines().find_map(|line| line.strip_prefix("Pid: "));
    pid.and_then(|pid| pid.trim().parse().ok())
        .ok_or_else(|| unread("show info"))
}

fn unread(line: &str) -> Failure {
    Failure::new(format!(
        "what haproxy answers to `{line}` cannot be read as a list"
    ))
    .help("HAProxy 2.4 and later are known")
}

/// Lines below a head `# name name..`.
struct Table<'t> {
    head: Vec<&'t str>,
    lines: Vec<Vec<&'t str>>,
}

impl<'t> Table<'t> {
    fn of(text: &'t str, separator: char) -> Self {
        let mut lines = text.lines().skip_while(|line| !line.starts_with("# "));
        let head = lines.next().unwrap_or_default();
        let head = head.trim_start_matches("# ").split(separator);
        Self {
            head: head.collect(),
            lines: lines
                .filter(|line| !line.trim().is_empty())
                .map(|line| line.split(separator).collect())
                .collect(),
        }
    }

    /// These columns of every line; `None` when one is not there.
    fn rows(&self, columns: &[&str]) -> Option<Vec<Vec<&'t str>>> {
        let places = columns
            .iter()
            .map(|column| self.head.iter().position(|name| name == column));
        let places = places.collect::<Option<Vec<_>>>()?;
        let row = |line: &Vec<&'t str>| places.iter().map(|at| line.get(*at).copied()).collect();
        self.lines.iter().map(row).collect()
    }
}
