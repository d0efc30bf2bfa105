# shellcheck shell=bash
# What scenarios share that let a cluster grow by the machine that stands by, and give it back. After lib.sh.

# The deployment with that machine.
grown=("${deployment[@]}" -i "$root/inventories/vagrant/spare/$pattern.yaml")

# grow|shrink ARGS...: a run with that machine that must succeed
scale() {
  tool run "${grown[@]}" --output json "$@"
  expect "exit code" 0 "$code"
  if ((code != 0)); then
    tail -n 20 "$stdout" "$stderr"
    exit 1
  fi
}

# naming NAME: "machine file" a line, for every file of the other machines that names it or its address. A database tells its
# clients apart by networks or by addresses: its list is among them.
naming() {
  local name address
  address=$(address_of "$1")
  while read -r name; do
    if [[ $name != "$1" ]]; then
      # shellcheck disable=SC2016 # expanded on the machine
      on "$name" sh -c 'grep -rlwF -e "$0" -e "$1" /etc/hosts /etc/nginx /etc/haproxy /etc/wso2 /etc/postgresql /var/lib/apim-deploy/drains.json \
        /opt/wso2/*/current/conf /opt/wso2/*/current/repository/conf 2>/dev/null || true' "$1" "$address" </dev/null | sed "s/^/$name /"
    fi
  done < <(machine_names)
}

# moves NAME: what rollouts did to it in the last run, in one line
moves() { jq -r --arg host "$1" 'select(.event == "moved" and .host == $host) | .phase' "$stdout" | paste -sd' '; }

# unit NAME SERVICE: "inactive disabled", ...
unit() { printf '%s %s\n' "$(on "$1" systemctl is-active "$2" || true)" "$(on "$1" systemctl is-enabled "$2" || true)"; }

# grows CLUSTER SPARE: it joins, and nobody else is another process
grows() {
  local cluster=$1 spare=$2 before
  before=$(processes_but "$spare")
  load_of "$cluster"
  scale
  nothing_failed
  # shellcheck disable=SC2046 # one word per machine
  serves "$cluster" $(members "$cluster") "$spare"
  expect_same "the other machines' processes are the same" "$before" "$(processes_but "$spare")"
  expect_match "the balancer names it" "lb-1 /etc/(nginx/clusters|haproxy/conf\.d)/$cluster" "$(naming "$spare")"
}

# shrinks CLUSTER SPARE SERVICE [ARGS...]: it leaves, drained, stopped and named by nobody
shrinks() {
  local cluster=$1 spare=$2 service=$3 before
  shift 3
  before=$(processes_but "$spare")
  load_of "$cluster"
  scale --retire "$spare" "$@"
  nothing_failed
  expect "what was done to it before it was stopped" taken_out "$(moves "$spare")"
  # shellcheck disable=SC2046 # one word per machine
  serves "$cluster" $(members "$cluster")
  expect "processes on $spare" "" "$(processes "$spare")"
  expect "its unit" "inactive disabled" "$(unit "$spare" "$service")"
  expect_same "files that name it" "" "$(naming "$spare")"
  expect_same "the other machines' processes are the same" "$before" "$(processes_but "$spare")"
}

# shrinks_again SPARE: gone is gone; with purge, so that the machine is as it was found
shrinks_again() {
  local spare=$1
  scale --retire "$spare"
  expect_same "it left: nothing changes" "" "$(steps_that changed)"
  scale --retire "$spare" -e purge=true
  expect "hosts with changes" "$spare" "$(changed_counts | awk '$2 != 0 { print $1 }' | paste -sd' ')"
  expect "releases on $spare" "" "$(on "$spare" sh -c 'ls -d /opt/wso2/*/releases/* 2>/dev/null || true')"
}
