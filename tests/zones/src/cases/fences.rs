//! What a zone could do to the host with what it shares with it, and by which roads.

use crate::harness::{Lab, Zone, cases, numbered, read, set_mode, skip, write};
use std::fs::OpenOptions;
use std::path::Path;

cases![
    a_file_of_the_hosts_cannot_be_held_up,
    a_read_only_descriptor_changes_nothing_of_the_hosts,
    no_ring_and_no_virtual_socket_unless_allowed,
    user_namespaces_only_where_allowed,
    terminals_are_left_for_the_host alone,
    what_only_the_hosts_root_may_read_is_not_there,
    mounts_reach_earlier_namespaces_of_the_zone_and_nobody_else,
    users_may_ping,
    mount_tables_name_no_owner_of_the_hosts,
];

/// Runs a Perl program in the zone: the one language on every Debian that makes any system call.
#[track_caller]
fn perl(zone: &Zone<'_>, program: &str) -> String {
    need_perl();
    let ran = zone.zlogin(["perl", "-e", &numbered(program)]);
    ran.ok().out()
}

fn need_perl() {
    if !Path::new("/usr/bin/perl").exists() {
        skip("this host has no perl (Debian package perl-base)");
    }
}

/// `F_SETLEASE` on a program stops whoever executes it until the holder lets go, 45 seconds at most, again and again.
fn a_file_of_the_hosts_cannot_be_held_up(lab: &Lab) {
    let zone = lab.booted_sparse();
    let said = perl(
        &zone,
        r#"open(F, "<", "/usr/bin/env") or die; open(D, "<", "/usr/bin") or die; my $hint = pack("Q", 2);
           for my $fd (fileno(F), fileno(D)) {
               for my $try ([1024, 0], [1024, 1], [1024, 2], [1036, $hint], [1038, $hint], [1040, $hint]) {
                   my $done = syscall(SYS_fcntl, $fd, @$try);
                   print $done == -1 ? $!{EINVAL} ? "" : "$!\n" : "command $$try[0] went through\n";
               }
           }
           print defined(fcntl(F, 1025, 0)) ? "asked\n" : "cannot ask: $!\n";"#,
    );
    assert_eq!(said, "asked\n", "leases and hints are no commands here, to ask who holds one is");
}

/// All that changes a file, or its file system, and that the kernel lets somebody try who has opened it to read.
fn a_read_only_descriptor_changes_nothing_of_the_hosts(lab: &Lab) {
    let zone = lab.booted_sparse();
    let said = perl(
        &zone,
        r#"open(F, "<", "/usr/bin/env") or die; open(D, "<", "/usr/bin") or die;
           my %calls = (FICLONE => 0x40049409, FIDEDUPERANGE => 0xc0189436, FS_IOC_SETFLAGS => 0x40086602,
               FS_IOC_FSSETXATTR => 0x401c5820, FIFREEZE => 0xc0045877, FITHAW => 0xc0045878, FITRIM => 0xc0185879,
               FS_IOC_ENABLE_VERITY => 0x40806685, FS_IOC_SET_ENCRYPTION_POLICY => 0x800c6613,
               FS_IOC_ADD_ENCRYPTION_KEY => 0xc0506617, FS_IOC_SETFSLABEL => 0x41009432, FIBMAP => 1,
               EXT4_IOC_RESIZE_FS => 0x40086610, EXT4_IOC_SHUTDOWN => 0x8004587d, EXT4_IOC_CHECKPOINT => 0x4004662b,
               EXT4_IOC_MIGRATE => 0x6609, BTRFS_IOC_DEFRAG => 0x50009402, XFS_IOC_FREE_EOFBLOCKS => 0x8080583a);
           for my $name (sort keys %calls) {
               for my $file (*F, *D) {
                   my $room = pack("L", fileno(F)) . "\0" x 4092;
                   print "$name went through\n" if defined(ioctl($file, $calls{$name}, $room));
               }
           }
           # fanotify with permission events holds up others' opens; extended attributes; times.
           my ($name, $path, $value) = ("user.x", "/usr/bin/env", "1");
           my $lock = pack("ssqqi", 1, 0, 0, 0, 0);
           print "fanotify went through\n" if syscall(SYS_fanotify_init, 4, 0) != -1 || syscall(SYS_fanotify_init, 8, 0) != -1;
           print "setxattr went through\n" if syscall(SYS_setxattr, $path, $name, $value, 1, 0) != -1;
           print "utimensat went through\n" if syscall(SYS_utimensat, -100, $path, 0, 0) != -1;
           print "a write lock went through\n" if syscall(SYS_fcntl, fileno(F), 6, $lock) != -1;
           print "done\n";"#,
    );
    assert_eq!(said, "done\n");
}

