//! `zoneadm halt`: ends a zone at once.

use zone_door::Request;

use crate::cli::lead::HaltArgs;
use crate::context::Context;
use crate::daemon;
use crate::message::Outcome;
use crate::sanity::{self, Action};

pub(crate) fn run(cx: &Context, args: HaltArgs) -> Outcome {
    let target = sanity::check(cx, Action::Halt)?;
    let request = Request::Halt { force: args.force, locale: daemon::locale() };
    daemon::request(target.layout, target.name(), &request).map(drop)
}
