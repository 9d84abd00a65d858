#!/bin/bash
# Gives zones CPUs of their own on a host with cgroup version 2 and the cpuset controller, and looks who runs where.
#
#   cpus.sh PROGRAMS
#
# PROGRAMS is the folder of the programs. The zones are the host's own, so this belongs into a virtual machine that is
# thrown away, with two CPUs. Needs jq. Ends with the count; each failure is printed where it stands.
set -u
. "$(dirname "$0")/common.sh"
PATH=$1:$PATH
root=/sys/fs/cgroup

the_host

title "One of two"
ok create zonecfg -z web 'create; set brand=sparse; add dedicated-cpu; set ncpus=1-4; set importance=3; end'
ok install zoneadm -z web install
ok verify zoneadm -z web verify
ok boot zoneadm -z web boot
is "a partition" root cat $root/zones.cpus.web/cpuset.cpus.partition
is "its CPU" 1 cat $root/zones.cpus.web/cpuset.cpus.effective
is "the host's" 0 cat $root/cpuset.cpus.effective
is "the zone sees one" 1 zlogin web nproc
is "and runs on it" 1 zlogin web sh -c 'awk "/Cpus_allowed_list/ {print \$2}" /proc/self/status'
is "the host runs on the other" 0 awk '/Cpus_allowed_list/ {print $2}' /proc/self/status
ok "the zone's root cannot take more" zlogin web sh -c '! sh -c "echo 0-1 > /sys/fs/cgroup/cpuset.cpus" 2>/dev/null'
ok "its daemon is killed" die "$(daemon web)"
is "it is found again" here zlogin web echo here
ok reboot zoneadm -z web reboot
is "it has it again" 1 cat $root/zones.cpus.web/cpuset.cpus.effective

title "No more than there are"
ok "another" bash -c "zonecfg -z more 'create; set brand=sparse; add dedicated-cpu; set ncpus=1; end' && zoneadm -z more install"
has "verify" 'WARNING.*wants 1 of the host.s CPUs for the zone alone, and there are 0' zoneadm -z more verify
no "boot" 'wants 1 of the host.s CPUs' zoneadm -z more boot
ok "halt" zoneadm -z web halt
is "the host has both" 0-1 cat $root/cpuset.cpus.effective
ok "by its number" zonecfg -z more 'remove dedicated-cpu; add dedicated-cpu; set cpus=1; end'
ok "the other can have it" zoneadm -z more boot
is "its CPU" 1 cat $root/zones.cpus.more/cpuset.cpus.effective
ok "not any more" bash -c "zonecfg -z more 'remove dedicated-cpu' && zoneadm -z more reboot"
is "it shares" 0-1 sh -c "cat $root/zones*/*more*/zone/cpuset.cpus.effective"

title "The end"
for zone in web more; do
    ok "halt $zone" sh -c "zoneadm -z $zone halt || true"
    ok "uninstall $zone" zoneadm -z $zone uninstall -F
    ok "delete $zone" zonecfg -z $zone delete -F
done
nothing_left
the_end
