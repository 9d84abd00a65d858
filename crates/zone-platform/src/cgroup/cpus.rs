//! CPUs of a zone's own: a partition of the kernel's cpuset controller.
//!
//! A partition takes its CPUs from its parent, and the parent has to be one, too. So the cgroup of such a zone is in a directory
//! of its own at the top, where the parent is the root of all: `CGROUP2/zones.cpus.NAME/zone`, and on a host that systemd runs, so that
//! its path is that of a unit, `CGROUP2/zones.units.NAME.slice/zone@NAME.service/zone`. The daemon and the
//! keeper stay where those of all zones are, on the CPUs of the host. Which CPUs are whose the kernel alone knows: with the directory
//! they go back, so what a daemon that was killed has left is given back by whoever removes it.

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, mkdirat};
use rustix::io::Errno;
use zone_config::limits::{OwnCpus, cpu_list};

use super::{CgroupError, Tree, enable_controllers, open_dir, read, write};
use crate::Failed;

const CPUS: &str = "cpuset.cpus";
const EFFECTIVE: &str = "cpuset.cpus.effective";
pub(crate) const PARTITION: &str = "cpuset.cpus.partition";
/// What the partition's file says of one that holds.
pub(crate) const HOLDS: &str = "root";
/// Two zones that boot at a time may choose the same; one of them is then refused by the kernel, and chooses anew.
const TRIES: usize = 5;

/// Looks whether a zone could have these CPUs now.
pub(super) fn look(tree: &Tree, wanted: &OwnCpus) -> Result<(), CgroupError> {
    let own = if tree.apart { open_dir(tree.mount.as_fd(), &tree.own[0]).ok() } else { None };
    choose(&free(tree.mount.as_fd(), own.as_ref())?, wanted).map(drop)
}

/// Makes the directory of a zone with CPUs of its own, and gives it those. What it has and is as it should be stays.
pub(super) fn take(tree: &Tree, wanted: &OwnCpus) -> Result<(), CgroupError> {
    let mount = tree.mount.as_fd();
    let name = tree.own[0].as_str();
    let place = tree.point.join(name);
    let failed = |operation| Failed::to(operation, place.display());
    enable_controllers(mount);
    match mkdirat(mount, name, Mode::from_raw_mode(0o755)) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(errno) => return Err(failed("make cgroup")(errno).into()),
    }
    let own = open_dir(mount, name).map_err(failed("open cgroup"))?;
    let mut said = String::new();
    for _ in 0..TRIES {
        let state = read(own.as_fd(), PARTITION).unwrap_or_default();
        if state.trim() == HOLDS && is_right(&list(own.as_fd(), CPUS)?, wanted) {
            return Ok(());
        }
        let chosen = choose(&free(mount, Some(&own))?, wanted)?;
        let text = chosen.iter().map(u64::to_string).collect::<Vec<_>>().join(",");
        let made = write(own.as_fd(), CPUS, &text).and_then(|()| write(own.as_fd(), PARTITION, HOLDS));
        said = match made {
            Ok(()) => read(own.as_fd(), PARTITION).unwrap_or_default().trim().to_owned(),
            Err(errno) => errno.to_string(),
        };
        if said == HOLDS {
            return Ok(());
        }
        // So that others may have what it could not.
        let _ = write(own.as_fd(), PARTITION, "member");
    }
    Err(CgroupError::NoPartition { said })
}

/// The CPUs that may be taken: the host's, with those that the zone has already.
fn free(mount: BorrowedFd<'_>, own: Option<&OwnedFd>) -> Result<Vec<u64>, CgroupError> {
    let mut free = list(mount, EFFECTIVE)?;
    if let Some(own) = own
        && read(own.as_fd(), PARTITION).is_ok_and(|state| state.trim() == HOLDS)
    {
        free.extend(list(own.as_fd(), CPUS)?);
    }
    free.sort_unstable();
    free.dedup();
    Ok(free)
}

fn list(dir: BorrowedFd<'_>, file: &'static str) -> Result<Vec<u64>, CgroupError> {
    let text = read(dir, file).map_err(Failed::to("read", file))?;
    match cpu_list(text.trim()) {
        Some(OwnCpus::These(cpus)) => Ok(cpus),
        _ => Ok(Vec::new()),
    }
}

fn is_right(has: &[u64], wanted: &OwnCpus) -> bool {
    match wanted {
        OwnCpus::Number(least, most) => {
            u64::try_from(has.len()).is_ok_and(|has| (*least..=*most).contains(&has))
        }
        OwnCpus::These(cpus) => has == cpus,
    }
}

/// Chooses CPUs of those that are free: the last ones, for the host has most of its own work on the first. It keeps one.
fn choose(free: &[u64], wanted: &OwnCpus) -> Result<Vec<u64>, CgroupError> {
    let spare = free.len().saturating_sub(1);
    let none = |wanted: String| CgroupError::NoCpus { wanted, spare };
    match wanted {
        OwnCpus::Number(least, most) => {
            let count = usize::try_from(*most).unwrap_or(spare).min(spare);
            if u64::try_from(count).is_ok_and(|count| count < *least) {
                return Err(none(least.to_string()));
            }
            Ok(free[free.len() - count..].to_vec())
        }
        OwnCpus::These(cpus) => {
            if cpus.len() > spare || !cpus.iter().all(|cpu| free.contains(cpu)) {
                let named: Vec<_> = cpus.iter().map(u64::to_string).collect();
                return Err(none(format!("the CPUs {}", named.join(","))));
            }
            Ok(cpus.clone())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_ones_are_taken_and_one_is_left() {
        let free = [0, 1, 2, 3];
        let chosen = |wanted| choose(&free, &wanted).ok();
        assert_eq!(chosen(OwnCpus::Number(2, 2)), Some(vec![2, 3]));
        assert_eq!(chosen(OwnCpus::Number(2, 9)), Some(vec![1, 2, 3]));
        assert_eq!(chosen(OwnCpus::Number(4, 4)), None);
        assert_eq!(chosen(OwnCpus::These(vec![0, 2])), Some(vec![0, 2]));
        assert_eq!(chosen(OwnCpus::These(vec![2, 4])), None);
        assert_eq!(chosen(OwnCpus::These(vec![0, 1, 2, 3])), None);
        let error = choose(&free, &OwnCpus::Number(4, 4)).unwrap_err().to_string();
        assert!(error.starts_with("dedicated-cpu wants 4 of the host's CPUs for the zone alone"), "{error}");
        assert!(choose(&[], &OwnCpus::Number(1, 1)).is_err());
    }

    #[test]
    fn what_is_right_stays() {
        assert!(is_right(&[2, 3], &OwnCpus::Number(1, 2)) && !is_right(&[2, 3], &OwnCpus::Number(3, 4)));
        assert!(is_right(&[2, 3], &OwnCpus::These(vec![2, 3])) && !is_right(&[2], &OwnCpus::These(vec![3])));
    }
}
