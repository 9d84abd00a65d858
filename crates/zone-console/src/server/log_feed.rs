//! Feeds the log on disk from the ring, like a client that reads at its own pace.
//!
//! Writing is done in threads, one piece at a time, so that a disk that hangs stops nobody. They are not the runtime's,
//! which panics on a host that has no thread to spare: then the piece waits. Small pieces are gathered for a moment. A flood is let through as far as the log's
//! rate allows; what the ring has lost by then is counted in the log.

use crate::Notice;
use crate::log::{Bucket, ConsoleLog, LogError};
use crate::notice::{line, utc};
use rustix::fd::OwnedFd;
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};
use tokio::sync::oneshot;
use tokio::time::Instant;
use zone_locale::Locale;
use zone_ring::Ring;

/// What is worth a write of its own.
const PIECE: u64 = 16 << 10;
/// The most that is written at once.
const MOST: u64 = 64 << 10;
/// How long less than a piece may wait for company.
const GATHER: Duration = Duration::from_millis(200);
/// Notices that may wait for a disk.
const MAX_NOTICES: usize = 64;

#[derive(Debug, Default)]
pub(super) struct LogFeed {
    /// Away while it writes.
    log: Option<ConsoleLog>,
    writing: Option<oneshot::Receiver<Written>>,
    /// What no thread could be had for.
    unwritten: Option<Vec<u8>>,
    buffer: Vec<u8>,
    bucket: Option<(Bucket, Instant)>,
    /// The offset in the ring of the next byte to be logged, once what is being written is.
    offset: u64,
    /// Bytes that a failed write has lost.
    dropped: u64,
    notices: VecDeque<(u64, Vec<u8>)>,
    /// When what waits is to be written.
    due: Option<Instant>,
    failed: bool,
}

#[derive(Debug)]
struct Written {
    log: ConsoleLog,
    buffer: Vec<u8>,
    result: Result<(), LogError>,
}

impl LogFeed {
    pub(super) fn new(log: ConsoleLog, offset: u64) -> Self {
        let bucket = Bucket::new(log.limits().rate, log.limits().burst, Duration::ZERO);
        let now = Instant::now();
        // What nobody has logged so far has waited long enough.
        Self { bucket: Some((bucket, now)), log: Some(log), offset, due: Some(now), ..Self::default() }
    }

    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Logs a notice once all output before `at` is logged.
    pub(super) fn tell(&mut self, at: u64, notice: &Notice) {
        if self.log.is_none() && self.writing.is_none() {
            return;
        }
        if self.notices.len() == MAX_NOTICES {
            self.notices.pop_front();
        }
        self.notices.push_back((at, entry(notice)));
    }

