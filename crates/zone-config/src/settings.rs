//! What an administrator says of the installation as a whole: `/etc/zones/zones.toml`.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;

use crate::file::{self, FileError};
use crate::idmap::{COUNT, FIRST, LAST};
use crate::nearest::did_you_mean;
use crate::value::Kind;
use crate::{Layout, ZoneName};

mod template;

pub use template::template;

/// How long the zones of a host that goes down may take, in seconds, unless the file says otherwise: as long as Solaris' zones
/// service has.
pub const SHUTDOWN_TIME: u64 = 100;

/// How long the daemon of a zone that is up stays when nothing needs it, unless the file says otherwise.
pub const DAEMON_IDLE: Duration = Duration::from_secs(60);
/// The word for a daemon that does not leave.
const NEVER: &str = "never";
/// The longest that can be set for one that does, in seconds.
const LONGEST_IDLE: i64 = 86_400;

/// The file as it stands there.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Document {
    parallelism: Option<Spanned<i64>>,
    shutdown_time: Option<Spanned<i64>>,
    zonepath_base: Option<Spanned<String>>,
    mirror: Option<Spanned<String>>,
    first_id: Option<Spanned<i64>>,
    last_id: Option<Spanned<i64>>,
    daemon_idle: Option<Spanned<toml::Value>>,
}

/// The settings of an installation. Nothing is set where the file, or a key of it, is missing, but for `daemon_idle`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How many zones boot at the same time when the host boots, and go down.
    pub parallelism: Option<usize>,
    /// How many seconds all zones together have when the host goes down.
    pub shutdown_time: Option<u64>,
    /// Where zonepaths are that nobody has chosen.
    pub zonepath_base: Option<PathBuf>,
    /// The mirror of debootstrap when the command line names none.
    pub mirror: Option<String>,
    /// The first id of the host that a zone may be given.
    pub first_id: Option<u32>,
    /// The last one.
    pub last_id: Option<u32>,
    /// How long the daemon of a zone that is up stays when nothing needs it; none if it does not leave.
    pub daemon_idle: Option<Duration>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            parallelism: None,
            shutdown_time: None,
            zonepath_base: None,
            mirror: None,
            first_id: None,
            last_id: None,
            daemon_idle: Some(DAEMON_IDLE),
        }
    }
}

/// Why the settings cannot be obeyed.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file could not be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file is not TOML, or has a key that there is not.
    #[error("{}, line {line}: {what}", .path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// The line, from 1 on.
        line: usize,
        /// What is wrong with it.
        what: String,
    },
    /// A value that the key cannot have.
    #[error("{}, line {line}: {key} is {value:?}; allowed: {allowed}", .path.display())]
    Value {
        /// The file.
        path: PathBuf,
        /// The line, from 1 on.
        line: usize,
        /// The key.
        key: &'static str,
        /// What it is set to.
        value: String,
        /// What it could be set to.
        allowed: String,
    },
}

impl Settings {
    /// Reads the file of an installation; a missing one sets nothing.
    ///
    /// # Errors
    /// When the file cannot be read, or has what nothing obeys.
    pub fn load(layout: &Layout) -> Result<Self, SettingsError> {
        let path = layout.settings();
        let Some(bytes) = file::read_if_there(&path, file::DOCUMENT)? else { return Ok(Self::default()) };
        // A byte that is not UTF-8 becomes one that no value allows, and is reported where it stands.
        Self::parse(&String::from_utf8_lossy(&bytes), path)
    }

    fn parse(text: &str, path: PathBuf) -> Result<Self, SettingsError> {
        let line = |at: usize| text.get(..at).unwrap_or_default().matches('\n').count() + 1;
        let document: Document = toml::from_str(text).map_err(|error| {
            let span = error.span().unwrap_or_default();
            let mut what = error.message().replace('\n', ", ");
            // A key begins its line; elsewhere the place is a value, which nobody has mistaken for one.
            let before = text.get(..span.start).and_then(|before| before.rsplit('\n').next());
            if before.is_some_and(|before| before.trim().is_empty()) {
                let keys = template::keys();
                let typed = text.get(span.clone()).unwrap_or_default();
                what += &did_you_mean(typed, keys.iter().map(|key| key.name));
            }
            SettingsError::Parse { line: line(span.start), what, path: path.clone() }
        })?;
        let bad = |key, at: usize, value: String, allowed: String| SettingsError::Value {
            path: path.clone(),
            line: line(at),
            key,
            value,
            allowed,
        };
        let number = |key, value: Option<Spanned<i64>>, least: i64, most: i64| {
            let Some(value) = value else { return Ok(None) };
            let at = value.span().start;
            match value.into_inner() {
                number if (least..=most).contains(&number) => Ok(Some(number)),
                other => {
                    let allowed = format!("a whole number from {least} to {most}");
                    Err(bad(key, at, other.to_string(), allowed))
                }
            }
        };
        let word = |key, value: Option<Spanned<String>>, allowed: &str, fits: fn(&str) -> bool| {
            let Some(value) = value else { return Ok(None) };
            let at = value.span().start;
            let text = value.into_inner();
            if fits(&text) { Ok(Some(text)) } else { Err(bad(key, at, text, allowed.to_owned())) }
        };
        let daemon_idle = match document.daemon_idle {
            None => Some(DAEMON_IDLE),
            Some(value) => {
                let at = value.span().start;
                match value.into_inner() {
                    toml::Value::String(word) if word == NEVER => None,
                    toml::Value::Integer(seconds) if (0..=LONGEST_IDLE).contains(&seconds) => {
                        Some(Duration::from_secs(seconds.unsigned_abs()))
                    }
                    other => {
                        let text = other.as_str().map_or_else(|| other.to_string(), str::to_owned);
                        let allowed = format!("a whole number from 0 to {LONGEST_IDLE}, or \"{NEVER}\"");
                        return Err(bad("daemon-idle", at, text, allowed));
                    }
                }
            }
        };
        let ids_end = document.last_id.as_ref().map(|value| value.span().start);
        let settings = Self {
            parallelism: number("parallelism", document.parallelism, 1, 1024)?
                .and_then(|number| usize::try_from(number).ok()),
            shutdown_time: number("shutdown-time", document.shutdown_time, 4, 86_400)?.map(i64::unsigned_abs),
            zonepath_base: word(
                "zonepath-base",
                document.zonepath_base,
                "an absolute path without . and .. in it",
                is_base,
            )?
            .map(PathBuf::from),
            mirror: word(
                "mirror",
                document.mirror,
                "a URL that begins with http://, https:// or file:///",
                is_mirror,
            )?,
            first_id: number("first-id", document.first_id, FIRST.into(), LAST.into())?
                .and_then(|number| u32::try_from(number).ok()),
            last_id: number("last-id", document.last_id, FIRST.into(), LAST.into())?
                .and_then(|number| u32::try_from(number).ok()),
            daemon_idle,
        };
        let (first, last) = settings.ids();
        if u64::from(first.next_multiple_of(COUNT)) + u64::from(COUNT) > u64::from(last) + 1 {
            let allowed = format!("as much as leaves {COUNT} ids that begin at a multiple of that number");
            return Err(bad("last-id", ids_end.unwrap_or_default(), last.to_string(), allowed));
        }
        Ok(settings)
    }

