#!/bin/sh
# Profile optimisation of the 4.4 stand-in: profileSetup.sh -Dprofile=NAME [--skipConfigOptimization]
# Replaces deployment.toml (the old one goes to deployment.toml.backup, also when there is one already) and is not idempotent.
home=$(cd "$(dirname "$0")/.." && pwd)
case "$1" in
  -Dprofile=control-plane|-Dprofile=gateway-worker|-Dprofile=traffic-manager) profile=${1#-Dprofile=} ;;
  *) echo "-Dprofile=control-plane|gateway-worker|traffic-manager must be the first argument"; exit 1 ;;
esac
rm -rf "$home"/repository/deployment/server/webapps/*
if [ "$2" != --skipConfigOptimization ]; then
  conf=$home/repository/conf
  mv "$conf/deployment.toml" "$conf/deployment.toml.backup"
  sed "s/^server_role = .*/server_role = \"$profile\"/" "$conf/deployment.toml.backup" > "$conf/deployment.toml"
fi
echo "Profile $profile is set up (stand-in)"
