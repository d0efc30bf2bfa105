use super::*;
use crate::source::parse;
use crate::vars::Layer;
use serde_json::json;

/// A ladder of one file of variables, and what a host has said.
fn ladder(yaml: &str) -> Ladder {
    let file = File::new("vars.yaml", yaml);
    let node = parse(&file).unwrap();
    let mut written = Layer::new("vars.yaml");
    for entry in node.as_map().map(|m| m.entries.clone()).unwrap_or_default() {
        written
            .variables
            .insert(entry.key, Variable::Written(entry.value));
    }
    let mut told = Layer::new("results").with("said", "{{ 1 + 1 }}").with(
        "done",
        json!({"changed": true, "failed": false, "rc": 0, "stdout": "ok"}),
    );
    told.variables
        .insert("later".into(), Variable::Pending("ask the host".into()));
    Ladder {
        layers: vec![Arc::new(written), Arc::new(told)],
    }
}

fn node(yaml: &str) -> Node {
    parse(&File::new("play.yaml", yaml)).unwrap()
}

fn render(vars: &str, text: &str) -> Result<Value, Unresolved> {
    Scope::new(&ladder(vars)).render(&node(text))
}

fn truth(vars: &str, condition: &str) -> Result<bool, Unresolved> {
    Scope::new(&ladder(vars)).truth(&node(condition))
}

fn shown<T: std::fmt::Debug>(result: Result<T, Unresolved>) -> String {
    match result {
        Err(Unresolved::Wrong(problem)) => problem.render(false),
        other => panic!("expected a problem, got {other:?}"),
    }
}

#[test]
fn a_sole_expression_keeps_its_type() {
    let vars = "n: 3\nxs: [1, 2]\nm: {a: {b: true}}\n";
    assert_eq!(render(vars, "'{{ n + 1 }}'"), Ok(json!(4)));
    assert_eq!(render(vars, "'{{ xs }}'"), Ok(json!([1, 2])));
    assert_eq!(render(vars, "'{{ m.a }}'"), Ok(json!({"b": true})));
    assert_eq!(render(vars, "'port {{ n }}'"), Ok(json!("port 3")));
    assert_eq!(render(vars, "'{{ none }}'"), Ok(json!(null)));
    assert_eq!(
        render(vars, "'{{ [x * 2 for x in xs] }}'"),
        Ok(json!([2, 4]))
    );
}

#[test]
fn variables_lead_to_variables() {
    let vars = "a: '{{ b }}/x'\nb: '{{ c.d }}'\nc: {d: '{{ e }}'}\ne: /opt\n";
    assert_eq!(Scope::new(&ladder(vars)).value("a"), Ok(json!("/opt/x")));
}

#[test]
fn mappings_keep_their_order() {
    assert_eq!(
        render(
            "m: {z: 1, a: 2, k: 3}\n",
            "'{% for k, v in m %}{{ k }}{{ v }} {% endfor %}'"
        ),
        Ok(json!("z1 a2 k3 "))
    );
}

#[test]
fn data_and_unsafe_texts_are_never_templates() {
    assert_eq!(render("", "'{{ said }}'"), Ok(json!("{{ 1 + 1 }}")));
    assert_eq!(render("", "'<{{ said }}>'"), Ok(json!("<{{ 1 + 1 }}>")));
    assert_eq!(
        render("u: !unsafe '{{ x }}'\n", "'{{ u }}'"),
        Ok(json!("{{ x }}"))
    );
}

#[test]
fn what_is_pending_is_said_to_be() {
    let pending = Err(Unresolved::Pending {
        name: "later".into(),
        task: "ask the host".into(),
    });
    assert_eq!(render("a: '{{ later.stdout }}'\n", "'{{ a }}'"), pending);
}

