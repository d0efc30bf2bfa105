//! What `lint` says of tasks that only a run decides: a name that nobody can define, and a value that an assertion
//! refuses, are found before any host is contacted.

use super::*;

/// Lints tasks behind one that registers `out`, with variables of the play.
fn lint(vars: &str, tasks: &str) -> Said {
    let tasks = tasks.replace('\n', "\n    ");
    let play = format!(
        "- name: Play\n  hosts: apim\n  vars: {{ {vars} }}\n  tasks:\n    - name: Ask\n      command: {{ cmd: date }}\n      \
         register: out\n    {tasks}\n"
    );
    let project = Project::new(&[("hosts.yaml", HOSTS), ("site.yaml", &play)]);
    project.run(&["lint", "site.yaml", "-i", "hosts.yaml"])
}

#[test]
fn a_name_beside_a_result_is_looked_up() {
    for (tasks, name, near) in [
        (
            "- debug: { msg: '{{ out.stdout }} {{ undefinedvar }}' }",
            "undefinedvar",
            "",
        ),
        (
            "- debug: { msg: x }\n  when: out.rc == 0 and undefinedvar",
            "undefinedvar",
            "",
        ),
        (
            "- debug: { msg: '{{ oot.rc }} {{ out.rc }}' }",
            "oot",
            "out",
        ),
        (
            "- command: { cmd: date }\n  register: it\n  failed_when: ti.rc != 0",
            "ti",
            "it",
        ),
        (
            "- command: { cmd: date }\n  changed_when: maybe",
            "maybe",
            "",
        ),
        (
            "- command: { cmd: date }\n  register: it\n  changed_when: it.rc == 0 or maybe",
            "maybe",
            "",
        ),
        (
            "- command: { cmd: date }\n  register: it\n  until: it.rc == 0\n  retries: '{{ nope }}'",
            "nope",
            "",
        ),
        (
            "- command: { cmd: date }\n  register: it\n  until: it.rc == 0\n  delay: '{{ nope }}'",
            "nope",
            "",
        ),
        (
            "- debug: { msg: x }\n  loop: '{{ out.stdout_lines }}'\n  when: nope2 == item",
            "nope2",
            "",
        ),
        (
            "- debug: { msg: x }\n  loop: '{{ out.stdout_lines }}'\n  register: it\n  failed_when: it.x == nope3",
            "nope3",
            "",
        ),
        ("- set_fact: { seen: '{{ out.rc ~ nope4 }}' }", "nope4", ""),
        (
            "- debug: { msg: '{{ text }}' }\n  vars: { text: '{{ out.rc }} {{ nope5 }}' }",
            "nope5",
            "",
        ),
        (
            "- debug: { msg: '{{ out.rc }}' }\n  environment: { A: '{{ nope6 }}' }",
            "nope6",
            "",
        ),
    ] {
        let said = lint("", tasks).is(2);
        let said = said.says(&[
            &format!("`{name}` is not defined"),
            "site.yaml:",
            "1 mistake",
        ]);
        if !near.is_empty() {
            said.says(&[&format!("did you mean `{near}`?")]);
        }
    }
}

#[test]
fn all_names_in_one_go() {
    lint(
        "",
        "- debug: { msg: '{{ out.rc }} {{ one }}' }\n  when: two == 2\n  failed_when: three == 3",
    )
    .is(2)
    .says(&["`one`", "`two`", "`three`"]);
}

