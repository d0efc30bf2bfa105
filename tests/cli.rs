//! The program from outside: what people see, and the code it ends with.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[expect(dead_code, reason = "made for tests/ssh.rs, which uses all of it")]
#[path = "support/host.rs"]
mod host;
mod support;

use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_apim-deploy");

/// A project in a folder of its own; the program is started there.
struct Project(TempDir);

struct Said {
    code: i32,
    out: String,
    err: String,
}

impl Said {
    /// As a screen: what was typed, what came, the code.
    fn screen(&self) -> String {
        let mut text = self.out.clone();
        text.push_str(&self.err);
        text.push_str(&format!("[exit {}]\n", self.code));
        text
    }

    #[track_caller]
    fn is(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{}", self.screen());
        self
    }

    #[track_caller]
    fn says(self, parts: &[&str]) -> Self {
        let screen = self.screen();
        for part in parts {
            assert!(screen.contains(part), "`{part}` is missing in:\n{screen}");
        }
        self
    }

    #[track_caller]
    fn never_says(self, parts: &[&str]) -> Self {
        let screen = self.screen();
        for part in parts {
            assert!(!screen.contains(part), "`{part}` stands in:\n{screen}");
        }
        self
    }
}

impl Project {
    fn new(files: &[(&str, &str)]) -> Self {
        let project = Self(tempfile::tempdir().unwrap());
        for (name, text) in files {
            project.write(name, text);
        }
        project
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path().join(name)).unwrap()
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command
            .args(words)
            .current_dir(self.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", self.path())
            .env("USER", "deploy")
            .env("APIM_DEPLOY_STATE", self.path().join("state"))
            .stdin(Stdio::null());
        command
    }

    fn run(&self, words: &[&str]) -> Said {
        self.said(&self.command(words).output().unwrap())
    }

    /// On a terminal of `script`.
    fn on_terminal(&self, words: &str, environment: &[(&str, &str)]) -> Said {
        let mut command = Command::new("script");
        command
            .args(["-qec", &format!("{PROGRAM} {words}"), "/dev/null"])
            .current_dir(self.path())
            .env("APIM_DEPLOY_STATE", self.path().join("state"))
            .env("TERM", "xterm")
            .env_remove("NO_COLOR")
            .envs(environment.iter().copied())
            .stdin(Stdio::null());
        self.said(&command.output().unwrap())
    }

    fn said(&self, output: &Output) -> Said {
        let dir = self.path().display().to_string();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace(&dir, "DIR");
        Said {
            code: output.status.code().unwrap(),
            out: text(&output.stdout),
            err: text(&output.stderr),
        }
    }
}

#[track_caller]
fn snapshot(name: &str, said: &Said) {
    insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!(format!("cli-{name}"), said.screen());
    });
}

const HOSTS: &str = "\
all:
  vars: { ansible_user: deploy }
  children:
    apim:
      hosts:
        apim-1: { ansible_host: 10.0.1.11 }
        apim-2: { ansible_host: 10.0.1.12, heap: 4g }
      vars: { heap: 2g }
    mi:
      hosts: { 'mi-[1:2]': { } }
";

const SAY: &str = "\
- name: Say
  hosts: all
  tasks:
    - name: Say it
      debug: { msg: hello }
";

fn small() -> Project {
    Project::new(&[("hosts.yaml", HOSTS), ("playbooks/say.yaml", SAY)])
}

// ---- what it says about itself ----

#[test]
fn help() {
    snapshot("help", &small().run(&["--help"]));
    snapshot("help-run", &small().run(&["run", "--help"]));
}

#[test]
fn no_command_shows_the_help() {
    small()
        .run(&[])
        .is(2)
        .says(&["Usage: apim-deploy <COMMAND>"]);
}

#[test]
fn every_help_fits_eighty_columns_but_for_wrapped_options() {
    for words in [
        &["--help"][..],
        &["run", "--help"],
        &["plan", "--help"],
        &["lint", "--help"],
        &["inventory", "--help"],
        &["inventory", "host", "--help"],
        &["modules", "--help"],
        &["completions", "--help"],
    ] {
        let said = small().run(words).is(0);
        for line in said.out.lines() {
            assert!(line.chars().count() <= 100, "{words:?}: {line}");
        }
        assert!(
            !said.out.contains("worker\n"),
            "the far end is no command for people"
        );
    }
}

