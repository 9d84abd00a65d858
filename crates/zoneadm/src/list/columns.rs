//! The columns that `list -o` and `list --csv` can have.

use clap::ValueEnum;

use super::row::{Row, UNKNOWN};
use crate::table::{Head, Table, number, path, text};
use crate::time;

/// A column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Column {
    /// The process id of the first process, as the host sees it
    #[value(alias = "zoneid")]
    Id,
    #[value(alias = "zonename")]
    Name,
    State,
    #[value(alias = "zonepath")]
    Path,
    Uuid,
    Brand,
    IpType,
    /// R or W: whether the root of a zone that is up and immutable is read-only
    Rw,
    /// Its file-mac-profile
    Profile,
    /// When it was booted or made ready
    Since,
    /// How often its init was started again, in a row
    Restarts,
    /// The addresses of its links
    Address,
    /// Memory in use
    Memory,
    /// Threads
    Lwps,
    /// What is being done with it, and what else there is to say
    Note,
}

impl Column {
    fn head(self) -> Head {
        match self {
            Self::Id => number("ID", 4),
            Self::Name => text("NAME", 4),
            Self::State => text("STATE", 5),
            Self::Path => path("PATH", 4),
            Self::Uuid => text("UUID", 4),
            Self::Brand => text("BRAND", 5),
            Self::IpType => text("IP-TYPE", 7),
            Self::Rw => text("RW", 2),
            Self::Profile => text("PROFILE", 4),
            Self::Since => text("SINCE", 5),
            Self::Restarts => number("RESTARTS", 8),
            Self::Address => text("ADDRESS", 7),
            Self::Memory => number("MEMORY", 6),
            Self::Lwps => number("LWPS", 4),
            Self::Note => text("NOTE", 4),
        }
    }

    /// Whether the zone's configuration has to be read for it.
    pub(super) fn needs_configuration(self) -> bool {
        matches!(self, Self::Brand | Self::IpType | Self::Rw | Self::Profile | Self::Note)
    }

    /// Whether the zone's daemon has to be asked for it.
    pub(super) fn needs_daemon(self) -> bool {
        self == Self::Note
    }

    /// Whether the zone's network has to be looked at for it.
    pub(super) fn needs_network(self) -> bool {
        self == Self::Address
    }

    /// Whether the zone's cgroup has to be looked at for it.
    pub(super) fn needs_limits(self) -> bool {
        matches!(self, Self::Memory | Self::Lwps)
    }

    /// Whether only what was killed in the zone has to be known for it.
    pub(super) fn needs_kills(self) -> bool {
        self == Self::Note
    }

    /// What stands in it. Programs get numbers and words without units; what is not known or does not apply is `-` for
    /// people and nothing for programs.
    fn of(self, row: &Row, program: bool) -> String {
        let known = |text: Option<String>| Some(text.unwrap_or_else(|| UNKNOWN.to_owned()));
        let found = match self {
            Self::Id => row.id().map(|id| id.to_string()),
            Self::Name => Some(row.name.clone()),
            Self::State => known(row.state.map(|state| state.to_string())),
            Self::Path => Some(row.zonepath.display().to_string()),
            Self::Uuid => row.uuid.map(|uuid| uuid.to_string()),
            Self::Brand => known(row.brand.clone()),
            Self::IpType => {
                known(row.ip_type.map(|word| if word == "excl" { "exclusive" } else { word }.to_owned()))
            }
            Self::Rw => row.immutable.and_then(super::row::Immutable::letter).map(str::to_owned),
            Self::Profile => row.immutable.map(|immutable| immutable.profile.as_str().to_owned()),
            Self::Since => row.live.map(|status| status.since).filter(|&since| since > 0).map(time::local),
            Self::Restarts => row.live.map(|status| status.restarts.to_string()),
            Self::Address => row.network.as_ref().map(|network| {
                let links = network.nets.iter().filter_map(|net| net.inside.as_ref());
                links.flat_map(|link| link.wide.iter().cloned()).collect::<Vec<_>>().join(" ")
            }),
            Self::Memory => {
                row.limits.as_ref().and_then(super::limits::Limits::memory_used).map(|bytes| match program {
                    true => bytes.to_string(),
                    false => indicatif::HumanBytes(bytes).to_string(),
                })
            }
            Self::Lwps => {
                row.limits.as_ref().and_then(super::limits::Limits::lwps_used).map(|count| count.to_string())
            }
            Self::Note => row.note(),
        };
        let found = found.filter(|text| !text.is_empty());
        found.unwrap_or_else(|| if program { String::new() } else { "-".to_owned() })
    }
}

/// The table of these columns.
pub(super) fn table(columns: &[Column], rows: &[Row], program: bool) -> Table {
    let mut table = Table::new(columns.iter().map(|column| column.head()));
    for row in rows {
        table.row(columns.iter().map(|column| column.of(row, program)).collect(), None);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hosts_row_has_every_column() {
        let rows = [Row::global()];
        let csv = table(Column::value_variants(), &rows, true).csv();
        assert_eq!(
            csv[0],
            "id,name,state,path,uuid,brand,ip-type,rw,profile,since,restarts,address,memory,lwps,note"
        );
        assert_eq!(csv[1], "0,global,running,/,,linux,shared,,,,,,,,");
        let people = table(&[Column::Name, Column::Uuid], &rows, false).lines(None);
        assert_eq!(people, ["NAME   UUID", "global -   "]);
    }
}