#[test]
fn a_name_that_may_be_absent_or_is_made_here_is_no_mistake() {
    for tasks in [
        "- debug: { msg: '{{ out.rc }} {{ maybe | default(value=1) }}' }",
        "- debug: { msg: '{{ out.rc }} {{ maybe.a[0] | default(value=1) }}' }",
        "- debug: { msg: '{{ out.rc }} {{ maybe }}' }\n  when: maybe is defined",
        "- debug: { msg: '{{ out.rc if maybe is defined and maybe else 0 }}' }",
        "- debug: { msg: '{{ [x.a for x in out.list if x] }}' }",
        "- debug: { msg: '{% for k, v in out.map %}{{ k }}{{ v }}{{ loop.index }}{% endfor %}' }",
        "- debug: { msg: '{% set a = out.rc %}{{ a }}' }",
        "- debug: { msg: '{{ item }}{{ at }}' }\n  loop: '{{ out.list }}'\n  loop_control: { index_var: at, label: '{{ item }}' }",
        "- debug: { msg: '{{ each }}' }\n  loop: '{{ out.list }}'\n  loop_control: { loop_var: each }",
        "- debug: { msg: '{{ out.rc }} {{ nothing }}' }\n  when: [out.rc == 0, inventory_hostname == 'other']",
        "- debug: { msg: '{{ out.rc }}{{ hostvars[inventory_hostname].heap }}{{ groups.apim }}{{ ansible_check_mode }}{{ omit }}' }",
        "- command: { cmd: date }\n  register: it\n  until: it is succeeded and it.rc == 0\n  failed_when: it.rc > 1\n  changed_when: \"'x' in it.stdout\"",
        "- set_fact: { seen: '{{ out.rc }}' }\n- debug: { msg: '{{ seen }}{{ out.rc }}' }",
    ] {
        lint("", tasks).is(0);
    }
}

#[test]
fn what_decides_a_step_is_checked_where_it_is_known() {
    for (tasks, says) in [
        (
            "- command: { cmd: date }\n  changed_when: text",
            "the condition gives text, not a boolean",
        ),
        (
            "- command: { cmd: date }\n  failed_when: [true, count]",
            "the condition gives a number, not a boolean",
        ),
        (
            "- command: { cmd: date }\n  until: text\n  retries: 2",
            "the condition gives text, not a boolean",
        ),
        (
            "- command: { cmd: date }\n  until: true\n  retries: '{{ text }}'",
            "this must be a whole number",
        ),
    ] {
        lint("text: words, count: 3", tasks)
            .is(2)
            .says(&[says, "site.yaml:"]);
    }
    lint(
        "text: words",
        "- command: { cmd: date }\n  failed_when: [false, text]",
    )
    .is(0);
}

#[test]
fn an_assertion_that_fails_in_any_case_is_a_mistake() {
    lint("", "- assert: { that: 1 == 2 }").is(2).says(&[
        "error: `1 == 2` does not hold",
        "site.yaml:8:",
        "does not hold on apim-1",
    ]);
    lint(
        "size: 3",
        "- assert:\n    that: [true, size > 5, size > 9]\n    fail_msg: '{{ size }} is too small'",
    )
    .is(2)
    .says(&[
        "error: 3 is too small",
        "nor does this",
        "`size` is `3`",
        "1 mistake",
    ]);
}

#[test]
fn an_assertion_that_a_host_decides_is_left_to_the_run() {
    for tasks in [
        "- assert: { that: out.rc == 1 }",
        "- assert: { that: ansible_facts.os_family == 'RedHat' }",
        "- assert: { that: family == 'RedHat' }\n  vars: { family: '{{ ansible_os_family }}' }",
        "- assert: { that: \"hostvars['apim-1'].ansible_os_family | default(value='') == 'RedHat'\" }",
        "- assert: { that: 1 == 2 }\n  when: ansible_os_family == 'RedHat'",
        "- assert: { that: 1 == 2 }\n  when: inventory_hostname == 'other'",
        "- assert: { that: 1 == 2 }\n  when: out.rc == 0",
        "- assert: { that: 1 == 2 }\n  ignore_errors: true",
        "- block:\n    - assert: { that: 1 == 2 }\n  rescue:\n    - assert: { that: 1 == 3 }",
        "- set_fact: { family: x }\n  when: ansible_os_family == 'Debian'\n- assert: { that: family == 'y' }",
        "- block:\n    - set_fact: { way: good }\n    - command: { cmd: date }\n  rescue:\n    - set_fact: { way: bad }\n- assert: { that: way == 'good' }",
    ] {
        lint("", tasks).is(0);
    }
    lint("", "- block:\n    - assert: { that: 1 == 2 }").is(2);
    lint(
        "",
        "- set_fact: { family: x }\n- assert: { that: family == 'y' }",
    )
    .is(2);
}

