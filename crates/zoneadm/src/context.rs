//! What the words before the subcommand mean.

use zone_config::nearest::did_you_mean;
use zone_config::{Entry, Index, Layout, Snapshot, State, Uuid, ZoneName, here};

use crate::choice::{Choice, named};
use crate::cli::Cli;
use crate::live;
use crate::message::{Failure, Outcome, warn};

/// Where to work, and on which zone.
#[derive(Debug)]
pub(crate) struct Context {
    /// Where everything is.
    pub(crate) layout: Layout,
    zone: Option<String>,
    uuid: Option<Uuid>,
    /// Which zones, if it is not one alone that was named.
    pub(crate) choice: Option<Choice>,
}

/// The zone that was named.
#[derive(Debug)]
pub(crate) enum Selection {
    /// None was.
    Nothing,
    /// The host.
    Global,
    /// This one.
    Zone(Entry),
}

impl Context {
    /// Reads the options before the subcommand.
    pub(crate) fn new(cli: &Cli) -> Outcome<Self> {
        let layout = Layout::new(cli.root.clone()).map_err(|error| match error.is_usage() {
            true => Failure::Usage(error.to_string()),
            false => Failure::general(anyhow::Error::new(error)),
        })?;
        let layout = layout.existing().map_err(Failure::general)?;
        let uuid = cli.uuid.as_deref().map(|text| {
            Uuid::try_parse(text).map_err(|_| {
                Failure::Usage(format!("-u {text}: not a uuid; \"zoneadm list -p\" shows those of the zones"))
            })
        });
        let choice = if cli.one.is_some() { None } else { Choice::of(cli)? };
        let zone = cli.one.clone().or(named(cli)?.filter(|_| choice.is_none()).map(str::to_owned));
        Ok(Self { layout, zone, uuid: uuid.transpose()?, choice })
    }

    /// The same with the zone that a verb names itself; `None` when another one is named already.
    pub(crate) fn about(&self, zone: Option<&str>) -> Option<Self> {
        let other = match zone {
            None => false,
            Some(name) => self.uuid.is_some() || self.zone.as_deref().is_some_and(|known| known != name),
        };
        let zone = zone.map(str::to_owned).or_else(|| self.zone.clone());
        (!other).then(|| Self {
            layout: self.layout.clone(),
            zone,
            uuid: self.uuid,
            choice: self.choice.clone(),
        })
    }

    /// The name that was given, as it was given.
    pub(crate) fn zone_text(&self) -> Option<&str> {
        self.zone.as_deref()
    }

    /// Reads the index.
    pub(crate) fn index(&self) -> Outcome<Index> {
        Index::load(&self.layout).map_err(Failure::general)
    }

    /// Whether a zone was named at all, or several were.
    pub(crate) fn names_a_zone(&self) -> bool {
        self.names_one() || self.choice.is_some()
    }

    /// Whether one zone alone was named.
    pub(crate) fn names_one(&self) -> bool {
        self.zone.is_some() || self.uuid.is_some()
    }

    /// The zone that was named, if it is up: for whoever must not depend on an index that may be lost or spoilt.
    pub(crate) fn unlisted(&self) -> Option<Entry> {
        let name: ZoneName = self.zone.as_deref()?.parse().ok()?;
        live::ask(&self.layout, &name).ok().flatten()?;
        let zonepath = Snapshot::load(&self.layout, &name).map(|snapshot| snapshot.config.zonepath);
        Some(Entry { name, state: State::Installed, zonepath: zonepath.unwrap_or_default(), uuid: None })
    }

    /// Finds a zone's line in the index.
    pub(crate) fn find(&self, zone: &ZoneName) -> Outcome<Option<Entry>> {
        Index::find(&self.layout, zone).map_err(Failure::general)
    }

    /// Finds the zone that was named: by its uuid if one has it, else by its name. Only for a uuid are all zones read.
    pub(crate) fn select(&self) -> Outcome<Selection> {
        if let Some(uuid) = self.uuid
            && let Some(entry) = self.index()?.by_uuid(uuid)
        {
            return Ok(Selection::Zone(entry.clone()));
        }
        match (self.zone.as_deref(), self.uuid) {
            (Some(here::GLOBAL), _) => Ok(Selection::Global),
            (Some(text), _) => {
                let name: ZoneName = text.parse().map_err(Failure::general)?;
                match self.find(&name)? {
                    Some(entry) => Ok(Selection::Zone(entry)),
                    None => {
                        let index = self.index()?;
                        // The line may be there and not be readable, which would explain it.
                        index.problems().iter().for_each(warn);
                        let meant = did_you_mean(text, index.entries().map(|entry| entry.name.as_str()));
                        Err(Failure::text(&name, format_args!("No such zone configured{meant}")))
                    }
                }
            }
            (None, Some(uuid)) => {
                Err(Failure::general(anyhow::anyhow!("No such zone configured: none has the uuid {uuid}")))
            }
            (None, None) => Ok(Selection::Nothing),
        }
    }

    /// Finds the one zone that a verb is about; `refused` is what is said of the global zone.
    pub(crate) fn one(&self, refused: &str) -> Outcome<ZoneName> {
        match self.select()? {
            Selection::Zone(entry) => Ok(entry.name),
            Selection::Nothing => Err(Failure::no_zone()),
            Selection::Global => Err(Failure::text(here::GLOBAL, refused)),
        }
    }

    /// Finds the zones that were named, or all if none was; `refused` is what is said of the global zone.
    pub(crate) fn named_or_all(&self, refused: &str) -> Outcome<Vec<ZoneName>> {
        let index = self.index()?;
        if let Some(choice) = &self.choice {
            return Ok(choice.named(&index)?.into_iter().map(|entry| entry.name).collect());
        }
        match self.select()? {
            Selection::Zone(entry) => Ok(vec![entry.name]),
            Selection::Nothing => Ok(index.entries().map(|entry| entry.name.clone()).collect()),
            Selection::Global => Err(Failure::text(here::GLOBAL, refused)),
        }
    }
}
