# shellcheck shell=bash disable=SC2034 # its variables are the scenarios'
# What the scenarios share: assertions, the program, the machines, requests through the balancer.
#
# A scenario is a script of its own:  vagrant/e2e/every-pattern/20-second-run.sh, on machines that `vagrant/lab up` made and
# with a program that `vagrant/lab build` built; or all of them with `vagrant/lab e2e`. It belongs to the pattern that its
# folder names.
set -euo pipefail

e2e=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
vagrant_dir=$(dirname "$e2e")
root=$(dirname "$vagrant_dir")
lab=$vagrant_dir/lab
state=${LAB_STATE:-$vagrant_dir/.state}
export LAB_STATE=$state

# Playbook, inventory and settings, as the program wants them on its command line.
mapfile -t deployment < <("$lab" deployment)
pattern=${deployment[0]}
inventory=${deployment[2]}
program=${APIM_DEPLOY:-$("$lab" which)}
if [[ ! -x $program ]]; then
  printf 'no program at %s: run vagrant/lab build\n' "$program" >&2
  exit 1
fi
out=$(mktemp -d "${TMPDIR:-/tmp}/apim-lab.XXXXXX")

# API-M's own health-check API takes the way of every API call; MI and SI have the samples of group_vars.
api_path=${LAB_API_PATH:-/health-check}
# Where a WebSocket says back what it is told; empty: nowhere. The stand-ins do at every path that they answer.
ws_path=${LAB_WS_PATH-$api_path}
portal_path=/publisher/login
mi_path=${LAB_MI_PATH:-/hello}
si_path=:8006/hello

