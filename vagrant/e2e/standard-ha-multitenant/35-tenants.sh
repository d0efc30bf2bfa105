#!/usr/bin/env bash
# A tenant comes, goes, is killed half-way and restarted, and the other one notices nothing: no request of it fails, no process
# of it or of API-M is another one.
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
source "$(dirname "${BASH_SOURCE[0]}")/../tenants.sh"

given=("${deployment[@]:1}")
know_tenants tenants

# The machines of a tenant, and all others.
hosts_of() { awk -v tenant="$1" '$3 ~ "^[ms]i_" tenant "$" { print $1 }' <<<"$machines"; }
others_of() { awk -v tenant="$1" '$3 !~ "^[ms]i_" tenant "$" { print $1 }' <<<"$machines"; }

# shellcheck disable=SC2046 # one word per machine
processes_of() { processes $(hosts_of "$1"); }
# shellcheck disable=SC2046
processes_of_others() { processes $(others_of "$1"); }

# about add|remove TENANT ARGS...: a run about one tenant that must succeed
about() {
  tool tenant "$@" "${given[@]}" --output json
  expect "exit code" 0 "$code"
  if ((code != 0)); then
    tail -n 20 "$stdout" "$stderr"
    [[ -n $leaving ]] || exit 1
  fi
}

# "tenant state cluster serving/hosts configured/answer.." a line, as `tenant list` says
listed() {
  tool tenant list "${given[@]}" --output json >&2
  jq -r 'select(.event == "tenant") | "\(.tenant) \(.api_manager.state) \(.clusters
    | map("\(.cluster) \(.nodes | map(select(.state == "serves")) | length)/\(.nodes | length) \(.routes
      | map("\(.configured)/\(.answer.by)") | unique | join(","))") | join(" "))"' "$stdout"
  printf 'exit %d\n' "$code"
}

there() {
  case $1 in
    acme) printf 'acme active mi_acme 2/2 true/own si_acme 2/2 true/not_asked\n' ;;
    globex) printf 'globex active mi_globex 2/2 true/own\n' ;;
  esac
}
gone() {
  case $1 in
    acme) printf 'acme inactive mi_acme 0/2 false/nobody si_acme 0/2 false/not_asked\n' ;;
    globex) printf 'globex inactive mi_globex 0/2 false/nobody\n' ;;
  esac
}

# listed_as WHAT LINE LINE: what the list says of acme and globex
listed_as() { expect_same "the list: $1" "$(printf '%s\n%s\nexit 0' "$2" "$3")" "$(listed 2>/dev/null)"; }

# all_of TENANT: its clusters serve, its API is answered by them, and its services are in its catalog
all_of() {
  local cluster own
  for cluster in $(clusters | grep "_$1\$"); do
    # shellcheck disable=SC2046
    serves "$cluster" $(members "$cluster")
  done
  own=$(members "mi_$1")
  expect_within 180 "nodes behind the API of $1" "$own" backends "$(path_of "$1")" 12
  expect_match "its services in its catalog" "//$(variable mi_hostname "${own%% *}"):" "$(services "${login[$1]}")"
}

# Called by API and by its integrators' own name.
steady_to() { steady_start "$api_host" "$(path_of "$1")" "$(mi_host "mi_$1")" "$mi_path"; }

# steady_end TENANT: none of its requests failed, each was answered with 200, and by nodes that may
steady_end() {
  steady_stop "$1"
  expect "answers to $1 other than 200" "" "$(awk '$1 != 200' "$steady_file" | sort | uniq -c | head -n 5)"
  expect "who answered $1" "apim-1 apim-2 $(members "mi_$1")" "$(awk '{ print $2 }' "$steady_file" | sort -u | paste -sd' ')"
}

nothing_changed() { expect_same "$1: nothing is changed" "" "$(steps_that changed)"; }

plain_status() {
  local host
  host=$(variable mi_hostname "$(members "mi_$1" | cut -d' ' -f1)")
  curl --silent --max-time 10 --resolve "$host:8290:$balancer" --output /dev/null --write-out '%{http_code}' "http://$host:8290$mi_path" || true
}

step "make it so"
deploy
all_serve
for tenant in "${tenants[@]}"; do
  publish "${login[$tenant]}" "${api[$tenant]}" "https://$(mi_host "mi_$tenant")$mi_path"
done
# Whatever happens: an inactive tenant lets nobody delete its API.
both_there() {
  about add acme
  about add globex
}
later both_there
for tenant in "${tenants[@]}"; do
  all_of "$tenant"
done
listed_as "both are there" "$(there acme)" "$(there globex)"
for tenant in "${tenants[@]}"; do
  before=$(processes)
  about add "$tenant"
  nothing_changed "$tenant, added though it is there"
  expect_same "and no process is another one" "$before" "$(processes)"
done

step "a tenant that nobody declared"
tool tenant add globexx "${given[@]}"
expect "exit code" 2 "$code"
expect_match "the message shows the nearest name" 'did you mean .globex.' "$said"
expect_match "the message shows what to write" 'mi_globexx: \{ hosts:' "$said"

