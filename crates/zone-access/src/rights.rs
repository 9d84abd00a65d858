//! Who may do what.
//!
//! | call | wants |
//! |---|---|
//! | `List`, `Status`, `Ps`, `Stat`, `Events` of all zones, or of several | membership in the host's group `zones` |
//! | the same of one | that, or any right in it |
//! | `Ready`, `Boot`, `Reboot`, `Halt`, `Shutdown`, `Apply`, `Console` | `manage` |
//! | `Enter` | `login` |
//!
//! All else is root's: what brings files of the host into a zone or takes away files of it (`install`, `uninstall`), and what
//! says what a zone is (`zonecfg`, `zoneadm set`). Rights are looked up at each call, in the configuration as it is then
//! and by the host's name service as it answers then.

use zone_config::config::Admin;
use zone_config::hostuser::{self, LookupError};
use zone_config::{Layout, ZoneConfig, ZoneName};
use zone_door::access::{Ask, Refusal};

/// Whose members may see all zones.
const GROUP: &str = "zones";

/// What a call wants of its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Right {
    /// To see all zones.
    ReadAll,
    /// To see one.
    Read,
    /// To change its state.
    Manage,
    /// To go inside.
    Login,
}

/// What the call wants.
pub(crate) fn wanted(ask: &Ask) -> Right {
    match ask {
        Ask::List(_) | Ask::Status(_) | Ask::Ps(_) | Ask::Stat(_) | Ask::Events(_) => {
            if zone(ask).is_some() {
                Right::Read
            } else {
                Right::ReadAll
            }
        }
        Ask::Ready(_)
        | Ask::Boot(_)
        | Ask::Reboot(_)
        | Ask::Halt(_)
        | Ask::Shutdown(_)
        | Ask::Apply(_)
        | Ask::Console(_) => Right::Manage,
        Ask::Enter(_) => Right::Login,
    }
}

/// Whether it changes nothing and goes nowhere: what is refused of that is nothing for the audit.
pub(crate) fn only_looks(ask: &Ask) -> bool {
    matches!(wanted(ask), Right::ReadAll | Right::Read)
}

/// The zone that the call is about, as it was given; none if about all.
pub(crate) fn zone(ask: &Ask) -> Option<&str> {
    match ask {
        Ask::List(list) => list.zone.as_deref(),
        Ask::Status(look) | Ask::Ps(look) | Ask::Stat(look) | Ask::Events(look) => look.zone.as_deref(),
        Ask::Ready(verb)
        | Ask::Boot(verb)
        | Ask::Reboot(verb)
        | Ask::Halt(verb)
        | Ask::Shutdown(verb)
        | Ask::Apply(verb) => Some(&verb.zone),
        Ask::Enter(enter) => Some(&enter.zone),
        Ask::Console(one) => Some(&one.zone),
    }
}

/// Lets the caller do it, or says why not.
///
/// # Errors
/// [`Refusal`].
pub(crate) fn check(layout: &Layout, uid: u32, ask: &Ask, zone: Option<&ZoneName>) -> Result<(), Refusal> {
    let right = wanted(ask);
    let has = uid == 0 || has(layout, uid, right, zone).map_err(unknown)?;
    if has { Ok(()) } else { Err(Refusal::NotAuthorized { message: no(uid, ask, zone) }) }
}

