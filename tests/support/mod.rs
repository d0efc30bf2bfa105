//! What several test files need: packs that lint can find, and the input of a run.
#![allow(dead_code, reason = "each test file uses its own part")]

pub mod planned;
pub mod site;

use apim_deploy::run::{Options, Prepared};
use apim_deploy::source::Problems;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Passwords that every inventory of the tests needs.
pub const SECRETS: &[&str] = &[
    "wso2_admin_password=Adm1n.pass",
    "db_apim_password=Apim.pass",
    "db_shared_password=Shared.pass",
    "db_mi_password=Mi.pass",
    "db_si_password=Si.pass",
    "tenant_admin_password=Tenant.pass",
];

/// A folder of packs that are just large enough for planning: the schema scripts and a driver.
pub fn packs(dir: &Path) -> PathBuf {
    let packs = dir.join("packs");
    fs::create_dir_all(&packs).unwrap();
    packs_of_level(&packs, "");
    for driver in ["mariadb-java-client.jar", "postgresql.jar"] {
        fs::write(packs.join(driver), [0xff, 0x00]).unwrap();
    }
    packs
}

/// Those of one update level: `.12`, or of none.
pub fn packs_of_level(packs: &Path, level: &str) {
    let put = |name: &str, members: &[&str]| {
        pack_of(packs, &format!("{name}{level}"), name, members);
    };
    let scripts = [
        "dbscripts/mysql.sql",
        "dbscripts/apimgt/mysql.sql",
        "dbscripts/postgresql.sql",
        "dbscripts/apimgt/postgresql.sql",
    ];
    for name in ["wso2am", "wso2am-acp", "wso2am-universal-gw", "wso2am-tm"] {
        put(&format!("{name}-4.5.0"), &scripts);
    }
    let scripts = [
        "dbscripts/mysql/mysql_cluster.sql",
        "dbscripts/postgres/postgresql_cluster.sql",
    ];
    put("wso2mi-4.4.0", &scripts);
    put("wso2si-4.3.0", &["bin/server.sh"]);
}

/// A pack that holds some files, with its name for content.
pub fn pack(dir: &Path, name: &str, members: &[&str]) {
    pack_of(dir, name, name, members);
}

/// Packs of an update level hold the folder of their version.
pub fn pack_of(dir: &Path, file: &str, name: &str, members: &[&str]) {
    let file = fs::File::create(dir.join(format!("{file}.zip"))).unwrap();
    let mut zip = zip::ZipWriter::new(file);
    let options = zip::write::SimpleFileOptions::default();
    for member in members {
        zip.start_file(format!("{name}/{member}"), options).unwrap();
        writeln!(zip, "-- {member}").unwrap();
    }
    zip.finish().unwrap();
}

/// A shipped playbook with a shipped inventory, packs in `dir`.
pub fn shipped(dir: &Path, playbook: &str, inventory: &str) -> Options {
    let mut extra_vars: Vec<String> = SECRETS.iter().map(|s| (*s).to_owned()).collect();
    extra_vars.push(format!("packs_dir={}", packs(dir).display()));
    Options {
        playbook: playbook.to_owned(),
        inventory: vec![PathBuf::from(inventory)],
        extra_vars,
        forks: 5,
        project: PathBuf::from("."),
        ..Options::default()
    }
}

/// A playbook and an inventory given as text, in a folder of their own.
pub fn written(dir: &Path, playbook: &str, inventory: &str) -> Options {
    fs::write(dir.join("play.yaml"), playbook).unwrap();
    fs::write(dir.join("hosts.yaml"), inventory).unwrap();
    Options {
        playbook: dir.join("play.yaml").display().to_string(),
        inventory: vec![dir.join("hosts.yaml")],
        forks: 5,
        project: dir.to_path_buf(),
        ..Options::default()
    }
}

/// Prepares, and shows the problems when there are any.
pub fn prepared(options: Options) -> Prepared {
    match Prepared::new(options) {
        Ok(prepared) => prepared,
        Err(problems) => panic!("{}", problems.render(false)),
    }
}

pub fn refused(options: Options) -> Problems {
    match Prepared::new(options) {
        Ok(_) => panic!("nothing was found wrong"),
        Err(problems) => problems,
    }
}
