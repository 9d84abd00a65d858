//! One audit record for each operation: who asked for what, and whether it came to pass.
//! `ausearch -m VIRT_CONTROL` finds them.

use crate::daemon::Daemon;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType, netlink, sendto, socket_with};
use zone_door::{Caller, Operation};

/// `AUDIT_VIRT_CONTROL` of `linux/audit.h`.
const VIRT_CONTROL: u16 = 2500;
/// `NLM_F_REQUEST`: no acknowledgement is wanted, an audit record must never hold an operation up.
const REQUEST: u16 = 1;

/// Records that `operation` was asked for by `caller` (the zone itself, if none).
pub(crate) fn record(daemon: &Daemon, operation: Operation, caller: Option<Caller>, success: bool) {
    let name = daemon.name();
    let result = if success { "success" } else { "failed" };
    let asker =
        caller.map_or_else(|| "zone=1".to_owned(), |caller| format!("uid={} pid={}", caller.uid, caller.pid));
    let vm_pid = daemon.status().pid;
    let exe = "zoneadmd";
    let text =
        format!("virt=zone op={operation} vm=\"{name}\" vm-pid={vm_pid} {asker} exe=\"{exe}\" res={result}");
    tracing::info!("{operation}: {result} ({asker})");
    // A kernel without audit, or a host that forbids it, is no reason to fail.
    let _ = send(&text);
}

fn send(text: &str) -> Result<(), rustix::io::Errno> {
    let kind = SocketType::RAW;
    let socket = socket_with(AddressFamily::NETLINK, kind, SocketFlags::CLOEXEC, Some(netlink::AUDIT))?;
    let length = u32::try_from(16 + text.len() + 1).unwrap_or(u32::MAX);
    let mut message = Vec::with_capacity(16 + text.len() + 4);
    message.extend_from_slice(&length.to_ne_bytes());
    message.extend_from_slice(&VIRT_CONTROL.to_ne_bytes());
    message.extend_from_slice(&REQUEST.to_ne_bytes());
    // Sequence and sender; the kernel fills the latter in.
    message.extend_from_slice(&[0; 8]);
    message.extend_from_slice(text.as_bytes());
    message.push(0);
    message.resize(message.len().next_multiple_of(4), 0);
    sendto(&socket, &message, SendFlags::DONTWAIT, &SocketAddrNetlink::new(0, 0)).map(|_| ())
}
