# Runs User-Mode Linux below $1, a root with what that program needs, with the machine's folder $2, the images' folder $3
# and a folder for its memory $4; what follows is its command line. In namespaces of its own, so nothing is left of it.
set -eu
root=$1 machine=$2 images=$3 memory=$4; shift 4
mount --rbind /dev "$root/dev"
mount -t proc proc "$root/proc"
mount --bind "$machine" "$root/machine"
mount --bind "$images" "$root/images"
mount --bind "$memory" "$root/memory"
# What is loaded before it is a file that only the root in there has.
mkdir -p "$root/etc"
mount -t tmpfs tmpfs "$root/etc"
echo /machine/ptrace.so > "$root/etc/ld.so.preload"
TMPDIR=/memory exec chroot "$root" /usr/bin/linux.uml "$@"
