#!/usr/bin/env bash
# Micro Integrators grow from two to three and back, under load; then the third one dies and is retired without being asked.
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
source "$(dirname "${BASH_SOURCE[0]}")/../scale.sh"

step "make it so"
deploy
all_serve

step "mi grows by mi-3, under load"
grows mi mi-3
scale
expect_same "a second run has nothing to do" "" "$(steps_that changed)"

step "mi-3 leaves, under load"
shrinks mi mi-3 wso2-mi

step "too few would be left: nobody is contacted"
before=$(processes)
tool run "${deployment[@]}" --retire mi-2
expect "exit code" 2 "$code"
expect_match "the message counts" 'needs at least 2 hosts in group .mi., the inventory has 1 without .mi-2.' "$said"
tool run "${deployment[@]}" --retire apim-2
expect "exit code" 2 "$code"
expect_same "no process is another one" "$before" "$(processes)"

step "mi-3 comes back, dies, and is retired"
scale
serves mi mi-1 mi-2 mi-3
# As its peers see it.
"$lab" kill mi-3
later "$lab" start mi-3
before=$(processes_but mi-3)
tool run "${grown[@]}" --output json --retire mi-3
expect "exit code" 5 "$code"
expect_match "it says what could not be done" 'mi-3.*nothing that it runs was stopped' "$said"
expect "what was done to it" taken_out "$(moves mi-3)"
serves mi mi-1 mi-2
expect_same "the other machines' processes are the same" "$before" "$(processes_but mi-3)"
expect_same "files that name it" "" "$(naming mi-3)"

step "it comes to life again, and is stopped for good"
"$lab" start mi-3
scale --retire mi-3
expect "its unit" "inactive disabled" "$(unit mi-3 wso2-mi)"
serves mi mi-1 mi-2
shrinks_again mi-3
deploy
expect_same "a run without it has nothing to do" "" "$(steps_that changed)"
