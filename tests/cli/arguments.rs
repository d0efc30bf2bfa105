//! Arguments that no host is needed to judge: all mistakes of a file at once, with their places.

use super::*;

const TEMPLATED: &str = "\
- name: arguments
  hosts: all
  vars: { where: etc/motd, how: 'FETCH', token: s3cret-value, jar: '' }
  tasks:
    - name: a relative path
      copy: { dest: '{{ where }}', content: text }
    - name: two sources
      copy: { dest: /etc/motd, content: '{{ where }}', src: motd }
    - name: three of one task
      uri: { url: '{{ where }}', method: '{{ how }}', status_code: '{{ 9000 + 999 }}' }
    - name: two of one loop
      file: { path: '{{ item.path }}', state: '{{ item.state }}' }
      loop:
        - { path: /a, state: directry }
        - { path: /b, state: directory }
        - { path: c, state: directory }
    - name: a secret
      get_url: { url: 'https://a/{{ jar }}', dest: /opt/b.jar, checksum: '{{ token }}' }
      no_log: true
    - name: found out later
      command: 'true'
      register: later
    - name: not known yet
      file: { path: '{{ later.stdout }}', state: directory }
";

#[test]
fn what_variables_give_is_judged_before_a_host_is_touched() {
    let project = Project::new(&[
        ("site.yaml", TEMPLATED),
        ("files/motd", "hello\n"),
        ("hosts.yaml", "all: { hosts: { web-1: } }\n"),
    ]);
    let said = project.run(&["lint", "site.yaml", "-i", "hosts.yaml"]);
    snapshot("lint-arguments", &said);
    said.is(2).never_says(&["s3cret-value"]);
}

const SAYS: &str = "\
- name: say
  hosts: all
  vars: { ports: [9443, 8243], token: s3cret-value }
  tasks:
    - debug: { var: ports }
    - debug: { var: 'ports | length' }
    - debug: { var: '{{ item }}' }
      loop: [ports]
    - debug: { var: token }
      no_log: true
    - debug: { var: ports }
      register: known
    - debug: { var: known.ports }
";

#[test]
fn debug_says_what_a_variable_is_worth() {
    let project = Project::new(&[("hosts.yaml", HERE), ("site.yaml", SAYS)]);
    project
        .run(&["run", "site.yaml", "-i", "hosts.yaml", "--output", "plain"])
        .is(0)
        .says(&[
            "ports: [9443,8243]",
            "ports | length: 2",
            "known.ports: [9443,8243]",
        ])
        .never_says(&["s3cret-value"]);
    project.write(
        "site.yaml",
        "- hosts: all\n  tasks: [{ debug: { var: nothing } }]\n",
    );
    project
        .run(&["lint", "site.yaml", "-i", "hosts.yaml"])
        .is(2)
        .says(&["`nothing` is not defined", "site.yaml:2:27"]);
}
