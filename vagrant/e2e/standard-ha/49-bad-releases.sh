#!/usr/bin/env bash
# Releases that are bad in their ways: the canary tries each, goes back, and nobody else is begun. No request fails: gates
# notice it, or what the canary answers while it bakes out of rotation.
# Long. 47-bad-change shows the way back for a change that does not start.
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

"$lab" packs --bad >/dev/null

step "make it so"
deploy
all_serve

# More than one API, so that some can get lost: the release that loses them keeps one.
for api in found lost lost-too; do
  publish "$admin" "$api" "https://$(mi_host mi)/hello"
  expect_within 60 "both gateways have the API $api" "200 apim-1;200 apim-2" statuses "/$api/1.0.0"
done

# bad PRODUCT LEVEL WHAT REASON: the canary goes back before anybody meets it, for what is bad about it
bad() {
  local product=$1 level=$2 what=$3 reason=$4 first
  read -r first _ <<<"$(members "$product")"
  step "$what"
  before=$(processes_but "$first")
  load_start apim-get GET "$api_host" "$api_path"
  load_start apim-post POST "$api_host" "$api_path"
  load_start mi-get GET "$(mi_host mi)" "$mi_path"
  tool upgrade "${deployment[@]}" --to "$product=+$level" -e rollout_canary_bake=25
  nothing_failed
  expect "exit code" 7 "$code"
  expect_match "it says what became of $first" "$first +old state again" "$said"
  expect_match "it says what is bad" "the rollout of $product stopped: .*($reason)" "$said"
  expect_match "it says what is true now" 'now:  the change proved bad and was taken back' "$said"
  expect_same "the other machines' processes are the same" "$before" "$(processes_but "$first")"
  grep -E '^(error|now|next)|rollout' <<<"$said" | cut -c1-160 | sed 's/^/   | /'
  all_serve
}
bad mi 901 "MI refuses to start" 'did not start'
bad apim 901 "API-M refuses to start" 'did not start'
bad apim 902 "API-M is ready and answers 503" 'answers 503|serves 0 of the 4 '
bad apim 903 "API-M is ready and has lost APIs" 'serves 1 of the 4 .*lost-too'
bad apim 904 "API-M turns bad 20 s after its start" 'answers 50[0-9]|requests failed'
bad apim 905 "API-M is slow" 'ms to be answered'

step "the state before is whole: a run finds nothing to do, and there is nothing to go back to"
deploy
expect_same "no step changed" "" "$(steps_that changed)"
tool rollback "${deployment[@]}"
expect "exit code" 0 "$code"
expect_match "it says so" 'nothing to go back to' "$said"
