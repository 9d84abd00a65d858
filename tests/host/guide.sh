#!/bin/bash
# Types the examples of the guide as they stand there, from the top to the end.
#
#   guide.sh PROGRAMS ARCHIVE
#
# PROGRAMS is the folder of the programs, with what is to be installed with them in `packaging` and the guide in `docs` beside it;
# ARCHIVE is a whole Debian. They are installed on the host, so this belongs into a virtual machine that is thrown away.
set -u
. "$(dirname "$0")/common.sh"
export GUEST; GUEST=$(readlink -f "$2")

the_host

installation "$1"

examples "$1/../docs/guide.md" 10

title "The end"
rm -rf /srv/shared
# By itself it leaves a minute after the last who called.
no_units zones.target zone-access.service
nothing_left
the_end
