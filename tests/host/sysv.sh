#!/bin/bash
# Has a host without systemd boot zones and take them down, by the script of the package.
#
#   sysv.sh PROGRAMS ARCHIVE
#
# ARCHIVE is a Debian with sysvinit, beside which the packages are; it becomes the root of mount and PID namespaces, in which this script
# runs again, with the host's kernel. Belongs into a virtual machine that is thrown away.
set -u
. "$(dirname "$0")/common.sh"
if [ -z "${INSIDE:-}" ]; then
    root=/var/tmp/sysv
    mkdir -p "$root/old" && tar -C "$root" -xf "$2"
    cp "$(ls zones_9*.deb)" host/common.sh host/sysv.sh "$root/root/"
    export root INSIDE=yes
    exec unshare --mount --pid --fork --kill-child bash -c '
        mount --make-rprivate / && mount --bind "$root" "$root" && cd "$root"
        for dir in proc run tmp; do mount -t "${dir/#[rt]*/tmpfs}" none "$dir"; done
        mount --rbind /sys sys && mount --rbind /dev dev && pivot_root . old && cd / && umount -l old
        exec bash /root/sysv.sh'
fi
cd /root
export PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive
state() { zoneadm list -cp | awk -F: -v zone="$1" '$2 == zone {print $3}'; }

title "The installation"
is "there is no systemd" "" sh -c 'ls -d /run/systemd/system 2>/dev/null'
ok "dpkg -i" dpkg -i ./zones_9*.deb
has "runlevel 2 has it" 'S[0-9]+zones' ls /etc/rc2.d
has "a host that goes down stops zones before it kills what is left" '^sendsigs:.* zones' cat /etc/init.d/.depend.stop

title "Zones that boot with the host"
for line in "base" "first boot-priority=high" "db" "web depends=db" "late boot-priority=low" "bad init=/sbin/nope"; do
    set -- $line
    ok "$1" sh -c "zonecfg -z $1 'create; set autoboot=true${2:+; set $2}' && zoneadm -z $1 install"
done
ok "first depends on one of normal priority" zonecfg -z first 'set depends=base'
ok "hand" sh -c 'zonecfg -z hand create && zoneadm -z hand install'
no "service zones start" "zone 'bad' has not booted" service zones start
for zone in base first db web late; do is "$zone" running state "$zone"; done
is "hand" installed state hand
ok "boot by hand" zoneadm -z hand boot
# With what tells an incarnation from the next.
up=$(zoneadm list -p)
ok "six are up" test "$(wc -l <<<"$up")" -eq 7
ok "users who are not root are served" until_is 20 666 stat -c %a /run/zone-access
another() { # PID: whether a zone-access runs that is not this one
    local now; now=$(cat /run/zone-access.pid) && test "$now" != "$1" && kill -0 "$now" && echo yes
}
served=$(cat /run/zone-access.pid)
service zones restart > /dev/null 2>&1
is "a restart is nothing to them" "$up" zoneadm list -p
ok "but another zone-access to users" until_is 20 yes another "$served"
served=$(cat /run/zone-access.pid)
# As init has it, and invoke-rc.d asks.
echo 2 > /run/runlevel
ok "upgrade" dpkg -i ./zones_9*.deb
is "nor is an upgrade" "$up" zoneadm list -p
ok "users are served by another zone-access" until_is 20 yes another "$served"
ok "which is there" until_is 20 /usr/libexec/zones/zone-access sh -c 'readlink "/proc/$(cat /run/zone-access.pid)/exe"'
ok "status" service zones status

title "The host goes down"
ok "as /etc/rc0.d does it" /etc/rc0.d/K*zones stop
for zone in base first db web late hand; do is "$zone" installed state "$zone"; done
order() { # ZONE ZONE: what the first's console says last is older
    local first second
    first=$(stat -c %.9Y "/var/log/zones/$1.console.log") second=$(stat -c %.9Y "/var/log/zones/$2.console.log")
    echo "$first $second"; awk -v a="$first" -v b="$second" 'BEGIN {exit !(a <= b)}'
}
ok "late before web" order late web
ok "web before db" order web db
ok "db before first" order db first
ok "first before base" order first base
ok "nobody serves users" test ! -e /run/zone-access.pid

title "Removal"
ok "service zones start" sh -c 'service zones start || true'
is "web" running state web
no "with nobody to answer" 'still running: ' dpkg --remove zones
is "web" running state web
ok "the zones go down" service zones stop
ok "zone-access by itself" sh -c 'start-stop-daemon --start --background --make-pidfile --pidfile /run/zone-access.pid --exec /usr/libexec/zones/zone-access'
ok "remove" dpkg --remove zones
ok "takes it away" test ! -e /run/zone-access.pid
has "purge says where they are" 'web: /var/lib/zones/web' dpkg --purge zones
is "nothing starts it any more" "" sh -c 'ls /etc/rc?.d | grep zones'
the_end
