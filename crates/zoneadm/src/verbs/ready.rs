//! `zoneadm ready`: sets up the virtual platform and starts nothing in it.

use zone_door::Request;

use crate::context::Context;
use crate::message::Outcome;
use crate::sanity::{self, Action};
use crate::{daemon, verbs::verify};

pub(crate) fn run(cx: &Context) -> Outcome {
    let target = sanity::check(cx, Action::Ready)?;
    verify::before(&target)?;
    let request = Request::Ready { locale: daemon::locale() };
    daemon::request(target.layout, target.name(), &request).map(drop)
}
