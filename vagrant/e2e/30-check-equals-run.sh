#!/usr/bin/env bash
# `run --check` names exactly the steps that `run` then changes, and changes none itself.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

step "make it so"
deploy
later deploy

step "check a new heap size"
before=$(processes)
tool run "$pattern" -i "$inventory" -e mi_heap=112m --check --output json
expect "exit code" 0 "$code"
promised=$(steps_that changed)
expect_same "checking replaced no process" "$before" "$(processes)"
if [[ -z $promised ]]; then
  fail "steps that would change" "at least one" ""
fi

step "do it, under traffic"
steady_start "$mi_host" "$mi_path"
deploy --diff -e mi_heap=112m
steady_stop "MI"
expect_same "the same steps changed" "$promised" "$(steps_that changed)"

step "only MI was touched"
expect_same "other processes are the same" "$(awk '!/^mi-/' <<<"$before")" "$(processes | awk '!/^mi-/')"
expect "MI processes that are the same" 0 "$(comm -12 <(sort <<<"$before") <(processes mi-1 mi-2 | sort) | wc -l)"
both_serve
