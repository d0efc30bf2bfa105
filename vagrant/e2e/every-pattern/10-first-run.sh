#!/usr/bin/env bash
# From the machines as they are, bare ones at first, to clusters that serve from all their nodes: what the plan said
# happens, and nothing was changed by asking for it.
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

# Every file and link of ours, so that a change shows. Not the logs, to which running products add.
deployed() { on "$1" sh -c 'find /opt/wso2 /etc/wso2 /etc/nginx /etc/haproxy /etc/hosts -path "*/logs/*" -o -printf "%p %T@ %l\n" 2>/dev/null | sort'; }

everywhere() {
  local name
  for name in $(machine_names); do
    deployed "$name" | sed "s/^/$name /"
  done
}

step "plan"
before=$(everywhere)
tool plan "${deployment[@]}" --output json
expect "exit code" 0 "$code"
planned=$(changed_counts | awk '$2 != 0 { print $1 }')
printf '   would change: %s\n' "$(paste -sd' ' <<<"$planned")"
expect_same "planning changed nothing" "$before" "$(everywhere)"

step "run"
deploy
expect "hosts with changes are those of the plan" "$(paste -sd' ' <<<"$planned")" \
  "$(changed_counts | awk '$2 != 0 { print $1 }' | paste -sd' ')"

step "who serves"
all_serve
expect "the sample API's status" 200 "$(ask "$api_host" "$api_path" | cut -d' ' -f1)"

step "what a node keeps"
for cluster in $(clusters); do
  for name in $(members "$cluster"); do
    expect "$name: java processes" 1 "$(processes "$name" | awk '/\(java\)/' | wc -l)"
  done
done
