//! What is sent to hosts: this very program, by digest, compressed when a host lacks it.

use crate::system::{digest_of, hex};
use crate::wire::{Digest, Failure};
use flate2::{Compression, write::GzEncoder};
use sha2::{Digest as _, Sha256};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

/// The worker's program. Read once per run, shared by all connections.
#[derive(Debug)]
pub struct Worker {
    /// One per processor architecture, this machine's first.
    builds: Vec<Build>,
}

/// The program for one architecture.
#[derive(Debug)]
pub(super) struct Build {
    /// As `uname -m` says it.
    pub architecture: String,
    pub digest: Digest,
    /// In bytes, unpacked.
    pub size: u64,
    pub path: PathBuf,
    /// Where its bytes come from: the running program is read through /proc, since its file may
    /// have been replaced meanwhile.
    source: PathBuf,
    packed: OnceLock<Result<Arc<Vec<u8>>, String>>,
}

impl Worker {
    /// The program that is running, and its siblings for other architectures: a release puts
    /// `apim-deploy-linux-<architecture>` beside `apim-deploy`.
    pub fn this_program() -> std::io::Result<Self> {
        let path = std::env::current_exe()?;
        let mut builds = vec![Build::new(
            own_architecture(),
            path.clone(),
            "/proc/self/exe".into(),
        )?];
        for architecture in ["x86_64", "aarch64"] {
            let sibling = path.with_file_name(format!("apim-deploy-linux-{architecture}"));
            if architecture != builds[0].architecture && sibling.is_file() {
                builds.push(Build::new(architecture.into(), sibling.clone(), sibling)?);
            }
        }
        Ok(Self { builds })
    }

    /// A program for hosts of this machine's architecture.
    pub fn from_file(path: &Path) -> std::io::Result<Self> {
        let build = Build::new(own_architecture(), path.into(), path.into())?;
        Ok(Self {
            builds: vec![build],
        })
    }

    pub(super) fn builds(&self) -> &[Build] {
        &self.builds
    }

    /// The build for this machine, which every worker has.
    pub(super) fn own(&self) -> Option<&Build> {
        self.builds.first()
    }

    pub(super) fn build_for(&self, architecture: &str) -> Option<&Build> {
        self.builds.iter().find(|b| b.architecture == architecture)
    }
}

impl Build {
    fn new(architecture: String, path: PathBuf, source: PathBuf) -> std::io::Result<Self> {
        Ok(Self {
            architecture,
            digest: Digest(digest_of(&source)?),
            size: std::fs::metadata(&source)?.len(),
            path,
            source,
            packed: OnceLock::new(),
        })
    }

    /// Gzip, which every host can unpack; made when the first host lacks the program. Takes CPU time:
    /// not for async threads.
    pub fn packed(&self) -> Result<Arc<Vec<u8>>, Failure> {
        self.packed
            .get_or_init(|| self.pack())
            .clone()
            .map_err(|reason| {
                Failure::new(format!(
                    "the worker's program {} cannot be sent: {reason}",
                    self.path.display()
                ))
            })
    }

    fn pack(&self) -> Result<Arc<Vec<u8>>, String> {
        let bytes = std::fs::read(&self.source).map_err(|e| e.to_string())?;
        if hex(&Sha256::digest(&bytes)) != self.digest.0 {
            return Err("the file changed since the run began".to_owned());
        }
        let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
        gzip.write_all(&bytes).map_err(|e| e.to_string())?;
        gzip.finish().map(Arc::new).map_err(|e| e.to_string())
    }
}

fn own_architecture() -> String {
    rustix::system::uname()
        .machine()
        .to_string_lossy()
        .into_owned()
}
