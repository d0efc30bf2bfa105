#!/usr/bin/env bash
# Somebody reads the balancer's files anew while a rollout has a node out, and once more while it is changed: the node stays
# out until the rollout puts it back, and no request fails.
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

step "make it so"
deploy
all_serve
printf '   the balancer is %s\n' "$(balancer_engine)"

# One that the balancer takes nodes out of, and that requests reach.
for cluster in $(clusters); do
  case $cluster in
    gateway | mi | mi_*) break ;;
  esac
done
read -r first _ <<<"$(members "$cluster")"

if [[ $(balancer_engine) == nginx ]]; then
  reload_cuts=30
fi

step "restart $cluster; the balancer is reloaded while $first is out"
load_of "$cluster"
stdout=$out/reloaded
: >"$stdout"
code=0
"$program" restart "${deployment[@]}" --limit "$cluster" --output json >"$stdout" 2>&1 &
restarted=$!
until grep -q taken_out "$stdout" || ! kill -0 "$restarted" 2>/dev/null; do sleep 0.1; done
expect_match "$first is out, and would be after a restart of the balancer" '.' "$(drained_lastingly "$first")"
balancer_reload
sleep 2
balancer_reload
expect_match "it still would" '.' "$(drained_lastingly "$first")"
wait "$restarted" || code=$?
nothing_failed
expect "exit code" 0 "$code"
expect_same "nodes of a cluster that were out together" "" "$(out_together)"
expect_same "nobody is left out" "" "$(for name in $(members "$cluster"); do drained_lastingly "$name"; done)"
all_serve

step "a run finds nothing to do"
deploy
expect_same "no step changed" "" "$(steps_that changed)"
