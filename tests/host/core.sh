#!/bin/bash
# Runs the core of the zones suite, for a processor or a kernel on which it is not run every day.
#
#   core.sh PROGRAMS [TEST...]
#
# PROGRAMS is the folder of the programs, with zones-suite beside them. On an emulated machine everything may take ten times as long.
set -u
. "$(dirname "$0")/common.sh"
the_host
echo "      $(uname -m), pages of $(getconf PAGESIZE) bytes"
bin=$1; shift
title "The suite"
[ $# -gt 0 ] || set -- --core
systemd-run --quiet --wait --pipe --property=Delegate=yes "$bin/zones-suite" --dir /var/tmp/suite --slow 10 --jobs 2 "$@"
