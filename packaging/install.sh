#!/bin/sh
# Installs the programs, their units and, where they are there, pages, completions and a file of settings; or takes them away.
#
#   install.sh [--uninstall] [--prefix PREFIX] [DESTDIR]
#
# Stands in the folder that it installs from: bin, systemd, man, completions, ansible, zones.toml. Everything goes below PREFIX, which is /usr unless it is
# given, but for what init systems find in their own places alone. With DESTDIR everything goes below it, for a package; without, systemd
# is told, and from then on boots the zones that boot with the host. With --uninstall what it has installed by the same words goes again,
# and nothing of the zones: while one is up it refuses, for without the programs nobody could log in to a zone or halt it.
set -eu
usage="usage: install.sh [--uninstall] [--prefix PREFIX] [DESTDIR]"
prefix=/usr act=put
while [ $# -gt 0 ]; do
    case $1 in
    --prefix) [ $# -ge 2 ] || { echo "$usage" >&2; exit 2; }; prefix=$2; shift 2 ;;
    --prefix=*) prefix=${1#*=}; shift ;;
    --uninstall) act=take; shift ;;
    -*) echo "$usage" >&2; exit 2 ;;
    *) break ;;
    esac
done
[ $# -le 1 ] || { echo "$usage" >&2; exit 2; }
destination=${1:-}
from=$(cd "$(dirname "$0")" && pwd)
case $prefix in /*) ;; *) echo "install.sh: $prefix is not an absolute path" >&2; exit 2 ;; esac
# systemd looks below these two, and in the administrator's place.
case $prefix in /usr | /usr/local) units=$prefix/lib/systemd ;; *) units=/etc/systemd ;; esac

# The folders that were not there before, which go when this is taken away; a package's own tools know them by themselves.
record=$prefix/libexec/zones/.folders made=

make() { # FOLDER: and those that it is in
    if [ -z "$1" ] || [ -d "$1" ]; then return; fi
    case $1 in */*) make "${1%/*}" ;; esac
    mkdir "$1"
    made="$made$1
"
}

put() { # MODE FOLDER FILE...
    mode=$1 folder=$destination$2; shift 2
    for file; do
        [ -e "$file" ] || continue
        make "$folder"
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

take() { # MODE FOLDER FILE...: where nobody has recorded them, the folders that are empty then go, too, as far as they are below the prefix
    folder=$destination$2; shift 2
    for file; do
        [ -e "$file" ] || continue
        rm -f "$folder/${file##*/}"
    done
    [ -z "$destination" ] && [ -e "$record" ] && return
    while case $folder in "$destination$prefix"/*) ;; *) false ;; esac && rmdir "$folder" 2> /dev/null; do
        folder=${folder%/*}
    done
}

if [ "$act" = take ] && [ -z "$destination" ] && [ -x "$prefix/sbin/zoneadm" ]; then
    # What cannot be listed may be up all the same.
    up=$("$prefix/sbin/zoneadm" list -n) || { echo "install.sh: it cannot be told which zones are up; nothing was removed" >&2; exit 1; }
    if [ -n "$up" ]; then
        printf 'install.sh: still up: %s\ninstall.sh: shut them down first: %s\n' \
            "$(echo "$up" | tr '\n' ' ')" "$prefix/sbin/zoneadm --all shutdown" >&2
        exit 1
    fi
    if [ -d /run/systemd/system ]; then
        systemctl disable --now zones.target zone-access.socket
        systemctl stop zones.service zone-access.service
    # No zone is up: what these stop is zone-access.
    elif [ -x /sbin/openrc-run ]; then
        rc-service -q --ifstarted zones stop || true
    elif [ -x /etc/init.d/zones ]; then
        /etc/init.d/zones stop > /dev/null || true
    fi
fi

# Whose members may see all zones. Before anything is put: without it this is no installation.
if [ "$act" = put ] && [ -z "$destination" ] && ! getent group zones > /dev/null; then
    # Alpine has BusyBox' addgroup.
    if command -v groupadd > /dev/null; then groupadd --system zones; else addgroup -S zones; fi
fi

$act 755 "$prefix/sbin" "$from/bin/zoneadm" "$from/bin/zonecfg"
$act 755 "$prefix/bin" "$from/bin/zlogin" "$from/bin/zonename"
$act 755 "$prefix/libexec/zones" "$from/bin/zoneadmd" "$from/bin/zsched" "$from/bin/zinit" "$from/bin/zone-access" "$from/bin/zones-host"
$act 755 "$units/system-generators" "$from/bin/zone-generator"
$act 644 "$units/system" "$from"/systemd/*
$act 644 "$prefix/share/bash-completion/completions" "$from"/completions/bash/*
$act 644 "$prefix/share/zsh/vendor-completions" "$from"/completions/zsh/*
$act 644 "$prefix/share/fish/vendor_completions.d" "$from"/completions/fish/*
collection=$prefix/share/ansible/collections/ansible_collections/zones/linux
$act 644 "$collection" "$from"/ansible/*.*
for part in meta plugins/connection plugins/modules; do $act 644 "$collection/$part" "$from/ansible/$part"/*.*; done
# Settings are the administrator's: what is there stays, and goes again only as it came.
settings=$destination/etc/zones/zones.toml
if [ "$act" = put ] && [ ! -e "$settings" ]; then
    put 644 /etc/zones "$from/zones.toml"
elif [ "$act" = take ] && cmp -s "$from/zones.toml" "$settings"; then
    rm -f "$settings"
    rmdir "${settings%/*}" 2> /dev/null || true
fi
[ -n "$destination" ] && exit 0 # pages are compressed, and scripts of init systems known, by the package's own tools
for section in 1 5 7 8; do $act 644 "$prefix/share/man/man$section" "$from"/man/*."$section"; done

if [ "$act" = take ] && [ -e "$record" ]; then
    folders=$(sort -r "$record")
    rm -f "$record"
    echo "$folders" | while read -r folder; do rmdir "$folder" 2> /dev/null || true; done
elif [ -n "$made" ]; then
    printf %s "$made" >> "$record"
fi

if [ "$act" = take ]; then
    if [ -d /run/systemd/system ]; then
        systemctl daemon-reload
    elif [ -x /sbin/openrc-run ]; then
        rc-update -q del zones default || true
        take 755 /etc/init.d "$from/init/openrc/zones"
    elif [ -d /etc/init.d ]; then
        take 755 /etc/init.d "$from/init/sysv/zones"
        if command -v update-rc.d > /dev/null; then update-rc.d zones remove; fi
    fi
    echo "install.sh: what is the zones' own stays: /etc/zones, /var/lib/zones, their zonepaths and the group zones"
    exit 0
fi

if [ -d /run/systemd/system ]; then
    systemctl daemon-reload
    systemctl enable zones.target zone-access.socket
    for unit in zone-access.socket zones.target; do
        # One that is there, or about to be, is let be: its start would boot zones that were halted.
        case $(systemctl is-active "$unit" || true) in
        active | activating | reloading) ;;
        *) systemctl start "$unit" ;;
        esac
    done
    # Sessions go on, who calls waits at the socket, and the next call is served by what was put here.
    systemctl try-restart zone-access.service
elif [ -x /sbin/openrc-run ]; then
    put 755 /etc/init.d "$from/init/openrc/zones"
    rc-update add zones default
elif [ -d /etc/init.d ]; then
    put 755 /etc/init.d "$from/init/sysv/zones"
    if command -v update-rc.d > /dev/null; then update-rc.d zones defaults; fi
    /etc/init.d/zones try-restart || true
fi
