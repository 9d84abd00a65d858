//! Keeps the addresses that DHCP servers give a live zone: asks when their time has come, and sleeps otherwise. Nothing of
//! this is remembered here but how long nobody has answered: what the zone has is in the record of its network.

use crate::blocking;
use crate::daemon::Daemon;
use crate::timer;
use rustix::fd::AsFd;
use std::net::Ipv4Addr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use zone_config::{Layout, ZoneName};
use zone_console::Notice;
use zone_platform::network::dhcp::{self, Change, Due, Held, Outcome};
use zone_platform::network::{self, NetworkError};
use zone_sys::Chain;
use zsched::wire::Status;

/// How long it rests before a net without an address asks anew, at first; twice as long each time, up to the second.
const FIRST_REST: Duration = Duration::from_secs(4);
const LAST_REST: Duration = Duration::from_secs(60);

/// Keeps them for every incarnation, as long as the daemon lives.
pub(crate) async fn keep(daemon: Rc<Daemon>) {
    let mut changes = daemon.changes();
    // A daemon that was killed may have done half of what is recorded.
    let mut inherited = true;
    loop {
        let status = *changes.borrow_and_update();
        if !status.lives() {
            inherited = false;
            if changes.changed().await.is_err() {
                return;
            }
            continue;
        }
        let another = |now: &Status| now.uniqid != status.uniqid || !now.lives();
        tokio::select! {
            () = keep_one(&daemon, &status, inherited) => {}
            // It has other nets, perhaps.
            () = daemon.nets.notified() => {}
            over = changes.wait_for(another) => if over.is_err() { return },
        }
        inherited = false;
    }
}

/// Keeps those of one incarnation; never ends by itself.
async fn keep_one(daemon: &Rc<Daemon>, incarnation: &Status, inherited: bool) {
    daemon.watches.addresses.forget();
    if inherited && let Err(error) = change(daemon, incarnation, dhcp::restore).await {
        tracing::warn!("what DHCP servers have given was not given again: {error}");
    }
    let held = match change(daemon, incarnation, dhcp::held).await {
        Ok(Some(held)) => held,
        Ok(None) => Vec::new(),
        Err(error) => {
            tracing::warn!("the addresses that DHCP servers have given are not renewed: {error}");
            Vec::new()
        }
    };
    daemon.watches(&daemon.watches.addresses, incarnation, !held.is_empty());
    let mut nets: Vec<_> = held.into_iter().map(|held| Net::new(held, dhcp::now())).collect();
    while let Some(net) = nets.iter_mut().filter(|net| net.at.is_some()).min_by_key(|net| net.at) {
        timer::until(net.at.unwrap_or_default()).await;
        net.see_to(daemon, incarnation).await;
    }
    // No net, or all that there are for ever.
    std::future::pending::<()>().await;
}

/// One net of the zone.
struct Net {
    held: Held,
    /// When something is to be done, in time since the host's boot; `None` for never.
    at: Option<Duration>,
    rest: Duration,
    /// What was said last of what is wrong with it.
    said: String,
}

impl Net {
    fn new(held: Held, now: Duration) -> Self {
        let at = match &held.lease {
            Some(lease) if lease.due(now) == Due::Nothing => lease.next(now),
            _ => Some(now),
        };
        Self { held, at, rest: FIRST_REST, said: String::new() }
    }

    /// Asks for what the net needs, and makes the answer so.
    async fn see_to(&mut self, daemon: &Rc<Daemon>, incarnation: &Status) {
        let over = self.held.lease.as_ref().is_some_and(|lease| lease.due(dhcp::now()) == Due::Expired);
        let outcome = if over {
            Outcome::Silent
        } else {
            match ask(daemon, self.held.clone()).await {
                Ok(outcome) => outcome,
                Err(error) => {
                    self.complain(&error);
                    Outcome::Silent
                }
            }
        };
        let (net, answer) = (self.held.net.clone(), outcome.clone());
        let told = self.told();
        let settled =
            change(daemon, incarnation, move |layout, zone| dhcp::settle(layout, zone, &net, answer));
        match settled.await {
            Ok(Some(change)) => {
                self.note(daemon, outcome, change);
                if self.held.lease.is_some() && self.told() != told {
                    tell(daemon, incarnation).await;
                }
            }
            // It is not that zone any more, or has lost its net.
            Ok(None) => self.rest(),
            Err(error) => {
                self.complain(&error);
                self.rest();
            }
        }
    }

