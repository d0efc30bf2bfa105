#!/usr/bin/env bash
# Something else breaks while a rollout has a node out: the other node dies, the database goes away, one of two balancers
# cannot be reached. Nobody else is taken away then, and the run says what is true now; mended, one run makes it whole.
# Long. The whole runs among the tests of cargo show the like with nodes that are folders.
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
source "$(dirname "${BASH_SOURCE[0]}")/../scale.sh"

# begin ARGS...: a restart that goes on beside the scenario
begin() {
  : >"$out/beside"
  "$program" restart "${deployment[@]}" "$@" --output plain >"$out/beside" 2>&1 &
  beside=$!
}

# meanwhile COMMAND...: until the command holds, or the restart has ended without that
meanwhile() {
  until "$@" || ! kill -0 "$beside" 2>/dev/null; do sleep 0.1; done
}
has_moved() { grep -Eq "^$1 +rollout +$2" "$out/beside"; }
is_down() { [[ $(on "$1" systemctl is-active "$2" || true) != active ]]; }

# ended: the restart's $code and what it $said
ended() {
  code=0
  wait "$beside" || code=$?
  said=$(cat "$out/beside")
}

# halted CODE WHY NOW: what every run that stops must say
halted() {
  expect "exit code" "$1" "$code"
  expect_match "it says why" "$2" "$said"
  expect_match "it says what is true now" "now:  $3" "$said"
  expect_match "it says the next command" "next: .*apim-deploy restart $pattern" "$said"
  grep -E '^(error|now|next)|^  [a-z]+-[0-9] |rollout|note' <<<"$said" | cut -c1-160 | sed 's/^/   | /'
}

# left_alone NAME: the run did nothing to it, and no balancer keeps it out
left_alone() {
  expect_same "nothing was done to $1" "" "$(grep -E "^$1 +(rollout|changed)" <<<"$said" || true)"
  expect_match "it says that $1 was not begun" "(^|"$'\n'")  $1 +not begun" "$said"
  expect_same "$1 is not drained" "" "$(drained_lastingly "$1")"
}

step "make it so"
deploy
all_serve

step "mi-2 loses power while mi-1 is stopped"
steady_start "$(mi_host mi)" "$mi_path"
begin --limit mi
meanwhile has_moved mi-1 'out of rotation'
# Before that mi-1 could go back as it was.
meanwhile is_down mi-1 wso2-mi.service
"$lab" kill mi-2
later "$lab" start mi-2
died=$SECONDS
meanwhile has_moved mi-1 'in rotation'
expect_within 60 "mi-1 answers again" "200 mi-1" ask "$(mi_host mi)" "$mi_path"
steady_stop_if_running
printf '   nobody could answer for %d s: %d of %d requests since the beginning failed\n' $((SECONDS - died)) \
  "$(steady_failed)" "$(wc -l <"$steady_file")"
# What comes now finds mi-1, whomever the balancer asks first.
load_of mi
ended
nothing_failed
halted 4 'the rollout of mi stopped: (mi-2 is not healthy, and it served before|through lb-1, .* requests failed .*; not healthy: mi-2)' 'the run stopped half-way; what was finished stays'
expect_match "it says what became of mi-1" 'mi-1 +changed and serving' "$said"
expect_match "it says what is the matter with mi-2" 'mi-2 +note +not healthy: the (connection to|worker on) mi-2 ' "$said"
left_alone mi-2

step "mi-2 has power again: a run finds it whole"
"$lab" start mi-2
deploy
expect_same "no step changed" "" "$(steps_that changed)"
all_serve

step "the database goes away while apim-1 is restarted"
database=$(on db-1 sh -c 'if systemctl is-active --quiet mariadb; then echo mariadb.service; else echo postgresql.service; fi')
not_apim_1() { java_processes | awk '$1 != "apim-1"'; }
before=$(not_apim_1)
load_of apim
begin --limit apim -e apim_ready_within=40
meanwhile has_moved apim-1 'out of rotation'
# Who serves goes on with what it has loaded. The new process of apim-1 looks for the database in a few seconds.
on db-1 systemctl stop "$database"
later on db-1 systemctl start "$database"
ended
nothing_failed
halted 8 'the rollout of apim stopped: apim-1: wso2-apim.service (will not get ready: Cannot start User Manager|was not ready within)' \
  'not every node is what it was or what it should be'
expect_match "it says what became of apim-1" 'apim-1 +quarantined, stays drained' "$said"
expect_match "apim-1 is out" '.' "$(drained_lastingly apim-1)"
left_alone apim-2
expect_same "the others' processes are the same" "$before" "$(not_apim_1)"

step "the database is there again: one run brings apim-1 back"
on db-1 systemctl start "$database"
# As in 70-faults: both may have been active without it.
expect_within 90 "stream integrators" "Active Passive" si_states si-1 si-2
deploy
expect "hosts with changes" apim-1 "$(changed_counts | awk '$2 != 0 { print $1 }' | paste -sd' ')"
expect_same "the others' processes are the same" "$before" "$(not_apim_1)"
all_serve

# A bare machine that nobody knows, also when the scenario stops early.
one_balancer=("${deployment[@]}")
give_back() {
  if [[ ${deployment[*]} != "${one_balancer[*]}" ]]; then
    deployment=("${one_balancer[@]}")
    "$lab" recreate mi-3
    deploy
  fi
}
through_second() { balancer=$(address_of mi-3) "$@"; }

step "mi-3 becomes a second balancer"
printf 'all: { children: { load_balancer: { hosts: { mi-3: { ansible_host: %s } } } } }\n' "$(address_of mi-3)" >"$out/second.yaml"
before=$(java_processes)
later give_back
deployment+=(-i "$out/second.yaml")
deploy
expect_same "no product is another process" "$before" "$(java_processes)"
expect_within 60 "nodes behind the second one" "mi-1 mi-2" through_second nodes "$(mi_host mi)" "$mi_path" 12

step "the second balancer cannot be reached: nobody is taken out at the first"
before=$(processes)
on mi-3 systemctl stop ssh.service
later on mi-3 systemctl start ssh.service
load_of mi
begin --limit mi
ended
nothing_failed
halted 4 'the rollout of mi stopped: cannot be read: mi-3: mi-3 .*refused' 'the run stopped, and nothing was changed before'
left_alone mi-1
left_alone mi-2
expect_same "every process is the same" "$before" "$(processes)"

step "it can be reached again: nodes are taken out at both"
on mi-3 systemctl start ssh.service
load_of mi
through_second load_start mi-second POST "$(mi_host mi)" "$mi_path"
begin --limit mi
for name in mi-1 mi-2; do
  meanwhile has_moved "$name" 'out of rotation'
  for machine in lb-1 mi-3; do
    expect_match "$name is out at $machine" '.' "$(drained_lastingly "$name" "$machine")"
  done
done
ended
nothing_failed
expect "exit code" 0 "$code"
for machine in lb-1 mi-3; do
  expect_same "nobody is left out at $machine" "" "$(drained_lastingly mi-1 "$machine"; drained_lastingly mi-2 "$machine")"
done
all_serve

step "the second balancer leaves: it is stopped, and nobody names it"
before=$(java_processes)
deploy --retire mi-3
expect "its unit" "inactive disabled" "$(unit mi-3 "$(balancer_engine)")"
expect_same "files that name it" "" "$(naming mi-3)"
expect_same "no product is another process" "$before" "$(java_processes)"
give_back
expect_same "a run without it has nothing to do" "" "$(steps_that changed)"
all_serve
