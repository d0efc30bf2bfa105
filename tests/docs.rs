//! README.md and the manual are held to what the program does.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use apim_deploy::exit::Exit;
use apim_deploy::inventory::Inventory;
use apim_deploy::modules;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

const README: &str = include_str!("../README.md");

/// The fenced blocks of one language.
fn blocks<'t>(text: &'t str, language: &str) -> Vec<&'t str> {
    text.split("```")
        .skip(1)
        .step_by(2)
        .filter_map(|block| block.strip_prefix(language)?.strip_prefix('\n'))
        .collect()
}

/// The cells of the table below a heading, without its head.
fn table<'t>(heading: &str) -> Vec<Vec<&'t str>> {
    let (_, section) = README.split_once(&format!("\n## {heading}\n")).unwrap();
    let section = section.split("\n## ").next().unwrap();
    section
        .lines()
        .filter(|line| line.starts_with('|'))
        .skip(2)
        .map(|line| {
            let cells = line.trim_matches('|').split(" | ");
            cells
                .map(|cell| cell.trim().trim_matches('|').trim())
                .collect()
        })
        .collect()
}

/// The code words of a text.
fn words(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

fn apim_deploy(dir: &Path, words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_apim-deploy"))
        .args(words)
        .current_dir(dir)
        .output()
        .unwrap()
}

/// The project that README builds up, with packs.
fn project() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let yaml = blocks(README, "yaml");
    let [hosts, vars, secrets, ..] = yaml.as_slice() else {
        panic!("README has {} blocks of YAML", yaml.len());
    };
    fs::write(dir.path().join("hosts.yaml"), hosts).unwrap();
    fs::create_dir(dir.path().join("group_vars")).unwrap();
    fs::write(dir.path().join("group_vars/all.yaml"), vars).unwrap();
    fs::write(dir.path().join("secrets.yaml"), secrets).unwrap();
    support::packs(dir.path());
    dir
}

/// A balancer that is somebody else's, as README has it told.
#[test]
fn the_hooks_of_the_readme_take_nodes_out_and_put_them_back() {
    let dir = project();
    let hosts = fs::read_to_string(dir.path().join("hosts.yaml")).unwrap();
    let (without, _) = hosts.split_once("    load_balancer:").unwrap();
    fs::write(dir.path().join("hosts.yaml"), without).unwrap();
    let yaml = blocks(README, "yaml");
    let hooks = yaml.iter().find(|b| b.contains("rotation_hooks:")).unwrap();
    let lint = |hooks: &str| {
        let path = dir.path().join("hooks.yaml");
        fs::write(path, hooks).unwrap();
        let words = "lint standard-ha -i hosts.yaml -e @secrets.yaml -e @hooks.yaml";
        let words: Vec<_> = words.split(' ').collect();
        let output = apim_deploy(dir.path(), &words);
        let said = [output.stdout, output.stderr].concat();
        (
            output.status.success(),
            String::from_utf8_lossy(&said).into_owned(),
        )
    };
    let (is_good, said) = lint(hooks);
    assert!(is_good, "{said}");
    let (is_good, said) = lint(&hooks.replace("put_back:", "put_bakc:"));
    assert!(!is_good && said.contains("put_bakc"), "{said}");
}

/// The same with the tenants that README declares.
fn project_with_tenants() -> tempfile::TempDir {
    let dir = project();
    let declared = blocks(README, "text");
    let declared = declared.iter().find(|b| b.starts_with("tenants:")).unwrap();
    let indented = declared.lines().map(|line| format!("    {line}\n"));
    let hosts = fs::read_to_string(dir.path().join("hosts.yaml")).unwrap();
    let hosts = hosts.trim_end().to_owned() + "\n" + &indented.collect::<String>();
    fs::write(dir.path().join("hosts.yaml"), hosts).unwrap();
    dir
}

/// The same with a third Micro Integrator, which may leave.
fn project_with_three() -> tempfile::TempDir {
    let dir = project();
    let hosts = fs::read_to_string(dir.path().join("hosts.yaml")).unwrap();
    let second = "        mi-2: { ansible_host: 10.0.2.12 }\n";
    assert!(hosts.contains(second));
    let third = second.replace("mi-2", "mi-3").replace(".12", ".13");
    let hosts = hosts.replace(second, &format!("{second}{third}"));
    fs::write(dir.path().join("hosts.yaml"), hosts).unwrap();
    dir
}

