//! Real guests: Debian with one init or another.

use crate::harness::{Command, Lab, Terminal, Zone, cases, until, write};

cases![
    debian12_systemd_lives: 300,
    debian12_systemd_is_shut_down_by_its_init: 240,
    debian12_systemd_that_ignores_it_is_halted: 240,
    debian12_systemd_in_single_user: 240,
    debian12_systemd_reboots_with_arguments: 240,
    debian12_systemd_under_a_killed_daemon: 240,
    debian12_systemd_under_a_killed_zsched: 240,
    debian12_sysvinit: 240,
    debian12_sysvinit_has_a_login_on_its_console: 240,
    debian12_sysvinit_that_is_told_not_to_remount: 240,
    debian13_busybox: 240,
    debian11_systemd: 300,
    debian13_systemd: 300,
    debian13_sysvinit: 240,
    debian13_openrc: 240,
    debian13_runit: 240,
    debian13_runit_is_shut_down_at_once: 240,
    debian13_openrc_has_a_login_on_its_console: 240,
    debian13_finit_has_a_login_on_its_console: 240,
    debian13_finit: 240,
    debian13_finit_is_shut_down_at_once: 240,
    debian13_openrc_is_shut_down_at_once: 240,
    debian13_shepherd: 240,
    debian13_s6: 240,
];

/// Waits until systemd has started all it wanted, and sees that nothing failed.
#[track_caller]
pub(super) fn reaches_multi_user(zone: &Zone<'_>) {
    let said = until("systemd has done what it had to", || {
        let ran = zone.zlogin_command(["systemctl", "is-system-running", "--wait"]).within(120).run();
        // Before its bus is there, the program cannot ask.
        Some(ran).filter(|ran| ["running", "degraded"].contains(&ran.out().trim()))
    });
    let failed = zone.zlogin(["systemctl", "list-units", "--failed", "--no-legend", "--plain"]);
    assert!(failed.ok().out().is_empty(), "failed units\n{failed}");
    said.stdout_is("running\n");
    zone.zlogin(["systemctl", "is-active", "multi-user.target"]).ok().stdout_is("active\n");
}

/// Uses the guest's own `reboot` and `poweroff`. `up` waits until it can hear such a wish.
#[track_caller]
fn lives(zone: &Zone<'_>, up: impl Fn()) {
    let (before, keeper) = (zone.status(), zone.keeper());
    let _ = zone.zlogin(["reboot"]);
    let after = zone.runs_again(&before);
    assert_eq!(after.last_exit.map(|exit| exit.how).as_deref(), Some("rebooted"));
    assert_eq!(zone.keeper(), keeper, "the same keeper");
    up();
    let _ = zone.zlogin(["poweroff"]);
    let ended = zone.becomes("installed");
    assert_eq!(ended.last_exit.map(|exit| exit.how).as_deref(), Some("poweroff"));
}

/// Waits until commands run inside and `/dev/console` has somebody who listens.
#[track_caller]
fn answers(zone: &Zone<'_>) {
    until("the guest answers", || (zone.zlogin(["true"]).code() == Some(0)).then_some(()));
}

/// Waits until a getty, or whatever this guest starts last, is there.
#[track_caller]
fn starts(zone: &Zone<'_>, program: &str) {
    until(&format!("{program} runs in the guest"), || {
        let ran = zone.zlogin(["sh", "-c", "cat /proc/[0-9]*/comm 2>/dev/null"]);
        ran.out().lines().any(|line| line == program).then_some(())
    });
}

fn debian12_systemd_lives(lab: &Lab) {
    let zone = lab.guest("deb", "debian12-systemd", "");
    zone.boot();
    reaches_multi_user(&zone);
    zone.zlogin(["cat", "/proc/1/comm"]).ok().stdout_is("systemd\n");
    zone.zlogin(["systemd-detect-virt", "--container"]).ok();
    zone.zlogin(["hostname"]).ok().stdout_is("deb\n");
    lives(&zone, || reaches_multi_user(&zone));
    zone.boot();
    reaches_multi_user(&zone);
    logs_in(
        lab,
        &zone,
        "root",
        &["who | grep -c '^root .*pts/'", "last | grep -c '^root .*pts/.*still logged in'"],
    );
    knows_users_of_its_name_service(lab, &zone);
}

