//! What is executed in the zone, as whom, with which environment.

use crate::exit::reason;
use crate::guest::Guest;
use crate::language::{self, Language};
use crate::options::{Around, Who};
use crate::target::Live;
use crate::users::User;
use rustix::fs::{Access, access};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use zone_platform::enter::Plan;
use zone_platform::{Spec, guest};

/// The shell that every system has, for when nothing else is to be relied upon.
const SHELL: &str = "/bin/sh";

/// How a script begins that runs as a user whose home is known by now; `$0` is the directory that was chosen, which is from
/// the home on, be that to be entered or not, and by no `CDPATH`.
const ENTER: &str = "case \"$0\" in '') cd -- \"$HOME\" 2> /dev/null;; /*) cd -- \"$0\" || exit 1;; \
    *) cd -- \"${HOME%/}/$0\" || exit 1;; esac; exec ";
/// A login shell.
const LOGIN: &str = "\"${SHELL:-/bin/sh}\" -l";
/// A command line for the user's shell.
const LINE: &str = "\"${SHELL:-/bin/sh}\" -c \"$1\"";
/// A program and its arguments.
const WORDS: &str = "\"$@\"";

/// Makes plans for one zone. All that is needed of the host is taken before the zone is entered.
#[derive(Debug)]
pub(crate) struct Planner {
    who: Who,
    /// The brand's `PATH` and shell.
    path: String,
    shell: String,
    env: Vec<(String, OsString)>,
    language: Language,
    around: Around,
    /// Whether the zone has programs of its own, and books that its login keeps; not one that has the host's.
    own_programs: bool,
}

/// What of the caller's environment is handed over.
#[derive(Debug, Clone, Default)]
pub(crate) struct Caller {
    /// `TERM`.
    pub(crate) term: Option<OsString>,
    /// The language.
    pub(crate) language: Language,
}

impl Caller {
    /// This process.
    pub(crate) fn own() -> Self {
        Self { term: std::env::var_os("TERM"), language: language::own() }
    }
}

impl Planner {
    /// For `who` in the zone.
    pub(crate) fn new(who: &Who, zone: &Live, caller: Caller, around: &Around) -> Self {
        let brand = &zone.snapshot.brand;
        // Of init's environment, what is not the user's own affair: in which container this is.
        let mut env: Vec<(String, OsString)> = guest::environment(&Spec::of(&zone.snapshot))
            .into_iter()
            .filter(|(name, _)| name.starts_with("container"))
            .map(|(name, value)| (name, value.into()))
            .collect();
        env.extend(caller.term.map(|term| ("TERM".to_owned(), term)));
        Self {
            who: who.clone(),
            path: brand.login_path.clone(),
            shell: brand.shell.clone(),
            env,
            language: caller.language,
            around: around.clone(),
            own_programs: !brand.host_usr,
        }
    }

    /// Plans a login: by the guest's own login(1) on a terminal where it has one, else a login shell. To be called inside
    /// the zone.
    ///
    /// # Errors
    /// A sentence that says why there can be none.
    pub(crate) fn login(&self, terminal: bool) -> Result<Plan, String> {
        let guest = Guest::here();
        if terminal && let Some(plan) = self.by_login(&guest) {
            return Ok(plan);
        }
        if let Some(plan) = self.of_directory(&guest, LOGIN, &[]) {
            return Ok(plan);
        }
        let user = self.user()?;
        let shell = self.shell_of(&user);
        // The dash tells a shell that it is a login's; the failsafe one is to read nothing.
        let dash = if matches!(self.who, Who::Failsafe) { "" } else { "-" };
        let mut argv0 = OsString::from(dash);
        argv0.push(base(&shell));
        self.plan(&user, shell.clone(), argv0, Vec::new(), &shell)
    }

    /// Plans a command: one word is a command line for the user's shell, several are a program and its
    /// arguments, as they are. To be called inside the zone.
    ///
    /// # Errors
    /// A sentence that says why there can be none.
    pub(crate) fn command(&self, words: &[OsString]) -> Result<Plan, String> {
        let script = if words.len() == 1 { LINE } else { WORDS };
        if let Some(plan) = self.of_directory(&Guest::here(), script, words) {
            return Ok(plan);
        }
        let user = self.user()?;
        let shell = self.shell_of(&user);
        match words {
            [line] => {
                self.plan(&user, shell.clone(), base(&shell).into(), vec!["-c".into(), line.clone()], &shell)
            }
            [program, args @ ..] => self.plan(&user, program.clone(), program.clone(), args.to_vec(), &shell),
            [] => self.login(false),
        }
    }