failures=0
leaving=
declare -a undo=() loads=()

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
  leaving=yes
  if declare -F steady_stop_if_running >/dev/null; then
    steady_stop_if_running
  fi
  if ((${#loads[@]} > 0)); then
    load_stop
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

# deploy ARGS...: the run that must succeed; without it nothing else can hold, except when cleaning up.
deploy() {
  tool run "${deployment[@]}" --output json "$@"
  expect "exit code" 0 "$code"
  if ((code != 0)); then
    tail -n 20 "$stdout" "$stderr"
    [[ -n $leaving ]] || exit 1
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

# A copy of the sample inventories to change, $project; paths in them are relative to their folder.
copy_inventories() {
  project=$out/inventories/vagrant
  mkdir -p "$project"
  cp -r "$root/inventories/vagrant/." "$project/"
  ln -s "$vagrant_dir" "$out/vagrant"
}

# --- machines ---------------------------------------------------------------------------------------------------------

# "name address group,group" a line
machines=$(ruby "$vagrant_dir/machines.rb" "$pattern")

machine_names() { cut -d' ' -f1 <<<"$machines"; }

address_of() { awk -v name="$1" '$1 == name { print $2 }' <<<"$machines"; }

# variable NAME MACHINE: of the inventory, as the program reads it
variable() { "$program" inventory host "$2" -i "$inventory" | jq -r --arg name "$1" '.[$name]'; }

# Those that a run is about: not the machine that stands by, and not a database that is somebody else's.
deployed_names() {
  local others=spare
  if [[ ${deployment[*]} == */external-database.yaml* ]]; then
    others='spare|database'
  fi
  awk -v others="^($others)$" '$3 !~ others { print $1 }' <<<"$machines"
}

# The groups of machines with a product on them, in the order of the inventory.
clusters() { awk '$3 !~ /^(database|load_balancer|spare)$/ && !seen[$3]++ { print $3 }' <<<"$machines"; }

# members CLUSTER: its machines, on one line
members() { awk -v cluster="$1" '$3 == cluster { print $1 }' <<<"$machines" | paste -sd' '; }

has_cluster() { clusters | grep -qx "$1"; }

# The products that are deployed, by the groups of the machines.
products() {
  clusters | awk '/^(apim|gateway|traffic_manager)$/ { print "apim" } /^mi/ { print "mi" } /^si/ { print "si" }' | sort -u
}

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
            "(java) "* | "(mariadbd) "* | "(postgres) 1" | "(nginx) 1" | "(haproxy) 1")
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

# --- faults -----------------------------------------------------------------------------------------------------------

declare -a faults=()

# fault WHAT CODE HOST REGEX [ARGS...]: a run that must fail because of one machine: with this exit code, a message that says
# why, what is true now and what to do next, and with nobody else touched.
fault() {
  local what=$1 expected=$2 host=$3 regex=$4 others first
  shift 4
  others=$(processes_but "$host")
  tool run "${deployment[@]}" "$@"
  expect "$what: exit code" "$expected" "$code"
  first=$(grep -m1 "^error: $host" <<<"$said" || true)
  expect_match "$what: the message names $host and says why" "$regex" "$(grep -A20 "^error: $host" <<<"$said" || true)"
  expect_match "$what: the message says what is true now" '(^|'$'\n'')now: ' "$said"
  expect_match "$what: the message says the next command" "next: .*apim-deploy run $pattern" "$said"
  expect_same "$what: the other machines' processes are the same" "$others" "$(processes_but "$host")"
  faults+=("$(printf '%-24s %4d   %s' "$what" "$code" "${first:-no message}")")
  grep -E '^(error: |  (in|at|help) |now: |next: )' <<<"$said" | cut -c1-180 | sed 's/^/   | /'
}

fault_table() {
  printf '\n   %-24s %4s   %s\n' fault exit "first line of the message"
  printf '   %s\n' "${faults[@]}" | cut -c1-180
}

# --- somebody else at the balancer ------------------------------------------------------------------------------------

# What balances: nginx or haproxy.
balancer_engine() { on lb-1 sh -c 'if systemctl is-active --quiet haproxy; then echo haproxy; else echo nginx; fi'; }

# haproxy_says LINE: what HAProxy answers at its socket; perl is in every Debian.
haproxy_says() {
  on lb-1 perl -MIO::Socket::UNIX -e '
    my $haproxy = IO::Socket::UNIX->new("/run/haproxy.sock") or die "/run/haproxy.sock: $!\n";
    print $haproxy "$ARGV[0]\n";
    print while <$haproxy>' "$1"
}

# haproxy_sets NODE STATE: every server of that name
haproxy_sets() {
  local backend
  while read -r backend; do
    haproxy_says "set server $backend/$1 state $2"
  done < <(haproxy_says 'show servers state' | awk -v node="$1" '$4 == node { print $2 }')
}

# foreign_drain NODE, foreign_return NODE: as an operator takes it out of rotation and puts it back, past the program
foreign_drain() {
  if [[ $(balancer_engine) == haproxy ]]; then
    haproxy_sets "$1" maint
  else
    on lb-1 sh -c "sed -i '/ $(address_of "$1"):/s/;/ down;/' /etc/nginx/clusters/*.conf; systemctl reload nginx"
  fi
}
foreign_return() {
  if [[ $(balancer_engine) == haproxy ]]; then
    haproxy_sets "$1" ready
  else
    on lb-1 sh -c "sed -i '/ $(address_of "$1"):/s/ down;/;/' /etc/nginx/clusters/*.conf; systemctl reload nginx"
  fi
}

# drained_lastingly NODE [BALANCER]: what says at the balancer that it is out, also after the balancer was started anew
drained_lastingly() {
  on "${2:-lb-1}" sh -c "cat /etc/haproxy/conf.d/*.cfg /var/lib/apim-deploy/refused.nft 2>/dev/null" | tr -s ' ' |
    grep -E " $(address_of "$1"):.* disabled|^$(address_of "$1") \\. " || true
}

balancer_reload() { on lb-1 systemctl reload "$(balancer_engine)"; }

# balancer_break, balancer_mend: a file that it does not take
balancer_break() {
  if [[ $(balancer_engine) == haproxy ]]; then
    on lb-1 sh -c 'echo nonsense >/etc/haproxy/conf.d/zz.cfg'
  else
    on lb-1 sh -c 'echo "nonsense;" >/etc/nginx/clusters/zz.http.conf'
  fi
}
balancer_mend() { on lb-1 rm -f /etc/haproxy/conf.d/zz.cfg /etc/nginx/clusters/zz.http.conf; }

# --- requests ---------------------------------------------------------------------------------------------------------

balancer=$(address_of lb-1)
api_host=$(variable api_hostname lb-1)
portal_host=$(variable apim_hostname lb-1)
admin=admin:$(variable wso2_admin_password lb-1)

# Of an integration cluster, which may be a tenant's. The balancer passes MI's TLS through on its own port.
mi_host() { printf '%s:8253\n' "$(variable mi_hostname "$(members "$1" | cut -d' ' -f1)")"; }
si_host() { variable si_hostname "$(members "$1" | cut -d' ' -f1)"; }

# through HOST[:PORT] ARGS...: curl by way of the balancer. The lab's certificates are its own (--insecure), and its names
# are in no DNS (--resolve). $client, if set, is the address that the balancer sees.
through() {
  local host=$1 port=443
  shift
  if [[ $host == *:* ]]; then
    port=${host##*:}
  fi
  curl --silent --insecure --max-time 15 ${client:+--interface "$client"} --resolve "${host%:*}:$port:$balancer" "$@"
}

# ask HOST[:PORT] PATH [ARGS...]: "status node" of one request
ask() {
  local host=$1 path=$2 seen
  shift 2
  if seen=$(through "$host" --output /dev/null --write-out '%{http_code} %header{x-node}' "$@" "https://$host$path"); then
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

# The portals' sessions live in one node, so the balancer keeps a client on its node, by its address. Eight clients: this
# computer, with addresses beside those of the machines.
clients=()
need_clients() {
  local device number address
  if ((${#clients[@]} > 0)); then
    return
  fi
  device=$(ip -oneline route get "$balancer" | sed 's/.* dev \([^ ]*\).*/\1/')
  for number in {201..208}; do
    address=${balancer%.*}.$number
    if [[ -z $(ip -oneline address show to "$address") ]]; then
      as_root ip address add "$address/32" dev "$device"
      later as_root ip address delete "$address/32" dev "$device"
    fi
    clients+=("$address")
  done
}

as_root() {
  if ((EUID == 0)); then
    "$@"
  else
    sudo "$@"
  fi
}

# "client node node.." a line, of four requests of each client to a portal
portal_clients() {
  local client
  for client in "${clients[@]}"; do
    printf '%s %s\n' "$client" "$(nodes "$portal_host" "$portal_path" 4)"
  done
}

portal_nodes() { portal_clients | cut -d' ' -f2- | tr ' ' '\n' | sort -u | paste -sd' '; }

# portals_serve NODE...: these nodes, and every client is kept on one of them
portals_serve() {
  need_clients
  expect_within 60 "nodes behind $portal_host, of ${#clients[@]} clients" "$*" portal_nodes
  expect "clients that saw more than one node" "" "$(portal_clients | awk 'NF > 2')"
}

# si_state NAME: Active or Passive
si_state() {
  curl --silent --max-time 5 --user "$admin" "http://$(address_of "$1"):9090/statistics" | jq -r '.haStatus // "none"'
}

# si_states NAME...: of all of them, in one line
si_states() {
  local name
  for name in "$@"; do
    si_state "$name"
  done | sort | paste -sd' '
}

# si_active NAME...: the one of them that is
si_active() {
  local name
  for name in "$@"; do
    if [[ $(si_state "$name") == Active ]]; then
      printf '%s\n' "$name"
      return
    fi
  done
}

# stream_event CLUSTER: "status node" of one event sent through the balancer to the sample Siddhi app.
stream_event() {
  local host
  host=$(si_host "$1")
  curl --silent --max-time 10 --resolve "$host$(grep -o '^:[0-9]*' <<<"$si_path"):$balancer" --output /dev/null \
    --write-out '%{http_code} %header{x-node}' --json '{"event":{"name":"lab","amount":1}}' "http://$host$si_path" || true
}

# entry CLUSTER: "host path" of what its clients ask for. A control plane's are the gateways': what they have loaded, they
# must go on serving without it.
entry() {
  case $1 in
    apim | gateway) printf '%s %s\n' "$api_host" "$api_path" ;;
    mi | mi_*) printf '%s %s\n' "$(mi_host "$1")" "$mi_path" ;;
    *) return 1 ;;
  esac
}

# serves CLUSTER NODE...: exactly these answer for it through the balancer
serves() {
  local cluster=$1 host path
  shift
  case $cluster in
    si | si_*)
      if (($# > 1)); then
        expect_within 180 "stream integrators of $cluster" "Active Passive" si_states "$@"
      fi
      expect_within 60 "an event for $cluster through the balancer" "200 $(si_active "$@")" stream_event "$cluster"
      return
      ;;
    apim)
      portals_serve "$@"
      if has_cluster gateway; then
        return
      fi
      ;;
  esac
  read -r host path < <(entry "$cluster")
  expect_within 180 "nodes behind $host" "$*" nodes "$host" "$path" 12
}

all_serve() {
  local cluster
  for cluster in $(clusters); do
    # shellcheck disable=SC2046 # one word per machine
    serves "$cluster" $(members "$cluster")
  done
}

# steady_start HOST PATH [HOST PATH]...: about ten requests a second, to each in turn, until steady_stop; each one recorded.
steady_start() {
  local i
  steady_file=$out/steady
  : >"$steady_file"
  touch "$out/steady.go"
  (
    while [[ -e $out/steady.go ]]; do
      # In any order: balancers take turns, and what one request makes of them must not decide for ever who gets the next.
      for i in $(seq 1 2 $(($# - 1)) | shuf); do
        ask "${@:i:2}" >>"$steady_file"
        sleep 0.1
      done
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

# A 404 comes from a node that serves: only 5xx and no answer are failures.
steady_failed() { awk '$1 !~ /^[234]/' "$steady_file" | wc -l; }

# steady_stop WHAT [ALLOWED]: no request may have failed, or no more than so many.
steady_stop() {
  local allowed=${2:-0} failed sent
  steady_stop_if_running
  sent=$(wc -l <"$steady_file")
  failed=$(steady_failed)
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

# --- load -------------------------------------------------------------------------------------------------------------

# Somebody else's program, `hey`, with clients that keep their connections open as those of applications do.
declare -a stopped_loads=()

# load_start NAME GET|POST HOST[:PORT] PATH: six clients with LAB_RATE (10) requests a second each, until load_stop
load_start() {
  local name=$1 method=$2 host=$3 path=$4 port=443
  local -a body=()
  if [[ $host == *:* ]]; then
    port=${host##*:}
  fi
  if [[ $method == POST ]]; then
    body=(-d '{"amount": 1}' -T application/json)
  fi
  # A shell's background jobs do not hear SIGINT, by which this one is asked for its report.
  env --default-signal=INT hey -z 2h -c 6 -q "${LAB_RATE:-10}" -t 15 -m "$method" "${body[@]}" -host "${host%:*}" \
    "https://$balancer:$port$path" >"$out/load.$name" 2>&1 &
  loads+=("$name:$!")
}

# load_start_ws NAME HOST PATH: four WebSockets, a text on each every 0.2 s and its echo, until load_stop
load_start_ws() {
  env --default-signal=INT ruby "$e2e/websockets.rb" "$2" "$balancer" 8099 "$3" 4 0.2 >"$out/load.$1" 2>&1 &
  loads+=("$1:$!")
}

load_stop() {
  local load
  for load in "${loads[@]}"; do
    kill -INT "${load##*:}"
  done
  for load in "${loads[@]}"; do
    wait "${load##*:}" || true
    printf '   load  %s: %s\n' "${load%:*}" \
      "$(awk '/responses/ { print $2, $1 } /^reopened: / { print $2, "reopened" }' "$out/load.${load%:*}" | paste -sd',')"
  done
  stopped_loads=("${loads[@]%:*}")
  loads=()
}

# load_of CLUSTER: GET and POST, by clients with open connections, and WebSockets where APIs are asked for
load_of() {
  local host path
  read -r host path < <(entry "$1")
  load_start "$1-get" GET "$host" "$path"
  load_start "$1-post" POST "$host" "$path"
  if [[ $host == "$api_host" && -n $ws_path ]]; then
    load_start_ws "$1-ws" "$host" "$ws_path"
  fi
}

# load_all: of every cluster that requests come in by; a control plane's come in by the gateways, and streams are no HTTP
load_all() {
  local cluster
  for cluster in $(clusters); do
    if [[ $cluster == apim ]] && has_cluster gateway; then
      continue
    fi
    if entry "$cluster" >/dev/null; then
      load_of "$cluster"
    fi
  done
}

# What was not answered with 2xx, or with its echo (101), one line each. Where MI's TLS is passed through, a connection ends with
# its node, and NGINX closes those that idle when somebody reloads it: a request that meets the close is lost, a POST always. So
# many of those, which are shown, are no failure of a node; a scenario that reloads NGINX sets `reload_cuts`.
mi_cuts=30
if [[ " ${deployment[*]} " == *"/certificates.yaml "* ]]; then
  mi_cuts=0
fi
readonly mi_cuts
reload_cuts=0
load_failures() {
  local name cut allowed
  for name in "${stopped_loads[@]}"; do
    awk '/responses$/ && $1 !~ /^\[(2|101\])/ { print }
      /^Error distribution/ { errors = 1; next }
      errors && NF { print }' "$out/load.$name" >"$out/failures"
    case $name in
      mi*) allowed=$((mi_cuts + reload_cuts)) ;;
      *) allowed=$reload_cuts ;;
    esac
    cut=$(awk '/(Get|Post) .*: (EOF|.*connection reset by peer)$/ { gsub(/[^0-9]/, "", $1); n += $1 } END { print n + 0 }' "$out/failures")
    if ((cut > 0)); then
      printf '   cut   %s: %d requests met the close of their connection\n' "$name" "$cut" >&2
    fi
    if ((cut <= allowed)); then
      sed -i -E '/(Get|Post) .*: (EOF|.*connection reset by peer)$/d' "$out/failures"
    fi
    sed "s/^/$name /" "$out/failures"
    if ! grep -q responses "$out/load.$name"; then
      printf '%s: no request was answered\n' "$name"
    fi
  done
}

nothing_failed() {
  load_stop
  expect_same "no request failed" "" "$(load_failures)"
}

# "name milliseconds" a line
load_p99() {
  local name
  for name in "${stopped_loads[@]}"; do
    awk -v name="$name" '$1 == "99%" { printf "%s %d\n", name, $3 * 1000 }' "$out/load.$name"
  done
}

# slower_than BEFORE: the loads whose p99 is more than half above that before, "name before now" a line. Below 20 ms it is noise.
slower_than() {
  join -a 2 <(sort <<<"$1") <(load_p99 | sort) | awk 'NF < 3 || $3 > 1.5 * ($2 > 20 ? $2 : 20)'
}

# Of the last run: pairs of hosts of one cluster of which one was taken out before the other was back.
out_together() {
  local line host phase cluster
  declare -A out_of=()
  while read -r host phase; do
    cluster=$(awk -v name="$host" '$1 == name { print $3 }' <<<"$machines")
    case $phase in
      taken_out)
        if [[ -n ${out_of[$cluster]:-} ]]; then
          printf '%s and %s\n' "${out_of[$cluster]}" "$host"
        fi
        out_of[$cluster]=$host
        ;;
      put_back) unset "out_of[$cluster]" ;;
    esac
  done < <(jq -r 'select(.event == "moved") | "\(.host) \(.phase)"' "$stdout")
}

# --- APIs -------------------------------------------------------------------------------------------------------------

# publish LOGIN NAME BACKEND: an API of the login's tenant at /NAME/1.0.0, on all gateways; it goes at the end.
publish() {
  local login=$1 name=$2 backend=$3 id revision
  id=$(publisher "$login" POST apis "{\"name\": \"$name\", \"context\": \"/$name\", \"version\": \"1.0.0\", \"endpointConfig\":
    {\"endpoint_type\": \"http\", \"production_endpoints\": {\"url\": \"$backend\"}}}" | jq -r .id)
  later unpublish "$login" "$id"
  revision=$(publisher "$login" POST "apis/$id/revisions" '{}' | jq -r .id)
  publisher "$login" POST "apis/$id/deploy-revision?revisionId=$revision" \
    "[{\"name\": \"Default\", \"vhost\": \"$api_host\", \"displayOnDevportal\": true}]" >/dev/null
}

unpublish() { publisher "$1" DELETE "apis/$2" >/dev/null; }

# publisher LOGIN METHOD PATH [BODY]: one call of the publisher's REST API
publisher() {
  through "$portal_host" --fail --user "$1" --request "$2" ${4:+--json "$4"} "https://$portal_host/api/am/publisher/v4/$3"
}

# backends PATH COUNT: the machines that answered behind the gateways, in one line
backends() {
  local i
  for ((i = 0; i < $2; i++)); do
    through "$api_host" --output /dev/null --write-out '%{http_code} %header{x-backend-node}\n' "https://$api_host$1" || true
  done | awk '{ print $1 == 200 ? $2 : "status-" $1 }' | sort -u | paste -sd' '
}

# statuses PATH: "status node;status node": what each gateway says to it
statuses() { answers "$api_host" "$1" 12 | awk '{ print $2, $3 }' | sort -k 2 | paste -sd';'; }

# services LOGIN: the addresses in the catalog of the login's tenant
services() {
  through "$portal_host" --fail --user "$1" "https://$portal_host/api/am/service-catalog/v1/services" | jq -r '.list[].serviceUrl'
}
