#!/bin/sh
# Installs the programs, their units and, where they are there, pages and completions.
#
#   install.sh [DESTDIR]
#
# Stands in the folder that it installs from: bin, systemd, zones-host, man, completions. With DESTDIR everything goes below it,
# for a package; without, systemd is told, and from then on boots the zones that boot with the host.
set -eu
destination=${1:-}
from=$(cd "$(dirname "$0")" && pwd)

put() { # MODE FOLDER FILE...
    mode=$1 folder=$destination$2; shift 2
    for file; do
        [ -e "$file" ] || continue
        mkdir -p "$folder"
        # By another name first: a program that runs is replaced, never written to.
        cp "$file" "$folder/.new"
        chmod "$mode" "$folder/.new"
        mv -f "$folder/.new" "$folder/${file##*/}"
    done
}

put 755 /usr/sbin "$from/bin/zoneadm" "$from/bin/zonecfg"
put 755 /usr/bin "$from/bin/zlogin" "$from/bin/zonename"
put 755 /usr/libexec/zones "$from/bin/zoneadmd" "$from/bin/zsched" "$from/bin/zinit" "$from/zones-host"
put 755 /usr/lib/systemd/system-generators "$from/bin/zone-generator"
put 644 /usr/lib/systemd/system "$from"/systemd/*
put 644 /usr/share/bash-completion/completions "$from"/completions/bash/*
put 644 /usr/share/zsh/vendor-completions "$from"/completions/zsh/*
put 644 /usr/share/fish/vendor_completions.d "$from"/completions/fish/*
[ -n "$destination" ] && exit 0 # pages are compressed by the package's own tools
for section in 1 5 7 8; do put 644 "/usr/share/man/man$section" "$from"/man/*."$section"; done

if [ -d /run/systemd/system ]; then
    systemctl daemon-reload
    systemctl enable --now zones.target
fi
