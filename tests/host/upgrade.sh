#!/bin/bash
# Installs the package as a new administrator does, exchanges it for a newer and for an older one while zones run, and takes it away.
#
#   upgrade.sh PROGRAMS ARCHIVE
#
# ARCHIVE is a root with systemd; beside it are the packages, of which one has a higher version. They are installed on the host, so this
# belongs into a virtual machine that is thrown away.
set -u
. "$(dirname "$0")/common.sh"
here=$PWD
old=$(ls "$here"/zones_0*.deb) new=$(ls "$here"/zones_9*.deb) archive=$here/$2
export DEBIAN_FRONTEND=noninteractive
apt() { apt-get -y -q --allow-downgrades "$@"; }
version() { dpkg-query -W -f '${Version}' zones; }
zones="web count guest"
said() { tr -d '\r' < /tmp/console | grep -ao '^tick [0-9]*$' | tail -1 | cut -d' ' -f2; }
goes_on() { # NUMBER: the client of the console gets higher ones
    local left=60 now
    while now=$(said); [ "${now:-0}" -le "$1" ]; do
        left=$((left - 1)); [ "$left" -gt 0 ] || { echo "still at $now"; return 1; }
        sleep 1
    done
    echo "$now"
}
# Numbers from this one on that are not the one before and one.
gaps() { tr -d '\r' < /tmp/console | grep -ao '^tick [0-9]*$' | awk -v from="$1" '$2 > from && $2 != last + 1 {print last, $2} {last = $2}'; }
leader() { machinectl show "$1" -p Leader --value 2>/dev/null || echo none; }
known() { machinectl list --no-legend | awk '{print $1, $2, $3}' | sort | tr '\n' ';'; }
of_the_guest() { machinectl show guest -p "$1" --value; }
# What a getty says that machined has the guest start.
login() {
    local said
    exec 4< <(exec socat -u 'EXEC:machinectl login guest,pty,ctty,setsid,raw,echo=0' -)
    while read -r -t 60 -d: said <&4 && [[ $said != *login ]]; do :; done
    kill "$!"
    echo "${said##*$'\n'}:"
}
of() { for zone in $zones; do echo "$zone $(field "$zone" "$1")"; done; }
daemons() { for zone in $zones; do daemon "$zone"; done; }
# exchanged VERSION COMMAND...: a package takes the place of another while zones run
exchanged() {
    local wanted=$1 before pids keepers; shift
    before=$(of '|.uniqid + " " + (.pid | tostring)') pids=$(daemons) keepers=$(of .zsched.pid)
    goes_on 0 > /dev/null; at=$(said)
    ok "$*" "$@"
    is "the version" "$wanted" version
    is "every zone is the same incarnation, with the same first process" "$before" of '|.uniqid + " " + (.pid | tostring)'
    is "and the same zsched" "$keepers" of .zsched.pid
    is "no daemon is the one that was" "" sh -c "for pid in $(echo $pids); do ps -o pid=,comm= \$pid | grep zoneadmd; done"
    is "one that boots with the host and was halted stays so" installed state idle
    for zone in $zones; do
        is "the daemon of $zone is the program that is installed now" /usr/libexec/zones/zoneadmd readlink "/proc/$(daemon "$zone")/exe"
        is "its unit" active systemctl is-active "zone@$zone"
        ok "machined knows it" until_is 20 "$(field "$zone" .pid)" leader "$zone"
        is "it takes commands" here zlogin "$zone" echo here
    done
    ok "the client of the console gets what is said from now on" goes_on "$at"
    is "it has missed nothing" "" gaps "$at"
    ok "it is the same process" kill -0 "$client"
    is "failed units" "" systemctl list-units --failed --no-legend --plain 'zone*'
}

the_host

