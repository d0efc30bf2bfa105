#!/usr/bin/env bash
# Gateways serve what they have loaded while the whole control plane is away, and hear of new APIs once it is back.
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

backend=https://$(mi_host mi)$mi_path
# A name that no scenario before left behind.
first=first$$
second=second$$

step "make it so"
deploy
all_serve

step "an API that is published reaches both gateways"
publish "$admin" "$first" "$backend"
expect_within 60 "gateways that have /$first" "200 gw-1;200 gw-2" statuses "/$first/1.0.0"
expect "who answers behind them" "mi-1 mi-2" "$(backends "/$first/1.0.0" 12)"

step "the control plane goes away"
steady_start "$api_host" "/$first/1.0.0"
for name in $(members apim); do
  "$lab" kill "$name"
  later "$lab" start "$name"
done
sleep 30
expect "gateways that have /$first" "200 gw-1;200 gw-2" "$(statuses "/$first/1.0.0")"
expect "requests that failed meanwhile" 0 "$(steady_failed)"

step "it comes back"
for name in $(members apim); do
  "$lab" start "$name"
done
# shellcheck disable=SC2046 # one word per machine
serves apim $(members apim)
steady_stop "gateways"

step "the gateways hear it again"
publish "$admin" "$second" "$backend"
# Reconnecting to the broker starts after 10 s and doubles.
expect_within 120 "gateways that have /$second" "200 gw-1;200 gw-2" statuses "/$second/1.0.0"

step "a run finds nothing to mend"
deploy
expect_same "no step changed" "" "$(steps_that changed)"
