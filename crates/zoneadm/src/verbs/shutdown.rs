//! `zoneadm shutdown`: has the zone's init end the zone.

use zone_door::{CallError, DoorError, Request, ServiceError, Uniqid};

use crate::cli::lead::ShutdownArgs;
use crate::context::Context;
use crate::daemon::{self, DaemonError};
use crate::message::{Failure, Outcome, relay};
use crate::sanity::{self, Action};

pub(crate) fn run(cx: &Context, args: &ShutdownArgs) -> Outcome {
    if !args.reboot && !args.bootargs.is_empty() {
        let text = "shutdown: boot arguments make sense only with -r, which boots the zone again";
        return Err(Failure::Usage(text.to_owned()));
    }
    let target = sanity::check(cx, Action::Shutdown)?;
    // One call: the daemon waits, ends the zone when its init does not, and boots it again.
    let request = |uniqid| Request::Shutdown {
        timeout: args.timeout,
        reboot: args.reboot,
        bootargs: args.bootargs.text(),
        uniqid,
        locale: daemon::locale(),
    };
    // Named so that a call that is repeated because its daemon went away does not shut down what the first has booted.
    let uniqid = target.live.map(|status| Uniqid(status.uniqid)).filter(|_| args.reboot);
    let result = match daemon::call(target.layout, target.name(), &request(uniqid)) {
        Err(DaemonError::Call(cause)) => match *cause {
            CallError::Door(DoorError::StaleUniqid { expected: Some(now), .. })
                if args.bootargs.is_empty() =>
            {
                relay(target.name(), &format!("has been rebooted meanwhile (it is now incarnation {now})"));
                return Ok(());
            }
            cause if uniqid.is_some() && is_for_any(&cause) => {
                daemon::call(target.layout, target.name(), &request(None))
            }
            cause => Err(DaemonError::Call(cause.into())),
        },
        done => done,
    };
    daemon::tell(target.name(), result).map(drop)
}

/// Whether a request that names no incarnation is to be answered: there is none any more, or the daemon is of earlier programs, which
/// could not be told for which one a shutdown is.
fn is_for_any(refusal: &CallError) -> bool {
    match refusal {
        CallError::Door(refusal) => matches!(refusal, DoorError::StaleUniqid { expected: None, .. }),
        CallError::Service(ServiceError::InvalidParameter { parameter }) => parameter == "uniqid",
        _ => false,
    }
}