#[test]
fn an_omitted_entry_is_left_out() {
    let text = "{a: 1, b: '{{ nowhere | default(value=omit) }}', c: ['{{ omit }}', 2]}";
    assert_eq!(render("", text), Ok(json!({"a": 1, "c": [2]})));
}

#[test]
fn conditions_decide_by_booleans_only() {
    assert_eq!(truth("x: 1\n", "x == 1 and done is succeeded"), Ok(true));
    assert_eq!(truth("", "done is changed and done.rc != 0"), Ok(false));
    assert_eq!(truth("", "false"), Ok(false));
    assert_eq!(truth("a: '{{ nowhere }}'\n", "a is defined"), Ok(false));
    assert_eq!(
        truth("v: 4.10.0\n", "v is version(op='>', than='4.9.2')"),
        Ok(true)
    );
    insta::assert_snapshot!(shown(truth("x: 'false'\n", "x")));
    insta::assert_snapshot!(shown(truth("", "'{{ x }} == 1'")));
}

#[test]
fn a_missing_name_never_decides_silently() {
    let vars = "no: false\nyes_: true\n";
    assert_eq!(truth(vars, "no and absent"), Ok(false));
    assert_eq!(truth(vars, "yes_ or absent == 1"), Ok(true));
    for condition in [
        "absent == 'x'",
        "not absent",
        "yes_ and absent == 1",
        "absent or yes_",
        "absent is none",
    ] {
        let problem = shown(truth(vars, &format!("\"{condition}\"")));
        assert!(
            problem.contains("`absent` is not defined"),
            "{condition}: {problem}"
        );
    }
    assert!(
        shown(render(vars, "'{% if absent %}a{% endif %}'")).contains("`absent` is not defined")
    );
}

#[test]
fn a_broken_variable_that_nobody_asks_for_breaks_nothing() {
    let vars = "on: false\nbroken: '{{ nowhere }}'\n";
    assert_eq!(
        render(vars, "'{% if on %}{{ broken }}{% endif %}ok'"),
        Ok(json!("ok"))
    );
    assert_eq!(
        render(vars, "'{{ broken | default(value=1) }}'"),
        Ok(json!(1))
    );
    insta::assert_snapshot!(shown(render(vars, "'x{{ broken }}'")));
}

#[test]
fn mistakes_are_shown_where_they_stand() {
    let vars = "apim_home: /opt\nm: {port: 1}\nxs: [1]\n";
    insta::assert_snapshot!(shown(render(vars, "'{{ apim_hme }}/bin'")));
    insta::assert_snapshot!(shown(render(vars, "'{{ m.prot }}'")));
    insta::assert_snapshot!(shown(render(vars, "|\n  first\n  second {{ m.a.b }}\n")));
    insta::assert_snapshot!(shown(render(vars, "'{{ apim_home - 1 }}'")));
    insta::assert_snapshot!(shown(Scope::new(&ladder(vars)).text(&node("'{{ xs }}'"))));
    insta::assert_snapshot!(shown(Scope::new(&ladder(vars)).value("apim_hom")));
}

/// Tera says "undefined" and no more where it goes through a list or into a mapping; we know which variable failed.
#[test]
fn what_is_missing_below_a_list_is_named() {
    let vars = "users: ['{{ password }}']\nby_name: {a: '{{ password }}'}\n";
    for text in ["{{ [u for u in users] }}", "{{ by_name['a'] }}"] {
        let said = shown(render(vars, &format!("\"{text}\"")));
        assert!(said.contains("`password` is not defined"), "{said}");
    }
}

#[test]
fn cycles_are_printed() {
    insta::assert_snapshot!(shown(
        Scope::new(&ladder("a: '{{ b }}'\nb: 'x {{ c }}'\nc: '{{ a }}'\n")).value("a")
    ));
}

