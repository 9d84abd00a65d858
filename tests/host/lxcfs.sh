#!/bin/bash
# Lets lxcfs, as Debian packages it, show zones what they may use, on a host with cgroup version 2 and systemd.
#
#   lxcfs.sh PROGRAMS ARCHIVE
#
# PROGRAMS is the folder of the programs, ARCHIVE a Debian with systemd. The zones are the host's own, so this belongs into a
# virtual machine that is thrown away. Needs jq and the package lxcfs. Ends with the count; each failure is printed where it stands.
set -u
. "$(dirname "$0")/common.sh"
PATH=$1:$PATH
archive=$2

total() { zlogin "$1" awk '/^MemTotal/ {print $2}' /proc/meminfo; }
there() { zlogin "$1" sh -c 'grep -c " fuse.lxcfs " /proc/self/mounts || true'; }

the_host
ok "lxcfs runs" systemctl start lxcfs
ok "and answers" bash -c "$(declare -f until_is); until_is 20 yes sh -c 'test -e /var/lib/lxcfs/proc/uptime && echo yes'"
machine=$(awk '/^MemTotal/ {print $2}' /proc/meminfo)

title "A zone sees its own size"
ok create zonecfg -z web 'create; set brand=sparse; add capped-memory; set physical=96M; set swap=32M; end; add capped-cpu; set ncpus=1; end'
ok "install and boot" bash -c 'zoneadm -z web install && zoneadm -z web boot'
is "files of lxcfs" 8 there web
is "MemTotal is its limit" $((96 << 10)) total web
has "so says free" '^Mem: +98304 ' zlogin web free -k
if TERM=dumb top -b -n 1 | grep -q 'MiB Mem'; then
    has "and top" 'MiB Mem *: +96.0 total' zlogin web sh -c 'TERM=dumb top -b -n 1'
else skip "top: it shows no memory on this host either"; fi
has "it is up since it was booted" '^ok$' zlogin web sh -c 'up=$(cut -d. -f1 /proc/uptime); [ "$up" -lt 120 ] && echo ok'
echo "      host $(cut -d' ' -f1 /proc/uptime) s, zone $(zlogin web cut -d' ' -f1 /proc/uptime) s"
has "uptime says so, too" 'up +[0-9] min' zlogin web uptime
is "no more CPUs than it may use" 1 zlogin web sh -c 'grep -c ^processor /proc/cpuinfo'
ok "stat, swaps, diskstats and loadavg can be read" zlogin web cat /proc/stat /proc/swaps /proc/diskstats /proc/loadavg
has "df says what is mounted" ' /$' zlogin web df
ok "more memory is seen at once" bash -c "zoneadm -z web set capped-memory.physical=128M"
is "MemTotal" $((128 << 10)) total web
ok "a zone without limits" bash -c "zonecfg -z free 'create; set brand=sparse' && zoneadm -z free install && zoneadm -z free boot"
is "sees the machine's memory" "$machine" total free

title "A Debian with systemd"
ok create zonecfg -z deb 'create; set brand=linux; add capped-memory; set physical=160M; end'
ok "install and boot" bash -c "zoneadm -z deb install -a $archive && zoneadm -z deb boot"
ok "it comes up" bash -c "$(declare -f until_is); until_is 60 running zlogin deb systemctl is-system-running"
is "files of lxcfs" 8 there deb
is "MemTotal is its limit" $((160 << 10)) total deb
has "its init is in a cgroup of its own, and so counts" '^Mem: +163840 ' zlogin deb free -k
is "a service of its own sees the same" $((160 << 10)) zlogin deb systemd-run -q --pipe --wait -p PrivateTmp=yes awk '/^MemTotal/ {print $2}' /proc/meminfo

title "Changes of lxcfs"
ok "it is restarted" systemctl restart lxcfs
for zone in web deb; do
    limit=$([ $zone = web ] && echo $((128 << 10)) || echo $((160 << 10)))
    ok "zone $zone has the new one's files" bash -c "$(declare -f until_is total); until_is 30 $limit total $zone"
done
is "a service, too" $((160 << 10)) zlogin deb systemd-run -q --pipe --wait -p PrivateTmp=yes awk '/^MemTotal/ {print $2}' /proc/meminfo
ok "it is killed" systemctl kill -s KILL lxcfs
ok "its unit starts it again, and the zone has that one's" bash -c "$(declare -f until_is total); until_is 30 $((128 << 10)) total web"
ok "it is stopped" systemctl stop lxcfs
ok "the zone sees the machine" bash -c "$(declare -f until_is total); until_is 30 $machine total web"
finds "the console says so" 'lxcfs is gone' cat /var/log/zones/web.console.log
has "a zone can insist on it" 'lxcfs=true needs lxcfs' bash -c "zonecfg -z free 'set lxcfs=true'; zoneadm -z free verify 2>&1"
ok "it is started again" systemctl start lxcfs
ok "and seen" bash -c "$(declare -f until_is total); until_is 30 $((128 << 10)) total web"
ok "it stands still" systemctl kill -s STOP lxcfs
has "a zone boots all the same" 'lxcfs does not answer' bash -c "zonecfg -z free 'clear lxcfs'; zoneadm -z free reboot 2>&1"
is "and runs" running state free
zlogin web cat /proc/meminfo >/dev/null 2>&1 & reader=$!
sleep 2
ok "who reads in the zone waits" kill -0 $reader
timeout 60 zoneadm -z web halt > /tmp/halted 2>&1; echo "      halt: $? $(head -c 600 /tmp/halted | tr '\n' '|')"
ok "lxcfs goes on" systemctl kill -s CONT lxcfs
wait $reader
ok "then the zone is down" bash -c "$(declare -f until_is field state); until_is 60 installed state web"

title "The end"
for zone in web free deb; do
    zoneadm -z $zone halt 2>/dev/null
    ok "uninstall $zone" zoneadm -z $zone uninstall -F
    ok "delete $zone" zonecfg -z $zone delete -F
done
ok "lxcfs stops" systemctl stop lxcfs
nothing_left
the_end
