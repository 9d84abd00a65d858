//! The columns of `zoneadm stat`, of its screen and of its tables.

use crate::table::{self, Head, text};

use super::used::{Used, bytes, number, percent};

/// What stands between two columns.
pub(super) const GAP: u16 = 1;

/// A column of the table.
pub(super) struct Column {
    pub(super) name: &'static str,
    pub(super) width: u16,
    /// Which go first where the screen is too narrow for all: those with the lowest.
    worth: u8,
    pub(super) cell: fn(&Used) -> String,
    /// What it is sorted by, the greatest first; the names are sorted as such.
    pub(super) key: fn(&Used) -> f64,
}

/// The names' column, which is always there and as wide as it can be.
pub(super) const NAME: usize = 0;

/// Which it is sorted by at first.
pub(super) const CPU: usize = 1;

pub(super) static COLUMNS: [Column; 10] = [
    column("ZONE", 12, u8::MAX, |used| used.zone.clone(), |_| 0.0),
    column("%CPU", 6, 10, |used| percent(used.cpu_percent), |used| used.cpu_percent.unwrap_or(-1.0)),
    column("MEMORY", 11, 9, |used| bytes(used.memory_bytes), |used| size(used.memory_bytes)),
    column("OF", 11, 4, |used| bytes(used.memory_limit), |used| size(used.memory_limit)),
    column("SWAP", 11, 3, |used| bytes(used.swap_bytes), |used| size(used.swap_bytes)),
    column("LWPS", 6, 8, |used| number(used.lwps), |used| size(used.lwps)),
    column("OF", 6, 2, |used| number(used.lwps_limit), |used| size(used.lwps_limit)),
    column("%WAIT-CPU", 9, 7, |used| percent(used.wait("cpu")), |used| used.wait("cpu").unwrap_or(-1.0)),
    column(
        "%WAIT-MEM",
        9,
        6,
        |used| percent(used.wait("memory")),
        |used| used.wait("memory").unwrap_or(-1.0),
    ),
    column("%WAIT-IO", 8, 5, |used| percent(used.wait("io")), |used| used.wait("io").unwrap_or(-1.0)),
];

impl Column {
    /// Its head in a table: names stand at the left, numbers at the right.
    pub(super) fn head(&self) -> Head {
        let least = usize::from(self.width);
        if self.name == COLUMNS[NAME].name { text(self.name, least) } else { table::number(self.name, least) }
    }
}

const fn column(
    name: &'static str,
    width: u16,
    worth: u8,
    cell: fn(&Used) -> String,
    key: fn(&Used) -> f64,
) -> Column {
    Column { name, width, worth, cell, key }
}

#[expect(clippy::cast_precision_loss, reason = "what is that near is as good in either order")]
fn size(value: Option<u64>) -> f64 {
    value.map_or(-1.0, |value| value as f64)
}

/// The columns that there is room for, the one that it is sorted by among them.
pub(super) fn fitting(width: u16, sort: usize) -> Vec<usize> {
    let mut columns: Vec<usize> = (0..COLUMNS.len()).collect();
    let total = |columns: &[usize]| columns.iter().map(|&at| COLUMNS[at].width + GAP).sum::<u16>() - GAP;
    while total(&columns) > width {
        let least = columns.iter().filter(|&&at| at != NAME && at != sort);
        let Some(&least) = least.min_by_key(|&&at| COLUMNS[at].worth) else { break };
        columns.retain(|&at| at != least);
    }
    columns
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_worth_least_goes_first() {
        let names = |width| fitting(width, CPU).iter().map(|&at| COLUMNS[at].name).collect::<Vec<_>>();
        assert_eq!(names(200).len(), COLUMNS.len());
        assert_eq!(
            names(80),
            ["ZONE", "%CPU", "MEMORY", "OF", "LWPS", "%WAIT-CPU", "%WAIT-MEM", "%WAIT-IO"],
            "swap and the limit of processes are in status, too"
        );
        assert_eq!(names(10), ["ZONE", "%CPU"]);
    }
}
