//! What is wrong between inventory, playbook and command line: each with its place and a way to mend it, and nobody contacted.

use super::*;

/// `good.yaml` with one variable more for all hosts.
fn with_variable(variable: &str) -> Project {
    let hosts = HOSTS.replace(
        "ansible_user: deploy",
        &format!("ansible_user: deploy, {variable}"),
    );
    assert_ne!(hosts, HOSTS);
    Project::new(&[("hosts.yaml", &hosts), ("playbooks/say.yaml", SAY)])
}

fn lint(project: &Project, words: &[&str]) -> Said {
    project.run(&[&["lint", "say", "-i", "hosts.yaml"], words].concat())
}

#[test]
fn connection_variables_that_cannot_be_meant() {
    for (variable, said, help) in [
        (
            "ansible_usr: deploy",
            "`ansible_usr` is not supported",
            "did you mean `ansible_user`?",
        ),
        (
            "ansible_becom: true",
            "`ansible_becom` is not supported",
            "did you mean `ansible_become`?",
        ),
        (
            "ansible_network_os: ios",
            "`ansible_network_os` is not supported",
            "remove it; README.md",
        ),
        (
            "ansible_ssh_common_args: -C",
            "`ansible_ssh_common_args` is not supported",
            "remove it",
        ),
        (
            "ansible_become: maybe",
            "`ansible_become` is `maybe`, neither true nor false",
            "write `true` or `false`",
        ),
        (
            "ansible_become: [yes]",
            "neither true nor false",
            "write `true` or `false`",
        ),
        (
            "ansible_port: abc",
            "`ansible_port` is `abc`, which is no port",
            "leave the variable out for 22",
        ),
        (
            "ansible_ssh_host: 10.0.1.311",
            "`ansible_ssh_host` is `10.0.1.311`",
            "write an IP address",
        ),
        (
            "ansible_ssh_port: 70000",
            "`ansible_ssh_port` is `70000`",
            "from 1 to 65535",
        ),
        (
            "ansible_ssh_timeout: 5s",
            "`ansible_ssh_timeout` is `5s`",
            "leave the variable out for 10",
        ),
        (
            "ansible_connection: winrm",
            "`ansible_connection: winrm` is not supported",
            "use `ssh` or `local`",
        ),
        (
            "ansible_become_method: su",
            "`ansible_become_method: su` is not supported",
            "only `sudo` is",
        ),
    ] {
        lint(&with_variable(variable), &[]).is(2).says(&[
            said,
            help,
            "--> hosts.yaml:2:",
            "1 mistake; nothing was contacted",
        ]);
    }
    // The same on the command line, where it is nobody's place but the one that was typed.
    lint(&small(), &["-e", "ansible_usr=deploy"])
        .is(2)
        .says(&["did you mean `ansible_user`?", "--> -e:1:"]);
}

#[test]
fn connection_variables_as_ansible_takes_them() {
    for variable in [
        "ansible_become: 'yes'",
        "ansible_become: 0",
        "ansible_become: 'False'",
        "ansible_port: '2222'",
        "ansible_private_key_file: hosts.yaml",
        "ansible_python_interpreter: /usr/bin/python3",
    ] {
        lint(&with_variable(variable), &[]).is(0);
    }
}

#[test]
fn addresses_that_no_host_can_have() {
    for (address, reason, help) in [
        (
            "10.0.1.311",
            "an IPv4 address is four numbers",
            "write an IP address",
        ),
        ("''", "it is empty", "leave the variable out"),
        ("~", "it is empty", "leave the variable out"),
        ("ssh://10.0.1.11", "it is a URL", "write `10.0.1.11` alone"),
        (
            "'10.0.1.11:2222'",
            "it names a port",
            "`ansible_port` is `2222`",
        ),
        ("'deploy@10.0.1.11'", "it names a user", "`ansible_user`"),
    ] {
        let project = small();
        let hosts = HOSTS.replace(
            "ansible_host: 10.0.1.11",
            &format!("ansible_host: {address}"),
        );
        project.write("hosts.yaml", &hosts);
        lint(&project, &[]).is(2).says(&[
            "which is no address",
            reason,
            help,
            "--> hosts.yaml:6:33",
            "1 mistake",
        ]);
    }
    // A name is an address too, unless the host is this machine.
    let project = small();
    project.write("hosts.yaml", "apim: { hosts: { 10.0.1.311: } }\n");
    lint(&project, &[])
        .is(2)
        .says(&["`10.0.1.311`, which is no address", "--> hosts.yaml:1:"]);
    project.write(
        "hosts.yaml",
        "apim: { hosts: { 10.0.1.311: { ansible_connection: local } } }\n",
    );
    lint(&project, &[]).is(0);
}

const TAGGED: &str = "\
- name: Say
  hosts: all
  tasks:
    - name: Say it
      debug: { msg: hello }
      tags: [apim]
    - block:
        - name: Say it once more
          debug: { msg: hello }
          tags: [mi]
";

