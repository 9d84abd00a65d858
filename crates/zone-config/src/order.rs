//! In which order zones boot, and go down: by what they depend on, then by their priority. What a zone depends on has at least the
//! priority of that zone, since it boots before it ([`effective`]).

use std::collections::{BTreeMap, BTreeSet};

use crate::config::BootPriority;
use crate::{Index, Layout, ZoneConfig, ZoneName};

/// What a zone's place in the order follows from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Zones that come before it.
    pub depends: BTreeSet<ZoneName>,
    /// Zones of a higher priority come before it.
    pub priority: BootPriority,
}

impl Place {
    /// Takes it from a configuration.
    #[must_use]
    pub fn of(config: &ZoneConfig) -> Self {
        Self { depends: dependencies(&config.depends), priority: config.boot_priority }
    }
}

/// Zones that are to boot, each at most once, as soon as all have that come before it. What a zone depends on and is not among
/// them is not waited for.
#[derive(Clone, Debug, Default)]
pub struct Order {
    waiting: BTreeMap<ZoneName, Place>,
    under_way: BTreeMap<ZoneName, Place>,
}

impl Order {
    /// Orders zones, by their [`effective`] priorities.
    pub fn new(zones: impl IntoIterator<Item = (ZoneName, Place)>) -> Self {
        Self { waiting: effective(zones), under_way: BTreeMap::new() }
    }

    /// Gives a zone that may boot now, and is then under way; `None` while all others wait for one that is, and at the end.
    /// Where all wait for each other, the first of them by priority and name goes before its time.
    #[expect(
        clippy::should_implement_trait,
        reason = "what comes next follows from what is done between two calls"
    )]
    pub fn next(&mut self) -> Option<ZoneName> {
        let may = self.waiting.iter().find(|(_, place)| !self.is_early(place)).map(|(name, _)| name);
        let first = || {
            let circle = self.under_way.is_empty().then_some(&self.waiting)?;
            circle.iter().min_by_key(|(_, place)| rank(place.priority)).map(|(name, _)| name)
        };
        let name = may.or_else(first)?.clone();
        let place = self.waiting.remove(&name)?;
        self.under_way.insert(name.clone(), place);
        Some(name)
    }

    /// Notes that a zone has booted, or failed to.
    pub fn done(&mut self, zone: &ZoneName) {
        self.under_way.remove(zone);
    }

    /// Tells whether nothing waits and nothing is under way.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.waiting.is_empty() && self.under_way.is_empty()
    }

    /// Gives the zones that wait, to be done with in any order.
    pub fn rest(&mut self) -> Vec<ZoneName> {
        std::mem::take(&mut self.waiting).into_keys().collect()
    }

    fn is_early(&self, place: &Place) -> bool {
        let mut before = self.waiting.iter().chain(&self.under_way);
        before
            .any(|(name, other)| place.depends.contains(name) || rank(other.priority) < rank(place.priority))
    }
}

/// Raises the priority of each zone to the highest of those that depend on it, over whichever others. By its own alone it would have to
/// boot after a zone that boots after it, and nobody could obey both.
#[must_use]
pub fn effective(zones: impl IntoIterator<Item = (ZoneName, Place)>) -> BTreeMap<ZoneName, Place> {
    let mut zones: BTreeMap<ZoneName, Place> = zones.into_iter().collect();
    for priority in [BootPriority::High, BootPriority::Normal] {
        let of_it = zones.values().filter(|place| place.priority == priority);
        let mut depends: Vec<ZoneName> = of_it.flat_map(|place| &place.depends).cloned().collect();
        while let Some(name) = depends.pop() {
            let Some(place) = zones.get_mut(&name) else { continue };
            // One that is there already has handed it on, or does so by itself.
            if rank(place.priority) > rank(priority) {
                place.priority = priority;
                depends.extend(place.depends.iter().cloned());
            }
        }
    }
    zones
}

/// The same zones the other way round, as they go down: a zone goes when all have gone that depend on it, and all of a lower
/// priority.
#[must_use]
pub fn reversed(zones: &BTreeMap<ZoneName, Place>) -> Order {
    // Raised before they are turned round: else a zone would go down as early as what it depends on, which is to go down after it.
    let zones = effective(zones.clone());
    let backwards = |priority| match priority {
        BootPriority::High => BootPriority::Low,
        BootPriority::Normal => BootPriority::Normal,
        BootPriority::Low => BootPriority::High,
    };
    let depending = |on: &ZoneName| {
        let those = zones.iter().filter(|(_, place)| place.depends.contains(on));
        those.map(|(name, _)| name.clone()).collect()
    };
    Order::new(zones.iter().map(|(name, place)| {
        (name.clone(), Place { depends: depending(name), priority: backwards(place.priority) })
    }))
}