/// A login is the guest's own: `counts` are commands that print 1 in it.
#[track_caller]
fn logs_in(lab: &Lab, zone: &Zone<'_>, user: &str, counts: &[&str]) {
    let command = lab.command("zlogin", ["-l", user, zone.name()]);
    let mut terminal = Terminal::start(command.env("LC_ALL", "C"), 30, 100);
    terminal.shows("[Connected to zone '");
    // What is typed before the prompt login(1) throws away.
    terminal.shows(if user == "root" { "# " } else { "$ " });
    terminal.types("echo by=$(cat /proc/$PPID/comm) language=$LC_ALL\r");
    terminal.shows("by=login language=C");
    for (at, count) in counts.iter().enumerate() {
        terminal.types(&format!("echo count{at}=$({count})\r"));
        terminal.shows(&format!("count{at}=1"));
    }
    terminal.types("exit 0\r");
    let (status, screen) = terminal.ends();
    assert!(status.success(), "{screen}");
    let ran = zone.sh(&format!("who | grep -c '^{user} .*pts/'"));
    assert_eq!(ran.out(), "0\n", "who has logged out is not there any more\n{ran}");
}

/// A user whom a module of the name service alone knows.
const NAME_SERVICE: &str = r#"
#include <nss.h>
#include <pwd.h>
#include <string.h>
static enum nss_status fill(struct passwd *pw) {
    pw->pw_name = "remote"; pw->pw_passwd = "*"; pw->pw_gecos = ""; pw->pw_dir = "/tmp"; pw->pw_shell = "/bin/sh";
    pw->pw_uid = 4242; pw->pw_gid = 4242;
    return NSS_STATUS_SUCCESS;
}
enum nss_status _nss_tiny_getpwnam_r(const char *name, struct passwd *pw, char *buf, size_t len, int *err) {
    return strcmp(name, "remote") ? NSS_STATUS_NOTFOUND : fill(pw);
}
enum nss_status _nss_tiny_getpwuid_r(uid_t uid, struct passwd *pw, char *buf, size_t len, int *err) {
    return uid != 4242 ? NSS_STATUS_NOTFOUND : fill(pw);
}
"#;

#[track_caller]
fn knows_users_of_its_name_service(lab: &Lab, zone: &Zone<'_>) {
    let login = |words: &[&str]| lab.command("zlogin", ["-l", "remote", zone.name()]).args(words).run();
    login(&["id"]).exits(1).stderr_has("user 'remote' is not in the zone's /etc/passwd");
    let source = lab.path("tiny.c");
    write(&source, NAME_SERVICE);
    let module = zone.file("/usr/lib/libnss_tiny.so.2");
    let made = Command::new("cc").args(["-shared", "-fPIC", "-o"]).args([&module, &source]).run_if();
    if made.is_none() {
        return;
    }
    zone.sh("sed -i 's/^passwd:.*/passwd: files tiny/' /etc/nsswitch.conf").ok();
    login(&["id", "-u"]).ok().stdout_is("4242\n");
    login(&["echo $USER $HOME; pwd; exit 7"]).exits(7).stdout_is("remote /tmp\n/tmp\n");
    login(&["printf", "[%s]\\n", "a b", "", "$HOME"]).ok().stdout_is("[a b]\n[]\n[$HOME]\n");
    let around = ["--cwd", "/etc", "--env", "X=a b", "-l", "remote", zone.name(), "pwd; echo $X"];
    lab.command("zlogin", around).run().ok().stdout_is("/etc\na b\n");
    logs_in(lab, zone, "remote", &["who | grep -c '^remote .*pts/'"]);
    lab.command("zlogin", ["-l", "nobody-here", zone.name(), "id"]).run().exits(1).stderr_has("nobody-here");
}

