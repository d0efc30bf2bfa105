#!/usr/bin/env bash
# Every process of every cluster is replaced while clients with open connections call, GET and POST: none of their requests
# fails, and never are two nodes of one cluster out of rotation at the same time.
# Long. 43-balancer-reloaded restarts one cluster of them in the same way.
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

step "make it so"
deploy
all_serve

step "the load alone"
load_all
sleep 10
load_stop
before_p99=$(load_p99)

step "restart, under the same load"
before=$(processes)
load_all
tool restart "${deployment[@]}" --output json
nothing_failed
expect "exit code" 0 "$code"
printf '   p99 in ms, alone and meanwhile: %s\n' "$(paste -d' ' <(echo "$before_p99") <(load_p99 | cut -d' ' -f2) | paste -sd';' | sed 's/;/; /g')"
expect "java processes that are the same" "" \
  "$(comm -12 <(grep '(java)' <<<"$before" | sort) <(java_processes | sort))"
expect_same "nodes of a cluster that were out together" "" "$(out_together)"
all_serve

step "a run finds nothing to do"
deploy
expect_same "no step changed" "" "$(steps_that changed)"
