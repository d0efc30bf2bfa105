#!/usr/bin/env bash
# In each cluster a node loses power: its clients are served by the others, and it comes back by itself.
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

step "make it so"
deploy
all_serve

# lost CLUSTER NODE: its others are $others
lost() {
  local cluster=$1 node=$2 host path
  read -r host path < <(entry "$cluster")
  steady_start "$host" "$path"
  "$lab" kill "$node"
  later "$lab" start "$node"
  sleep 5
  serves "$cluster" "${others[@]}"
  # One may have been in flight: they are sent one after the other.
  expect_match "requests to $host that failed while $node is dead: $(steady_failed) (allowed: 1)" '^[01]$' "$(steady_failed)"
  "$lab" start "$node"
  # shellcheck disable=SC2046 # one word per machine
  serves "$cluster" $(members "$cluster")
  # Those in flight on the node; and the 500s of a gateway that listens and is not ready yet, see 50-machine-replaced.
  steady_stop "$cluster" 30
}

# The leader of a pair is the one that matters: streams stop until the other notices.
leader_lost() {
  local cluster=$1 node=$2
  "$lab" kill "$node"
  later "$lab" start "$node"
  # W is interval x retries = 25 s; then the app starts, and the balancer may hold a refusal for 5 s more.
  expect_within 60 "events for $cluster go to ${others[*]}" "200 ${others[*]}" stream_event "$cluster"
  expect "${others[*]}" Active "$(si_state "${others[*]}")"
  "$lab" start "$node"
  expect_within 180 "$node is back" Passive si_state "$node"
  expect "events still go to ${others[*]}" "200 ${others[*]}" "$(stream_event "$cluster")"
}

for cluster in $(clusters); do
  read -ra nodes <<<"$(members "$cluster")"
  case $cluster in
    si | si_*) node=$(si_active "${nodes[@]}") ;;
    *) node=${nodes[0]} ;;
  esac
  mapfile -t others < <(printf '%s\n' "${nodes[@]}" | grep -vx "$node")
  step "$node of $cluster loses power"
  case $cluster in
    si | si_*) leader_lost "$cluster" "$node" ;;
    *) lost "$cluster" "$node" ;;
  esac
done

step "a run finds nothing to mend"
deploy
expect_same "no step changed" "" "$(steps_that changed)"