    /// The first and the last id of the host that a zone may be given.
    #[must_use]
    pub fn ids(&self) -> (u32, u32) {
        (self.first_id.unwrap_or(FIRST), self.last_id.unwrap_or(LAST))
    }

    /// Gives the zonepath of a zone for which nobody has chosen one.
    #[must_use]
    pub fn zonepath(&self, layout: &Layout, zone: &ZoneName) -> PathBuf {
        match &self.zonepath_base {
            Some(base) => base.join(zone),
            None => layout.default_zonepath(zone),
        }
    }
}

fn is_base(text: &str) -> bool {
    Kind::Path.read(text).is_some_and(|value| value.to_string() == text)
}

fn is_mirror(text: &str) -> bool {
    ["http://", "https://", "file:///"].iter().any(|scheme| text.starts_with(scheme))
        && !text.chars().any(|c| c.is_whitespace() || c.is_control())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Settings, String> {
        Settings::parse(text, "/etc/zones/zones.toml".into()).map_err(|error| error.to_string())
    }

    #[test]
    fn every_key_is_read() {
        let text = "parallelism = 3\nshutdown-time = 60\nzonepath-base = \"/srv/zones\"\n\
                    mirror = \"http://mirror/debian\"\nfirst-id = 1048576\nlast-id = 2097151\n\
                    daemon-idle = 5\n";
        let settings = read(text).unwrap();
        assert_eq!((settings.parallelism, settings.shutdown_time), (Some(3), Some(60)));
        assert_eq!(settings.mirror.as_deref(), Some("http://mirror/debian"));
        assert_eq!(settings.ids(), (1_048_576, 2_097_151));
        assert_eq!(settings.daemon_idle, Some(Duration::from_secs(5)));
        assert_eq!(read("daemon-idle = \"never\"\n").unwrap().daemon_idle, None);
        assert_eq!(read("parallelism = 3\n").unwrap().daemon_idle, Some(DAEMON_IDLE));
        let zonepath = settings.zonepath(&Layout::host(), &"web".parse().unwrap());
        assert_eq!(zonepath, std::path::Path::new("/srv/zones/web"));
        assert_eq!(read("").unwrap(), Settings::default());
    }

    #[test]
    fn what_nothing_obeys_is_refused_where_it_stands() {
        for (text, told) in [
            (
                "parallelism = 3\n\nparalellism = 4\n",
                "/etc/zones/zones.toml, line 3: unknown field `paralellism`",
            ),
            ("paralellism = 4\n", "; did you mean \"parallelism\"?"),
            (
                "# x\nparallelism = 0\n",
                "line 2: parallelism is \"0\"; allowed: a whole number from 1 to 1024",
            ),
            ("shutdown-time = \"1\"\n", "line 1: invalid type"),
            ("zonepath-base = \"srv\"\n", "line 1: zonepath-base is \"srv\"; allowed: an absolute path"),
            ("zonepath-base = \"/srv/../etc\"\n", "allowed: an absolute path"),
            ("mirror = \"ftp://x\"\n", "line 1: mirror is \"ftp://x\"; allowed: a URL"),
            ("first-id = 0\n", "line 1: first-id is \"0\"; allowed: a whole number from 524288"),
            ("first-id = 1000000\n\nlast-id = 1100000\n", "line 3: last-id is \"1100000\"; allowed: as much"),
            (
                "daemon-idle = -1\n",
                "line 1: daemon-idle is \"-1\"; allowed: a whole number from 0 to 86400, or",
            ),
            ("\ndaemon-idle = \"later\"\n", "line 2: daemon-idle is \"later\"; allowed: a whole number"),
            ("first_id = 600000\n", "; did you mean \"first-id\"?"),
            ("[boot]\n", "line 1: unknown field `boot`"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(told), "{error}");
        }
        let value = read("parallelism = \"miror\"\n").unwrap_err();
        assert!(value.contains("invalid type") && !value.contains("did you mean"), "{value}");
    }
}