#[test]
fn tags_that_no_task_has() {
    let project = small();
    project.write("playbooks/say.yaml", TAGGED);
    for flag in ["-t", "--skip-tags"] {
        let said = lint(&project, &[flag, "mi,apimm"]).is(2);
        said.says(&[
            "no task of `say` has the tag `apimm`",
            "did you mean `apim`?",
            "1 mistake",
        ]);
        lint(&project, &[flag, "verify"])
            .is(2)
            .says(&["it has apim, mi"]);
    }
    for words in ["apim", "mi,all", "tagged", "untagged", "always", "never"] {
        lint(&project, &["-t", words]).is(0);
        lint(&project, &["--skip-tags", words]).is(0);
    }
    lint(&small(), &["-t", "apim"])
        .is(2)
        .says(&["none of its tasks has tags"]);
}

#[test]
fn hosts_to_delegate_to_that_are_not_there() {
    let project = small();
    let to = |host: &str, more: &str| {
        project.write(
            "playbooks/say.yaml",
            &format!("{SAY}      delegate_to: {host}\n{more}"),
        );
        lint(&project, &[])
    };
    for (host, help) in [
        ("apim-11", "did you mean `apim-1`?"),
        ("localhst", "did you mean `localhost`?"),
        ("mi", "name a host of the inventory, one and no group"),
        ("\"{{ 'apim-' ~ 3 }}\"", "did you mean `apim-1`?"),
    ] {
        to(host, "").is(2).says(&[
            "the inventory has no host `",
            "--> playbooks/say.yaml:6:20",
            help,
            "1 mistake",
        ]);
    }
    // Also where nobody comes by.
    to("apim-11", "      when: false\n").is(2);
    for host in ["apim-1", "localhost", "\"{{ groups.mi[0] }}\""] {
        to(host, "").is(0);
    }
}

const TWO: &str = "\
- pattern: two
  groups:
    apim: { hosts: 2 }
    si: { hosts: 2, optional: true }
    mi: { hosts: '1+', optional: true }
    'mi_*': { hosts: 2, optional: true }
- name: Say
  hosts: HOSTS
  tasks:
    - debug: { msg: hello }
- name: Say to everybody
  hosts: all
  tasks:
    - debug: { msg: hello }
";

#[test]
fn plays_for_hosts_that_are_not_there() {
    let project = small();
    let hosts = |text: &str| {
        project.write("playbooks/say.yaml", &TWO.replace("HOSTS", text));
        lint(&project, &[])
    };
    for (text, name, help) in [
        ("mi:!apmi", "apmi", "did you mean `apim`?"),
        ("mi:&apmi", "apmi", "did you mean `apim`?"),
        ("nogroup", "nogroup", "inventory graph -i INVENTORY"),
        ("'mi['", "mi[", "did you mean `mi`?"),
        ("apim,mi-3", "mi-3", "did you mean `mi-"),
        (
            "localhost",
            "localhost",
            "`localhost: { ansible_connection: local }`",
        ),
        ("[mi, apmi]", "apmi", "did you mean `apim`?"),
    ] {
        let matches = format!("no host or group matches `{name}`");
        hosts(text)
            .is(2)
            .says(&[&matches, help, "--> playbooks/say.yaml:8:10", "1 mistake"]);
    }
    // What the pattern says need not be there, what leaves, and a shape, which takes what there is.
    for text in [
        "'gw*'",
        "apim:si",
        "si[0]",
        "apim:mi_*:!si",
        "retired",
        "'apim:!apim'",
    ] {
        hosts(text).is(0);
    }
    hosts("mi-2").is(0);
    lint(&project, &["--retire", "mi-2"]).is(0);
}

#[test]
fn a_limit_that_names_nobody_beside_somebody() {
    let project = small();
    for (limit, help) in [
        ("apim:!apim-11", "did you mean `apim-1`?"),
        ("apim,mmi", "did you mean `mi`?"),
    ] {
        lint(&project, &["-l", limit])
            .is(2)
            .says(&["no host or group matches", help]);
    }
    lint(&project, &["-l", "mi", "--retire", "mi-2"]).is(0);
    lint(&project, &["-l", "mi-1,mi-2", "--retire", "mi-2"])
        .is(2)
        .says(&["`mi-2` is retired; `retired` means those that are"]);
}

#[test]
fn files_that_are_named_and_not_there() {
    let project = small();
    lint(&project, &["-e", "@none.yaml"]).is(2).says(&[
        "none.yaml cannot be read",
        "--> -e:1:2",
        "help: `-e @FILE` is a file of variables",
    ]);
    lint(&project, &["-l", "@none"]).is(2).says(&[
        "none cannot be read",
        "--> --limit:1:1",
        "help: `@FILE` is a file",
    ]);
    project.write(
        "playbooks/say.yaml",
        &SAY.replace("  tasks:", "  vars_files: [nope.yaml]\n  tasks:"),
    );
    lint(&project, &[]).is(2).says(&[
        "nope.yaml cannot be read",
        "--> playbooks/say.yaml:3:16",
        "help: a path begins in the playbook's folder",
    ]);
}
