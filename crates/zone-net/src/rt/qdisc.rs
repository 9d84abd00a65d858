//! Queues of links: how much they let through.

use netlink_packet_core::DefaultNla;
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::tc::{TcAttribute, TcHandle, TcMessage, TcOption};

use super::Request;

/// How much a token bucket filter lets through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Bytes in a second.
    pub rate: u64,
    /// Bytes that may go at once after a pause.
    pub burst: u32,
    /// Bytes that may wait; what is more is dropped.
    pub limit: u32,
}

impl Rate {
    /// Chooses burst and queue for a rate in bits in a second: 5 ms at once but at least ten packets, for a timer fires
    /// late; 50 ms of waiting, which is little for who talks and enough for TCP to fill the line.
    #[must_use]
    pub fn of(bits: u64) -> Self {
        const LEAST: u64 = 16 * 1024;
        let rate = (bits / 8).max(1);
        let most = u64::from(u32::MAX / 2);
        let burst = (rate / 200).clamp(LEAST, most);
        let limit = burst.saturating_add(rate / 20).clamp(2 * LEAST, most);
        let narrow = |bytes: u64| u32::try_from(bytes).unwrap_or(u32::MAX / 2);
        Self { rate, burst: narrow(burst), limit: narrow(limit) }
    }

    /// `TCA_TBF_*` of linux/pkt_sched.h.
    fn options(&self) -> Vec<TcOption> {
        const PARMS: u16 = 1;
        const RATE64: u16 = 4;
        const BURST: u16 = 6;
        /// Time is counted in units of 64 ns (`PSCHED_SHIFT`).
        const TICK: u64 = 64;
        const ETHERNET: u8 = 1; // TC_LINKLAYER_ETHERNET: the kernel then needs no table of rates
        let whole = u32::try_from(self.rate).unwrap_or(u32::MAX);
        let time = u64::from(self.burst).saturating_mul(1_000_000_000) / self.rate / TICK;
        // struct tc_tbf_qopt: two tc_ratespec (rate, and none for the peak), limit, buffer, mtu.
        let mut parms = vec![0, ETHERNET, 0, 0, 0, 0, 0, 0];
        parms.extend(whole.to_ne_bytes());
        parms.extend([0; 12]);
        parms.extend(self.limit.to_ne_bytes());
        parms.extend(u32::try_from(time).unwrap_or(u32::MAX).to_ne_bytes());
        parms.extend([0; 4]);
        let mut options = vec![(PARMS, parms), (BURST, self.burst.to_ne_bytes().to_vec())];
        if whole == u32::MAX {
            options.push((RATE64, self.rate.to_ne_bytes().to_vec()));
        }
        let other = |(kind, value)| TcOption::Other(DefaultNla::new(kind, value));
        options.into_iter().map(other).collect()
    }
}

/// Limits what a link sends, with a token bucket filter in the place of its queue.
pub fn limit(link: u32, rate: &Rate) -> Request<'static> {
    let attributes = vec![TcAttribute::Kind("tbf".to_owned()), TcAttribute::Options(rate.options())];
    let message = RouteNetlinkMessage::NewQueueDiscipline(root(link, attributes));
    Request::replace(message, "limit the bandwidth of the link number ", link.to_string())
}

/// Gives a link its own queue back.
pub fn delete(link: u32) -> Request<'static> {
    let message = RouteNetlinkMessage::DelQueueDiscipline(root(link, Vec::new()));
    Request::change(message, "end the limit of the link number ", link.to_string())
}

fn root(link: u32, attributes: Vec<TcAttribute>) -> TcMessage {
    let mut message = TcMessage::with_index(link.cast_signed());
    message.header.parent = TcHandle::ROOT;
    message.attributes = attributes;
    message
}
