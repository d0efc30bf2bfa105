#!/usr/bin/env bash
# A call for one tenant reaches the clusters of this tenant and never another's: by the tenant's own name at the balancer,
# through the tenant's APIs, and when all its own nodes are dead.
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
source "$(dirname "${BASH_SOURCE[0]}")/../tenants.sh"

know_tenants hello

step "make it so"
deploy
all_serve

for tenant in "${tenants[@]}"; do
  own=$(members "mi_$tenant")
  step "$tenant: the name of its integration cluster"
  expect "nodes behind $(mi_host "mi_$tenant"), of 40 requests" "$own" "$(nodes "$(mi_host "mi_$tenant")" "$mi_path" 40)"

  step "$tenant: its API"
  publish "${login[$tenant]}" "${api[$tenant]}" "https://$(mi_host "mi_$tenant")$mi_path"
  expect_within 60 "gateways that have $(path_of "$tenant")" "200 apim-1;200 apim-2" statuses "$(path_of "$tenant")"
  expect "nodes behind it, of 40 requests" "$own" "$(backends "$(path_of "$tenant")" 40)"

  step "$tenant: its services in the catalog"
  expect "services that name another host" "" "$(services "${login[$tenant]}" | grep -vF "//$(variable mi_hostname "${own%% *}"):")"
  expect_match "services of its own" "//$(variable mi_hostname "${own%% *}"):" "$(services "${login[$tenant]}")"
done
expect "a tenant's services among those of no tenant" "" "$(services "$admin" | grep -E '//mi\.(acme|globex)\.')"

step "one tenant's admin is nobody in the other"
expect "the other's services" 401 "$(through "$portal_host" --output /dev/null --write-out '%{http_code}' \
  --user "admin@${domain[globex]}:${login[acme]#*:}" "https://$portal_host/api/am/service-catalog/v1/services")"

# alone DEAD OTHER: without any node of DEAD, its calls fail instead of reaching OTHER, and OTHER loses none.
alone() {
  local dead=$1 other=$2 name
  step "all integrators of $dead are dead"
  steady_start "$api_host" "$(path_of "$other")"
  for name in $(members "mi_$dead"); do
    "$lab" kill "$name"
    later "$lab" start "$name"
  done
  expect_match "nodes behind the name of $dead: nobody" '^(no-answer|-)' "$(nodes "$(mi_host "mi_$dead")" "$mi_path" 6)"
  expect_match "nodes behind the API of $dead: nobody" '^(status-[05][0-9]*( |$))+$' "$(backends "$(path_of "$dead")" 6)"
  expect "nodes behind the API of $other" "$(members "mi_$other")" "$(backends "$(path_of "$other")" 12)"
  for name in $(members "mi_$dead"); do
    "$lab" start "$name"
  done
  expect_within 180 "nodes behind the API of $dead" "$(members "mi_$dead")" backends "$(path_of "$dead")" 12
  steady_stop "$other"
}
alone acme globex
alone globex acme
