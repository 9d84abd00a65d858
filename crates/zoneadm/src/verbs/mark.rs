//! `zoneadm mark incomplete`: declares a zone broken, so that it can only be uninstalled.

use zone_config::State;

use crate::cli::lead::MarkArgs;
use crate::context::Context;
use crate::message::Outcome;
use crate::sanity::{self, Action, Target};
use crate::verbs::install::{leave, operation_lock, set_state};
use crate::verbs::relocate;
use crate::verbs::uninstall::dismiss;

pub(crate) fn run(cx: &Context, _only_incomplete: &MarkArgs) -> Outcome {
    let target = sanity::check(cx, Action::Mark)?;
    let lock = operation_lock(&target)?;
    let done = mark(&target);
    leave(target.layout, target.name(), lock);
    done
}

/// Marks it when nobody else is at work on it any more, and no boot is under way.
fn mark(target: &Target<'_>) -> Outcome {
    // Refused if the zone came up meanwhile: nothing was changed yet.
    let no_daemon = dismiss(target)?;
    // Somebody may have begun to move it since it was looked at, and have been killed.
    relocate::is_finished(target)?;
    let marked = set_state(target, State::Incomplete);
    no_daemon.discard();
    marked
}
