//! One exchange of a client with the servers of a link (RFC 2131, section 4.4): for an address, or for more time with the
//! one that it has. Time is what the caller says it is.

use std::net::Ipv4Addr;
use std::time::Duration;

use super::lease::{Due, Lease};
use super::message::{Answer, Kind, Words};
use crate::Mac;

/// How long an answer is waited for at first, and at most. RFC 2131 has four seconds and 64, of networks of its time: somebody
/// waits for the zone to boot.
const FIRST: Duration = Duration::from_millis(500);
const LAST: Duration = Duration::from_secs(16);
/// After so many requests a server that has offered an address is given up.
const TAKES: u32 = 3;

/// Holds one exchange with the servers of a link, from the first question to what comes of it.
#[derive(Clone, Debug)]
pub struct Client {
    state: State,
    xid: u32,
    /// When it began.
    begun: Duration,
    /// When what it waits for an answer to was said first: from then a lease counts.
    asked: Duration,
    /// When something is to be said next.
    at: Duration,
    /// How often it was said.
    tries: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Selecting,
    Taking { address: Ipv4Addr, server: Ipv4Addr },
    Keeping { address: Ipv4Addr, server: Option<(Ipv4Addr, Mac)> },
}

/// What comes of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// Means that the answer was none to what was asked, or not the last one.
    Nothing,
    /// An address was given, or more time with it.
    Granted(Lease),
    /// The address that the client has is not its own any more.
    Refused,
}

impl Client {
    /// Begins an exchange; one that needs a lease renewed asks who the time that it `is` due to, another asks for any address. `xid`
    /// is a number that nobody can guess.
    #[must_use]
    pub fn new(lease: Option<&Lease>, xid: u32, now: Duration) -> Self {
        let keeping = |lease: &Lease, server| State::Keeping { address: lease.address.addr(), server };
        let state = match lease.map(|lease| (lease, lease.due(now))) {
            None | Some((_, Due::Expired)) => State::Selecting,
            Some((lease, Due::Nothing | Due::Renew)) => {
                keeping(lease, Some((lease.server, lease.server_mac)))
            }
            Some((lease, Due::Rebind)) => keeping(lease, None),
        };
        Self { state, xid, begun: now, asked: now, at: now, tries: 0 }
    }

    /// The number of the exchange.
    #[must_use]
    pub fn xid(&self) -> u32 {
        self.xid
    }

    /// When something is to be said.
    #[must_use]
    pub fn at(&self) -> Duration {
        self.at
    }

    /// For how many seconds it goes on.
    #[must_use]
    pub fn secs(&self, now: Duration) -> u16 {
        u16::try_from(now.saturating_sub(self.begun).as_secs()).unwrap_or(u16::MAX)
    }

    /// Gives what is to be said now, if anything is.
    pub fn say(&mut self, now: Duration) -> Option<Words> {
        if now < self.at {
            return None;
        }
        if matches!(self.state, State::Taking { .. }) && self.tries >= TAKES {
            self.turn(State::Selecting, now);
        }
        if self.tries == 0 {
            self.asked = now;
        }
        let doubled = FIRST * 2_u32.saturating_pow(self.tries.min(10));
        self.at = now + doubled.min(LAST) + self.jitter();
        self.tries = self.tries.saturating_add(1);
        Some(match self.state {
            State::Selecting => Words::Discover,
            State::Taking { address, server } => Words::Take { address, server },
            State::Keeping { address, server } => Words::Keep { address, server },
        })
    }

    /// Takes an answer to this exchange; `wall` is the time of the day, for people.
    pub fn hear(&mut self, answer: &Answer, now: Duration, wall: u64) -> Heard {
        match (self.state, answer.kind) {
            (State::Selecting, Kind::Offer) => {
                if let (Some(server), Some(_)) = (answer.server, answer.address()) {
                    self.turn(State::Taking { address: answer.yours, server }, now);
                }
                Heard::Nothing
            }
            (State::Taking { address, server }, Kind::Ack)
                if answer.server == Some(server) && answer.yours == address =>
            {
                Lease::of(answer, server, self.asked, wall).map_or(Heard::Nothing, Heard::Granted)
            }
            (State::Taking { server, .. }, Kind::Nak) if answer.server == Some(server) => {
                self.turn(State::Selecting, now + FIRST);
                Heard::Nothing
            }
            (State::Keeping { server, .. }, Kind::Ack | Kind::Nak) => self.kept(answer, server, wall),
            _ => Heard::Nothing,
        }
    }

