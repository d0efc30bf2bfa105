#!/usr/bin/env bash
# Wrong input ends with exit 2, a message that says what and where, and no machine was contacted.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

logins() { on apim-1 journalctl --unit ssh --no-pager | grep -cE 'Accepted|Connection' || [[ $? == 1 ]]; }

# wrong WHAT REGEX ARGS...
wrong() {
  local what=$1 regex=$2
  shift 2
  step "$what"
  tool "$@"
  expect "exit code" 2 "$code"
  expect_match "the message" "$regex" "$said"
}

# A copy of the sample inventory to break; paths in it are relative to its folder.
project=$out/inventories/vagrant
mkdir -p "$project" "$out/playbooks"
cp -r "$root/inventories/vagrant/." "$project/"
ln -s "$vagrant_dir" "$out/vagrant"
broken() {
  sed "$1" "$inventory" >"$project/broken.yaml"
  printf '%s\n' "$project/broken.yaml"
}

before=$(logins)
wrong "an unknown playbook" 'standard-ha' run standard-haa -i "$inventory"
wrong "an unknown flag" 'limit' run "$pattern" -i "$inventory" --limmit mi
wrong "no such inventory" 'nowhere.yaml' run "$pattern" -i "$out/nowhere.yaml"
wrong "a limit that matches nothing" 'mi-3' run "$pattern" -i "$inventory" --limit mi-3
wrong "a tab in the inventory" 'broken.yaml:' run "$pattern" -i "$(broken 's/^    apim:/\tapim:/')"
wrong "one node where two are the minimum" 'apim' run "$pattern" -i "$(broken '/apim-2:/d')"
wrong "a misspelt variable in the inventory" 'no_such_variable' \
  run "$pattern" -i "$inventory" -e 'packs_dir={{ no_such_variable }}'
wrong "packs that are not there" 'wso2am' run "$pattern" -i "$inventory" -e "packs_dir=$out"
cat >"$out/playbooks/typo.yaml" <<'YAML'
- name: A play with a typo
  hosts: mi
  tasks:
    - name: A task
      command: /bin/true
      notfy: restart
YAML
wrong "a misspelt keyword" 'typo.yaml:6:7' run "$out/playbooks/typo.yaml" -i "$inventory"
expect_match "it suggests the right one" notify "$said"

step "nobody was contacted"
expect "logins on apim-1" "$before" "$(logins)"
