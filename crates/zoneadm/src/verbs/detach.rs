//! `zoneadm detach`: makes a zone configured and leaves its files, with its configuration beside them.

use std::path::Path;

use zone_config::document::{Document, DocumentError, Properties};
use zone_config::schema::{GLOBALS, Property, SECRET};
use zone_config::value::Value;
use zone_config::{State, detached, idmap};
use zone_install::mounts;

use crate::cli::lead::DetachArgs;
use crate::context::Context;
use crate::message::{Failure, Outcome, relay};
use crate::output::Output;
use crate::sanity::{self, Action, Target};
use crate::verbs::install::{leave, operation_lock, set_state};
use crate::verbs::uninstall::{dismiss, nobody_elses, sweep};
use crate::verbs::verify;

pub(crate) fn run(cx: &Context, args: DetachArgs) -> Outcome {
    let target = sanity::check(cx, Action::Detach)?;
    let zone = target.name();
    let zonepath = target.entry.zonepath.as_path();
    movable(&target)?;
    nobody_elses(&target)?;
    verify::before(&target)?;
    let manifest = detached::text(target.layout, zone).map_err(Failure::of(zone))?;
    if args.dry_run {
        let text = shown(&String::from_utf8_lossy(&manifest), &target.layout.config(zone));
        let mut out = Output::new();
        text.map_err(Failure::of(zone))?.lines().try_for_each(|line| out.line(line))?;
        return out.end();
    }
    let lock = operation_lock(&target)?;
    zone_fail::pass!("detach.locked");
    // They would stay behind when the zonepath is moved.
    let mounts = mounts::below(zonepath).map_err(Failure::of(zone))?;
    if !mounts.is_empty() {
        let error = zone_install::Error::MountsBelow { zonepath: zonepath.to_owned(), mounts };
        return Err(Failure::of(zone)(error));
    }
    // Refused if the zone came up meanwhile: nothing was changed yet.
    let no_daemon = dismiss(&target)?;
    zone_fail::pass!("detach.dismissed");
    detached::write(zonepath, &manifest).map_err(Failure::of(zone))?;
    zone_fail::pass!("detach.written");
    set_state(&target, State::Configured)?;
    no_daemon.discard();
    zone_fail::pass!("detach.configured");
    // What is not given back is taken up again by an attach, and said by a delete.
    idmap::release(target.layout, zone).map_err(Failure::of(zone))?;
    zone_fail::pass!("detach.released");
    sweep(&target);
    leave(target.layout, zone, lock);
    let path = zonepath.display();
    relay(
        zone,
        &format!("detached; its files are in {path}, from where attach takes them, here or elsewhere."),
    );
    Ok(())
}

/// What is shown of a manifest: what is secret in it is for a file of root's, and for no screen. `origin` is the file that the text is of.
fn shown(manifest: &str, origin: &Path) -> Result<String, DocumentError> {
    let mut document = Document::parse(manifest, origin)?;
    let mut hidden = hide(&mut document.globals, GLOBALS);
    for one in &mut document.resources {
        hidden |= hide(&mut one.values, one.resource.properties);
    }
    // Otherwise it stands there as it is.
    Ok(if hidden { document.to_toml_over(manifest) } else { manifest.to_owned() })
}

/// Puts a word in the place of what is secret; true when there was something.
fn hide(values: &mut Properties, rows: &'static [Property]) -> bool {
    let secret: Vec<_> = rows.iter().filter(|row| row.secret && values.get(row.name).is_some()).collect();
    secret.iter().for_each(|row| values.set(row, Value::Text(SECRET.to_owned())));
    !secret.is_empty()
}

/// Makes sure that the owners of the zone's files do not depend on where they are.
pub(crate) fn movable(target: &Target<'_>) -> Outcome {
    match idmap::nested() {
        None => Ok(()),
        Some(_) => Err(Failure::text(
            target.name(),
            "in a zone the files of zones have owners of that zone alone; move them as an archive, with install -p -a.",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_is_shown_without_what_is_secret() {
        let shown = |text: &str| shown(text, Path::new("web.toml")).unwrap();
        let plain = "# by hand\nzonepath = \"/z\"\nhostname = \"www\" # a note\n";
        assert_eq!(shown(plain), plain);
        let credential = |data: &str| format!("{plain}\n[[credential]]\nname = \"key\"\ndata = \"{data}\"\n");
        assert_eq!(shown(&credential("hunter2")), credential(SECRET));
    }
}
