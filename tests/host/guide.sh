#!/bin/bash
# Types the examples of the guide as they stand there, from the top to the end.
#
#   guide.sh PROGRAMS ARCHIVE
#
# PROGRAMS is the folder of the programs, with what is to be installed with them in `packaging` and the guide in `docs` beside it;
# ARCHIVE is a whole Debian. They are installed on the host, so this belongs into a virtual machine that is thrown away.
set -u
. "$(dirname "$0")/common.sh"
guide=$1/../docs/guide.md
export GUEST; GUEST=$(readlink -f "$2")

the_host

title "The installation"
cp -r "$1/../packaging" /tmp/installed && cp -r "$1" /tmp/installed/bin
ok "install.sh" /tmp/installed/install.sh

# Each block is one script in one shell, which stops at the first command that fails; what it exports goes no further.
mkdir /tmp/guide
awk -v into=/tmp/guide/ '
    /^## / { title = substr($0, 4) }
    /^```sh$/ { file = sprintf("%s%02d", into, ++n); print "#", title > file; open = 1; next }
    /^```/ { open = 0; next }
    open { print > file }
' "$guide"
blocks=$(ls /tmp/guide | wc -l)
ok "the guide has examples: $blocks" test "$blocks" -gt 10
for file in /tmp/guide/*; do
    title "$(head -1 "$file" | cut -c3-)"
    sed 1d "$file"
    ok "it works as typed" sh -c "sh -eu $file > $file.out 2>&1 || { cat $file.out; exit 1; }"
    while IFS= read -r promised; do
        has "prints $promised" "$(sed 's/[][\.*^$+?(){}|/]/\\&/g' <<<"$promised")" cat "$file.out"
    done < <(sed -n 's/.*# prints //p' "$file")
done

title "The end"
rm -rf /srv/shared
systemctl stop zones.target
systemctl reset-failed
systemctl daemon-reload
# systemd's own, for all instances of a template.
systemctl stop system-zone.slice
nothing_left
the_end
