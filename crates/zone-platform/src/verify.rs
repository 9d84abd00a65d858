//! What `zoneadm verify` looks at: everything that can be told of a zone that does not run.

use zone_config::Layout;
use zone_sys::Chain;

use crate::check::{Check, Purpose};
use crate::{PlatformError, Spec, ZoneRoot, reach};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The zone would not boot.
    Error,
    /// It boots, and somebody may be surprised.
    Warning,
}

/// One thing to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// One sentence, without the zone's name; a warning begins with `WARNING: `.
    pub text: String,
}

/// Checks a zone. `installed` says whether it has, or should have, a root.
#[must_use]
pub fn verify(layout: &Layout, spec: &Spec, installed: bool) -> Vec<Finding> {
    look(layout, spec, Purpose::Verify { installed, warns: true })
}

/// Checks a zone that has a root for what would keep it from booting, and for nothing else: whoever asks waits for that.
#[must_use]
pub fn errors(layout: &Layout, spec: &Spec) -> Vec<Finding> {
    let mut findings = look(layout, spec, Purpose::Verify { installed: true, warns: false });
    findings.retain(|finding| finding.severity == Severity::Error);
    findings
}

fn look(layout: &Layout, spec: &Spec, purpose: Purpose) -> Vec<Finding> {
    let error = |error: PlatformError| Finding { severity: Severity::Error, text: Chain(&error).to_string() };
    if let Err(silent) = reach::check(layout, spec, |_| true) {
        // Nothing else can be looked at without the risk to hang.
        return vec![error(silent.into())];
    }
    let (errors, warnings) = Check::run(layout, spec, purpose).into_findings();
    let warning = |text: String| Finding { severity: Severity::Warning, text: format!("WARNING: {text}") };
    errors.into_iter().map(error).chain(warnings.into_iter().map(warning)).collect()
}

/// Looks whether the init of an installed zone is there. A boot looks itself, for it may have been told another one.
pub(crate) fn look_for_init(check: &mut Check<'_>) -> Result<(), PlatformError> {
    if !matches!(check.purpose, Purpose::Verify { installed: true, .. }) || check.found.root.is_none() {
        return Ok(());
    }
    Ok(ZoneRoot::of(check.spec)?.check_init(&check.spec.process.init).map(drop)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Lab, mode};
    use zone_config::config::{Fs, FsOwners, FsType};

    fn texts(lab: &Lab) -> Vec<String> {
        verify(&lab.layout, &Spec::of(&lab.snapshot), true).into_iter().map(|finding| finding.text).collect()
    }

    #[test]
    fn a_zone_that_is_right_has_nothing_to_say() {
        zone_testing::needs_root!();
        let lab = Lab::new("linux");
        lab.dirs(&["sbin"]);
        let init = lab.root().join("sbin/init");
        std::fs::write(&init, "\x7fELF").unwrap();
        mode(&init, 0o755);
        assert_eq!(texts(&lab), Vec::<String>::new());
    }

    #[test]
    fn all_mistakes_are_told_at_once() {
        zone_testing::needs_root!();
        let mut lab = Lab::new("linux");
        lab.snapshot.config.limitpriv = vec!["sys_module".to_owned()];
        lab.snapshot.config.fs.push(Fs {
            dir: "/data".to_owned(),
            special: "/nowhere/at/all".to_owned(),
            fstype: FsType::Lofs,
            raw: None,
            owners: FsOwners::Map,
            options: vec![],
        });
        let texts = texts(&lab);
        assert!(texts[0].starts_with("privilege \"sys_module\" is not permitted"), "{texts:?}");
        assert_eq!(
            texts[1],
            "could not verify fs /data: could not access /nowhere: No such file or directory"
        );
        assert!(
            texts[2].starts_with("could not stat ") && texts[2].ends_with("/sbin does not exist"),
            "{texts:?}"
        );
    }
}
