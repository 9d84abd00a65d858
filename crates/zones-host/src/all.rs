//! All zones: booted and taken down in their order, several at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use zone_config::order::{self, Order, Place};
use zone_config::{Index, Layout, State, ZoneConfig, ZoneName};
use zone_sys::Chain;

use crate::child::Zoneadm;
use crate::deadline::Deadline;
use crate::{Failed, failed, say, settings, slots, unit};

/// Boots the zones that boot with the host, and those that they depend on. One that fails keeps nobody down.
pub(crate) fn boot(layout: &Layout) -> Result<(), Failed> {
    let most = slots::parallelism(&settings(layout));
    let mut order = Order::new(with_the_host(layout)?);
    let mut work = Work::default();
    while !order.is_over() {
        while work.under_way.len() < most
            && let Some(zone) = order.next()
        {
            let name = zone.clone();
            work.begin(zone, move || match Zoneadm::start(&name, &["boot"])?.wait() {
                true => Ok(()),
                false => Err(Some(format!("zone '{name}' has not booted, for the reason above"))),
            });
        }
        if let Some(zone) = work.next(None) {
            order.done(&zone);
        }
    }
    work.verdict()
}

/// Takes down whatever zone is up.
pub(crate) fn shutdown(layout: &Layout) -> Result<(), Failed> {
    let settings = settings(layout);
    let most = slots::parallelism(&settings);
    let deadline = Deadline::of(layout, &settings);
    let mut order = order::reversed(&live(layout)?);
    let mut work = Work::default();
    let begin = |work: &mut Work, zone: ZoneName| {
        let (layout, name) = (layout.clone(), zone.clone());
        work.begin(zone, move || unit::take_down(&layout, &name, Some(deadline)));
    };
    while !order.is_over() && !deadline.left().is_zero() {
        let orderly = deadline.orderly();
        if orderly.is_zero() {
            // No order any more.
            order.rest().into_iter().for_each(|zone| begin(&mut work, zone));
        }
        while work.under_way.len() < most
            && let Some(zone) = order.next()
        {
            begin(&mut work, zone);
        }
        let limit = if orderly.is_zero() { deadline.left() } else { orderly };
        if let Some(zone) = work.next(Some(limit)) {
            order.done(&zone);
        }
    }
    // Those that are still at it have no time left, and say so at once.
    while work.next(Some(Duration::from_secs(1))).is_some() {}
    for zone in std::mem::take(&mut work.under_way) {
        say(&format!("zone '{zone}' could not be stopped"));
        work.wrong = true;
    }
    rustix::fs::sync();
    work.verdict()
}

/// Installed zones with `autoboot`, and what they depend on.
fn with_the_host(layout: &Layout) -> Result<BTreeMap<ZoneName, Place>, Failed> {
    let index = Index::load(layout).map_err(|error| failed(&error))?;
    let mut installed = BTreeMap::new();
    for entry in index.entries().filter(|entry| entry.state == State::Installed) {
        match ZoneConfig::load(layout, &entry.name) {
            Ok(config) => {
                installed.insert(entry.name.clone(), (config.autoboot, Place::of(&config)));
            }
            Err(error) => {
                say(&format!("zone '{}' does not boot with the host: {}", entry.name, Chain(&error)));
            }
        }
    }
    let mut wanted: Vec<ZoneName> =
        installed.iter().filter(|(_, (autoboot, _))| *autoboot).map(|(name, _)| name.clone()).collect();
    let mut all = BTreeMap::new();
    while let Some(name) = wanted.pop() {
        let Some((_, place)) = installed.get(&name) else { continue };
        if all.insert(name, place.clone()).is_none() {
            wanted.extend(place.depends.iter().cloned());
        }
    }
    Ok(all)
}

/// Zones that are up, with their places. What cannot be asked is up.
fn live(layout: &Layout) -> Result<BTreeMap<ZoneName, Place>, Failed> {
    let index = Index::load(layout).map_err(|error| failed(&error))?;
    let is_down = |zone: &ZoneName| unit::state(layout, zone).is_ok_and(|state| state < State::Ready);
    let names = index.entries().map(|entry| &entry.name).filter(|zone| !is_down(zone));
    let place = |zone: &ZoneName| match ZoneConfig::load(layout, zone) {
        Ok(config) => Place::of(&config),
        Err(_) => Place::of(&ZoneConfig::defaults()),
    };
    Ok(names.map(|zone| (zone.clone(), place(zone))).collect())
}

/// Zones that something is done to, each in a thread of its own.
struct Work {
    under_way: BTreeSet<ZoneName>,
    wrong: bool,
    sender: Sender<(ZoneName, Result<(), Failed>)>,
    done: Receiver<(ZoneName, Result<(), Failed>)>,
}

impl Default for Work {
    fn default() -> Self {
        let (sender, done) = channel();
        Self { under_way: BTreeSet::new(), wrong: false, sender, done }
    }
}

impl Work {
    fn begin(&mut self, zone: ZoneName, what: impl FnOnce() -> Result<(), Failed> + Send + 'static) {
        let (sender, name) = (self.sender.clone(), zone.clone());
        let begun = std::thread::Builder::new().spawn(move || {
            let result = what();
            // Nobody waits any more for what took too long.
            let _ = sender.send((name, result));
        });
        if let Err(error) = begun {
            let why = format!("zone '{zone}': no thread: {}", Chain(&error));
            let _ = self.sender.send((zone.clone(), Err(Some(why))));
        }
        self.under_way.insert(zone);
    }

    /// Waits, for so long at most, for one that is through, and says what went wrong with it.
    fn next(&mut self, limit: Option<Duration>) -> Option<ZoneName> {
        if self.under_way.is_empty() {
            return None;
        }
        let done = match limit {
            Some(limit) => self.done.recv_timeout(limit),
            None => self.done.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        let (zone, result) = done.ok()?;
        self.under_way.remove(&zone);
        if let Err(why) = result {
            self.wrong = true;
            why.iter().for_each(|why| say(why));
        }
        Some(zone)
    }

    fn verdict(&self) -> Result<(), Failed> {
        if self.wrong { Err(None) } else { Ok(()) }
    }
}
