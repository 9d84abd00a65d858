#!/bin/bash
# Gives zones CPUs of their own on a host with cgroup version 2 and the cpuset controller, and looks who runs where, and what systemd and
# machined make of it.
#
#   cpus.sh PROGRAMS
#
# PROGRAMS is the folder of the programs; what is to be installed with them is in `packaging` beside it. They are installed on the host, so
# this belongs into a virtual machine that is thrown away, with two CPUs. Needs jq. Ends with the count; each failure is printed where it stands.
set -u
. "$(dirname "$0")/common.sh"
root=/sys/fs/cgroup
leader() { machinectl show "$1" -p Leader --value 2>/dev/null || echo none; }
place() { cut -d: -f3 "/proc/$(field web .pid)/cgroup"; }

the_host

installation "$1"

title "One of two"
ok create zonecfg -z web 'create; set brand=sparse; add dedicated-cpu; set ncpus=1-4; set importance=3; end'
ok install zoneadm -z web install
ok verify zoneadm -z web verify
ok boot zoneadm -z web boot
is "a partition" root cat $root/zones.units.web.slice/cpuset.cpus.partition
is "its CPU" 1 cat $root/zones.units.web.slice/cpuset.cpus.effective
is "the host's" 0 cat $root/cpuset.cpus.effective
is "the zone sees one" 1 zlogin web nproc
is "and runs on it" 1 zlogin web sh -c 'awk "/Cpus_allowed_list/ {print \$2}" /proc/self/status'
is "the host runs on the other" 0 awk '/Cpus_allowed_list/ {print $2}' /proc/self/status
ok "the zone's root cannot take more" zlogin web sh -c '! sh -c "echo 0-1 > /sys/fs/cgroup/cpuset.cpus" 2>/dev/null'
is "its path is that of its unit" /zones.units.web.slice/zone@web.service/zone place
ok "which is active" until_is 20 active systemctl is-active zone@web
ok "machined knows it" until_is 20 "$(field web .pid)" leader web
is "and whose it is that runs there" web sh -c "ps -o machine= -p $(field web .pid) | tr -d ' '"
pid=$(field web .pid)
ok "systemd is reloaded, and starts again" sh -c 'systemctl daemon-reload && systemctl daemon-reexec'
is "the zone has not noticed" "root 1 $pid" sh -c "echo \$(cat $root/zones.units.web.slice/cpuset.cpus.partition $root/zones.units.web.slice/cpuset.cpus.effective) $(field web .pid)"
ok "its daemon is killed" die "$(daemon web)"
is "it is found again" here zlogin web echo here
ok reboot zoneadm -z web reboot
is "it has it again" 1 cat $root/zones.units.web.slice/cpuset.cpus.effective
ok "machined knows the other first process" until_is 20 "$(field web .pid)" leader web

title "No more than there are"
ok "another" bash -c "zonecfg -z more 'create; set brand=sparse; add dedicated-cpu; set ncpus=1; end' && zoneadm -z more install"
has "verify" 'WARNING.*wants 1 of the host.s CPUs for the zone alone, and there are 0' zoneadm -z more verify
no "boot" 'wants 1 of the host.s CPUs' zoneadm -z more boot
ok "halt" zoneadm -z web halt
ok "machined has forgotten it" until_is 20 none leader web
is "the host has both" 0-1 cat $root/cpuset.cpus.effective
ok "by its number" zonecfg -z more 'remove dedicated-cpu; add dedicated-cpu; set cpus=1; end'
ok "the other can have it" zoneadm -z more boot
is "its CPU" 1 cat $root/zones.units.more.slice/cpuset.cpus.effective
ok "not any more" bash -c "zonecfg -z more 'remove dedicated-cpu' && zoneadm -z more reboot"
is "it shares" 0-1 sh -c "cat $root/zones*/*more*/zone/cpuset.cpus.effective"

title "A cgroup of before"
# Where a version had it that did not look whether systemd runs.
ok "halt" zoneadm -z more halt
ok boot unshare --mount sh -c 'mount -t tmpfs none /run/systemd && zoneadm -z web boot'
is "is another" /zones.cpus.web/zone place
pid=$(field web .pid)
ok "kill -9 of its daemon" die "$(daemon web)"
ok "it is found" zoneadm -z web boot
is "the same" "running $pid" field web '|.state + " " + (.pid | tostring)'
is "it is entered" 1 zlogin web nproc
ok halt zoneadm -z web halt
is "it is gone" "" sh -c "ls -d $root/zones.cpus.* 2>/dev/null"
is "the host has both" 0-1 cat $root/cpuset.cpus.effective
ok boot zoneadm -z web boot
is "now it is the usual one" /zones.units.web.slice/zone@web.service/zone place

title "The end"
for zone in web more; do
    ok "halt $zone" sh -c "zoneadm -z $zone halt || true"
    ok "uninstall $zone" zoneadm -z $zone uninstall -F
    ok "delete $zone" zonecfg -z $zone delete -F
done
no_units zones.target zone-access.service
nothing_left
the_end
