//! What takes the kernel long and depends on nothing that is looked at: made in a thread of its own while the checks run.
//!
//! It is seen by nobody until a step puts it in its place, and gone when it is not.

use std::thread::{Builder, JoinHandle};

use rustix::fd::OwnedFd;
use zone_config::Layout;

use crate::mounts::leave_host;
use crate::{Failed, Spec, dev, devices, ipc};

/// The making of it.
#[derive(Debug, Default)]
pub(crate) struct Ahead(Option<JoinHandle<Made>>);

/// What was made.
#[derive(Debug)]
pub(crate) struct Made {
    /// The program that guards the devices of a zone that has none of the host's.
    pub(crate) program: Option<zone_sys::Result<OwnedFd>>,
    /// The zone's terminals.
    pub(crate) pts: Result<OwnedFd, Failed>,
    /// The IPC namespace of a zone that has limits there.
    pub(crate) ipc: Option<Result<OwnedFd, Failed>>,
}

impl Ahead {
    /// Begins, if there is anything to begin with; where no thread is to be had, whoever needs it makes it.
    pub(crate) fn begin(layout: &Layout, spec: &Spec) -> Self {
        let Some(ids) = spec.ids else { return Self::default() };
        let (installation, guards, limits) = (layout.id(), spec.devices.is_empty(), spec.ipc.clone());
        let make = move || Made {
            program: guards.then(|| devices::load(installation, &[])),
            pts: leave_host("/dev/pts").and_then(|()| dev::pts_aside(ids.base)),
            // Last: the thread stays in the namespace, and may have to write as its owner.
            ipc: (!limits.is_empty()).then(|| ipc::make(&limits, ids.base)),
        };
        Self(Builder::new().name("ahead".to_owned()).spawn(make).ok())
    }

    /// Waits for it; `None` if it was not begun.
    pub(crate) fn finish(self) -> Option<Made> {
        let ended = self.0?.join();
        Some(ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    }
}
