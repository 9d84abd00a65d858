//! The zone as the worker thread sees it: what it takes to bring it up and down, and nothing that is
//! remembered only here.

use crate::backup::KeeperBackup;
use crate::error::NoSnapshot;
use crate::network_release::NetworkRelease;
use crate::sync::lock;
use rustix::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard};
use tokio::sync::mpsc::UnboundedSender;
use zone_config::index::{Entry, Index};
use zone_config::{Layout, Snapshot, ZoneConfig, ZoneName};
use zone_console::term::Size;
use zsched::client::Client;
use zsched::wire::Status;

/// One zone, usable from any thread.
#[derive(Debug)]
pub struct Zone {
    /// Where its installation is.
    pub layout: Layout,
    /// What it is called.
    pub name: ZoneName,
    keeper: Mutex<Client>,
    subsidiary: Mutex<OwnedFd>,
    /// What it takes to replace zsched.
    pub backup: KeeperBackup,
    window: Mutex<Size>,
    /// The managed network of the host on its way out.
    pub network_release: NetworkRelease,
    /// Where what zsched says in the middle of an operation is told.
    status_tx: UnboundedSender<Status>,
}

impl Zone {
    /// Makes it of a zsched that was attached to, and what has come from there; `status_tx` gets what zsched says in the middle of an
    /// operation.
    #[must_use]
    pub fn new(
        layout: Layout,
        name: ZoneName,
        keeper: Client,
        subsidiary: OwnedFd,
        backup: KeeperBackup,
        status_tx: UnboundedSender<Status>,
    ) -> Self {
        Self {
            status_tx,
            layout,
            name,
            keeper: Mutex::new(keeper),
            subsidiary: Mutex::new(subsidiary),
            backup,
            network_release: NetworkRelease::default(),
            window: Mutex::default(),
        }
    }

    /// zsched, for one request after another.
    pub fn keeper(&self) -> MutexGuard<'_, Client> {
        lock(&self.keeper)
    }

    /// Tells what zsched said in the middle of an operation: who asks for the state meanwhile wants to know.
    pub fn report_status(&self, status: Status) {
        // Nobody listens any more only when the daemon ends.
        let _ = self.status_tx.send(status);
    }

    /// The console's subsidiary side.
    pub fn subsidiary(&self) -> MutexGuard<'_, OwnedFd> {
        lock(&self.subsidiary)
    }

    /// The size that the console has at the next boot.
    pub fn window(&self) -> Size {
        *lock(&self.window)
    }

    /// Gives the console another size from the next boot on.
    pub fn set_window(&self, size: Size) {
        *lock(&self.window) = size;
    }

    /// The zone's line in the index.
    pub fn entry(&self) -> Result<Entry, NoSnapshot> {
        Index::find(&self.layout, &self.name)?.ok_or_else(|| NoSnapshot::NotConfigured(self.name.clone()))
    }

    /// The configuration of the live zone: the snapshot, else (it was lost or spoilt) what is configured.
    pub fn config(&self) -> Option<ZoneConfig> {
        let live = Snapshot::load(&self.layout, &self.name).ok().map(|snapshot| snapshot.config);
        live.or_else(|| ZoneConfig::load(&self.layout, &self.name).ok())
    }

    /// Where the zone is on disk.
    pub fn zonepath(&self) -> Option<PathBuf> {
        self.config().map(|config| config.zonepath).or_else(|| self.entry().ok().map(|entry| entry.zonepath))
    }
}
