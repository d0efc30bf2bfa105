#!/usr/bin/env bash
# A rollout counts what clients meet by requests of its own, and tells it; who watches a node that soaks need not wait for the end;
# status goes on looking, and says what changes.
# Long. The whole runs among the tests of cargo show the same with products that are not there.
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

step "make it so"
deploy
all_serve

# evidence: "cluster sent failed least promised" a line, of the last run's JSON
evidence() {
  jq -r 'select(.event == "evidence") | [.cluster, .sent, .failed, .least_in_service, .promised] | @tsv' "$stdout"
}

step "restart, and what its own requests came to"
tool restart "${deployment[@]}" --output json
expect "exit code" 0 "$code"
evidence | sed 's/^/   | /'
expect_same "clusters with failed requests" "" "$(evidence | awk '$3 > 0')"
expect_same "clusters with fewer nodes than promised" "" "$(evidence | awk '$4 < $5')"
expect "clusters without a word" 0 "$(comm -23 <(clusters | grep -vx traffic_manager | sort) <(evidence | cut -f1 | sort) | wc -l)"
# Streams and traffic managers answer no HTTP through the balancer.
expect_same "clusters that were asked too little" "" "$(evidence | awk '$1 !~ /^(si|traffic_manager)/ && $2 < 20')"

step "stopped while the first node is being watched"
first=$(clusters | head -n 1)
"$program" restart "${deployment[@]}" --limit "$first" -e rollout_canary_soak=300 --output plain >"$out/watched" 2>&1 &
watched=$!
until grep -q 'in rotation' "$out/watched" || ! kill -0 "$watched" 2>/dev/null; do sleep 0.2; done
sleep 3
began=$SECONDS
kill -INT "$watched"
code=0
wait "$watched" || code=$?
said=$(cat "$out/watched")
expect "exit code" 130 "$code"
expect "seconds until it ended, 15 at most" yes "$( ((SECONDS - began <= 15)) && echo yes || echo "$((SECONDS - began))")"
expect_match "it says what became of the node" 'changed and serving; not watched to the end' "$said"
expect_match "it says which command comes next" 'next: ' "$said"
all_serve

step "status goes on looking"
"$program" status "${deployment[@]}" --watch 2 --output plain >"$out/looks" 2>&1 &
looks=$!
until grep -q '^cluster' "$out/looks" || ! kill -0 "$looks" 2>/dev/null; do sleep 0.2; done
sleep 5
kill -INT "$looks"
code=0
wait "$looks" || code=$?
expect "exit code" 0 "$code"
expect "tables" 1 "$(grep -c '^cluster' "$out/looks")"

step "a run finds nothing to do"
deploy
expect_same "no step changed" "" "$(steps_that changed)"
