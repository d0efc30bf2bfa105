//! Content that steps name by digest: asked for when it is not here, checked, kept aside.
//!
//! Small content is removed when the worker ends, since it may hold secrets. Large content (packs) is
//! kept for a day: a run that failed after the transfer need not send half a gigabyte again.

use super::mail::{Delivery, Line};
use super::out::Out;
use crate::system::{Result, Store, digest_of, hex};
use crate::wire::{Digest, Failure, FromWorker};
use sha2::{Digest as _, Sha256};
use std::cell::RefCell;
use std::collections::HashSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// From this size on, in bytes, content outlives its worker.
const WORTH_KEEPING: u64 = 1 << 20;
const KEPT_FOR: Duration = Duration::from_secs(24 * 60 * 60);

pub struct Content {
    dir: PathBuf,
    out: Arc<Out>,
    line: Arc<Line>,
    /// Compared with its digest in this worker's life.
    checked: RefCell<HashSet<Digest>>,
}

impl Content {
    pub fn new(dir: PathBuf, out: Arc<Out>, line: Arc<Line>) -> Self {
        Self {
            dir,
            out,
            line,
            checked: RefCell::default(),
        }
    }

    fn receive(&self, digest: &Digest, to: &Path) -> Result<()> {
        let deliveries = self.line.expect(digest);
        let want = FromWorker::Want {
            digest: digest.clone(),
        };
        self.out.say(&want).map_err(|_| gone(digest))?;
        let mut file =
            tempfile::NamedTempFile::new_in(&self.dir).map_err(|e| self.unwritable(&e))?;
        let mut hasher = Sha256::new();
        loop {
            match deliveries.recv() {
                Ok(Delivery::Piece(piece)) if piece.is_empty() => break,
                Ok(Delivery::Piece(piece)) => {
                    hasher.update(&piece);
                    file.write_all(&piece).map_err(|e| self.unwritable(&e))?;
                }
                Ok(Delivery::Refused(reason)) => {
                    return Err(Failure::new(format!(
                        "the controller cannot give content {digest}: {reason}"
                    )));
                }
                Err(_) => return Err(gone(digest)),
            }
        }
        let arrived = hex(&hasher.finalize());
        if arrived != digest.0 {
            return Err(Failure::new(format!(
                "content {digest} was asked for and {arrived} arrived"
            ))
            .help("the file changed on the controller during the run; run again"));
        }
        file.persist(to).map_err(|e| self.unwritable(&e.error))?;
        Ok(())
    }

    fn is_here(&self, digest: &Digest, path: &Path) -> bool {
        if self.checked.borrow().contains(digest) {
            return path.exists();
        }
        digest_of(path).is_ok_and(|found| found == digest.0)
    }

    fn unwritable(&self, e: &std::io::Error) -> Failure {
        let dir = self.dir.display();
        let failure = Failure::new(format!("content cannot be kept in {dir}: {e}"));
        match e.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => failure.help(
                format!("the file system of {dir} is full: free space there (`df -h {dir}`)"),
            ),
            _ => failure,
        }
    }
}

impl Store for Content {
    fn fetch(&self, digest: &Digest) -> Result<PathBuf> {
        if !is_digest(digest) {
            return Err(Failure::new(format!(
                "`{digest}` is not the digest of any content"
            )));
        }
        let path = self.dir.join(&digest.0);
        if !self.is_here(digest, &path) {
            self.receive(digest, &path)?;
        }
        self.checked.borrow_mut().insert(digest.clone());
        Ok(path)
    }
}

/// It becomes a file name: nothing but hex may pass.
fn is_digest(digest: &Digest) -> bool {
    digest.0.len() == 64 && digest.0.bytes().all(|b| b.is_ascii_hexdigit())
}

fn gone(digest: &Digest) -> Failure {
    Failure::new(format!(
        "the controller went away while content {digest} was awaited"
    ))
}

/// Removes what need not, or must not, be kept. Safe at any time: the lock makes us the only worker.
pub fn tidy(dir: &Path) {
    let Ok(entries) = std::fs::read_dir(dir) else {
        return;
    };
    for entry in entries.flatten() {
        let keep = entry.metadata().is_ok_and(|meta| {
            let recent = meta
                .modified()
                .is_ok_and(|m| m.elapsed().is_ok_and(|age| age < KEPT_FOR));
            let named = is_digest(&Digest(entry.file_name().to_string_lossy().into_owned()));
            named && recent && meta.len() >= WORTH_KEEPING
        });
        if !keep {
            // Another try comes with the next worker.
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use super::super::out::testing::Tape;

    /// A store, and a controller that sends these pieces when it is asked.
    fn store(dir: &Path, pieces: Vec<Vec<u8>>, wanted: &Digest) -> Content {
        let line = Arc::new(Line::default());
        let (tape, controller, wanted) = (Tape::default(), Arc::clone(&line), wanted.clone());
        let content = Content::new(dir.into(), Arc::new(Out::to(tape.clone())), line);
        std::thread::spawn(move || {
            while tape.messages().is_empty() {
                std::thread::sleep(Duration::from_millis(5));
            }
            for piece in pieces {
                controller.deliver(&wanted, Delivery::Piece(piece));
            }
        });
        content
    }

    #[test]
    fn content_is_asked_for_once_and_checked() {
        let dir = tempfile::tempdir().unwrap();
        let digest = Digest(hex(&Sha256::digest(b"hello world")));
        let content = store(
            dir.path(),
            vec![b"hello ".into(), b"world".into(), vec![]],
            &digest,
        );
        let path = content.fetch(&digest).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"hello world");
        assert_eq!(
            content.fetch(&digest).unwrap(),
            path,
            "the second time it is here"
        );
    }

    #[test]
    fn content_that_is_not_what_was_asked_for_is_thrown_away() {
        let dir = tempfile::tempdir().unwrap();
        let digest = Digest(hex(&Sha256::digest(b"hello world")));
        let content = store(dir.path(), vec![b"goodbye".into(), vec![]], &digest);
        let failure = content.fetch(&digest).unwrap_err();
        assert!(
            failure
                .help
                .is_some_and(|h| h.contains("changed on the controller"))
        );
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_digest_never_leads_out_of_the_folder() {
        assert!(!is_digest(&Digest("../../etc/shadow".into())));
        assert!(is_digest(&Digest("0f".repeat(32))));
    }

    #[test]
    fn small_and_half_received_content_goes_large_content_stays() {
        let dir = tempfile::tempdir().unwrap();
        let pack = dir.path().join("0f".repeat(32));
        std::fs::write(&pack, vec![0; 1 << 20]).unwrap();
        std::fs::write(dir.path().join("1f".repeat(32)), "password").unwrap();
        std::fs::write(dir.path().join(".tmpABC"), vec![0; 2 << 20]).unwrap();
        tidy(dir.path());
        let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().flatten().collect();
        assert_eq!(left.len(), 1);
        assert!(pack.exists());
    }
}
