//! Inventories, against what the real ansible-inventory says about them (`inventories/expect.sh`),
//! and the messages that broken ones earn.
//!
//! A case is a folder. `sources` names what `-i` is given, one a line. To write the messages anew,
//! run with `EXPECT=1` and read the difference.

#![expect(clippy::unwrap_used, reason = "a test may fail loudly")]

use apim_deploy::inventory::{HostPattern, Inventory};
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

/// What `inventories/patterns.py` wrote.
#[test]
fn patterns_select_what_ansible_selects() {
    let inventory =
        Inventory::load(&["tests/fixtures/inventories/cluster/hosts.yaml".into()]).unwrap();
    let table = fs::read_to_string("tests/fixtures/inventories/patterns.txt").unwrap();
    for line in table.lines() {
        let (pattern, hosts) = line.split_once(" => ").unwrap();
        let selected = HostPattern::parse(pattern, None)
            .unwrap()
            .select(&inventory)
            .unwrap();
        assert_eq!(selected.join(" "), hosts, "{pattern}");
    }
}

#[test]
fn a_pattern_that_cannot_be_meant_is_refused() {
    let inventory =
        Inventory::load(&["tests/fixtures/inventories/cluster/hosts.yaml".into()]).unwrap();
    for (pattern, part) in [
        ("", "the host pattern is empty"),
        (" , ", "the host pattern is empty"),
        ("gateway:!", "`!` is followed by no name"),
        ("~gw-(", "is not a pattern"),
        ("gateway[3]", "beyond the 3 hosts"),
        ("gateway[-4]", "beyond the 3 hosts"),
        ("gatway", "did you mean `gateway`?"),
        ("gateway:!gw-33", "did you mean `gw-3`?"),
        ("all:&web*", "no host or group matches `web*`"),
    ] {
        let said = refusal(&HostPattern::parse(pattern, None), &inventory);
        assert!(said.contains(part), "{pattern}: {said}");
    }
}

#[test]
fn a_limit_may_stand_in_a_file_and_never_means_everybody() {
    let inventory =
        Inventory::load(&["tests/fixtures/inventories/cluster/hosts.yaml".into()]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        format!("@{}", path.display())
    };
    let limit = HostPattern::limit(&file("retry", "gw-3\n# why\n\ngw-1\n")).unwrap();
    assert_eq!(limit.select(&inventory).unwrap(), ["gw-3", "gw-1"]);
    let both = format!("{},!gw-1", file("retry", "gw-3\ngw-1\n"));
    let limit = HostPattern::limit(&both).unwrap();
    assert_eq!(limit.select(&inventory).unwrap(), ["gw-3"]);
    for (limit, part) in [
        ("".to_owned(), "the host pattern is empty"),
        (file("empty", "\n# nobody\n"), "names no host"),
        ("@missing".to_owned(), "missing cannot be read"),
    ] {
        let said = refusal(&HostPattern::limit(&limit), &inventory);
        assert!(said.contains(part), "{limit}: {said}");
    }
}

fn refusal(pattern: &apim_deploy::source::Result<HostPattern>, inventory: &Inventory) -> String {
    let pattern = match pattern {
        Ok(pattern) => pattern,
        Err(problems) => return problems.render(false),
    };
    match pattern.select(inventory) {
        Ok(_) => pattern.complaints(inventory).render(false),
        Err(problems) => problems.render(false),
    }
}
