//! `zoneadm reboot`: ends a zone at once and starts it again.

use zone_door::{DoorError, Request, Uniqid};

use crate::cli::lead::RebootArgs;
use crate::context::Context;
use crate::daemon::{self, DaemonError};
use crate::message::{Outcome, relay};
use crate::sanity::{self, Action};
use crate::verbs::verify;

pub(crate) fn run(cx: &Context, args: &RebootArgs) -> Outcome {
    let target = sanity::check(cx, Action::Reboot)?;
    verify::before(&target)?;
    let bootargs = args.bootargs.text();
    // Named so that a call that is repeated because its daemon went away does not reboot the zone twice.
    let uniqid = target.live.map(|status| Uniqid(status.uniqid));
    let (writable, locale) = (args.writable, daemon::locale());
    let request = Request::Reboot { bootargs: bootargs.clone(), uniqid, writable, locale };
    let result = daemon::call(target.layout, target.name(), &request);
    let refusal = result.as_ref().err().and_then(DaemonError::refusal);
    if let Some(DoorError::StaleUniqid { expected: Some(now), .. }) = refusal
        && bootargs.is_empty()
        && !writable
    {
        relay(target.name(), &format!("has been rebooted meanwhile (it is now incarnation {now})"));
        return Ok(());
    }
    daemon::tell(target.name(), result).map(drop)
}
