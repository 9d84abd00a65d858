//! What a DHCP server has given, and until when.

use std::net::Ipv4Addr;
use std::time::Duration;

use ipnet::Ipv4Net;
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

use super::message::{Answer, Route};
use crate::Mac;

/// A lease is not renewed sooner: that costs the host something, and anybody may say how soon.
const SOONEST: u64 = 5;

/// An address that a DHCP server has given for a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Lease {
    /// The address, and the length of the prefix of its network.
    pub address: Ipv4Net,
    /// The server, as it calls itself.
    pub server: Ipv4Addr,
    /// Who on the link the server's words come from: itself, or the router on the way to it.
    pub server_mac: Mac,
    /// When it was given, in seconds since the epoch: for people.
    pub granted: u64,
    /// The nameservers of that network.
    #[serde(default)]
    pub nameservers: Vec<Ipv4Addr>,
    /// Lists the domains that names without a dot are looked for in, in order.
    #[serde(default)]
    pub search: Vec<String>,
    /// Until when it is good; `None` of one that is good for ever.
    #[serde(default)]
    pub times: Option<Times>,
    /// The routes by its routers.
    #[serde(default)]
    pub routes: Vec<Route>,
}

/// The times of a lease, in seconds since the host's boot, also those that it slept: a zone lives no longer than that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Times {
    /// When its server is to be asked for more (T1).
    pub renew: u64,
    /// When any server is (T2).
    pub rebind: u64,
    /// When it is over.
    pub expire: u64,
}

/// What a lease needs at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Means that the lease is good, and need not be renewed yet.
    Nothing,
    /// To be renewed by its server.
    Renew,
    /// To be renewed by any server.
    Rebind,
    /// To be given up.
    Expired,
}

impl Lease {
    /// Takes what a server acknowledges; `asked` is when it was asked, from which the time counts. `None` if that is no
    /// address that a zone could use, or good for no time.
    pub(super) fn of(answer: &Answer, server: Ipv4Addr, asked: Duration, wall: u64) -> Option<Self> {
        let address = answer.address()?;
        let times = match answer.seconds? {
            0 => return None,
            u32::MAX => None,
            seconds => Some(Times::of(asked.as_secs(), seconds, answer.renew, answer.rebind)),
        };
        Some(Self {
            address,
            server,
            server_mac: answer.from,
            granted: wall,
            nameservers: answer.nameservers.clone(),
            search: answer.search.clone(),
            times,
            routes: answer.routes.clone(),
        })
    }

    /// Tells what it needs now.
    #[must_use]
    pub fn due(&self, now: Duration) -> Due {
        let now = now.as_secs();
        match self.times {
            Some(times) if now >= times.expire => Due::Expired,
            Some(times) if now >= times.rebind => Due::Rebind,
            Some(times) if now >= times.renew => Due::Renew,
            _ => Due::Nothing,
        }
    }

    /// Tells when it needs something next that it does not need now, or the same again because nobody has answered; `None`
    /// of one that is good for ever. RFC 2131, section 4.4.5: after half of the time that is left, but not within the minute.
    #[must_use]
    pub fn next(&self, now: Duration) -> Option<Duration> {
        const AGAIN: u64 = 60;
        let times = self.times?;
        let now = now.as_secs();
        let again = |until: u64| (now + ((until - now) / 2).max(AGAIN)).min(until);
        let next = match () {
            () if now < times.renew => times.renew,
            () if now < times.rebind => again(times.rebind),
            () if now < times.expire => again(times.expire),
            () => now,
        };
        Some(Duration::from_secs(next))
    }

    /// For how long it is still good, in seconds; `None` for ever.
    #[must_use]
    pub fn left(&self, now: Duration) -> Option<u32> {
        let left = self.times?.expire.saturating_sub(now.as_secs());
        Some(u32::try_from(left).unwrap_or(u32::MAX - 1))
    }

    /// Tells whether a link that has the one has the other, but for how long it is good.
    #[must_use]
    pub fn is_same_to_link(&self, other: &Self) -> bool {
        self.address == other.address && self.routes == other.routes
    }
}

