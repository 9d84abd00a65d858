//! `zoneadm halt`: ends a zone at once.

use zone_door::Request;

use crate::context::Context;
use crate::daemon;
use crate::message::Outcome;
use crate::sanity::{self, Action};

pub(crate) fn run(cx: &Context) -> Outcome {
    let target = sanity::check(cx, Action::Halt)?;
    let request = Request::Halt { locale: daemon::locale() };
    daemon::request(target.layout, target.name(), &request).map(drop)
}
