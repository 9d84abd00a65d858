//! Records for the audit system of the host, as libvirt and others write them of machines: `ausearch -m VIRT_CONTROL`,
//! `aureport --virt` and `auvirt` understand them.
//!
//! | record | of | fields beside those that all have |
//! |---|---|---|
//! | `VIRT_CONTROL` | what is done to a zone | `op`, `reason` |
//! | `VIRT_RESOURCE` | a limit that it is given | `resrc`, `reason`, `old-NAME`, `new-NAME` |
//! | `VIRT_MACHINE_ID` | who it is, when it starts | |
//!
//! All have `virt=zone vm uuid vm-pid`, `sauid suid spid` (login user, user and process) of whoever asked, or `zone=1`, and
//! `exe hostname addr terminal res`. The kernel puts `auid uid pid` of the sender before them, which is the daemon as a rule;
//! of two fields of one name ausearch(8) would interpret the first for both.
//!
//! A kernel without audit, or a host that forbids it, is no reason to fail: a record that cannot be sent is lost.
#![forbid(unsafe_code)]

use std::fmt::Write as _;

use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType, netlink, sendto, socket_with};

/// `NLM_F_REQUEST`: no acknowledgement is wanted, an audit record must never hold an operation up.
const REQUEST: u16 = 1;
/// What the kernel has for the login user of a process that came from no login.
pub const UNSET: u32 = u32::MAX;

/// Whom a record is about.
#[derive(Clone, Debug, Default)]
pub struct Machine<'a> {
    /// The zone's name.
    pub zone: &'a str,
    /// Its uuid, if it has one.
    pub uuid: Option<String>,
    /// Its first process on the host; 0 for none.
    pub pid: i32,
}

/// Who asked for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asker {
    /// The process.
    pub pid: i32,
    /// Its effective user.
    pub uid: u32,
    /// The user who has logged in, whatever became of that; [`UNSET`] for none.
    pub auid: u32,
}

impl Asker {
    /// The process `pid`, of which the kernel has said that its user is `uid`: its login is looked up. One that has gone has
    /// none.
    #[must_use]
    pub fn of(pid: i32, uid: u32) -> Self {
        // 0 is a process that this one cannot see.
        let text = (pid > 0).then(|| std::fs::read_to_string(format!("/proc/{pid}/loginuid")).ok()).flatten();
        let auid = text.and_then(|text| text.trim().parse().ok()).unwrap_or(UNSET);
        Self { pid, uid, auid }
    }

    /// This process.
    #[must_use]
    pub fn own() -> Self {
        let pid = rustix::process::getpid().as_raw_nonzero().get();
        Self::of(pid, rustix::process::geteuid().as_raw())
    }
}

/// A kind of record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Control = 2500,
    Resource = 2501,
    MachineId = 2502,
}

/// Records that `op` was done to a zone, for `reason`, asked for by `asker` (the zone itself, if none).
pub fn control(machine: &Machine<'_>, op: &str, reason: &str, asker: Option<Asker>, success: bool) {
    send(Kind::Control, &text(machine, &format!("op={op} reason={reason}"), asker, success));
}

/// Records that a limit of a zone was changed, `from` one value `to` another.
pub fn resource(
    machine: &Machine<'_>,
    name: &str,
    reason: &str,
    (from, to): (&str, &str),
    asker: Option<Asker>,
    success: bool,
) {
    let name = word(name);
    let what = format!("resrc={name} reason={reason} old-{name}={} new-{name}={}", number(from), number(to));
    send(Kind::Resource, &text(machine, &what, asker, success));
}

/// Records who a zone is that has started.
pub fn machine_id(machine: &Machine<'_>, asker: Option<Asker>) {
    send(Kind::MachineId, &text(machine, "", asker, true));
}

