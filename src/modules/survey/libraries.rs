//! Folders with jars: which of them carry a JDBC driver.

use super::in_time;
use crate::system::{Result, System, failed};
use crate::wire::Failure;
use crate::wire::survey::{DriverJar, Library, Seen};
use std::fs::File;
use std::io::{Cursor, Read, Seek};
use std::path::Path;
use zip::ZipArchive;

/// Of the engines that the products know.
const DRIVERS: [&str; 8] = [
    "com.ibm.db2.jcc.DB2Driver",
    "com.microsoft.sqlserver.jdbc.SQLServerDriver",
    "com.mysql.cj.jdbc.Driver",
    "com.mysql.jdbc.Driver",
    "oracle.jdbc.OracleDriver",
    "oracle.jdbc.driver.OracleDriver",
    "org.mariadb.jdbc.Driver",
    "org.postgresql.Driver",
];

/// Jars larger than this are no drivers.
const LARGEST: u64 = 64 << 20;

pub fn look(system: &System, folder: &Path) -> Library {
    let names = jars(system, folder);
    let jars = names
        .as_ref()
        .map(|names| u32::try_from(names.len()).unwrap_or(u32::MAX));
    let jars = jars.map_err(Clone::clone);
    let found: Result<Vec<_>> = names
        .unwrap_or_default()
        .iter()
        .map(|name| {
            in_time(system)?;
            // A broken jar is no driver either; a server that needs it will say so.
            Ok(driver(system, &folder.join(name), name).ok().flatten())
        })
        .collect();
    let (jars, drivers) = match (jars, found) {
        (Ok(jars), Ok(found)) => (Seen::Known(jars), found),
        (Err(failure), _) | (_, Err(failure)) => (Seen::unknown(failure.message), Vec::new()),
    };
    Library {
        path: folder.to_owned(),
        jars,
        drivers: drivers.into_iter().flatten().collect(),
    }
}

fn jars(system: &System, folder: &Path) -> Result<Vec<String>> {
    let mut names = system.list(folder)?;
    names.retain(|name| name.ends_with(".jar"));
    Ok(names)
}

fn driver(system: &System, path: &Path, name: &str) -> Result<Option<DriverJar>> {
    let file = File::open(system.locate(path)).map_err(|e| failed("read", path, &e))?;
    let meta = file.metadata().map_err(|e| failed("read", path, &e))?;
    if !meta.is_file() || meta.len() > LARGEST {
        return Ok(None);
    }
    let mut jar = opened(file)?;
    let classes = classes(&mut jar);
    if classes.is_empty() {
        return Ok(None);
    }
    let manifest = unfolded(&member(&mut jar, "META-INF/MANIFEST.MF").unwrap_or_default());
    let field = |name| field(&manifest, name);
    Ok(Some(DriverJar {
        file: name.to_owned(),
        sha256: system.digest(path)?.unwrap_or_default(),
        classes,
        bundle: field("Bundle-SymbolicName"),
        version: field("Bundle-Version").or_else(|| field("Implementation-Version")),
    }))
}

fn opened<R: Read + Seek>(file: R) -> Result<ZipArchive<R>> {
    ZipArchive::new(file).map_err(|e| Failure::new(format!("it is no jar: {e}")))
}

/// The driver classes of a jar and of the jars in it: Carbon wraps what it finds in `lib` as a whole.
fn classes<R: Read + Seek>(jar: &mut ZipArchive<R>) -> Vec<String> {
    let names = names(jar);
    let mut found: Vec<_> = own_classes(&names);
    for inner in names.iter().filter(|name| name.ends_with(".jar")) {
        let inside = bytes(jar, inner).and_then(|bytes| opened(Cursor::new(bytes)).ok());
        found.extend(
            inside
                .map(|inside| own_classes(&self::names(&inside)))
                .unwrap_or_default(),
        );
    }
    found.sort();
    found.dedup();
    found
}

/// Names that are no text are nothing that we look for.
fn names<R: Read + Seek>(jar: &ZipArchive<R>) -> Vec<String> {
    let names = jar.file_names().filter_map(std::result::Result::ok);
    names.map(|name| name.to_string()).collect()
}

fn own_classes(names: &[String]) -> Vec<String> {
    let class = |name: &String| {
        let class = name.strip_suffix(".class")?.replace('/', ".");
        DRIVERS.contains(&class.as_str()).then_some(class)
    };
    names.iter().filter_map(class).collect()
}

fn bytes<R: Read + Seek>(jar: &mut ZipArchive<R>, name: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let entry = jar.by_name(name).ok()?;
    entry.take(LARGEST).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

fn member<R: Read + Seek>(jar: &mut ZipArchive<R>, name: &str) -> Option<String> {
    let bytes = bytes(jar, name)?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// A manifest's lines end at 72 bytes and go on after a blank.
fn unfolded(manifest: &str) -> String {
    manifest.replace("\r\n", "\n").replace("\n ", "")
}

/// Without the directives after a semicolon.
fn field(manifest: &str, name: &str) -> Option<String> {
    let (_, value) = manifest
        .lines()
        .filter_map(|line| line.split_once(": "))
        .find(|(key, _)| key.eq_ignore_ascii_case(name))?;
    Some(value.split(';').next()?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;
    use zip::write::{SimpleFileOptions, ZipWriter};

    fn zip(members: &[(&str, &[u8])]) -> Vec<u8> {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        for (name, content) in members {
            zip.start_file(*name, SimpleFileOptions::default()).unwrap();
            zip.write_all(content).unwrap();
        }
        zip.finish().unwrap().into_inner()
    }

    #[test]
    fn drivers_are_told_by_their_classes_also_when_wrapped() {
        let dir = tempfile::tempdir().unwrap();
        let put = |name: &str, bytes: &[u8]| std::fs::write(dir.path().join(name), bytes).unwrap();
        let manifest = b"Bundle-SymbolicName: org.mariadb.jdbc\r\n .client;singleton:=true\r\nBundle-Version: 3.4.1\r\n";
        let plain = zip(&[
            ("META-INF/MANIFEST.MF", manifest),
            ("org/mariadb/jdbc/Driver.class", b""),
        ]);
        put("client.jar", &plain);
        put("wrapped_1.0.0.jar", &zip(&[("client.jar", &plain)]));
        put("other.jar", &zip(&[("org/mariadb/jdbc/Other.class", b"")]));
        put("broken.jar", b"PK");
        put("driver.txt", b"");
        let found = look(&System::under(dir.path(), vec![]), Path::new("/"));
        assert_eq!(found.jars, Seen::Known(4));
        let told: Vec<_> = found.drivers.iter().map(|d| d.file.as_str()).collect();
        assert_eq!(told, ["client.jar", "wrapped_1.0.0.jar"]);
        let [plain, wrapped] = found.drivers.as_slice() else {
            panic!()
        };
        assert_eq!(plain.bundle.as_deref(), Some("org.mariadb.jdbc.client"));
        assert_eq!(plain.version.as_deref(), Some("3.4.1"));
        assert_eq!(plain.classes, ["org.mariadb.jdbc.Driver"]);
        assert_eq!(wrapped.classes, ["org.mariadb.jdbc.Driver"]);
        assert_eq!(wrapped.bundle, None);
    }

    #[test]
    fn a_folder_that_is_missing_is_unknown() {
        let dir = tempfile::tempdir().unwrap();
        let found = look(&System::under(dir.path(), vec![]), Path::new("/lib"));
        assert!(found.jars.why().is_some_and(|why| why.contains("/lib")));
    }
}
