//! Whatever people or hosts send, a reader answers or complains; it never panics and never points outside the file.

use apim_deploy::inventory::{HostPattern, Inventory};
use apim_deploy::source::{File, Problems, Span, parse};
use apim_deploy::vars::{Ladder, Layer, Scope, Unresolved};
use apim_deploy::wire::{FromWorker, ToWorker, decode, encode, frame_length};
use proptest::prelude::*;
use std::sync::Arc;

/// Text that looks enough like the real thing to get past the first check.
fn yaml_like() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "all:",
        "hosts:",
        "children:",
        "vars:",
        "- ",
        "  ",
        "\n",
        "a",
        "1",
        "\"",
        "'",
        "{",
        "}",
        "[",
        "]",
        "{{ a }}",
        "|",
        ">",
        "&x",
        "*x",
        "<<:",
        "!vault",
        "#",
        ": ",
        ",",
        "\t",
        "é",
        "\u{a0}",
        "[1:3]",
        "~",
    ]);
    prop::collection::vec(word, 0..40).prop_map(|words| words.concat())
}

fn template_like() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "{{",
        "}}",
        "{%",
        "%}",
        " a ",
        " if ",
        " for x in ",
        " else ",
        " endif ",
        " endfor ",
        "| length",
        "|",
        "(",
        ")",
        "[0]",
        ".b",
        "'",
        "\"",
        "~",
        "==",
        " is defined",
        "é",
        "\n",
        "default(value=1)",
        "1",
        "-",
    ]);
    prop::collection::vec(word, 0..25).prop_map(|words| words.concat())
}

fn points_inside(problems: &Problems) -> bool {
    problems.iter().all(|p| {
        p.span.as_ref().is_none_or(|s| {
            s.range.start <= s.file.text.len() && s.line() <= s.file.text.lines().count() + 1
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn yaml_is_read_or_refused(text in yaml_like()) {
        if let Err(problems) = parse(&File::new("any.yaml", text)) {
            prop_assert!(points_inside(&problems));
            prop_assert!(!problems.render(false).is_empty());
        }
    }

    #[test]
    fn an_inventory_is_read_or_refused(text in yaml_like(), ini in any::<bool>()) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(if ini { "hosts" } else { "hosts.yaml" });
        std::fs::write(&path, text).unwrap();
        match Inventory::load(&[path]) {
            Ok(inventory) => {
                inventory.list();
                inventory.graph();
            }
            Err(problems) => prop_assert!(points_inside(&problems)),
        }
    }

    #[test]
    fn a_host_pattern_is_read_or_refused(text in "[a-z0-9:,!&*~\\[\\]-]{0,20}") {
        if let Err(problems) = HostPattern::parse(&text, None) {
            prop_assert!(!problems.is_empty());
        }
    }

    #[test]
    fn a_template_gives_text_or_a_problem(text in template_like()) {
        let mut ladder = Ladder::default();
        ladder.push(Arc::new(Layer::new("test").with("a", vec!["x", "y"])));
        let file = File::new("any.j2", text.clone());
        let span = Span::new(&file, 0..text.len());
        if let Err(Unresolved::Wrong(problem)) = Scope::new(&ladder).template_text(&text, &span) {
            let problems = Problems::from(*problem);
            prop_assert!(points_inside(&problems));
            problems.render(false);
        }
    }

    #[test]
    fn a_hostile_frame_is_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        // Most bytes are no message; none may do worse than that.
        let _ = decode::<FromWorker>(&bytes).is_ok();
    }

    #[test]
    fn a_frame_comes_back_as_it_was(data in prop::collection::vec(any::<u8>(), 0..5000)) {
        let message = ToWorker::Piece { digest: apim_deploy::wire::Digest("d".into()), data };
        let frame = encode(&message).unwrap();
        let header: [u8; 4] = frame[..4].try_into().unwrap();
        prop_assert_eq!(frame_length(header).unwrap(), frame.len() - 4);
        prop_assert_eq!(decode::<ToWorker>(&frame[4..]).unwrap(), message);
    }
}
