//! Files of a new sparse zone that are written, not copied.

use super::Builder;
use crate::error::Error;

/// The zone's own `reboot` and so on come first, unless systemd is its init: then the host's do the work.
const PROFILE: &str = "\
# /etc/profile: for login shells in this zone.
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
[ -d /run/systemd/system ] || PATH=/native/sbin:$PATH
export PATH

if [ \"${PS1-}\" ]; then
  if [ -n \"${BASH-}\" ] && [ \"$BASH\" != /bin/sh ]; then
    [ -r /etc/bash.bashrc ] && . /etc/bash.bashrc
  elif [ \"$(id -u)\" -eq 0 ]; then
    PS1='# '
  else
    PS1='$ '
  fi
fi

for profile in /etc/profile.d/*.sh; do
  [ -r \"$profile\" ] && . \"$profile\"
done
unset profile
";

const NSSWITCH: &str = "\
passwd:         files systemd
group:          files systemd
shadow:         files systemd
gshadow:        files systemd
hosts:          files myhostname dns
networks:       files
protocols:      files
services:       files
ethers:         files
rpc:            files
";

const HOSTS: &str = "\
127.0.0.1       localhost
::1             localhost ip6-localhost ip6-loopback
ff02::1         ip6-allnodes
ff02::2         ip6-allrouters
";

/// Units of the host's systemd that look after the machine, which is not the zone's to look after. Those that
/// know that they are in a container, and skip themselves, are not listed.
const MASKED: [&str; 12] = [
    "dev-hugepages.mount",
    "proc-sys-fs-binfmt_misc.automount",
    "sys-fs-fuse-connections.mount",
    "sys-kernel-config.mount",
    "sys-kernel-debug.mount",
    "sys-kernel-tracing.mount",
    "systemd-firstboot.service",
    "systemd-modules-load.service",
    "systemd-remount-fs.service",
    "systemd-repart.service",
    "systemd-udevd.service",
    "packagekit-offline-update.service",
];

/// Writes the files of this module into the root that is being made.
pub(super) fn make(builder: &mut Builder<'_>, hostname: &str) -> Result<(), Error> {
    builder.file("etc/hostname", 0o644, format!("{hostname}\n").as_bytes())?;
    builder.file("etc/hosts", 0o644, format!("{HOSTS}127.0.1.1       {hostname}\n").as_bytes())?;
    builder.file("etc/nsswitch.conf", 0o644, NSSWITCH.as_bytes())?;
    builder.file("etc/profile", 0o644, PROFILE.as_bytes())?;
    builder.file("etc/fstab", 0o644, b"# File systems of a zone are set with zonecfg: add fs.\n")?;
    builder.file("etc/motd", 0o644, b"")?;
    // Empty and not missing: then the first boot sets it and does not ask its questions (machine-id(5)).
    builder.file("etc/machine-id", 0o444, b"")?;
    builder.link("var/lib/dbus/machine-id", "/etc/machine-id")?;
    builder.file("etc/subuid", 0o644, b"")?;
    builder.file("etc/subgid", 0o644, b"")?;
    builder.link("etc/systemd/system/default.target", "/usr/lib/systemd/system/multi-user.target")?;
    for unit in MASKED {
        builder.link(format!("etc/systemd/system/{unit}"), "/dev/null")?;
    }
    Ok(())
}
