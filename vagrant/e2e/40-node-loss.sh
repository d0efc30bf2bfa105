#!/usr/bin/env bash
# A node that dies is not noticed by clients, and comes back by itself.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

step "make it so"
deploy
both_serve

step "apim-1 loses power"
steady_start "$api_host" "$api_path"
"$lab" kill apim-1
later "$lab" start apim-1
sleep 5
expect "nodes behind $api_host" "apim-2" "$(nodes "$api_host" "$api_path" 10)"
expect "requests that failed while it is dead" 0 "$(awk '$1 !~ /^[234]/' "$steady_file" | wc -l)"
"$lab" start apim-1
expect_within 180 "nodes behind $api_host" "apim-1 apim-2" nodes "$api_host" "$api_path" 12
# Those in flight on the node; and the 500s of a gateway that listens and is not ready yet, see 50-machine-replaced.
steady_stop "API" 30

step "the active stream integrator loses power"
active=si-1
passive=si-2
if [[ $(si_state si-2) == Active ]]; then
  active=si-2
  passive=si-1
fi
"$lab" kill "$active"
later "$lab" start "$active"
# W is interval x retries = 25 s; then the app starts, and the balancer may hold a refusal for 5 s more.
expect_within 60 "events go to $passive" "200 $passive" stream_event
expect "$passive" Active "$(si_state "$passive")"
"$lab" start "$active"
expect_within 180 "$active is back" Passive si_state "$active"
expect "events still go to $passive" "200 $passive" "$(stream_event)"