impl Times {
    /// RFC 2131, section 4.4.5, where the server says nothing, or nothing that can be kept to.
    fn of(asked: u64, seconds: u32, renew: Option<u32>, rebind: Option<u32>) -> Self {
        let seconds = u64::from(seconds);
        let rebind = rebind.map(u64::from).filter(|rebind| *rebind <= seconds).unwrap_or(seconds * 7 / 8);
        let renew = renew.map(u64::from).filter(|renew| *renew <= rebind).unwrap_or(seconds / 2);
        let renew = renew.max(SOONEST).min(seconds);
        Self { renew: asked + renew, rebind: asked + rebind.max(renew), expire: asked + seconds }
    }
}

/// The time since the host's boot, by which leases are counted.
#[must_use]
pub fn now() -> Duration {
    Duration::try_from(clock_gettime(ClockId::Boottime)).unwrap_or_default()
}

/// The seconds since the epoch.
#[must_use]
pub fn wall() -> u64 {
    clock_gettime(ClockId::Realtime).tv_sec.unsigned_abs()
}

/// A lease for ever, with a default route.
#[cfg(test)]
pub(crate) fn tests_lease(address: &str, router: &str) -> Lease {
    let router = router.parse().unwrap();
    Lease {
        address: address.parse().unwrap(),
        server: router,
        server_mac: Mac([2, 0, 0, 0, 0, 1]),
        granted: 1,
        nameservers: Vec::new(),
        search: Vec::new(),
        times: None,
        routes: vec![Route { to: Ipv4Net::default(), via: Some(router) }],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lease(times: Option<Times>) -> Lease {
        Lease { times, ..tests_lease("192.0.2.7/24", "192.0.2.1") }
    }

    #[test]
    fn what_is_due_follows_from_the_time() {
        let lease = lease(Some(Times::of(1000, 800, None, None)));
        let at = |secs| Duration::from_secs(secs);
        assert_eq!(lease.times, Some(Times { renew: 1400, rebind: 1700, expire: 1800 }));
        for (now, due, next) in [
            (1000, Due::Nothing, 1400),
            (1399, Due::Nothing, 1400),
            (1400, Due::Renew, 1550),
            (1600, Due::Renew, 1660),
            (1690, Due::Renew, 1700),
            (1700, Due::Rebind, 1760),
            (1799, Due::Rebind, 1800),
            (1800, Due::Expired, 1800),
            (9000, Due::Expired, 9000),
        ] {
            assert_eq!((lease.due(at(now)), lease.next(at(now))), (due, Some(at(next))), "{now}");
        }
        assert_eq!(
            (lease.left(at(1000)), lease.left(at(1799)), lease.left(at(9000))),
            (Some(800), Some(1), Some(0))
        );
    }

    #[test]
    fn one_for_ever_needs_nothing() {
        let lease = lease(None);
        let late = Duration::from_secs(u64::from(u32::MAX) * 9);
        assert_eq!((lease.due(late), lease.next(late), lease.left(late)), (Due::Nothing, None, None));
    }

    proptest! {
        /// Whatever a server says, it is asked again only later, and never after the end.
        #[test]
        fn times_are_in_order(asked in 0_u64..1 << 40, seconds in 1_u32..u32::MAX, renew in any::<Option<u32>>(), rebind in any::<Option<u32>>()) {
            let times = Times::of(asked, seconds, renew, rebind);
            prop_assert!(asked < times.renew && times.renew <= times.rebind && times.rebind <= times.expire);
        }

        #[test]
        fn the_next_time_is_later(seconds in 1_u32..u32::MAX, now in 0_u64..u64::from(u32::MAX)) {
            let lease = lease(Some(Times::of(0, seconds, None, None)));
            let now = Duration::from_secs(now);
            let next = lease.next(now).unwrap();
            prop_assert!(next > now || lease.due(now) == Due::Expired);
        }
    }
}