#[test]
fn modules() {
    snapshot("modules", &small().run(&["modules"]));
    snapshot("modules-instance", &small().run(&["modules", "instance"]));
    snapshot("modules-typo", &small().run(&["modules", "templat"]));
    small()
        .run(&["modules", "ansible.builtin.uri"])
        .is(0)
        .says(&["uri: asks a web server"]);
    small().run(&["modules", "set_fact"]).is(0);
}

#[test]
fn every_module_has_a_page() {
    let list = small().run(&["modules"]).is(0).out;
    let names = list.lines().take_while(|l| !l.is_empty());
    for name in names.map(|line| line.split_whitespace().next().unwrap()) {
        let page = small().run(&["modules", name]).is(0).out;
        assert!(page.contains(&format!("    {name}:")), "{page}");
        // Parts that the controller fills in are nothing to write.
        for own in ["checks,", "tree,", "tree\n"] {
            assert!(!page.contains(own), "{page}");
        }
    }
}

#[test]
fn completions_are_scripts() {
    for shell in ["bash", "zsh", "fish"] {
        small()
            .run(&["completions", shell])
            .is(0)
            .says(&["apim-deploy"]);
    }
}

// ---- inventory ----

#[test]
fn inventory() {
    let project = small();
    let inventory = |words: &[&str]| {
        let words = [&["inventory"], words, &["-i", "hosts.yaml"]].concat();
        project.run(&words)
    };
    snapshot("inventory-graph", &inventory(&["graph"]));
    snapshot("inventory-list", &inventory(&["list"]));
    snapshot("inventory-host", &inventory(&["host", "apim-2"]));
    snapshot("inventory-host-typo", &inventory(&["host", "apim2"]));
}

// ---- wrong input: 2, and nothing was contacted ----

#[test]
fn many_mistakes_in_one_go() {
    let project = Project::new(&[
        (
            "hosts.yaml",
            "all:\n  children:\n    one:\n      children: { two: { } }\n    two:\n      children: { one: { } }\n",
        ),
        (
            "good.yaml",
            "apim: { hosts: { apim-1: { } } }\nmi: { hosts: { mi-1: { }, mi-2: { } } }\n",
        ),
        (
            "site.yaml",
            "\
- name: Deploy
  hosts: apim
  tasks:
    - name: A misspelt keyword
      debug: { msg: hello }
      wehn: true
    - name: An unknown module
      tempalte: { src: a, dest: /b }
    - name: An unknown parameter
      copy: { sorce: a, dest: /b }
    - name: A mode that is a number
      file: { path: /opt, state: directory, mode: 755 }
    - name: A word of Ansible that is not supported
      debug: { msg: hello }
      async: 10
",
        ),
        (
            "undefined.yaml",
            "- name: Deploy\n  hosts: apim\n  vars: { apim_heap: 2g }\n  tasks:\n    - debug: { msg: '{{ apim_haep }}' }\n    - debug: { msg: '{{ nobody_knows }}' }\n",
        ),
    ]);
    snapshot(
        "lint-circle",
        &project.run(&["lint", "site.yaml", "-i", "hosts.yaml"]),
    );
    snapshot(
        "lint-words",
        &project.run(&["lint", "site.yaml", "-i", "good.yaml"]),
    );
    snapshot(
        "lint-undefined",
        &project.run(&["lint", "undefined.yaml", "-i", "good.yaml"]),
    );
    // The roles it points into change more often than what it says.
    project
        .run(&["lint", "standard-ha", "-i", "good.yaml"])
        .is(2)
        .says(&[
            "error: pattern `standard-ha` needs 2 hosts in group `apim`, the inventory has 1",
            "---- the inventory's group",
            "error: `packs/wso2am-4.5.0.zip` is missing on the controller",
            "help: download it from WSO2 and put it there, or set the variable that names it",
            "error: `wso2_admin_password` is not defined",
            "error: `apim_hostname` is not defined",
            "; nothing was contacted",
        ])
        .never_says(&["invalid type", "si_roles"]);
    // A run refuses what lint refuses.
    project
        .run(&["run", "site.yaml", "-i", "good.yaml"])
        .is(2)
        .says(&["nothing was contacted"]);
}