#[test]
fn jinja_forms_are_answered_with_ours() {
    let texts = [
        "{{ x | default('d') }}",
        "{{ xs | join(',') }}",
        "{{ 'a' if x }}",
        "{{ x.upper() }}",
        "{% for k, v in m.items() %}{% endfor %}",
        "{{ x + 'b' }}",
        "{{ xs | selectattr('on') }}",
        "{{ x | uper }}",
        "{{ x is version('1', '>') }}",
    ];
    let shown: Vec<_> = texts
        .map(|t| shown(render("x: a\nxs: [1]\nm: {a: 1}\n", &format!("\"{t}\""))))
        .into();
    insta::assert_snapshot!(shown.join("\n\n"));
}

#[test]
fn filters_do_what_they_say() {
    let vars = "m: {a: {x: 1}, b: 2}\np: /opt/wso2/apim.zip\n";
    for (expression, expected) in [
        ("p | basename", json!("apim.zip")),
        ("p | dirname", json!("/opt/wso2")),
        (
            "p | regex_replace(pattern='(.*)\\\\.zip$', replacement='\\\\1')",
            json!("/opt/wso2/apim"),
        ),
        ("p | regex_search(pattern='wso2/(\\\\w+)')", json!("apim")),
        (
            "m | combine(with={'a': {'y': 2} }, recursive=true)",
            json!({"a": {"x": 1, "y": 2}, "b": 2}),
        ),
        (
            "m | combine(with=[{'b': 3}, {'c': 4}])",
            json!({"a": {"x": 1}, "b": 3, "c": 4}),
        ),
        (
            "m | dict2items | items2dict",
            json!({"a": {"x": 1}, "b": 2}),
        ),
        ("'x' | b64encode | b64decode", json!("x")),
        ("'yes' | bool", json!(true)),
        ("[3, 1, 2] | max", json!(3)),
        ("true | ternary(yes='a', no='b')", json!("a")),
        ("m | to_json", json!(r#"{"a":{"x":1},"b":2}"#)),
        ("'[1]' | from_json", json!([1])),
        (
            "'' | hash",
            json!("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ),
        ("[1, 2] | union(with=[2, 3])", json!([1, 2, 3])),
        ("[[1, 2], [], 3] | flatten", json!([1, 2, 3])),
        ("p is match(pattern='/opt')", json!(true)),
        ("p is search(pattern='opt$')", json!(false)),
    ] {
        let ladder = ladder(vars);
        let scope = Scope::new(&ladder);
        let file = File::new("t", format!("{{{{ {expression} }}}}"));
        let node = Node {
            value: Yaml::Text(file.text.clone()),
            span: Span::new(&file, 0..file.text.len()),
            tag: None,
        };
        assert_eq!(scope.render(&node), Ok(expected), "{expression}");
    }
}

#[test]
fn a_template_file_points_into_itself() {
    let ladder = ladder("port: 9443\n");
    let scope = Scope::new(&ladder);
    let good = File::new("roles/r/templates/a.toml", "port = {{ port }}\n");
    assert_eq!(scope.file(&good), Ok("port = 9443\n".into()));
    let bad = File::new("roles/r/templates/b.toml", "[server]\nport = {{ prt }}\n");
    insta::assert_snapshot!(shown(scope.file(&bad)));
}

#[test]
fn a_long_way_to_a_value_ends() {
    let vars: String = (0..60)
        .map(|n| format!("v{n}: '{{{{ v{} }}}}'\n", n + 1))
        .collect();
    let problem = shown(Scope::new(&ladder(&vars)).value("v0"));
    assert!(
        problem.contains("more than 50 variables lead to one another"),
        "{problem}"
    );
}

#[test]
fn what_a_name_hides_is_asked_once() {
    let ladder = ladder("a: '{{ b }}'\nb: 1\n");
    let scope = Scope::new(&ladder);
    assert_eq!(scope.get("a"), Some(Ok(json!(1))));
    assert_eq!(scope.get("nowhere"), None);
    assert_eq!(scope.text(&node("'{{ a }}'")), Ok("1".into()));
}
