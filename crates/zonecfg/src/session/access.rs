//! Whether a session can save anything.

use rustix::fs::{Access, access};
use zone_config::Layout;

/// Whether this process may write where configurations are, or would be.
pub(super) fn can_write(layout: &Layout) -> bool {
    let etc = layout.etc();
    let nearest = etc.ancestors().find(|dir| dir.exists());
    nearest.is_some_and(|dir| access(dir, Access::WRITE_OK).is_ok())
}
