#!/bin/bash
# Mounts in zones what a development machine's kernel has no type for: a CD, and a directory of a server.
#
#   fs.sh PROGRAMS
#
# PROGRAMS is the folder of the programs. The server is the host's own kernel, so this belongs into a virtual machine that is thrown
# away. Needs jq, genisoimage, and Debian's nfs-kernel-server. Ends with the count; each failure is printed where it stands.
set -u
. "$(dirname "$0")/common.sh"
PATH=$1:$PATH
phase() { zoneadm -z web list -p | cut -d: -f3; }
fstype() { zlogin web stat -f -c %T "$1"; }

the_host

title "A CD"
mkdir -p -m 700 /srv/web
mkdir -p /tmp/cd/more
echo words > /tmp/cd/file; cp /usr/bin/id /tmp/cd/more/id; chmod 4755 /tmp/cd/more/id; chown 1000:1000 /tmp/cd/file
ok "an image of one" genisoimage -quiet -R -o /srv/web/cd.iso /tmp/cd
ok create zonecfg -z web 'create; set brand=sparse; add fs; set dir=/cd; set special=/srv/web/cd.iso; set type=iso9660; end'
ok install zoneadm -z web install
ok boot zoneadm -z web boot
is "its type" isofs fstype /cd
is "its files" words zlogin web cat /cd/file
is "all of them are the zone's root's" '0:0 0:0 0:0' zlogin web sh -c 'echo $(stat -c %u:%g /cd /cd/file /cd/more/id)'
no "nothing can be written" 'Read-only' zlogin web touch /cd/new
no "nor mounted anew" '' zlogin web sh -c 'mount -o remount,rw /cd || { echo refused >&2; exit 1; }'
has "without devices" ' /cd iso9660 ro,nodev' zlogin web cat /proc/mounts
ok "another zone has it, too" bash -c 'zonecfg -z other "create; set brand=sparse; add fs; set dir=/mnt/cd; set special=/srv/web/cd.iso; set type=iso9660; end"
    zoneadm -z other install && zoneadm -z other boot'
is "the same" words zlogin other cat /mnt/cd/file
ok "it is no more to be had" bash -c 'zoneadm -z other halt; zoneadm -z other uninstall -F; zonecfg -z other delete -F'
ok "nor here" bash -c 'zonecfg -z web "remove fs dir=/cd" && zoneadm -z web apply'
ok "no loop device is left" until_is 20 '' losetup -a

title "Images of other types"
# TYPE SIZE WHAT-STAT-SAYS MAKER...: an image of a type that the kernel has comes and goes while the zone runs.
image() {
    local type=$1 size=$2 called=$3; shift 3
    modprobe -q "$type"; grep -qw "$type" /proc/filesystems || { skip "$type: this kernel has none"; return; }
    truncate -s "$size" "/srv/web/$type.img"
    ok "$type: an image" "$@" "/srv/web/$type.img"
    ok "$type: it is given" bash -c "zonecfg -z web 'add fs; set dir=/img; set special=/srv/web/$type.img; set type=$type; end' && zoneadm -z web apply"
    is "$type: its type" "$called" fstype /img
    ok "$type: the zone writes" zlogin web sh -c 'echo words > /img/file && grep -q words /img/file'
    ok "$type: it goes" bash -c "zonecfg -z web 'remove fs dir=/img' && zoneadm -z web apply"
}
image vfat 40M msdos mkfs.vfat
image xfs 320M xfs mkfs.xfs -q
image btrfs 128M btrfs mkfs.btrfs -q
ok "no loop device is left" until_is 20 '' losetup -a

