//! The loader's promises, one test each.

use super::*;
use serde_json::json;

fn file(text: &str) -> Arc<File> {
    File::new("x.yaml", text)
}

fn value(text: &str) -> serde_json::Value {
    match parse(&file(text)) {
        Ok(node) => node.to_value(),
        Err(problems) => panic!("{}", problems.render(false)),
    }
}

fn wrong(text: &str) -> String {
    match parse(&file(text)) {
        Ok(node) => panic!("read as {}", node.to_value()),
        Err(problems) => problems.render(false),
    }
}

#[test]
fn reads_the_usual_things() {
    let text = "---\na: 1\nb: [x, 'y', \"z\"]\nc:\n  - d: yes\n    e: ~\n  - {f: 0.5}\n";
    let expected = json!({"a": 1, "b": ["x", "y", "z"], "c": [{"d": true, "e": null}, {"f": 0.5}]});
    assert_eq!(value(text), expected);
    assert_eq!(value(""), json!(null));
    assert_eq!(value("# only a remark\n"), json!(null));
    assert_eq!(value("\u{feff}a: 1\r\nb: 2\r\n"), json!({"a": 1, "b": 2}));
    assert_eq!(value("8080: x\n"), json!({"8080": "x"}));
    assert_eq!(value("a:\nb:\n"), json!({"a": null, "b": null}));
}

#[test]
fn spans_are_bytes_of_the_text() {
    let text = "ü: 'äö'\nlist:\n  - été\n  - {k: [ß]}\n";
    let file = file(text);
    let node = parse(&file).unwrap();
    let map = node.as_map().unwrap();
    let shown = |span: &Span| text[span.range.clone()].to_owned();
    assert_eq!(shown(&map.entries[0].key_span), "ü");
    assert_eq!(shown(&map.entries[0].value.span), "'äö'");
    let list = &map.entries[1].value;
    assert_eq!(shown(&list.span), "- été\n  - {k: [ß]}");
    assert_eq!(shown(&list.as_list().unwrap()[1].span), "{k: [ß]}");
    assert_eq!(shown(&node.span), text.trim_end());
    assert_eq!(list.as_list().unwrap()[0].span.place(), "x.yaml:3:5");
}

#[test]
fn a_byte_order_mark_does_not_shift_spans() {
    let file = file("\u{feff}a: bc\n");
    let node = parse(&file).unwrap();
    let span = &node.as_map().unwrap().entries[0].value.span;
    assert_eq!(&file.text[span.range.clone()], "bc");
}

#[test]
fn a_block_text_starts_at_its_first_line() {
    let list = file("a:\n  - b: |\n      one\n      two\n    c: 1\n");
    let node = parse(&list).unwrap();
    let item = &node.as_map().unwrap().get("a").unwrap().as_list().unwrap()[0];
    let block = item.as_map().unwrap().get("b").unwrap();
    assert_eq!(block.as_text(), Some("one\ntwo\n"));
    assert_eq!(block.span.place(), "x.yaml:3:7");
    assert_eq!(
        &block.span.file.text[block.span.range.clone()],
        "one\n      two\n"
    );
    let blank = parse(&file("a: |\n\n  two\n")).unwrap();
    assert_eq!(blank.as_map().unwrap().entries[0].value.span.line(), 2);
}

#[test]
fn tags_are_kept_and_core_tags_obeyed() {
    let node = parse(&file(
        "a: !vault |\n  $ANSIBLE\nb: !unsafe 5\nc: !!str 5\nd: !!int '7'\n",
    ))
    .unwrap();
    let map = node.as_map().unwrap();
    assert_eq!(map.get("a").unwrap().tag.as_deref(), Some("vault"));
    assert_eq!(map.get("b").unwrap().tag.as_deref(), Some("unsafe"));
    assert_eq!(map.get("c").unwrap().tag, None);
    assert_eq!(
        node.to_value(),
        json!({"a": "$ANSIBLE\n", "b": "5", "c": "5", "d": 7})
    );
}

#[test]
fn merge_keys_give_way_to_own_keys() {
    let text =
        "base: &b {x: 1, y: 2}\nmore: &m {y: 3, z: 4}\na:\n  <<: [*b, *m]\n  x: 9\n'<<': t\n";
    let read = value(text);
    assert_eq!(read["a"], json!({"x": 9, "y": 2, "z": 4}));
    assert_eq!(read["<<"], "t");
}

#[test]
fn several_documents_only_where_asked() {
    let both = file("a: 1\n---\nb: 2\n");
    assert_eq!(parse_documents(&both).unwrap().len(), 2);
    assert!(wrong(&both.text).contains("a second one starts"));
}

#[test]
fn a_bomb_of_aliases_is_refused_quickly() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let inner = vec![format!("*a{}", level - 1); 10].join(", ");
        text += &format!("a{level}: &a{level} [{inner}]\n");
    }
    assert!(wrong(&text).contains("more than 200000 values"));
}

#[test]
fn depth_is_limited_however_it_is_made() {
    assert!(wrong(&"[".repeat(10_000)).contains("100 levels"));
    let block: String = (0..200).map(|n| " ".repeat(n) + "a:\n").collect();
    assert!(wrong(&block).contains("100 levels"));
    let mut aliases = "a0: &a0 [x]\n".to_owned();
    for level in 1..200 {
        aliases += &format!("a{level}: &a{level} [*a{}]\n", level - 1);
    }
    assert!(wrong(&aliases).contains("100 levels"));
}

#[test]
fn every_mistake_of_a_file_comes_out() {
    let text = "a: 1\na: 2\nb: {{ x }}\nc: *nobody\n[k]: v\nd: *\n";
    let said = wrong(&text.replace("d: *\n", ""));
    for part in [
        "`a` is written twice in one mapping",
        "first here",
        "write `\"{{ x }}\"`",
        "no `&nobody` stands above",
        "a key must be text",
    ] {
        assert!(said.contains(part), "{part} in\n{said}");
    }
}

#[test]
fn mistakes_are_explained() {
    for (text, part) in [
        ("a:\n\tb: 1\n", "YAML forbids tabs here"),
        ("a:\n  b: 1\n\tc: 2\n", "YAML forbids tabs here"),
        ("a: {{ x }}/bin\n", "write `\"{{ x }}/bin\"`"),
        (
            "a: {{ x | d(\"e\") }} # why\n",
            "write `'{{ x | d(\"e\") }}'`",
        ),
        ("- {{ x }}\n- y\n", "write `\"{{ x }}\"`"),
        ("a: b: c\n", "a `key: value` cannot start here"),
        ("a: 'b\n", "a quote is opened and never closed"),
        ("a: \"b\" c\n", "text follows a closing quote"),
        ("a: @b\n", "cannot start with this character"),
        ("a:\n  b: 1\n c: 2\n", "does not belong to what is above it"),
        ("a: [1, 2\nb: 3\n", "close every `[`"),
        ("a: [1, 2\n", "is not closed properly"),
        ("a: \"\\d\"\n", "no such escape"),
        ("a:\n\u{a0} b: 1\n", "U+00A0"),
        ("a: \u{201c}b\u{201d}\n", "U+201C"),
        ("a: b\0\n", "a NUL byte"),
        ("a: b\u{2028}c\n", "U+2028"),
        ("a: &x [*x]\n", "inside of what it names"),
        ("a: !!int b\n", "is not what its tag"),
        ("<<: 5\n", "`<<` merges a mapping"),
        (": 5\n", "a key is missing"),
    ] {
        let said = wrong(text);
        assert!(said.contains(part), "{part} in\n{said}");
    }
}