title "The package"
ok "apt install" apt install "$old"
is "its version" "$(dpkg-deb -f "$old" Version)" version
is "what is modified" "" dpkg --verify zones
is "the target" "enabled active" sh -c 'echo $(systemctl is-enabled zones.target) $(systemctl is-active zones.target)'
for file in /usr/share/bash-completion/completions/zoneadm /usr/share/zsh/vendor-completions/_zoneadm \
    /usr/share/fish/vendor_completions.d/zoneadm.fish /usr/share/ansible/collections/ansible_collections/zones/linux/plugins/modules/zone.py /usr/lib/systemd/system/zone@.service /etc/init.d/zones \
    /usr/share/man/man5/zones.toml.5.gz /usr/share/man/man7/zones.7.gz; do
    ok "$file" sh -c "dpkg -L zones | grep -qxF $file"
done
ok "systemd understands the units" systemd-analyze verify --man=no zones.target zones.service zone@web.service

title "Three zones"
ok "web" sh -c 'zonecfg -z web "create; set autoboot=true" && zoneadm -z web install'
ok "count" sh -c 'zonecfg -z count "create" && zoneadm -z count install'
ip link add br0 type bridge && ip address add 198.51.100.1/24 dev br0 && ip link set br0 up
ok "guest" sh -c "zonecfg -z guest 'create; set brand=linux; set depends=web; add net; set physical=eth0; set global-nic=br0;
    set address=198.51.100.7/24; set link-protection=none; end' && zoneadm -z guest install -a $archive"
ok "a key for its root" sh -c "mkdir -p -m 700 /root/.ssh && ssh-keygen -q -t ed25519 -N '' -f /root/.ssh/id_ed25519 &&
    zonecfg -z guest 'add credential; set name=ssh.authorized_keys.root; set source=/root/.ssh/id_ed25519.pub; end'"
mkdir -p /var/lib/zones/guest/root/var/log/journal
ok "one that boots with the host, and is halted" sh -c 'zonecfg -z idle "create; set autoboot=true" && zoneadm -z idle install'
ok "a user of web's" sh -c 'useradd -m ada && zonecfg -z web "add admin; set user=ada; set auths=login; end"'
systemctl daemon-reload
ok "by systemd" systemctl start zone@web zone@guest
ok "by hand" zoneadm -z count boot
ok "its unit" until_is 20 active systemctl is-active zone@count
ok "the bus of the guest is there" until_is 120 yes sh -c "zlogin guest test -S /run/dbus/system_bus_socket && echo yes"
sleep 100000 | socat - "EXEC:zlogin -C count,pty,ctty,setsid,raw,echo=0" > /tmp/console & socat=$!
zlogin count 'i=0; while :; do i=$((i + 1)); echo tick $i > /dev/console; sleep 0.05; done' > /dev/null 2>&1 < /dev/null &
ok "somebody counts at the console" goes_on 3
client=$(pgrep -f '^zlogin -C count$' | head -1)
[ -z "$(gaps 1)" ] || cat -v /tmp/console | head -20

title "What machined knows"
ok "the three" until_is 30 "count container zones;guest container zones;web container zones;" known
is "the first process" "$(field guest .pid)" of_the_guest Leader
is "the uuid" "$(field guest .uuid | tr -d -)" of_the_guest Id
is "the root" /var/lib/zones/guest/root of_the_guest RootDirectory
is "the unit" zone@guest.service of_the_guest Unit
has "the link" '^ai 1 [0-9]+$' busctl get-property org.freedesktop.machine1 /org/freedesktop/machine1/machine/guest \
    org.freedesktop.machine1.Machine NetworkInterfaces
has "status" 'OS: Debian GNU/Linux 12' machinectl status --no-pager guest
is "ps of all that it has" guest sh -c "ps -o machine= -p $(zoneadm -z guest ps --json | jq -r '.[].pid' | paste -sd,) | tr -d ' ' | sort -u"
is "ps of what is the host's" - sh -c "ps -o machine= -p $$ | tr -d ' '"
is "its name" 198.51.100.7 sh -c "getent ahostsv4 guest | awk 'NR == 1 {print \$1}'"
ok "is pinged" ping -c1 -W5 -q guest
ok "a server for ssh in it" zlogin guest sh -c 'mkdir -p /etc/dropbear && dropbear -R'
is "is entered by ssh" "inside guest" ssh -o BatchMode=yes -o StrictHostKeyChecking=no -o LogLevel=ERROR guest 'echo inside $(uname -n)'
is "a shell by its own systemd" "inside guest" sh -c 'machinectl -q shell guest /bin/sh -c "echo inside; hostname" | tr -d "\r" | paste -sd" "'
has "a login" 'login:$' login
finds "its journal" 'Started|Reached target' journalctl -M guest --no-pager -n 200
has "its units" multi-user.target systemctl -M guest list-units --all --no-pager --no-legend multi-user.target

