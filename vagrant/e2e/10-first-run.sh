#!/usr/bin/env bash
# From bare machines to a cluster that serves from both nodes of each tier.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

step "run"
deploy

step "who serves"
both_serve
portal_serves
expect "the sample API's status" 200 "$(ask "$api_host" "$api_path" | cut -d' ' -f1)"

step "what a node keeps"
for name in apim-1 apim-2 mi-1 mi-2 si-1 si-2; do
  expect "$name: java processes" 1 "$(processes "$name" | awk '/\(java\)/' | wc -l)"
done
