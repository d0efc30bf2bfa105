//! Runs, on this very machine and on others: what they say when they fail, go on, and go in batches.

use super::*;

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
