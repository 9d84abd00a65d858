//! `zoneadm events`: what happens to zones, as their daemons tell it.

use std::io::Write as _;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::AsFd;
use serde::Serialize;
use zone_config::{Layout, State, ZoneName};
use zone_door::{CallError, Client, Event};
use zsched::wire::Attendance;

use crate::cli::watch::EventsArgs;
use crate::context::Context;
use crate::message::{Failure, Outcome, harmless};
use crate::output::Output;
use crate::{live, sanity, time};

/// How often it is looked for a daemon where there is none, and for zones that are new.
const LOOK: Duration = Duration::from_millis(500);
/// As many events are kept for whoever reads what is printed, beside the one that each zone begins with.
const KEPT: usize = 256;

/// What happened, and to whom.
#[derive(Serialize)]
struct Told {
    time: String,
    zone: String,
    #[serde(flatten)]
    event: Event,
}

pub(crate) fn run(cx: &Context, args: EventsArgs) -> Outcome {
    sanity::only_root_here("follow the events of zones")?;
    let mut known = zones(cx)?;
    if !args.follow {
        let mut out = Output::new();
        for zone in &known {
            let event = Event::State { state: state(cx, zone)?, uniqid: None };
            out.line(&line(&told(zone, event), args.json))?;
        }
        return out.end();
    }
    let (sender, receiver) = sync_channel(KEPT + known.len());
    for zone in &known {
        watch(&cx.layout, zone, &sender)?;
    }
    let mut out = Output::raw()?;
    loop {
        match receiver.recv_timeout(LOOK) {
            Ok(told) => {
                let line = line(&told, args.json);
                match writeln!(out, "{line}").and_then(|()| out.flush()) {
                    Ok(()) => {}
                    Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {
                        return Err(Failure::Unread);
                    }
                    Err(error) => return Err(Failure::general(error)),
                }
            }
            // The sender that is ours keeps the channel open. Those that were configured meanwhile are followed as well.
            Err(_) => {
                if has_no_reader(&out) {
                    return Err(Failure::Unread);
                }
                let now = zones(cx).unwrap_or_default();
                for zone in now.iter().filter(|zone| !known.contains(zone)) {
                    watch(&cx.layout, zone, &sender)?;
                }
                known.extend(now.into_iter().filter(|zone| !known.contains(zone)).collect::<Vec<_>>());
            }
        }
    }
}

/// Whether nobody can read any more what is written: where nothing happens, nothing is written that could fail.
fn has_no_reader(out: &impl AsFd) -> bool {
    let mut fds = [PollFd::new(out, PollFlags::empty())];
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut fds, Some(&at_once)).is_ok_and(|count| count > 0)
        && fds[0].revents().intersects(PollFlags::ERR | PollFlags::HUP)
}

fn state(cx: &Context, zone: &ZoneName) -> Outcome<State> {
    let live = live::ask(&cx.layout, zone).map_err(Failure::of(zone))?;
    let stored = cx.index()?.get(zone).map_or(State::Configured, |entry| entry.state);
    Ok(live::state(live.as_ref(), stored))
}

fn told(zone: &ZoneName, event: Event) -> Told {
    Told { time: time::local(time::now()), zone: zone.to_string(), event }
}

/// The way of a zone's events to whoever prints them, who may wait for a reader for as long as that likes.
struct Way {
    zone: ZoneName,
    events: SyncSender<Told>,
    /// How many were not taken and not told of.
    lost: u64,
}

/// The program ends.
struct NobodyPrints;

impl Way {
    /// Hands on an event; what is not taken is counted. Whether it was taken.
    fn tell(&mut self, event: Event) -> Result<bool, NobodyPrints> {
        let missed = if let Event::Lost { count } = event { count } else { 1 };
        let taken = self.offer(event)?;
        if !taken {
            self.lost = self.lost.saturating_add(missed);
        }
        Ok(taken)
    }

    /// Hands on an event, before it how many were lost, if there is room for both. Whether it was taken.
    fn offer(&mut self, event: Event) -> Result<bool, NobodyPrints> {
        if self.lost > 0 && self.hand(Event::Lost { count: self.lost })? {
            self.lost = 0;
        }
        Ok(self.lost == 0 && self.hand(event)?)
    }

    fn hand(&self, event: Event) -> Result<bool, NobodyPrints> {
        match self.events.try_send(told(&self.zone, event)) {
            Ok(()) => Ok(true),
            Err(TrySendError::Full(_)) => Ok(false),
            Err(TrySendError::Disconnected(_)) => Err(NobodyPrints),
        }
    }
}

