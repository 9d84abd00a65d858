//! `zoneadm mark incomplete`: declares a zone broken, so that it can only be uninstalled.

use zone_config::{Index, State};

use crate::cli::lead::MarkArgs;
use crate::context::Context;
use crate::message::{Failure, Outcome};
use crate::sanity::{self, Action};

pub(crate) fn run(cx: &Context, _only_incomplete: &MarkArgs) -> Outcome {
    let target = sanity::check(cx, Action::Mark)?;
    Index::update(target.layout, |index| index.set_state(target.name(), State::Incomplete))
        .map_err(Failure::of(target.name()))
}
