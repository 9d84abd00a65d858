//! Bringing a zone up: from its configuration to a first process that waits, and from there to init.

use crate::bootargs::{Asked, BootArguments};
use crate::context::OperationContext;
use crate::current::Current;
use crate::error::{Error, NoSnapshot};
use crate::journal::Journal;
use crate::zone::Zone;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use std::fmt;
use std::sync::Arc;
use zone_config::bootargs::TooLong;
use zone_config::brand::Brand;
use zone_config::snapshot::SnapshotError;
use zone_config::{Snapshot, ZoneConfig, idmap, store};
use zone_platform::{
    Build, CHECK, Checked, Namespaces, Platform, PlatformError, Spec, ZoneRoot, lxcfs, memlock, steps,
};
use zsched::client::{ClientError, NamespaceFds};
use zsched::wire::{CREATE_FDS, Create, Failure, KEPT, Kinds, Stage, Status, Strings};

// How many mounts a zone can have was counted by this.
const _: () = assert!(
    CREATE_FDS + KEPT + Kinds::all().bits().count_ones() as usize <= zone_platform::filesystems::BESIDE
);

impl Zone {
    /// Makes the zone ready. What a failure leaves is undone by [`Zone::undo`].
    pub fn ready(
        &self,
        context: &mut OperationContext,
        restarts: u32,
        asked: Asked,
    ) -> Result<Status, Error> {
        let snapshot = context.make("snapshot", |_| {
            let mut snapshot = self.snapshot(asked).map_err(Error::Snapshot)?;
            // Who enters the zone later, with programs of another version perhaps, gets what init has.
            let confinement = Spec::of(&snapshot).privileges.confinement().map_err(PlatformError::from)?;
            snapshot.confinement = Some(confinement.kept());
            snapshot.save(&self.layout).map_err(|error| Error::Snapshot(error.into()))?;
            Ok(snapshot)
        })?;
        let mut journal = Journal::open(&self.layout, &self.name)?;
        // A copy: who waits for a step that hangs must not wait for this.
        let subsidiary = self.subsidiary().try_clone().map_err(Error::Descriptor)?;
        let spec = Spec::of(&snapshot);
        self.reach(context, &spec)?;
        let (checked, userns, ahead) = self.check_meanwhile(context, &snapshot, &spec)?;
        let mut made = MadeNamespaces { zone: self, fds: ahead, current: Arc::clone(&context.current) };
        let mut build = Build::new(&self.layout, &spec, subsidiary.as_fd(), userns, &mut made)?;
        build.accept(checked);
        for step in steps() {
            let Some(begin) = step.begin else { continue };
            journal.intent(step.name)?;
            begin(&mut build)?;
        }
        for step in steps() {
            let Some(bring_up) = step.bring_up else { continue };
            // Only what outlives this process needs to be known to the next one.
            let kept = step.tear_down.is_some();
            if kept && step.begin.is_none() {
                journal.intent(step.name)?;
            }
            context.make(step.name, |_| Ok(bring_up(&mut build)?))?;
            if kept {
                journal.done(step.name)?;
            }
        }
        let platform = build.finish()?;
        let namespaces = context.make("namespaces", |_| self.namespaces(&platform, made.fds))?;
        journal.intent("create")?;
        let (status, warning) = context.make("create", |_| {
            let status = self.create(&platform, &namespaces, restarts)?;
            zone_fail::pass!("create.made");
            Ok((status, self.settle_first(&spec)?))
        })?;
        self.hold(&status);
        journal.done("create")?;
        warning.into_iter().for_each(|warning| context.say(format!("WARNING: {warning}")));
        platform.warnings.iter().for_each(|warning| context.say(format!("WARNING: {warning}")));
        Ok(status)
    }