    /// Does what there is to do. Registers for the end of a write; [`LogFeed::due`] is for the caller.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, ring: &mut Ring<OwnedFd>) {
        while self.poll_written(cx, ring).is_ready() && self.is_time(ring) {
            if !self.write(ring) {
                self.due = Some(Instant::now() + GATHER);
                return;
            }
        }
    }

    /// Writes all that is left, whatever the rate.
    pub(super) fn poll_finish(&mut self, cx: &mut Context<'_>, ring: &mut Ring<OwnedFd>) -> Poll<()> {
        self.bucket = None;
        loop {
            if self.poll_written(cx, ring).is_pending() {
                return Poll::Pending;
            }
            // What cannot be written now is not marked as logged: the next daemon does it.
            if self.log.is_none() || !self.has_more(ring) || !self.write(ring) {
                return Poll::Ready(());
            }
        }
    }

    /// Ready when nothing is being written.
    fn poll_written(&mut self, cx: &mut Context<'_>, ring: &mut Ring<OwnedFd>) -> Poll<()> {
        let Some(writing) = &mut self.writing else { return Poll::Ready(()) };
        let Poll::Ready(ended) = Pin::new(writing).poll(cx) else { return Poll::Pending };
        self.writing = None;
        // A thread that panicked has taken the log with it.
        let Ok(Written { log, buffer, result }) = ended else { return Poll::Ready(()) };
        match result {
            Ok(()) => self.failed = false,
            Err(error) => {
                self.dropped += buffer.len() as u64;
                if !std::mem::replace(&mut self.failed, true) {
                    tracing::warn!(error = &error as &dyn std::error::Error, "the console is not logged");
                }
            }
        }
        self.log = Some(log);
        self.buffer = buffer;
        // Only a daemon to come reads it, and will at worst log something twice.
        let _ = ring.set_logged(self.offset);
        Poll::Ready(())
    }

    /// Whether there is a log, and it has all that was said.
    pub(super) fn is_written_out(&self, ring: &Ring<OwnedFd>) -> bool {
        self.log.is_some() && !self.failed && self.dropped == 0 && !self.has_more(ring)
    }

    fn has_more(&self, ring: &Ring<OwnedFd>) -> bool {
        self.offset < ring.total() || !self.notices.is_empty() || self.unwritten.is_some()
    }

    /// Whether to write now; if not, sets when.
    fn is_time(&mut self, ring: &Ring<OwnedFd>) -> bool {
        if self.log.is_none() || !self.has_more(ring) {
            self.due = None;
            return false;
        }
        let now = Instant::now();
        let waiting = ring.total() - self.offset;
        if waiting < PIECE && now < *self.due.get_or_insert(now + GATHER) {
            return false;
        }
        let wanted = waiting.min(PIECE);
        if let Some((bucket, since)) = &mut self.bucket
            && bucket.level(now - *since) < wanted
        {
            self.due = Some(now + bucket.wait(wanted).max(GATHER));
            return false;
        }
        self.due = None;
        true
    }

    /// Has the next piece written. False when there is no thread for it.
    fn write(&mut self, ring: &Ring<OwnedFd>) -> bool {
        let Some(log) = self.log.take() else { return false };
        let buffer = match self.unwritten.take() {
            Some(unwritten) => unwritten,
            None => self.next_piece(ring),
        };
        let (done, written) = oneshot::channel();
        let piece = Arc::new(Mutex::new(Some((log, buffer))));
        let given = Arc::clone(&piece);
        let started = std::thread::Builder::new().name("log".into()).spawn(move || {
            if let Some((mut log, buffer)) = take(&given) {
                let result = log.append(&buffer);
                // Nobody waits any more when the daemon is ending.
                let _ = done.send(Written { log, buffer, result });
            }
        });
        match started {
            Ok(_) => self.writing = Some(written),
            Err(_) => (self.log, self.unwritten) = take(&piece).unzip(),
        }
        self.writing.is_some()
    }

    fn next_piece(&mut self, ring: &Ring<OwnedFd>) -> Vec<u8> {
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        self.gather(ring, &mut buffer);
        if let Some((bucket, _)) = &mut self.bucket {
            bucket.take(buffer.len() as u64);
        }
        buffer
    }

    /// Puts together what comes next: output and notices, in their order.
    fn gather(&mut self, ring: &Ring<OwnedFd>, buffer: &mut Vec<u8>) {
        if self.dropped > 0 {
            buffer.extend(entry(&Notice::Lost { bytes: std::mem::take(&mut self.dropped) }));
        }
        let level = self.bucket.as_mut().map_or(MOST, |(bucket, since)| bucket.level(since.elapsed()));
        let mut left = level.clamp(1, MOST);
        loop {
            while let Some((at, _)) = self.notices.front()
                && *at <= self.offset
                && let Some((_, text)) = self.notices.pop_front()
            {
                buffer.extend(text);
            }
            let until = self.notices.front().map_or(ring.total(), |(at, _)| *at);
            let len = left.min(until.saturating_sub(self.offset));
            if len == 0 {
                return;
            }
            let start = buffer.len();
            buffer.resize(start + usize::try_from(len).unwrap_or(0), 0);
            let read = ring.read_from(self.offset, &mut buffer[start..]).unwrap_or_default();
            let lost = if read.len == 0 { until - self.offset } else { read.lost.min(until - self.offset) };
            if lost > 0 {
                buffer.truncate(start);
                buffer.extend(entry(&Notice::Lost { bytes: lost }));
                self.offset += lost;
            } else {
                buffer.truncate(start + read.len);
                self.offset += read.len as u64;
                left -= read.len as u64;
            }
        }
    }
}

fn take<T>(piece: &Mutex<Option<T>>) -> Option<T> {
    piece.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// A notice as it stands in the log: with the time.
fn entry(notice: &Notice) -> Vec<u8> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    line(&format!("{} {}", utc(now.as_secs()), notice.text(Locale::C, false)))
}
