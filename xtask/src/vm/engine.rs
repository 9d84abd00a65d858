//! What runs a machine: User-Mode Linux, a kernel that is a program; QEMU; or the kernel that is here.

use super::image::Image;
use crate::arch::Arch;
use crate::needs::{Need, need};
use crate::{paths, sh};
use anyhow::{Context, Result, ensure};
use std::path::Path;
use std::process::Command;

/// A kind of machine.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Engine {
    /// User-Mode Linux: programs run as fast as here, one processor, fewer parts of the kernel, no hardware
    Uml,
    /// QEMU: Debian's own kernel, as fast as /dev/kvm lets it or several times slower
    Qemu,
    /// Namespaces: no machine, but this one's kernel and what that has, as fast as here
    Namespaces,
}

/// How long after their start machines have done nothing yet: the kernel and systemd. In seconds, generous.
pub(super) const BOOT_SECONDS: u64 = 600;

impl Engine {
    /// What people call it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Uml => "User-Mode Linux",
            Self::Qemu => "QEMU",
            Self::Namespaces => "this kernel, in namespaces",
        }
    }

    /// Tells why it cannot run an image for a processor here, if it cannot.
    pub(super) fn missing(self, arch: Arch) -> Option<String> {
        let need = emulator(arch);
        match self {
            // It is in the image.
            Self::Uml => {
                (arch != Arch::Amd64).then(|| format!("there is no {} for {}", self.name(), arch.debian()))
            }
            Self::Qemu => sh::which(need.program)
                .is_none()
                .then(|| format!("{} is not installed (package {})", need.program, need.package)),
            Self::Namespaces if arch.is_foreign() => {
                Some(format!("{} runs nothing for {}", self.name(), arch.debian()))
            }
            Self::Namespaces if paths::cgroup2().is_none() => Some("cgroup version 2 is not mounted here".to_owned()),
            Self::Namespaces => (!has_rules()).then(|| {
                "this kernel lacks rules of nf_tables for bridges and links, or nft is not installed (package nftables)".to_owned()
            }),
        }
    }

    /// Whether what a machine has written is there in its next boot.
    pub(super) fn remembers(self) -> bool {
        self == Self::Uml
    }

    /// Gives the command that runs a machine on a throw-away copy of an image. `dir` is the machine's own folder, with
    /// its second disk in `input.tar`; the console is standard output. Everything ends with the process.
    pub(super) fn command(self, image: &Image, pages: Pages, dir: &Path, megabytes: u64) -> Result<Command> {
        match self {
            Self::Uml => uml(image, dir, megabytes),
            Self::Qemu => qemu(image, pages, dir, megabytes),
            Self::Namespaces => namespaces(image, dir),
        }
    }
}

/// How large a page of memory is to the kernel.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Pages {
    /// 4 KiB
    #[value(name = "4k")]
    Small,
    /// 16 KiB, on arm64 from Debian 13 on
    #[value(name = "16k")]
    Large,
}

/// The QEMU that has a processor.
pub(super) fn emulator(arch: Arch) -> Need {
    let why = "machines with Debian's own kernel";
    match arch {
        Arch::Amd64 => need("qemu-system-x86_64", "qemu-system-x86", why),
        Arch::Arm64 => need("qemu-system-aarch64", "qemu-system-arm", why),
    }
}

/// What every guest's kernel is told.
const QUIET: &str = "rw zones-vm audit=1 quiet loglevel=3 systemd.show_status=0";

fn uml(image: &Image, dir: &Path, megabytes: u64) -> Result<Command> {
    // Its memory is a file, which is best where writing it costs nothing.
    let shm = Path::new("/dev/shm");
    let free = rustix::fs::statvfs(shm).map_or(0, |fs| fs.f_bavail * fs.f_frsize);
    let memory = if free > megabytes << 20 { shm } else { dir };
    let script = dir.join("uml.sh");
    std::fs::write(&script, include_str!("guest/uml.sh")).context("the script that starts a machine")?;
    let mut command = contained();
    command
        .args(["--mount", "--propagation", "private", "sh"])
        .arg(script)
        .arg(image.file("uml"))
        .arg(dir)
        .arg(image.file(""))
        .arg(memory);
    command.arg(format!("mem={megabytes}M"));
    command.args(["ubd0=/machine/cow,/images/disk.img", "ubd1r=/machine/input.tar", "root=/dev/ubda"]);
    command.args(["uml_dir=/machine/", "umid=uml", "con=null", "con0=null,fd:1", "ssl=null"]);
    command.args(QUIET.split(' '));
    Ok(command)
}

