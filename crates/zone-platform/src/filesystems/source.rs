//! What of the host a lofs shows: looked at once, and used by the descriptor that was looked at.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{FileType, StatVfsMountFlags, fstatfs, fstatvfs};
use zone_config::Layout;
use zone_config::config::FsType;
use zone_config::device;
use zone_config::filesystem::OptionError;
use zone_config::hostpath::{HostPath, HostPathError, shown};

use super::Own;
use super::disk::{self, Disk, DiskError};
use super::elsewhere;
use super::options::Options;
use super::server::ServerError;
use crate::Failed;
use crate::claims::{Claims, Conflict, Medium, Spot};
use crate::devices::Given;
use crate::mountinfo::{self, Mount};
use crate::root::mount_of;
use crate::zoneroot::Kind;

/// What is wrong with what an `fs` resource mounts.
#[derive(Debug, thiserror::Error)]
pub enum Unfit {
    /// Its path leads nowhere, or somebody else than root could change where it leads.
    #[error(transparent)]
    Path(#[from] HostPathError),
    /// Neither a directory nor a file.
    #[error("{} is {kind}: a lofs is of a directory, a regular file or a socket", shown(.path))]
    Type {
        /// The path on the host, as configured.
        path: PathBuf,
        /// What is there.
        kind: &'static str,
    },
    /// It would give the zone more than a directory.
    #[error("{} cannot be shared with a zone: {reason}", shown(.path))]
    Forbidden {
        /// The path on the host, as configured.
        path: PathBuf,
        /// Why no zone may have it.
        reason: Forbidden,
    },
    /// The root of the zone is the host's root on disk, and what it marks set-user-ID is so for all who can reach it.
    #[error(
        "{} can be reached by users of the host, who could run set-user-ID programs that the zone leaves there: set owners=host, add option ro, have its file system mounted nosuid on the host, or keep users out with a directory above it that is root's and of mode 0700",
        shown(.0)
    )]
    UsersCouldGain(PathBuf),
    /// The same, by another mount of what it is on.
    #[error(
        "{} is {} as well, where users of the host could run set-user-ID programs that the zone leaves there: set owners=host, add option ro, have {} mounted nosuid, or keep users out of it",
        shown(.path), shown(.other), shown(.other)
    )]
    UsersCouldGainElsewhere {
        /// The path on the host, as configured.
        path: PathBuf,
        /// Where the same file system, or a part of what is shared, is mounted too.
        other: PathBuf,
    },
    /// Only directories are layers of an overlay.
    #[error("{} is no directory, which the layers of an overlay are", shown(.0))]
    Layer(PathBuf),
    /// What is mounted below on the host could not appear.
    #[error("what is mounted below {} later would not appear in the zone, for its mount is private: say 'mount --make-shared {}', or take out option rslave", shown(.path), shown(.point))]
    Private {
        /// The path on the host, as configured.
        path: PathBuf,
        /// Where what it is on is mounted.
        point: PathBuf,
    },
    /// Nothing would keep the zone from devices on what is mounted there later.
    #[error("nothing would keep the zone from the devices on what is mounted below {} later, for no program guards them here: take out option rslave", shown(.0))]
    Unguarded(PathBuf),
    /// It is no disk that a zone can have.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// A server's directory cannot be had.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// A mount option is unknown or not allowed.
    #[error(transparent)]
    Option(#[from] OptionError),
    /// A call to the system failed.
    #[error(transparent)]
    Failed(#[from] Failed),
}

/// Why no zone gets a place of the host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Forbidden {
    /// All of the host would be the zone's.
    #[error("it is the host's root; share what is meant below it")]
    HostRoot,
    /// A file system through which the kernel is told what to do.
    #[error("it is the kernel's")]
    Kernel,
    /// Whoever writes there commands zones.
    #[error("zones are administered through {}", shown(.0))]
    Administration(PathBuf),
    /// It lies badly to what zones have.
    #[error(transparent)]
    Conflict(#[from] Conflict),
}

/// Directories of the host of which no zone gets a part.
const KERNEL_DIRS: [&str; 3] = ["/proc", "/sys", "/dev"];

/// The kernel's file systems wherever they are mounted, by the numbers of statfs(2): proc, sysfs, devpts, cgroup and
/// cgroup2, debugfs, tracefs, securityfs, configfs, the BPF one, efivarfs, selinuxfs.
const KERNEL_TYPES: [u64; 12] = [
    0x9fa0,
    0x6265_6572,
    0x1cd1,
    0x0027_e0eb,
    0x6367_7270,
    0x6462_6720,
    0x7472_6163,
    0x7363_6673,
    0x6265_6570,
    0xcafe_4a11,
    0xde5e_81e4,
    0xf97c_ff8c,
];

/// The opened source of a lofs.
#[derive(Debug)]
pub(crate) struct Source {
    fd: OwnedFd,
    path: PathBuf,
    kind: Kind,
}

impl Source {
    /// The descriptor that was checked, and that is mounted.
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Where it is on the host.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What kind of mount point it takes.
    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }
}

