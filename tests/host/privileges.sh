#!/bin/bash
# Types the examples of docs/privileges.md that want a Debian in a zone, and what is of a host with the package: systemd-nspawn in a
# zone, and a Debian in a zone in a zone.
#
#   privileges.sh PROGRAMS ARCHIVE
#
# PROGRAMS is the folder of the programs, with what is to be installed with them in `packaging` and the documents in `docs` beside it;
# ARCHIVE is a Debian of the host's release with systemd. They are installed on the host, so this belongs into a virtual machine that is
# thrown away.
set -u
. "$(dirname "$0")/common.sh"
document=$1/../docs/privileges.md archive=$(readlink -f "$2")
root=/var/lib/zones/web/root
# example SECTION NUMBER: that block of commands of a section.
example() {
    awk -v heading="## $1" -v wanted="$2" '
        /^## / { here = $0 == heading }
        here && /^```/ { open = !open; n += open; next }
        here && open && n == wanted' "$document"
}
unpack() { mkdir -p "$1" && tar -xf "$archive" -C "$1" --exclude='./dev/*'; } # DIRECTORY: who is in a zone makes no nodes
machines() { zlogin web machinectl list --no-legend | awk '{print $1}'; }
ends() { # MACHINE
    ok "$1 is shut down" zlogin web machinectl poweroff "$1"
    ok "and has gone" until_is 120 "" machines
}

the_host
of_archive=$(tar -xOf "$archive" ./usr/lib/os-release | sed -n 's/^VERSION_CODENAME=//p')
if ! grep -qx "VERSION_CODENAME=$of_archive" /etc/os-release; then
    skip "all of it: this host is no $of_archive, as the archive is"
    the_end
    exit
fi

installation "$1"

title "systemd-nspawn in a Debian"
ok create zonecfg -z web 'create; set brand=linux; set nesting=true'
ok install zoneadm -z web install -a "$archive"
# The host is the same Debian: its package is the zone's.
ok "its package" bash -c "dpkg -L systemd-container | while read -r file; do [ \"\$file\" = /. ] || [ ! -e \"\$file\" ] || echo \"\$file\"; done |
    tar -c --no-recursion -f - -C / -T - 2>/dev/null | tar -xf - -C $root && test -x $root/usr/bin/systemd-nspawn"
ok "a root for a container" unpack $root/var/lib/machines/deb
ok boot zoneadm -z web boot
ok "it is up" zoneadm -z web wait --ready
example 'systemd-nspawn in a zone' 1 > /tmp/first
has "a command" '^deb' sh -c "$(sed -n 1p /tmp/first)"
ok "a whole Debian" sh -c "$(sed -n 2p /tmp/first)"
finds "it boots" 'multi-user.target' zlogin web journalctl -q --no-pager -u deb
is "machined in the zone knows it" deb machines
ends deb
ok "by machinectl, and what its file says" sh -eu -c "$(example 'systemd-nspawn in a zone' 2)"
is "machined knows it" deb machines
ok "it has a bus" until_is 120 yes zlogin web sh -c 'test -S /var/lib/machines/deb/run/dbus/system_bus_socket || systemctl -q -M deb is-active dbus.socket && echo yes'
is "it runs commands" deb zlogin web systemd-run -q -M deb --wait --pipe uname -n
ends deb
web_goes

title "systemd-nspawn in a sparse zone"
ok "a zone" bash -c "zonecfg -z web 'create; set nesting=true' && zoneadm -z web install"
ok "a root for a container" unpack $root/root/deb
ok boot zoneadm -z web boot
example 'systemd-nspawn in a zone' 3 > /tmp/third
sh -eu /tmp/third > /tmp/booted 2>&1 < /dev/null &
finds "a whole Debian boots" 'multi-user.target|login:' cat /tmp/booted
# So that its init ends the container in order.
ok "it is told to end" zlogin web pkill -TERM -x systemd-nspawn
wait $!
finds "and does" 'Power down|Reached target.*(poweroff|shutdown)|Powering off|System halted|has been (terminated|powered off|shut down)' cat /tmp/booted
web_goes

title "A Debian in a zone in a zone"
# Nets need rules of nf_tables for links, in the zone as on the host.
missing=$(lacks nftables) net=' add net; end'
ok "a zone" bash -c "zonecfg -z web 'create; set nesting=true;$([ -n "$missing" ] || echo "$net")' && zoneadm -z web install"
cp "$archive" $root/srv/debian.tar
ok boot zoneadm -z web boot
# What is typed after the login.
example 'A zone in a zone' 2 | sed 1d > /tmp/inner
if [ -n "$missing" ]; then
    skip "its net: this host has no $missing"
    sed -i "s/$net//" /tmp/inner
fi
has "it runs" '^running' zlogin web sh -eu -c "$(cat /tmp/inner)"
[ -n "$missing" ] || has "its way out is a router of the outer zone's" '^default via ' zlogin web zlogin deb ip route
web_goes

title "The end"
no_units zones.target zone-access.service
nothing_left
the_end