/// Every command that README types, as words.
fn commands() -> Vec<Vec<String>> {
    let typed = blocks(README, "sh").into_iter().flat_map(str::lines);
    let shown = blocks(README, "console")
        .into_iter()
        .flat_map(str::lines)
        .filter_map(|line| line.strip_prefix("$ "));
    typed
        .chain(shown)
        .map(|line| line.split('#').next().unwrap().split_whitespace())
        .map(|words| words.map(str::to_owned).collect())
        .collect()
}

#[test]
fn every_command_works() {
    let help = Command::new("vagrant/lab").arg("help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let dir = project();
    let commands = commands();
    assert!(commands.len() >= 7, "{commands:?}");
    for typed in commands {
        let words: Vec<&str> = typed.iter().map(String::as_str).collect();
        match words.as_slice() {
            ["vagrant/lab", command] => {
                assert!(help.contains(&format!("\n  lab {command} ")), "{command}")
            }
            // Without the secrets it is the screen that names what is missing.
            ["apim-deploy", words @ ..] if words[0] == "lint" => {
                let complete = words.contains(&"@secrets.yaml");
                let output = apim_deploy(dir.path(), words);
                assert_eq!(
                    output.status.code(),
                    Some(if complete { 0 } else { 2 }),
                    "{words:?}"
                );
            }
            // The hosts of a run are not there: it is linted with the same words.
            ["apim-deploy", verb @ ("run" | "restart"), rest @ ..] => {
                let flags = ["--check", "--diff"];
                let rest: Vec<&str> = rest
                    .iter()
                    .copied()
                    .filter(|w| !flags.contains(w))
                    .collect();
                let three = rest.contains(&"--retire").then(project_with_three);
                let dir = three.as_ref().unwrap_or(&dir);
                let output = apim_deploy(dir.path(), &[&["lint"], rest.as_slice()].concat());
                let said = String::from_utf8_lossy(&output.stderr);
                assert_eq!(output.status.code(), Some(0), "{rest:?}: {said}");
                let help = apim_deploy(dir.path(), &[verb, "--help"]);
                let help = String::from_utf8(help.stdout).unwrap();
                assert!(flags.iter().all(|flag| help.contains(flag)));
            }
            // Its packs are not: they are what is missing.
            ["apim-deploy", "upgrade", rest @ ..] => {
                let output = apim_deploy(dir.path(), &[&["upgrade"], rest].concat());
                let said = String::from_utf8_lossy(&output.stderr);
                assert_eq!(output.status.code(), Some(2), "{rest:?}: {said}");
                for pack in ["wso2am-4.5.0.12.zip", "wso2mi-4.4.0.3.zip"] {
                    assert!(said.contains(pack), "{said}");
                }
                assert!(
                    said.lines()
                        .filter(|l| l.starts_with("error"))
                        .all(|l| l.contains(".zip")),
                    "{said}"
                );
            }
            ["apim-deploy", "rollback", rest @ ..] => {
                let output = apim_deploy(dir.path(), &[&["lint"], rest].concat());
                assert_eq!(output.status.code(), Some(0), "{rest:?}");
            }
            // So are those of a check and of a status.
            ["apim-deploy", "check" | "status", rest @ ..] => {
                let output = apim_deploy(dir.path(), &[&["lint"], rest].concat());
                assert_eq!(output.status.code(), Some(0), "{rest:?}");
            }
            // Read and understood, up to what has to be missing: a tenant of this name, the secrets.
            ["apim-deploy", "tenant", verb, rest @ ..] => {
                let dir = project_with_tenants();
                let (words, missing) = match *verb {
                    "list" => (&rest[..2], "wso2_admin_password"),
                    _ => (rest, "declares no tenant `nobody`"),
                };
                let words: Vec<&str> = words
                    .iter()
                    .map(|word| if *word == "acme" { "nobody" } else { word })
                    .collect();
                let output =
                    apim_deploy(dir.path(), &[&["tenant", verb], words.as_slice()].concat());
                let said = String::from_utf8_lossy(&output.stderr);
                assert_eq!(output.status.code(), Some(2), "{words:?}: {said}");
                assert!(said.contains(missing), "{words:?}: {said}");
            }
            other => panic!("no test knows how to try {other:?}"),
        }
    }
}

#[test]
fn the_tour_says_what_lint_says() {
    let dir = project();
    let complete = [
        "lint",
        "standard-ha",
        "-i",
        "hosts.yaml",
        "-e",
        "@secrets.yaml",
    ];
    let said = apim_deploy(dir.path(), &complete).stdout;
    let said = String::from_utf8(said).unwrap();
    assert!(README.contains(said.trim_end()), "README lacks: {said}");

    fs::remove_dir_all(dir.path().join("packs")).unwrap();
    let said = apim_deploy(dir.path(), &complete[..4]).stderr;
    let said = String::from_utf8(said).unwrap();
    let shown = blocks(README, "console")[0];
    for line in shown.lines().filter(|l| !l.starts_with('$') && *l != "...") {
        assert!(
            said.contains(line),
            "README shows `{line}`, and lint says:\n{said}"
        );
    }
}

#[test]
fn the_exit_codes_are_those_of_the_program() {
    let shown: Vec<u8> = table("Exit codes")
        .iter()
        .map(|row| row[0].parse().unwrap())
        .collect();
    let all = [
        Exit::Done,
        Exit::Input,
        Exit::Preflight,
        Exit::Stopped,
        Exit::Unreachable,
        Exit::Busy,
        Exit::RolledBack,
        Exit::NeedsPerson,
        Exit::Changes,
        Exit::Bug,
        Exit::Interrupted,
    ];
    assert_eq!(shown, all.map(Exit::code));
    let help = apim_deploy(Path::new("."), &["--help"]).stdout;
    let help = String::from_utf8(help).unwrap();
    let (_, codes) = help.split_once("Exit codes:\n").unwrap();
    let helped: Vec<u8> = codes
        .lines()
        .filter_map(|line| line.split_whitespace().next()?.parse().ok())
        .collect();
    assert_eq!(helped, shown);
}

#[test]
fn the_connection_variables_are_obeyed() {
    let source = include_str!("../src/run/target.rs");
    let (_, list) = source.split_once("const KNOWN: &[&str] = &[").unwrap();
    let list = list.split("];").next().unwrap();
    let known: Vec<&str> = list.split('"').skip(1).step_by(2).collect();
    let rows = table("Connection variables");
    let mut shown: Vec<&str> = rows.iter().flat_map(|row| words(row[0])).collect();
    for name in &shown {
        assert!(
            known.contains(name) || source.contains(&format!("\"{name}\"")),
            "README names `{name}`, and nothing reads it"
        );
    }
    shown.push("ansible_group_priority");
    for name in known {
        assert!(shown.contains(&name), "README lacks `{name}`");
    }
}

#[test]
fn our_own_modules_are_modules() {
    let rows = table("Where it differs from Ansible");
    let row = rows
        .iter()
        .find(|row| row[0] == "modules of our own")
        .unwrap();
    for name in words(row[1]) {
        assert!(modules::find(name).is_some(), "{name}");
    }
}

/// The settings for somebody else's server, with the hosts of the tour but for its database.
#[test]
fn the_database_may_be_somebody_elses() {
    let dir = project();
    let ours = blocks(README, "yaml")[0];
    let (before, group) = ours.split_once("    database:\n").unwrap();
    let after = group.split_once("    load_balancer:\n").unwrap().1;
    let hosts = format!("{before}    load_balancer:\n{after}");
    fs::write(dir.path().join("hosts.yaml"), hosts).unwrap();
    let external = blocks(README, "yaml")[3].replace("...", "Admin-2026");
    fs::write(dir.path().join("external.yaml"), external).unwrap();
    let words = "lint standard-ha -i hosts.yaml -e @secrets.yaml -e @external.yaml";
    let words: Vec<&str> = words.split(' ').collect();
    let output = apim_deploy(dir.path(), &words);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
}

/// What README and each sample's own head say of its size.
#[test]
fn samples_have_as_many_hosts_as_they_say() {
    const WORDS: [(usize, &str); 5] = [
        (6, "six"),
        (8, "eight"),
        (10, "ten"),
        (20, "twenty"),
        (21, "twenty-one"),
    ];
    let rows = table("The repository");
    let row = rows.iter().find(|row| row[0] == "`inventories/`").unwrap();
    let parts: Vec<&str> = row[1]
        .split(';')
        .map(|part| part.trim_start_matches("samples:").trim())
        .collect();
    let says = |text: &str, word: &str| {
        let text = text.to_lowercase();
        text.split(|c: char| !c.is_alphanumeric() && c != '-')
            .any(|w| w == word)
    };
    for entry in fs::read_dir("inventories").unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() {
            continue;
        }
        let count = Inventory::load(std::slice::from_ref(&path))
            .unwrap()
            .hosts
            .len();
        let (_, word) = WORDS.iter().find(|(number, _)| *number == count).unwrap();
        let playbook = ["standard-ha-multitenant", "standard-ha", "simple-scalable"]
            .into_iter()
            .find(|playbook| name.starts_with(playbook))
            .unwrap();
        let of = format!("`{playbook}`");
        let part = parts.iter().find(|part| part.starts_with(&of)).unwrap();
        assert!(says(part, word), "README says of {name}: {part}");
        let text = fs::read_to_string(&path).unwrap();
        let head: String = text
            .lines()
            .skip(1)
            .take_while(|l| l.starts_with('#'))
            .collect();
        for (number, other) in WORDS.iter().filter(|(number, _)| *number != count) {
            let figure = format!("with {number} hosts");
            let wrong =
                says(&head, other) && head.to_lowercase().contains(&format!("{other} hosts"));
            assert!(
                !wrong && !head.contains(&figure),
                "{name} has {count} hosts: {head}"
            );
        }
    }
}