    /// Runs the checks of all steps, while zsched makes the zone's user namespace, and those that a network is made in right after
    /// them. What cannot be made ahead is asked for when it is needed.
    fn check_meanwhile<'a>(
        &'a self,
        context: &mut OperationContext,
        snapshot: &Snapshot,
        spec: &'a Spec,
    ) -> Result<(Checked<'a>, OwnedFd, Option<NamespaceFds>), Error> {
        let map = snapshot.idmap.map_text();
        let make = || {
            let userns = self.keeper().user_namespace(&map)?;
            let is_early = !spec.network.nets.is_empty() && !spec.network.is_shared();
            let others =
                is_early.then(|| self.keeper().namespaces(userns.as_fd(), Kinds::NET | Kinds::IPC).ok());
            Ok::<_, ClientError>((userns, others.flatten()))
        };
        std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().name("userns".to_owned()).spawn_scoped(scope, make);
            let checked = context.make(CHECK, |_| Ok(Checked::look(&self.layout, spec)?))?;
            let (userns, others) = context.make("userns", |_| {
                let made = match thread {
                    Ok(thread) => thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
                    Err(_) => make(),
                };
                Ok(made?)
            })?;
            Ok((checked, userns, others))
        })
    }

    /// Sees that what the zone uses of file systems that somebody else serves answers at all.
    pub fn reach(&self, context: &OperationContext, spec: &Spec) -> Result<(), Error> {
        let current = &context.current;
        current.enter("reach");
        let waiting = |path: &std::path::Path| {
            let text = format!("the file system of {} does not answer", path.display());
            if current.wait_for(&text) {
                context.observer.message(text);
            }
            !current.is_cancelled()
        };
        let reached = zone_platform::reach::check(&self.layout, spec, waiting);
        reached.map_err(|silent| match current.is_cancelled() {
            true => Error::Cancelled("reach"),
            false => PlatformError::from(silent).into(),
        })
    }

    /// Freezes the configuration for as long as the zone lives.
    pub fn snapshot(&self, asked: Asked) -> Result<Snapshot, NoSnapshot> {
        let document = store::load(&self.layout, &self.name)?;
        let config = ZoneConfig::from_document(&document, &self.layout.config(&self.name))?;
        let problems = document.verify();
        if !problems.is_empty() {
            return Err(NoSnapshot::Invalid(problems));
        }
        let entry = self.entry()?;
        if entry.zonepath != config.zonepath {
            return Err(NoSnapshot::Zonepath { config: config.zonepath, index: entry.zonepath });
        }
        let brand = Brand::load(&config.brand)?;
        // Mostly it was given at the install, and to look it up takes no lock.
        let range = match idmap::lookup(&self.layout, &self.name)? {
            Some(range) => range,
            None => idmap::allocate(&self.layout, &self.name)?,
        };
        let name = self.name.clone();
        let Asked { args: bootargs, once: bootargs_once, writable } = asked;
        let snapshot = Snapshot::new(name, entry.uuid.unwrap_or_default(), range, brand, config);
        Ok(Snapshot { bootargs, bootargs_once, writable, ..snapshot })
    }

    /// The namespaces that zsched has made meanwhile, in hand before there is a first process, unless they are `made` known already
    /// or the network step has made a network itself. None from a zsched that was started by earlier programs and keeps them to
    /// itself until then: that they are needed, who needs them says.
    fn namespaces(&self, platform: &Platform, made: Option<NamespaceFds>) -> Result<NamespaceFds, Error> {
        let own = |fd: &Option<OwnedFd>| fd.as_ref().map(OwnedFd::try_clone).transpose();
        let net = own(&platform.netns).map_err(Error::Descriptor)?;
        let ipc = own(&platform.ipc).map_err(Error::Descriptor)?;
        let time = own(&platform.clocks).map_err(Error::Descriptor)?;
        let lacks = (net.is_none(), ipc.is_none());
        let with =
            |made: NamespaceFds| NamespaceFds { net: net.or(made.net), ipc: ipc.or(made.ipc), time, ..made };
        if let Some(made) = made {
            return Ok(with(made));
        }
        let kinds = match lacks {
            (false, false) => return Ok(with(NamespaceFds::default())),
            (false, true) => Kinds::IPC,
            (true, false) => Kinds::NET,
            (true, true) => Kinds::NET | Kinds::IPC,
        };
        match self.keeper().namespaces(platform.userns.as_fd(), kinds) {
            Err(ClientError::TooOld { .. }) if lacks == (true, true) => Ok(with(NamespaceFds::default())),
            made => Ok(with(made?)),
        }
    }

    fn create(&self, platform: &Platform, namespaces: &NamespaceFds, restarts: u32) -> Result<Status, Error> {
        let targets = Strings::join(platform.attachments.iter().map(|attachment| &attachment.target));
        let masked = Strings::join(platform.masked);
        let readonly = Strings::join(platform.readonly);
        let request = Create {
            restarts,
            bounding: platform.confinement.capabilities.bits(),
            hostname: platform.hostname.as_bytes(),
            targets: Strings(&targets),
            masked: Strings(&masked),
            readonly: Strings(&readonly),
            seccomp: &platform.confinement.filter,
            namespaces: namespaces.origins(),
            kept: u8::try_from(platform.kept.len()).unwrap_or(u8::MAX),
        };
        let mut fds = vec![platform.root.as_fd(), platform.cgroup.as_fd(), platform.userns.as_fd()];
        fds.extend(platform.attachments.iter().map(|attachment| attachment.mount.as_fd()));
        fds.extend(namespaces.fds());
        fds.extend(platform.kept.iter().map(AsFd::as_fd));
        let created = match self.keeper().create(&request, &fds) {
            // A zsched of earlier programs keeps no terminals: gettys on tty2 and more then end.
            Err(ClientError::TooOld { .. }) if request.kept > 0 => {
                fds.truncate(fds.len() - platform.kept.len());
                self.keeper().create(&Create { kept: 0, ..request }, &fds)
            }
            created => created,
        };
        created.map_err(|error| {
            let ClientError::Refused { failure: Failure { stage, index, errno }, .. } = error else {
                return error.into();
            };
            // Name the place, not its number.
            let nth = usize::try_from(index).unwrap_or(usize::MAX);
            let target = match stage {
                Stage::OpenTarget | Stage::Attach => platform.attachments.get(nth).map(|a| a.target.as_str()),
                Stage::Mask => platform.masked.get(nth).copied(),
                Stage::ReadOnly => platform.readonly.get(nth).copied(),
                _ => None,
            };
            match target {
                Some(target) => Error::Mount {
                    root: platform.tree.shown().into(),
                    target: target.into(),
                    what: stage.text(),
                    source: errno,
                },
                None => error.into(),
            }
        })
    }

    /// Does for a first process, which waits, what it cannot do itself. Idempotent. Tells what is to be warned of.
    fn settle_first(&self, spec: &Spec) -> Result<Option<String>, Error> {
        let is_lxcfs_due = lxcfs::is_due(spec);
        if spec.memlock.is_none() && spec.sysctls.is_empty() && !is_lxcfs_due {
            return Ok(None);
        }
        let (_, fds) = self.keeper().fds()?;
        let first = fds.pidfd.as_fd();
        // And so what all that come after it can lock in memory.
        spec.memlock.map_or(Ok(()), |bytes| memlock::bound(first, bytes)).map_err(Error::Locked)?;
        zone_platform::sysctl::put(first, spec).map_err(PlatformError::from)?;
        if !is_lxcfs_due {
            return Ok(None);
        }
        Ok(lxcfs::put(first, spec)?)
    }

    /// Starts init in a zone that is ready, since `just_now` or longer; with the arguments that are `given`, else as the snapshot has
    /// them.
    pub fn boot(
        &self,
        context: &mut OperationContext,
        given: Option<&str>,
        just_now: bool,
    ) -> Result<Status, Error> {
        let failed = |e: SnapshotError| Error::Snapshot(e.into());
        let mut snapshot = Snapshot::load(&self.layout, &self.name).map_err(failed)?;
        let frozen = snapshot.clone();
        if given.is_some() {
            snapshot.bootargs = given.map(str::to_owned);
        }
        let args = BootArguments::of(&snapshot)?.parsed;
        let init = args.init.as_deref().unwrap_or_else(|| snapshot.config.init(&snapshot.brand)).to_owned();
        context.make("init", |_| check_init(&snapshot, &init))?;
        if !just_now {
            // Who made it ready may have died before that was done.
            let warning = context.make("settle", |_| self.settle_first(&Spec::of(&snapshot)))?;
            warning.into_iter().for_each(|warning| context.say(format!("WARNING: {warning}")));
        }
        zone_console::term::reset(self.subsidiary().as_fd(), self.window()).map_err(Error::Terminal)?;
        let mut argv = vec![init.clone()];
        argv.extend(snapshot.brand.init_args.iter().chain(&args.args).cloned());
        let env = zone_platform::guest::init_environment(&Spec::of(&snapshot), &init);
        let block = zone_sys::exec::block(&init, &argv, &env).ok_or(Error::BootArgs(TooLong))?;
        if args.init.is_some() {
            // Who asks this zone's init to shut down must know which one it is.
            snapshot.config.init = Some(init);
        }
        if snapshot != frozen {
            snapshot.save(&self.layout).map_err(failed)?;
        }
        let booted = context.make("exec", |_| {
            self.mark(zone_live::Mark::Booted);
            self.keeper().boot(&block).map_err(|error| match error {
                ClientError::Refused { failure, errno } if failure.stage == Stage::Exec => {
                    Error::Exec { init: argv[0].clone(), source: errno }
                }
                other => other.into(),
            })
        })?;
        self.hold(&booted);
        Ok(booted)
    }
}

