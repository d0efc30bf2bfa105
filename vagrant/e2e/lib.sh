# shellcheck shell=bash disable=SC2034 # its variables are the scenarios'
# What the scenarios share: assertions, the program, the machines, requests through the balancer.
#
# A scenario is a script of its own:  vagrant/e2e/20-second-run.sh, on machines that `vagrant/lab up` made and with a
# program that `vagrant/lab build` built; or all of them with `vagrant/lab e2e`.
set -euo pipefail

e2e=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
vagrant_dir=$(dirname "$e2e")
root=$(dirname "$vagrant_dir")
lab=$vagrant_dir/lab
state=${LAB_STATE:-$vagrant_dir/.state}
export LAB_STATE=$state

pattern=${LAB_PATTERN:-standard-ha}
inventory=$root/inventories/vagrant/$pattern.yaml
program=${APIM_DEPLOY:-$("$lab" which)}
if [[ ! -x $program ]]; then
  printf 'no program at %s: run vagrant/lab build\n' "$program" >&2
  exit 1
fi
out=$(mktemp -d "${TMPDIR:-/tmp}/apim-lab.XXXXXX")

api_host=api.lab.test
portal_host=apim.lab.test
# The balancer passes MI's TLS through on its own port.
mi_host=mi.lab.test:8253
si_host=si.lab.test
# API-M's own health-check API takes the way of every API call; MI and SI have the samples of group_vars.
api_path=${LAB_API_PATH:-/health-check}
mi_path=${LAB_MI_PATH:-/hello}
si_url=http://$si_host:8006/hello
si_login=admin:$(awk '$1 == "wso2_admin_password:" { print $2 }' "$root/inventories/vagrant/group_vars/all.yaml")

failures=0
declare -a undo=()

# --- assertions -------------------------------------------------------------------------------------------------------

step() { printf '\n-- %s\n' "$*"; }

pass() { printf '   ok    %s\n' "$1"; }

# A failed expectation is counted and the scenario goes on: what follows may tell more.
fail() {
  printf '   FAIL  %s\n         expected: %s\n         seen:     %s\n' "$1" "$2" "${3:-(nothing)}"
  failures=$((failures + 1))
}

# expect WHAT EXPECTED SEEN
expect() {
  if [[ $2 == "$3" ]]; then
    pass "$1: $2"
  else
    fail "$1" "$2" "$3"
  fi
}

# expect_match WHAT REGEX TEXT
expect_match() {
  if [[ $3 =~ $2 ]]; then
    pass "$1"
  else
    fail "$1" "something like /$2/" "$(tail -n 15 <<<"$3")"
  fi
}

# expect_same WHAT BEFORE AFTER: texts of several lines
expect_same() {
  if [[ $2 == "$3" ]]; then
    pass "$1"
  else
    fail "$1" "no difference" "$(diff <(printf '%s\n' "$2") <(printf '%s\n' "$3") | head -n 30 || [[ $? == 1 ]])"
  fi
}

# expect_within SECONDS WHAT EXPECTED COMMAND...: the command's output becomes what is expected.
expect_within() {
  local limit=$1 what=$2 expected=$3 start=$SECONDS seen
  shift 3
  while true; do
    if seen=$("$@" 2>&1) && [[ $seen == "$expected" ]]; then
      pass "$what: $expected ($((SECONDS - start)) s)"
      return
    fi
    if ((SECONDS - start >= limit)); then
      fail "$what, within $limit s" "$expected" "$seen"
      return
    fi
    sleep 1
  done
}

# later COMMAND...: runs at the end in any case, the last one first.
later() { undo+=("$(printf '%q ' "$@")"); }