fn debian12_systemd_is_shut_down_by_its_init(lab: &Lab) {
    let zone = lab.guest("deb", "debian12-systemd", "");
    zone.boot();
    reaches_multi_user(&zone);
    let script = "printf '[Service]\\nType=oneshot\\nRemainAfterExit=yes\\nExecStop=/bin/touch /root/stopped-cleanly\\n' \
                  > /run/systemd/system/witness.service; systemctl daemon-reload; systemctl start witness";
    zone.sh(script).ok();
    zone.zoneadm_within(120, ["shutdown", "-t", "60"]).ok();
    zone.is("installed");
    assert!(zone.file("/root/stopped-cleanly").exists(), "its services were stopped, not killed");
    zone.boot();
    reaches_multi_user(&zone);
    let before = zone.status();
    zone.zoneadm_within(120, ["shutdown", "-r"]).ok();
    zone.runs_again(&before);
}

fn debian12_systemd_that_ignores_it_is_halted(lab: &Lab) {
    let zone = lab.guest("deb", "debian12-systemd", "");
    zone.boot();
    reaches_multi_user(&zone);
    let script = "printf '[Service]\\nType=oneshot\\nRemainAfterExit=yes\\nExecStop=/bin/sleep 3600\\nTimeoutStopSec=3600\\n' \
                  > /run/systemd/system/stubborn.service; systemctl daemon-reload; systemctl start stubborn";
    zone.sh(script).ok();
    let ran = zone.zoneadm_within(120, ["shutdown", "-t", "3"]);
    ran.stderr_has("3");
    assert!(ran.err().contains("halt"), "that it was halted instead must be said\n{ran}");
    zone.is("installed");
}

fn debian12_systemd_in_single_user(lab: &Lab) {
    let zone = lab.guest("deb", "debian12-systemd", "");
    zone.zoneadm(["boot", "--", "-s"]).ok();
    until("systemd is in single-user", || {
        let ran = zone.zlogin(["systemctl", "is-active", "rescue.target"]);
        (ran.out() == "active\n").then_some(())
    });
    let ran = zone.zlogin(["systemctl", "is-active", "multi-user.target"]);
    assert!(ran.out() != "active\n", "{ran}");
    zone.zoneadm_within(120, ["shutdown", "-t", "30"]).ok();
}

/// By both commands that systemd has for it; the one without arguments leaves single-user again.
fn debian12_systemd_reboots_with_arguments(lab: &Lab) {
    let zone = lab.guest("deb", "debian12-systemd", "");
    zone.boot();
    reaches_multi_user(&zone);
    let reboots = |words: &[&str]| {
        let before = zone.status();
        let _ = zone.zlogin(words);
        zone.runs_again(&before);
        super::accepted::arguments(&zone)
    };
    assert_eq!(reboots(&["systemctl", "reboot", "--reboot-argument=--log-level=info"]), ["--log-level=info"]);
    reaches_multi_user(&zone);
    assert_eq!(reboots(&["reboot", "--", "-s"]), ["-s"]);
    until("systemd is in single-user", || {
        (zone.zlogin(["systemctl", "is-active", "rescue.target"]).out() == "active\n").then_some(())
    });
    assert!(reboots(&["reboot"]).is_empty());
    reaches_multi_user(&zone);
    zone.halt();
}

fn debian12_systemd_under_a_killed_daemon(lab: &Lab) {
    let zone = lab.guest("deb", "debian12-systemd", "");
    zone.zoneadm(["boot"]).ok();
    // In the midst of its boot, with the console full of messages that nobody reads.
    zone.kill_daemon();
    reaches_multi_user(&zone);
    zone.zoneadm(["boot"]).ok().stderr_has("restarted zoneadmd to recover");
    lives(&zone, || reaches_multi_user(&zone));
}

fn debian11_systemd(lab: &Lab) {
    let zone = lab.guest("deb", "debian11-systemd", "");
    zone.boot();
    reaches_multi_user(&zone);
    lives(&zone, || reaches_multi_user(&zone));
}

fn debian13_systemd(lab: &Lab) {
    let zone = lab.guest("deb", "debian13-systemd", "");
    zone.boot();
    reaches_multi_user(&zone);
    lives(&zone, || reaches_multi_user(&zone));
}