/// Judges what `fs` resources name; what is the same for all of them is found out once.
pub(crate) struct Judge {
    administration: [Spot; 2],
    /// The disks that zones have as devices.
    given: Vec<Given>,
    table: Vec<Mount>,
    limit: Duration,
}

impl Judge {
    pub(crate) fn new(layout: &Layout) -> Result<Self, Failed> {
        let table = mountinfo::read()?;
        let administration = [layout.run(), layout.etc()].map(|path| Spot::look(&path, &table));
        let limit = zone_fail::limit(&layout.run(), crate::reach::LIMIT);
        Ok(Self { administration, given: Vec::new(), table, limit })
    }

    /// Has no disk mounted that a zone has as one of these devices.
    pub(crate) fn beside(self, given: Vec<Given>) -> Self {
        Self { given, ..self }
    }

    /// How long what is not of this host may take to answer.
    pub(crate) fn limit(&self) -> Duration {
        self.limit
    }

    /// Opens what a lofs is of; with `mapped` the root of the zone is there what the host's root is.
    pub(crate) fn source(
        &self,
        claims: &Claims,
        path: &Path,
        mapped: bool,
        options: &Options<'_>,
    ) -> Result<Source, Unfit> {
        // By its name first: a walk through a directory of a zone's would say what the zone has put there.
        if path.is_absolute() {
            self.permit(claims, &Spot::named(path), !options.read_only())?;
        }
        let spot = Spot::found(HostPath::open(path)?);
        self.permit(claims, &spot, !options.read_only())?;
        let path = spot.path().to_owned();
        let Some(found) = spot.into_found() else { return Err(HostPathError::NotCanonical(path).into()) };
        let kind = kind(&found)?;
        if options.follows
            && let Some(mount) = mount_of(found.fd(), &self.table).filter(|mount| !mount.shared)
        {
            return Err(Unfit::Private { path, point: mount.point.clone() });
        }
        if mapped && !options.read_only() {
            if !found.is_kept_from_users() && self.runs_set_user_id(&found, options)? {
                return Err(Unfit::UsersCouldGain(path));
            }
            if let Some(other) = elsewhere::reached(&self.table, &found, options.recursive) {
                return Err(Unfit::UsersCouldGainElsewhere { path, other });
            }
        }
        Ok(Source { fd: found.into_fd(), path, kind })
    }

    /// Looks whether nobody else has what an overlay keeps its changes in.
    pub(crate) fn alone(&self, claims: &Claims, path: &Path, dir: &str) -> Result<(), Unfit> {
        claims
            .check_upper(&Spot::look(path, &self.table), dir)
            .map_err(|conflict| Unfit::Forbidden { path: path.to_owned(), reason: conflict.into() })
    }

