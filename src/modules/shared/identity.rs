//! Which release the processes of a service run: the one whose folder they work in.
//!
//! A command line names the link that leads to a release, whichever that is by now. The folder that a process works in is
//! the one that the link led to when it came there, and the products' scripts go to theirs before they start Java.
//! Source: `cd "$CARBON_HOME"` in wso2/product-apim, startup-scripts/api-manager.sh, and wso2/product-micro-integrator,
//! scripts/micro-integrator.sh; `cd "$RUNTIME_HOME"` in wso2/streaming-integrator, runtime/server/carbon.sh.

use super::delivered::short;
use super::unit::Unit;
use crate::system::{Result, System};
use crate::wire::Failure;
use std::path::{Path, PathBuf};

/// A process that runs another release than the wanted one.
pub struct Stranger {
    pid: u32,
    folder: PathBuf,
}

/// What the processes tell.
enum Told {
    Wanted,
    Another(Stranger),
    /// None of them works in a release's folder.
    Nothing,
}

impl Stranger {
    /// For people.
    pub fn release(&self) -> String {
        short(&self.folder)
    }

    pub fn words(&self) -> String {
        format!("process {} runs {}", self.pid, self.release())
    }
}

/// Who runs another release than the one in the folder `wanted`; releases stand side by side.
pub fn stranger(system: &System, unit: &Unit, wanted: &Path) -> Option<Stranger> {
    match ask(system, unit, wanted) {
        Told::Another(stranger) => Some(stranger),
        Told::Wanted | Told::Nothing => None,
    }
}

/// Fails unless the service runs the release that `wanted` is, or leads to. Where its processes do not tell, one that
/// was started before the link was switched runs another.
pub fn confirm(system: &System, unit: &Unit, wanted: &Path) -> Result<()> {
    let release = system.follow(wanted)?;
    let name = short(&release);
    let wrong = match ask(system, unit, &release) {
        Told::Wanted => return Ok(()),
        Told::Another(stranger) => stranger.words(),
        Told::Nothing if release != wanted && unit.is_older_than(system, wanted)? => format!(
            "it was started before {} led to {name}; nothing else tells which release it runs",
            wanted.display()
        ),
        Told::Nothing => return Ok(()),
    };
    Err(
        Failure::new(format!("{} does not run {name}: {wrong}", unit.name)).help(format!(
            "a CARBON_HOME in its environment or a drop-in may lead elsewhere (`systemctl cat {0}`); a service that is \
         older than the link needs a restart (`systemctl restart {0}`)",
            unit.name
        )),
    )
}

fn ask(system: &System, unit: &Unit, wanted: &Path) -> Told {
    let Some(all) = wanted.parent() else {
        return Told::Nothing;
    };
    let mut pids = unit.processes(system);
    pids.extend(unit.main_pid());
    let mut told = Told::Nothing;
    for pid in pids {
        // It may have ended meanwhile, or be somebody else's who does not tell.
        let Ok(Some(works_in)) = system.read_link(Path::new(&format!("/proc/{pid}/cwd"))) else {
            continue;
        };
        let within = works_in.strip_prefix(all).ok();
        let Some(first) = within.and_then(|path| path.components().next()) else {
            continue;
        };
        let folder = all.join(first);
        if folder != wanted {
            return Told::Another(Stranger { pid, folder });
        }
        told = Told::Wanted;
    }
    told
}
