//! Tells of processes of the zone that the kernel has killed for want of memory, and of CPUs of its own that it has no more. Woken by
//! the kernel, never by time.

use crate::blocking;
use crate::daemon::Daemon;
use crate::readable;
use rustix::fd::OwnedFd;
use std::rc::Rc;
use std::time::Duration;
use tokio::io::unix::AsyncFd;
use zone_config::{IdRange, Snapshot, ZoneConfig};
use zone_console::Notice;
use zone_door::Event;
use zone_live::OomSeen;
use zone_platform::cgroup::Usage;
use zone_platform::cgroup::oom::{self, Killed};
use zone_sys::Chain;
use zsched::wire::Status;

/// How long it rests after it has told something: what is killed meanwhile is told together. A zone can have its processes killed as
/// often as it likes.
const REST: Duration = Duration::from_secs(1);
/// As many are named at a time.
const NAMED: usize = 8;

/// Tells of one incarnation; never ends by itself.
pub(crate) async fn keep_one(daemon: &Rc<Daemon>, incarnation: &Status) {
    let mut told = Told { lost: None, ids: ids(daemon), uniqid: incarnation.uniqid };
    look(daemon, incarnation);
    if let Some(events) = watch(daemon) {
        // What came before this daemon, too.
        while told.tell(daemon).await {
            let Ok(mut ready) = events.readable().await else { break };
            oom::drain(events.get_ref());
            ready.clear_ready();
        }
    }
    std::future::pending::<()>().await;
}

/// Sees whether the zone has limits whose events are to be told when they happen. What is killed of one without is told by the next
/// daemon.
pub(crate) fn look(daemon: &Daemon, incarnation: &Status) {
    let limited = daemon.zone.config().is_none_or(|config| is_limited(&config));
    daemon.watches(&daemon.watches.limits, incarnation, limited);
}

fn is_limited(config: &ZoneConfig) -> bool {
    !config.capped_memory.is_empty() || !config.dedicated_cpu.is_empty()
}

fn ids(daemon: &Daemon) -> Option<IdRange> {
    Snapshot::load(daemon.layout(), daemon.name()).ok().map(|snapshot| snapshot.idmap)
}

fn watch(daemon: &Daemon) -> Option<AsyncFd<OwnedFd>> {
    let watched = match oom::watch(daemon.layout(), daemon.name()) {
        Ok(watched) => watched?,
        Err(error) => {
            tracing::warn!("nobody tells of processes that are killed for want of memory: {}", Chain(&error));
            return None;
        }
    };
    readable::watch(watched).ok()
}

/// What has been told.
struct Told {
    uniqid: u64,
    ids: Option<IdRange>,
    /// What the kernel said last of the partition of CPUs.
    lost: Option<String>,
}

impl Told {
    /// Tells what there is to tell. Whether the zone still has a cgroup.
    async fn tell(&mut self, daemon: &Rc<Daemon>) -> bool {
        let Some(usage) = Usage::of(daemon.layout(), daemon.name()) else { return false };
        let kills = usage.oom_kills.unwrap_or_default();
        let seen = OomSeen::load(daemon.layout(), daemon.name(), self.uniqid);
        let seen = seen.unwrap_or(OomSeen { uniqid: self.uniqid, ..OomSeen::default() });
        if kills > seen.kills || seen.record == 0 {
            let (killed, record) = self.read_log(seen.record).await;
            // To be told twice is better than never.
            self.say(daemon, &usage, kills - seen.kills.min(kills), &killed);
            let seen = OomSeen { kills, record: record.max(1), ..seen };
            if let Err(error) = seen.save(daemon.layout(), daemon.name()) {
                tracing::warn!("{}", Chain(&error));
            }
        }
        if usage.own_cpus_lost != self.lost {
            if let Some(state) = &usage.own_cpus_lost {
                let text = format!("WARNING: the zone's own CPUs are shared with others by now ({state})");
                tracing::warn!("{text}");
                daemon.notice(Notice::Text(text));
            }
            self.lost = usage.own_cpus_lost;
        }
        if kills > seen.kills {
            tokio::time::sleep(REST).await;
        }
        true
    }

    /// Reads who was killed, beside the event loop.
    async fn read_log(&self, since: u64) -> (Vec<Killed>, u64) {
        let Some(ids) = self.ids else { return (Vec::new(), since) };
        blocking::run(move || oom::killed(ids, since)).await.unwrap_or((Vec::new(), since))
    }

    /// Tells of `new` processes that were killed, the last of whom may be known.
    fn say(&self, daemon: &Daemon, usage: &Usage, new: u64, killed: &[Killed]) {
        let fresh = usize::try_from(new).unwrap_or(usize::MAX);
        // What an earlier incarnation had killed is in the log as well.
        let named = &killed[killed.len().saturating_sub(fresh.min(NAMED))..];
        let total = usage.oom_kills.unwrap_or_default();
        let limit = usage.memory.and_then(|memory| memory.limit);
        let limit =
            limit.map_or_else(String::new, |limit| format!(" of the {} that the zone may have", size(limit)));
        for one in named {
            let Killed { pid, process, bytes } = one;
            let text = format!(
                "WARNING: out of memory: the kernel has killed process {pid} ({process}), which had {}{limit}",
                size(*bytes)
            );
            self.event(daemon, text, Some(one), total);
        }
        let rest = fresh.saturating_sub(named.len());
        if rest > 0 {
            let more = if named.is_empty() { "" } else { " more" };
            let text =
                format!("WARNING: out of memory: the kernel has killed {rest}{more} of the zone's processes");
            self.event(daemon, text, None, total);
        }
    }

    fn event(&self, daemon: &Daemon, text: String, killed: Option<&Killed>, count: u64) {
        tracing::warn!("{text}");
        let _ = daemon.events.send(Event::OomKill {
            process: killed.map(|killed| killed.process.clone()),
            pid: killed.map(|killed| killed.pid),
            bytes: killed.map(|killed| killed.bytes),
            count,
        });
        daemon.notice(Notice::Text(text));
    }
}

/// A size for people.
fn size(bytes: u64) -> String {
    match bytes {
        ..=1_048_575 => format!("{} KiB", bytes >> 10),
        _ => format!("{} MiB", bytes >> 20),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn sizes_are_for_people() {
        assert_eq!((super::size(4096), super::size(96 << 20)), ("4 KiB".to_owned(), "96 MiB".to_owned()));
    }
}
