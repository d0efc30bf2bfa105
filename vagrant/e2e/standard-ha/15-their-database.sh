#!/usr/bin/env bash
# A database that is somebody else's (setting external-database): the login that may make databases stays on the controller, and
# where all is made (`db_schemas: external`) nothing is asked of the server.
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

if [[ ${deployment[*]} != */external-database.yaml* ]]; then
  printf '   the database is our own\n'
  exit 0
fi

step "make it so"
deploy
all_serve
database=$(awk '$3 == "database" { print $1 }' <<<"$machines")
password=$(sed -n 's/^db_admin_password: //p' "$root/inventories/vagrant/settings/external-database.yaml")

step "its login is on no machine"
for name in $(machine_names); do
  # What its own server keeps of it is its own.
  if [[ $name != "$database" ]]; then
    expect_same "$name: files with its password" "" \
      "$(on "$name" sh -c 'grep -rlF -e "$0" /etc /opt/wso2 /root /run /tmp /var/lib/apim-deploy /var/log 2>/dev/null || true' "$password" </dev/null)"
  fi
done

step "nothing of ours is on the server"
expect_same "files" "" "$(on "$database" sh -c 'ls -d /etc/wso2 /opt/wso2 /var/lib/apim-deploy 2>/dev/null || true')"

step "all is made: nothing is asked of it, with a login that it would refuse"
before=$(processes)
deploy -e db_schemas=external -e db_admin_user=nobody -e db_admin_password=wrong
expect_same "no step changed" "" "$(steps_that changed)"
expect_same "steps that ask it" "" \
  "$(jq -r 'select(.event == "step" and .outcome != "skipped") | .task' "$stdout" | grep -E '^Create the (schemas|user|tables)' | sort -u || true)"
expect_same "every process is the same" "$before" "$(processes)"
