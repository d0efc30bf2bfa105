//! Keystores: what keytool lists of them.

use super::files::Files;
use super::x509;
use crate::modules::shared::keytool;
use crate::system::{FileKind, Result, certificates};
use crate::wire::Failure;
use crate::wire::survey::{Keystore, KeystoreEntry, KeystoreRequest};
use std::path::Path;

pub fn look(
    files: &Files<'_>,
    home: &Path,
    java_home: Option<&Path>,
    asked: &KeystoreRequest,
) -> Keystore {
    let path = home.join(&asked.path);
    Keystore {
        file: files.path(&path),
        sha256: files.system.digest(&path).ok().flatten(),
        entries: entries(files, &path, java_home, asked).into(),
    }
}

fn entries(
    files: &Files<'_>,
    path: &Path,
    java_home: Option<&Path>,
    asked: &KeystoreRequest,
) -> Result<Vec<KeystoreEntry>> {
    // keytool asks for a password that nobody types when the file is not there.
    let real = files.system.follow(path)?;
    match files.system.meta(&real)? {
        Some(meta) if meta.kind == FileKind::File => {}
        _ => return Err(Failure::new(format!("there is no file {}", path.display()))),
    }
    // It only reads a list: the small and quick parts of a JVM are enough.
    let mut more = vec!["-J-XX:TieredStopAtLevel=1", "-J-XX:+UseSerialGC"];
    if let Some(kind) = &asked.kind {
        more.extend(["-storetype", kind]);
    }
    let program = keytool::program(java_home);
    let list = keytool::command(&program, &["-list", "-rfc"], path, &asked.password, &more);
    let output = files.system.run(&list)?;
    match output.ok() {
        true => parse(&output.stdout),
        false => {
            let failure = keytool::refused(path, &output);
            let why = failure.help.or(failure.detail.into_iter().next());
            Err(Failure::new(match why {
                Some(why) => format!("{}: {why}", failure.message),
                None => failure.message,
            }))
        }
    }
}

/// Each entry begins with its alias; of a chain the first certificate is its own.
fn parse(listed: &str) -> Result<Vec<KeystoreEntry>> {
    let entry = |section: &str| {
        let alias = section.lines().next().unwrap_or_default().trim().to_owned();
        let own = certificates(section).into_iter().next();
        Ok(KeystoreEntry {
            alias,
            has_key: section.contains("Entry type: PrivateKeyEntry"),
            certificate: own.map(|der| x509::read(&der)).transpose()?,
        })
    };
    listed.split("Alias name: ").skip(1).map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    /// `None` where there is no Java.
    fn keytool(dir: &Path, words: &str) -> Option<String> {
        let program = "keytool";
        let output = Command::new(program)
            .current_dir(dir)
            .args(words.split(' '))
            .args(["-storepass", "secret1", "-J-Duser.language=en"])
            .output()
            .ok()?;
        assert!(output.status.success(), "{output:?}");
        Some(String::from_utf8(output.stdout).unwrap())
    }

    #[test]
    fn what_keytool_made_is_read_back() {
        let dir = tempfile::tempdir().unwrap();
        for kind in ["JKS", "PKCS12"] {
            let store = format!("-keystore {kind} -storetype {kind}");
            let made = keytool(
                dir.path(),
                &format!(
                    "-genkeypair -alias Own -keyalg EC -dname CN=api,O=W -validity 30 -keypass secret1 -ext san=dns:api.example.com,ip:10.0.0.7,dns:localhost {store}"
                ),
            );
            if made.is_none() {
                return;
            }
            keytool(
                dir.path(),
                &format!("-exportcert -alias Own -file own.der {store}"),
            );
            keytool(
                dir.path(),
                &format!("-importcert -noprompt -alias trusted -file own.der {store}"),
            );
            let mut entries =
                parse(&keytool(dir.path(), &format!("-list -rfc {store}")).unwrap()).unwrap();
            entries.sort_by_key(|e| !e.has_key);
            let der = std::fs::read(dir.path().join("own.der")).unwrap();
            std::fs::remove_file(dir.path().join("own.der")).unwrap();
            let [own, trusted] = entries.as_slice() else {
                panic!("{entries:?}");
            };
            assert!(own.alias.eq_ignore_ascii_case("own") && own.has_key);
            assert!(trusted.alias == "trusted" && !trusted.has_key);
            let certificate = own.certificate.clone().unwrap();
            assert_eq!(certificate, x509::read(&der).unwrap());
            assert_eq!(certificate.common_name.as_deref(), Some("api"));
            assert_eq!(certificate.subject, certificate.issuer);
            assert_eq!(
                certificate.alt_names,
                ["api.example.com", "10.0.0.7", "localhost"]
            );
            assert_eq!(
                certificate.not_after - certificate.not_before,
                30 * 24 * 3600
            );
        }
    }
}
