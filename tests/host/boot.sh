#!/bin/bash
# Has systemd boot zones and take them down, as it does with the host, by the units of the package.
#
#   boot.sh PROGRAMS
#
# PROGRAMS is the folder of the programs; what is to be installed with them is in `packaging` beside it. They are installed on
# the host, so this belongs into a virtual machine that is thrown away.
set -u
. "$(dirname "$0")/common.sh"
unit() { systemctl show -P "$2" "zone@$1"; }
log() { cat "/var/log/zones/$1.console.log"; }
before() { # WHAT, ZONE ZONE: the first had booted when the boot of the second began
    local first second; first=$(unit "$1" ExecMainExitTimestampMonotonic) second=$(unit "$2" ExecMainStartTimestampMonotonic)
    echo "$first $second"; [ "$first" -gt 0 ] && [ "$first" -le "$second" ]
}
installed() { zonecfg -z "$1" "create; set brand=sparse; $2" && zoneadm -z "$1" install; }

the_host

title "The installation"
cp -r "$1/../packaging" /tmp/installed && cp -r "$1" /tmp/installed/bin
ok "install.sh" /tmp/installed/install.sh
is "the target is enabled" enabled systemctl is-enabled zones.target
is "programs are found" /usr/sbin/zoneadm sh -c 'command -v zoneadm'

title "Zones that boot with the host"
ok "low priority" installed late 'set autoboot=true; set boot-priority=low'
ok "depends on another" installed web 'set autoboot=true; set depends=db'
ok "the other" installed db 'set autoboot=true; set autoshutdown=halt'
ok "high priority" installed first 'set autoboot=true; set boot-priority=high'
ok "one that cannot boot" installed bad 'set autoboot=true; set init=/sbin/nope'
ok "by hand only" installed hand ''
systemctl stop zones.target zones-high.target zones-normal.target
ok "systemd is told" systemctl daemon-reload
ok "the target is reached whatever fails" systemctl start zones.target
for zone in late web db first; do is "$zone" running state "$zone"; done
is "hand" installed state hand
ok "what it depends on has booted before" before db web
ok "high priority before normal" before first db
ok "low priority last" before web late
has "the one that cannot is a failed unit" 'zone@bad.service' systemctl --failed --no-legend
has "and says why" '/sbin/nope' journalctl -b -u zone@bad --no-pager

title "By systemctl"
ok stop systemctl stop zone@web
is "web" installed state web
has "its init was asked to" 'Zone (halted|shutting down)' log web
ok "start" systemctl start zone@web
is "web" running state web
ok "boot by hand" zoneadm -z hand boot
pid=$(field web .pid)
ok "our units start again" systemctl restart zones.service zones.target
ok "daemon-reload, daemon-reexec" sh -c 'systemctl daemon-reload && systemctl daemon-reexec'
is "the zone has not noticed" "$pid" field web .pid
is "nor one that was booted by hand" running state hand

title "The host goes down"
# Only then does the service take down what systemd has not booted; the host says so of itself here.
mkdir /tmp/going && printf '#!/bin/sh\necho stopping\n' > /tmp/going/systemctl && chmod 755 /tmp/going/systemctl
mount --bind /tmp/going/systemctl "$(readlink -f "$(command -v systemctl)")"
ok "zones-host stop" /usr/libexec/zones/zones-host stop
umount "$(readlink -f "$(command -v systemctl)")"
for zone in hand web db first late; do is "$zone" installed state "$zone"; done

title "The end"
for zone in late web db first bad hand; do
    ok "uninstall $zone" zoneadm -z "$zone" uninstall -F
    ok "delete $zone" zonecfg -z "$zone" delete -F
done
systemctl stop zones.target
systemctl reset-failed
systemctl daemon-reload
# systemd's own, for all instances of a template.
systemctl stop system-zone.slice
nothing_left
the_end
