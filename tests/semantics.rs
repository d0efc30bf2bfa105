//! What a run means, end to end on this machine: handlers, `register`, verdicts, blocks, interruption.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use apim_deploy::plan::Line;
use apim_deploy::run::{Options, Prepared};
use apim_deploy::wire::Item;
use std::path::Path;
use std::process::{Command, Output, Stdio};

const HOST: &str = "all:\n  hosts:\n    a: { ansible_connection: local }\n";

/// What a run ended with: its exit code and what it said.
struct Ran {
    code: Option<i32>,
    said: String,
}

impl Ran {
    fn says(&self, text: &str) -> bool {
        self.said.contains(text)
    }
}

fn command(dir: &Path, playbook: &str, arguments: &[&str]) -> Command {
    std::fs::write(dir.join("play.yaml"), playbook).unwrap();
    if !dir.join("hosts.yaml").exists() {
        std::fs::write(dir.join("hosts.yaml"), HOST).unwrap();
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_apim-deploy"));
    command
        .args([
            "run",
            "./play.yaml",
            "-i",
            "hosts.yaml",
            "-v",
            "--output",
            "plain",
        ])
        .args(arguments)
        .current_dir(dir)
        .env("APIM_DEPLOY_STATE", dir.join("state"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn ran(output: &Output) -> Ran {
    let said = [output.stdout.as_slice(), &output.stderr].concat();
    Ran {
        code: output.status.code(),
        said: String::from_utf8(said).unwrap(),
    }
}

/// Runs tasks and handlers in a folder; `DIR` in them is the folder.
fn run_in(dir: &Path, playbook: &str, arguments: &[&str]) -> Ran {
    let playbook = playbook.replace("DIR", &dir.display().to_string());
    ran(&command(dir, &playbook, arguments).output().unwrap())
}

fn run(playbook: &str) -> Ran {
    run_in(tempfile::tempdir().unwrap().path(), playbook, &[])
}

/// The handlers that the host still owes.
fn due(dir: &Path) -> String {
    std::fs::read_to_string(dir.join("state/due.json")).unwrap_or_default()
}

#[test]
fn a_handler_notified_before_a_run_once_task_runs_after_it() {
    let dir = tempfile::tempdir().unwrap();
    let ran = run_in(
        dir.path(),
        r"
- name: cut
  hosts: all
  tasks:
    - { name: change, copy: { content: x, dest: DIR/file }, notify: restart }
    - { name: once, debug: { msg: between }, run_once: true }
  handlers:
    - { name: restart, debug: { msg: the handler ran } }
",
        &[],
    );
    assert!(ran.says("the handler ran"), "{}", ran.said);
    assert_eq!(due(dir.path()), "[]");
}

#[test]
fn a_loop_with_a_verdict_registers_every_item() {
    let ran = run(r#"
- name: loop
  hosts: all
  tasks:
    - name: each
      command: "echo {{ item }}"
      loop: [a, b, c]
      register: r
      changed_when: "'b' in r.stdout"
    - debug: { msg: "items {{ r.results | length }}, changed {{ r.changed }}" }
"#);
    assert_eq!(ran.code, Some(0), "{}", ran.said);
    assert!(ran.says("items 3, changed true"), "{}", ran.said);
}

const VERDICTS: &str = r#"
- name: verdicts
  hosts: all
  tasks:
    - name: says something
      command: echo same
      register: said
      changed_when: "'new' in said.stdout"
      failed_when: said.rc > 1
      notify: restart
    - { name: unchanged, debug: { msg: x }, notify: restart }
  handlers:
    - name: restart
      command: echo the handler ran
      register: answer
      failed_when: "'error' in answer.stdout"
"#;

#[test]
fn a_verdict_is_not_passed_on_a_handler_that_nobody_notified() {
    let ran = run(VERDICTS);
    assert_eq!(ran.code, Some(0), "{}", ran.said);
}

#[test]
fn a_verdict_decides_what_is_due() {
    let dir = tempfile::tempdir().unwrap();
    let ran = run_in(
        dir.path(),
        r#"
- name: verdicts
  hosts: all
  tasks:
    - { name: same, command: echo same, register: one, changed_when: "'new' in one.stdout", notify: quiet }
    - { name: seen, debug: { msg: x }, register: two, changed_when: not two.failed, notify: loud }
  handlers:
    - { name: quiet, debug: { msg: the quiet one ran } }
    - { name: loud, command: echo the loud one ran, register: three, failed_when: "'loud' in three.stdout" }
"#,
        &[],
    );
    assert_eq!(ran.code, Some(4), "{}", ran.said);
    assert!(!ran.says("the quiet one ran"), "{}", ran.said);
    assert!(ran.says("`failed_when` holds"), "{}", ran.said);
    assert_eq!(due(dir.path()), r#"["loud"]"#, "it failed, so it stays due");
}

#[test]
fn a_handler_is_settled_when_its_verdict_is_in() {
    let dir = tempfile::tempdir().unwrap();
    let ran = run_in(
        dir.path(),
        r#"
- name: verdicts
  hosts: all
  tasks:
    - { name: change, copy: { content: x, dest: DIR/file }, notify: restart }
  handlers:
    - name: restart
      shell: "echo {{ item }} >> DIR/ran; wc -l < DIR/ran"
      loop: [a, b]
      register: r
      until: r.stdout | int > 1
      retries: 2
      delay: 0
"#,
        &[],
    );
    assert_eq!(ran.code, Some(0), "{}", ran.said);
    assert_eq!(
        std::fs::read_to_string(dir.path().join("ran")).unwrap(),
        "a\na\nb\n"
    );
    assert_eq!(due(dir.path()), "[]");
}

/// Each user's worker keeps its own record: only the one that runs the handler may hold it due.
#[test]
fn what_another_worker_runs_is_not_noted_where_the_change_is_made() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let playbook = "
- name: users
  hosts: all
  tasks:
    - { name: change, debug: { msg: x }, notify: restart }
    - { name: elsewhere, debug: { msg: x }, delegate_to: localhost, notify: restart }
  handlers:
    - { name: restart, debug: { msg: x } }
";
    std::fs::write(path("play.yaml"), playbook).unwrap();
    std::fs::write(path("hosts.yaml"), HOST).unwrap();
    let prepared = Prepared::new(Options {
        playbook: path("play.yaml").display().to_string(),
        inventory: vec![path("hosts.yaml")],
        project: dir.path().to_path_buf(),
        ..Options::default()
    });
    let plan = prepared
        .unwrap_or_else(|p| panic!("{}", p.render(false)))
        .plan;
    let notified: Vec<_> = plan.plays[0].batches[0].hosts["a"]
        .iter()
        .map(|line| match line {
            Line::Carry { items, .. } => items.iter().map(notifies).sum(),
            Line::Deferred { .. } => 0,
        })
        .collect();
    assert_eq!(
        notified,
        [1, 0, 0],
        "the task here, the one elsewhere, the handler"
    );
}

fn notifies(item: &Item) -> usize {
    match item {
        Item::Step(step) => step.notify.len(),
        Item::Block(_) => 0,
    }
}

#[test]
fn a_dry_run_passes_no_verdict_on_what_it_only_looked_at() {
    let dir = tempfile::tempdir().unwrap();
    let ran = run_in(dir.path(), VERDICTS, &["--check"]);
    assert_eq!(ran.code, Some(0), "{}", ran.said);
}

#[test]
fn until_waits_for_what_a_failure_does_not_say() {
    let ran = run(r#"
- name: until
  hosts: all
  tasks:
    - name: ask
      uri: { url: "http://127.0.0.1:1/" }
      register: r
      until: r.status == 200
      retries: 1
      delay: 0
"#);
    assert_eq!(ran.code, Some(4), "{}", ran.said);
    assert!(
        ran.says("`until` did not hold after 2 attempts"),
        "{}",
        ran.said
    );
}

#[test]
fn what_comes_before_a_mistake_is_carried_out_and_rescue_takes_it() {
    let dir = tempfile::tempdir().unwrap();
    let ran = run_in(
        dir.path(),
        r#"
- name: mistake
  hosts: all
  tasks:
    - block:
        - { name: change, copy: { content: x, dest: DIR/file } }
        - { name: broken, debug: { msg: "{{ nonsense }}" }, when: ansible_hostname != inventory_hostname }
      rescue:
        - debug: { msg: the rescue ran }
"#,
        &[],
    );
    assert_eq!(ran.code, Some(0), "{}", ran.said);
    assert!(ran.says("the rescue ran"), "{}", ran.said);
    assert!(dir.path().join("file").exists());
}

#[test]
fn ctrl_c_lets_the_step_finish_and_ends_with_130() {
    asked_to_stop_by(rustix::process::Signal::INT);
}

#[test]
fn a_cancelled_job_stops_as_orderly() {
    asked_to_stop_by(rustix::process::Signal::TERM);
}

fn asked_to_stop_by(signal: rustix::process::Signal) {
    let dir = tempfile::tempdir().unwrap();
    let playbook = "
- name: long
  hosts: all
  tasks:
    - { name: first, command: touch begun }
    - { name: second, shell: touch busy; sleep 2 }
    - { name: third, command: touch after }
";
    let playbook = playbook.replace("touch ", &format!("touch {}/", dir.path().display()));
    let child = command(dir.path(), &playbook, &[]).spawn().unwrap();
    // The second step is the current one; asked between two, a run stops there.
    while !dir.path().join("busy").exists() {
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let pid = rustix::process::Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    rustix::process::kill_process(pid, signal).unwrap();
    let ran = ran(&child.wait_with_output().unwrap());
    assert_eq!(ran.code, Some(130), "{}", ran.said);
    assert!(ran.says("second"), "{}", ran.said);
    assert!(!dir.path().join("after").exists());
}

/// Root logged in: with and without `become` it is one worker, and one lock.
#[test]
fn who_becomes_himself_needs_no_second_worker() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let ran = run("
- name: become
  hosts: all
  become: true
  tasks:
    - { name: one, debug: { msg: x }, become: false }
    - { name: two, debug: { msg: x } }
");
    assert_eq!(ran.code, Some(0), "{}", ran.said);
}

#[test]
fn secrets_of_files_mappings_and_the_command_line_are_not_told() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("more.yaml"), "file_password: from-a-file\n").unwrap();
    std::fs::write(
        dir.path().join("hosts.yaml"),
        format!("{HOST}  vars:\n    db: {{ admin_password: in-a-mapping }}\n"),
    )
    .unwrap();
    let ran = run_in(
        dir.path(),
        r#"
- name: secrets
  hosts: all
  vars_files: [more.yaml]
  tasks:
    - debug: { msg: "{{ file_password }} {{ db.admin_password }} {{ typed_password }}" }
    - name: each
      debug: { msg: x }
      loop: [an-item-of-its-own]
      when: item == 'other'
      no_log: true
    - fail: { msg: x }
"#,
        &["-e", "typed_password=as-an-argument"],
    );
    assert_eq!(ran.code, Some(4), "{}", ran.said);
    for secret in [
        "from-a-file",
        "in-a-mapping",
        "as-an-argument",
        "of-its-own",
    ] {
        assert!(!ran.says(secret), "{secret}: {}", ran.said);
    }
}

#[test]
fn the_item_of_an_include_decides_nothing_for_a_loop_inside() {
    let dir = tempfile::tempdir().unwrap();
    let tasks = dir.path().join("roles/r/tasks");
    std::fs::create_dir_all(&tasks).unwrap();
    std::fs::write(
        tasks.join("main.yaml"),
        "- { include_tasks: each.yaml, loop: [x] }\n",
    )
    .unwrap();
    let each = r#"- debug: { msg: "inner {{ item }}" }
  loop: [a]
  when: item == 'a'
"#;
    std::fs::write(tasks.join("each.yaml"), each).unwrap();
    let ran = run_in(
        dir.path(),
        "- { name: nested, hosts: all, roles: [r] }\n",
        &[],
    );
    assert!(ran.says("inner a"), "{}", ran.said);
}

#[test]
fn nobody_goes_on_without_what_runs_once() {
    let dir = tempfile::tempdir().unwrap();
    let two = format!("{HOST}    b: {{ ansible_connection: local }}\n");
    std::fs::write(dir.path().join("hosts.yaml"), two).unwrap();
    let ran = run_in(
        dir.path(),
        r"
- name: migration
  hosts: all
  tasks:
    - { name: migrate, fail: { msg: broken }, run_once: true }
    - { name: after, debug: { msg: went on } }
- name: next
  hosts: all
  tasks:
    - { name: later, debug: { msg: went on } }
",
        &[],
    );
    assert_eq!(ran.code, Some(4), "{}", ran.said);
    assert!(!ran.says("went on"), "{}", ran.said);
}

#[test]
fn a_command_that_may_fail_ran_all_the_same() {
    let ran = run(r#"
- name: may fail
  hosts: all
  tasks:
    - { name: tried, command: "false", failed_when: false, register: r, notify: restart }
    - debug: { msg: "changed {{ r.changed }}" }
  handlers:
    - { name: restart, debug: { msg: the handler ran } }
"#);
    assert_eq!(ran.code, Some(0), "{}", ran.said);
    assert!(ran.says("changed true"), "{}", ran.said);
    assert!(ran.says("the handler ran"), "{}", ran.said);
}

#[test]
fn run_once_is_kept_or_refused() {
    let dir = tempfile::tempdir().unwrap();
    let two = format!("{HOST}    b: {{ ansible_connection: local }}\n");
    std::fs::write(dir.path().join("hosts.yaml"), two).unwrap();
    let playbook = r#"
- name: once
  hosts: all
  tasks:
    - { name: each, debug: { msg: "here is {{ inventory_hostname }}" }, run_once: false, changed_when: true, notify: restart }
  handlers:
    - { name: restart, debug: { msg: x }, HERE }
"#;
    let ran = run_in(dir.path(), &playbook.replace("HERE", "become: false"), &[]);
    assert!(ran.says("here is b"), "{}", ran.said);
    let ran = run_in(dir.path(), &playbook.replace("HERE", "run_once: true"), &[]);
    assert_eq!(ran.code, Some(2), "{}", ran.said);
}
