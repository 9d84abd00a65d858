#!/bin/bash
# Leads zones through their lives on a host of which nothing else is known, and looks at what is left.
#
#   life.sh PROGRAMS {sparse | ARCHIVE}...
#
# PROGRAMS is the folder of the programs. `sparse` is a zone that shares the host's /usr, each ARCHIVE a root with an
# init, in a tar; systemd in it is asked whether it is content. The zones are the host's own, so this belongs into a virtual machine that is thrown away.
# Needs jq, socat and procps. Ends with the count; each failure is printed where it stands.
set -u
. "$(dirname "$0")/common.sh"
programs=$1
PATH=$1:$PATH; shift

renewed() { # ZONE UNIQID: waits for a running incarnation that is not this one
    local left=90 now
    # State and incarnation from one look: between two of them a zone may end.
    while now=$(field "$1" '|.state + " " + .uniqid'); [ "${now% *}" != running ] || [ "$now" = "running $2" ]; do
        left=$((left - 1)); [ "$left" -gt 0 ] || { echo "still $now"; return 1; }
        sleep 1
    done
}
differs() { # ZONE KIND: the zone's namespace is not the host's
    [ "$(readlink "/proc/$(field "$1" .pid)/ns/$2")" != "$(readlink "/proc/1/ns/$2")" ]
}
# on_terminal SECONDS_BEFORE_TYPING TYPED COMMAND: COMMAND on a terminal of its own
on_terminal() {
    local wait=$1 typed=$2; shift 2
    { sleep "$wait"; printf "$typed"; sleep 3; printf '\r~.'; sleep 1; } |
        timeout 60 socat - "EXEC:$*,pty,ctty,setsid,raw,echo=0"
}
usual() { # ZONE PID: what an ordinary command says after a death, of a zone with this first process
    is "$1 runs on" running state "$1"
    is "$1 has the same first process" "$2" field "$1" .pid
    is "$1 takes commands" here zlogin "$1" echo here
    has "boot says that it is booted" 'already booted' zoneadm -z "$1" boot
    is "$1 still has the same first process" "$2" field "$1" .pid
    has "the console of $1 answers" 'Connected to zone' on_terminal 2 '' "zlogin -C $1"
}

the_host

sparse() {
title "A sparse zone"
ok create zonecfg -z web 'create; set brand=sparse'
ok install zoneadm -z web install
ok verify zoneadm -z web verify
ok boot zoneadm -z web boot
is state running state web
is "zlogin id" 0 zlogin web id -u
has "uid_map" '^ *0 +[1-9][0-9]+ +65536$' zlogin web cat /proc/self/uid_map
for kind in user mnt pid net ipc uts cgroup; do ok "its own $kind namespace" differs web $kind; done
has "owner of the user namespace" '^[1-9][0-9]+$' stat -Lc %u "/proc/$(field web .pid)"
has "cgroup of init, as the zone sees it" '^0::/' zlogin web cat /proc/1/cgroup
has "cgroup of init, as the host sees it" 'zone' cat "/proc/$(field web .pid)/cgroup"
has "cgroup of a login, as the zone sees it" '^0::/' zlogin web cat /proc/self/cgroup
has "ping_group_range" '^0[[:space:]]65535$' zlogin web cat /proc/sys/net/ipv4/ping_group_range
has "mounts are shared" 'shared:' zlogin web sh -c 'grep " / / \| / " /proc/self/mountinfo'
has "devpts" 'devpts' zlogin web grep /dev/pts /proc/mounts
ok "users may ping" zlogin web setpriv --reuid=65534 --regid=65534 --clear-groups ping -c1 -W5 127.0.0.1
has "a login has a terminal of the zone" '/dev/pts/[0-9]' on_terminal 3 'tty; echo controllers $(cat /sys/fs/cgroup/cgroup.controllers)\rexit\r' "zlogin web"
ok "nothing of the host is written" zlogin web sh -c '! touch /usr/x 2>/dev/null'
is "limits of a command" "$(zlogin web sh -c 'ulimit -n')" bash -c 'ulimit -n 100; zlogin web sh -c "ulimit -n"'
zlogin web sh -c 'echo said on the console > /dev/console'
has "zlogin -C" 'said on the console' on_terminal 3 '' 'zlogin -C web'
finds "console --log" 'said on the console' zoneadm -z web console --log
has "verify while it runs" '^0$' bash -c 'zoneadm -z web verify >&2; echo $?'
before=$(field web .uniqid); zlogin web reboot
ok "reboot from inside" renewed web "$before"
is "how it ended" rebooted field web .last_exit.how
zlogin web poweroff
ok "poweroff from inside" until_is 90 installed state web
is "how it ended" poweroff field web .last_exit.how
ok ready zoneadm -z web ready
is state ready state web
ok "boot from ready" zoneadm -z web boot
before=$(field web .uniqid)
ok reboot zoneadm -z web reboot
ok "another incarnation" renewed web "$before"
ok halt zoneadm -z web halt
is state installed state web

title "Deaths"
ok boot zoneadm -z web boot
first=$(field web .pid)
ok "kill -9 of zoneadmd" die "$(daemon web)"; usual web "$first"
ok "kill -9 of zsched" die "$(field web .zsched.pid)"; usual web "$first"
echo "adopted: $(field web '.zsched' | tr '\n' ' ')"
d=$(daemon web); z=$(field web .zsched.pid); ok "kill -9 of both" bash -c "kill -9 $d $z"; usual web "$first"
ok "verify after that" zoneadm -z web verify
before=$(field web .uniqid); zlogin web reboot
ok "reboot from inside after that" renewed web "$before"
first=$(field web .pid)
ok "kill -9 of zsched first, then zoneadmd" bash -c "kill -9 $(field web .zsched.pid); sleep 1; kill -9 $(daemon web)"; usual web "$first"
ok "halt after that" zoneadm -z web halt
ok "ready" zoneadm -z web ready
ok "kill -9 of zsched of a ready zone" die "$(field web .zsched.pid)"
ok "boot after that" zoneadm -z web boot
is state running state web
ok shutdown zoneadm -z web shutdown -t 60
is state installed state web

title "A unit that ends does not take the zone along"
ok "boot from a unit" systemd-run --quiet --wait --collect -E PATH="$PATH" zoneadm -z web boot
first=$(field web .pid)
ok "a unit that stays" systemd-run --quiet --unit=stays -E PATH="$PATH" sh -c 'zoneadm -z web reboot; sleep 1000'
ok "rebooted from it" until_is 60 yes bash -c "[ \"\$(zoneadm -z web list --json | jq -r .[0].pid)\" != $first ] && echo yes"
first=$(field web .pid)
ok "stop the unit" systemctl stop stays
is "the zone runs on" "$first" field web .pid
is "takes commands" here zlogin web echo here
ok halt zoneadm -z web halt
ok uninstall zoneadm -z web uninstall -F
ok delete zonecfg -z web delete -F

}

