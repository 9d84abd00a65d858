//! Taking what zones share of the host's network away, the managed network and the rules of their link protection, after the last zone's end: by a thread, since the kernel is slow to delete a
//! bridge and whoever has halted a zone need not wait for it. The daemon ends after it. One that is killed meanwhile leaves the
//! network to the next daemon that ends: each looks, whether it has halted a zone or not.

use crate::sync::lock;
use std::sync::Mutex;
use std::thread::{self, JoinHandle};
use zone_config::Layout;

/// The thread, if there was one.
#[derive(Debug, Default)]
pub struct NetworkRelease(Mutex<Option<JoinHandle<()>>>);

impl NetworkRelease {
    /// Has it taken away if no zone uses it. An installation that has shared nothing since the host is up needs no thread for it.
    pub fn begin(&self, layout: &Layout) {
        if !layout.network_lock().exists() {
            return;
        }
        let before = lock(&self.0).take();
        let of = layout.clone();
        let work = move || {
            wait(before);
            release(&of);
        };
        match thread::Builder::new().name("network".into()).spawn(work) {
            Ok(thread) => *lock(&self.0) = Some(thread),
            Err(_) => release(layout),
        }
    }

    /// Whether it is being done.
    #[must_use]
    pub fn is_under_way(&self) -> bool {
        lock(&self.0).as_ref().is_some_and(|thread| !thread.is_finished())
    }

    /// Waits until it is done, or has failed; if this daemon had none to do, does what an earlier one may have left.
    pub fn end(&self, layout: &Layout) {
        match lock(&self.0).take() {
            Some(thread) => wait(Some(thread)),
            None if layout.network_lock().exists() => release(layout),
            None => {}
        }
    }
}

fn wait(thread: Option<JoinHandle<()>>) {
    // What went wrong in it is in the log.
    thread.map(JoinHandle::join);
}

fn release(layout: &Layout) {
    if let Err(error) = zone_platform::network::release(layout) {
        tracing::warn!("what the zones share of the network stays: {}", zone_sys::Chain(&error));
    }
}