fn text(machine: &Machine<'_>, what: &str, asker: Option<Asker>, success: bool) -> String {
    let Machine { zone, uuid, pid } = machine;
    let mut text = String::from("virt=zone ");
    if !what.is_empty() {
        let _ = write!(text, "{what} ");
    }
    let uuid = uuid.as_deref().unwrap_or("?");
    let _ = write!(text, "vm={} uuid={uuid} vm-pid={pid} ", value(zone));
    let _ = match asker {
        Some(Asker { pid, uid, auid }) => {
            write!(text, "sauid={auid} suid={uid} spid={pid}")
        }
        None => write!(text, "zone=1"),
    };
    let exe = std::env::current_exe().unwrap_or_default();
    let result = if success { "success" } else { "failed" };
    let exe = value(&exe.to_string_lossy());
    let _ = write!(text, " exe={exe} hostname=? addr=? terminal=? res={result}");
    text
}

/// Writes a value as audit has it: in quotes, or in hexadecimal digits where it has what could end these or look like
/// another field.
fn value(text: &str) -> String {
    let plain = text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"');
    if plain {
        return format!("\"{text}\"");
    }
    text.bytes().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02X}");
        hex
    })
}

/// Writes a value that may be a number, or `?` for none, as others do: bare.
fn number(text: &str) -> String {
    let bare = text == "?" || !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if bare { text.to_owned() } else { value(text) }
}

/// Makes a word of which a field's name may be made.
fn word(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect()
}

fn send(kind: Kind, text: &str) {
    let _ = try_send(kind, text);
}

fn try_send(kind: Kind, text: &str) -> Result<(), rustix::io::Errno> {
    let raw = SocketType::RAW;
    let socket = socket_with(AddressFamily::NETLINK, raw, SocketFlags::CLOEXEC, Some(netlink::AUDIT))?;
    let message = message(kind, text);
    sendto(&socket, &message, SendFlags::DONTWAIT, &SocketAddrNetlink::new(0, 0)).map(|_| ())
}

fn message(kind: Kind, text: &str) -> Vec<u8> {
    let length = u32::try_from(16 + text.len() + 1).unwrap_or(u32::MAX);
    let mut message = Vec::with_capacity(16 + text.len() + 4);
    message.extend_from_slice(&length.to_ne_bytes());
    message.extend_from_slice(&(kind as u16).to_ne_bytes());
    message.extend_from_slice(&REQUEST.to_ne_bytes());
    // Sequence and sender; the kernel fills the latter in.
    message.extend_from_slice(&[0; 8]);
    message.extend_from_slice(text.as_bytes());
    message.push(0);
    message.resize(message.len().next_multiple_of(4), 0);
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_has_the_fields_that_others_have() {
        let machine = Machine { zone: "web", uuid: Some("u-u".into()), pid: 7 };
        let asker = Asker { pid: 9, uid: 0, auid: 1000 };
        let said = text(&machine, "op=start reason=booted", Some(asker), true);
        let begins =
            "virt=zone op=start reason=booted vm=\"web\" uuid=u-u vm-pid=7 sauid=1000 suid=0 spid=9 exe=\"/";
        assert!(said.starts_with(begins), "{said}");
        assert!(said.ends_with("hostname=? addr=? terminal=? res=success"), "{said}");
        let said = text(&machine, "", None, false);
        assert!(said.starts_with("virt=zone vm=\"web\" uuid=u-u vm-pid=7 zone=1 exe="), "{said}");
        assert!(said.ends_with("res=failed"), "{said}");
    }

    #[test]
    fn no_value_makes_a_field() {
        assert_eq!(value("1G"), "\"1G\"");
        assert_eq!(
            (number("12"), number("?"), number("1 res=")),
            ("12".into(), "?".into(), "31207265733D".into())
        );
        assert_eq!(value("a b"), "612062");
        assert_eq!(value("x\" res=success"), "7822207265733D73756363657373");
        assert_eq!(word("capped-memory.physical x="), "capped-memory-physical-x-");
    }

    #[test]
    fn a_message_is_whole_and_says_how_long_it_is() {
        let bytes = message(Kind::Resource, "abc");
        assert_eq!(bytes.len(), 20);
        assert_eq!(bytes[..6], [20, 0, 0, 0, 0xc5, 0x09]);
        assert_eq!(bytes[16..], *b"abc\0");
    }

    #[test]
    fn a_process_that_is_not_there_has_no_login() {
        let nobody = Asker::of(-1, 5);
        assert_eq!((nobody.uid, nobody.auid), (5, UNSET));
    }
}
