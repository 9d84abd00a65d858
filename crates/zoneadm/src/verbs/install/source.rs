//! What a zone's root is made from.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use zone_config::Brand;
use zone_install::install::{self, Debootstrap, Summary, Worker};
use zone_install::progress::{Options, Reporter};
use zone_install::{Error, sparse};
use zone_sys::signal::{self, SIGHUP, SIGINT};

use crate::cli::InstallArgs;
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

/// A source, and what to do with it.
#[derive(Debug)]
pub(crate) enum Source {
    /// The host's own /usr.
    Sparse,
    /// A tree of files.
    Directory(PathBuf),
    /// A tar archive.
    Archive(PathBuf),
    /// A Debian mirror.
    Debootstrap(Debootstrap),
}

impl Source {
    /// What the command line names, if the brand can be made from it.
    pub(crate) fn of(args: &InstallArgs, brand: &Brand) -> Outcome<Self> {
        let source = match (&args.directory, &args.archive, &args.suite) {
            (Some(directory), _, _) => Self::Directory(directory.clone()),
            (_, Some(archive), _) => Self::Archive(archive.clone()),
            (_, _, Some(suite)) => Self::Debootstrap(Debootstrap {
                suite: suite.clone(),
                mirror: args.mirror.clone(),
                include: args.include.clone(),
                ..Debootstrap::default()
            }),
            (None, None, None) => Self::Sparse,
        };
        if brand.install.iter().any(|possible| possible == source.word()) {
            return Ok(source);
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

    /// As brand files call it.
    fn word(&self) -> &'static str {
        match self {
            Self::Sparse => "sparse",
            Self::Directory(_) => "directory",
            Self::Archive(_) => "archive",
            Self::Debootstrap(_) => "debootstrap",
        }
    }

    /// Fills ZONEPATH/root.
    pub(crate) fn fill(
        &self,
        hostname: &str,
        zonepath: &Path,
        options: &Options,
        report: &mut Reporter<'_>,
    ) -> Result<Summary, Error> {
        match self {
            Self::Sparse => sparse::skeleton(&zonepath.join("root"), hostname).map(|made| made.summary),
            Self::Directory(directory) => install::from_directory(directory, zonepath, options, report),
            Self::Archive(archive) => {
                let worker = Worker { program: "/proc/self/exe".into(), arguments: vec![WORKER.into()] };
                install::from_archive_apart(&worker, archive, zonepath, options, report)
            }
            Self::Debootstrap(what) => install::debootstrap(what, zonepath, options, report),
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
        match Source::of(args, &Brand::load(brand).unwrap()) {
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
        assert!(matches!(Source::of(&none, &sparse), Ok(Source::Sparse)));
        assert!(matches!(Source::of(&archive, &linux), Ok(Source::Archive(_))));
        let Ok(Source::Debootstrap(what)) = Source::of(&suite, &linux) else { panic!() };
        assert_eq!(
            (what.suite.as_str(), what.mirror.as_deref(), what.include.len()),
            ("bookworm", Some("http://m"), 1)
        );
        assert_eq!(
            refusal(&none, "linux"),
            "install: brand linux needs exactly one of -d DIRECTORY, -a ARCHIVE, --debootstrap SUITE"
        );
        assert!(refusal(&archive, "sparse").starts_with("install: brand sparse needs no source"));
    }
}
