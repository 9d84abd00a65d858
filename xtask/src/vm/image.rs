//! The hosts that machines boot: a Debian with systemd and cgroup v2, made from its packages.

use crate::arch::Arch;
use crate::{guests, needs, paths, say, sh};
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

/// A release of Debian.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Suite {
    /// Debian 12
    Bookworm,
    /// Debian 13
    Trixie,
}

impl Suite {
    /// Its name in a mirror.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Bookworm => "bookworm",
            Self::Trixie => "trixie",
        }
    }

    /// The number of the release.
    pub(crate) fn number(self) -> u32 {
        match self {
            Self::Bookworm => 12,
            Self::Trixie => 13,
        }
    }
}

/// Its kernels, and what makes an initial RAM disk for them.
const KERNELS: &str = "linux-image-amd64,user-mode-linux,initramfs-tools,zstd,xz-utils";

/// The same for arm64, where User-Mode Linux does not run. From Debian 13 on there is one with pages of 16 KiB, too.
const ARM_KERNELS: [&str; 2] = ["linux-image-arm64,initramfs-tools,zstd,xz-utils", "linux-image-arm64-16k"];

/// What is installed: a host as zones find it, what the scripts look at it with, and others' firewalls.
const PACKAGES: [&str; 9] = [
    "systemd-sysv,dbus,udev,libpam-systemd,kmod,auditd,login,passwd,util-linux,procps,psmisc,less",
    "e2fsprogs,xfsprogs,btrfs-progs,dosfstools,genisoimage,nfs-kernel-server,fuse3,acl,attr,libcap2-bin,lxcfs",
    "jq,socat,strace,python3-minimal,busybox-static,debootstrap,ca-certificates",
    "iproute2,iputils-ping,iputils-arping,nftables,iptables,bind9-dnsutils,dnsmasq-base,curl,netcat-openbsd",
    "tcpdump,wireguard-tools",
    "systemd-container,libnss-mymachines,openssh-client",
    "ufw",
    "firewalld",
    "docker.io",
];

/// What the initial RAM disk loads: the disk, and what is on it.
const INITRD: &str = "virtio_pci virtio_blk virtio_net virtio_rng ext4";

/// What runs the command in the guest, and makes a root such a guest.
const SERVICE: &str = include_str!("guest/zones-vm.service");
const RUNNER: &str = include_str!("guest/zones-vm");
const CONFIGURE: &str = include_str!("guest/configure");

/// How large the disk is: sparse, so it takes what is in it.
const DISK: &str = "8G";

/// An image that was made.
pub(crate) struct Image {
    dir: PathBuf,
    /// What processor runs it.
    pub(super) arch: Arch,
}

impl Image {
    /// Gives the image of a suite, and makes it if there is none or `fresh` asks for another one.
    ///
    /// # Errors
    /// When packages cannot be had, or something fails while it is made; the message has the end of its log.
    pub(crate) fn of(suite: Suite, arch: Arch, fresh: bool) -> Result<Self> {
        let dir = super::place().join(format!("{}{}", suite.name(), arch.suffix()));
        let image = Self { dir, arch };
        let stamp = stamp(suite, arch);
        if !fresh && std::fs::read_to_string(image.file("stamp")).is_ok_and(|made| made == stamp) {
            return Ok(image);
        }
        let mirror = needs::mirror()?;
        arch.runs()?;
        let _ = std::fs::remove_dir_all(&image.dir);
        sh::make_dir(&image.dir)?;
        let began = Instant::now();
        say::note(&format!(
            "Making a host of Debian {} for {} with mmdebstrap, once",
            suite.number(),
            arch.debian()
        ));
        image.make(suite, &mirror)?;
        // Whole only with this.
        std::fs::write(image.file("stamp"), stamp)?;
        say::note(&format!("{} made in {} s", image.dir.display(), began.elapsed().as_secs()));
        Ok(image)
    }

