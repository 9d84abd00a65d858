//! The Varlink envelope: one JSON object per message, each ended by a NUL byte.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

/// A longer message from a client is refused; the longest that means anything is under 8 KiB.
pub const MAX_CALL: usize = 64 * 1024;

/// A client of ours gives up on a longer reply, and the daemon does not send one.
pub(crate) const MAX_REPLY: usize = 1024 * 1024;

/// A call as the server reads it. The parameters stay unread until the method is known and the caller admitted.
#[derive(Debug, Deserialize)]
pub(crate) struct Call<'a> {
    #[serde(borrow)]
    pub(crate) method: Cow<'a, str>,
    #[serde(borrow, default)]
    pub(crate) parameters: Option<&'a RawValue>,
    #[serde(default)]
    pub(crate) more: Option<bool>,
    #[serde(default)]
    pub(crate) oneway: Option<bool>,
    #[serde(default)]
    pub(crate) upgrade: Option<bool>,
    #[serde(default)]
    pub(crate) behalf: Option<Behalf>,
}

/// For whom root makes a call: what is recorded of the caller then. Of others it is ignored, and daemons of before 0.2.0 do
/// not know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Behalf {
    /// The process.
    pub pid: i32,
    /// Its user.
    pub uid: u32,
    /// Its login user.
    pub auid: u32,
}

impl Behalf {
    /// The variable by which a program of ours is told on whose behalf it is run.
    pub const VARIABLE: &'static str = "ZONES_BEHALF";

    /// Reads what [`Self::text`] gives.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let pid = words.next()?.parse().ok()?;
        let mut number = || words.next()?.parse().ok();
        let (uid, auid) = (number()?, number()?);
        Some(Self { pid, uid, auid })
    }

    /// Renders it for [`Self::VARIABLE`].
    #[must_use]
    pub fn text(self) -> String {
        format!("{} {} {}", self.pid, self.uid, self.auid)
    }
}

impl From<Behalf> for zone_audit::Asker {
    fn from(Behalf { pid, uid, auid }: Behalf) -> Self {
        Self { pid, uid, auid }
    }
}

impl From<zone_audit::Asker> for Behalf {
    fn from(zone_audit::Asker { pid, uid, auid }: zone_audit::Asker) -> Self {
        Self { pid, uid, auid }
    }
}

/// A reply as the client reads it.
#[derive(Debug, Deserialize)]
pub(crate) struct Reply {
    #[serde(default)]
    pub(crate) error: Option<String>,
    #[serde(default)]
    pub(crate) parameters: Option<Value>,
    #[serde(default)]
    pub(crate) continues: Option<bool>,
}

/// A successful reply as the server writes it. `parameters` is always there: the Python client expects it.
#[derive(Debug, Serialize)]
pub(crate) struct Success<P> {
    pub(crate) parameters: P,
    #[serde(skip_serializing_if = "is_false")]
    pub(crate) continues: bool,
}

fn is_false(flag: &bool) -> bool {
    !*flag
}

/// Renders a message with its NUL.
///
/// # Errors
/// If the value cannot be JSON; none of ours is such a value.
pub(crate) fn encode<T: Serialize>(message: &T) -> serde_json::Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec(message)?;
    bytes.push(0);
    Ok(bytes)
}

/// Cuts a byte stream into messages and holds no more than a bounded part of it.
#[derive(Debug)]
pub(crate) struct Framer {
    bytes: Vec<u8>,
    limit: usize,
    /// Set while the rest of a message that was too long is thrown away.
    skipping: bool,
}

/// What [`Framer::next`] found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Frame {
    /// A message, without its NUL.
    Message(Vec<u8>),
    /// A message longer than the limit has begun. Said once; its remainder is thrown away.
    TooLong,
}

impl Framer {
    pub(crate) fn new(limit: usize) -> Self {
        Self { bytes: Vec::new(), limit, skipping: false }
    }

    /// Adds what was read. Call [`Framer::next`] until it has nothing before adding more: that keeps the memory
    /// held below the limit plus one read.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Takes out the next message.
    pub(crate) fn next(&mut self) -> Option<Frame> {
        loop {
            match self.bytes.iter().position(|&byte| byte == 0) {
                Some(end) => {
                    let rest = self.bytes.split_off(end + 1);
                    let mut message = std::mem::replace(&mut self.bytes, rest);
                    if std::mem::take(&mut self.skipping) {
                        continue;
                    }
                    message.pop();
                    let frame =
                        if message.len() > self.limit { Frame::TooLong } else { Frame::Message(message) };
                    return Some(frame);
                }
                None if self.skipping => {
                    self.bytes = Vec::new();
                    return None;
                }
                None if self.bytes.len() > self.limit => {
                    self.bytes = Vec::new();
                    self.skipping = true;
                    return Some(Frame::TooLong);
                }
                None => return None,
            }
        }
    }

    /// Whether there is a whole message to be taken out.
    pub(crate) fn has_message(&self) -> bool {
        self.bytes.contains(&0)
    }

    /// How much is held.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn on_whose_behalf_is_told_in_one_word() {
        let behalf = Behalf { pid: 7, uid: 1000, auid: u32::MAX };
        assert_eq!(Behalf::parse(&behalf.text()), Some(behalf));
        for text in ["", "1", "1 2", "1 -2 3", "a b c d"] {
            assert_eq!(Behalf::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_long_message_is_reported_once_and_the_next_is_read() {
        let mut framer = Framer::new(4);
        framer.push(b"123456");
        assert_eq!(framer.next(), Some(Frame::TooLong));
        assert_eq!(framer.next(), None);
        framer.push(b"78");
        assert_eq!(framer.next(), None);
        assert_eq!(framer.len(), 0);
        framer.push(b"9\0abc\0");
        assert_eq!(framer.next(), Some(Frame::Message(b"abc".to_vec())));
        assert_eq!(framer.next(), None);
    }

    #[test]
    fn an_idle_framer_holds_no_memory() {
        let mut framer = Framer::new(100);
        framer.push(b"abc\0");
        assert!(framer.next().is_some());
        assert_eq!(framer.bytes.capacity(), 0);
    }

    #[test]
    fn envelopes_of_other_clients_are_read() {
        let call: Call<'_> =
            serde_json::from_str(r#"{"method":"a\u002eB","parameters":null,"more":null,"x":1}"#).unwrap();
        assert_eq!((call.method.as_ref(), call.parameters.is_none(), call.more), ("a.B", true, None));
    }

    proptest! {
        /// However the stream is cut into reads, the same messages come out.
        #[test]
        fn cutting_does_not_depend_on_the_reads(
            messages in prop::collection::vec(prop::collection::vec(1_u8.., 0..12), 0..8),
            step in 1_usize..40,
        ) {
            let mut stream = messages.join(&0);
            stream.push(0);
            let mut framer = Framer::new(8);
            let mut seen = Vec::new();
            for chunk in stream.chunks(step) {
                framer.push(chunk);
                while let Some(frame) = framer.next() {
                    seen.push(frame);
                }
            }
            let expected: Vec<Frame> = if messages.is_empty() {
                vec![Frame::Message(Vec::new())]
            } else {
                messages
                    .into_iter()
                    .map(|m| if m.len() > 8 { Frame::TooLong } else { Frame::Message(m) })
                    .collect()
            };
            prop_assert_eq!(seen, expected);
        }
    }
}
