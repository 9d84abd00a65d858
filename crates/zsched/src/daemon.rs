//! How a zoneadmd is started: by zoneadm and zlogin, and by zsched when a zone ends and no daemon is there.

use std::ffi::OsString;
use std::path::PathBuf;
use zone_sys::exec;

/// The command line of a zoneadmd.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandLine {
    /// The zone that it is to administer.
    pub zone: String,
    /// The root of the installation, unless it is the host's.
    pub root: Option<PathBuf>,
}

impl CommandLine {
    /// The search path of a daemon: it must not depend on who happened to start it.
    pub const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";
    /// The exit status that says that the daemon had no reason to end, but was killed: another may do better.
    pub const DIED: u8 = 3;

    /// Reads the arguments that follow the program's name: `-z NAME` and `-R ROOT`, once each.
    #[must_use]
    pub fn parse(mut args: impl Iterator<Item = OsString>) -> Option<Self> {
        let (mut zone, mut root) = (None, None);
        while let Some(option) = args.next() {
            let value = args.next()?;
            match option.to_str()? {
                "-z" if zone.is_none() => zone = Some(value.into_string().ok()?),
                "-R" if root.is_none() => root = Some(PathBuf::from(value)),
                _ => return None,
            }
        }
        Some(Self { zone: zone?, root })
    }

    /// Makes the block with which `program` is executed; `None` if it is too long, or the root is not UTF-8. Of the
    /// environment the search path is fixed, and `more` comes after it.
    #[must_use]
    pub fn block(&self, program: &str, more: impl IntoIterator<Item = (String, String)>) -> Option<Vec<u8>> {
        let mut args = vec![program.to_owned(), "-z".to_owned(), self.zone.clone()];
        if let Some(root) = &self.root {
            args.extend(["-R".to_owned(), root.to_str()?.to_owned()]);
        }
        let path = ("PATH".to_owned(), Self::PATH.to_owned());
        let environment: Vec<_> = std::iter::once(path).chain(more).collect();
        exec::block(program, &args, &environment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Option<CommandLine> {
        CommandLine::parse(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn a_zone_and_perhaps_a_root() {
        let web = CommandLine { zone: "web".into(), root: None };
        assert_eq!(parse("-z web"), Some(web.clone()));
        let below = CommandLine { root: Some("/tmp/r".into()), ..web };
        assert_eq!(parse("-R /tmp/r -z web"), Some(below.clone()));
        for wrong in ["", "-z", "-z web -z web", "-z web -x", "-z web -x y", "-R /tmp", "web"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
        assert!(below.block("/sbin/zoneadmd", []).is_some());
    }
}
