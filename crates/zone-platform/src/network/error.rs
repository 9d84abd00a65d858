//! What is wrong with the network of a zone.

use std::error::Error;
use std::net::Ipv4Addr;

use zone_config::index::IndexError;
use zone_net::build::NetError;
use zone_net::dhcp::DhcpError;
use zone_net::forwarding::ForwardingError;
use zone_net::managed::ManagedError;
use zone_net::plan::PlanError;
use zone_net::record::RecordError;
use zone_net::rt::sysctl;
use zone_net::{firewall, guard, nft};

/// Why the network of a zone cannot be built or taken down.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// What is asked cannot be built on this host.
    #[error(transparent)]
    Plan(Box<PlanError>),
    /// The managed network is not fit.
    #[error(transparent)]
    Managed(Box<ManagedError>),
    /// The kernel has no rules.
    #[error(
        "this kernel has no nf_tables, without which there is no link protection, no managed network and no port: load the module nf_tables, or ask for none of them"
    )]
    NoRules(#[source] nft::Error),
    /// The rules of others cannot be read.
    #[error("cannot read the rules of this host")]
    Foreign(#[source] nft::Error),
    /// A rule cannot be made or removed.
    #[error(transparent)]
    Guard(Box<guard::Error>),
    /// A link cannot be made or taken away.
    #[error(transparent)]
    Net(Box<NetError>),
    /// What was built cannot be read or noted.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// A port cannot lead into the zone.
    #[error(transparent)]
    Ports(Box<firewall::Error>),
    /// The host cannot be made to forward.
    #[error(transparent)]
    Forwarding(Box<ForwardingError>),
    /// A setting of a link cannot be written.
    #[error(transparent)]
    Setting(#[from] sysctl::Error),
    /// The index of zones cannot be read.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// A DHCP server cannot be asked.
    #[error(transparent)]
    Dhcp(Box<DhcpError>),
    /// An answer was made in the zone.
    #[error(
        "net {net}: the zone was given {address} by nobody on the net's bridge, only by itself; it does not get that"
    )]
    Forged {
        /// The net.
        net: String,
        /// The address.
        address: Ipv4Addr,
    },
    /// What is to be shared with the host is the zone's own.
    #[error(
        "the zone's first process has gone to a network namespace of its own making; 'zoneadm reboot' puts an end to that"
    )]
    Elsewhere,
    /// It is not known what the zone is.
    #[error("cannot read what the zone runs with")]
    Snapshot(#[source] Box<dyn Error + Send + Sync>),
    /// What zones share stays where nobody uses it.
    #[error("cannot take away what zones share of the network and none uses")]
    Released(#[source] Box<crate::PlatformError>),
    /// The zone's network cannot be found again.
    #[error("the zone's network namespace is not kept any more; 'zoneadm reboot' makes it anew")]
    NotKept,
    /// There is no network namespace to build it in.
    #[error("cannot make the zone's network namespace")]
    Namespace(#[source] Box<dyn Error + Send + Sync>),
}

/// Boxes what is large: an error is passed on through every step of an operation.
macro_rules! boxed {
    ($($variant:ident: $error:ty,)*) => {
        $(impl From<$error> for NetworkError {
            fn from(error: $error) -> Self {
                Self::$variant(Box::new(error))
            }
        })*
    };
}

boxed! {
    Dhcp: DhcpError,
    Ports: firewall::Error,
    Plan: PlanError,
    Managed: ManagedError,
    Net: NetError,
    Forwarding: ForwardingError,
    Guard: guard::Error,
}
