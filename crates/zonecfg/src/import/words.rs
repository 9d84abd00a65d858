//! Words of illumos and Solaris, and those that mean the same here.

use zone_config::config::FsType;
use zone_config::filesystem;
use zone_config::limits::LEAST_MEMORY;

/// The brands whose zones share `/usr` with the host there; all others have a root of their own.
const SHARING: [&str; 1] = ["sparse"];

/// The directories of the system that a zone without a whole root has from its host.
const SYSTEM: [&str; 4] = ["/lib", "/platform", "/sbin", "/usr"];

/// Where devices are that no Linux has.
const NO_DEVICES: [&str; 6] = ["/dev/dsk", "/dev/rdsk", "/dev/zvol", "/dev/md", "/dev/cfg", "/dev/lofi"];

/// The brands of illumos, its distributions and Solaris, but for the name that is one of ours.
const BRANDS: [&str; 21] = [
    "bhyve",
    "cluster",
    "emu",
    "illumos",
    "ipkg",
    "joyent",
    "joyent-minimal",
    "kvm",
    "labeled",
    "lipkg",
    "lx",
    "native",
    "omicron1",
    "pkgsrc",
    "propolis-server",
    "sn1",
    "solaris",
    "solaris10",
    "solaris8",
    "solaris9",
    "solaris-kz",
];

/// Whether it is a brand there.
pub(super) fn is_brand(there: &str) -> bool {
    BRANDS.contains(&there)
}

/// The brand here of a zone whose brand there is this, if it is another; `shares` when it has `/usr` from its host.
pub(super) fn brand(there: &str, shares: bool) -> &'static str {
    if SHARING.contains(&there) || shares { "sparse" } else { "linux" }
}

/// Whether a directory that is inherited is a part of the system.
pub(super) fn is_of_the_system(dir: &str) -> bool {
    SYSTEM.contains(&dir.trim_end_matches('/'))
}

/// The type of file system here; `None` when Linux has none like it.
pub(super) fn fs_type(there: &str) -> Option<FsType> {
    match there {
        "hsfs" => Some(FsType::Iso9660),
        "pcfs" => Some(FsType::Vfat),
        // All types have their options.
        word => filesystem::OPTIONS.iter().map(|(fstype, _)| *fstype).find(|fstype| fstype.as_str() == word),
    }
}

/// The mount option here; `None` when the type has none like it.
pub(super) fn fs_option(fstype: FsType, there: &str) -> Option<&str> {
    let word = match there {
        "nosetuid" => "nosuid",
        "setuid" => "suid",
        word => word,
    };
    filesystem::read_option(fstype, word).is_ok().then_some(word)
}

/// Whether a pattern names devices that Linux can have.
pub(super) fn has_device(pattern: &str) -> bool {
    !NO_DEVICES
        .iter()
        .any(|dir| pattern.strip_prefix(dir).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
}

/// A size with a fraction, such as `1.5G`, as a whole number; other words as they are.
pub(super) fn size(there: &str) -> String {
    let trimmed = there.replace(' ', "");
    let Some((whole, rest)) = trimmed.split_once('.') else { return trimmed };
    let digits = rest.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match rest[digits.len()..].to_ascii_uppercase().as_str() {
        "K" => 10,
        "M" => 20,
        "G" => 30,
        "T" => 40,
        _ => return trimmed,
    };
    let bytes = || {
        let unit = 1_u64 << shift;
        let scale = 10_u64.checked_pow(u32::try_from(digits.len()).ok()?)?;
        let part = u128::from(digits.parse::<u64>().ok()?) * u128::from(unit) / u128::from(scale);
        whole.parse::<u64>().ok()?.checked_mul(unit)?.checked_add(u64::try_from(part).ok()?)
    };
    match bytes() {
        Some(bytes) if bytes >= LEAST_MEMORY && bytes % LEAST_MEMORY == 0 => {
            format!("{}M", bytes / LEAST_MEMORY)
        }
        Some(bytes) => bytes.to_string(),
        None => trimmed,
    }
}
