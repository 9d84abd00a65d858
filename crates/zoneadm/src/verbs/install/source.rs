//! What a zone's root is made from.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use zone_config::{Brand, Settings};
use zone_install::identity::Origin;
use zone_install::install::{self, Archive, Debootstrap, Directory, Summary, Worker};
use zone_install::progress::{Options, Reporter};
use zone_install::{Error, sparse};
use zone_sys::signal::{self, SIGHUP, SIGINT};

use crate::cli::lead::InstallArgs;
use crate::message::{Failure, Outcome};

/// As the only word of the command line it makes this program the decompressor of an install: see
/// [`run_as_worker`].
const WORKER: &str = "--decompress-for-install";

/// Decompresses, if that is what this process was started for; to be asked before anything else.
pub(crate) fn run_as_worker() -> Option<ExitCode> {
    let mut words = std::env::args_os().skip(1);
    if words.next()? != WORKER || words.next().is_some() {
        return None;
    }
    // From a terminal they come to all of an install's processes. The one that can tell what they mean ends us.
    [SIGINT, SIGHUP].into_iter().for_each(signal::ignore);
    Some(install::decompress_worker())
}

/// A source, as the command line names it.
#[derive(Debug)]
pub(crate) struct Source {
    kind: Kind,
    /// The machine moves here: the root keeps its name and its keys.
    keeps_identity: bool,
}

/// What a root is made from.
#[derive(Debug)]
pub(crate) enum Kind {
    /// The host's own /usr.
    Sparse,
    /// A tree of files.
    Directory(PathBuf),
    /// A tar archive.
    Archive(PathBuf),
    /// A Debian mirror.
    Debootstrap(Debootstrap),
}

/// A source that was found to be one; nothing has been made of it yet.
#[derive(Debug)]
pub(crate) struct Opened {
    from: From,
    /// What was given, for messages.
    given: PathBuf,
    keeps_identity: bool,
}

#[derive(Debug)]
enum From {
    Sparse,
    Directory(Directory),
    /// The root of another zone, which can be booted.
    Zone(Directory),
    Archive(Box<Archive>),
    Debootstrap(Debootstrap),
}

/// What was unpacked, for the advice when there is no init in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sort {
    Directory,
    Archive,
    Debootstrap,
}

impl Source {
    /// What the command line names, if the brand can be made from it.
    pub(crate) fn of(args: &InstallArgs, brand: &Brand, settings: &Settings) -> Outcome<Self> {
        let kind = match (&args.directory, &args.archive, &args.suite) {
            (Some(directory), _, _) => Kind::Directory(directory.clone()),
            (_, Some(archive), _) => Kind::Archive(archive.clone()),
            (_, _, Some(suite)) => Kind::Debootstrap(Debootstrap {
                suite: suite.clone(),
                mirror: args.mirror.clone().or_else(|| settings.mirror.clone()),
                include: args.include.clone(),
                ..Debootstrap::default()
            }),
            (None, None, None) => Kind::Sparse,
        };
        let keeps_identity = args.preserve_identity;
        if keeps_identity && !matches!(kind, Kind::Directory(_) | Kind::Archive(_)) {
            let text = "install: -p keeps the identity of what -d or -a copies, and needs one of them";
            return Err(Failure::Usage(text.to_owned()));
        }
        if brand.install.iter().any(|possible| possible == kind.word()) {
            return Ok(Self { kind, keeps_identity });
        }
        let options: Vec<_> = brand.install.iter().filter_map(|word| option(word)).collect();
        Err(Failure::Usage(if options.is_empty() {
            format!(
                "install: brand {} needs no source, so it takes none of -d, -a, --debootstrap",
                brand.name
            )
        } else {
            format!("install: brand {} needs exactly one of {}", brand.name, options.join(", "))
        }))
    }

    /// Opens it, as far as that can be done without making anything.
    ///
    /// # Errors
    /// Why it is no source.
    pub(crate) fn open(self, zonepath: &Path) -> Result<Opened, Error> {
        let given = match &self.kind {
            Kind::Directory(path) | Kind::Archive(path) => path.clone(),
            Kind::Sparse | Kind::Debootstrap(_) => zonepath.join("root"),
        };
        let from = match self.kind {
            Kind::Sparse => From::Sparse,
            Kind::Directory(directory) => From::Directory(Directory::open(&directory, zonepath)?),
            Kind::Archive(archive) => {
                let worker = Worker { program: "/proc/self/exe".into(), arguments: vec![WORKER.into()] };
                From::Archive(Box::new(Archive::open(&archive, Some(&worker))?))
            }
            Kind::Debootstrap(what) => {
                what.check()?;
                From::Debootstrap(what)
            }
        };
        Ok(Opened { from, given, keeps_identity: self.keeps_identity })
    }
}

