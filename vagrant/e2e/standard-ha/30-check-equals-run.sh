#!/usr/bin/env bash
# `run --check` names exactly the steps that `run` then changes, and changes none itself. The change is one of MI's own
# configuration (a rolling change), and one of the balancer's (a template and its handlers).
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

readonly -a change=(-e mi_socket_timeout=170000 -e lb_max_fails=4)

step "make it so"
deploy
later deploy

step "check the change"
before=$(processes)
tool run "${deployment[@]}" "${change[@]}" --check --diff --output json
expect "exit code" 0 "$code"
promised=$(steps_that changed)
promised_diffs=$(diffs)
cut -f1-3 <<<"$promised" | sed 's/^/   would change  /'
expect_same "checking replaced no process" "$before" "$(processes)"
expect_match "MI's nodes would change" 'mi-1.*mi-2' "$(cut -f1 <<<"$promised" | paste -sd' ')"
expect_match "a handler would run" 'Reload (NGINX|HAProxy)' "$promised"

step "check again: the first check changed nothing"
tool run "${deployment[@]}" "${change[@]}" --check --output json
expect_same "the same steps would change" "$promised" "$(steps_that changed)"

step "do it, under traffic"
steady_start "$(mi_host mi)" "$mi_path"
deploy --diff "${change[@]}"
steady_stop "MI"
expect_same "the same steps changed" "$promised" "$(steps_that changed)"
expect_same "with the same differences" "$promised_diffs" "$(diffs)"

step "only MI and the balancer's workers were touched"
expect_same "other processes are the same" "$(awk '!/^mi-/' <<<"$before")" "$(processes | awk '!/^mi-/')"
expect "MI processes that are the same" 0 "$(comm -12 <(grep '^mi-' <<<"$before" | sort) <(processes mi-1 mi-2 | sort) | wc -l)"
all_serve
