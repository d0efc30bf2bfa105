//! Asking over a Unix socket: one line in, and all that is answered until the other side hangs up.
//!
//! A rehearsal answers `socket PATH LINE` from its table; an exit code other than 0 means that nobody answered.

use super::{Command, Result, System};
use crate::wire::Failure;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// Answers are lists of servers: thousands of them fit.
const LIMIT: u64 = 16 << 20;

impl System {
    /// `patience` is for each of: handing over the line, and every piece of the answer.
    pub fn ask_socket(&self, path: &Path, line: &str, patience: Duration) -> Result<String> {
        let silent = |why: String| {
            Failure::new(format!(
                "nobody answers `{line}` at {}: {why}",
                path.display()
            ))
        };
        if self.is_rehearsal() {
            let shown = path.display().to_string();
            let output = self.run(&Command::new(["socket", &shown, line]))?;
            return match output.ok() {
                true => Ok(output.stdout),
                false => Err(silent(output.stderr)),
            };
        }
        converse(&self.locate(path), line, patience).map_err(|e| silent(e.to_string()))
    }
}

fn converse(path: &Path, line: &str, patience: Duration) -> std::io::Result<String> {
    let mut stream = UnixStream::connect(path)?;
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(patience))?;
    stream.write_all(format!("{line}\n").as_bytes())?;
    let mut heard = Vec::new();
    stream.take(LIMIT).read_to_end(&mut heard)?;
    Ok(String::from_utf8_lossy(&heard).into_owned())
}