#[test]
fn names_that_nothing_bears() {
    let project = small();
    snapshot(
        "no-inventory",
        &project.run(&["lint", "say", "-i", "host.yaml"]),
    );
    snapshot(
        "no-playbook",
        &project.run(&["lint", "standrad-ha", "-i", "hosts.yaml"]),
    );
    snapshot(
        "bad-limit",
        &project.run(&["lint", "say", "-i", "hosts.yaml", "-l", "apmi"]),
    );
    snapshot(
        "empty-limit",
        &project.run(&["lint", "say", "-i", "hosts.yaml", "-l", "apim:!apim"]),
    );
    snapshot(
        "no-flag",
        &project.run(&["run", "say", "-i", "hosts.yaml", "--chek"]),
    );
}

#[test]
fn lint_finds_nothing_wrong() {
    small()
        .run(&["lint", "say", "-i", "hosts.yaml"])
        .is(0)
        .says(&["say: nothing wrong; 1 play, 4 hosts, 4 steps; nothing was contacted"]);
}

// ---- terminals and pipes ----

#[test]
fn a_reader_that_leaves_is_no_failure() {
    let project = small();
    for words in [
        &["modules"][..],
        &["--help"],
        &["completions", "bash"],
        &["inventory", "list", "-i", "hosts.yaml"],
        &["lint", "say", "-i", "hosts.yaml"],
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = project
            .command(words)
            .stdout(writer)
            .stderr(Stdio::piped())
            .output()
            .unwrap();
        let said = project.said(&output);
        assert_eq!((said.code, said.err.as_str()), (0, ""), "{words:?}");
    }
}

#[test]
fn colours_only_for_those_who_want_them() {
    let project = small();
    let lint = "lint standrad-ha -i hosts.yaml";
    project.on_terminal(lint, &[]).is(2).says(&["\u{1b}["]);
    project
        .on_terminal(lint, &[("NO_COLOR", "1")])
        .is(2)
        .never_says(&["\u{1b}"]);
    project
        .on_terminal(lint, &[("TERM", "dumb")])
        .is(2)
        .never_says(&["\u{1b}"]);
    // A pipe is no terminal.
    project
        .run(&["lint", "standrad-ha", "-i", "hosts.yaml"])
        .is(2)
        .never_says(&["\u{1b}"]);
}

#[test]
fn the_board_only_where_a_cursor_moves() {
    let project = Project::new(&[("hosts.yaml", HERE), ("say.yaml", SAY)]);
    let run = "run say.yaml -i hosts.yaml";
    project
        .on_terminal(run, &[])
        .is(0)
        .says(&["\u{1b}[", "done:"]);
    project
        .on_terminal(run, &[("TERM", "dumb")])
        .is(0)
        .never_says(&["\u{1b}"])
        .says(&["done:"]);
    project
        .on_terminal(&format!("{run} --output plain"), &[("NO_COLOR", "1")])
        .is(0)
        .never_says(&["\u{1b}"]);
}

// ---- a run, on this very machine ----

/// `here` is the only host, so a delegation to it and to itself meet in one worker.
const HERE: &str = "here: { hosts: { localhost: { ansible_connection: local } } }\n";

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

const BREAKS: &str = "\
- name: Break
  hosts: here
  handlers:
    - name: Restart it
      shell: 'echo restarted >> restarted'
      args: { chdir: '{{ playbook_dir }}' }
  tasks:
    - name: Change a file
      copy: { content: '{{ text }}', dest: '{{ playbook_dir }}/file' }
      notify: Restart it
    - name: Need a path
      command: { cmd: 'cat {{ playbook_dir }}/needed' }
      changed_when: false
";

#[test]
fn a_failed_run_says_what_is_true_and_owes_its_handler() {
    let project = Project::new(&[("hosts.yaml", HERE), ("site.yaml", BREAKS)]);
    let run = &["run", "site.yaml", "-i", "hosts.yaml", "-e", "text=new"];
    snapshot("run-failed", &untimed(project.run(run).is(4)));
    assert!(!project.path().join("restarted").exists());
    project.write("needed", "");
    // The file is as it should be now, and what it made due runs all the same.
    snapshot("run-continued", &untimed(project.run(run).is(0)));
    assert_eq!(project.read("restarted"), "restarted\n");
    project
        .run(run)
        .is(0)
        .says(&["changed 0"])
        .never_says(&["still due"]);
    assert_eq!(project.read("restarted"), "restarted\n");
}