fn qemu(image: &Image, pages: Pages, dir: &Path, megabytes: u64) -> Result<Command> {
    let suffix = if pages == Pages::Large { ".16k" } else { "" };
    let [kernel, initrd] = ["vmlinuz", "initrd"].map(|name| image.file(&format!("{name}{suffix}")));
    ensure!(kernel.exists(), "there is no kernel with such pages in {}", kernel.display());
    let mut command = contained();
    // QEMU's throw-away copy is there.
    command.arg(emulator(image.arch).program).env("TMPDIR", dir);
    command.args(["-nodefaults", "-display", "none", "-no-reboot", "-smp", "2"]);
    let accelerator =
        if has_kvm() && !image.arch.is_foreign() { "kvm" } else { "tcg,thread=multi,tb-size=512" };
    command.args(["-accel", accelerator]);
    // With an emulated processor that has all that there is, the kernel does not trust its clock and reads a slow one, and has more
    // to save at each switch: programs start in a third more time. The pointers that a processor for arm64 signs take most of an
    // emulator's time.
    let (machine, cpu, terminal) = match image.arch {
        Arch::Amd64 => ("q35", "Nehalem", "ttyS0"),
        Arch::Arm64 => ("virt,gic-version=max", "max,pauth-impdef=on", "ttyAMA0"),
    };
    command.args(["-M", machine, "-cpu", if accelerator == "kvm" { "host" } else { cpu }]);
    command.args(["-m", &megabytes.to_string(), "-monitor", "none"]);
    command.args(["-chardev", "stdio,id=out,signal=off", "-serial", "chardev:out"]);
    command.arg("-kernel").arg(kernel).arg("-initrd").arg(initrd);
    // An emulated timer is late on a busy machine, which the kernel takes for one that is broken; and a kernel that panics is
    // to end the machine, not to stand until its time is over.
    let patient = "no_timer_check nowatchdog panic=-1";
    let told = format!("root=/dev/vda console={terminal} net.ifnames=0 mitigations=off {patient} {QUIET}");
    command.args(["-append", &told]);
    // No lock: User-Mode Linux has one of its own on the image, of which nobody writes to more than a copy.
    let drive = |path: std::path::PathBuf, more: &str| {
        format!(
            "file.driver=file,file.filename={},file.locking=off,if=virtio,format=raw,{more}",
            path.display()
        )
    };
    command.args(["-drive", &drive(image.file("disk.img"), "cache=unsafe,snapshot=on")]);
    command.args(["-drive", &drive(dir.join("input.tar"), "readonly=on")]);
    // A network card that leads nowhere, for who wants to have one.
    command.args(["-device", "virtio-rng-pci", "-netdev", "hubport,id=free,hubid=1"]);
    // It boots from no network, so it needs no program for that, which is a package of its own.
    command.args(["-device", "virtio-net-pci,netdev=free,romfile="]);
    Ok(command)
}

fn namespaces(image: &Image, dir: &Path) -> Result<Command> {
    let script = dir.join("namespaces.sh");
    std::fs::write(&script, include_str!("guest/namespaces.sh"))
        .context("the script that starts a machine")?;
    let mut command = contained();
    command.args(["--mount", "--propagation", "private", "--uts", "--ipc", "sh"]).arg(script);
    command.arg(image.file("disk.img")).arg(dir).arg(group(dir)?);
    // What systemd takes from a kernel's command line it takes from its own where it is told that it has no machine for itself.
    command.args(QUIET.split(' ').filter(|word| *word != "rw"));
    Ok(command)
}

/// The control group of a machine that is not one, by the machine's own folder.
pub(super) fn group(dir: &Path) -> Result<std::path::PathBuf> {
    let name = dir.file_name().context("a machine's folder without a name")?.to_string_lossy().into_owned();
    Ok(paths::cgroup2().context("cgroup version 2 is not mounted")?.join(format!("zones-vm.{name}")))
}

/// Whether this kernel has rules for all that nets of zones are made of.
fn has_rules() -> bool {
    let tables = "add table inet t; add table bridge t; add table netdev t; add table ip t; add chain ip t n { type nat hook prerouting priority 0; }";
    let nft = Command::new("unshare").args(["--net", "nft", tables]).output();
    nft.is_ok_and(|output| output.status.success())
}

/// Begins a command whose processes end with it, and it with the thread that has started it, whatever ends that; that reach
/// no network, either.
fn contained() -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "unshare", "--pid", "--fork", "--kill-child", "--net"]);
    command
}

/// Whether QEMU is as fast as the processor.
pub(super) fn has_kvm() -> bool {
    std::fs::OpenOptions::new().read(true).write(true).open("/dev/kvm").is_ok() && virtualizes()
}

/// Whether the processor can run machines: without that a /dev/kvm is another hypervisor's, and does not boot every kernel.
fn virtualizes() -> bool {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    info.lines()
        .find(|line| line.starts_with("flags"))
        .is_some_and(|flags| flags.split(' ').any(|flag| flag == "vmx" || flag == "svm"))
}
