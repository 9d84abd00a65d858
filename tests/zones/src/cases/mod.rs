//! The tests, a file per subject.

use crate::harness::Case;
use std::time::Duration;

mod accepted;
mod adopt;
mod adopt_operations;
mod bad_files;
mod bad_init;
mod bad_place;
mod clients;
mod completions;
mod console_debian;
mod console_guest;
mod console_hostile;
mod console_idle;
mod console_kill;
mod console_leftovers;
mod console_life;
mod console_locale;
mod console_more;
mod console_wire;
mod console_zlogin;
mod container_interface;
mod counters;
mod cp;
mod crash;
mod crash_adopt;
mod crash_alone;
mod crash_apply;
mod crash_client;
mod crash_copy;
mod crash_coverage;
mod crash_detach;
mod crash_door;
mod crash_ends;
mod crash_fs;
mod crash_install;
mod crash_keeper;
mod crash_move;
mod crash_net;
mod crash_zlogin;
mod daemon;
mod daemon_rest;
mod detached;
mod devices;
mod docs;
mod door;
mod door_open;
mod error_accept;
mod error_calls;
mod error_points;
mod error_sessions;
mod exclusive;
mod failing;
mod fences;
mod fs;
mod fs_disk;
mod fs_docs;
mod fs_layers;
mod fs_safe;
mod full_disk;
mod guests;
mod host_boot;
mod identity;
mod immutable;
mod inherited;
mod init_exit;
mod inside;
mod install;
mod keeper_calls;
mod limits;
mod list;
mod live;
mod live_fs;
mod live_links;
mod live_net;
mod locale;
mod log;
mod looking;
mod lxcfs;
mod matrix;
mod moved;
mod nesting;
mod net_auto;
mod net_dhcp;
mod net_docs;
mod net_guard;
mod net_guest;
mod net_modes;
mod net_physical;
mod net_port;
mod net_props;
mod net_shared;
mod net_vanish;
mod net_verify;
mod packaging;
mod power_loss;
mod privileges;
mod readiness;
mod reboot_arguments;
mod remains;
mod restart;
mod rights;
mod rights_look;
mod several;
mod shells;
mod soaked;
mod sparse;
mod stuck;
mod stuck_fuse;
mod sysctl;
mod terminal;
mod together;
mod uninstall;
mod upgrade;
mod zlogin;
mod zonecfg;
mod zonecfg_line;

/// Whether a test is of the core: what is run after each change, and takes a minute or two. None that may take long is.
#[must_use]
pub fn is_core(case: &Case) -> bool {
    const SUBJECTS: [&str; 17] = [
        "zonecfg",
        "limits",
        "list",
        "several",
        "live",
        "install",
        "uninstall",
        "matrix",
        "sparse",
        "inside",
        "fs",
        "zlogin",
        "init_exit",
        "daemon",
        "door",
        "console_life",
        "adopt",
    ];
    // Of the network no more than that its steps are gone through: each case lays an internet of its own.
    const NETWORK: [&str; 2] = ["net_auto::one_line_gives_the_internet", "net_auto::it_is_there_before_init"];
    let is_of_network = NETWORK.contains(&case.name().as_str());
    (SUBJECTS.contains(&case.subject()) || is_of_network) && case.limit <= Duration::from_secs(60)
}

/// All tests: the simple before what stands on it. With several at a time, the longest begin first.
pub fn all() -> impl Iterator<Item = Case> {
    let groups: &[&[Case]] = &[
        zonecfg::CASES,
        zonecfg_line::CASES,
        limits::CASES,
        lxcfs::CASES,
        locale::CASES,
        log::CASES,
        list::CASES,
        rights::CASES,
        rights_look::CASES,
        packaging::CASES,
        several::CASES,
        shells::CASES,
        cp::CASES,
        looking::CASES,
        completions::CASES,
        live::CASES,
        install::CASES,
        uninstall::CASES,
        detached::CASES,
        matrix::CASES,
        moved::CASES,
        accepted::CASES,
        sparse::CASES,
        inside::CASES,
        counters::CASES,
        fences::CASES,
        fs::CASES,
        fs_disk::CASES,
        fs_docs::CASES,
        identity::CASES,
        immutable::CASES,
        privileges::CASES,
        nesting::CASES,
        sysctl::CASES,
        fs_layers::CASES,
        fs_safe::CASES,
        net_auto::CASES,
        net_docs::CASES,
        net_dhcp::CASES,
        net_guard::CASES,
        net_modes::CASES,
        net_physical::CASES,
        net_port::CASES,
        net_props::CASES,
        net_shared::CASES,
        net_vanish::CASES,
        net_verify::CASES,
        live_fs::CASES,
        live_links::CASES,
        live_net::CASES,
        net_guest::CASES,
        zlogin::CASES,
        terminal::CASES,
        inherited::CASES,
        init_exit::CASES,
        daemon::CASES,
        daemon_rest::CASES,
        keeper_calls::CASES,
        devices::CASES,
        docs::CASES,
        door::CASES,
        door_open::CASES,
        clients::CASES,
        console_life::CASES,
        console_wire::CASES,
        console_zlogin::CASES,
        console_guest::CASES,
        console_locale::CASES,
        console_more::CASES,
        console_hostile::CASES,
        console_idle::CASES,
        console_kill::CASES,
        console_leftovers::CASES,
        restart::CASES,
        readiness::CASES,
        reboot_arguments::CASES,
        remains::CASES,
        crash::CASES,
        crash_alone::CASES,
        crash_apply::CASES,
        crash_client::CASES,
        crash_adopt::CASES,
        crash_ends::CASES,
        crash_fs::CASES,
        crash_install::CASES,
        crash_detach::CASES,
        crash_door::CASES,
        crash_zlogin::CASES,
        crash_keeper::CASES,
        crash_move::CASES,
        crash_net::CASES,
        crash_copy::CASES,
        crash_coverage::CASES,
        error_points::CASES,
        error_calls::CASES,
        error_sessions::CASES,
        error_accept::CASES,
        adopt::CASES,
        adopt_operations::CASES,
        upgrade::CASES,
        soaked::CASES,
        full_disk::CASES,
        host_boot::CASES,
        power_loss::CASES,
        stuck::CASES,
        stuck_fuse::CASES,
        together::CASES,
        exclusive::CASES,
        bad_init::CASES,
        bad_files::CASES,
        bad_place::CASES,
        console_debian::CASES,
        guests::CASES,
        container_interface::CASES,
    ];
    groups.iter().copied().flatten().copied()
}
