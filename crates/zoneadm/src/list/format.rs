//! The lines of a list, as zoneadm(8) prints them.

use super::network::Net;
use super::row::{Row, UNKNOWN};
use crate::table::{Table, number, path, text};

/// The table of zones. What there is to say of one follows its last column.
pub(super) fn table(rows: &[Row]) -> Table {
    let mut table = Table::new([
        number("ID", 4),
        text("NAME", 16),
        text("STATUS", 10),
        path("PATH", 30),
        text("BRAND", 8),
        text("IP", 6),
    ]);
    for row in rows {
        let cells = vec![
            id(row),
            row.name.clone(),
            row.state.map_or_else(|| UNKNOWN.to_owned(), |state| state.to_string()),
            row.zonepath.display().to_string(),
            row.brand.clone().unwrap_or_else(|| UNKNOWN.to_owned()),
            row.ip_type.unwrap_or(UNKNOWN).to_owned(),
        ];
        table.row(cells, row.note());
    }
    table
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

/// The table of nets: a line for each address that is good beyond its link. What of a net is not as it was made ends its first
/// line.
pub(super) fn nets(rows: &[Row]) -> Table {
    let mut table = Table::new([
        text("ZONE", 16),
        text("LINK", 15),
        text("MODE", 8),
        text("OVER", 15),
        text("ADDRESS", 7),
    ]);
    for row in rows {
        for net in row.network.iter().flat_map(|network| &network.nets) {
            let link = net.inside.as_ref().map_or(net.physical.as_str(), |inside| inside.name.as_str());
            let addresses = net.inside.as_ref().map(|inside| inside.wide.as_slice()).unwrap_or_default();
            let over = net.global_nic.as_deref().unwrap_or(NONE);
            let mut note = Some(changes(net)).filter(|note| !note.is_empty());
            let none = [NONE.to_owned()];
            for address in if addresses.is_empty() { &none } else { addresses } {
                let cells = [row.name.as_str(), link, net.mode, over, address];
                table.row(cells.map(str::to_owned).to_vec(), note.take());
            }
        }
    }
    table
}

/// What stands for nothing in the table of nets.
const NONE: &str = "--";

/// Says what of a net is not as it was made, and what it was.
fn changes(net: &Net) -> String {
    let word = |word: &&str| match *word {
        "gone" => "is gone".to_owned(),
        "down" => "is down".to_owned(),
        "name" => format!("was {}", net.physical),
        "address" => format!("was given {}", net.address.join(", ")),
        other => format!("has another {other}"),
    };
    net.differs.iter().map(word).collect::<Vec<_>>().join("; ")
}

fn id(row: &Row) -> String {
    row.id().map_or_else(|| "-".to_owned(), |id| id.to_string())
}

#[cfg(test)]
mod tests {
    use zone_config::State;
    use zone_net::Interface;
    use zsched::wire::{Phase, Status};

    use super::*;
    use crate::list::network::Network;

    fn row() -> Row {
        Row {
            name: "web".into(),
            zone: Some("web".parse().unwrap()),
            state: Some(State::Running),
            zonepath: "/zones/a:b".into(),
            uuid: Some("d1f5b5b6-5ae4-4b52-a0a4-0a6c3a5f2c11".parse().unwrap()),
            brand: Some("sparse".into()),
            ip_type: Some("excl"),
            immutable: None,
            live: Some(Status { phase: Phase::Running, pid: 4321, ..Status::default() }),
            at_work: None,
            daemon: None,
            differs: None,
            readiness: None,
            network: None,
            limits: None,
            oom_kills: None,
        }
    }

    #[test]
    fn the_table_is_the_references() {
        assert_eq!(
            table(&[Row::global(), row()]).lines(None),
            [
                "  ID NAME             STATUS     PATH                           BRAND    IP    ",
                "   0 global           running    /                              linux    shared",
                "4321 web              running    /zones/a:b                     sparse   excl  ",
            ]
        );
    }

    #[test]
    fn a_net_has_a_line_for_each_address() {
        let head = "ZONE             LINK            MODE     OVER            ADDRESS";
        assert!(nets(&[]).lines(None)[0].starts_with(head));
        let made: Interface = toml::from_str(
            "host = \"z0n0\"\nalias = \"\"\ninside = \"eth0\"\nmac = \"02:08:20:5e:01:07\"\naddresses = [\"192.0.2.5/24\"]\n\
             routers = []\nallowed = []\ndhcp = false\nattachment = { mode = \"bridge\", bridge = \"br0\" }\n\
             protection = { mac = true, ip = true, dhcp = true, restricted = true, isolated = false }\n",
        )
        .unwrap();
        let link = |name: &str, addresses: &[&str]| zone_net::counters::Status {
            index: 2,
            peer: None,
            name: name.to_owned(),
            kind: None,
            mac: Some(made.mac),
            mtu: 1500,
            up: true,
            carrier: true,
            addresses: addresses.iter().map(|address| address.parse().unwrap()).collect(),
            counters: zone_net::rt::Counters::default(),
        };
        let lines = |inside| {
            let net = Net::of(zone_net::counters::Net { made: &made, host: None, inside });
            let rows = [Row { network: Some(Network::with(vec![net])), ..row() }];
            let lines = nets(&rows).lines(None);
            lines[1..].iter().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>()
        };
        let begin = |link: &str| format!("{:<16} {link:<15} {:<8} {:<15} ", "web", "bridge", "br0");
        let as_made = lines(Some(link("eth0", &["192.0.2.5/24", "fe80::1/64"])));
        assert_eq!(as_made, [format!("{}192.0.2.5/24", begin("eth0"))]);
        let changed = lines(Some(link("a\u{1b}b", &["192.0.2.5/24", "192.0.2.6/24"])));
        let link = begin("a\\u{1b}b");
        let first = format!("{link}192.0.2.5/24 was eth0; was given 192.0.2.5/24");
        assert_eq!(changed, [first, format!("{link}192.0.2.6/24")]);
        assert_eq!(lines(None), [format!("{}--      is gone", begin("eth0"))]);
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