title "A directory of a server"
mkdir -p /srv/export/open; chmod 1777 /srv/export/open; echo served > /srv/export/file; echo own > /srv/export/secret; chmod 600 /srv/export/secret
no "the owners are the server's" 'for type nfs allowed: host' zonecfg -z web 'add fs; set dir=/net; set special=nas:/srv/export; set type=nfs; end'
no "what is no option" 'option "sec=krb5" is not one of nfs' zonecfg -z web 'add fs; set dir=/net; set special=nas:/srv/export; set type=nfs; set owners=host; add options "sec=krb5"; end'
ok "configured" zonecfg -z web 'add fs; set dir=/net; set special=nas:/srv/export; set type=nfs; set owners=host; end'
no "nobody knows the server" 'the server nas has no address that this host knows' zoneadm -z web apply
echo '127.0.0.1 nas' >> /etc/hosts
no "it does not serve" 'the server nas does not answer on port 2049' zoneadm -z web apply
no "nor is it booted so" 'the server nas does not answer on port 2049' zoneadm -z web verify
modprobe nfsd; mountpoint -q /proc/fs/nfsd || mount -t nfsd nfsd /proc/fs/nfsd
ok "it serves" bash -c 'exportfs -o rw,insecure,no_subtree_check,fsid=0 127.0.0.1:/srv/export && rpc.nfsd -N 3 -G 10 -L 10 2 && rpc.mountd -N 3'
# The root of what it exports is /.
ok "configured by what it exports" zonecfg -z web 'select fs dir=/net; set special=nas:/; end'
ok apply zoneadm -z web apply
is "its type" nfs fstype /net
is "its files" served zlogin web cat /net/file
no "what only root may read is root's" 'Permission denied' zlogin web cat /net/secret
base=$(awk -F: '$1 == "web" {print $2}' /etc/zones/idmap)
ok "the zone writes" zlogin web sh -c 'echo new > /net/open/new'
is "as who it is on the host" "$base" stat -c %u /srv/export/open/new
is "nothing of it is on the host" 0 sh -c 'grep -c " nfs4 " /proc/self/mountinfo'
ok "it comes with a boot" zoneadm -z web reboot
is "the same" new zlogin web cat /net/open/new
has "by version 4.2, without devices" ' /net nfs4 rw,nodev.*vers=4.2' zlogin web cat /proc/mounts
ok "it can be had to be read only" zonecfg -z web 'select fs dir=/net; add options ro; add options "vers=4.1"; end'
ok reboot zoneadm -z web reboot
no "it is" 'Read-only' zlogin web touch /net/open/more
has "by the version that was asked for" ' /net nfs4 ro,.*vers=4.1' zlogin web cat /proc/mounts

title "A server that goes away"
ok "it can be written again" zonecfg -z web 'select fs dir=/net; remove options ro; end'
ok reboot zoneadm -z web reboot
zlogin web sh -c 'exec 3> /net/open/log; while echo more >&3; do :; done' &
ok "somebody writes" until_is 20 yes sh -c '[ -s /srv/export/open/log ] && echo yes'
ok "the server is let go" rpc.nfsd 0
zlogin web ls -l /net/open > /dev/null 2>&1 &
zlogin web sh -c 'echo late > /net/open/late; sync' > /dev/null 2>&1 &
ok "who uses it waits" until_is 30 yes sh -c 'grep -qs "^State:.D" /proc/[0-9]*/status && echo yes'
# Who wrote cannot be killed: the kernel waits for the server, and so does the halt, for as long as it may.
echo 3 > /run/zones/patience
no "a halt says who cannot be ended" 'cannot be killed: it waits in the kernel' timeout 100 zoneadm -z web halt
is "the zone is not said to be halted" shutting_down phase
shutdown=$(ls -d /sys/fs/nfs/[0-9]*/shutdown 2>/dev/null | head -1)
if [ -n "$shutdown" ]; then
    has "a forced one gives up what waits for it" 'WARNING: nas:/ does not answer' timeout 100 zoneadm -z web halt -F
    is "it is halted" installed phase
else
    skip "a forced halt gives up what waits for it: this kernel cannot"
    no "nor does a forced one wait for it" 'cannot be killed: it waits in the kernel' timeout 60 zoneadm -z web halt -F
    ok "the server comes back" rpc.nfsd -N 3 -G 10 -L 10 2
    ok "the zone is halted by itself" until_is 120 installed phase
fi
rm /run/zones/patience
is "no mount of it is left" "" sh -c 'ls -d /sys/fs/nfs/[0-9]* 2>/dev/null; cat /proc/[0-9]*/mountinfo 2>/dev/null | grep " nfs4 "'
is "nor anybody who waits for it" "" sh -c 'cat /sys/fs/cgroup/zones*/*/zone/cgroup.procs 2>/dev/null'
rpc.nfsd -N 3 -G 10 -L 10 2
ok boot zoneadm -z web boot
is "what was there is there" served zlogin web cat /net/file
ok halt zoneadm -z web halt
ok "the server is let go" bash -c 'rpc.nfsd 0; pkill -x rpc.mountd; exportfs -ua; umount /proc/fs/nfsd; true'

title "The end"
ok uninstall zoneadm -z web uninstall -F
ok delete zonecfg -z web delete -F
umount /var/lib/nfs/rpc_pipefs /run/rpc_pipefs 2>/dev/null
nothing_left
the_end