/// Namespaces of a zone that zsched makes, for the platform.
struct MadeNamespaces<'a> {
    zone: &'a Zone,
    /// Those that are made.
    fds: Option<NamespaceFds>,
    /// What they are made for.
    current: Arc<Current>,
}

impl fmt::Debug for MadeNamespaces<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MadeNamespaces").field("fds", &self.fds).finish_non_exhaustive()
    }
}

impl Namespaces for MadeNamespaces<'_> {
    fn network(
        &mut self,
        userns: BorrowedFd<'_>,
    ) -> Result<OwnedFd, Box<dyn std::error::Error + Send + Sync>> {
        let fds = match self.fds.take() {
            Some(fds) => fds,
            None => self.zone.keeper().namespaces(userns, Kinds::NET | Kinds::IPC)?,
        };
        let fds = self.fds.insert(fds);
        Ok(fds.net.as_ref().ok_or(ClientError::Protocol)?.try_clone()?)
    }

    fn goes_on(&self, waiting: &str) -> bool {
        self.current.wait_for(waiting);
        !self.current.is_cancelled() && !self.current.is_abandoned()
    }
}

/// Says in words what is wrong with an init, before the exec says it in a number.
pub(crate) fn check_init(snapshot: &Snapshot, init: &str) -> Result<(), Error> {
    let tree = ZoneRoot::of(&Spec::of(snapshot)).map_err(PlatformError::from)?;
    tree.check_init(init).map_err(PlatformError::from)?;
    Ok(())
}