linux() {
    local archive=$1 name before first
    name=$(basename "$archive" .tar | tr -dc a-z0-9); title "$archive: $name"
    ok create zonecfg -z "$name" 'create; set brand=linux'
    ok install zoneadm -z "$name" install -a "$archive"
    ok verify zoneadm -z "$name" verify
    ok boot zoneadm -z "$name" boot
    is state running state "$name"
    case $name in
        *systemd*)
            ok "the bus is there" until_is 120 yes bash -c "zlogin $name test -S /run/dbus/system_bus_socket && echo yes"
            is "is-system-running" running timeout 300 zlogin "$name" systemctl is-system-running --wait
            is "failed units" "" zlogin "$name" systemctl list-units --failed --no-legend --plain
            has "a unit of its own with a limit" 'yes' zlogin "$name" systemd-run --quiet --wait --pipe -p MemoryMax=50M -p PrivateTmp=yes -p ProtectSystem=strict echo yes
            has "journal" 'systemd' zlogin "$name" journalctl -b -n 50 --no-pager;;
        *)
            ok "runlevel 2" until_is 120 'N 2' zlogin "$name" runlevel
            has "its terminals" 'tty1' zlogin "$name" sh -c 'ls -l /dev/tty[1-6] /dev/console'
            has "getty" 'getty' zlogin "$name" ps ax;;
    esac
    has "mounts are shared" 'shared:' zlogin "$name" sh -c 'grep " / / \| / " /proc/self/mountinfo'
    has "login on a terminal" '/dev/pts/[0-9]' on_terminal 4 'tty\rexit\r' "zlogin $name"
    has "the console" 'login:' on_terminal 3 '\r' "zlogin -C $name"
    first=$(field "$name" .pid)
    ok "kill -9 of zoneadmd" die "$(daemon "$name")"; is "runs on" "$first" field "$name" .pid
    ok "kill -9 of zsched" die "$(field "$name" .zsched.pid)"; is "takes commands" here zlogin "$name" echo here
    # Nobody would notice how the zone ends before the next command brings a daemon, and a zsched with it.
    has "boot says that it is booted" 'already booted' zoneadm -z "$name" boot
    is "the same first process" "$first" field "$name" .pid
    before=$(field "$name" .uniqid); zlogin "$name" reboot
    ok "reboot from inside" renewed "$name" "$before"
    ok "is up again" until_is 120 yes bash -c "zlogin $name sh -c 'test -S /run/dbus/system_bus_socket || runlevel | grep -q 2' && echo yes"
    ok shutdown zoneadm -z "$name" shutdown -t 120
    is state installed state "$name"
    is "how it ended" shutdown field "$name" .last_exit.how
    case $name in *systemd*) nested "$name";; esac
    ok uninstall zoneadm -z "$name" uninstall -F
    ok delete zonecfg -z "$name" delete -F
}

# What `nesting` lets run, on a host with cgroup version 2.
nested() { # ZONE
    local name=$1
    title "Limits of a zone in a zone"
    ok "the programs are there" zonecfg -z "$name" "set nesting=true; add fs; set dir=/opt/zones; set special=$programs; set type=lofs; set options=[ro]; end"
    ok boot zoneadm -z "$name" boot
    ok "the bus is there" until_is 120 yes zlogin "$name" sh -c 'test -S /run/dbus/system_bus_socket && echo yes'
    inside() { zlogin "$name" env PATH="/opt/zones:/usr/sbin:/usr/bin:/sbin:/bin" "$@"; }
    ok create inside zonecfg -z in 'create; set brand=sparse; set max-lwps=40; add capped-memory; set physical=64M; end'
    ok install inside zoneadm -z in install
    ok boot inside zoneadm -z in boot
    is "what the kernel has" '40 67108864' inside zlogin in sh -c 'echo $(cat /sys/fs/cgroup/pids.max /sys/fs/cgroup/memory.max)'
    no "no more threads than that" '[Ff]ork' inside zlogin in sh -c 'i=0; while [ $i -lt 60 ]; do sleep 1000 & i=$((i + 1)); done'
    ok "the zone around it goes on" zlogin "$name" true
    ok "one more limit, while it runs" inside zoneadm -z in set max-lwps=50
    is "and the kernel has it" 50 inside zlogin in cat /sys/fs/cgroup/pids.max
    ok "both go" zoneadm -z "$name" halt
}

for what; do
    case $what in sparse) sparse;; *) linux "$what";; esac
done

nothing_left
the_end
