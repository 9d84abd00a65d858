//! The file as a package brings it: every key, commented out, with what holds without it.

use super::{NEVER, SHUTDOWN_TIME, Settings};
use crate::idmap::{FIRST, LAST};

/// A key, as the file shows it.
pub(super) struct Key {
    /// Its name.
    pub(super) name: &'static str,
    /// What it is by default, in the words of TOML; an example where the default depends on the host.
    pub(super) value: String,
    /// What it is, in lines of the file.
    text: &'static str,
}

/// All keys, in the order of the manual page.
pub(super) fn keys() -> [Key; 7] {
    let key = |name, value: String, text| Key { name, value, text };
    let usual = Settings::default().daemon_idle;
    [
        key(
            "parallelism",
            "4".to_owned(),
            "How many zones boot, and go down, at the same time with the host: 1 to 1024.\n\
             Without this two for each processor.",
        ),
        key(
            "shutdown-time",
            SHUTDOWN_TIME.to_string(),
            "How many seconds all zones together have when the host goes down: 4 to 86400.",
        ),
        key("zonepath-base", "\"/var/lib/zones\"".to_owned(), "Where 'zonecfg create' puts zonepaths."),
        key(
            "mirror",
            "\"http://deb.debian.org/debian\"".to_owned(),
            "The mirror of 'zoneadm install --debootstrap'. Without this debootstrap's own.",
        ),
        key(
            "first-id",
            FIRST.to_string(),
            "The first id of the host that a zone may be given, and the last one.",
        ),
        key("last-id", LAST.to_string(), ""),
        key(
            "daemon-idle",
            usual.map_or_else(|| format!("\"{NEVER}\""), |idle| idle.as_secs().to_string()),
            "How many seconds the daemon of a zone that is up stays when nothing needs it: 0 to 86400,\n\
             or \"never\", with which it does not leave.",
        ),
    ]
}

/// Gives the text of the file that sets nothing.
#[must_use]
pub fn template() -> String {
    let mut text = "# What holds for all zones of this host: see zones.toml(5). Each key is shown with its default, or an\n\
                    # example; take the # before it away to set it. It is read when it is needed.\n"
        .to_owned();
    for Key { name, value, text: told } in keys() {
        if !told.is_empty() {
            text.push('\n');
        }
        told.lines().for_each(|line| text.push_str(&format!("# {line}\n")));
        text.push_str(&format!("#{name} = {value}\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Layout;

    fn read(text: &str) -> Result<Settings, String> {
        Settings::parse(text, "zones.toml".into()).map_err(|error| error.to_string())
    }

    #[test]
    fn every_key_that_there_is_is_shown() {
        // What a key that there is not is answered with names all that there are.
        let told = read("nonsense = 1\n").unwrap_err();
        let known: Vec<&str> = told.split('`').skip(3).step_by(2).collect();
        let shown: Vec<&str> = keys().iter().map(|key| key.name).collect();
        assert_eq!(shown, known, "{told}");
    }

    #[test]
    fn it_sets_nothing_until_somebody_takes_the_sign_away() {
        let text = template();
        assert_eq!(read(&text).unwrap(), Settings::default());
        assert!(text.lines().all(|line| line.len() <= 110), "{text}");
        let set: String = keys()
            .iter()
            .map(|Key { name, value, .. }| format!("{name} = {value}\n"))
            .inspect(|line| assert!(text.contains(&format!("\n#{line}")), "{line}"))
            .collect();
        let (set, usual) = (read(&set).unwrap(), Settings::default());
        assert_eq!(set.shutdown_time, Some(SHUTDOWN_TIME));
        assert_eq!(set.ids(), usual.ids());
        assert_eq!(set.daemon_idle, usual.daemon_idle);
        let (layout, zone) = (Layout::host(), "web".parse().unwrap());
        assert_eq!(set.zonepath(&layout, &zone), usual.zonepath(&layout, &zone));
        assert!(set.parallelism.is_some() && set.mirror.is_some());
    }
}