/// What a raw call answers in the zone: `0 or more`, or the error's name.
#[track_caller]
fn answer(zone: &Zone<'_>, call: &str) -> String {
    let program = format!(
        r#"my $room = "\0" x 256; my $done = syscall({call});
           print $done >= 0 ? "works" : join(",", grep {{ $!{{$_}} }} keys %!);"#
    );
    perl(zone, &program)
}

const RING: &str = "SYS_io_uring_setup, 1, $room";
const VSOCK: &str = "SYS_socket, 40, 1, 0";

fn no_ring_and_no_virtual_socket_unless_allowed(lab: &Lab) {
    let zone = lab.booted_sparse();
    assert_eq!(answer(&zone, RING), "ENOSYS");
    assert_eq!(answer(&zone, VSOCK), "EAFNOSUPPORT");
    zone.zonecfg("set io-uring=true").ok();
    zone.zoneadm(["reboot"]).ok();
    let program = r#"my $room = "\0" x 256; print syscall(SYS_io_uring_setup, 1, $room) >= 0 ? "works" : join(",", grep { $!{$_} } keys %!);"#;
    let host = crate::harness::Command::new("perl").args(["-e", &numbered(program)]).run();
    assert_eq!(answer(&zone, RING), host.ok().out(), "in the zone as on the host");
    assert_eq!(answer(&zone, VSOCK), "EAFNOSUPPORT");
}

/// For init and its children as for those who log in.
fn user_namespaces_only_where_allowed(lab: &Lab) {
    let script = "/bin/busybox unshare -U /bin/true 2> /why && echo made > /first || echo refused > /first
                  exec sleep 2147483647";
    let zone = lab.booted_tiny(script);
    assert_eq!(zone.written("/first"), "refused\n", "{}", read(&zone.file("/why")));
    let refused = zone.zlogin(["/bin/busybox", "unshare", "-U", "/bin/true"]);
    assert!(refused.code() != Some(0), "{refused}");
    refused.stderr_has("No space left on device");
    zone.zonecfg("set nesting=true").ok();
    std::fs::remove_file(zone.file("/first")).unwrap_or_default();
    zone.zoneadm(["reboot"]).ok();
    assert_eq!(zone.written("/first"), "made\n");
    zone.zlogin(["/bin/busybox", "unshare", "-U", "/bin/true"]).ok();
}

/// However many file systems of terminals a zone mounts, `kernel.pty.reserve` terminals are left for the host.
fn terminals_are_left_for_the_host(lab: &Lab) {
    let zone = lab.booted_sparse();
    let number = |name: &str| -> u64 {
        read(Path::new("/proc/sys/kernel/pty").join(name).as_path()).trim().parse().unwrap_or_default()
    };
    let (max, reserve) = (number("max"), number("reserve"));
    if max - reserve > 16_384 {
        skip(format!("{max} terminals are too many to be opened"));
    }
    need_perl();
    let program = r#"my @held;
        sub take { my ($path) = @_; my $n = 0;
            while (sysopen(my $fh, $path, 2)) { push @held, $fh; $n++; } return "$n $!"; }
        for my $i (1 .. 5) {
            mkdir "/root/pts$i"; system("mount", "-t", "devpts", "-o", "newinstance,ptmxmode=666", "x", "/root/pts$i");
            print STDERR "$i: ", take("/root/pts$i/ptmx"), "\n";
        }
        # Last, for it was mounted by somebody who may take the reserve.
        print STDERR "own: ", take("/dev/ptmx"), "\n";
        open(my $told, ">", "/root/held"); print $told scalar(@held), "\n"; close($told);
        until (-e "/root/go") { select(undef, undef, undef, 0.05); }"#;
    let script = format!("ulimit -n {}; exec perl -e \"$0\"", max + 64);
    let taker = zone.zlogin_command(["/bin/sh", "-c", &script, program]).start();
    let held: u64 = zone.written("/root/held").trim().parse().unwrap_or_default();
    // Before anything is asserted: others wait for terminals, too.
    let hosts: Vec<_> =
        (0..16).map(|_| OpenOptions::new().read(true).write(true).open("/dev/ptmx")).collect();
    write(&zone.file("/root/go"), "");
    let ran = taker.wait();
    assert!(held > 1024, "the zone took more than its own file system has: {held}\n{ran}");
    assert!(held <= max - reserve, "{held} of {max} with {reserve} in reserve\n{ran}");
    for opened in hosts {
        assert!(opened.is_ok(), "the host has no terminal left: {opened:?}; the zone holds {held}\n{ran}");
    }
}

