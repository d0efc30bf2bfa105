#!/usr/bin/env bash
# Wrong input ends with exit 2 and a message with file, line, column and fix, several mistakes in one go; nobody is
# contacted. The inventory's addresses lead nowhere (TEST-NET-3), so a connection would take seconds and end with 5.
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

logins() { on apim-1 journalctl --unit ssh --no-pager | grep -cE 'Accepted|Connection' || [[ $? == 1 ]]; }

copy_inventories
mkdir -p "$out/playbooks"
nowhere=$project/nowhere.yaml
sed 's/172\.30\.57\./203.0.113./' "$inventory" >"$nowhere"
broken() {
  sed "$1" "$nowhere" >"$project/broken.yaml"
  printf '%s\n' "$project/broken.yaml"
}

# wrong WHAT MISTAKES ARGS...: so many mistakes, found within three seconds
wrong() {
  local what=$1 mistakes=$2 start=$SECONDS
  shift 2
  step "$what"
  tool "$@"
  expect "exit code" 2 "$code"
  if ((SECONDS - start > 3)); then
    fail "time" "at most 3 s" "$((SECONDS - start)) s"
  fi
  if [[ $mistakes != - ]]; then
    expect_match "it counts them" "$mistakes mistakes?; nothing was contacted" "$said"
    sed -n 's/^error: /   says  /p; s/^ *--> /         /p' <<<"$said"
  fi
}

# says REGEX...: in the last message
says() {
  local regex
  for regex in "$@"; do
    expect_match "it says: $regex" "$regex" "$said"
  done
}

before=$(logins)

wrong "an unknown playbook" 1 run standard-haa -i "$nowhere"
says 'standard-ha'
wrong "an unknown flag" - run "$pattern" -i "$nowhere" --limmit mi
says '--limit'
wrong "no such inventory" 1 run "$pattern" -i "$out/none.yaml"
says 'none.yaml'
wrong "a limit that matches nothing" 1 run "$pattern" -i "$nowhere" --limit mi-3
says 'mi-3'
wrong "a tab in the inventory" 1 run "$pattern" -i "$(broken 's/^    apim:/\tapim:/')"
says 'broken.yaml:[0-9]+:[0-9]+'

wrong "one node where two are the minimum, no packs, no password" 6 run "$pattern" \
  -i "$(broken '/apim-2:/d')" -e "packs_dir=$out/none" -e 'db_mi_password={{ no_such_variable }}'
says 'needs 2 hosts in group `apim`, the inventory has 1' 'broken.yaml:[0-9]+:[0-9]+' 'add 1 host to `apim`' \
  'wso2am-4.5.0.zip` is missing' 'wso2mi-4.4.0.zip` is missing' 'set the variable that names it' no_such_variable

wrong "groups in a circle" 1 run "$pattern" \
  -i "$(broken 's/^    si:$/    si:\n      children: { mi: {} }/; s/^    mi:$/    mi:\n      children: { si: {} }/')"
says 'circle: mi > si > mi' 'broken.yaml:[0-9]+:[0-9]+' 'take one of these groups out'

cat >"$out/playbooks/typos.yaml" <<'YAML'
- name: A play with typos
  hosts: mi
  tasks:
    - name: A keyword
      command: /bin/true
      notfy: restart
    - name: A module
      systemdd: { name: nginx, state: started }
    - name: An argument
      copy: { content: x, dst: /tmp/x }
YAML
wrong "a misspelt keyword, module and argument" 3 run "$out/playbooks/typos.yaml" -i "$nowhere"
says 'typos.yaml:6:7' 'did you mean `notify`' 'typos.yaml:8:7' 'did you mean `systemd`' 'typos.yaml:10:27' 'did you mean `dest`'

cat >"$out/playbooks/undefined.yaml" <<'YAML'
- name: A play with undefined variables
  hosts: mi
  tasks:
    - name: Close to one
      debug: { msg: "{{ mi_hostnam }}" }
    - name: Close to none
      debug: { msg: "{{ qqqqqq }}" }
    - name: In a condition
      command: /bin/true
      when: xxxxxxx == 1
YAML
wrong "undefined variables" 3 run "$out/playbooks/undefined.yaml" -i "$nowhere"
says 'undefined.yaml:5:[0-9]+' 'did you mean `mi_hostname`' 'undefined.yaml:7:[0-9]+' 'undefined.yaml:10:[0-9]+'

step "nobody was contacted"
expect "logins on apim-1" "$before" "$(logins)"
