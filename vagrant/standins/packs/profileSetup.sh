#!/bin/bash
# Profile optimisation of the 4.4 stand-in: profileSetup.sh -Dprofile=NAME [--skipConfigOptimization]
# As the product's: the profile must come first, a wrong one is told with exit code 0; deployment.toml makes place for the role's
# sample (the file before goes to deployment.toml.backup, over an older one), and what a role does not need is deleted for good.
cd "$(dirname "$0")" || exit 1
conf=../repository/conf
server=../repository/deployment/server
say() { echo "[$(date '+%Y-%m-%d %H:%M:%S')] INFO - $*"; }

case "$1" in
  -Dprofile=control-plane) drop='api#am#gateway#v2.war' keep='*' ;;
  -Dprofile=gateway-worker) drop='*' keep='api#am#gateway#v2.war' ;;
  -Dprofile=traffic-manager) drop='*' keep='internal#data#v*.war' ;;
  *) echo "Profile is not specified properly, please try again"; exit ;;
esac
profile=${1#-Dprofile=}
case " $* " in
  *skipConfigOptimization*) say "Config optimizations in deployment.toml skipped since the option --skipConfigOptimization is passed" ;;
  *)
    say "Starting to optimize configs in deployment.toml"
    mv "$conf/deployment.toml" "$conf/deployment.toml.backup"
    say "Renamed the existing $conf/deployment.toml file as deployment.toml.backup"
    cp "../repository/resources/conf/deployment-templates/$profile.toml" "$conf/deployment.toml" ;;
esac
find "$server/webapps" -mindepth 1 -maxdepth 1 -name "$drop" | while read -r war; do
  # shellcheck disable=SC2254 # patterns
  case "$profile:${war##*/}" in
    control-plane:*) ;;
    *:$keep) continue ;;
  esac
  rm -r "$war"
  say "Removed the ${war##*/} file from $server/webapps"
done
[ "$profile" = gateway-worker ] || rm -f "$server"/synapse-configs/default/inbound-endpoints/*WebSocketInboundEndpoint.xml
echo Finished the optimizations
