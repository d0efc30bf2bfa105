#!/usr/bin/env bash
# Every product goes to the next update level and back while clients with open connections call: none of their requests
# fails, and no run undoes what an upgrade or its way back has made true.
# Long. The whole runs among the tests of cargo go up and back with the real modules.
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

step "make it so"
deploy
all_serve

declare -a to=() written=()
for product in $(products); do
  to+=(--to "$product=+1")
  written+=(-e "${product}_update_level=1")
done

# "host release" a line of every node
releases() {
  tool status "${deployment[@]}" "$@" --output json >&2
  jq -r 'select(.event == "status") | .nodes[] | "\(.host) \(.release)"' "$stdout" | sort
}
at_level() { sed 's/$/+1/' <<<"$1"; }

# under_load COMMAND...: of the program, without a request that fails and without two nodes of a cluster out together
under_load() {
  load_all
  tool "$@" --output json
  nothing_failed
  expect "exit code" 0 "$code"
  expect_same "nodes of a cluster that were out together" "" "$(out_together)"
}

step "a pack that is not there is missed before anybody is asked"
before=$(processes)
tool upgrade "${deployment[@]}" --to +777
expect "exit code" 2 "$code"
expect_match "it names the pack" 'wso2am-[0-9.]+\.777\.zip. is missing' "$said"

step "upgrade, under load"
old=$(releases)
under_load upgrade "${deployment[@]}" "${to[@]}"
expect_match "it says what to write" 'apim_update_level: 1' "$said"
expect_same "every node runs the next level" "$(at_level "$old")" "$(releases "${written[@]}")"
expect "java processes that are the same" "" \
  "$(comm -12 <(grep '(java)' <<<"$before" | sort) <(java_processes | sort))"

step "a run with the old inventory is refused, and one with the new levels finds nothing to do"
before=$(processes)
tool run "${deployment[@]}"
expect "exit code" 3 "$code"
expect_match "it says what to write" 'apim_update_level: 1' "$said"
expect_match "it says how to go back" 'apim-deploy rollback' "$said"
deploy "${written[@]}"
expect_same "no step changed" "" "$(steps_that changed)"
expect_same "every process is the same" "$before" "$(processes)"

step "rollback, under load"
under_load rollback "${deployment[@]}" "${written[@]}"
expect_same "every node runs the release of before" "$old" "$(releases)"

step "again there is nothing to go back to, and a run with the old inventory finds nothing to do"
before=$(processes)
tool rollback "${deployment[@]}"
expect "exit code" 0 "$code"
expect_match "it says so" 'nothing to go back to' "$said"
deploy
expect_same "no step changed" "" "$(steps_that changed)"
expect_same "every process is the same" "$before" "$(processes)"
all_serve