#[track_caller]
fn sysvinit(lab: &Lab, guest: &str) {
    let zone = lab.guest("deb", guest, "");
    zone.boot();
    starts(&zone, "getty");
    zone.zlogin(["cat", "/proc/1/comm"]).ok().stdout_is("init\n");
    lives(&zone, || starts(&zone, "getty"));
    zone.zoneadm(["boot", "--", "-s"]).ok();
    starts(&zone, "sulogin");
    // A reboot would keep the arguments.
    zone.halt();
    zone.boot();
    starts(&zone, "getty");
    zone.zoneadm_within(120, ["shutdown", "-t", "60"]).ok();
    zone.is("installed");
}

fn debian12_systemd_under_a_killed_zsched(lab: &Lab) {
    let zone = lab.guest("deb", "debian12-systemd", "");
    zone.boot();
    // In the midst of its boot, alone; then with the daemon, which hangs up its console.
    for with_daemon in [false, true] {
        let (before, keeper) = (zone.status(), zone.keeper());
        if with_daemon {
            zone.kill_daemon();
        }
        crate::harness::kill_and_wait(keeper);
        if with_daemon {
            zone.zoneadm(["boot"]).ok();
        }
        let now = super::adopt::adopted(&zone, keeper);
        assert_eq!((now.pid, now.uniqid), (before.pid, before.uniqid));
        reaches_multi_user(&zone);
        // A manager of services lives on signals of its children.
        zone.zlogin(["systemctl", "daemon-reexec"]).ok();
        zone.sh("for i in 1 2 3 4 5 6 7 8 9 10; do systemd-run --wait -q true || exit 1; done").ok();
        zone.sh("i=0; while [ $i -lt 2000 ]; do kill -WINCH 1; i=$((i+1)); done").ok();
        reaches_multi_user(&zone);
    }
    let before = zone.status();
    let _ = zone.zlogin(["reboot"]);
    let after = zone.runs_again(&before);
    assert_eq!(after.last_exit.map(|exit| exit.how).as_deref(), Some("rebooted"));
    reaches_multi_user(&zone);
    let keeper = zone.keeper();
    crate::harness::kill_and_wait(keeper);
    super::adopt::adopted(&zone, keeper);
    let _ = zone.zlogin(["poweroff"]);
    let ended = zone.becomes("installed");
    assert_eq!(ended.last_exit.map(|exit| exit.how).as_deref(), Some("poweroff"));
}

fn debian12_sysvinit(lab: &Lab) {
    sysvinit(lab, "debian12-sysvinit");
}

/// With the lines of zones(7) in its fstab.
fn debian12_sysvinit_that_is_told_not_to_remount(lab: &Lab) {
    let zone = lab.guest("deb", "debian12-sysvinit", "");
    let lines = [
        "zone / none bind,nodev",
        "none /run tmpfs noauto",
        "none /run/lock tmpfs noauto",
        "none /dev/shm tmpfs noauto",
        "none /dev/pts devpts noauto",
        "none /sys sysfs noauto",
        "none /sys/kernel/security securityfs noauto",
        "none /sys/fs/pstore pstore noauto",
    ];
    write(&zone.file("/etc/fstab"), lines.map(|line| format!("{line} 0 0\n")).concat());
    zone.boot();
    starts(&zone, "getty");
    let log = lab.zoneadm(["console", "deb", "--log"]);
    let refused: Vec<_> =
        log.ok().out().lines().map(str::to_owned).filter(|line| line.contains("mount:")).collect();
    assert!(refused.is_empty(), "{refused:?}");
    zone.sh("touch /root/written").ok();
}

fn debian13_sysvinit(lab: &Lab) {
    sysvinit(lab, "debian13-sysvinit");
}

fn debian13_openrc(lab: &Lab) {
    sysvinit(lab, "debian13-openrc");
}