    fn kept(&self, answer: &Answer, asked: Option<(Ipv4Addr, Mac)>, wall: u64) -> Heard {
        let Some(server) = answer.server.filter(|server| asked.is_none_or(|(asked, _)| asked == *server))
        else {
            return Heard::Nothing;
        };
        match answer.kind {
            Kind::Nak => Heard::Refused,
            _ => Lease::of(answer, server, self.asked, wall).map_or(Heard::Nothing, Heard::Granted),
        }
    }

    fn turn(&mut self, state: State, at: Duration) {
        (self.state, self.at, self.tries) = (state, at, 0);
    }

    /// Clients that were started together are not to speak together for ever.
    fn jitter(&self) -> Duration {
        Duration::from_millis(u64::from(self.xid.rotate_left(self.tries) & 0xff))
    }
}

#[cfg(test)]
mod tests {
    use super::super::message::tests::ack;
    use super::*;

    const SERVER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
    const ROGUE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 66);
    const ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 7);

    fn at(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    fn of(kind: Kind, server: Ipv4Addr) -> Answer {
        Answer { kind, server: Some(server), ..ack(ADDRESS) }
    }

    fn granted(heard: Heard) -> Lease {
        let Heard::Granted(lease) = heard else { panic!("{heard:?}") };
        lease
    }

    fn leased() -> Lease {
        let mut client = Client::new(None, 5, at(100));
        assert_eq!(client.say(at(100)), Some(Words::Discover));
        assert_eq!(client.hear(&of(Kind::Offer, SERVER), at(101), 0), Heard::Nothing);
        assert_eq!(client.say(at(102)), Some(Words::Take { address: ADDRESS, server: SERVER }));
        granted(client.hear(&of(Kind::Ack, SERVER), at(103), 77))
    }

    #[test]
    fn an_offer_is_taken_and_counts_from_the_request() {
        let lease = leased();
        assert_eq!(
            (lease.address.to_string(), lease.server, lease.granted),
            ("192.0.2.7/24".to_owned(), SERVER, 77)
        );
        assert_eq!(lease.times.unwrap().expire, 102 + 3600);
    }

    #[test]
    fn who_is_not_answered_asks_again_and_less_often() {
        let mut client = Client::new(None, 5, at(100));
        let mut now = at(100);
        let mut gaps = Vec::new();
        for _ in 0..8 {
            assert_eq!(client.say(now), Some(Words::Discover));
            assert_eq!(client.say(now), None);
            gaps.push((client.at() - now).as_secs());
            now = client.at();
        }
        assert_eq!(gaps, [0, 1, 2, 4, 8, 16, 16, 16]);
        assert_eq!(client.secs(now), 64);
    }

    #[test]
    fn only_the_server_that_is_asked_is_heard() {
        let mut client = Client::new(None, 5, at(0));
        client.say(at(0));
        for early in [Kind::Ack, Kind::Nak] {
            assert_eq!(client.hear(&of(early, SERVER), at(0), 0), Heard::Nothing);
        }
        client.hear(&of(Kind::Offer, SERVER), at(0), 0);
        // A second offer comes too late.
        client.hear(&of(Kind::Offer, ROGUE), at(0), 0);
        assert_eq!(client.say(at(0)), Some(Words::Take { address: ADDRESS, server: SERVER }));
        let other = Answer { yours: Ipv4Addr::new(192, 0, 2, 8), ..of(Kind::Ack, SERVER) };
        for odd in [
            of(Kind::Ack, ROGUE),
            of(Kind::Nak, ROGUE),
            other,
            Answer { server: None, ..of(Kind::Ack, SERVER) },
        ] {
            assert_eq!(client.hear(&odd, at(1), 0), Heard::Nothing, "{odd:?}");
        }
        granted(client.hear(&of(Kind::Ack, SERVER), at(1), 0));
    }

    #[test]
    fn a_server_that_offers_and_is_gone_or_refuses_is_given_up() {
        let mut client = Client::new(None, 5, at(0));
        client.say(at(0));
        client.hear(&of(Kind::Offer, SERVER), at(0), 0);
        let mut now = at(0);
        for _ in 0..TAKES {
            assert!(matches!(client.say(now), Some(Words::Take { .. })));
            now = client.at();
        }
        assert_eq!(client.say(now), Some(Words::Discover));
        client.hear(&of(Kind::Offer, SERVER), now, 0);
        assert!(matches!(client.say(now), Some(Words::Take { .. })));
        client.hear(&of(Kind::Nak, SERVER), now, 0);
        assert_eq!(client.say(now), None, "not at once");
        assert_eq!(client.say(now + FIRST), Some(Words::Discover));
    }

    #[test]
    fn a_lease_is_renewed_by_its_server_and_then_by_any() {
        let lease = leased();
        let renew = at(lease.times.unwrap().renew);
        let mut client = Client::new(Some(&lease), 6, renew);
        let server = Some((SERVER, lease.server_mac));
        assert_eq!(client.say(renew), Some(Words::Keep { address: ADDRESS, server }));
        for odd in [of(Kind::Ack, ROGUE), of(Kind::Nak, ROGUE), of(Kind::Offer, SERVER)] {
            assert_eq!(client.hear(&odd, renew, 0), Heard::Nothing);
        }
        let mut refused = client.clone();
        assert_eq!(refused.hear(&of(Kind::Nak, SERVER), renew, 0), Heard::Refused);
        let longer = granted(client.hear(&of(Kind::Ack, SERVER), renew + at(1), 0));
        assert_eq!(longer.times.unwrap().expire, renew.as_secs() + 3600);

        let rebind = at(lease.times.unwrap().rebind);
        let mut client = Client::new(Some(&lease), 6, rebind);
        assert_eq!(client.say(rebind), Some(Words::Keep { address: ADDRESS, server: None }));
        let moved = granted(client.hear(&of(Kind::Ack, ROGUE), rebind, 0));
        assert_eq!(moved.server, ROGUE);
        let over = at(lease.times.unwrap().expire);
        assert_eq!(Client::new(Some(&lease), 6, over).say(over), Some(Words::Discover));
    }

    #[test]
    fn what_no_host_can_have_is_not_taken() {
        for (yours, mask) in [
            ("0.0.0.0", None),
            ("127.0.0.1", None),
            ("224.0.0.1", None),
            ("255.255.255.255", None),
            ("192.0.2.0", None),
            ("192.0.2.255", None),
            ("192.0.2.7", Some("255.0.255.0")),
            ("192.0.2.7", Some("0.0.0.0")),
        ] {
            let mut client = Client::new(None, 5, at(0));
            client.say(at(0));
            let mut offer = Answer { yours: yours.parse().unwrap(), mask: None, ..of(Kind::Offer, SERVER) };
            offer.mask = mask.map(|mask| mask.parse().unwrap());
            client.hear(&offer, at(0), 0);
            assert_eq!(client.state, State::Selecting, "{yours} {mask:?}");
        }
        let mut client = Client::new(None, 5, at(0));
        client.say(at(0));
        client.hear(&of(Kind::Offer, SERVER), at(0), 0);
        let mut none = of(Kind::Ack, SERVER);
        for seconds in [None, Some(0)] {
            none.seconds = seconds;
            assert_eq!(client.hear(&none, at(0), 0), Heard::Nothing, "for no time");
        }
        none.seconds = Some(u32::MAX);
        assert_eq!(granted(client.hear(&none, at(0), 0)).times, None);
    }
}
