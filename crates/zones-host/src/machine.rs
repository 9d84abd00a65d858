//! Having systemd-machined know of a zone, where that runs: for `machinectl`, for `ps -o machine`, for names of zones by nss-mymachines.
//!
//! machined takes a machine whose first process is in a unit, which it reads off the path of that process' cgroup, and keeps it for as
//! long as that unit is active. It is called like the zone, with `-` for each `_`, which no name of a host has. A zone's cgroup has the name of the zone's unit in its path and is no business of systemd's else;
//! the unit's process is this one. So a machine is gone when the zone is, and when this process is, whatever has ended it. That
//! machined is not there, or does not take it, is no reason for anything.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use zone_config::{Index, Layout, ZoneName};
use zone_net::interface::Attachment;
use zone_net::record::Record;
use zsched::wire::Status;

use crate::say;

/// Where the bus is told how machined is started.
const SERVICES: [&str; 2] = [
    "/usr/share/dbus-1/system-services/org.freedesktop.machine1.service",
    "/etc/dbus-1/system-services/org.freedesktop.machine1.service",
];
const NAME: &str = "org.freedesktop.machine1";
const PATH: &str = "/org/freedesktop/machine1";
/// Who has registered a machine, in machined's words.
const OURS: &str = "zones";
/// How long machined may take to answer, for busctl(1).
const TIMEOUT: &str = "--timeout=10";
/// A keeper answers at once, or is ill.
const ANSWER: Duration = Duration::from_secs(10);

/// A zone, and which incarnation of it machined was told of.
pub(crate) struct Machine<'a> {
    layout: &'a Layout,
    zone: &'a ZoneName,
    /// What machined calls it.
    name: String,
    told: Option<u64>,
}

impl<'a> Machine<'a> {
    /// Nobody was told yet.
    pub(crate) fn new(layout: &'a Layout, zone: &'a ZoneName) -> Self {
        Self { layout, zone, name: name(zone), told: None }
    }

    /// Tells machined of the incarnation that lives, once.
    pub(crate) fn follow(&mut self) {
        // A zone of another root is not one of this host's.
        if !self.layout.is_default() || !SERVICES.iter().any(|path| Path::new(path).exists()) {
            return;
        }
        let Some(status) = self.live().filter(|status| self.told != Some(status.uniqid)) else { return };
        self.told = Some(status.uniqid);
        if let Some(other) = self.namesake() {
            say(&format!(
                "systemd-machined does not know zone '{}': there it would be {}, and that is zone '{other}'",
                self.zone, self.name
            ));
            return;
        }
        // That of an earlier incarnation, or of this one, told by a process before this one.
        self.forget();
        let told = call(&self.registration(&status));
        // It may have ended meanwhile, and its number may have become another's.
        let lives = self.live().is_some_and(|now| now.pid == status.pid && now.uniqid == status.uniqid);
        match told {
            Err(why) if lives => {
                say(&format!("systemd-machined does not know zone '{}': {why}", self.zone));
            }
            Ok(_) if !lives => self.forget(),
            _ => {}
        }
    }

    /// The zone that has the name before this one: the one that is called so, or else the first in the order of the alphabet of those that
    /// would be. It may be up, or come up, and what is done to a machine of the name is meant for it.
    fn namesake(&self) -> Option<ZoneName> {
        if self.name == self.zone.as_str() {
            return None;
        }
        let index = Index::load(self.layout).ok()?;
        let of_the_name = index.entries().map(|entry| &entry.name).filter(|other| name(other) == self.name);
        let rank = |zone: &ZoneName| (zone.as_str() != self.name, zone.to_string());
        let first = of_the_name.min_by_key(|other| rank(other))?;
        // This one may have been taken out of the index meanwhile.
        (rank(first) < rank(self.zone)).then(|| first.clone())
    }

    /// What lives of the zone, if it has a first process.
    fn live(&self) -> Option<Status> {
        let live = zone_live::ask(self.layout, self.zone, ANSWER).ok().flatten();
        live.filter(|status| status.pid > 0)
    }

    /// Has machined forget the machine of the zone's name, if that is ours.
    fn forget(&self) {
        let path = format!("{PATH}/machine/{}", label(&self.name));
        let property = ["get-property", NAME, &path, "org.freedesktop.machine1.Machine", "Service"];
        if busctl(&property.map(str::to_owned)).is_ok_and(|said| said.trim() == format!("s \"{OURS}\"")) {
            let _ = call(&["UnregisterMachine", "s", &self.name].map(str::to_owned));
        }
    }

    /// The words that register it.
    fn registration(&self, status: &Status) -> Vec<String> {
        let entry = Index::find(self.layout, self.zone).ok().flatten();
        let uuid = entry.as_ref().and_then(|entry| entry.uuid);
        let root = entry.map(|entry| entry.zonepath.join("root").display().to_string());
        let links = Record::load(self.layout, self.zone).ok().flatten().map(|record| links(&record));
        registration(
            &self.name,
            uuid.as_ref().map_or(&[][..], |uuid| &uuid.as_bytes()[..]),
            status.pid,
            &root.unwrap_or_default(),
            &links.unwrap_or_default(),
        )
    }
}

/// What machined calls a zone. Those that differ only in `_` and `-` would be one; see [`Machine::namesake`].
fn name(zone: &ZoneName) -> String {
    zone.as_str().replace('_', "-")
}