fn debian13_busybox(lab: &Lab) {
    let zone = lab.guest("deb", "debian13-busybox", "");
    zone.boot();
    starts(&zone, "getty");
    let before = zone.status();
    let _ = zone.zlogin(["/bin/busybox", "reboot"]);
    zone.runs_again(&before);
    starts(&zone, "getty");
    let _ = zone.zlogin(["/bin/busybox", "poweroff"]);
    zone.becomes("installed");
    zone.boot();
    starts(&zone, "getty");
    // Debian 13 keeps no utmp any more.
    logs_in(lab, &zone, "root", &[]);
    zone.zoneadm_within(120, ["shutdown", "-t", "30"]).ok();
    zone.is("installed");
}

fn debian13_runit(lab: &Lab) {
    let zone = lab.guest("deb", "debian13-runit", "");
    zone.boot();
    starts(&zone, "runsvdir");
    lives(&zone, || starts(&zone, "runsvdir"));
}

fn debian13_finit(lab: &Lab) {
    let zone = lab.guest("deb", "debian13-finit", "");
    zone.boot();
    // What it is asked for before its gettys run it may lose.
    starts(&zone, "getty");
    lives(&zone, || starts(&zone, "getty"));
}

/// Sees that the guest's own getty on tty1 is on the console, where somebody can log in, and that those on the other consoles wait
/// and are not started again and again.
#[track_caller]
fn has_a_login_on_its_console(lab: &Lab, guest: &str) {
    let zone = lab.guest("deb", guest, "");
    zone.boot();
    let mut console = zone.console(&[]);
    console.shows("login: ");
    console.types("root\n");
    console.shows("assword: ");
    console.types("root\n");
    console.shows("# ");
    console.types("tty; echo at-$(hostname)\n");
    console.shows("at-deb");
    until(
        "the gettys on the other consoles have stayed for longer than it takes their init to start them again",
        || {
            let ran = zone.sh("ps axo etimes,args | grep '[g]etty .*tty[2-6]'");
            let lived =
                |line: &str| line.split_whitespace().next().and_then(|seconds| seconds.parse::<u32>().ok());
            let lasting = ran.out().lines().filter(|line| lived(line) >= Some(8)).count();
            (lasting == 5).then_some(())
        },
    );
    zone.zoneadm_within(120, ["halt"]).ok();
}

fn debian12_sysvinit_has_a_login_on_its_console(lab: &Lab) {
    has_a_login_on_its_console(lab, "debian12-sysvinit");
}

fn debian13_openrc_has_a_login_on_its_console(lab: &Lab) {
    has_a_login_on_its_console(lab, "debian13-openrc");
}

fn debian13_finit_has_a_login_on_its_console(lab: &Lab) {
    has_a_login_on_its_console(lab, "debian13-finit");
}

/// Asks for a shutdown while init starts, at several moments: what comes too soon is said again, so that init does it and
/// nobody has to kill the zone.
#[track_caller]
fn hears_a_shutdown_that_comes_soon(lab: &Lab, guest: &str) {
    let zone = lab.guest("deb", guest, "");
    for moment in [0, 300, 1000] {
        zone.boot();
        std::thread::sleep(std::time::Duration::from_millis(moment));
        zone.zoneadm_within(120, ["shutdown", "-t", "90"]).ok().stderr_has("zone was shut down by its init");
        zone.is("installed");
    }
}

fn debian13_runit_is_shut_down_at_once(lab: &Lab) {
    hears_a_shutdown_that_comes_soon(lab, "debian13-runit");
}

fn debian13_finit_is_shut_down_at_once(lab: &Lab) {
    hears_a_shutdown_that_comes_soon(lab, "debian13-finit");
}

fn debian13_openrc_is_shut_down_at_once(lab: &Lab) {
    hears_a_shutdown_that_comes_soon(lab, "debian13-openrc");
}

fn debian13_shepherd(lab: &Lab) {
    let zone = lab.guest("deb", "debian13-shepherd", "set init=/usr/bin/shepherd");
    zone.boot();
    answers(&zone);
    zone.zoneadm(["halt"]).ok();
}

fn debian13_s6(lab: &Lab) {
    let zone = lab.guest("deb", "debian13-s6", "set init=/usr/bin/s6-svscan");
    zone.boot();
    answers(&zone);
    zone.zlogin(["cat", "/proc/1/comm"]).ok().stdout_is("s6-svscan\n");
    zone.zoneadm(["halt"]).ok();
}
