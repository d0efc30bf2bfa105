#!/usr/bin/env bash
# A second run finds everything as it should be: no step changes, no process is replaced, no request is lost.
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

step "make it so"
deploy

step "run again, under traffic"
before=$(processes)
steady_start "$api_host" "$api_path"
deploy
steady_stop "API"
expect_same "no step changed" "" "$(steps_that changed)"
expect "hosts in the recap" "$(deployed_names | wc -l)" "$(changed_counts | wc -l)"
expect "hosts with changes in the recap" 0 "$(changed_counts | awk '$2 != 0' | wc -l)"
expect_same "processes are the same" "$before" "$(processes)"
printf '   round trips per host: %s\n' "$(round_trips | paste -sd',' | sed 's/,/, /g')"