/// The higher the priority, the lower the number.
fn rank(priority: BootPriority) -> u8 {
    match priority {
        BootPriority::High => 0,
        BootPriority::Normal => 1,
        BootPriority::Low => 2,
    }
}

/// What is wrong with what a zone depends on. The sentence goes on after the word `depends`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DependsError {
    /// The zone would have to boot before itself.
    #[error("leads back to the zone: {}: none of them could boot before the others; take one out of another's depends",
        .0.iter().map(ZoneName::as_str).collect::<Vec<_>>().join(" -> "))]
    Circle(Vec<ZoneName>),
    /// There is no such zone.
    #[error("names '{0}', and no such zone is configured; the zone boots without it")]
    Unknown(ZoneName),
}

impl DependsError {
    /// Tells whether a zone can be booted all the same.
    #[must_use]
    pub fn is_harmless(&self) -> bool {
        matches!(self, Self::Unknown(_))
    }
}

/// Looks at what a zone would depend on, beside the other zones as they are configured. One whose configuration cannot be read
/// depends on nothing here; its own verify says why.
#[must_use]
pub fn check(layout: &Layout, index: &Index, zone: &ZoneName, depends: &[String]) -> Vec<DependsError> {
    let own = dependencies(depends);
    let mut known: BTreeMap<ZoneName, BTreeSet<ZoneName>> = BTreeMap::from([(zone.clone(), own.clone())]);
    let unknown = own.iter().filter(|name| *name != zone && index.get(name).is_none());
    let unknown = unknown.cloned().map(DependsError::Unknown).collect();
    let mut on = |name: &ZoneName| {
        let of = |name: &ZoneName| ZoneConfig::load(layout, name).map(|config| dependencies(&config.depends));
        known.entry(name.clone()).or_insert_with(|| of(name).unwrap_or_default()).clone()
    };
    match circle(zone, &mut on) {
        Some(circle) => vec![DependsError::Circle(circle)],
        None => unknown,
    }
}

fn dependencies(words: &[String]) -> BTreeSet<ZoneName> {
    words.iter().filter_map(|name| name.parse().ok()).collect()
}

