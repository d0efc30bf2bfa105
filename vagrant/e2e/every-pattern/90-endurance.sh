#!/usr/bin/env bash
# Restarts and upgrades, one after the other, under one load that never pauses: no request fails, never are two nodes of a
# cluster out together, and never do fewer serve than were promised. How often: LAB_RESTARTS (10), LAB_UPGRADES (3); each
# upgrade is followed by its way back. LAB_RATE=15 makes it about 360 requests a second.
# Long.
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

readonly restarts=${LAB_RESTARTS:-10} upgrades=${LAB_UPGRADES:-3}

step "make it so"
deploy
all_serve
printf '   the balancer is %s\n' "$(balancer_engine)"

declare -a to=() written=()
for product in $(products); do
  to+=(--to "$product=+1")
  written+=(-e "${product}_update_level=1")
done

step "the load alone"
load_all
sleep 20
load_stop
before_p99=$(load_p99)

# once WHAT COMMAND...: of the program
rolled=0
once() {
  local what=$1 short
  shift
  tool "$@" --output json
  expect "$what: exit code" 0 "$code"
  expect_same "$what: nodes of a cluster that were out together" "" "$(out_together)"
  short=$(jq -r 'select(.event == "evidence" and (.least_in_service < .promised or .failed > 0))
    | "\(.cluster): \(.failed) of \(.sent) failed, \(.least_in_service) of \(.promised) promised in service"' "$stdout")
  expect_same "$what: clusters with failed requests or too few nodes, by its own count" "" "$short"
  rolled=$((rolled + 1))
}

step "under load"
began=$SECONDS
load_all
for ((i = 1; i <= restarts; i++)); do
  once "restart $i" restart "${deployment[@]}"
done
for ((i = 1; i <= upgrades; i++)); do
  once "upgrade $i" upgrade "${deployment[@]}" "${to[@]}"
  once "its way back" rollback "${deployment[@]}" "${written[@]}"
done
nothing_failed
printf '   %d rollouts of every cluster in %d s\n' "$rolled" $((SECONDS - began))
printf '   p99 in ms, alone and meanwhile: %s\n' "$(paste -d' ' <(echo "$before_p99") <(load_p99 | cut -d' ' -f2) | paste -sd';' | sed 's/;/; /g')"
expect_same "loads whose p99 is more than 1.5 times that of before" "" "$(slower_than "$before_p99")"
all_serve

step "a run finds nothing to do"
deploy
expect_same "no step changed" "" "$(steps_that changed)"