impl Kind {
    /// As brand files call it.
    fn word(&self) -> &'static str {
        match self {
            Self::Sparse => "sparse",
            Self::Directory(_) => "directory",
            Self::Archive(_) => "archive",
            Self::Debootstrap(_) => "debootstrap",
        }
    }
}

impl Opened {
    /// Opens the root of another zone.
    ///
    /// # Errors
    /// When it is not there.
    pub(crate) fn of_zone(root: &Path, zonepath: &Path) -> Result<Self, Error> {
        let from = From::Zone(Directory::open(root, zonepath)?);
        Ok(Self { from, given: root.to_owned(), keeps_identity: false })
    }

    /// The tree of files, if it is one already.
    pub(crate) fn tree(&self) -> Option<&Path> {
        match &self.from {
            From::Directory(directory) => Some(directory.path()),
            _ => None,
        }
    }

    /// What was given, for messages.
    pub(crate) fn given(&self) -> &Path {
        &self.given
    }

    /// What is to be said when there is no init in it; `None` when that comes with the host's /usr.
    pub(crate) fn needs_init(&self) -> Option<Sort> {
        match self.from {
            From::Sparse | From::Zone(_) => None,
            From::Directory(_) => Some(Sort::Directory),
            From::Archive(_) => Some(Sort::Archive),
            From::Debootstrap(_) => Some(Sort::Debootstrap),
        }
    }

    /// Whose identity the root has that is made of it; `None` when it is the zone's already, or is to stay.
    pub(crate) fn origin(&self) -> Option<Origin> {
        match self.from {
            From::Sparse => None,
            From::Debootstrap(_) => Some(Origin::New),
            From::Zone(_) => Some(Origin::Copy),
            From::Directory(_) | From::Archive(_) => (!self.keeps_identity).then_some(Origin::Copy),
        }
    }

    /// Fills ZONEPATH/root.
    ///
    /// # Errors
    /// Why not all of it is there.
    pub(crate) fn fill(
        self,
        hostname: &str,
        zonepath: &Path,
        options: &Options,
        report: &mut Reporter<'_>,
    ) -> Result<Summary, Error> {
        match self.from {
            From::Sparse => sparse::skeleton(&zonepath.join("root"), hostname).map(|made| made.summary),
            From::Directory(directory) | From::Zone(directory) => directory.copy(zonepath, options, report),
            From::Archive(archive) => archive.unpack(zonepath, options, report),
            From::Debootstrap(what) => install::debootstrap(&what, zonepath, options, report),
        }
    }
}

/// The option for a word of a brand file.
fn option(word: &str) -> Option<&'static str> {
    match word {
        "directory" => Some("-d DIRECTORY"),
        "archive" => Some("-a ARCHIVE"),
        "debootstrap" => Some("--debootstrap SUITE"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(args: &InstallArgs, brand: &str) -> String {
        match Source::of(args, &Brand::load(brand).unwrap(), &Settings::default()) {
            Err(Failure::Usage(text)) => text,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn brands_are_made_from_what_they_are_made_from() {
        let (sparse, linux) = (Brand::load("sparse").unwrap(), Brand::load("linux").unwrap());
        let none = InstallArgs::default();
        let archive = InstallArgs { archive: Some("x.tar".into()), ..InstallArgs::default() };
        let suite = InstallArgs {
            suite: Some("bookworm".into()),
            mirror: Some("http://m".into()),
            include: vec!["a".into()],
            ..InstallArgs::default()
        };
        let kind = |args: &InstallArgs, brand| {
            Source::of(args, brand, &Settings::default()).map(|source| source.kind)
        };
        assert!(matches!(kind(&none, &sparse), Ok(Kind::Sparse)));
        assert!(matches!(kind(&archive, &linux), Ok(Kind::Archive(_))));
        let Ok(Kind::Debootstrap(what)) = kind(&suite, &linux) else { panic!() };
        assert_eq!(
            (what.suite.as_str(), what.mirror.as_deref(), what.include.len()),
            ("bookworm", Some("http://m"), 1)
        );
        // The installation's own mirror is used where the command line has none.
        let settings = Settings { mirror: Some("http://ours".into()), ..Settings::default() };
        let mirror = |args: &InstallArgs| match Source::of(args, &linux, &settings).map(|source| source.kind)
        {
            Ok(Kind::Debootstrap(what)) => what.mirror,
            _ => None,
        };
        assert_eq!(mirror(&suite).as_deref(), Some("http://m"));
        assert_eq!(mirror(&InstallArgs { mirror: None, ..suite }).as_deref(), Some("http://ours"));
        assert_eq!(
            refusal(&none, "linux"),
            "install: brand linux needs exactly one of -d DIRECTORY, -a ARCHIVE, --debootstrap SUITE"
        );
        assert!(refusal(&archive, "sparse").starts_with("install: brand sparse needs no source"));
        let moved = InstallArgs { preserve_identity: true, ..InstallArgs::default() };
        assert!(refusal(&moved, "sparse").starts_with("install: -p keeps the identity"));
    }
}
