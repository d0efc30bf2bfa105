//! What a run means, end to end on this machine: handlers, `register`, verdicts, blocks, interruption.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

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