/// A tenant's passwords are those that lint misses, and README has told of them.
#[test]
fn the_passwords_of_a_tenant_are_told() {
    let dir = project_with_tenants();
    let words = ["lint", "standard-ha-multitenant", "-i", "hosts.yaml"];
    let without = apim_deploy(dir.path(), &words).stderr;
    let shared = [&words[..], &["-e", "@secrets.yaml"]].concat();
    let with_shared = apim_deploy(dir.path(), &shared).stderr;
    let said = String::from_utf8([without, with_shared].concat()).unwrap();
    let (_, section) = README
        .split_once("Tenants of API Manager with clusters")
        .unwrap();
    let section = section.split("\n## ").next().unwrap();
    for name in ["tenant_admin_password", "db_mi_password", "db_si_password"] {
        let told = section.contains(&format!("`{name}`"));
        assert!(told, "README lacks `{name}`");
        let missed = said.contains(&format!("`{name}` is not defined"));
        assert!(missed, "`{name}` is not missed:\n{said}");
    }
}

/// README's headings as anchors.
fn headings() -> Vec<String> {
    let lines = README.lines().filter_map(|l| l.strip_prefix("## "));
    lines.map(|l| l.to_lowercase().replace(' ', "-")).collect()
}

#[test]
fn links_lead_somewhere() {
    for link in README
        .split("](")
        .skip(1)
        .map(|rest| rest.split(')').next().unwrap())
    {
        let leads = match link.strip_prefix('#') {
            Some(heading) => headings().contains(&heading.to_owned()),
            None => link.starts_with("https://") || Path::new(link).exists(),
        };
        assert!(leads, "{link}");
    }
}

