use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::process::Command;

use super::*;
use crate::testing::{Ground, chmod, in_own_mounts, is_root, mode};

/// A small host with all that must stay on it.
fn host(ground: &Ground) -> PathBuf {
    let host = ground.path("host");
    for directory in ["usr/bin", "etc/ssl/private", "etc/ssl/certs", "etc/ssh", "etc/pam.d", "etc/default"] {
        fs::create_dir_all(host.join(directory)).unwrap();
    }
    symlink("usr/bin", host.join("bin")).unwrap();
    symlink("/usr/lib", host.join("lib")).unwrap();
    symlink("/somewhere/else", host.join("lib32")).unwrap();
    fs::create_dir(host.join("sbin")).unwrap();
    for secret in [
        "etc/shadow",
        "etc/gshadow",
        "etc/machine-id",
        "etc/ssh/ssh_host_ed25519_key",
        "etc/ssl/private/key.pem",
        "etc/sudoers",
        "etc/fstab",
        "etc/environment",
        "etc/resolv.conf",
        "etc/hostname",
        "etc/hosts",
        "etc/default/webserver",
        "etc/pip.conf",
    ] {
        fs::write(host.join(secret), "SECRET").unwrap();
    }
    fs::write(host.join("etc/passwd"), "root:SECRET:0:0:SECRET:/root:/bin/bash\n").unwrap();
    fs::write(host.join("etc/group"), "root:x:0:SECRET\nshadow:x:42:\n").unwrap();
    fs::write(host.join("etc/pam.d/login"), "auth required pam_unix.so\n").unwrap();
    fs::write(host.join("etc/pam.d/hidden"), "SECRET").unwrap();
    chmod(&host.join("etc/pam.d/hidden"), 0o640);
    fs::write(host.join("etc/ssl/certs/ca.crt"), "certificate").unwrap();
    symlink("/usr/share/zoneinfo/UTC", host.join("etc/localtime")).unwrap();
    fs::write(host.join("etc/services"), "ssh 22/tcp\n").unwrap();
    chmod(&host.join("etc/services"), 0o666);
    host
}

fn everything(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut waiting = vec![root.to_owned()];
    while let Some(directory) = waiting.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.symlink_metadata().unwrap().is_dir() {
                waiting.push(path.clone());
            }
            found.push(path);
        }
    }
    found
}

#[test]
fn nothing_secret_leaves_the_host() {
    let ground = Ground::new();
    let made = skeleton_of(&host(&ground), &ground.root, "web").unwrap();
    for path in everything(&ground.root) {
        if path.symlink_metadata().unwrap().is_file() {
            let text = fs::read_to_string(&path).unwrap();
            assert!(!text.contains("SECRET"), "{}", path.display());
        }
    }
    assert_eq!(made.withheld, [Path::new("/etc/pam.d/hidden")]);
    let read = |name: &str| fs::read_to_string(ground.root.join(name)).unwrap();
    assert_eq!(read("etc/hostname"), "web\n");
    assert_eq!(read("etc/machine-id"), "");
    assert_eq!(read("etc/passwd"), "root:x:0:0:root:/root:/bin/bash\n");
    assert_eq!(read("etc/shadow"), "root:*:::::::\n");
    assert_eq!(read("etc/services"), "ssh 22/tcp\n");
    assert_eq!(read("etc/ssl/certs/ca.crt"), "certificate");
    assert!(!ground.root.join("etc/ssl/private").exists() && !ground.root.join("etc/ssh").exists());
    assert_eq!(mode(&ground.root.join("etc/services")), 0o644, "nobody else writes, whatever the host says");
    assert_eq!(mode(&ground.root.join("etc/shadow")), 0o640);
}

