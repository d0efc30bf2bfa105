#!/usr/bin/env bash
# A database that is up and turns API-M away: passwords and users that were changed in it behind our back, and a wrong
# password for one that is somebody else's. The node that was started says which login failed; the others go on with the
# connections they have; one run makes it whole.
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

sql() { on db-1 mariadb --execute "$1"; }

# whole HOST: one run mends the database and this host, and nobody else is touched
whole() {
  local others
  others=$(processes_but "$1")
  deploy
  expect "hosts with changes" "$1 db-1" "$(changed_counts | awk '$2 != 0 { print $1 }' | paste -sd' ')"
  expect_same "the other machines' processes are the same" "$others" "$(processes_but "$1")"
  all_serve
}

# restarted HOST: by somebody, so that its node comes to nothing before the run looks at it
restarted() {
  on "$1" systemctl restart wso2-apim.service
  sleep 8
}

step "make it so"
deploy
all_serve

step "the password of API-M's user was changed in the database"
sql "ALTER USER apim@'%' IDENTIFIED BY 'Changed-1234'"
later deploy
restarted apim-1
fault "password changed" 8 apim-1 "Access denied for user 'apim'" --limit apim-1
whole apim-1

step "API-M's user may come from another host only"
sql "RENAME USER apim@'%' TO apim@'203.0.113.1'"
later sql "DROP USER IF EXISTS apim@'203.0.113.1'"
restarted apim-2
fault "host not allowed" 8 apim-2 "(Access denied for user 'apim'|not allowed to connect)" --limit apim-2
whole apim-2

step "somebody else's database, with a wrong password in the inventory"
copy_inventories
# Still a host of the inventory, but of no group that the roles know.
sed -i 's/^    database:/    somebody_elses:/' "$project/$pattern.yaml"
of_ours=("${deployment[@]}")
deployment[2]=$project/$pattern.yaml
# The password travels in a file, as it should.
printf 'db_host: %s\ndb_apim_password: Wrong-1234\n' "$(address_of db-1)" >"$out/external.yaml"
steady_start "$api_host" "$api_path"
# The first node tries it, says why not, and goes back to the password that it had.
fault "wrong password" 7 apim-1 "Access denied for user 'apim'" -e "@$out/external.yaml"
expect "the password in the output" 0 "$(awk '/Wrong-1234/ { n++ } END { print n + 0 }' "$stdout" "$stderr")"
expect "nodes behind $api_host" "apim-1 apim-2" "$(nodes "$api_host" "$api_path" 10)"
steady_stop "API"
deployment=("${of_ours[@]}")
deploy
expect_same "nothing is left of it" "" "$(steps_that changed)"
all_serve

fault_table