#[test]
fn a_plan_tells_by_its_code_whether_there_are_changes() {
    let project = Project::new(&[("hosts.yaml", HERE), ("site.yaml", BREAKS), ("needed", "")]);
    let plan = &[
        "plan",
        "site.yaml",
        "-i",
        "hosts.yaml",
        "-e",
        "text=new",
        "--detailed-exitcode",
    ];
    project
        .run(plan)
        .is(10)
        .says(&["+new", "nothing was changed"]);
    assert!(!project.path().join("file").exists());
    project
        .run(&["run", "site.yaml", "-i", "hosts.yaml", "-e", "text=new"])
        .is(0);
    project
        .run(&[&plan[..4], &["-e", "text=new"]].concat())
        .is(0);
}

/// One account of one machine has one worker and one lock, whatever names lead to it.
#[test]
fn this_machine_under_two_names_is_one() {
    let project = Project::new(&[
        (
            "hosts.yaml",
            "here: { hosts: { me: { ansible_connection: local } } }\n",
        ),
        (
            "site.yaml",
            "\
- name: Two names
  hosts: here
  become: '{{ is_root }}'
  tasks:
    - command: 'true'
    - command: 'true'
      become: false
    - command: 'true'
      delegate_to: localhost
",
        ),
    ]);
    let is_root = std::os::unix::fs::MetadataExt::uid(&fs::metadata("/proc/self").unwrap()) == 0;
    let is_root = format!("is_root={is_root}");
    project
        .run(&["run", "site.yaml", "-i", "hosts.yaml", "-e", &is_root])
        .is(0)
        .says(&["1 host: 3 changed, 0 failed"]);
}

const BATCHES: &str = "\
- name: In batches
  hosts: web
  serial: 1
  tasks:
    - name: One after the other
      shell: 'echo {{ inventory_hostname }} >> {{ playbook_dir }}/order'
      changed_when: false
- name: Together
  hosts: web
  tasks:
    - name: Both ask the controller at once
      command: { cmd: 'echo {{ inventory_hostname }}' }
      delegate_to: localhost
      register: heard
      changed_when: false
    - name: Each hears its own answer
      assert: { that: heard.stdout == inventory_hostname }
    - name: One does it for all
      shell: 'echo once >> {{ playbook_dir }}/once; echo of {{ inventory_hostname }}'
      run_once: true
      register: once
    - name: All know it
      assert: { that: once.stdout == 'of web-1' }
";

/// Over SSH, to two hosts in this process.
#[tokio::test(flavor = "multi_thread")]
async fn batches_and_delegation() {
    let hosts = [host::Host::usual().await, host::Host::usual().await];
    let mut inventory = String::from("web:\n  hosts:\n");
    for (at, host) in hosts.iter().enumerate() {
        let path = |name: &str| host.path(name).display().to_string();
        inventory.push_str(&format!(
            "    web-{}: {{ ansible_host: 127.0.0.1, ansible_port: {}, ansible_ssh_private_key_file: {}, \
             apim_deploy_known_hosts: {}, apim_deploy_remote_dir: {} }}\n",
            at + 1,
            host.port,
            path("user_key"),
            path("known_hosts"),
            path("worker"),
        ));
    }
    let project = Project::new(&[("hosts.yaml", &inventory), ("site.yaml", BATCHES)]);
    let (said, project) = tokio::task::spawn_blocking(move || {
        let words = ["run", "site.yaml", "-i", "hosts.yaml", "--output", "plain"];
        (project.run(&words), project)
    })
    .await
    .unwrap();
    let said = said
        .is(0)
        .says(&["batch 1 of 2: web-1", "batch 2 of 2: web-2"]);
    assert_eq!(project.read("order"), "web-1\nweb-2\n");
    assert_eq!(project.read("once"), "once\n");
    assert!(
        said.out.contains("2 hosts: 1 changed, 0 failed"),
        "{}",
        said.out
    );
}

/// Durations and lengths of names differ from run to run.
fn untimed(mut said: Said) -> Said {
    let times = regex::Regex::new(r"in \d+\.\d s").unwrap();
    said.out = times.replace_all(&said.out, "in N s").into_owned();
    let took = regex::Regex::new(r"  \(\d+\.\d s\)").unwrap();
    said.out = took.replace_all(&said.out, "").into_owned();
    said.out = said.out.replace(PROGRAM, "apim-deploy");
    said
}
