//! How many `fs` resources a zone can have. All of its mounts go to zsched in one message, and the kernel bounds the descriptors of one.

use zone_config::idmap;
use zone_sys::unix::MAX_FDS;

use crate::{Spec, dev, immutable, sparse};

/// How many descriptors of that message are none of mounts, at most: root, cgroup and user namespace, the namespaces that are handed in,
/// and what zsched is to keep. zone-engine holds this against zsched's.
pub const BESIDE: usize = 3 + 4 + 8;
/// `/run`, `/dev`, and in that `pts`, `shm` and `console`.
const ALWAYS: usize = 5;

/// Gives how many `fs` resources a zone can have, by what else is mounted in it.
pub(super) fn most(spec: &Spec) -> usize {
    let nodes = if idmap::nested().is_some() { dev::BOUND.len() } else { 0 };
    let programs = if spec.host_programs { sparse::MOUNTS } else { 0 };
    let secrets = usize::from(!spec.credentials.is_empty()) + usize::from(spec.user_data.is_some());
    let others = BESIDE + ALWAYS + nodes + programs + secrets + immutable::mounts(spec.protection);
    MAX_FDS.saturating_sub(others)
}