/// The manual's examples are tasks of one role, planned as a run would plan them.
#[test]
fn every_example_can_be_planned() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    let mut tasks = String::from("---\n");
    for module in modules::all() {
        writeln!(tasks, "- name: An example of {}", module.name).unwrap();
        for line in module.example.lines() {
            writeln!(tasks, "  {line}").unwrap();
        }
    }
    write("roles/manual/tasks/main.yaml", &tasks);
    for name in ["deployment.toml", "wso2-apim.service", "cluster.conf"] {
        write(
            &format!("roles/manual/templates/{name}"),
            "{{ inventory_hostname }}\n",
        );
    }
    support::packs(dir.path());
    for name in wanted_files(&tasks) {
        let path = dir.path().join("files").join(&name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        match name.ends_with(".zip") {
            true => drop(fs::copy(dir.path().join("packs").join(&name), path).unwrap()),
            false => fs::write(path, "content\n").unwrap(),
        }
    }
    let playbook =
        "- name: The manual\n  hosts: all\n  vars_files: [vars.yaml]\n  roles: [manual]\n";
    write("vars.yaml", VARIABLES);
    let inventory = "gateway: { hosts: { gw-1: { }, gw-2: { } } }\n";
    let prepared = support::prepared(support::written(dir.path(), playbook, inventory));
    assert_eq!(prepared.all_hosts().len(), 2);
}

/// What the examples speak of.
const VARIABLES: &str = "\
admin_password: Example.1
apim_db_password: Example.4
apim_home: /opt/wso2/apim
apim_user: wso2carbon
db_password: Example.2
tenant_password: Example.5
truststore_password: Example.3
";

/// Files of the controller that the examples name.
fn wanted_files(tasks: &str) -> Vec<String> {
    tasks
        .lines()
        .filter_map(|line| {
            line.trim()
                .strip_prefix("src: ")
                .or(line.trim().strip_prefix("pack: "))
        })
        .filter(|name| {
            !name.starts_with('/') && !["deployment.toml", "cluster.conf"].contains(name)
        })
        .map(|name| name.trim_matches('"').to_owned())
        .collect()
}