/// In busctl's words: what kind of thing each is, and what it is.
fn registration(name: &str, uuid: &[u8], leader: i32, root: &str, links: &[u32]) -> Vec<String> {
    let fixed = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
    let mut words = fixed(&["RegisterMachineWithNetwork", "sayssusai", name]);
    words.push(uuid.len().to_string());
    words.extend(uuid.iter().map(u8::to_string));
    words.extend(fixed(&[OURS, "container"]));
    words.extend([leader.to_string(), root.to_owned(), links.len().to_string()]);
    words.extend(links.iter().map(u32::to_string));
    words
}

/// The numbers of the host's ends of a zone's pairs of links.
fn links(record: &Record) -> Vec<u32> {
    let is_pair =
        |attachment: &Attachment| matches!(attachment, Attachment::Bridge { .. } | Attachment::Routed { .. });
    let pairs = record.interfaces.iter().filter(|interface| is_pair(&interface.attachment));
    let number = |host: &str| std::fs::read_to_string(format!("/sys/class/net/{host}/ifindex")).ok();
    pairs.filter_map(|interface| number(&interface.host)?.trim().parse().ok()).collect()
}

fn call(words: &[String]) -> Result<String, String> {
    let call = ["call", NAME, PATH, "org.freedesktop.machine1.Manager"].map(str::to_owned);
    busctl(&[&call, words].concat())
}

/// Asks by busctl(1), which is systemd's own, and gives what it printed.
fn busctl(words: &[String]) -> Result<String, String> {
    let mut command = Command::new("busctl");
    command.env_remove("NOTIFY_SOCKET").stdin(Stdio::null()).arg(TIMEOUT).args(words);
    let said = command.output().map_err(|error| format!("cannot run busctl: {}", zone_sys::Chain(&error)))?;
    match said.status.success() {
        true => Ok(String::from_utf8_lossy(&said.stdout).into_owned()),
        false => Err(String::from_utf8_lossy(&said.stderr).trim().to_owned()),
    }
}

/// A name as a part of a path on the bus has it (`sd_bus_path_encode(3)`).
fn label(name: &str) -> String {
    let escaped = |(at, byte): (usize, u8)| match byte {
        b'a'..=b'z' | b'A'..=b'Z' => char::from(byte).to_string(),
        b'0'..=b'9' if at > 0 => char::from(byte).to_string(),
        _ => format!("_{byte:02x}"),
    };
    name.bytes().enumerate().map(escaped).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_escaped_as_the_bus_has_them() {
        assert_eq!(label("web"), "web");
        assert_eq!(label("web-1.x_y"), "web_2d1_2ex_5fy");
        assert_eq!(label("9p"), "_39p");
    }

    #[test]
    fn a_name_is_one_that_a_host_may_have() {
        let name = |text: &str| name(&text.parse().unwrap());
        assert_eq!(
            (name("web.x"), name("a_b_c"), name("a-b")),
            ("web.x".into(), "a-b-c".into(), "a-b".into())
        );
    }

    #[test]
    fn another_zones_name_is_left_to_it() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(Some(dir.path().to_owned())).unwrap();
        let (zone, other): (ZoneName, ZoneName) = ("a_b".parse().unwrap(), "a-b".parse().unwrap());
        let machine = Machine::new(&layout, &zone);
        assert_eq!(machine.namesake(), None);
        let config = layout.index();
        std::fs::create_dir_all(config.parent().unwrap()).unwrap();
        std::fs::write(config, "a-b:configured:/x:\n").unwrap();
        assert_eq!(machine.namesake(), Some(other));
    }

    #[test]
    fn of_those_that_would_be_called_the_same_one_is_known() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(Some(dir.path().to_owned())).unwrap();
        let zone = |name: &str| name.parse::<ZoneName>().unwrap();
        let index = layout.index();
        std::fs::create_dir_all(index.parent().unwrap()).unwrap();
        std::fs::write(&index, "a_b-c:configured:/y:\na-b_c:configured:/x:\na_b_d:configured:/z:\n").unwrap();
        let before = |name: &str| Machine::new(&layout, &zone(name)).namesake();
        assert_eq!(before("a-b_c"), None);
        assert_eq!(before("a_b-c"), Some(zone("a-b_c")));
        assert_eq!(before("a_b_d"), None);
        // The one that is called so comes first, wherever it stands.
        std::fs::write(&index, "a_b-c:configured:/y:\na-b_c:configured:/x:\na-b-c:configured:/z:\n").unwrap();
        assert_eq!(before("a-b-c"), None);
        assert_eq!(before("a-b_c"), Some(zone("a-b-c")));
        assert_eq!(before("a_b-c"), Some(zone("a-b-c")));
    }

    #[test]
    fn a_registration_is_in_the_words_of_busctl() {
        let line =
            |uuid: &[u8], links: &[u32]| registration("web", uuid, 77, "/zones/web/root", links).join(" ");
        assert_eq!(
            line(&[1, 255], &[3, 9]),
            "RegisterMachineWithNetwork sayssusai web 2 1 255 zones container 77 /zones/web/root 2 3 9"
        );
        assert_eq!(
            line(&[], &[]),
            "RegisterMachineWithNetwork sayssusai web 0 zones container 77 /zones/web/root 0"
        );
    }
}
