//! The settings of the kernel that a `sysctl` resource may name: those that each zone has for itself, by its namespaces.

/// What a zone has by its IPC and UTS namespace, and no limit stands for.
pub const OWN: [&str; 11] = [
    "fs.mqueue.msg_default",
    "fs.mqueue.msg_max",
    "fs.mqueue.msgsize_default",
    "fs.mqueue.msgsize_max",
    "fs.mqueue.queues_max",
    "kernel.domainname",
    "kernel.msgmax",
    "kernel.msgmnb",
    "kernel.sem_next_id",
    "kernel.shm_rmid_forced",
    "kernel.shmmax",
];

/// What a limit writes, and which one that is.
const LIMITS: [(&str, &str); 4] = [
    ("kernel.msgmni", "max-msg-ids"),
    ("kernel.sem", "max-sem-ids"),
    ("kernel.shmall", "max-shm-memory"),
    ("kernel.shmmni", "max-shm-ids"),
];

/// The longest name, in bytes.
const LONGEST: usize = 200;

/// What is allowed, to follow "allowed: ".
#[must_use]
pub fn allowed() -> String {
    format!("what a zone has for itself: net. and any setting below it, {}", OWN.join(", "))
}

/// Whether a zone has a setting of this name for itself.
#[must_use]
pub fn is_own(name: &str) -> bool {
    OWN.contains(&name) || LIMITS.iter().any(|(known, _)| *known == name) || is_of_network(name)
}

/// The limit by which this setting is given, if it is by one.
#[must_use]
pub fn limit(name: &str) -> Option<&'static str> {
    LIMITS.iter().find(|(known, _)| *known == name).map(|(_, property)| *property)
}

/// Names of the network namespace: parts between dots, in which a slash stands for a dot of a link's name.
fn is_of_network(name: &str) -> bool {
    let fits = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphanumeric())
            && part.chars().all(|c| c.is_ascii_alphanumeric() || "_-/".contains(c))
    };
    name.len() <= LONGEST && name.strip_prefix("net.").is_some_and(|rest| rest.split('.').all(fits))
}

/// Where the kernel has it, below `/proc/sys`.
#[must_use]
pub fn path(name: &str) -> String {
    let swap = |c| match c {
        '.' => '/',
        '/' => '.',
        c => c,
    };
    name.chars().map(swap).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_the_machines_is_refused() {
        for good in
            ["net.ipv4.ip_forward", "net.ipv4.conf.eth0/1.forwarding", "kernel.shmmax", "kernel.shmall"]
        {
            assert!(is_own(good), "{good}");
        }
        for bad in [
            "kernel.core_pattern",
            "vm.swappiness",
            "fs.file-max",
            "net",
            "net.",
            "net..x",
            "net.ipv4/../x.y",
            "net./x",
            "net.ipv4.é",
            "NET.ipv4.x",
            "kernel.shmmax ",
            "user.max_user_namespaces",
        ] {
            assert!(!is_own(bad), "{bad}");
        }
        assert_eq!((limit("kernel.sem"), limit("kernel.shmmax")), (Some("max-sem-ids"), None));
    }

    #[test]
    fn names_are_paths_and_none_leads_out() {
        assert_eq!(path("net.ipv4.ip_forward"), "net/ipv4/ip_forward");
        assert_eq!(path("net.ipv4.conf.eth0/1.forwarding"), "net/ipv4/conf/eth0.1/forwarding");
    }

    proptest::proptest! {
        #[test]
        fn no_name_leads_out(name in "net(\\.[a-z0-9/._-]{0,8}){1,4}") {
            if is_own(&name) {
                proptest::prop_assert!(path(&name).split('/').all(|part| !part.is_empty() && !part.starts_with('.')));
            }
        }
    }
}