fn what_only_the_hosts_root_may_read_is_not_there(lab: &Lab) {
    let _local = lab.memory_at("/usr/local");
    let _source = lab.memory_at("/usr/src");
    let local = Path::new("/usr/local");
    write(&local.join("open"), "for all\n");
    write(&local.join("secret"), "for root\n");
    set_mode(&local.join("secret"), 0o600);
    std::fs::create_dir(local.join("closed")).unwrap_or_else(|e| panic!("{e}"));
    write(&local.join("closed/file"), "for root\n");
    set_mode(&local.join("closed"), 0o700);
    write(Path::new("/usr/src/elsewhere"), "of a file system of its own\n");
    let zone = lab.sparse("web");
    zone.zoneadm(["boot"]).ok().stderr_has("/usr/src");
    zone.sh("cat /usr/local/open").ok().stdout_is("for all\n");
    for attempt in [
        "cat /usr/local/secret",
        "cat /usr/local/closed/file",
        "ls /usr/local/closed",
        "chmod 644 /usr/local/secret",
        "umount /usr/local",
        "mount -o remount,bind,rw /usr/local",
        "test -e /usr/src/elsewhere",
    ] {
        let ran = zone.sh(attempt);
        assert!(ran.code() != Some(0), "must not be possible inside a zone\n{ran}");
    }
    zone.sh("umount -R /usr; cat /usr/local/secret; mount --bind / /mnt && cat /mnt/usr/local/secret")
        .stdout_is("");
    // What needs an owner has one.
    zone.sh("stat -c %u /usr/bin/env").ok().stdout_is("0\n");
    zone.halt();
}

fn mounts_reach_earlier_namespaces_of_the_zone_and_nobody_else(lab: &Lab) {
    let zone = lab.booted_sparse();
    zone.sh("mkdir /root/late").ok();
    let earlier = zone
        .zlogin_command(["unshare", "-m", "--propagation", "slave", "/bin/sh", "-c"])
        .args(["echo > /root/ready; until test -e /root/late/there; do sleep 0.05; done; echo seen"])
        .start();
    let _ = zone.written("/root/ready");
    zone.sh("mount -t tmpfs x /root/late && echo > /root/late/there").ok();
    earlier.wait().ok().stdout_is("seen\n");
    assert!(!zone.file("/root/late/there").exists(), "on the host the mount does not show");
    let own = read(Path::new("/proc/self/mountinfo"));
    assert!(!own.contains("/root/late"), "{own}");
    // Nor in the other direction.
    let ran = zone.sh("grep -c ' shared:[0-9]* master:\\| master:' /proc/self/mountinfo");
    ran.stdout_is("0\n");
    zone.sh("grep -vc ' shared:' /proc/self/mountinfo").stdout_is("0\n");
}

fn users_may_ping(lab: &Lab) {
    let host = || read(Path::new("/proc/sys/net/ipv4/ping_group_range"));
    let before = host();
    let zone = lab.booted_sparse();
    zone.zlogin(["cat", "/proc/sys/net/ipv4/ping_group_range"]).ok().stdout_is("0\t65535\n");
    let said = perl(
        &zone,
        r#"use Socket; ($(, $)) = (1000, "1000 1000"); ($<, $>) = (1000, 1000);
           socket(my $s, PF_INET, SOCK_DGRAM, 1) or die "socket: $!";
           send($s, pack("CCnnn", 8, 0, 0, 0, 1) . "hello", 0, sockaddr_in(0, inet_aton("127.0.0.1"))) or die "send: $!";
           recv($s, my $reply, 100, 0); print substr($reply, 8), "\n";"#,
    );
    assert_eq!(said, "hello\n");
    assert_eq!(host(), before, "the host's own range is another one");
}

/// A guest's scripts remount with what they read there: an owner as the host counts is not known inside.
fn mount_tables_name_no_owner_of_the_hosts(lab: &Lab) {
    let zone = lab.booted_sparse();
    let table = zone.zlogin(["cat", "/proc/self/mountinfo"]);
    let owned = ["/run", "/dev", "/dev/shm"];
    for line in table.ok().out().lines() {
        let fields: Vec<&str> = line.split(' ').collect();
        if owned.contains(&fields[4]) {
            assert!(!line.contains("uid=") && !line.contains("gid="), "{line}");
        }
    }
    zone.sh("stat -c '%u %g' /run /dev /dev/shm").ok().stdout_is("0 0\n0 0\n0 0\n");
    let remount = zone.sh("mount -o remount /run 2>&1");
    assert!(!remount.out().contains("bad option"), "{remount}");
}
