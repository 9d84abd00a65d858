//! Building the network of a zone, before there is a first process in it.

use std::net::IpAddr;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::Builder;

use ipnet::IpNet;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use zone_config::{IdRange, Layout, ZoneName};
use zone_net::build::{self as links, physical};
use zone_net::interface::Attachment;
use zone_net::managed::{self, ManagedError, Network};
use zone_net::names::Owner;
use zone_net::plan::{Host, Plan};
use zone_net::record::Record;
use zone_net::spec::{Addresses, Lower, NetworkSpec, PortSpec};
use zone_net::{Interface, foreign, guard, rt};

use super::look::claim;
use super::publish::{answer_loopback, forward, publish};
use super::{NetworkError, dhcp, inside};
use crate::build::missing;
use crate::{Build, PlatformError};

/// Begins to make the network of a zone that has nets, in a thread of its own: from the checks on nothing else of the zone is needed
/// for it but its network namespace, and it takes the kernel longer than all other steps.
pub(crate) fn begin(build: &mut Build<'_>) -> Result<(), PlatformError> {
    let spec = build.spec;
    if spec.network.nets.is_empty() {
        return Ok(());
    }
    let host = build.found.host.take().ok_or(missing("network", "check"))?;
    let netns = match spec.network.is_shared() {
        true => None,
        false => Some(build.namespaces.network(build.userns.as_fd()).map_err(NetworkError::Namespace)?),
    };
    let making = Making {
        layout: build.layout.clone(),
        zone: spec.zone.clone(),
        hostname: spec.hostname.clone(),
        ids: spec.ids,
        asked: spec.network.clone(),
        host,
        managed: build.found.managed.take(),
        netns,
    };
    build.network = Begun::begin(making)?;
    Ok(())
}

/// Waits for the network that was begun, and tells the guest of it.
pub(crate) fn bring_up(build: &mut Build<'_>) -> Result<(), PlatformError> {
    if build.spec.network.nets.is_empty() {
        // Nothing but loopback; of a shared zone that, too, is only the host's to change.
        if build.spec.network.is_shared() {
            let netns = shared(build.spec.ids)?;
            links::configure(&[], netns.as_fd()).map_err(NetworkError::from)?;
            build.netns = Some(netns);
        }
        inside::describe_loopback(build)?;
        return Ok(());
    }
    let begun = std::mem::take(&mut build.network);
    // What a DHCP server will give is not known yet.
    let known = begun.recorded().filter(|record| record.interfaces.iter().all(|net| !net.dhcp));
    known.iter().try_for_each(|record| inside::describe(build, record))?;
    let Made { netns, mut record, told } = begun.finish().ok_or(missing("network", "begin"))??;
    told.into_iter().for_each(|sentence| build.warn(sentence));
    if known.is_none() {
        let owner = Owner { installation: build.layout.id(), zone: &build.spec.zone };
        dhcp::first(build, owner, &mut record, netns.as_fd())?;
        inside::describe(build, &record)?;
    }
    build.netns = Some(netns);
    Ok(())
}

/// Makes the namespace that the links of a shared zone are for: one of the host's user namespace.
fn shared(ids: Option<IdRange>) -> Result<OwnedFd, NetworkError> {
    let failed = |errno: rustix::io::Errno| NetworkError::Namespace(errno.into());
    let netns = rt::namespace::make().map_err(failed)?;
    if let Some(ids) = ids {
        // In one of its own the zone's first process does the one itself, and its root needs no leave for the other.
        let allow = || {
            rt::sysctl::allow_ping(ids.base, ids.base + (ids.count - 1))?;
            rt::sysctl::allow_low_ports()
        };
        rt::namespace::within(netns.as_fd(), allow).map_err(failed)??;
    }
    Ok(netns)
}

/// A network that is being made. Dropped, it is waited for: what it has made so far is then there to be taken down. The end of its
/// thread is not waited for, as it closes a socket of netfilter, which may take the kernel 10 to 20 ms.
#[derive(Debug, Default)]
pub(crate) struct Begun(Option<Told>);

/// What the thread tells.
#[derive(Debug)]
struct Told {
    recorded: Receiver<Record>,
    made: Receiver<Result<Made, NetworkError>>,
}

impl Begun {
    fn begin(making: Making) -> Result<Self, NetworkError> {
        let ((tell_recorded, recorded), (tell, made)) = (mpsc::channel(), mpsc::channel());
        let make = move || tell.send(making.make(&tell_recorded)).unwrap_or_default();
        let begun = Builder::new().name("network".to_owned()).spawn(make);
        begun.map_err(|error| NetworkError::Namespace(error.into()))?;
        Ok(Self(Some(Told { recorded, made })))
    }

    /// Waits until it is on record what will be made; `None` if that will not come.
    fn recorded(&self) -> Option<Record> {
        self.0.as_ref()?.recorded.recv().ok()
    }

    /// Waits for it; `None` if it was not begun.
    fn finish(mut self) -> Option<Result<Made, NetworkError>> {
        self.0.take()?.made.recv().ok()
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        if let Some(told) = self.0.take() {
            let _ = told.made.recv();
        }
    }
}

/// What was made.
#[derive(Debug)]
struct Made {
    netns: OwnedFd,
    record: Record,
    /// What is to be warned of, a sentence each.
    told: Vec<String>,
}

/// All that a zone's network is made of.
struct Making {
    layout: Layout,
    zone: ZoneName,
    hostname: String,
    ids: Option<IdRange>,
    asked: NetworkSpec,
    host: Host,
    managed: Option<Network>,
    /// The zone's namespace; none for a shared zone, for which one is made.
    netns: Option<OwnedFd>,
}

