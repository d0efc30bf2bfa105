#!/usr/bin/env bash
# A change that proves bad is taken back on the first node, and no other node sees it. A rollout that must not go on stops
# before it takes anything away, and says why. No request fails in any of it.
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

step "make it so"
deploy
all_serve
calls() {
  load_start apim-get GET "$api_host" "$api_path"
  load_start apim-post POST "$api_host" "$api_path"
  load_start mi-get GET "$(mi_host mi)" "$mi_path"
}

# bad WHAT CLUSTER VARIABLE: the first node of the cluster tries it, goes back, and nobody else is touched
bad() {
  local what=$1 first
  read -r first _ <<<"$(members "$2")"
  step "$what"
  before=$(processes_but "$first")
  calls
  tool run "${deployment[@]}" -e "$3"
  nothing_failed
  expect "exit code" 7 "$code"
  expect_match "it says what became of $first" "$first +old state again" "$said"
  expect_match "it says what is true now" 'now:  the change proved bad and was taken back' "$said"
  expect_same "the other machines' processes are the same" "$before" "$(processes_but "$first")"
  grep -E '^(error|now|next)|rollout' <<<"$said" | cut -c1-160 | sed 's/^/   | /'
  all_serve
}
bad "MI does not start: an option that its JVM does not know" mi mi_java_opts=-XX:+NoSuchOption
bad "API-M does not start" apim apim_java_opts=-XX:+NoSuchOption

step "the state before is whole: a run without the change finds nothing to do"
deploy
expect_same "no step changed" "" "$(steps_that changed)"

step "somebody else took mi-2 out: mi-1 must stay"
foreign_drain mi-2
later foreign_return mi-2
before=$(processes)
calls
tool restart "${deployment[@]}" --limit mi
nothing_failed
expect "exit code" 4 "$code"
expect_match "it says whose drain that is" 'mi-2 is drained by somebody else, at lb-1' "$said"
expect_same "every process is the same" "$before" "$(processes)"
grep -E '^(error|now|next)|rollout' <<<"$said" | cut -c1-160 | sed 's/^/   | /'
foreign_return mi-2
all_serve

step "the balancer does not read its files any more: nobody is stopped"
balancer_break
later balancer_mend
calls
tool restart "${deployment[@]}" --limit mi
nothing_failed
expect "exit code" 4 "$code"
expect_match "it says what the balancer says" "$(balancer_engine)" "$said"
expect_same "every process is the same" "$before" "$(processes)"
grep -E '^(error|now|next)|rollout' <<<"$said" | cut -c1-160 | sed 's/^/   | /'
balancer_mend
deploy
all_serve

step "the run is killed while a node is out: the next one brings it back"
calls
"$program" restart "${deployment[@]}" --limit mi --output json >"$out/killed" 2>&1 &
killed=$!
until grep -q taken_out "$out/killed" || ! kill -0 "$killed" 2>/dev/null; do sleep 0.1; done
kill -9 "$killed"
wait "$killed" 2>/dev/null || true
expect_match "mi-1 is out" '.' "$(drained_lastingly mi-1)"
# Its worker may still be at the step that it was told.
deploy --wait-lock 120
nothing_failed
all_serve