title "Upgrade"
runuser -u ada -- zlogin web sleep 100000 > /dev/null 2>&1 < /dev/null &
ok "a session of who is not root" until_is 30 yes sh -c 'zlogin web pgrep -x sleep > /dev/null && echo yes'
served=$(systemctl show -P MainPID zone-access.service)
is "is served by" /usr/libexec/zones/zone-access readlink "/proc/$served/exe"
exchanged "$(dpkg-deb -f "$new" Version)" apt install "$new"
no "users are served by no program that was" '' kill -0 "$served"
ok "their sessions go on" zlogin web pgrep -x sleep
is "the next is served" 0 runuser -u ada -- zlogin web id -u
for zone in $zones; do
    has "the zsched of $zone is the program that was" '\(deleted\)$' readlink "/proc/$(field "$zone" .zsched.pid)/exe"
done
ok "a reboot after it" sh -c 'zoneadm -z web reboot'
ok "machined knows the other first process" until_is 20 "$(field web .pid)" leader web
is "its unit" active systemctl is-active zone@web
title "Downgrade"
exchanged "$(dpkg-deb -f "$old" Version)" apt install "$old"
title "The same again"
exchanged "$(dpkg-deb -f "$old" Version)" apt install --reinstall "$old"

title "Removal"
kill "$socat"
no "with nobody to answer" 'still running: .*web' apt remove zones
for zone in $zones; do is "$zone" running state "$zone"; done
is "it boots none that was halted" installed state idle
is "the target" active systemctl is-active zones.target
ok "uninstall idle" zoneadm -z idle uninstall -F
ok "delete idle" zonecfg -z idle delete -F
echo 'zones zones/removal select shut down' | debconf-set-selections
uniqid=$(field guest .uniqid)
ok "with an answer" apt remove zones
ok "machined knows none" until_is 20 "" known
finds "the guest was shut down in order" 'Reached target.*(shutdown|poweroff)\.target' sh -c 'cat /var/log/zones/guest.console.log'
is "no zone runs" "" sh -c 'cat $(find /sys/fs/cgroup/zones* -name cgroup.procs) 2>/dev/null'
is "no program is left" "" sh -c 'ls /usr/sbin/zone* /usr/libexec/zones 2>/dev/null'
is "and none runs" "" sh -c "ps -eo comm= | grep -E '^(zone|zsched|zinit|zlogin)' | grep -v zones-vm"
has "purge says where the zones are" 'web: /var/lib/zones/web' apt purge zones
ok "and keeps them" test -d /var/lib/zones/guest/root/etc -a -s /etc/zones/web.toml
ok "installed again, they are there" apt install "$new"
is "guest" installed state guest
ok "and the one that boots with the host does" until_is 60 running state web
ok "removed with a halt" sh -c "echo 'zones zones/removal select halt' | debconf-set-selections && DEBIAN_FRONTEND=noninteractive apt-get -y -q remove zones"
ok "installed once more" apt install "$new"
ok "it has booted again" until_is 60 running state web
no "the answer was for the removal that it was given for" 'still running: .*web' apt remove zones
is "web" running state web
ok "halt" zoneadm -z web halt
for zone in $zones; do
    ok "uninstall $zone" zoneadm -z "$zone" uninstall -F
    ok "delete $zone" zonecfg -z "$zone" delete -F
done
ok "purge without zones" apt purge zones
is "nothing is left of it" "" sh -c 'ls -d /etc/zones /var/lib/zones /var/log/zones /usr/libexec/zones /etc/init.d/zones 2>/dev/null'
ip link del br0
no_units
nothing_left
the_end
