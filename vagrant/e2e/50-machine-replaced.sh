#!/usr/bin/env bash
# A machine is lost with its disk; a new one with the same address takes its place by one run, and nobody else is touched.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

step "make it so"
deploy
both_serve
before=$(processes_but mi-2)

step "mi-2 is replaced, under traffic"
steady_start "$mi_host" "$mi_path"
"$lab" recreate mi-2
expect "java processes on the new mi-2" "" "$(processes mi-2)"
deploy
expect_within 90 "nodes behind $mi_host" "mi-1 mi-2" nodes "$mi_host" "$mi_path" 12
steady_stop "MI"
expect_same "all other processes are the same" "$before" "$(processes_but mi-2)"

step "a changed host key is refused"
cp "$state/known_hosts" "$out/known_hosts"
later cp "$out/known_hosts" "$state/known_hosts"
awk '$1 ~ /^mi-1,/ { host = $1; next } $1 ~ /^mi-2,/ && host { print host, $2, $3 } { print }' \
  "$out/known_hosts" >"$state/known_hosts"
tool run "$pattern" -i "$inventory"
expect "exit code" 3 "$code"
expect_match "the message names the host" mi-1 "$said"
expect_match "the message shows a fingerprint" SHA256: "$said"
