//! `apim-deploy upgrade` and `rollback` from outside, up to the first host: what is wrong is found before anybody is asked.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::process::{Command, Stdio};
use tempfile::TempDir;

struct Said {
    code: i32,
    text: String,
}

impl Said {
    #[track_caller]
    fn is(&self, code: i32, parts: &[&str]) {
        assert_eq!(self.code, code, "{}", self.text);
        for part in parts {
            assert!(
                self.text.contains(part),
                "`{part}` is missing in:\n{}",
                self.text
            );
        }
    }
}

/// The shipped inventory without streaming, with packs.
fn project() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    support::packs(dir.path());
    dir
}

fn command_for(verb: &str, inventory: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_apim-deploy"));
    command.args([verb, "standard-ha", "-i", inventory]);
    command
}

fn apim_deploy(dir: &TempDir, verb: &str, words: &[&str]) -> Said {
    let mut command = command_for(verb, "inventories/standard-ha-mi.yaml");
    said_by(&mut command, dir, words)
}

fn said_by(command: &mut Command, dir: &TempDir, words: &[&str]) -> Said {
    for secret in support::SECRETS {
        command.args(["-e", secret]);
    }
    let packs = format!("packs_dir={}", dir.path().join("packs").display());
    let output = command
        .args(["-e", &packs])
        .args(words)
        .env("NO_COLOR", "1")
        .env("HOME", dir.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    Said {
        code: output.status.code().unwrap(),
        text: String::from_utf8(text).unwrap(),
    }
}

#[test]
fn missing_packs_are_named_all_at_once() {
    let dir = project();
    apim_deploy(&dir, "upgrade", &["--to", "+12", "--to", "mi=4.4.0+3"]).is(
        2,
        &[
            "wso2am-4.5.0.12.zip` is missing",
            "wso2mi-4.4.0.3.zip` is missing",
            "nothing was contacted",
        ],
    );
}

#[test]
fn another_line_is_refused_by_what_the_inventory_says() {
    let dir = project();
    for product in ["4.6.0", "apim=4.6.0+2"] {
        apim_deploy(&dir, "upgrade", &["--to", product]).is(
            2,
            &[
                "is of another line than 4.5.0, which the inventory names for apim-1",
                "playbooks/migrate.yaml",
            ],
        );
    }
    let said = apim_deploy(&dir, "upgrade", &["--to", "mi=4.5.0"]);
    said.is(
        2,
        &[
            "mi 4.5.0 is of another line than 4.4.0, which the inventory names for mi-1",
            "`mi_rolls_lines: true` in the inventory lets 4.5.0 be rolled out",
        ],
    );
    assert!(!said.text.contains("migrate.yaml"), "{}", said.text);
    let said = apim_deploy(&dir, "upgrade", &["--to", "mi=4.3"]);
    said.is(
        2,
        &[
            "mi 4.3 is of another line than 4.4.0, which the inventory names for mi-1",
            "no run goes back to an older line",
        ],
    );
    assert!(!said.text.contains("migrate.yaml"), "{}", said.text);
    // Where the inventory says that MI's nodes may meet, hosts are asked; the pack is missing all the same.
    let said = apim_deploy(
        &dir,
        "upgrade",
        &["--to", "mi=4.5.0", "-e", "mi_rolls_lines=true"],
    );
    said.is(2, &["wso2mi-4.5.0.zip` is missing"]);
    assert!(!said.text.contains("another line"), "{}", said.text);
}

/// Streaming has no way of its own, and API Manager's is not for it.
#[test]
fn another_line_of_streaming_stands_beside_the_old_one() {
    let dir = project();
    let mut command = command_for("upgrade", "inventories/standard-ha.yaml");
    said_by(&mut command, &dir, &["--to", "si=4.4.0"]).is(
        2,
        &[
            "si 4.4.0 is of another line than 4.3.0, which the inventory names for si-1",
            "deploy 4.4.0 as a cluster of its own",
            "playbooks/migrate.yaml moves API Manager alone",
        ],
    );
}

#[test]
fn words_that_name_no_release() {
    let dir = project();
    for (words, said) in [
        ("am=4.5.0", "`am` is none of apim, mi, si"),
        ("4.x", "`4.x` is neither a level (+12) nor a version"),
        ("", "neither a level"),
    ] {
        apim_deploy(&dir, "upgrade", &["--to", words]).is(2, &[said]);
    }
    apim_deploy(&dir, "upgrade", &[]).is(2, &["--to <[PRODUCT=]VERSION[+LEVEL]>"]);
    apim_deploy(&dir, "upgrade", &["--to", "+1", "--to", "apim=+2"])
        .is(2, &["--to names apim twice"]);
}

#[test]
fn a_product_that_is_not_deployed() {
    let dir = project();
    apim_deploy(&dir, "upgrade", &["--to", "si=4.3.0"])
        .is(2, &["--to names si, and nothing of it is deployed"]);
}

#[test]
fn help_teaches() {
    let dir = project();
    apim_deploy(&dir, "upgrade", &["--help"])
        .is(0, &["--to +12 --check", "playbooks/migrate.yaml"]);
    apim_deploy(&dir, "rollback", &["--help"])
        .is(0, &["rollback standard-ha -i prod.yaml --check"]);
}

/// Everybody is this computer; nothing of it may be touched, for nothing is confirmed.
const MIGRATION: &str = "\
all:
  vars: { ansible_connection: local, ansible_become: false, apim_hostname: apim.example.com, api_hostname: api.example.com,
          db_host: 10.9.0.9, database_max_connections: 0 }
  children:
    old_apim: { hosts: { old-1: , old-2: } }
    apim: { hosts: { new-1: { node_address: 10.9.1.1 }, new-2: { node_address: 10.9.1.2 } } }
    load_balancer: { hosts: { lb-1: { node_address: 10.9.0.5 } } }
";

fn migrate(dir: &TempDir, verb: &str, words: &[&str]) -> Said {
    std::fs::write(dir.path().join("hosts.yaml"), MIGRATION).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_apim-deploy"));
    command.args([verb, "migrate", "-i", "hosts.yaml"]);
    for secret in support::SECRETS {
        command.args(["-e", secret]);
    }
    let output = command
        .args(words)
        .current_dir(dir.path())
        .env("NO_COLOR", "1")
        .env("HOME", dir.path())
        .env("APIM_DEPLOY_STATE", dir.path().join("state"))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    Said {
        code: output.status.code().unwrap(),
        text: String::from_utf8(text).unwrap(),
    }
}

/// All that a migration asks to be confirmed, but for the server of the old databases.
const CONFIRMED: &str = "migrate_from: 4.4.0, migrate_publishing_frozen: true, migrate_backup: nightly, migrate_same_keystores: true, \
                         migrate_database_is_a_copy: true, migrate_database_command: 'true', migrate_client_command: 'true'";

#[test]
fn a_migration_begins_with_what_is_confirmed() {
    let dir = project();
    for verb in ["lint", "run"] {
        migrate(&dir, verb, &[]).is(
            2,
            &[
                "roles/migration/defaults/main.yaml",
                "migrate_publishing_frozen | bool",
                "nothing was contacted",
            ],
        );
    }
    let confirmed = format!("{{{CONFIRMED}, migrate_old_db_host: 10.9.0.8}}");
    migrate(&dir, "lint", &["-e", &confirmed]).is(0, &["nothing was contacted"]);
}

/// Each confirmation is asked for by itself, and the databases must be two.
#[test]
fn a_migration_on_the_old_database_is_refused() {
    let dir = project();
    let same = format!("{{{CONFIRMED}, migrate_old_db_host: 10.9.0.9}}");
    migrate(&dir, "run", &["-e", &same]).is(
        2,
        &[
            "4.5.0 must not meet 4.4.0 on one host or in one database",
            "nothing was contacted",
        ],
    );
}