impl Making {
    /// Makes the links, rules and addresses of the zone. What is to be is recorded before anything of it is, and told then.
    fn make(self, recorded: &Sender<Record>) -> Result<Made, NetworkError> {
        let Self { layout, zone, hostname, ids, asked, host, managed, netns } = self;
        let owner = Owner { installation: layout.id(), zone: &zone };
        let netns = netns.map_or_else(|| shared(ids), Ok)?;
        let network = match managed {
            None if asked.uses_managed() => Some(Network::on_host(&layout)?),
            found => found,
        };
        let leases = match &network {
            Some(network) => lease(&layout, owner, &asked, network)?,
            None => Vec::new(),
        };
        let plan = Plan { owner, spec: &asked, host: &host, managed: network.as_ref() };
        let interfaces = plan.interfaces(|number| leases.get(number).cloned().unwrap_or_default())?;
        guard::check(&interfaces)?;
        let mut record = record(network.is_some(), &interfaces, &asked.ports)?;
        record.hostname = hostname;
        claim(&layout, &zone, &asked, &record)?;
        zone_fail::pass!("network.recorded");
        // Nobody listens where another step has failed.
        let _ = recorded.send(record.clone());
        let told = build(&layout, owner, &record, network.as_ref(), netns.as_fd())?;
        Ok(Made { netns, record, told })
    }
}

/// Builds what is on record, and tells what is to be warned of.
fn build(
    layout: &Layout,
    owner: Owner<'_>,
    record: &Record,
    network: Option<&Network>,
    netns: BorrowedFd<'_>,
) -> Result<Vec<String>, NetworkError> {
    let Record { interfaces, ports, .. } = record;
    // What is only read and written down, while the kernel makes the rest.
    let prepare = || {
        // Not touched, but told: with them the zone would be cut off without a word.
        let others = network.map(|network| foreign::look(&network.bridge)).transpose();
        (guard::prepare(owner, nets(interfaces, ports)), others)
    };
    std::thread::scope(|scope| {
        let (tell, prepared) = mpsc::channel();
        let begun = Builder::new().name("rules".to_owned());
        // Without a thread it is done below.
        let _ = begun.spawn_scoped(scope, move || tell.send(prepare()).unwrap_or_default());
        // Until the zone's links are there, this keeps the last other zone from taking the network along.
        let ready = network.map(|network| managed::ensure(layout, network)).transpose()?;
        let vlans = record.shares_vlan_link() && ready.is_none();
        let _lock = vlans.then(|| managed::lock(layout)).transpose()?;
        if ready.is_some() {
            zone_fail::pass!("network.managed");
        }
        let mut told = ready.as_ref().map(|ready| ready.told.clone()).unwrap_or_default();
        let forwarded = forward(interfaces, !ports.is_empty())?;
        if record.keeps_namespace() {
            physical::pin(netns, &layout.zone_netns(owner.zone))?;
            zone_fail::pass!("network.pinned");
        }
        links::create(interfaces, netns)?;
        zone_fail::pass!("network.linked");
        let (guard, others) = prepared.recv().unwrap_or_else(|_| prepare());
        told.extend(others.map_err(NetworkError::Foreign)?.iter().flatten().map(ToString::to_string));
        told.extend(forwarded);
        // Before a link of the host is up: no frame passes before its rules.
        // Where nobody holds it yet, only until the tables that zones share are there: from then on the links keep them.
        let alone = ready.is_none() && !vlans;
        let guard = || {
            let lock =
                (alone && guard::is_any_guarded(interfaces)).then(|| managed::lock(layout)).transpose()?;
            let shared = guard::share(owner.installation, interfaces)?;
            drop(lock);
            zone_fail::pass!("network.shared");
            Ok::<_, NetworkError>(guard?.apply(&shared)?)
        };
        let (guarded, configured) = links::configure_inside(interfaces, netns, guard);
        guarded?;
        configured?;
        zone_fail::pass!("network.guarded");
        publish(owner, interfaces, ports, network)?;
        zone_fail::pass!("network.published");
        links::set_up(interfaces)?;
        answer_loopback(interfaces, ports, network)?;
        zone_fail::pass!("network.configured");
        Ok(told)
    })
}

/// What the guard of a zone is about.
pub(super) fn nets<'a>(interfaces: &'a [Interface], ports: &[PortSpec]) -> guard::Nets<'a> {
    guard::Nets { interfaces, published: !ports.is_empty() }
}

/// Has addresses of the managed network given to the nets that want some, and those set aside that were given by hand.
pub(super) fn lease(
    layout: &Layout,
    owner: Owner<'_>,
    asked: &NetworkSpec,
    network: &Network,
) -> Result<Vec<Vec<IpNet>>, ManagedError> {
    let names: Vec<&str> = asked.nets.iter().map(|net| net.physical.as_str()).collect();
    managed::retain(layout, owner.zone, &names)?;
    let one = |net: &zone_net::spec::NetSpec| match &net.addresses {
        Addresses::Managed => managed::allocate(layout, network, owner.zone, &net.physical),
        Addresses::Given(given) if net.lower == Lower::Managed => {
            let addresses: Vec<IpAddr> = given.iter().map(|address| address.ip).collect();
            managed::reserve(layout, network, owner.zone, &net.physical, &addresses).map(|()| Vec::new())
        }
        _ => Ok(Vec::new()),
    };
    asked.nets.iter().map(one).collect()
}

fn record(managed: bool, interfaces: &[Interface], ports: &[PortSpec]) -> Result<Record, NetworkError> {
    let mut record = Record::new(managed, interfaces.to_vec(), ports.to_vec());
    for interface in interfaces {
        if let Attachment::Physical { link } = &interface.attachment {
            record.physical.push(physical::record(link)?);
        }
    }
    Ok(record)
}
