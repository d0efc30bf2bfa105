#!/usr/bin/env bash
# Gateways grow from two to three and back, under load.
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
source "$(dirname "${BASH_SOURCE[0]}")/../scale.sh"

step "make it so"
deploy
all_serve

step "the gateways grow by gw-3, under load"
grows gateway gw-3
scale
expect_same "a second run has nothing to do" "" "$(steps_that changed)"

step "gw-3 leaves, under load"
shrinks gateway gw-3 wso2-apim
shrinks_again gw-3
deploy
expect_same "a run without it has nothing to do" "" "$(steps_that changed)"
