//! The client's half of the door: small and blocking, because the programs that use it do one thing at a time.

use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::SocketType;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use thiserror::Error;

use crate::service::ServiceError;
use crate::wire::{Frame, Framer, MAX_REPLY, Reply, encode};
use crate::{Behalf, DoorError, Event, INTERFACE, OpResult, Progress, Request, SOCKET_NAME, Status};

/// How long the daemon may take to read a call. It reads at once; a daemon that does not is stopped or ill.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// Why a call brought no result.
#[derive(Debug, Error)]
pub enum CallError {
    /// No socket, or nobody behind it: the daemon has to be started.
    #[error("no zoneadmd listens at {}", path.display())]
    NotListening {
        /// Where the door's socket would be.
        path: PathBuf,
        /// What the kernel said.
        source: zone_sys::Error,
    },
    /// The socket cannot be reached for another reason.
    #[error("cannot connect to the door at {}", path.display())]
    Connect {
        /// Where the door's socket is.
        path: PathBuf,
        /// What the kernel said.
        source: zone_sys::Error,
    },
    /// The daemon went away before it answered, or is about to: start another one and call again.
    #[error("zoneadmd went away before it answered")]
    Gone,
    /// The daemon was silent for longer than the time limit that was set.
    #[error("zoneadmd has not answered for {} seconds", after.as_secs())]
    TimedOut {
        /// How long the daemon may be silent.
        after: Duration,
    },
    /// The daemon understood and did not do it.
    #[error(transparent)]
    Door(DoorError),
    /// The daemon did not understand: it is of another version.
    #[error(
        "zoneadmd does not understand this call; it may be of another version: end it, the next command starts the present one"
    )]
    Service(#[source] ServiceError),
    /// What came back is not what the interface promises.
    #[error("zoneadmd sent what the interface does not know: {0}")]
    Protocol(String),
    /// Reading from the socket, or writing to it, failed.
    #[error("cannot {operation} the door at {}", path.display())]
    Io {
        /// What was tried, as a verb that goes with "the door".
        operation: &'static str,
        /// Where the door's socket is.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// A connection to the daemon of one zone.
///
/// After any error but [`CallError::Door`] and [`CallError::Service`] the connection is of no use any more, and
/// every further call returns [`CallError::Gone`].
#[derive(Debug)]
pub struct Client {
    stream: UnixStream,
    path: PathBuf,
    framer: Framer,
    timeout: Option<Duration>,
    behalf: Option<Behalf>,
}

#[derive(Serialize)]
struct OutgoingCall<'a, C> {
    #[serde(flatten)]
    call: &'a C,
    #[serde(skip_serializing_if = "Option::is_none")]
    more: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    behalf: Option<Behalf>,
}

#[derive(Serialize)]
struct Query {
    method: String,
    parameters: Map<String, Value>,
}

impl Query {
    fn new(method: &str) -> Self {
        Self { method: format!("{INTERFACE}.{method}"), parameters: Map::new() }
    }
}

impl Client {
    /// Connects to the daemon of the zone whose run directory this is, if there is one: none is started by that.
    ///
    /// # Errors
    /// [`CallError::NotListening`] if the socket or the directory is not there or nobody listens,
    /// [`CallError::TimedOut`] if nobody is accepted, [`CallError::Connect`] if anything else is wrong.
    pub fn connect(run_dir: &Path) -> Result<Self, CallError> {
        Self::connected(run_dir, zsched::client::connect_served(run_dir, SOCKET_NAME))
    }

    /// The same, also where there is none as long as the zone lives: its zsched then starts one, which is waited for.
    ///
    /// # Errors
    /// As [`Client::connect`].
    pub fn connect_waiting(run_dir: &Path) -> Result<Self, CallError> {
        Self::connected(run_dir, zone_sys::unix::connect_in(run_dir, SOCKET_NAME, SocketType::STREAM))
    }

    fn connected(run_dir: &Path, socket: zone_sys::Result<OwnedFd>) -> Result<Self, CallError> {
        let path = run_dir.join(SOCKET_NAME);
        match socket {
            Ok(socket) => Self::over(UnixStream::from(socket), path),
            Err(source) if matches!(source.errno(), Errno::NOENT | Errno::NOTDIR | Errno::CONNREFUSED) => {
                Err(CallError::NotListening { path, source })
            }
            // It accepts nobody, and as many wait for that as may.
            Err(source) if source.errno() == Errno::AGAIN => {
                Err(CallError::TimedOut { after: zone_sys::unix::CONNECTING })
            }
            Err(source) => Err(CallError::Connect { path, source }),
        }
    }

    /// Speaks over a socket that is connected already; `path` is for messages.
    ///
    /// # Errors
    /// [`CallError::Io`] if the socket takes no time limit.
    pub fn over(stream: UnixStream, path: PathBuf) -> Result<Self, CallError> {
        match stream.set_write_timeout(Some(WRITE_TIMEOUT)) {
            Ok(()) => Ok(Self { stream, path, framer: Framer::new(MAX_REPLY), timeout: None, behalf: None }),
            Err(source) => Err(CallError::Io { operation: "set the time limit of", path, source }),
        }
    }

    /// Says for whom operations are asked for, who is then recorded as the one who asked.
    pub fn on_behalf(&mut self, behalf: Option<Behalf>) {
        self.behalf = behalf;
    }

    /// Limits how long the daemon may be silent within a call; no limit at first, since a guest may take its time
    /// to shut down.
    ///
    /// # Errors
    /// [`CallError::Io`] if the limit is zero.
    pub fn set_timeout(&mut self, timeout: Option<Duration>) -> Result<(), CallError> {
        self.stream.set_read_timeout(timeout).map_err(|e| self.io_error("set the time limit of", e))?;
        self.timeout = timeout;
        Ok(())
    }

    /// Has an operation performed and waits for its end.
    ///
    /// # Errors
    /// See [`CallError`]. After [`CallError::Gone`] it is not known whether the operation was performed; all of
    /// them may be repeated.
    pub fn call(
        &mut self,
        request: &Request,
        mut on_progress: impl FnMut(&Progress),
    ) -> Result<OpResult, CallError> {
        zone_fail::pass!("call.connected");
        self.send(&OutgoingCall { call: request, more: Some(true), behalf: self.behalf })?;
        zone_fail::pass!("call.sent");
        loop {
            let (mut parameters, continues) = self.receive()?;
            if !continues {
                zone_fail::pass!("call.replied");
                return self.field(&mut parameters, "result");
            }
            on_progress(&self.field(&mut parameters, "progress")?);
        }
    }

    /// The same without progress: the daemon then writes one message, and we wake up once. That is a tenth of a boot.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub fn call_for_result(&mut self, request: &Request) -> Result<OpResult, CallError> {
        zone_fail::pass!("call.connected");
        self.send(&OutgoingCall { call: request, more: None, behalf: self.behalf })?;
        zone_fail::pass!("call.sent");
        let (mut parameters, _) = self.receive()?;
        zone_fail::pass!("call.replied");
        self.field(&mut parameters, "result")
    }

    /// Which version of zoneadmd answers.
    ///
    /// # Errors
    /// See [`CallError`].
    pub fn version(&mut self) -> Result<String, CallError> {
        let method = format!("{}.GetInfo", crate::service::SERVICE);
        self.send(&OutgoingCall {
            call: &Query { method, parameters: Map::new() },
            more: None,
            behalf: None,
        })?;
        let (mut parameters, _) = self.receive()?;
        self.field(&mut parameters, "version")
    }

    /// The process at the other end, by the kernel's word.
    ///
    /// # Errors
    /// [`CallError::Io`] if the kernel does not tell.
    pub fn peer(&self) -> Result<i32, CallError> {
        let peer = zone_sys::unix::peer(&self.stream);
        peer.map(|peer| peer.pid).map_err(|e| self.io_error("look at the other end of", e.into()))
    }

    /// Asks for the zone's status.
    ///
    /// # Errors
    /// See [`CallError`].
    pub fn status(&mut self) -> Result<Status, CallError> {
        self.send(&OutgoingCall { call: &Query::new("GetStatus"), more: None, behalf: None })?;
        let (mut parameters, _) = self.receive()?;
        self.field(&mut parameters, "status")
    }

    /// Follows what happens to the zone. The first event is the present state.
    ///
    /// # Errors
    /// See [`CallError`].
    pub fn monitor(mut self) -> Result<Events, CallError> {
        self.send(&OutgoingCall { call: &Query::new("Monitor"), more: Some(true), behalf: None })?;
        Ok(Events { client: self, ended: false })
    }

    /// As [`Client::call`] if `more`, else as [`Client::call_for_result`]; `idle` is run whenever the daemon has said
    /// nothing for `every`.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub fn call_watched(
        &mut self,
        request: &Request,
        more: bool,
        mut on_progress: impl FnMut(&Progress),
        every: Duration,
        mut idle: impl FnMut(),
    ) -> Result<OpResult, CallError> {
        zone_fail::pass!("call.connected");
        self.send(&OutgoingCall { call: request, more: more.then_some(true), behalf: self.behalf })?;
        zone_fail::pass!("call.sent");
        loop {
            self.wait(every, &mut idle)?;
            let (mut parameters, continues) = self.receive()?;
            if !continues {
                zone_fail::pass!("call.replied");
                return self.field(&mut parameters, "result");
            }
            on_progress(&self.field(&mut parameters, "progress")?);
        }
    }

    /// Waits until there is something to read, running `idle` every so often.
    fn wait(&self, every: Duration, idle: &mut impl FnMut()) -> Result<(), CallError> {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let limit = Timespec::try_from(every).ok();
        while !self.framer.has_message() {
            match poll(&mut [PollFd::new(&self.stream, PollFlags::IN)], limit.as_ref()) {
                Ok(0) => idle(),
                Err(Errno::INTR) => {}
                Ok(_) => break,
                Err(errno) => return Err(self.io_error("wait for", errno.into())),
            }
        }
        Ok(())
    }

    fn send<T: Serialize>(&mut self, message: &T) -> Result<(), CallError> {
        let bytes = encode(message).map_err(|error| CallError::Protocol(error.to_string()))?;
        let allowed = zone_fail::fail!("door.send").map_err(io::Error::from);
        let sent = allowed.and_then(|()| self.stream.write_all(&bytes));
        match sent {
            // A daemon that had no room for us has answered without reading, and hung up.
            Err(error) if error.kind() == ErrorKind::BrokenPipe && self.has_words() => Ok(()),
            sent => sent.map_err(|error| self.lost("write to", WRITE_TIMEOUT, error)),
        }
    }

    /// Whether there is something to be read.
    fn has_words(&self) -> bool {
        use rustix::net::{RecvFlags, recv};
        let peeked = recv(&self.stream, &mut [0; 1], RecvFlags::PEEK | RecvFlags::DONTWAIT);
        matches!(peeked, Ok((_, 1..)))
    }

    /// The parameters of the next reply, and whether more replies follow.
    fn receive(&mut self) -> Result<(Map<String, Value>, bool), CallError> {
        let message = self.next_message()?;
        let reply: Reply = serde_json::from_slice(&message).map_err(|error| self.protocol(&error))?;
        let parameters = reply.parameters.unwrap_or(Value::Null);
        let Some(name) = reply.error else {
            return match parameters {
                Value::Object(map) => Ok((map, reply.continues == Some(true))),
                _ => Err(self.protocol(&"a reply without parameters")),
            };
        };
        // The derived readers want the name and the parameters in one object, and an object even if it is empty.
        let parameters = if parameters.is_null() { Value::Object(Map::new()) } else { parameters };
        let error = serde_json::json!({ "error": name, "parameters": parameters });
        if name.starts_with("org.varlink.service.") {
            return Err(serde_json::from_value(error).map_or_else(|e| self.protocol(&e), CallError::Service));
        }
        match serde_json::from_value(error) {
            Ok(DoorError::Dying {}) => {
                self.close();
                Err(CallError::Gone)
            }
            Ok(error) => Err(CallError::Door(error)),
            Err(_) => Err(self.protocol(&name)),
        }
    }

    fn next_message(&mut self) -> Result<Vec<u8>, CallError> {
        loop {
            match self.framer.next() {
                Some(Frame::Message(message)) => return Ok(message),
                Some(Frame::TooLong) => return Err(self.protocol(&"a reply that is too long")),
                None => {}
            }
            let mut buffer = [0; 4096];
            let allowed = zone_fail::fail!("door.receive").map_err(io::Error::from);
            match allowed.and_then(|()| self.stream.read(&mut buffer)) {
                Ok(0) => return Err(CallError::Gone),
                Ok(count) => self.framer.push(&buffer[..count]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    return Err(self.lost("read from", self.timeout.unwrap_or_default(), error));
                }
            }
        }
    }

    fn field<T: DeserializeOwned>(
        &self,
        parameters: &mut Map<String, Value>,
        name: &str,
    ) -> Result<T, CallError> {
        let value = parameters.remove(name).unwrap_or(Value::Null);
        serde_json::from_value(value).map_err(|error| self.protocol(&format_args!("{name}: {error}")))
    }

    fn protocol(&self, what: &dyn std::fmt::Display) -> CallError {
        self.close();
        CallError::Protocol(what.to_string())
    }

    /// Reading or writing failed: sorts out why, and makes sure that a late reply is never taken for another's.
    fn lost(&self, operation: &'static str, after: Duration, error: io::Error) -> CallError {
        self.close();
        match error.kind() {
            ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::NotConnected => CallError::Gone,
            ErrorKind::WouldBlock | ErrorKind::TimedOut => CallError::TimedOut { after },
            _ => self.io_error(operation, error),
        }
    }

    fn io_error(&self, operation: &'static str, source: io::Error) -> CallError {
        CallError::Io { operation, path: self.path.clone(), source }
    }

    fn close(&self) {
        // It fails only if the other side has closed already.
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

/// What happens to the zone, until the daemon ends; ends with the first error.
#[derive(Debug)]
pub struct Events {
    client: Client,
    ended: bool,
}

impl Iterator for Events {
    type Item = Result<Event, CallError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let event = self.client.receive().and_then(|(mut parameters, continues)| {
            self.ended = !continues;
            self.client.field(&mut parameters, "event")
        });
        self.ended |= event.is_err();
        Some(event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_door_with_no_place_for_one_more_is_that_of_a_daemon_that_does_not_answer() {
        let refused =
            |errno| Client::connected(Path::new("/run"), Err(zone_sys::Error::new("connect", errno)));
        assert!(matches!(refused(Errno::AGAIN), Err(CallError::TimedOut { .. })));
        assert!(matches!(refused(Errno::CONNREFUSED), Err(CallError::NotListening { .. })));
        assert!(matches!(refused(Errno::ACCESS), Err(CallError::Connect { .. })));
    }
}