    /// The guest's login, which looks the user up, keeps utmp and wtmp, and opens a session of PAM.
    fn by_login(&self, guest: &Guest) -> Option<Plan> {
        let Who::User(name) = &self.who else { return None };
        // It begins in the user's home, and takes a dash for an option.
        if !self.own_programs || self.around.cwd.is_some() || name.starts_with('-') {
            return None;
        }
        match User::find(name) {
            // A root that cannot log in could not mend it either.
            Ok(user) if user.uid == 0 && !usable(&user.shell) => return None,
            Ok(_) => {}
            // It would ask for another name; here that is said.
            Err(_) if !guest.has_directory() => return None,
            Err(_) => {}
        }
        let program = guest.login()?;
        let args = ["-p".into(), "-f".into(), name.into()];
        Some(self.of_root(program.into(), "login", args.into()))
    }

    /// A script of ours as a user whom only a directory service of the zone knows, by its runuser(1).
    fn of_directory(&self, guest: &Guest, script: &str, words: &[OsString]) -> Option<Plan> {
        let Who::User(name) = &self.who else { return None };
        if !self.own_programs || name.starts_with('-') || User::find(name).is_ok() {
            return None;
        }
        let program = guest.runuser()?;
        let script = format!("{ENTER}{script}");
        let cwd = self.around.cwd.clone().unwrap_or_default();
        let mut args: Vec<OsString> = vec!["-u".into(), name.into(), "--".into(), SHELL.into()];
        args.extend(["-c".into(), script.into(), cwd.into()]);
        args.extend_from_slice(words);
        Some(self.of_root(program.into(), "runuser", args))
    }

    /// A program of the guest that becomes the user itself.
    fn of_root(&self, program: OsString, name: &str, args: Vec<OsString>) -> Plan {
        let mut env = self.env.clone();
        env.push(("PATH".to_owned(), OsString::from(&self.path)));
        self.add_to(&mut env);
        let directory = PathBuf::from("/");
        let (groups, named) = (vec![0], false);
        Plan { uid: 0, gid: 0, groups, directory, named, program, name: name.into(), args, env }
    }

    /// Adds what the caller has chosen, and the language.
    fn add_to(&self, env: &mut Vec<(String, OsString)>) {
        env.extend(language::known(&self.language));
        for (name, value) in &self.around.env {
            env.retain(|(known, _)| known != name);
            env.push((name.clone(), value.clone()));
        }
    }

    fn user(&self) -> Result<User, String> {
        match &self.who {
            Who::Failsafe => Ok(User::root()),
            Who::User(name) => User::find(name).map_err(|error| reason(&error.into())),
        }
    }

    fn shell_of(&self, user: &User) -> OsString {
        match &self.who {
            Who::Failsafe => SHELL.into(),
            // A root that cannot log in could not mend it either.
            Who::User(_) if user.uid == 0 && !usable(&user.shell) => {
                if usable(OsStr::new(&self.shell)) {
                    self.shell.clone().into()
                } else {
                    SHELL.into()
                }
            }
            Who::User(_) if user.shell.is_empty() => self.shell.clone().into(),
            Who::User(_) => user.shell.clone(),
        }
    }

    fn plan(
        &self,
        user: &User,
        program: OsString,
        name: OsString,
        args: Vec<OsString>,
        shell: &OsStr,
    ) -> Result<Plan, String> {
        let home = if user.home.is_empty() { OsString::from("/") } else { user.home.clone() };
        let mut env = self.env.clone();
        let own = [
            ("PATH", OsString::from(&self.path)),
            ("HOME", home.clone()),
            ("SHELL", shell.to_owned()),
            ("LOGNAME", OsString::from(&user.name)),
            ("USER", OsString::from(&user.name)),
            ("MAIL", OsString::from(format!("/var/mail/{}", user.name))),
        ];
        env.extend(own.into_iter().map(|(name, value)| (name.to_owned(), value)));
        self.add_to(&mut env);
        let home = PathBuf::from(home);
        let directory = self.around.cwd.as_ref().map(|cwd| home.join(cwd));
        if let Some(missing) = directory.as_ref().filter(|directory| !directory.is_dir()) {
            return Err(format!("there is no directory {} in the zone", missing.display()));
        }
        Ok(Plan {
            uid: user.uid,
            gid: user.gid,
            groups: user.groups.clone(),
            named: directory.is_some(),
            directory: directory.unwrap_or(home),
            program,
            name,
            args,
            env,
        })
    }
}