/// Finds a shortest way from a zone over what is depended on back to it, with the zone at both ends.
fn circle(zone: &ZoneName, on: &mut impl FnMut(&ZoneName) -> BTreeSet<ZoneName>) -> Option<Vec<ZoneName>> {
    let mut from: BTreeMap<ZoneName, ZoneName> = BTreeMap::new();
    let mut queue = std::collections::VecDeque::from([zone.clone()]);
    while let Some(here) = queue.pop_front() {
        for next in on(&here) {
            if next == *zone {
                let way = std::iter::successors(Some(&here), |name| from.get(*name));
                let mut way: Vec<ZoneName> = std::iter::once(zone).chain(way).cloned().collect();
                way.reverse();
                return Some(way);
            }
            if !from.contains_key(&next) {
                from.insert(next.clone(), here.clone());
                queue.push_back(next);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> ZoneName {
        text.parse().unwrap()
    }

    fn zones(lines: &[(&str, &str, BootPriority)]) -> BTreeMap<ZoneName, Place> {
        let place = |depends: &str, priority| Place {
            depends: depends.split_whitespace().map(name).collect(),
            priority,
        };
        lines.iter().map(|(zone, depends, priority)| (name(zone), place(depends, *priority))).collect()
    }

    /// What may run side by side, step by step.
    fn steps(mut order: Order) -> Vec<String> {
        let mut steps = Vec::new();
        while !order.is_over() {
            let now: Vec<ZoneName> = std::iter::from_fn(|| order.next()).collect();
            assert!(!now.is_empty());
            now.iter().for_each(|zone| order.done(zone));
            steps.push(now.iter().map(ZoneName::as_str).collect::<Vec<_>>().join(" "));
        }
        steps
    }

    use BootPriority::{High, Low, Normal};

    #[test]
    fn zones_boot_after_what_they_depend_on_and_go_down_before_it() {
        let zones = zones(&[
            ("web", "db auth", Normal),
            ("auth", "db", Normal),
            ("db", "elsewhere", Normal),
            ("mail", "", Normal),
            ("late", "", Low),
            ("first", "", High),
        ]);
        assert_eq!(steps(Order::new(zones.clone())), ["first", "db mail", "auth", "web", "late"]);
        assert_eq!(steps(reversed(&zones)), ["late", "mail web", "auth", "db", "first"]);
    }

    #[test]
    fn who_waits_for_each_other_boots_all_the_same() {
        let zones = zones(&[("a", "b", Normal), ("b", "a", Normal), ("c", "", Normal)]);
        assert_eq!(steps(Order::new(zones.clone())), ["c", "a", "b"]);
        // All that are in it have the highest priority of any.
        let zones = self::zones(&[("a", "b", Normal), ("b", "a", High), ("c", "", Normal)]);
        assert_eq!(steps(Order::new(zones)), ["a", "b", "c"]);
    }

    #[test]
    fn what_a_zone_of_high_priority_depends_on_has_that_priority_too() {
        let zones = zones(&[
            ("web", "db", High),
            ("db", "disk", Normal),
            ("disk", "", Low),
            ("auth", "", Normal),
            ("late", "", Low),
        ]);
        assert_eq!(steps(Order::new(zones.clone())), ["disk", "db", "web", "auth", "late"]);
        assert_eq!(steps(reversed(&zones)), ["late", "auth", "web", "db", "disk"]);
    }

    #[test]
    fn a_priority_is_raised_and_never_lowered() {
        let of =
            |lines| effective(zones(lines)).into_values().map(|place| place.priority).collect::<Vec<_>>();
        assert_eq!(of(&[("a", "b", Low), ("b", "c", Normal), ("c", "", High)]), [Low, Normal, High]);
        // Whoever else depends on it, and whatever is not there.
        assert_eq!(of(&[("a", "c gone", Normal), ("b", "c", High), ("c", "", Low)]), [Normal, High, High]);
    }

    #[test]
    fn one_that_is_under_way_keeps_others_waiting() {
        let mut order = Order::new(zones(&[("a", "", Normal), ("b", "a", Normal)]));
        assert_eq!(order.next(), Some(name("a")));
        assert_eq!(order.next(), None);
        assert!(!order.is_over());
        order.done(&name("a"));
        assert_eq!(order.next(), Some(name("b")));
    }

    struct Host {
        _dir: tempfile::TempDir,
        layout: Layout,
    }

    impl Host {
        fn with(zones: &[(&str, &str)]) -> Self {
            let dir = tempfile::tempdir().unwrap();
            let layout = Layout::new(Some(dir.path().to_owned())).unwrap();
            std::fs::create_dir_all(layout.etc()).unwrap();
            let mut index = String::new();
            for (zone, depends) in zones {
                index.push_str(&format!("{zone}:configured:/z/{zone}:\n"));
                let text = format!("zonepath = \"/z/{zone}\"\ndepends = [{depends}]\n");
                std::fs::write(layout.config(&name(zone)), text).unwrap();
            }
            std::fs::write(layout.index(), index).unwrap();
            Self { _dir: dir, layout }
        }

        fn check(&self, zone: &str, depends: &[&str]) -> Vec<String> {
            let index = Index::load(&self.layout).unwrap();
            let depends: Vec<String> = depends.iter().map(|&name| name.to_owned()).collect();
            let found = check(&self.layout, &index, &name(zone), &depends);
            found.iter().map(ToString::to_string).collect()
        }
    }

    #[test]
    fn a_circle_is_named_and_so_is_a_zone_that_is_not_there() {
        let host =
            Host::with(&[("a", ""), ("b", "\"c\""), ("c", "\"a\", \"x\""), ("d", "\"d2\""), ("d2", "\"d\"")]);
        assert!(host.check("a", &["b"])[0].starts_with("leads back to the zone: a -> b -> c -> a: "));
        assert!(host.check("a", &["a"])[0].contains(": a -> a: "));
        assert!(host.check("a", &["c", "b"])[0].contains(": a -> c -> a: "), "the shortest");
        assert_eq!(
            host.check("new", &["gone"]),
            ["names 'gone', and no such zone is configured; the zone boots without it"]
        );
        // One that others are in, and this zone is not, is theirs to be told.
        assert!(host.check("a", &["d"]).is_empty());
        assert!(host.check("a", &[]).is_empty());
    }
}
