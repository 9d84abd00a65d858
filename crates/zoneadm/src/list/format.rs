//! The lines of a list, as zoneadm(8) prints them.

use super::row::{Row, UNKNOWN};

/// The table's first line.
pub(super) fn header() -> String {
    columns(["ID", "NAME", "STATUS", "PATH", "BRAND", "IP"])
}

/// A zone in the table. What there is to say of it follows the last column.
pub(super) fn table(row: &Row) -> String {
    let line = columns([
        &id(row),
        &row.name,
        &row.state.map_or_else(|| UNKNOWN.to_owned(), |state| state.to_string()),
        &row.zonepath.display().to_string(),
        row.brand.as_deref().unwrap_or(UNKNOWN),
        row.ip_type.unwrap_or(UNKNOWN),
    ]);
    match row.note() {
        Some(note) => format!("{line} {note}"),
        None => line,
    }
}

/// A zone for a program: `zoneid:zonename:state:zonepath:uuid:brand:ip-type`. A colon in the path, which no other
/// field can have, has a backslash before it.
pub(super) fn parsable(row: &Row) -> String {
    [
        id(row),
        row.name.clone(),
        row.state.map_or_else(|| UNKNOWN.to_owned(), |state| state.to_string()),
        row.zonepath.display().to_string().replace(':', "\\:"),
        row.uuid.map(|uuid| uuid.to_string()).unwrap_or_default(),
        row.brand.clone().unwrap_or_else(|| UNKNOWN.to_owned()),
        row.ip_type.unwrap_or(UNKNOWN).to_owned(),
    ]
    .join(":")
}

fn id(row: &Row) -> String {
    row.id().map_or_else(|| "-".to_owned(), |id| id.to_string())
}

fn columns([id, name, status, path, brand, ip]: [&str; 6]) -> String {
    format!("{id:>4} {name:<16} {status:<10} {path:<30} {brand:<8} {ip:<6}")
}

#[cfg(test)]
mod tests {
    use zone_config::State;
    use zsched::wire::{Phase, Status};

    use super::*;

    fn row() -> Row {
        Row {
            name: "web".into(),
            zone: Some("web".parse().unwrap()),
            state: Some(State::Running),
            zonepath: "/zones/a:b".into(),
            uuid: Some("d1f5b5b6-5ae4-4b52-a0a4-0a6c3a5f2c11".parse().unwrap()),
            brand: Some("sparse".into()),
            ip_type: Some("excl"),
            live: Some(Status { phase: Phase::Running, pid: 4321, ..Status::default() }),
            daemon: None,
        }
    }

    #[test]
    fn the_table_is_the_references() {
        assert_eq!(
            header(),
            "  ID NAME             STATUS     PATH                           BRAND    IP    "
        );
        assert_eq!(
            table(&Row::global()),
            "   0 global           running    /                              linux    shared"
        );
        assert_eq!(
            table(&row()),
            "4321 web              running    /zones/a:b                     sparse   excl  "
        );
    }

    #[test]
    fn programs_can_split_it() {
        assert_eq!(parsable(&Row::global()), "0:global:running:/::linux:shared");
        assert_eq!(
            parsable(&row()),
            "4321:web:running:/zones/a\\:b:d1f5b5b6-5ae4-4b52-a0a4-0a6c3a5f2c11:sparse:excl"
        );
        let unknown = Row { state: None, uuid: None, brand: None, ip_type: None, live: None, ..row() };
        assert_eq!(parsable(&unknown), "-:web:???:/zones/a\\:b::???:???");
    }
}
