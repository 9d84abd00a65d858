//! A platform while it is built, and when it is.

use std::error::Error;
use std::fmt;
use std::path::PathBuf;

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use zone_config::Layout;

use crate::ahead::Ahead;
use crate::check::{Check, Found, Purpose};
use crate::confinement::Confinement;
use crate::zoneroot::{Canonical, Kind, Making};
use crate::{Failed, PlatformError, Spec, ZoneRoot, kernelfs, network, sparse};

/// Whoever has a platform built: makes namespaces that belong to the zone's user namespace, and may call it off.
pub trait Namespaces: fmt::Debug {
    /// Gives the network namespace that the zone's first process will be in, with its loopback up.
    ///
    /// # Errors
    /// When it cannot be made.
    fn network(&mut self, userns: BorrowedFd<'_>) -> Result<OwnedFd, Box<dyn Error + Send + Sync>>;

    /// Takes note of what is waited for; whether to go on waiting.
    fn goes_on(&self, waiting: &str) -> bool;
}

/// A mount and where it goes.
#[derive(Debug)]
pub struct Attachment {
    /// The mount, detached: it is attached by whoever builds the zone.
    pub mount: OwnedFd,
    /// The path of its mount point as seen inside: absolute, without symlinks.
    pub target: String,
}

/// All that the keeper needs to make the zone's PID 1.
#[derive(Debug)]
pub struct Platform {
    /// The mount of the zone's root: detached, id-mapped.
    pub root: OwnedFd,
    /// The other mounts in the order of attaching: parents first.
    pub attachments: Vec<Attachment>,
    /// The zone's cgroup, for `CLONE_INTO_CGROUP`.
    pub cgroup: OwnedFd,
    /// The zone's user namespace, as it was handed in.
    pub userns: OwnedFd,
    /// The zone's host name.
    pub hostname: String,
    /// Which capabilities stay in the bounding set, and the seccomp program.
    pub confinement: Confinement,
    /// What PID 1 hides; see [`kernelfs::MASKED`].
    pub masked: &'static [&'static str],
    /// What PID 1 makes read-only; see [`kernelfs::READONLY`].
    pub readonly: &'static [&'static str],
    /// The tree of the zone as it will be, for [`ZoneRoot::check_init`].
    pub tree: ZoneRoot,
    /// What is to be held open as long as the zone lives: managers of terminals that nobody else holds.
    pub kept: Vec<OwnedFd>,
    /// The namespace of the zone's clocks, if it has one of its own.
    pub clocks: Option<OwnedFd>,
    /// The zone's network namespace, if something is in it.
    pub netns: Option<OwnedFd>,
    /// The zone's IPC namespace, if it was made already.
    pub ipc: Option<OwnedFd>,
    /// What the requester is to be warned of though nothing failed, each one sentence.
    pub warnings: Vec<String>,
}

/// A platform while the steps build it. Dropped before it is finished, it leaves nothing but the cgroup, which the
/// tear-down steps remove.
#[derive(Debug)]
pub struct Build<'a> {
    pub(crate) layout: &'a Layout,
    pub(crate) spec: &'a Spec,
    pub(crate) console: BorrowedFd<'a>,
    pub(crate) userns: OwnedFd,
    /// Our own init on the host, for zones that have the host's programs.
    pub(crate) program: PathBuf,
    pub(crate) found: Found<'a>,
    pub(crate) ahead: Ahead,
    pub(crate) root: Option<OwnedFd>,
    pub(crate) tree: Option<ZoneRoot>,
    pub(crate) cgroup: Option<OwnedFd>,
    pub(crate) kept: Vec<OwnedFd>,
    /// Who makes the zone's network namespace.
    pub(crate) namespaces: &'a mut dyn Namespaces,
    pub(crate) netns: Option<OwnedFd>,
    /// The zone's network while it is made.
    pub(crate) network: network::Begun,
    /// The namespace of its clocks.
    pub(crate) clocks: Option<OwnedFd>,
    /// The zone's IPC namespace, if it has limits.
    pub(crate) ipc: Option<OwnedFd>,
    /// The same, or why not, as it was made ahead.
    pub(crate) ipc_ahead: Option<Result<OwnedFd, Failed>>,
    /// What PID 1 makes read-only.
    readonly: &'static [&'static str],
    /// The zone's `/run`, not attached yet.
    pub(crate) run: Option<OwnedFd>,
    base: u32,
    attachments: Vec<Attachment>,
    warnings: Vec<String>,
}

/// What the checks of all steps have found, and what was made ahead meanwhile.
#[derive(Debug)]
pub struct Checked<'a> {
    found: Found<'a>,
    tree: ZoneRoot,
    ahead: Ahead,
}