step "an API still uses a service of acme"
key=$(through "$portal_host" --fail --user "${login[acme]}" "https://$portal_host/api/am/service-catalog/v1/services" | jq -r '.list[0].serviceKey')
id=$(publisher "${login[acme]}" POST "apis/import-service?serviceKey=$key" \
  "{\"name\": \"inTheWay$$\", \"context\": \"/inTheWay$$\", \"version\": \"1.0.0\"}" | jq -r .id)
forget_it() { unpublish "${login[acme]}" "$id" || true; }
later forget_it
before=$(processes)
for how in --check --diff; do
  tool tenant remove acme "${given[@]}" --output json "$how"
  expect "exit code of remove $how" 3 "$code"
  expect_match "the message names the API" "is used by API .inTheWay$$ 1\.0\.0" "$said"
  nothing_changed "remove $how"
done
tool tenant remove acme "${given[@]}"
expect_match "and what is true now" 'now: .*nothing was changed' "$said"
expect_same "no process is another one" "$before" "$(processes)"
listed_as "both are there" "$(there acme)" "$(there globex)"
forget_it

# leaves_and_returns TENANT OTHER: the first goes and comes back while the second is asked.
leaves_and_returns() {
  local tenant=$1 other=$2 kept name seen
  local -A state

  step "$tenant leaves, under traffic to $other"
  kept=$(processes_of_others "$tenant")
  steady_to "$other"
  about remove "$tenant"
  expect_match "it says that the inventory brings it back" 'brings it back' "$said"
  expect "hosts of $other in the run" "" "$(jq -r 'select(.event == "run") | .hosts[]' "$stdout" | grep -xF "$(hosts_of "$other")" || true)"
  expect_match "nodes behind the name of $tenant: nobody" '^no-answer' "$(nodes "$(mi_host "mi_$tenant")" "$mi_path" 4)"
  expect "plain HTTP by the name of $tenant" 421 "$(plain_status "$tenant")"
  expect "processes on its machines" "" "$(processes_of "$tenant")"
  expect_match "its admin's login is refused" '^40[13]$' "$(through "$portal_host" --output /dev/null --write-out '%{http_code}' --user "${login[$tenant]}" \
    "https://$portal_host/api/am/service-catalog/v1/services")"
  state[$tenant]=$(gone "$tenant")
  state[$other]=$(there "$other")
  listed_as "$tenant is gone" "${state[acme]}" "${state[globex]}"
  about remove "$tenant"
  nothing_changed "removed once more"

  step "$tenant returns, under traffic to $other"
  about add "$tenant"
  all_of "$tenant"
  state[$tenant]=$(there "$tenant")
  listed_as "$tenant is back" "${state[acme]}" "${state[globex]}"
  seen=$(processes_of "$tenant")
  about add "$tenant"
  nothing_changed "added once more"
  expect_same "and none of its processes is another one" "$seen" "$(processes_of "$tenant")"

  steady_end "$other"
  expect_same "processes of API-M, $other and what all share are the same" "$kept" "$(processes_of_others "$tenant")"
}

# killed_at WHAT REGEX: `tenant add acme` is killed when its output has this, and the next one completes.
killed_at() {
  local what=$1 regex=$2 pid start=$SECONDS
  step "tenant add acme is killed $what, under traffic to globex"
  about remove acme
  "$program" tenant add acme "${given[@]}" --output json >"$out/killed" 2>&1 </dev/null &
  pid=$!
  until grep -qE "$regex" "$out/killed" || ! kill -0 "$pid" 2>/dev/null || ((SECONDS - start > 600)); do
    sleep 0.1
  done
  if kill -9 "$pid" 2>/dev/null; then
    pass "killed after $((SECONDS - start)) s: $(grep -c '"outcome":"changed"' "$out/killed") changes were made"
  else
    fail "killed $what" "a run that still goes on" "$(tail -n 3 "$out/killed")"
  fi
  wait "$pid" 2>/dev/null || true
  about add acme --wait-lock 120
  all_of acme
  listed_as "both are there" "$(there acme)" "$(there globex)"
  about add acme
  nothing_changed "added once more"
}

leaves_and_returns acme globex
leaves_and_returns globex acme

kept=$(processes_of_others acme)
steady_to globex
killed_at "at its first change" '"outcome":"changed"'
killed_at "at its first integrator" '"outcome":"changed".*Change Micro Integrator|Change Micro Integrator.*"outcome":"changed"'

step "acme's integrators are restarted by a changed variable, under traffic to globex"
before=$(processes_of acme)
about add acme -e mi_socket_timeout=170000
expect "hosts with changes" "$(members mi_acme)" "$(changed_counts | awk '$2 != 0 { print $1 }' | paste -sd' ')"
for name in $(members mi_acme); do
  expect "java processes of $name that were there before" "" "$(comm -12 <(grep "^$name (java)" <<<"$before" | sort) <(processes "$name" | sort))"
done
all_of acme
about add acme
all_of acme

steady_end globex
expect_same "processes of API-M, globex and what all share are the same" "$kept" "$(processes_of_others acme)"

step "a full run has nothing to do"
deploy
nothing_changed "deployed"