/// Whether a shell can be executed.
fn usable(shell: &OsStr) -> bool {
    !shell.is_empty() && access(shell, Access::EXEC_OK).is_ok()
}

/// The last component of a program's path.
fn base(path: &OsStr) -> &OsStr {
    OsStr::from_bytes(path.as_bytes().rsplit(|&c| c == b'/').next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planner(who: Who) -> Planner {
        let env = vec![("TERM".into(), "vt".into())];
        let (language, around) = (Vec::new(), Around::default());
        let (path, shell) = ("/p".into(), "/bin/sh".into());
        Planner { who, path, shell, env, language, around, own_programs: false }
    }

    #[test]
    fn a_directory_and_variables_may_be_chosen() {
        let mut planner = planner(Who::Failsafe);
        planner.around.cwd = Some("usr".into());
        planner.around.env = vec![("TERM".into(), "dumb".into()), ("X".into(), "a=b".into())];
        let plan = planner.login(true).unwrap();
        assert_eq!(plan.directory.to_str(), Some("/usr"));
        let of = |name: &str| {
            let all = plan.env.iter().filter(|(known, _)| known == name).map(|(_, value)| value.clone());
            all.collect::<Vec<_>>()
        };
        assert_eq!(of("TERM"), ["dumb"]);
        assert_eq!(of("X"), ["a=b"]);
        assert_eq!(of("LANG"), ["C.UTF-8"]);
        assert!(plan.named);
        planner.around.cwd = None;
        assert!(!planner.login(true).unwrap().named, "a home is not asked for");
        planner.around.cwd = Some("no/such".into());
        assert_eq!(planner.login(true).unwrap_err(), "there is no directory /no/such in the zone");
    }

    #[test]
    fn a_script_runs_nothing_elsewhere_than_in_the_directory_that_was_chosen() {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir(home.path().join("etc")).unwrap();
        let home = home.path().to_str().unwrap();
        let run = |home: &str, cwd: &str| {
            let mut script = std::process::Command::new(SHELL);
            script.args(["-c", &format!("{ENTER}{WORDS}"), cwd, "pwd"]).current_dir("/");
            let ran = script.env("HOME", home).env("CDPATH", "/").output().unwrap();
            (ran.status.code(), String::from_utf8(ran.stdout).unwrap().trim_end().to_owned())
        };
        assert_eq!(run(home, ""), (Some(0), home.to_owned()));
        assert_eq!(run("/no/such", ""), (Some(0), "/".to_owned()), "a home is not asked for");
        assert_eq!(run("/no/such", "/etc"), (Some(0), "/etc".to_owned()));
        assert_eq!(run(home, "etc"), (Some(0), format!("{home}/etc")));
        assert_eq!(run("/", "etc"), (Some(0), "/etc".to_owned()));
        for (home, cwd) in [("/no/such", "etc"), (home, "usr"), (home, "/no/such")] {
            assert_eq!(run(home, cwd), (Some(1), String::new()), "{home} {cwd}");
        }
    }

    #[test]
    fn the_failsafe_shell_asks_nobody() {
        let plan = planner(Who::Failsafe).login(true).unwrap();
        assert_eq!((plan.uid, plan.program.to_str(), plan.name.to_str()), (0, Some("/bin/sh"), Some("sh")));
        assert_eq!(plan.directory.to_str(), Some("/"));
    }

    #[test]
    fn a_login_shell_is_named_one() {
        // The test's own passwd is as good as a zone's.
        let plan = planner(Who::User("root".into())).login(false).unwrap();
        assert!(plan.name.to_string_lossy().starts_with('-'));
        assert!(plan.env.contains(&("PATH".into(), "/p".into())));
        assert!(plan.env.contains(&("TERM".into(), "vt".into())));
        assert!(
            planner(Who::User("no-such-user".into())).login(true).unwrap_err().contains("'no-such-user'")
        );
    }

    #[test]
    fn one_word_is_for_the_shell() {
        let plan = planner(Who::Failsafe).command(&["exit 7; $x".into()]).unwrap();
        assert_eq!((plan.program.to_str(), plan.name.to_str()), (Some("/bin/sh"), Some("sh")));
        assert_eq!(plan.args, ["-c", "exit 7; $x"]);
    }

    #[test]
    fn arguments_are_not_touched() {
        let args = ["prog", "a b", "", "$x", "-l"].map(OsString::from);
        let plan = planner(Who::Failsafe).command(&args).unwrap();
        assert_eq!((plan.program.as_os_str(), &plan.args[..]), (args[0].as_os_str(), &args[1..]));
    }
}