at_exit() {
  local status=$? i
  if declare -F steady_stop_if_running >/dev/null; then
    steady_stop_if_running
  fi
  for ((i = ${#undo[@]} - 1; i >= 0; i--)); do
    if ! eval "${undo[i]}"; then
      printf '   FAIL  cleaning up: %s\n' "${undo[i]}"
      status=1
    fi
  done
  if ((status != 0)); then
    printf '   the scenario stopped early (exit %d); output of the last run: %s\n' "$status" "$out"
    exit "$status"
  fi
  if ((failures > 0)); then
    printf '   %d expectation(s) failed; output of the runs: %s\n' "$failures" "$out"
    exit 1
  fi
  rm -rf "$out"
}
trap at_exit EXIT

# Where a scenario stopped: its own line, not the helper's.
at_error() {
  local depth=${#BASH_LINENO[@]}
  if ((BASH_SUBSHELL == 0)); then
    printf '   FAIL  %s line %d: this failed: %s\n' "${BASH_SOURCE[-1]##*/}" "${BASH_LINENO[depth - 2]}" "$1"
  fi
}
set -o errtrace
trap 'at_error "$BASH_COMMAND"' ERR

# --- the program ------------------------------------------------------------------------------------------------------

runs=0

# tool ARGS...: runs the program; sets $code, $stdout and $stderr (files) and $said (both texts).
tool() {
  local start=$SECONDS
  runs=$((runs + 1))
  stdout=$out/$runs.stdout
  stderr=$out/$runs.stderr
  code=0
  "$program" "$@" >"$stdout" 2>"$stderr" </dev/null || code=$?
  said=$(cat "$stdout" "$stderr")
  printf '   ran   apim-deploy %s  -> exit %d, %d s\n' "$*" "$code" $((SECONDS - start))
}

# deploy ARGS...: the run that must succeed.
deploy() {
  tool run "$pattern" -i "$inventory" --output json "$@"
  expect "exit code" 0 "$code"
  if ((code != 0)); then
    tail -n 20 "$stdout" "$stderr"
  fi
}

# "host, task, item, what exactly" a line, of the steps with this outcome in the last run's JSON.
steps_that() {
  jq -r --arg outcome "$1" '
    select(.event == "step" and .outcome == $outcome)
    | [.host, .task, .item // "-", (.changes // [] | join(", "))] | @tsv' "$stdout" | sort
}

# The differences of files that the last run showed, each with its host.
diffs() {
  jq -cS 'select(.event == "step" and .diffs) | .host as $host | .diffs[] | {host: $host} + .' "$stdout" | sort
}

# "host round-trips" a line of the last run's recap.
round_trips() { jq -r 'select(.event == "recap") | .hosts | to_entries[] | "\(.key) \(.value.round_trips)"' "$stdout"; }

# One "host changed" a line of the last run's recap.
changed_counts() {
  jq -r 'select(.event == "recap") | .hosts | to_entries[] | "\(.key) \(.value.changed)"' "$stdout" | sort
}

# --- machines ---------------------------------------------------------------------------------------------------------

machine_names() { ruby "$vagrant_dir/machines.rb" "$pattern" | cut -d' ' -f1; }

address_of() { ruby "$vagrant_dir/machines.rb" "$pattern" | awk -v name="$1" '$1 == name { print $2 }'; }

on() {
  local name=$1
  shift
  "$lab" root "$name" "$@"
}

# processes [NAME...]: one "machine program pid start-time" a line for every process that a needless restart would replace,
# by default of all machines. The start time is the kernel's tick count, so a pid used again is not the same process.
processes() {
  local name
  local -a names=("$@")
  if ((${#names[@]} == 0)); then
    mapfile -t names < <(machine_names)
  fi
  for name in "${names[@]}"; do
    # shellcheck disable=SC2016 # expanded on the machine
    on "$name" sh -c '
      for stat in /proc/[0-9]*/stat; do
        if read -r pid comm state parent rest 2>/dev/null < "$stat"; then
          case "$comm $parent" in
            "(java) "* | "(mariadbd) "* | "(nginx) 1")
              set -- $rest
              echo "$0 $comm $pid ${18}" ;;
          esac
        fi
      done' "$name"
  done
}

# Those of all machines but one, which may be broken, and those of the products only.
processes_but() {
  local -a names
  mapfile -t names < <(machine_names | awk -v name="$1" '$1 != name')
  processes "${names[@]}"
}
java_processes() { processes | awk '$2 == "(java)"'; }

# --- requests ---------------------------------------------------------------------------------------------------------

balancer=$(address_of lb-1)

# ask HOST[:PORT] PATH: "status node" of one request through the balancer. The lab's certificates are its own (-k), and
# its names are in no DNS (--resolve).
ask() {
  local seen port=443
  if [[ $1 == *:* ]]; then
    port=${1##*:}
  fi
  if seen=$(curl --silent --insecure --max-time 15 --resolve "${1%:*}:$port:$balancer" --output /dev/null \
    --write-out '%{http_code} %header{x-node}' "https://$1$2"); then
    printf '%s\n' "${seen/% / -}"
  else
    printf '000 no-answer-curl-%d\n' $?
  fi
}

# answers HOST PATH COUNT: "number status node" a line for that many requests.
answers() {
  local i
  for ((i = 0; i < $3; i++)); do
    ask "$1" "$2"
  done | sort | uniq -c | awk '{ $1 = $1; print }'
}

# nodes HOST PATH COUNT: the nodes that answered, in one line.
nodes() { answers "$@" | awk '{ print $3 }' | sort -u | paste -sd' '; }

# si_state NAME: Active or Passive
si_state() {
  curl --silent --max-time 5 --user "$si_login" "http://$(address_of "$1"):9090/statistics" | jq -r '.haStatus // "none"'
}

# stream_event: "status node" of one event sent through the balancer to the sample Siddhi app.
stream_event() {
  curl --silent --max-time 10 --resolve "$si_host:8006:$balancer" --output /dev/null --write-out '%{http_code} %header{x-node}' \
    --json '{"event":{"name":"lab","amount":1}}' "$si_url" || true
}

si_states() {
  local name
  for name in si-1 si-2; do
    si_state "$name"
  done | sort | paste -sd' '
}

# steady_start HOST PATH: about ten requests a second until steady_stop, each one recorded.
steady_start() {
  steady_file=$out/steady
  : >"$steady_file"
  touch "$out/steady.go"
  (
    while [[ -e $out/steady.go ]]; do
      ask "$1" "$2" >>"$steady_file"
      sleep 0.1
    done
  ) &
  steady_pid=$!
}

steady_pid=
steady_stop_if_running() {
  if [[ -n $steady_pid ]]; then
    rm -f "$out/steady.go"
    wait "$steady_pid"
    steady_pid=
  fi
}

# steady_stop WHAT [ALLOWED]: no request may have failed, or no more than so many. A 404 comes from a node that serves:
# only 5xx and no answer are failures.
steady_stop() {
  local allowed=${2:-0} failed sent
  steady_stop_if_running
  sent=$(wc -l <"$steady_file")
  failed=$(awk '$1 !~ /^[234]/' "$steady_file" | wc -l)
  printf '   sent  %d requests meanwhile: %s\n' "$sent" \
    "$(sort "$steady_file" | uniq -c | awk '{ $1 = $1; print }' | paste -sd';' | sed 's/;/; /g')"
  if ((sent == 0)); then
    fail "$1: requests sent" "some" "$sent"
  elif ((failed <= allowed)); then
    pass "$1: requests that failed: $failed of $sent (allowed: $allowed)"
  else
    fail "$1: requests that failed" "at most $allowed" "$failed of $sent"
  fi
}

# The portals' sessions live in one node, so the balancer keeps a client on its node: one of the two answers.
portal_serves() {
  local seen
  seen=$(ask "$portal_host" /publisher/login)
  expect_match "https://$portal_host/publisher/login: $seen" '^(200|30[0-9]) apim-[12]$' "$seen"
}

both_serve() {
  expect_within 60 "nodes behind $api_host" "apim-1 apim-2" nodes "$api_host" "$api_path" 12
  expect_within 60 "nodes behind $mi_host" "mi-1 mi-2" nodes "$mi_host" "$mi_path" 12
  expect_within 60 "stream integrators" "Active Passive" si_states
  expect_within 60 "an event through the balancer" "200 $(si_active)" stream_event
}

si_active() {
  local name
  for name in si-1 si-2; do
    if [[ $(si_state "$name") == Active ]]; then
      printf '%s\n' "$name"
      return
    fi
  done
}
