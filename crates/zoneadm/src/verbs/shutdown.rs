//! `zoneadm shutdown`: has the zone's init end the zone.

use zone_door::Request;

use crate::cli::lead::ShutdownArgs;
use crate::context::Context;
use crate::daemon;
use crate::message::{Failure, Outcome};
use crate::sanity::{self, Action};

pub(crate) fn run(cx: &Context, args: &ShutdownArgs) -> Outcome {
    if !args.reboot && !args.bootargs.is_empty() {
        let text = "shutdown: boot arguments make sense only with -r, which boots the zone again";
        return Err(Failure::Usage(text.to_owned()));
    }
    let target = sanity::check(cx, Action::Shutdown)?;
    // One call: the daemon waits, ends the zone when its init does not, and boots it again.
    let request = Request::Shutdown {
        timeout: args.timeout,
        reboot: args.reboot,
        bootargs: args.bootargs.text(),
        locale: daemon::locale(),
    };
    daemon::request(target.layout, target.name(), &request).map(drop)
}
