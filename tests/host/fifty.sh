#!/bin/bash
# Measures how long so many zones that boot with the host take to come up and to go down, beside as many containers of LXC (lxc.service) and
# of systemd-nspawn (machines.target), all with the same root and init.
#
#   fifty.sh PROGRAMS
#
# PROGRAMS is the folder of the programs; what is to be installed with them is in `packaging` beside it. They are installed on the host, so
# this belongs into a virtual machine that is thrown away. COUNT (50) and ROUNDS (2) may be in the environment. Without the package lxc its
# part is left out.
set -u
. "$(dirname "$0")/common.sh"
COUNT=${COUNT:-50} ROUNDS=${ROUNDS:-2}
names=$(seq -f 'z%02g' "$COUNT")
# The programs' own init, as a sparse zone has it.
init=/usr/libexec/zones/zinit
# took WHAT COMMAND...: how long it takes by the clock, and how much of the processors.
took() {
    local what=$1 clock used; shift
    clock=$(date +%s%N) used=$(busy)
    "$@" > /tmp/took 2>&1 || { failed=$((failed + 1)); echo "FAIL  $what"; tail -20 /tmp/took; }
    echo "time  $what: $((($(date +%s%N) - clock) / 1000000)) ms, $((($(busy) - used) * 10)) ms of the processor"
}
busy() { awk '/^cpu / {print $2 + $3 + $4 + $7 + $8}' /proc/stat; } # in hundredths of a second
up() { # WHAT COMMAND...: it prints as many as there are to be
    local what=$1; shift
    is "$what are up" "$COUNT" "$@"
}
running() { zoneadm list -p | grep -v ':global:' | grep -c :running:; }
of_zones() { systemctl list-units --plain --no-legend --state=active 'zone@*' | awk '{print $1}'; }
machines() { machinectl list --no-legend | grep -c systemd-nspawn; }

the_host
nproc

installation "$1"
for zone in $names; do zonecfg -z "$zone" 'create; set autoboot=true' && zoneadm -z "$zone" install || break; done > /tmp/made 2>&1
is "zones" "$COUNT" sh -c 'zoneadm list -cp | grep -c :installed:'
root=/var/lib/zones/z01/root

title "Zones"
systemctl stop zones.target zones-high.target zones-normal.target
systemctl daemon-reload
for _ in $(seq "$ROUNDS"); do
    took "zones.target" systemctl start zones.target
    up "zones" running
    # What a shutdown of the host stops.
    took "down, by their units" systemctl stop $(of_zones)
    is "zones are up" 0 running
    systemctl stop zones.target zones-high.target zones-normal.target
done
took "zoneadm boot, one after another" sh -c "for zone in $(echo $names); do zoneadm -z \$zone boot || exit 1; done"
took "zoneadm halt, one after another" sh -c "for zone in $(echo $names); do zoneadm -z \$zone halt || exit 1; done"

title "systemd-nspawn"
mkdir -p /etc/systemd/nspawn /etc/systemd/system/machines.target.wants
for name in $names; do
    mkdir -p "/var/lib/machines/$name" && cp -a "$root/." "/var/lib/machines/$name/"
    printf '[Exec]\nBoot=no\nParameters=%s\nPrivateUsers=no\nKillSignal=SIGTERM\n[Files]\nBindReadOnly=/usr\n[Network]\nVirtualEthernet=no\nPrivate=yes\n' "$init" > "/etc/systemd/nspawn/$name.nspawn"
    ln -sf /lib/systemd/system/systemd-nspawn@.service "/etc/systemd/system/machines.target.wants/systemd-nspawn@$name.service"
done
systemctl stop machines.target
systemctl daemon-reload
for _ in $(seq "$ROUNDS"); do
    took "machines.target" systemctl start machines.target
    up "machines" machines
    took "down, by their units" systemctl stop 'systemd-nspawn@*'
    systemctl stop machines.target
done

title "LXC"
if command -v lxc-start > /dev/null; then
    for name in $names; do
        mkdir -p "/var/lib/lxc/$name"
        printf 'lxc.rootfs.path = dir:/var/lib/machines/%s\nlxc.init.cmd = %s\nlxc.uts.name = %s\nlxc.net.0.type = empty\nlxc.mount.auto = proc:mixed sys:ro\nlxc.mount.entry = /usr usr none ro,bind 0 0\nlxc.apparmor.profile = unconfined\nlxc.start.auto = 1\nlxc.start.delay = 0\nlxc.signal.halt = SIGTERM\n' \
            "$name" "$init" "$name" > "/var/lib/lxc/$name/config"
    done
    printf 'USE_LXC_BRIDGE="false"\n' > /etc/default/lxc-net
    systemctl stop lxc
    for _ in $(seq "$ROUNDS"); do
        took "lxc.service" systemctl start lxc
        up "containers" sh -c 'lxc-ls --running -1 | grep -c .'
        took "down, by it" systemctl stop lxc
        is "containers are up" 0 sh -c 'lxc-ls --running -1 | grep -c .'
    done
else
    skip "LXC: the package lxc is not installed"
fi

title "The end"
for zone in $names; do zoneadm -z "$zone" uninstall -F && zonecfg -z "$zone" delete -F; done > /dev/null 2>&1
the_end
