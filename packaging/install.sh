#!/bin/sh
# Installs the programs, their units and, where they are there, pages and completions.
#
#   install.sh [--prefix PREFIX] [DESTDIR]
#
# Stands in the folder that it installs from: bin, systemd, man, completions. Everything goes below PREFIX, which is /usr unless it is
# given, but for what init systems find in their own places alone. With DESTDIR everything goes below it, for a package; without, systemd
# is told, and from then on boots the zones that boot with the host.
set -eu
prefix=/usr
while [ $# -gt 0 ]; do
    case $1 in
    --prefix) prefix=${2:?"--prefix needs a folder"}; shift 2 ;;
    --prefix=*) prefix=${1#*=}; shift ;;
    -*) echo "usage: install.sh [--prefix PREFIX] [DESTDIR]" >&2; exit 2 ;;
    *) break ;;
    esac
done
[ $# -le 1 ] || { echo "usage: install.sh [--prefix PREFIX] [DESTDIR]" >&2; exit 2; }
destination=${1:-}
from=$(cd "$(dirname "$0")" && pwd)
case $prefix in /*) ;; *) echo "install.sh: $prefix is not an absolute path" >&2; exit 2 ;; esac

put() { # MODE FOLDER FILE...
    mode=$1 folder=$destination$2; shift 2
    for file; do
        [ -e "$file" ] || continue
        mkdir -p "$folder"
        # By another name first: a program that runs is replaced, never written to.
        case $file in
        # What names a program names the one below the prefix.
        */systemd/* | */init/*) sed "s,/usr/libexec/zones,$prefix/libexec/zones,; s,/usr/sbin/,$prefix/sbin/," "$file" > "$folder/.new" ;;
        *) cp "$file" "$folder/.new" ;;
        esac
        chmod "$mode" "$folder/.new"
        mv -f "$folder/.new" "$folder/${file##*/}"
    done
}

put 755 "$prefix/sbin" "$from/bin/zoneadm" "$from/bin/zonecfg"
put 755 "$prefix/bin" "$from/bin/zlogin" "$from/bin/zonename"
put 755 "$prefix/libexec/zones" "$from/bin/zoneadmd" "$from/bin/zsched" "$from/bin/zinit" "$from/bin/zone-access" "$from/bin/zones-host"
put 755 "$prefix/lib/systemd/system-generators" "$from/bin/zone-generator"
put 644 "$prefix/lib/systemd/system" "$from"/systemd/*
put 644 "$prefix/share/bash-completion/completions" "$from"/completions/bash/*
put 644 "$prefix/share/zsh/vendor-completions" "$from"/completions/zsh/*
put 644 "$prefix/share/fish/vendor_completions.d" "$from"/completions/fish/*
[ -n "$destination" ] && exit 0 # pages are compressed, and scripts of init systems known, by the package's own tools
for section in 1 5 7 8; do put 644 "$prefix/share/man/man$section" "$from"/man/*."$section"; done

# Whose members may see all zones.
getent group zones >/dev/null || groupadd --system zones
if [ -d /run/systemd/system ]; then
    systemctl daemon-reload
    systemctl enable --now zones.target zone-access.socket
elif [ -x /sbin/openrc-run ]; then
    put 755 /etc/init.d "$from/init/openrc/zones"
    rc-update add zones default
elif [ -d /etc/init.d ]; then
    put 755 /etc/init.d "$from/init/sysv/zones"
    if command -v update-rc.d > /dev/null; then update-rc.d zones defaults; fi
fi