    /// Opens a disk, or an image of one.
    pub(crate) fn disk(
        &self,
        claims: &Claims,
        path: &Path,
        fstype: FsType,
        options: &Options<'_>,
        own: Own<'_>,
    ) -> Result<Disk, Unfit> {
        // By its name first, as for directories.
        let refused = |path: &Path, conflict: Conflict| Unfit::Forbidden {
            path: path.to_owned(),
            reason: conflict.into(),
        };
        if path.is_absolute() {
            claims
                .check_disk(&Spot::named(path), !options.read_only())
                .map_err(|conflict| refused(path, conflict))?;
        }
        let spot = Spot::found(disk::walk(path)?);
        claims.check_disk(&spot, !options.read_only()).map_err(|conflict| refused(spot.path(), conflict))?;
        let path = spot.path().to_owned();
        let Some(found) = spot.into_found() else { return Err(HostPathError::NotCanonical(path).into()) };
        if let Some(medium) = Medium::of(found.stat())? {
            self.apart(&medium).map_err(|conflict| refused(&path, conflict))?;
        }
        let taken = self.given.iter().filter_map(|one| one.medium.loop_number()).collect();
        Ok(Disk::look(found, fstype, options, &self.table, own)?.beside(taken))
    }

    /// Looks whether no zone has what is to be mounted as a device.
    fn apart(&self, medium: &Medium) -> Result<(), Conflict> {
        let told = |one: &Given| (one.zone.clone(), one.text.clone());
        if let Some((zone, device)) = self.given.iter().find(|one| one.medium.meets(medium)).map(told) {
            return Err(Conflict::Device { zone, device });
        }
        let any = |one: &&Given| one.medium.loop_number().is_some() && device::is_wild(&one.text);
        match self.given.iter().find(any).map(told).filter(|_| medium.is_image()) {
            Some((zone, device)) => Err(Conflict::Loops { zone, device }),
            None => Ok(()),
        }
    }

    fn permit(&self, claims: &Claims, spot: &Spot, writable: bool) -> Result<(), Unfit> {
        let refused = |reason| Unfit::Forbidden { path: spot.path().to_owned(), reason };
        if spot.path() == Path::new("/") {
            return Err(refused(Forbidden::HostRoot));
        }
        let kernel = KERNEL_DIRS.iter().any(|dir| spot.path().starts_with(dir));
        if kernel || spot.fd().is_some_and(is_kernel_type) {
            return Err(refused(Forbidden::Kernel));
        }
        if let Some(ours) = self.administration.iter().find(|ours| spot.meets(ours)) {
            return Err(refused(Forbidden::Administration(ours.path().to_owned())));
        }
        claims.check_share(spot, writable).map_err(|conflict| refused(conflict.into()))
    }

    /// Whether the host runs set-user-ID programs from there, or from what is mounted below and comes along.
    fn runs_set_user_id(&self, found: &HostPath, options: &Options<'_>) -> Result<bool, Failed> {
        use StatVfsMountFlags as Flags;
        if FileType::from_raw_mode(found.stat().st_mode) == FileType::Socket {
            return Ok(false);
        }
        let flags =
            fstatvfs(found.fd()).map_err(Failed::to("look at the mount of", found.path().display()))?;
        let ignored = flags.f_flag.intersects(Flags::NOSUID | Flags::NOEXEC | Flags::RDONLY);
        let mut below = mountinfo::below(&self.table, found.path());
        Ok(!ignored || options.recursive && below.any(|mount| !mount.ignores_set_user_id()))
    }
}

fn kind(found: &HostPath) -> Result<Kind, Unfit> {
    let kind = match FileType::from_raw_mode(found.stat().st_mode) {
        FileType::Directory => return Ok(Kind::Directory),
        FileType::RegularFile | FileType::Socket => return Ok(Kind::File),
        FileType::BlockDevice | FileType::CharacterDevice => "a device",
        FileType::Fifo => "a fifo",
        _ => "none of them",
    };
    Err(Unfit::Type { path: found.path().to_owned(), kind })
}

fn is_kernel_type(fd: BorrowedFd<'_>) -> bool {
    // The field is a signed word on some machines; the numbers are 32 bits wide.
    fstatfs(fd).is_ok_and(|stat| {
        u64::try_from(stat.f_type & 0xffff_ffff).is_ok_and(|number| KERNEL_TYPES.contains(&number))
    })
}
