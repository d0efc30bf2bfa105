#!/usr/bin/env bash
# A machine is lost with its disk; a new one with the same address takes its place by one run, and nobody else is touched.
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

step "make it so"
deploy
all_serve

# replaced NAME HOST PATH NODES ALLOWED: so many requests may fail.
replaced() {
  local name=$1 host=$2 path=$3 expected=$4 allowed=$5 before
  step "$name is replaced, under traffic to $host"
  before=$(processes_but "$name")
  steady_start "$host" "$path"
  "$lab" recreate "$name"
  expect "processes on the new $name" "" "$(processes "$name")"
  deploy
  expect "hosts with changes" "$name" "$(changed_counts | awk '$2 != 0 { print $1 }' | paste -sd' ')"
  expect_within 90 "nodes behind $host" "$expected" nodes "$host" "$path" 12
  steady_stop "$host" "$allowed"
  expect_same "all other processes are the same" "$before" "$(processes_but "$name")"
}
# Those that were in flight on the machine.
replaced mi-2 "$(mi_host mi)" "$mi_path" "mi-1 mi-2" 2
replaced apim-2 "$api_host" "$api_path" "apim-1 apim-2" 2

step "a changed host key is refused"
cp "$state/known_hosts" "$out/known_hosts"
later cp "$out/known_hosts" "$state/known_hosts"
awk '$1 ~ /^mi-1,/ { host = $1; next } $1 ~ /^mi-2,/ && host { print host, $2, $3 } { print }' \
  "$out/known_hosts" >"$state/known_hosts"
tool run "${deployment[@]}"
expect "exit code" 3 "$code"
expect_match "the message names the host" mi-1 "$said"
expect_match "the message shows a fingerprint" SHA256: "$said"
expect_match "the message shows the command that trusts it" 'ssh-keygen|ssh-keyscan' "$said"
grep -A4 '^error' "$stdout" "$stderr" -h | head -n 8 | sed 's/^/   /'