    /// One of its files: `disk.img`, `vmlinuz`, `initrd`, both with `.16k` where there is such a kernel, and `uml`, a root with
    /// what User-Mode Linux needs of the suite.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    fn make(&self, suite: Suite, mirror: &str) -> Result<()> {
        let root = self.file("root");
        for (name, text) in [("zones-vm.service", SERVICE), ("zones-vm", RUNNER), ("configure", CONFIGURE)] {
            std::fs::write(self.file(name), text)?;
        }
        let at = |name: &str| sh::quoted(&self.file(name).to_string_lossy());
        let initrd = format!(
            r#"mkdir -p "$1/etc/initramfs-tools/conf.d" "$1/usr/share/initramfs-tools/modules.d"
            printf 'MODULES=list\nCOMPRESS=zstd\nCOMPRESSLEVEL=1\n' > "$1/etc/initramfs-tools/conf.d/zones-vm"
            printf '%s\n' {INITRD} > "$1/usr/share/initramfs-tools/modules.d/zones-vm""#
        );
        let files = format!(
            r#"install -m644 {} "$1/etc/systemd/system/"; install -m755 {} "$1/usr/local/sbin/"; sh {} "$1""#,
            at("zones-vm.service"),
            at("zones-vm"),
            at("configure")
        );
        let mut mmdebstrap = Command::new("mmdebstrap");
        mmdebstrap
            .args(["--mode=root", "--variant=minbase", "--format=directory", "--skip=check/qemu"])
            .args(["--aptopt=Apt::Install-Recommends false", "--aptopt=Acquire::Check-Valid-Until false"])
            .arg(format!("--architectures={}", self.arch.debian()))
            .arg(format!("--include={}", packages(suite, self.arch)))
            .arg(format!("--essential-hook={initrd}"))
            .arg(format!("--customize-hook={files}"))
            .arg(suite.name())
            .arg(&root)
            .arg(format!("deb {mirror} {} main", suite.name()));
        self.step(&mut mmdebstrap)?;
        self.kernel(&root)?;
        if self.arch == Arch::Amd64 {
            self.uml(&root)?;
        }
        let disk = self.file("disk.img");
        let mut mke2fs = Command::new("mke2fs");
        mke2fs.args(["-q", "-F", "-t", "ext4", "-O", "^has_journal", "-E", "lazy_itable_init=1"]);
        self.step(mke2fs.arg("-d").arg(&root).arg(&disk).arg(DISK))?;
        std::fs::remove_dir_all(&root).with_context(|| format!("cannot remove {}", root.display()))
    }

    /// Takes kernels and initial RAM disks out of a root.
    fn kernel(&self, root: &Path) -> Result<()> {
        let boot = root.join("boot");
        let entries = std::fs::read_dir(&boot).with_context(|| format!("cannot read {}", boot.display()))?;
        for from in entries.flatten().map(|entry| entry.path()) {
            let name = from.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let to = match name.split_once('-') {
                Some(("vmlinuz", _)) => "vmlinuz",
                Some(("initrd.img", _)) => "initrd",
                _ => continue,
            };
            let pages = if name.ends_with("-16k") { ".16k" } else { "" };
            std::fs::copy(&from, self.file(&format!("{to}{pages}")))
                .with_context(|| format!("cannot copy {}", from.display()))?;
        }
        Ok(())
    }

    /// Makes a root for User-Mode Linux, which is a program of the suite and wants its C library.
    fn uml(&self, root: &Path) -> Result<()> {
        let uml = self.file("uml");
        for dir in ["dev", "proc", "machine", "images", "memory"] {
            sh::make_dir(&uml.join(dir))?;
        }
        let program = "/usr/bin/linux.uml";
        let libraries = sh::capture(Command::new("chroot").arg(root).args(["ldd", program]))?;
        let paths = libraries.split_whitespace().filter(|word| word.starts_with('/'));
        for path in paths.chain([program]) {
            let (from, to) = (root.join(&path[1..]), uml.join(&path[1..]));
            to.parent().map_or(Ok(()), sh::make_dir)?;
            std::fs::copy(&from, &to).with_context(|| format!("cannot copy {}", from.display()))?;
        }
        Ok(())
    }

    /// Runs a command whose output goes to the log.
    fn step(&self, command: &mut Command) -> Result<()> {
        let path = self.file("build.log");
        let log = std::fs::File::options().create(true).append(true).open(&path)?;
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        if !sh::status(command)?.success() {
            let program = command.get_program().to_string_lossy().into_owned();
            bail!("{program} failed; the end of {} says:\n{}", path.display(), guests::tail(&path));
        }
        Ok(())
    }
}

/// What is installed in an image.
fn packages(suite: Suite, arch: Arch) -> String {
    let kernels = match (arch, suite) {
        (Arch::Amd64, _) => KERNELS.to_owned(),
        (Arch::Arm64, Suite::Bookworm) => ARM_KERNELS[0].to_owned(),
        (Arch::Arm64, Suite::Trixie) => ARM_KERNELS.join(","),
    };
    [PACKAGES[0], &kernels, &PACKAGES[1..].join(",")].join(",")
}

/// All that an image is made from: another stamp, another image.
fn stamp(suite: Suite, arch: Arch) -> String {
    [suite.name(), &packages(suite, arch), INITRD, DISK, SERVICE, RUNNER, CONFIGURE].join("\n")
}

/// Which programs are missing to make an image.
pub(crate) const NEEDS: [needs::Need; 2] = [
    needs::need("mmdebstrap", "mmdebstrap", "hosts for virtual machines, made from Debian packages"),
    needs::need("mke2fs", "e2fsprogs", "their disks"),
];

/// Tells whether programs that were built on this machine run in a suite: its C library must not be newer.
pub(crate) fn runs_ours(suite: Suite, arch: Arch) -> bool {
    if arch.is_foreign() {
        return false;
    }
    let release = std::fs::read_to_string(paths::OS_RELEASE).unwrap_or_default();
    let field = |name: &str| {
        let line = release.lines().find_map(|line| line.strip_prefix(name));
        line.map(|value| value.trim_matches('"').to_owned())
    };
    let number = field("VERSION_ID=").and_then(|text| text.parse::<u32>().ok());
    field("ID=").as_deref() == Some("debian") && number.is_some_and(|number| number <= suite.number())
}