#[test]
fn the_top_is_the_hosts_own() {
    let ground = Ground::new();
    let made = skeleton_of(&host(&ground), &ground.root, "web").unwrap();
    assert_eq!(made.host_directories, [Path::new("/sbin")]);
    assert_eq!(
        made.links,
        [(PathBuf::from("bin"), PathBuf::from("usr/bin")), (PathBuf::from("lib"), PathBuf::from("/usr/lib"))]
    );
    assert_eq!(fs::read_link(ground.root.join("bin")).unwrap(), Path::new("usr/bin"));
    assert!(!ground.root.join("lib32").is_symlink());
    assert!(ground.root.join("sbin").is_dir());
    assert_eq!(mode(&ground.root.join("tmp")), 0o1777);
    assert_eq!(mode(&ground.root.join("root")), 0o700);
    assert_eq!(mode(&ground.root), 0o755);
    assert_eq!(fs::metadata(ground.root.join("native/sbin/init")).unwrap().len(), 0);
    assert_eq!(fs::read_link(ground.root.join("native/sbin/reboot")).unwrap(), Path::new("init"));
    let shadow = fs::metadata(ground.root.join("etc/shadow")).unwrap();
    assert_eq!(shadow.gid(), if is_root() { 42 } else { shadow.gid() });
}

#[test]
fn all_of_it_is_roots_whatever_the_directory_gives_away() {
    zone_testing::needs_root!();
    let ground = Ground::new();
    fs::create_dir(&ground.root).unwrap();
    std::os::unix::fs::chown(&ground.root, None, Some(5)).unwrap();
    chmod(&ground.root, 0o2755);
    skeleton_of(&host(&ground), &ground.root, "web").unwrap();
    for path in everything(&ground.root) {
        let stat = path.symlink_metadata().unwrap();
        let group = if ["shadow", "gshadow"].iter().any(|name| path.ends_with(name)) { 42 } else { 0 };
        assert_eq!((stat.uid(), stat.gid()), (0, group), "{}", path.display());
    }
    assert_eq!((mode(&ground.root), ground.root.metadata().unwrap().gid()), (0o755, 0));
}

#[test]
fn there_is_nothing_to_write_to_twice() {
    let ground = Ground::new();
    skeleton(&ground.root, "a").unwrap();
    assert!(matches!(skeleton(&ground.root, "a"), Err(Error::RootNotEmpty(_))));
}

/// The point of it all: with this machine's own `/usr` in it, this machine's programs run.
#[test]
fn this_hosts_programs_run_in_it() {
    if !in_own_mounts("sparse::tests::this_hosts_programs_run_in_it") {
        return;
    }
    let ground = Ground::new();
    let made = skeleton(&ground.root, "sparse").unwrap();
    let mut mounts = made.host_directories;
    mounts.extend(["/usr".into(), "/dev".into()]);
    for directory in mounts {
        let at = ground.root.join(directory.strip_prefix("/").unwrap());
        let mounted = Command::new("mount").args(["--bind", "-o", "ro"]).arg(&directory).arg(&at).status();
        assert!(mounted.unwrap().success());
    }
    let inside = |program: &[&str]| {
        let output = Command::new("chroot")
            .arg(&ground.root)
            .args(program)
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin")
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{program:?}: {text}{}", String::from_utf8_lossy(&output.stderr));
        text
    };
    assert_eq!(inside(&["/bin/sh", "-lc", "echo $PATH; id -un"]).lines().last(), Some("root"));
    assert!(inside(&["/bin/sh", "-lc", "echo $PATH"]).starts_with("/native/sbin:"));
    assert_eq!(inside(&["/bin/bash", "-c", "getent passwd root | cut -d: -f2"]), "x\n");
    assert_eq!(inside(&["/usr/bin/perl", "-MPOSIX", "-e", "print floor(2.5)"]), "2");
    if Path::new("/usr/bin/python3").exists() {
        assert_eq!(inside(&["/usr/bin/python3", "-c", "import ssl, json; print(1)"]), "1\n");
    }
    assert_eq!(inside(&["/bin/sh", "-c", "touch /usr/x 2>/dev/null || echo read-only"]), "read-only\n");
}