fn has(layout: &Layout, uid: u32, right: Right, zone: Option<&ZoneName>) -> Result<bool, LookupError> {
    if matches!(right, Right::ReadAll | Right::Read) && is_reader(uid)? {
        return Ok(true);
    }
    let Some(zone) = zone else { return Ok(false) };
    // A configuration that cannot be read gives nobody anything; root is told why by every command.
    let Ok(config) = ZoneConfig::load(layout, zone) else { return Ok(false) };
    for admin in config.admin.iter().filter(|admin| gives(admin, right)) {
        if hostuser::id_of(&admin.user)? == Some(uid) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn is_reader(uid: u32) -> Result<bool, LookupError> {
    match hostuser::by_id(uid)? {
        Some(user) => hostuser::is_member(&user, GROUP),
        None => Ok(false),
    }
}

/// Whether whoever this is has the right.
fn gives(admin: &Admin, right: Right) -> bool {
    let has = |auth: &str| admin.auths.iter().any(|has| has == auth);
    match right {
        Right::ReadAll => false,
        Right::Read => has("login") || has("manage"),
        Right::Manage => has("manage"),
        Right::Login => has("login"),
    }
}

fn unknown(error: LookupError) -> Refusal {
    Refusal::Failed { status: 1, message: zone_sys::Chain(&error).to_string() }
}

/// The sentence, in the reference's words where it has some.
fn no(uid: u32, ask: &Ask, zone: Option<&ZoneName>) -> String {
    let user = hostuser::by_id(uid).ok().flatten().map_or_else(|| uid.to_string(), |user| user.name);
    let zone = zone.map(ZoneName::as_str).unwrap_or_default();
    match ask {
        Ask::List(_) => {
            format!("User {user} is not authorized to list zones: members of the group {GROUP} are.")
        }
        Ask::Status(_) | Ask::Ps(_) | Ask::Stat(_) | Ask::Events(_) => {
            let what = if zone.is_empty() { "zones".to_owned() } else { format!("{zone} zone") };
            format!("User {user} is not authorized to look at {what}: members of the group {GROUP} are.")
        }
        Ask::Enter(_) => format!("{user} is not authorized to login to {zone} zone."),
        Ask::Console(_) => format!("{user} is not authorized for console access to {zone} zone."),
        verb => format!("User {user} is not authorized to {} this zone.", crate::arguments::verb(verb)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zone_door::access::{Enter, List, Look, OneZone, Verb};

    #[test]
    fn each_call_wants_its_right() {
        let verb = Verb::default;
        let web = || Look { zone: Some("web".into()), ..Look::default() };
        for (ask, right) in [
            (Ask::List(List::default()), Right::ReadAll),
            (Ask::List(List { zones: Some("web,db".into()), ..List::default() }), Right::ReadAll),
            (Ask::Status(web()), Right::Read),
            (Ask::Ps(web()), Right::Read),
            (Ask::Stat(web()), Right::Read),
            (Ask::Events(web()), Right::Read),
            (Ask::Status(Look::default()), Right::ReadAll),
            (Ask::Ps(Look { zones: Some("web*".into()), ..Look::default() }), Right::ReadAll),
            (Ask::Stat(Look { all: true, ..Look::default() }), Right::ReadAll),
            (Ask::Events(Look { follow: true, ..Look::default() }), Right::ReadAll),
            (Ask::List(List { zone: Some("web".into()), ..List::default() }), Right::Read),
            (Ask::Ready(verb()), Right::Manage),
            (Ask::Boot(verb()), Right::Manage),
            (Ask::Reboot(verb()), Right::Manage),
            (Ask::Halt(verb()), Right::Manage),
            (Ask::Shutdown(verb()), Right::Manage),
            (Ask::Apply(verb()), Right::Manage),
            (Ask::Console(OneZone::default()), Right::Manage),
            (Ask::Enter(Enter::default()), Right::Login),
        ] {
            assert_eq!(wanted(&ask), right, "{ask:?}");
        }
    }

    #[test]
    fn one_right_is_not_the_other() {
        let admin = |auths: &[&str]| Admin {
            user: "bob".into(),
            auths: auths.iter().map(|auth| (*auth).to_owned()).collect(),
        };
        for (auths, read, manage, login) in [
            (&["login"][..], true, false, true),
            (&["manage"], true, true, false),
            (&["login", "manage"], true, true, true),
            (&["clonefrom"], false, false, false),
        ] {
            let admin = admin(auths);
            assert_eq!(gives(&admin, Right::Read), read, "{auths:?}");
            assert_eq!(gives(&admin, Right::Manage), manage, "{auths:?}");
            assert_eq!(gives(&admin, Right::Login), login, "{auths:?}");
            assert!(!gives(&admin, Right::ReadAll), "{auths:?}");
        }
    }

    #[test]
    fn a_zone_that_is_not_there_gives_nobody_anything() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(Some(dir.path().to_owned())).unwrap();
        let zone: ZoneName = "web".parse().unwrap();
        let ask = Ask::Halt(Verb { zone: "web".into(), ..Verb::default() });
        let refused = check(&layout, 4_000_000_123, &ask, Some(&zone)).unwrap_err();
        assert_eq!(refused.to_string(), "User 4000000123 is not authorized to halt this zone.");
        assert_eq!(check(&layout, 0, &ask, Some(&zone)), Ok(()));
    }
}
