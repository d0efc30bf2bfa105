//! The language of playbooks from end to end, on this very machine.

use super::*;

const LANGUAGE: &str = "\
- name: The language
  hosts: here
  vars:
    work: '{{ playbook_dir }}/work'
    names: [one, two]
  handlers:
    - name: Count a change
      shell: 'echo change >> {{ work }}/changes'
    - name: Hear a topic
      listen: it changed
      shell: 'echo topic >> {{ work }}/changes'
  pre_tasks:
    - name: Make room
      file: { path: '{{ work }}', state: directory, mode: '0750' }
  tasks:
    - name: Copy words
      copy: { content: 'hello\\n', dest: '{{ work }}/words', mode: '0640' }
      notify: Count a change
    - name: Render a file
      template: { src: greeting.txt, dest: '{{ work }}/greeting' }
      notify: it changed
    - name: Keep one file per name
      copy: { content: '{{ item.name }} {{ at }}', dest: '{{ work }}/{{ item.name }}' }
      loop:
        - { mode: '0644', name: one }
        - { mode: '0644', name: two }
      loop_control: { index_var: at }
      tags: [files]
    - name: Ask a program
      command: { argv: [printf, '%s', '4.5.0'] }
      register: version
      changed_when: false
      check_mode: false
    - name: Decide by its answer
      copy: { content: 'new', dest: '{{ work }}/decided' }
      when: version.stdout is version(than='4.4.0', op='>')
    - name: Decide against it
      fail: { msg: never }
      when: version.stdout == '1.0'
    - name: Handlers, now
      meta: flush_handlers
    - name: Try
      block:
        - name: Go wrong
          command: 'false'
          when: not ansible_check_mode
        - name: Never come here
          fail: { msg: skipped by the failure }
          when: not ansible_check_mode
      rescue:
        - name: Mend it
          copy: { content: mended, dest: '{{ work }}/mended' }
      always:
        - name: Tidy up
          debug: { msg: tidy }
    - name: Look away
      command: 'false'
      ignore_errors: true
      changed_when: false
      when: not ansible_check_mode
    - name: Wait for the third time
      shell: 'echo x >> {{ work }}/tries; wc -l < {{ work }}/tries'
      register: tries
      until: tries.stdout | int >= 3
      retries: 5
      delay: 0
      changed_when: false
      when: not ansible_check_mode
    - name: Ask the controller
      command: { cmd: echo here }
      delegate_to: localhost
      run_once: true
      register: answer
      changed_when: false
      check_mode: false
    - name: Remember
      set_fact: { seen: '{{ answer.stdout }}' }
    - name: Keep a secret
      copy: { content: 's3cret-value', dest: '{{ work }}/secret', mode: '0600' }
      no_log: true
    - name: Keep several
      copy: { content: '{{ item }}', dest: '{{ work }}/secret-2', mode: '0600' }
      loop: ['s3cret-value']
      no_log: true
  post_tasks:
    - name: All of it is true
      assert:
        that:
          - seen == 'here'
          - names | length == 2
        fail_msg: it is not
";

fn language() -> Project {
    Project::new(&[
        ("hosts.yaml", HERE),
        ("site.yaml", LANGUAGE),
        (
            "templates/greeting.txt",
            "Hello {{ names | join(sep=' and ') }}\n",
        ),
    ])
}

const SITE: &[&str] = &["run", "site.yaml", "-i", "hosts.yaml", "--output", "plain"];

#[test]
fn the_language_from_end_to_end() {
    let project = language();
    let check = project.run(&[SITE, &["--check", "--diff"]].concat());
    check
        .is(0)
        .says(&[
            "Copy words: create",
            "+hello",
            "Render a file: create",
            "+Hello one and two",
            "checked: nothing was changed",
        ])
        .never_says(&["s3cret-value"]);
    assert!(!project.path().join("work").exists());

    let first = project.run(&[SITE, &["-v", "--diff"]].concat()).is(0);
    snapshot("run-first", &untimed(first));
    assert_eq!(project.read("work/changes"), "change\ntopic\n");
    assert_eq!(project.read("work/greeting"), "Hello one and two\n");
    assert_eq!(project.read("work/two"), "two 1");
    assert_eq!(project.read("work/mended"), "mended");

    fs::remove_file(project.path().join("work/tries")).unwrap();
    let second = project.run(SITE).is(0);
    snapshot("run-second", &untimed(second));
    assert_eq!(project.read("work/changes"), "change\ntopic\n");

    // What a check announces after a change is what the run then does.
    project.write("templates/greeting.txt", "Goodbye\n");
    let check = project.run(&[SITE, &["--check"]].concat()).is(0);
    fs::remove_file(project.path().join("work/tries")).unwrap();
    let run = project.run(SITE).is(0);
    let changes = |said: &Said, word: &str| -> Vec<String> {
        let of = |line: &str| Some(line.split_once(word)?.1.trim().to_owned());
        said.out
            .lines()
            .filter(|l| l.starts_with("localhost"))
            .filter_map(of)
            .filter(|t| t.contains(':'))
            .collect()
    };
    let wanted = [
        "Render a file: update",
        "Hear a topic: run echo topic >> DIR/work/changes",
    ];
    assert_eq!(changes(&check, "would change"), wanted);
    assert_eq!(changes(&run, " changed "), wanted);
}

#[test]
fn the_language_as_json() {
    let project = language();
    let said = project
        .run(&["run", "site.yaml", "-i", "hosts.yaml", "--output", "json"])
        .is(0);
    assert!(!said.out.contains("s3cret-value"));
    let events: Vec<Value> = said
        .out
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    assert_eq!(events.first().unwrap()["event"], "run");
    let recap = events.last().unwrap();
    assert_eq!(recap["event"], "recap");
    assert_eq!(recap["hosts"]["localhost"]["failed"], 0);
    let step = events.iter().find(|e| e["task"] == "Copy words").unwrap();
    assert_eq!(step["outcome"], "changed");
    assert_eq!(step["at"], "site.yaml:16:7");
}

#[test]
fn tags_choose_tasks() {
    let project = language();
    fs::create_dir(project.path().join("work")).unwrap();
    let said = project.run(&[SITE, &["-t", "files"]].concat()).is(0);
    assert_eq!(said.out.matches("changed  ").count(), 2, "{}", said.out);
    project
        .run(&[SITE, &["--skip-tags", "files"]].concat())
        .is(0)
        .never_says(&["Keep one file"]);
    project
        .run(&[SITE, &["-e", "names=nobody"]].concat())
        .is(2)
        .says(&["nothing was contacted"]);
}
