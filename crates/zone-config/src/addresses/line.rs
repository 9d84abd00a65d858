//! What a line of the file of addresses holds, and whom it is about.

use std::net::IpAddr;

use super::Record;
use crate::ZoneName;
use crate::lines;
use crate::net::is_link_name;

/// One line of the file.
pub(super) type Line = lines::Line<Record>;

impl lines::Record for Record {
    type Key = (ZoneName, String);

    fn key(&self) -> Self::Key {
        (self.zone.clone(), self.net.clone())
    }

    fn subject(&self) -> String {
        format!("net {} of zone '{}'", self.net, self.zone)
    }

    fn read(text: &str) -> Result<Option<Self>, String> {
        read(text)
    }
}

impl Line {
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
            Self::Record { record, .. } => {
                let record = Record { zone: to.clone(), ..record.clone() };
                *self = Self::of(record);
            }
            Self::Garbage { text, .. } => {
                let blanks = text.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
                let word = text[blanks..].iter().take_while(|byte| !byte.is_ascii_whitespace()).count();
                text.splice(blanks..blanks + word, to.as_str().bytes());
            }
            Self::Other(_) => {}
        }
    }

    fn word(&self, number: usize) -> Option<&[u8]> {
        if matches!(self, Self::Other(_)) {
            return None;
        }
        words(self.text()).nth(number)
    }
}

/// The words of a line.
pub(super) fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty())
}

fn read(text: &str) -> Result<Option<Record>, String> {
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
