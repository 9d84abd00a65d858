//! All zones: booted and taken down in their order, several at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use zone_config::order::{self, Order, Place};
use zone_config::{Index, Layout, Settings, State, ZoneConfig, ZoneName};
use zone_sys::Chain;

use crate::child::Zoneadm;
use crate::deadline::Deadline;
use crate::{Failed, failed, ready, say, settings, slots, unit};

/// Boots the zones that boot with the host, and those that they depend on. One that fails keeps nobody down, and one that is to be
/// ready before others boot keeps none from booting but those.
pub(crate) fn boot(layout: &Layout) -> Result<(), Failed> {
    let most = slots::parallelism(&settings(layout));
    let mut order = Order::new(with_the_host(layout)?);
    let mut work = Work::default();
    // Of those under way the ones that have booted, and are to become ready.
    let mut booted = BTreeSet::new();
    while !order.is_over() {
        while work.under_way.len() - booted.len() < most
            && let Some(zone) = order.next()
        {
            let name = zone.clone();
            work.begin(zone, move || match Zoneadm::start(&name, &["boot"])?.wait() {
                true => Ok(()),
                false => Err(Some(format!("zone '{name}' has not booted, for the reason above"))),
            });
        }
        let Some((zone, well)) = work.next(None) else { continue };
        if !booted.remove(&zone) && well && unit::is_waited_for(layout, &zone) {
            booted.insert(zone.clone());
            let (layout, name) = (layout.clone(), zone.clone());
            work.begin(zone, move || {
                ready::becomes_ready(&layout, &name);
                Ok(())
            });
        } else {
            order.done(&zone);
        }
    }
    work.verdict()
}

/// Takes down whatever zone is up, within the time that `deadline` makes of the settings.
pub(crate) fn shutdown(layout: &Layout, deadline: impl FnOnce(&Settings) -> Deadline) -> Result<(), Failed> {
    let settings = settings(layout);
    let most = slots::parallelism(&settings);
    let deadline = deadline(&settings);
    let mut work = Work::default();
    let index = Index::load(layout).inspect_err(|error| {
        say(&Chain(error).to_string());
        work.wrong = true;
    });
    let mut order = order::reversed(&live(layout, index.ok().as_ref()));
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
        if let Some((zone, _)) = work.next(Some(limit)) {
            order.done(&zone);
        }
    }
    // The time can be over before their turn has come: then they are halted without one.
    order.rest().into_iter().for_each(|zone| begin(&mut work, zone));
    // Each of them ends by itself in the time that it has, and once it has been asked what became of it.
    let limit = || deadline.left().max(unit::LAST) + unit::ANSWER + Duration::from_secs(1);
    while work.next(Some(limit())).is_some() {}
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
    // By the priorities that all have together, as systemd has them (zone-generator).
    let places = order::effective(installed.into_iter().map(|(name, (_, place))| (name, place)));
    while let Some(name) = wanted.pop() {
        let Some(place) = places.get(&name) else { continue };
        if all.insert(name, place.clone()).is_none() {
            wanted.extend(place.depends.iter().cloned());
        }
    }
    Ok(all)
}

/// Zones that are up, with their places. What cannot be asked is up.
fn live(layout: &Layout, index: Option<&Index>) -> BTreeMap<ZoneName, Place> {
    let is_down = |zone: &ZoneName| unit::state(layout, zone).is_ok_and(|state| state < State::Ready);
    let place = |zone: &ZoneName| match ZoneConfig::load(layout, zone) {
        Ok(config) => Place::of(&config),
        Err(_) => Place::of(&ZoneConfig::defaults()),
    };
    let up = candidates(layout, index).into_iter().filter(|zone| !is_down(zone));
    up.map(|zone| (zone.clone(), place(&zone))).collect()
}

/// Zones that may be up: those that are configured, and whatever has been up, since an index that lacks a zone does not end it.
fn candidates(layout: &Layout, index: Option<&Index>) -> BTreeSet<ZoneName> {
    let configured = index.into_iter().flat_map(Index::entries).map(|entry| entry.name.clone());
    configured.chain(layout.run_zones()).collect()
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

    /// Waits, for so long at most, for one that is through, says what went wrong with it, and tells whether nothing has.
    fn next(&mut self, limit: Option<Duration>) -> Option<(ZoneName, bool)> {
        if self.under_way.is_empty() {
            return None;
        }
        let done = match limit {
            Some(limit) => self.done.recv_timeout(limit),
            None => self.done.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        let (zone, result) = done.ok()?;
        self.under_way.remove(&zone);
        let well = result.is_ok();
        if let Err(why) = result {
            self.wrong = true;
            why.iter().for_each(|why| say(why));
        }
        Some((zone, well))
    }

    fn verdict(&self) -> Result<(), Failed> {
        if self.wrong { Err(None) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host() -> (tempfile::TempDir, Layout) {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(Some(dir.path().to_owned())).unwrap();
        std::fs::create_dir_all(layout.etc()).unwrap();
        (dir, layout)
    }

    fn install(layout: &Layout, zones: &[(&str, &str)]) {
        let mut index = String::new();
        for (zone, config) in zones {
            index.push_str(&format!("{zone}:installed:/z/{zone}:00000000-0000-4000-8000-000000000000\n"));
            let text = format!("zonepath = \"/z/{zone}\"\n{config}");
            std::fs::write(layout.config(&zone.parse().unwrap()), text).unwrap();
        }
        std::fs::write(layout.index(), index).unwrap();
    }

    #[test]
    fn who_has_a_run_directory_may_be_up_whatever_the_index_says() {
        let (_dir, layout) = host();
        install(&layout, &[("web", "")]);
        std::fs::create_dir_all(layout.zone_run(&"lost".parse().unwrap())).unwrap();
        let names = |index: Option<&Index>| {
            let found = candidates(&layout, index);
            found.iter().map(ZoneName::as_str).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(names(Some(&Index::load(&layout).unwrap())), "lost web");
        assert_eq!(names(None), "lost");
        assert!(live(&layout, None).is_empty(), "of which nothing lives");
    }

    #[test]
    fn zones_boot_by_the_priorities_that_systemd_has() {
        let (_dir, layout) = host();
        install(
            &layout,
            &[
                ("db", "autoboot = true\n"),
                ("hand", "boot-priority = \"high\"\ndepends = [\"db\"]\n"),
                ("mail", "autoboot = true\ndepends = [\"spam\"]\n"),
                ("spam", "boot-priority = \"low\"\n"),
            ],
        );
        let found = with_the_host(&layout).unwrap();
        let found: Vec<String> =
            found.iter().map(|(zone, place)| format!("{zone} {:?}", place.priority)).collect();
        assert_eq!(found, ["db High", "mail Normal", "spam Normal"]);
    }
}
