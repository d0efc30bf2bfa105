//! Inventories, against what the real ansible-inventory says about them (`inventories/expect.sh`),
//! and the messages that broken ones earn.
//!
//! A case is a folder. `sources` names what `-i` is given, one a line. To write the messages anew,
//! run with `EXPECT=1` and read the difference.

use apim_deploy::inventory::Inventory;
use std::fs;
use std::path::{Path, PathBuf};

fn cases(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new("tests/fixtures").join(folder);
    let mut cases: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .collect();
    cases.sort();
    cases
}

fn sources(case: &Path) -> Vec<PathBuf> {
    let text = fs::read_to_string(case.join("sources")).unwrap();
    let place = |source: &str| match case.join(source) {
        path if path.exists() || !source.contains(',') => path,
        _ => PathBuf::from(source),
    };
    text.lines().map(place).collect()
}

#[test]
fn list_and_graph_are_ansibles() {
    let cases = cases("inventories");
    assert!(cases.len() >= 25, "{}", cases.len());
    let mut wrong = Vec::new();
    for case in &cases {
        let inventory = match Inventory::load(&sources(case)) {
            Ok(inventory) => inventory,
            Err(problems) => panic!("{}: {}", case.display(), problems.render(false)),
        };
        let expected: serde_json::Value =
            serde_json::from_str(&fs::read_to_string(case.join("list.json")).unwrap()).unwrap();
        let list = inventory.list();
        if list != expected {
            wrong.push(format!(
                "{}\n{list:#}\nis not\n{expected:#}",
                case.display()
            ));
        }
        let expected = fs::read_to_string(case.join("graph.txt")).unwrap();
        if inventory.graph() != expected {
            wrong.push(format!(
                "{}\n{}\nis not\n{expected}",
                case.display(),
                inventory.graph()
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn a_broken_inventory_says_how_to_mend_it() {
    let cases = cases("errors/inventory");
    assert!(cases.len() >= 25, "{}", cases.len());
    let mut wrong = Vec::new();
    for case in &cases {
        let said = match Inventory::load(&sources(case)) {
            Ok(inventory) => format!("read without a word: {:#}", inventory.list()),
            Err(problems) => problems
                .render(false)
                .replace(&format!("{}/", case.display()), ""),
        };
        let place = case.join("expected.txt");
        if std::env::var_os("EXPECT").is_some() {
            fs::write(&place, &said).unwrap();
        }
        let expected = fs::read_to_string(&place).unwrap_or_default();
        if said != expected {
            wrong.push(format!("{}\n{said}\nis not\n{expected}", case.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}
