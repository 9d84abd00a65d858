//! The lines of the file of addresses, each either understood or kept.

use std::collections::HashSet;
use std::net::IpAddr;

use super::Record;
use crate::ZoneName;
use crate::net::is_link_name;

/// One line. What was read is kept beside what it means, so that a line nobody changed is written as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// A net of a zone.
    Net { record: Record, text: Vec<u8> },
    /// A comment or a blank line.
    Other(Vec<u8>),
    /// A line that makes no sense, and why; it is kept.
    Garbage { text: Vec<u8>, reason: String },
}

impl Line {
    pub(super) fn record_of(record: Record) -> Self {
        Self::Net { text: record.to_string().into_bytes(), record }
    }

    pub(super) fn record(&self) -> Option<&Record> {
        match self {
            Self::Net { record, .. } => Some(record),
            _ => None,
        }
    }

    /// Whether the line is about this zone, be it nonsense.
    pub(super) fn is_of(&self, zone: &ZoneName) -> bool {
        self.word(0) == Some(zone.as_str().as_bytes())
    }

    /// Whether the line is about this net of this zone, be it nonsense.
    pub(super) fn is_of_net(&self, zone: &ZoneName, net: &str) -> bool {
        self.is_of(zone) && self.word(1) == Some(net.as_bytes())
    }

    /// Puts another zone's name in place of the first word.
    pub(super) fn rename(&mut self, to: &ZoneName) {
        match self {
            Self::Net { record, .. } => {
                let record = Record { zone: to.clone(), ..record.clone() };
                *self = Self::record_of(record);
            }
            Self::Garbage { text, .. } => {
                let blanks = text.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
                let word = text[blanks..].iter().take_while(|byte| !byte.is_ascii_whitespace()).count();
                text.splice(blanks..blanks + word, to.as_str().bytes());
            }
            Self::Other(_) => {}
        }
    }

    fn text(&self) -> &[u8] {
        match self {
            Self::Net { text, .. } | Self::Other(text) | Self::Garbage { text, .. } => text,
        }
    }

    fn word(&self, number: usize) -> Option<&[u8]> {
        if matches!(self, Self::Other(_)) {
            return None;
        }
        self.text().split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).nth(number)
    }
}

/// Reads the lines; a second line of the same net makes no sense, so that the first one rules.
pub(super) fn parse(bytes: &[u8]) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    let mut nets = HashSet::new();
    if bytes.is_empty() {
        return lines;
    }
    for text in bytes.strip_suffix(b"\n").unwrap_or(bytes).split(|&b| b == b'\n') {
        let kept = text.to_vec();
        let line = match read(text) {
            Ok(None) => Line::Other(kept),
            Ok(Some(record)) if !nets.insert((record.zone.clone(), record.net.clone())) => Line::Garbage {
                text: kept,
                reason: format!("a second line for net {} of zone '{}'", record.net, record.zone),
            },
            Ok(Some(record)) => Line::Net { record, text: kept },
            Err(reason) => Line::Garbage { text: kept, reason },
        };
        lines.push(line);
    }
    lines
}

/// The file's contents. A last line that had no line break gets one, lest the next record be glued to it.
pub(super) fn print(lines: &[Line]) -> Vec<u8> {
    lines.iter().flat_map(|line| line.text().iter().copied().chain([b'\n'])).collect()
}

fn read(text: &[u8]) -> Result<Option<Record>, String> {
    let text = std::str::from_utf8(text).map_err(|_| "not valid UTF-8".to_owned())?;
    let mut words = text.split_ascii_whitespace();
    let Some(zone) = words.next().filter(|word| !word.starts_with('#')) else { return Ok(None) };
    let zone = zone.parse::<ZoneName>().map_err(|error| error.to_string())?;
    let Some(net) = words.next() else { return Err(shape()) };
    if !is_link_name(net) {
        return Err(format!("{net:?} is not the name of a link"));
    }
    let mut addresses = Vec::new();
    for word in words {
        let address: IpAddr = word.parse().map_err(|_| format!("{word:?} is not an IP address"))?;
        if addresses.contains(&address) {
            return Err(format!("the address {address} stands there twice"));
        }
        addresses.push(address);
    }
    if addresses.is_empty() {
        Err(shape())
    } else {
        Ok(Some(Record { zone, net: net.to_owned(), addresses }))
    }
}

fn shape() -> String {
    "not of the form ZONE NET ADDRESS ...".to_owned()
}
