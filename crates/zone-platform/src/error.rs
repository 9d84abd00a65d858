//! What can go wrong while the platform is built or undone.

use std::error::Error;
use std::fmt::Display;

use crate::cgroup::CgroupError;
use crate::filesystems::FsError;
use crate::kernel::KernelError;
use crate::network::NetworkError;
use crate::privileges::PrivilegeError;
use crate::root::RootError;
use crate::zoneroot::PathError;

/// A call to the system that failed: what was tried, on what, and the system's answer.
#[derive(Debug, thiserror::Error)]
#[error("cannot {operation} {subject}")]
pub struct Failed {
    /// What was tried: a verb, and what of the subject.
    pub operation: &'static str,
    /// What it was tried on: a path, a zone, a process.
    pub subject: String,
    /// What the system answered.
    #[source]
    pub source: Box<dyn Error + Send + Sync>,
}

impl Failed {
    /// Makes the error of `operation` on `subject`; for `map_err`.
    pub(crate) fn to<E: Into<Box<dyn Error + Send + Sync>>>(
        operation: &'static str,
        subject: impl Display,
    ) -> impl FnOnce(E) -> Self {
        move |source| Self { operation, subject: subject.to_string(), source: source.into() }
    }
}

/// Why a step of the platform failed.
#[derive(Debug, thiserror::Error)]
pub enum PlatformError {
    /// The kernel lacks something.
    #[error(transparent)]
    Kernel(#[from] KernelError),
    /// The zone's path or root is not fit.
    #[error(transparent)]
    Root(#[from] RootError),
    /// A path inside the zone is not what it must be.
    #[error(transparent)]
    Path(#[from] PathError),
    /// A setting of the kernel could not be written.
    #[error(transparent)]
    Sysctl(#[from] crate::sysctl::SysctlError),
    /// The root cannot be kept as `file-mac-profile` says.
    #[error(transparent)]
    Immutable(#[from] crate::immutable::ImmutableError),
    /// A file system of the zone's configuration is not fit.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// A device of the zone's configuration cannot be had.
    #[error(transparent)]
    Device(#[from] crate::devices::DeviceError),
    /// lxcfs cannot be had.
    #[error(transparent)]
    Lxcfs(#[from] crate::lxcfs::LxcfsError),
    /// A file with a secret, or with cloud-init's user data, is not fit.
    #[error(transparent)]
    Credential(#[from] crate::credentials::CredentialError),
    /// A file system does not answer.
    #[error(transparent)]
    Silent(#[from] crate::reach::Silent),
    /// The cgroup cannot be made or removed.
    #[error(transparent)]
    Cgroup(#[from] CgroupError),
    /// The zone's ids are another zone's too.
    #[error(transparent)]
    Ids(#[from] crate::ids::IdsError),
    /// The zone's network is not fit.
    #[error(transparent)]
    Network(Box<NetworkError>),
    /// `limitpriv` is not fit.
    #[error(transparent)]
    Privilege(#[from] PrivilegeError),
    /// A call to the system failed.
    #[error(transparent)]
    Failed(#[from] Failed),
    /// The zone has not been given ids.
    #[error("the zone has no ids on this host yet: install it")]
    NoIds,
    /// A step was run before one that it builds upon.
    #[error("step '{step}' needs what step '{needs}' makes: run the steps in their order")]
    Order {
        /// The step that was run.
        step: &'static str,
        /// The step that was not.
        needs: &'static str,
    },
}

impl From<NetworkError> for PlatformError {
    fn from(error: NetworkError) -> Self {
        // It is by far the largest, and is passed on through every step of an operation.
        Self::Network(Box::new(error))
    }
}
