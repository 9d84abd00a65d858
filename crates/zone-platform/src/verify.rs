//! What `zoneadm verify` looks at: everything that can be told of a zone that does not run.

use zone_config::{Brand, Layout, ZoneConfig, ZoneName};

use crate::{PlatformError, ZoneRoot, cgroup, filesystems, ids, kernel, privileges, reach, root};

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
pub fn verify(
    layout: &Layout,
    zone: &ZoneName,
    config: &ZoneConfig,
    brand: &Brand,
    installed: bool,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut note = |checked: Result<(), PlatformError>| {
        findings
            .extend(checked.err().map(|error| Finding { severity: Severity::Error, text: sentence(&error) }));
    };
    note(kernel::check().map_err(Into::into));
    note(cgroup::check(layout, zone).map_err(Into::into));
    note(ids::check(layout, zone).map_err(Into::into));
    note(privileges::bounding(&config.limitpriv).map(drop).map_err(Into::into));
    if let Err(silent) = reach::check(layout, config, |_| true) {
        // Nothing else can be looked at without the risk to hang.
        note(Err(silent.into()));
        return findings;
    }
    let (_, errors) = filesystems::plan(layout, zone, config);
    errors.into_iter().for_each(|error| note(Err(error.into())));
    let root = installed.then(|| root::check(layout, zone, config));
    let mut on_memory = false;
    match root {
        Some(Ok(found)) => {
            on_memory = found.fstype == "tmpfs";
            note(init(config, brand));
        }
        Some(Err(error)) => note(Err(error.into())),
        None => note(root::check_place(layout, zone, config).map_err(Into::into)),
    }
    let mut warn = |text: String| {
        findings.push(Finding { severity: Severity::Warning, text: format!("WARNING: {text}") });
    };
    if on_memory {
        warn(format!("{} is on a temporary file system.", config.zonepath.display()));
    }
    findings
}

/// Whether the init is there.
fn init(config: &ZoneConfig, brand: &Brand) -> Result<(), PlatformError> {
    let tree = ZoneRoot::configured(config, brand.host_usr)?;
    Ok(tree.check_init(config.init(brand)).map(drop)?)
}

/// An error with all that is below it, as one sentence.
fn sentence(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(below) = source {
        text = format!("{text}: {below}");
        source = below.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Lab, mode};
    use zone_config::config::{Fs, FsType};

    fn texts(lab: &Lab) -> Vec<String> {
        let Lab { layout, snapshot, .. } = lab;
        verify(layout, &snapshot.name, &snapshot.config, &snapshot.brand, true)
            .into_iter()
            .map(|finding| finding.text)
            .collect()
    }

    #[test]
    fn a_zone_that_is_right_has_nothing_to_say() {
        let lab = Lab::new("linux");
        lab.dirs(&["sbin"]);
        let init = lab.root().join("sbin/init");
        std::fs::write(&init, "\x7fELF").unwrap();
        mode(&init, 0o755);
        assert_eq!(texts(&lab), Vec::<String>::new());
    }

    #[test]
    fn all_mistakes_are_told_at_once() {
        let mut lab = Lab::new("linux");
        lab.snapshot.config.limitpriv = vec!["sys_module".to_owned()];
        lab.snapshot.config.fs.push(Fs {
            dir: "/data".to_owned(),
            special: "/nowhere/at/all".to_owned(),
            fstype: FsType::Lofs,
            options: vec![],
        });
        let texts = texts(&lab);
        assert!(texts[0].starts_with("privilege \"sys_module\" is not permitted"), "{texts:?}");
        assert_eq!(
            texts[1],
            "could not verify fs /data: could not access /nowhere: No such file or directory (os error 2)"
        );
        assert!(
            texts[2].starts_with("could not stat ") && texts[2].ends_with("/sbin does not exist"),
            "{texts:?}"
        );
    }
}
