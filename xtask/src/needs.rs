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
    /// Where it is, if it is no program.
    pub(crate) file: Option<&'static str>,
}

impl Need {
    fn is_missing(&self) -> bool {
        match self.file {
            Some(file) => !std::path::Path::new(file).exists(),
            None => sh::which(self.program).is_none(),
        }
    }
}

/// Makes a row.
pub(crate) const fn need(program: &'static str, package: &'static str, reason: &'static str) -> Need {
    Need { program, package, reason, file: None }
}

const IP: Need =
    need("ip", "iproute2", "the networks that tests make, and the look for what is left of them");
const NFT: Need = need("nft", "nftables", "the look for rules that are left, and rules of others");
const DNSMASQ: Need = need("dnsmasq", "dnsmasq-base", "nameservers and DHCP servers that zones ask");

/// What the unit tests need that root runs.
pub(crate) const UNITS: [Need; 3] = [IP, NFT, DNSMASQ];

/// What the zones suite needs.
pub(crate) const SUITE: [Need; 27] = [
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
    need("systemd-nspawn", "systemd-container", "containers in zones"),
    need("mkfs.ext4", "e2fsprogs", "disks that fill up or stand still"),
    need("mount", "mount", "disks that fill up or stand still"),
    IP,
    NFT,
    DNSMASQ,
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
    let missing: Vec<&Need> = needs.iter().copied().flatten().filter(|need| need.is_missing()).collect();
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
    // Another that installs at this moment is waited for: an upgrade that the system does by itself, another checkout's tests.
    command.args(["-o", "DPkg::Lock::Timeout=300"]).args(words).env("DEBIAN_FRONTEND", "noninteractive");
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
