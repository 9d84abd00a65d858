//! What the tests need of the machine, installed from the distribution's packages when it is missing.

use crate::{say, sh};
use anyhow::{Result, bail};
use std::process::Command;

/// A program and the Debian package that has it.
pub(crate) struct Need {
    /// The program.
    pub(crate) program: &'static str,
    /// The package.
    pub(crate) package: &'static str,
    /// What it is needed for.
    pub(crate) reason: &'static str,
}

/// Makes a row.
pub(crate) const fn need(program: &'static str, package: &'static str, reason: &'static str) -> Need {
    Need { program, package, reason }
}

/// What the zones suite needs.
pub(crate) const SUITE: [Need; 26] = [
    need("unshare", "util-linux", "private namespaces for the suite"),
    need("busybox", "busybox-static", "the smallest root file systems"),
    need("tar", "tar", "archives to install from"),
    need("gzip", "gzip", "archives to install from"),
    need("xz", "xz-utils", "archives to install from"),
    need("zstd", "zstd", "archives to install from"),
    need("debootstrap", "debootstrap", "zoneadm install --debootstrap"),
    need("setfattr", "attr", "extended attributes in archives"),
    need("socat", "socat", "a client of the console that knows nothing of it"),
    need("asciinema", "asciinema", "the player of what zlogin records"),
    need("strace", "strace", "the order of what is written, for the loss of power"),
    need("lxcfs", "lxcfs", "what zones see of their limits"),
    need("mkfs.ext4", "e2fsprogs", "disks that fill up or stand still"),
    need("mount", "mount", "disks that fill up or stand still"),
    need("ip", "iproute2", "the networks that tests make, and the look for what is left of them"),
    need("nft", "nftables", "the look for rules that are left, and rules of others"),
    need("dnsmasq", "dnsmasq-base", "nameservers and DHCP servers that zones ask"),
    need("curl", "curl", "web servers, asked from zones and for them"),
    need("ping", "iputils-ping", "whether a zone reaches somebody"),
    need("arping", "iputils-arping", "who answers for an address"),
    need("dig", "bind9-dnsutils", "names, asked by somebody who knows nothing of the C library"),
    need("nc", "netcat-openbsd", "ports, tried by somebody else"),
    need("tcpdump", "tcpdump", "the frames that arrive"),
    need("zsh", "zsh", "what TAB completes"),
    need("fish", "fish", "what TAB completes"),
    need("iperf3", "iperf3", "how much goes through a net"),
];

/// What making guests needs.
pub(crate) const GUESTS: [Need; 1] =
    [need("mmdebstrap", "mmdebstrap", "real guests, made from Debian packages")];

/// Installs what is missing. Says what and why.
///
/// # Errors
/// When something is missing and cannot be installed here.
pub(crate) fn provide(needs: &[&[Need]]) -> Result<()> {
    let missing: Vec<&Need> =
        needs.iter().copied().flatten().filter(|need| sh::which(need.program).is_none()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    for need in &missing {
        say::note(&format!("{} is missing (package {}): {}", need.program, need.package, need.reason));
    }
    let packages: Vec<&str> = missing.iter().map(|need| need.package).collect();
    if sh::which("apt-get").is_none() {
        bail!("install these with this distribution's package manager: {}", packages.join(" "));
    }
    sh::require_root("test", "installs packages")?;
    apt(&["update", "-qq"])?;
    let mut words = vec!["install", "-y", "-qq", "--no-install-recommends"];
    words.extend(&packages);
    apt(&words)
}

fn apt(words: &[&str]) -> Result<()> {
    let mut command = Command::new("apt-get");
    command.args(words).env("DEBIAN_FRONTEND", "noninteractive");
    say::command(&sh::line(&command));
    sh::run(&mut command)
}

/// Where the machine gets its Debian packages from, for roots of the same distribution.
///
/// # Errors
/// When apt knows no such place.
pub(crate) fn mirror() -> Result<String> {
    let list = sh::capture(Command::new("apt-get").args(["indextargets", "--format", "$(REPO_URI)"]))?;
    let mut uris: Vec<&str> = list.lines().filter(|uri| !uri.contains("security")).collect();
    uris.sort_unstable();
    match uris.first() {
        Some(uri) => Ok(uri.trim_end_matches('/').to_owned()),
        None => bail!("apt has no package source configured: no guest can be made"),
    }
}
