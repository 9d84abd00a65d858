//! Access control lists and other attributes, by the names that archives have for them.

use super::*;

fn acl_of(path: &Path, name: &str) -> Vec<(u16, u16, u32)> {
    let mut value = [0; 4096];
    let length = rustix::fs::getxattr(path, name, &mut value).unwrap();
    value[4..length]
        .chunks(8)
        .map(|entry| {
            let short = |at: usize| u16::from_le_bytes([entry[at], entry[at + 1]]);
            (short(0), short(2), u32::from_le_bytes([entry[4], entry[5], entry[6], entry[7]]))
        })
        .collect()
}

#[test]
fn access_control_lists_are_kept_with_the_archives_own_names() {
    let ground = Ground::new();
    let access =
        b"user::rw-\nuser:lisa:r--\nuser:4321:rwx\ngroup::r--\ngroup:staff:r--\nmask::rw-\nother::---\n";
    let summary = Hostile::default()
        .pax(&[("SCHILY.acl.access", access)])
        .mode(0o660)
        .file("f", "x")
        .pax(&[("SCHILY.acl.default", b"user::rwx,group::r-x,other::---,user:lisa:r-x:77,mask::r-x")])
        .dir("d")
        .pax(&[("SCHILY.acl.access", b"user::rw-,user:nobody-knows:r--,group::r--,mask::r--,other::---")])
        .file("g", "x")
        .pax(&[("SCHILY.acl.access", access)])
        .file("replaced", "x")
        .file("replaced", "without a list")
        // They come last, and still count.
        .file("etc/passwd", "root:x:0:0::/root:/bin/sh\nlisa:x:501:501::/:/bin/sh\n")
        .file("etc/group", "root:x:0:\nstaff:x:50:lisa\n")
        .unpack(&ground)
        .unwrap();
    let none = u32::MAX;
    if summary.left.unsupported > 0 {
        return; // the file system of the temporary directory has no lists
    }
    assert_eq!(
        acl_of(&ground.root.join("f"), "system.posix_acl_access"),
        [(1, 6, none), (2, 4, 501), (2, 7, 4321), (4, 4, none), (8, 4, 50), (16, 6, none), (32, 0, none)]
    );
    assert!(acl_of(&ground.root.join("d"), "system.posix_acl_default").contains(&(2, 5, 77)));
    assert_eq!((summary.left.acls, summary.left.xattrs), (1, 0), "the list with a name that nobody has");
    let mut value = [0; 64];
    let replaced = rustix::fs::getxattr(ground.root.join("replaced"), "system.posix_acl_access", &mut value);
    assert!(replaced.is_err(), "the list was that of an earlier entry");
}

/// With the lists as tar(1) itself writes them: by the names of this machine, which has other numbers for them.
#[test]
fn lists_of_a_real_tar_come_out_with_the_numbers_of_the_root() {
    let host = fs::read_to_string("/etc/passwd").unwrap();
    let user = |line: &str| {
        let mut fields = line.split(':');
        Some((fields.next()?.to_owned(), fields.nth(1)?.parse::<u32>().ok()?))
    };
    let Some((name, uid)) = host.lines().filter_map(user).find(|(_, uid)| (1..60_000).contains(uid)) else {
        return; // a machine of root alone
    };
    let ground = Ground::new();
    let source = ground.path("source");
    fs::create_dir_all(source.join("etc")).unwrap();
    fs::write(source.join("etc/passwd"), format!("root:x:0:0::/:/bin/sh\n{name}:x:777:777::/:/bin/sh\n"))
        .unwrap();
    fs::write(source.join("f"), "x").unwrap();
    let mut list = 2u32.to_le_bytes().to_vec();
    for (tag, permissions, id) in
        [(1u16, 6u16, u32::MAX), (2, 4, uid), (4, 4, u32::MAX), (16, 6, u32::MAX), (32, 0, u32::MAX)]
    {
        list.extend([tag.to_le_bytes(), permissions.to_le_bytes()].concat());
        list.extend(id.to_le_bytes());
    }
    let flags = rustix::fs::XattrFlags::empty();
    if rustix::fs::setxattr(source.join("f"), "system.posix_acl_access", &list, flags).is_err() {
        return; // not every file system has lists
    }
    let archive = ground.path("packed");
    let tar =
        Command::new("tar").arg("--acls").arg("-C").arg(&source).arg("-cf").arg(&archive).arg(".").status();
    if !tar.unwrap().success() {
        return; // a tar without them
    }
    let summary = from_archive(&archive, &ground.zonepath, &options(), &mut silent).unwrap();
    assert_eq!(summary.left, crate::install::Left::default());
    let entries = acl_of(&ground.root.join("f"), "system.posix_acl_access");
    assert!(entries.contains(&(2, 4, 777)), "{entries:?}");
}

#[test]
fn attributes_have_several_names_in_archives() {
    let ground = Ground::new();
    let summary = Hostile::default()
        .pax(&[
            ("LIBARCHIVE.xattr.user.a%20b", b"aGVsbG8"),
            ("LIBARCHIVE.xattr.user.both", b"b2xk"),
            ("SCHILY.xattr.user.both", b"new"),
            ("LIBARCHIVE.xattr.security.selinux", b"eA=="),
            ("RHT.security.selinux", b"x"),
            ("SCHILY.fflags", b"immutable,nodump"),
        ])
        .file("f", "x")
        .unpack(&ground)
        .unwrap();
    let attribute = |name: &str| {
        let mut value = [0; 64];
        let length = rustix::fs::getxattr(ground.root.join("f"), name, &mut value).unwrap();
        value[..length].to_vec()
    };
    assert_eq!((attribute("user.a b"), attribute("user.both")), (b"hello".to_vec(), b"new".to_vec()));
    assert_eq!((summary.left.xattrs, summary.left.flags, summary.left.acls), (2, 1, 0));
}
