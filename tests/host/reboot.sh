#!/bin/bash
# Has a host with zones reboot, and lose its power.
#
#   reboot.sh PROGRAMS
#
# Runs once in each of three boots of a machine: in the first it installs the package, which is beside it, and zones that boot with the host, in the
# second it looks at what came of that and of an orderly end of the machine, in the third of a loss of power.
set -u
. "$(dirname "$0")/common.sh"
boot=${boot:-1}
unit() { systemctl show -P "$2" "zone@$1"; }
before() { # ZONE ZONE: the first ran before the second began to boot
    local first second; first=$(unit "$1" ActiveEnterTimestampMonotonic) second=$(unit "$2" ExecMainStartTimestampMonotonic)
    echo "$first $second"; [ "$first" -gt 0 ] && [ "$first" -le "$second" ]
}
zones="base first db auth web mail late"
all_run() {
    # As the host has booted them: nothing is started here that was not.
    ok "the target is reached" until_is 300 active systemctl is-active zones.target
    for zone in $zones; do is "$zone" running state "$zone"; done
    is "hand" installed state hand
    ok "base, of normal priority, before first, of high priority, that depends on it" before base first
    is "there is no circle that systemd had to break" "" sh -c 'journalctl -b -o cat | grep "ordering cycle"'
    ok "first before db" before first db
    ok "db before auth" before db auth
    ok "auth before web" before auth web
    ok "mail before late" before mail late
    has "the one that cannot is a failed unit" 'zone@bad.service' systemctl --failed --no-legend
    finds "and says why" '/sbin/nope' journalctl -b -u zone@bad --no-pager
    is "no other is" 1 sh -c 'systemctl --failed --no-legend | grep -c zone'
    for zone in $zones; do is "$zone takes commands" here zlogin "$zone" echo here; done
    echo "      $(systemd-analyze critical-chain zones.target 2>&1 | sed -n 4,6p | tr -d '\n')"
}

case $boot in
1)
    title "First boot: the package and its zones"
    ok "apt install" apt-get -y -q install "$(ls "$PWD"/zones_9*.deb)"
    for line in "base" "first boot-priority=high" "db" "auth depends=db" "web depends=auth,db" "mail" "late boot-priority=low" "bad init=/sbin/nope"; do
        set -- $line
        ok "$1" sh -c "zonecfg -z $1 'create; set autoboot=true${2:+; set $2}' && zoneadm -z $1 install"
    done
    ok "first depends on base" zonecfg -z first 'set depends=base'
    ok "hand" sh -c 'zonecfg -z hand create && zoneadm -z hand install'
    ok "boot by hand" zoneadm -z hand boot
    ok "the host is switched off" next_boot systemctl poweroff --no-block
    # Until that ends this.
    sleep 600 ;;
2)
    title "Second boot, after an orderly end"
    all_run
    is "how the zone ended that was booted by hand" shutdown field hand .last_exit.how
    finds "its console says so" 'Zone (halted|shutting down)' cat /var/log/zones/hand.console.log
    title "A loss of power"
    for zone in $zones; do echo "$zone $(field "$zone" .uniqid)"; done > /var/tmp/uniqids
    next_boot true ;;
*)
    title "Third boot, after a loss of power"
    all_run
    for zone in $zones; do
        ok "$zone is another incarnation" sh -c "! grep -q '^$zone $(field "$zone" .uniqid)\$' /var/tmp/uniqids"
    done
    is "how the last one ended" unknown field web .last_exit.how
    title "The end of the level"
    begun=$(date +%s%N)
    ok "all units are stopped" systemctl stop 'zone@*'
    echo "      $((($(date +%s%N) - begun) / 1000000)) ms for seven idle zones"
    for zone in $zones; do is "$zone" installed state "$zone"; done
    the_end ;;
esac
