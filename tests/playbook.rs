//! The gallery of broken playbooks: each folder of `tests/fixtures/errors/playbook` has one, and the
//! exact words it earns in `expected.txt`. `UPDATE=1 cargo test --test playbook` writes them anew.
#![expect(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use apim_deploy::playbook::Playbook;
use apim_deploy::source::Library;
use std::path::{Path, PathBuf};

const GALLERY: &str = "tests/fixtures/errors/playbook";

#[test]
fn every_mistake_earns_its_words() {
    let cases = cases();
    assert!(
        cases.len() >= 40,
        "the gallery has only {} cases",
        cases.len()
    );
    let wrong: Vec<String> = cases.iter().filter_map(|case| difference(case)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn cases() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(GALLERY).unwrap();
    let mut cases: Vec<_> = entries.map(|e| e.unwrap().path()).collect();
    cases.sort();
    cases
}

/// What the case says, when that is not what it should say.
fn difference(case: &Path) -> Option<String> {
    let said = said(case);
    let expected = case.join("expected.txt");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&expected, &said).unwrap();
    }
    let expected = std::fs::read_to_string(&expected).unwrap_or_default();
    (said != expected).then(|| {
        let case = case.display();
        format!("{case}\n--- expected\n{expected}--- said\n{said}")
    })
}

fn said(case: &Path) -> String {
    let library = Library::new(case);
    let path = case.join("playbook.yaml");
    match Playbook::load(&library, &path.display().to_string()) {
        Ok(_) => "nothing\n".to_owned(),
        Err(problems) => problems
            .render(false)
            .replace(&format!("{}/", case.display()), ""),
    }
}