#[test]
fn a_refused_secret_is_not_shown() {
    for tasks in [
        "- assert: { that: \"my_password is match(pattern='^.{12,}$')\" }",
        "- assert: { that: \"my_password is match(pattern='^.{12,}$')\", fail_msg: '{{ my_password }} is short' }",
        "- assert: { that: \"my_password is match(pattern='^.{12,}$')\", fail_msg: '{{ my_password }} is short' }\n  no_log: true",
    ] {
        lint("my_password: s3cr3t", tasks)
            .is(2)
            .says(&["does not hold"])
            .never_says(&["s3cr3t"]);
    }
}

#[test]
fn what_is_missing_is_named() {
    lint("", "- debug: { msg: \"{{ hostvars['nohost'].x }}\" }")
        .is(2)
        .says(&["there is no host `nohost`"]);
    lint("", "- debug: { msg: \"{{ hostvars['apim1'].x }}\" }")
        .is(2)
        .says(&["there is no host `apim1`", "did you mean `apim-1`?"]);
    lint("", "- debug: { msg: \"{{ hostvars['apim-1'].hepa }}\" }")
        .is(2)
        .says(&[
            "`hepa` of host `apim-1` is not defined",
            "did you mean `heap`?",
        ]);
    lint(
        "login: '{{ my_password }}', my_password: s3cr3t",
        "- debug: { msg: '{{ groups[login][0] }}' }",
    )
    .is(2)
    .never_says(&["s3cr3t"]);
    lint("m: { a: 1 }, k: b", "- debug: { msg: '{{ m[k][0] }}' }")
        .is(2)
        .says(&["`m` has no `b`", "`k` is `b`"]);
    let made = "m: \"{{ [{'key': h, 'value': hostvars[h].secret_word} for h in groups.apim] | items2dict }}\"";
    lint(made, "- debug: { msg: \"{{ m['apim-2'] }}\" }")
        .is(2)
        .says(&["`secret_word` of host `apim-2` is not defined"]);
}

#[test]
fn a_text_where_a_list_is_wanted() {
    for text in [
        "{{ [x ~ '!' for x in names] }}",
        "{% for x in names %}{{ x }}{% endfor %}",
    ] {
        lint("names: one", &format!("- debug: {{ msg: \"{text}\" }}"))
            .is(2)
            .says(&["`names` is text, and a list is wanted", "`names` is `one`"]);
        lint("names: [one]", &format!("- debug: {{ msg: \"{text}\" }}")).is(0);
    }
}

#[test]
fn suggestions_are_slips_of_the_pen() {
    let known = "db_admin_password: a, si_port: b, lb_certificate: c, api_hostname: d";
    for (name, near) in [
        ("db_apim_password", None),
        ("mi_port", None),
        ("apim_hostname", None),
        ("db_admin_pasword", Some("db_admin_password")),
        ("lbcertificate", Some("lb_certificate")),
    ] {
        let said = lint(known, &format!("- debug: {{ msg: '{{{{ {name} }}}}' }}")).is(2);
        match near {
            None => said.never_says(&["did you mean"]),
            Some(near) => said.says(&[&format!("did you mean `{near}`?")]),
        };
    }
}

/// A refusal tells whose value it is, once, and a secret beside it is not shown.
#[test]
fn a_role_that_refuses_a_value_shows_where_it_was_given() {
    let vars = "engines: { a: 1 }, \
                facts: \"{{ engines[my_engine] if my_engine in engines else throw(message='my_engine: choose ' ~ engines | keys | join(sep=', ')) }}\"";
    let play = format!(
        "- name: Play\n  hosts: apim\n  vars: {{ {vars} }}\n  tasks:\n    - debug: {{ msg: '{{{{ facts }}}}' }}\n    \
         - debug: {{ msg: '{{{{ engines[my_engine].port }}}}' }}\n"
    );
    let project = Project::new(&[("hosts.yaml", HOSTS), ("site.yaml", &play)]);
    let lint = |extra: &str| project.run(&["lint", "site.yaml", "-i", "hosts.yaml", "-e", extra]);
    lint("my_engine=oracle").is(2).says(&[
        "error: my_engine: choose a",
        "-e:1:1",
        "`my_engine` is `oracle`",
        "1 mistake",
    ]);
    lint("my_engine=oracle my_password=s3cr3t")
        .is(2)
        .says(&["`my_engine` stands at -e:1:1"])
        .never_says(&["s3cr3t"]);
    lint("my_engine=a").never_says(&["choose"]);
}
