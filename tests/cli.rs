//! The program from outside: what people see, and the code it ends with.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "cli/arguments.rs"]
mod arguments;
#[expect(dead_code, reason = "made for tests/ssh.rs, which uses all of it")]
#[path = "support/host.rs"]
mod host;
#[path = "cli/language.rs"]
mod language;
#[path = "cli/mistakes.rs"]
mod mistakes;
#[path = "cli/offline.rs"]
mod offline;
#[path = "cli/runs.rs"]
mod runs;
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

/// `here` is the only host, so a delegation to it and to itself meet in one worker.
const HERE: &str = "here: { hosts: { localhost: { ansible_connection: local } } }\n";

/// Durations and lengths of names differ from run to run.
fn untimed(mut said: Said) -> Said {
    let times = regex::Regex::new(r"in \d+\.\d s").unwrap();
    said.out = times.replace_all(&said.out, "in N s").into_owned();
    let took = regex::Regex::new(r"  \(\d+\.\d s\)").unwrap();
    said.out = took.replace_all(&said.out, "").into_owned();
    said.out = said.out.replace(PROGRAM, "apim-deploy");
    said
}
