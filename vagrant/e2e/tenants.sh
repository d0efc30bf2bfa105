# shellcheck shell=bash disable=SC2034 # its variables are the scenarios'
# What scenarios share that speak of the tenants of the lab. After lib.sh.

tenants=(acme globex)
declare -A domain login api

# know_tenants NAME: domain, login and the name of an API of each, which no scenario before left behind
know_tenants() {
  local tenant first
  for tenant in "${tenants[@]}"; do
    first=$(members "mi_$tenant" | cut -d' ' -f1)
    domain[$tenant]=$(variable tenant_domain "$first")
    login[$tenant]=admin@${domain[$tenant]}:$(variable tenant_admin_password "$first")
    api[$tenant]=$1$$
  done
}

path_of() { printf '/t/%s/%s/1.0.0\n' "${domain[$1]}" "${api[$1]}"; }