    /// What the guest is told of what it has.
    fn told(&self) -> Option<(Vec<Ipv4Addr>, Vec<String>)> {
        self.held.lease.as_ref().map(|lease| (lease.nameservers.clone(), lease.search.clone()))
    }

    fn note(&mut self, daemon: &Daemon, outcome: Outcome, change: Change) {
        let net = &self.held.net;
        let told = match change {
            Change::None => None,
            Change::Given(address, server) => {
                Some(format!("NOTICE: net {net} has the address {address}, from the DHCP server {server}"))
            }
            Change::Lost(address) => Some(format!(
                "WARNING: net {net} has lost the address {address}, which no DHCP server has renewed"
            )),
        };
        if let Some(told) = told {
            tracing::info!("{told}");
            daemon.notice(Notice::Text(told));
        }
        self.held.lease = match (outcome, change) {
            (Outcome::Granted(lease), _) => Some(*lease),
            (Outcome::Refused, _) | (_, Change::Lost(_)) => None,
            (Outcome::Silent, _) => self.held.lease.take(),
        };
        let now = dhcp::now();
        match &self.held.lease {
            Some(lease) => {
                self.at = lease.next(now);
                self.rest = FIRST_REST;
            }
            // Who has just lost one asks at once.
            None if matches!(change, Change::Lost(_)) => self.at = Some(now),
            None => self.rest(),
        }
    }

    /// Tries again later.
    fn rest(&mut self) {
        self.at = Some(dhcp::now() + self.rest);
        self.rest = (self.rest * 2).min(LAST_REST);
    }

    /// Says what is wrong, once.
    fn complain(&mut self, error: &str) {
        if self.said != error {
            tracing::warn!("the address of net {} is not renewed: {error}", self.held.net);
            error.clone_into(&mut self.said);
        }
    }
}

/// Calls off what runs beside the event loop when nobody waits for it any more.
struct CallOff(Arc<AtomicBool>);

impl Drop for CallOff {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// Asks, beside the event loop. It changes nothing, so an operation may run meanwhile.
async fn ask(daemon: &Rc<Daemon>, held: Held) -> Result<Outcome, String> {
    let over = Arc::new(AtomicBool::new(false));
    let _call_off = CallOff(Arc::clone(&over));
    let zone = Arc::clone(&daemon.zone);
    let asked =
        blocking::run(move || dhcp::ask(&zone.layout, &zone.name, &held, &|| over.load(Ordering::Acquire)));
    told(asked.await)
}

/// Has the guest told of other nameservers.
async fn tell(daemon: &Rc<Daemon>, incarnation: &Status) {
    let zone = Arc::clone(&daemon.zone);
    let first = blocking::run(move || zone.keeper().fds().map(|(_, fds)| fds.pidfd)).await;
    let first = match first.map_err(|error| Chain(&error).to_string()) {
        Ok(Ok(first)) => first,
        Ok(Err(error)) => return untold(&Chain(&error).to_string()),
        Err(error) => return untold(&error),
    };
    let told = change(daemon, incarnation, move |layout, zone| network::retell(layout, zone, first.as_fd()));
    match told.await {
        Ok(told) => told.into_iter().flatten().for_each(|warning| tracing::warn!("{warning}")),
        Err(error) => untold(&error),
    }
}

fn untold(error: &str) {
    tracing::warn!("the guest is not told of its nameservers: {error}");
}

/// Does something with the zone's network while no operation runs; `None` if the zone is another one by then, or has none.
async fn change<T: Send + 'static>(
    daemon: &Rc<Daemon>,
    incarnation: &Status,
    work: impl FnOnce(&Layout, &ZoneName) -> Result<T, NetworkError> + Send + 'static,
) -> Result<Option<T>, String> {
    let _lock = daemon.slot.lock().await;
    let status = daemon.status();
    if status.uniqid != incarnation.uniqid || !status.lives() {
        return Ok(None);
    }
    let zone = Arc::clone(&daemon.zone);
    // Where there is nothing to be done no thread is made: after a crash all daemons of a host come here at once.
    if !zone.layout.zone_network(&zone.name).try_exists().unwrap_or(true) {
        return Ok(None);
    }
    told(blocking::run(move || work(&zone.layout, &zone.name)).await).map(Some)
}

fn told<T>(done: Result<Result<T, NetworkError>, blocking::NoResult>) -> Result<T, String> {
    match done {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => Err(Chain(&error).to_string()),
        Err(error) => Err(Chain(&error).to_string()),
    }
}