/// Follows one zone: its daemon while there is one, and else its state.
fn watch(layout: &Layout, zone: &ZoneName, events: &SyncSender<Told>) -> Outcome {
    let (layout, zone) = (layout.clone(), zone.clone());
    let mut way = Way { zone: zone.clone(), events: events.clone(), lost: 0 };
    let follow = move || {
        let mut last = None;
        loop {
            if let Some(all) = reached(&layout, &zone).and_then(|door| door.monitor().ok()) {
                for event in all.map_while(Result::ok) {
                    let state = if let Event::State { state, .. } = &event { Some(*state) } else { None };
                    // A stream begins with the state, which may be known.
                    if state.is_some() && last == state {
                        continue;
                    }
                    match way.tell(event) {
                        Ok(told) if state.is_some() => last = state.filter(|_| told),
                        Ok(_) => {}
                        Err(NobodyPrints) => return,
                    }
                }
            } else if let Some(state) = quiet(&layout, &zone).filter(|state| last != Some(*state)) {
                // What is not taken now is looked for again.
                match way.offer(Event::State { state, uniqid: None }) {
                    Ok(told) => last = Some(state).filter(|_| told),
                    Err(NobodyPrints) => return,
                }
            }
            thread::sleep(LOOK);
        }
    };
    thread::Builder::new().spawn(follow).map_err(Failure::general)?;
    Ok(())
}

/// Connects to the zone's daemon if there is one; also to one that has left because nothing needed it: it is needed now.
pub(super) fn reached(layout: &Layout, zone: &ZoneName) -> Option<Client> {
    let run = layout.zone_run(zone);
    let rests = || {
        let live = live::ask_among_others(layout, zone).ok().flatten();
        live.is_some_and(|status| status.daemon == Attendance::Rests)
    };
    match Client::connect(&run) {
        Err(CallError::NotListening { .. }) if rests() => Client::connect_waiting(&run).ok(),
        reached => reached.ok(),
    }
}

/// The state of a zone that has no daemon; none if it is not known, or there is no such zone any more.
fn quiet(layout: &Layout, zone: &ZoneName) -> Option<State> {
    let live = live::ask_among_others(layout, zone).ok()?;
    let index = zone_config::Index::load(layout).ok()?;
    Some(live::state(live.as_ref(), index.get(zone)?.state))
}

fn line(told: &Told, json: bool) -> String {
    if json && let Ok(text) = serde_json::to_string(told) {
        return text;
    }
    let what = match &told.event {
        Event::State { state, .. } => format!("is {state}"),
        Event::Step { operation, step } => format!("{operation}: {step}"),
        Event::Notice { text } => format!("notice: {text}"),
        Event::Exit { exit } => {
            let how = serde_json::to_string(&exit.how).unwrap_or_default();
            let status = exit.status.map_or_else(String::new, |status| format!(", status {status}"));
            let signal = exit.signal.map_or_else(String::new, |signal| format!(", signal {signal}"));
            format!("has ended: {}{status}{signal}", how.trim_matches('"'))
        }
        Event::Ready { .. } => "says that it is ready".to_owned(),
        Event::Lost { count } => format!("{count} events were missed"),
        Event::OomKill { process, pid, .. } => {
            let process = process.as_deref().unwrap_or("a process");
            let pid = pid.map_or_else(String::new, |pid| format!(" ({pid})"));
            format!("{process}{pid} was killed for want of memory")
        }
    };
    harmless(&format!("{} {} {}", told.time, told.zone, zone_locale::here(&what))).into_owned()
}

fn zones(cx: &Context) -> Outcome<Vec<ZoneName>> {
    cx.named_or_all("events operation is invalid for the global zone.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_reader_takes_is_counted_and_told_before_the_next() {
        let (events, printed) = sync_channel(2);
        let mut way = Way { zone: "web".parse().unwrap(), events, lost: 0 };
        let mut tell = |text: &str| way.tell(Event::Notice { text: text.to_owned() }).is_ok_and(|told| told);
        assert_eq!(["a", "b", "c", "d"].map(&mut tell), [true, true, false, false]);
        let next = || line(&printed.try_recv().unwrap(), false).split_once(" web ").unwrap().1.to_owned();
        assert_eq!(next(), "notice: a");
        // There is room for how many were lost, and for no more; this one comes to those.
        assert!(!tell("e"));
        assert_eq!([next(), next()], ["notice: b", "2 events were missed"]);
        assert!(tell("f"));
        assert_eq!([next(), next()], ["1 events were missed", "notice: f"]);
        // What the daemon could not hand on comes to them, too.
        assert!(tell("g") && tell("h"));
        assert!(!way.tell(Event::Lost { count: 7 }).is_ok_and(|told| told));
        assert_eq!(way.lost, 7);
        drop(printed);
        assert!(way.tell(Event::Lost { count: 1 }).is_err());
    }

    #[test]
    fn an_event_is_a_line() {
        let told = |event| Told { time: "T".into(), zone: "web".into(), event };
        let state = told(Event::State { state: State::Running, uniqid: None });
        assert_eq!(line(&state, false), "T web is running");
        assert_eq!(
            line(&state, true),
            "{\"time\":\"T\",\"zone\":\"web\",\"kind\":\"state\",\"state\":\"running\"}"
        );
        let step = told(Event::Step { operation: zone_door::Operation::Boot, step: "root".into() });
        assert_eq!(line(&step, false), "T web boot: root");
        let kill = Event::OomKill { process: Some("a\u{1b}b".into()), pid: Some(7), bytes: None, count: 1 };
        let said = line(&told(kill), false);
        assert!(said.ends_with("(7) was killed for want of memory") && !said.contains('\u{1b}'), "{said}");
    }
}
