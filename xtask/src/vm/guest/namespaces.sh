# Boots a copy of the disk $1 on the kernel that is here, in namespaces of its own: with the machine's folder $2 and the control group $3;
# what follows is its command line. Nothing is left of it but the group.
set -eu
disk=$1 machine=$2 group=$3; shift 3
if [ "${group#/}" != "$group" ]; then
    mkdir "$group"
    echo 0 > "$group/cgroup.procs"
    # Its own group is the top of what it sees.
    exec unshare --cgroup sh "$0" "$disk" "$machine" . "$@"
fi
cp --sparse=always "$disk" "$machine/disk"
root=$machine/root
mkdir "$root"
# The file goes with its last user.
mount -o loop "$machine/disk" "$root"
rm "$machine/disk"
tar -xf "$machine/input.tar" -C "$root/root/in"
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
while read -r mode type major minor name; do
    mkdir -p "$root/dev/${name%/*}" 2>/dev/null || :
    mknod -m "$mode" "$root/dev/$name" "$type" "$major" "$minor"
done <<'END'
666 c 1 3 ./null
666 c 1 5 ./zero
666 c 1 7 ./full
666 c 1 8 ./random
666 c 1 9 ./urandom
666 c 5 0 ./tty
666 c 10 229 ./fuse
666 c 10 200 net/tun
END
ln -s /proc/self/fd "$root/dev/fd"
ln -s pts/ptmx "$root/dev/ptmx"
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,mode=620,ptmxmode=666,gid=5 devpts "$root/dev/pts"
mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
# All that is written there comes out here.
mkfifo "$machine/console"
cat <> "$machine/console" &
touch "$root/dev/console"
mount --bind "$machine/console" "$root/dev/console"
# What would change this machine, or is its own's.
masked=
for unit in auditd.service systemd-sysctl.service systemd-udevd.service systemd-udevd-control.socket systemd-udevd-kernel.socket \
    systemd-udev-trigger.service systemd-modules-load.service systemd-binfmt.service systemd-random-seed.service systemd-remount-fs.service \
    systemd-journald-audit.socket proc-sys-fs-binfmt_misc.automount systemd-timesyncd.service; do
    masked="$masked systemd.mask=$unit"
done
cd "$root"
mkdir -p mnt
pivot_root . mnt
# shellcheck disable=SC2086
exec env -i container=zones-vm PATH=/usr/sbin:/usr/bin:/sbin:/bin chroot . sh -c \
    'umount -l /mnt; exec /lib/systemd/systemd "$@" < /dev/null > /dev/null 2>&1' systemd "$@" $masked