impl<'a> Checked<'a> {
    /// Runs the checks of all steps. Nothing is changed.
    ///
    /// # Errors
    /// The first thing that is not right.
    pub fn look(layout: &'a Layout, spec: &'a Spec) -> Result<Self, PlatformError> {
        let ahead = Ahead::begin(layout, spec);
        let found = Check::run(layout, spec, Purpose::BringUp).into_found()?;
        let root = found.root.as_ref().ok_or(missing("check", "root"))?;
        let fd =
            root.fd.try_clone().map_err(Failed::to("duplicate the descriptor of", root.path.display()))?;
        let tree = ZoneRoot::new(fd, Making::Plain, &root.path);
        Ok(Self { found, tree, ahead })
    }
}

impl<'a> Build<'a> {
    /// Starts with nothing. `console` is the subsidiary side of the console's pty; `userns` is the zone's user
    /// namespace, its ids mapped to those of the specification; `namespaces` is asked if the zone has a network.
    ///
    /// # Errors
    /// [`PlatformError::NoIds`] for a zone that has none yet.
    pub fn new(
        layout: &'a Layout,
        spec: &'a Spec,
        console: BorrowedFd<'a>,
        userns: OwnedFd,
        namespaces: &'a mut dyn Namespaces,
    ) -> Result<Self, PlatformError> {
        let base = spec.ids.ok_or(PlatformError::NoIds)?.base;
        Ok(Self {
            layout,
            spec,
            console,
            userns,
            program: sparse::program(),
            found: Found::default(),
            ahead: Ahead::default(),
            root: None,
            tree: None,
            cgroup: None,
            kept: Vec::new(),
            namespaces,
            netns: None,
            network: network::Begun::default(),
            clocks: None,
            ipc: None,
            ipc_ahead: None,
            readonly: kernelfs::readonly(spec.privileges.opened.nesting),
            run: None,
            base,
            attachments: Vec::new(),
            warnings: Vec::new(),
        })
    }

    /// Runs the checks of all steps, whose findings the steps then build from. Nothing is changed.
    ///
    /// # Errors
    /// The first thing that is not right.
    pub fn check(&mut self) -> Result<(), PlatformError> {
        self.accept(Checked::look(self.layout, self.spec)?);
        Ok(())
    }

    /// Builds from what was checked already, of the same specification.
    pub fn accept(&mut self, checked: Checked<'a>) {
        let Checked { mut found, tree, ahead } = checked;
        self.warnings.append(&mut found.warnings);
        (self.found, self.tree, self.ahead) = (found, Some(tree), ahead);
    }

    /// What the steps so far have to warn of though nothing failed, each one sentence.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Gives the platform that was built.
    ///
    /// # Errors
    /// [`PlatformError::Order`] when not all steps were run.
    pub fn finish(self) -> Result<Platform, PlatformError> {
        const FINISH: &str = "finish";
        Ok(Platform {
            root: self.root.ok_or(missing(FINISH, "root"))?,
            attachments: self.attachments,
            cgroup: self.cgroup.ok_or(missing(FINISH, "cgroup"))?,
            userns: self.userns,
            hostname: self.spec.hostname.clone(),
            confinement: self.found.confinement.ok_or(missing(FINISH, "check"))?,
            masked: kernelfs::masked(self.spec.privileges.opened.nesting),
            readonly: self.readonly,
            tree: self.tree.ok_or(missing(FINISH, "check"))?,
            kept: self.kept,
            netns: self.netns,
            clocks: self.clocks,
            ipc: self.ipc,
            warnings: self.warnings,
        })
    }

    /// The id on the host that the zone's id 0 is.
    pub(crate) fn base(&self) -> u32 {
        self.base
    }

    pub(crate) fn warn(&mut self, warning: String) {
        self.warnings.push(warning);
    }

    pub(crate) fn tree(&self, step: &'static str) -> Result<&ZoneRoot, PlatformError> {
        self.tree.as_ref().ok_or(missing(step, "check"))
    }

    /// Has `mount` attached at `at`, whose mount point is checked and made when missing. Files below it are looked up
    /// in it from now on.
    pub(crate) fn attach(
        &mut self,
        mount: OwnedFd,
        at: &Canonical,
        kind: Kind,
        making: Making,
    ) -> Result<(), PlatformError> {
        let dir = mount.try_clone().map_err(Failed::to("duplicate the descriptor of", at))?;
        self.attach_over(mount, at, kind, dir.as_fd(), making)
    }

    /// As [`Self::attach`]; files below are looked up, and mount points made, in `dir`: what the mount is a copy of.
    pub(crate) fn attach_over(
        &mut self,
        mount: OwnedFd,
        at: &Canonical,
        kind: Kind,
        dir: BorrowedFd<'_>,
        making: Making,
    ) -> Result<(), PlatformError> {
        let tree = self.tree.as_mut().ok_or(missing("attach", "check"))?;
        tree.mountpoint(at, kind)?;
        tree.cover(at, dir, making)?;
        self.attachments.push(Attachment { mount, target: at.to_string() });
        Ok(())
    }
}

pub(crate) fn missing(step: &'static str, needs: &'static str) -> PlatformError {
    PlatformError::Order { step, needs }
}
