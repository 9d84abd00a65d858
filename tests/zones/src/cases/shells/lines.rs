//! What is typed, by who may: a row is a line, what it prints, a part of that, and its status.
//!
//! There are `web`, which runs and has a net, `cold` and `cool`, which are installed, and `spare`, which is configured. A row with
//! an effect leaves the zones as it found them, or the next row takes it back.

use super::Prints::{Lines, Nothing, Question, Screen, Sentence, Table, Talk, Text};
use super::Row;

/// What whoever may look at zones can type.
pub(super) const LOOKS: [Row; 19] = [
    ("zoneadm list --net", Table, "eth0", 0),
    ("zoneadm list -cv", Table, " web ", 0),
    ("zoneadm list -c -o name,state,brand,rw", Table, "spare", 0),
    ("zoneadm list -s running -o name,since,memory,address", Table, "web ", 0),
    ("zoneadm list -c --csv -o name,state", Lines, "spare,configured", 0),
    ("zoneadm -z 'co*,web' list", Lines, "cool", 0),
    ("zoneadm list -cp", Text, ":web:running:", 0),
    ("zoneadm -z web list --json", Text, "\"running\"", 0),
    ("zoneadm ps", Table, "/native/sbin/init", 0),
    ("zoneadm stat -c 1", Table, "web ", 0),
    ("zoneadm stat", Screen, "sorted by %CPU", 0),
    ("zoneadm status web", Lines, "web: running since 20", 0),
    ("zoneadm --help", Lines, "Usage", 0),
    ("zoneadm list --nonsense", Lines, "--nonsense", 2),
    ("zoneadm start web", Sentence, "what you mean may be: zoneadm -z web boot", 2),
    ("zonecfg -z web info", Lines, "zonename: web", 0),
    ("zonecfg -z web info fs", Nothing, "", 0),
    ("zonecfg -z wbe info", Sentence, "did you mean \"web\"?", 1),
    ("zonename", Sentence, "global", 0),
];

/// What root types into zonecfg.
pub(super) const EDITS: [Row; 15] = [
    ("zonecfg -z spare", Talk(&EDITOR), "", 0),
    ("zonecfg -z spare edit", Sentence, "nothing was changed", 0),
    ("zonecfg -z spare 'set autobot=true; info hostname'", Text, "hostname: ", 1),
    ("zonecfg -z spare 'set autobot=true'", Sentence, "did you mean \"autoboot\"?", 1),
    ("zonecfg -z spare 'set bootargs=\"-s'", Sentence, "a quote that is not closed", 1),
    ("zonecfg -z spare 'add nte'", Sentence, "did you mean \"net\"?", 1),
    ("zonecfg -z spare verify", Nothing, "", 0),
    ("zonecfg -z spare export", Lines, "set brand=sparse", 0),
    ("zonecfg -z global info", Lines, "pool: ", 0),
    ("zonecfg -n -z new 'create; info brand'", Lines, "brand: ", 0),
    ("zonecfg -n -z new 'create -t cold; info brand'", Lines, "brand: sparse", 0),
    ("zonecfg -n -z new 'create -f sun.cfg; info brand'", Text, "brand: linux", 0),
    ("zonecfg -z web help set", Lines, "set", 0),
    ("zonecfg --help", Lines, "Usage", 0),
    ("zonecfg -z spare delete", Question, "Are you sure you want to delete zone spare (y/[n])? ", 0),
];

/// A session in the line editor: TAB, an interrupt, a typing error, a resource that is left open.
const EDITOR: [(&str, &str); 9] = [
    ("zonecfg:spare> ", "set autob\t=true\u{3}"),
    ("zonecfg:spare> ", "inf\tautoboot\r"),
    ("autoboot: false", ""),
    ("zonecfg:spare> ", "set autobot=true\r"),
    ("did you mean \"autoboot\"?", ""),
    ("zonecfg:spare> ", "add net\r"),
    ("zonecfg:spare:net> ", "can\t\r"),
    ("zonecfg:spare> ", "add fs\r"),
    ("zonecfg:spare:fs> ", "cancel\rexit\r"),
];

/// What root types into zoneadm.
pub(super) const ROOTS: [Row; 29] = [
    ("zoneadm -z spare install", Text, "", 0),
    ("zoneadm -z spare detach", Sentence, "detached; its files are in", 0),
    ("zoneadm -z spare attach", Text, "", 0),
    ("zoneadm -z spare uninstall -F", Text, "", 0),
    ("zonecfg -z copy create -t cold", Nothing, "", 0),
    ("zoneadm -z copy clone cold", Text, "", 0),
    ("zoneadm -z copy move $ZONES_ROOT/moved", Lines, "moved to ", 0),
    ("zoneadm -z copy mark incomplete", Nothing, "", 0),
    ("zoneadm -z copy uninstall -F", Text, "", 0),
    ("zonecfg -z copy delete -F", Nothing, "", 0),
    ("zoneadm events", Lines, "web", 0),
    ("zoneadm -z web log", Text, "running", 0),
    ("zoneadm console web --log", Text, "NOTICE", 0),
    ("zoneadm -z web wait --state running -t 60", Nothing, "", 0),
    ("zoneadm -z cold wait --state running -t 1", Sentence, "zoneadm: ", 1),
    ("zoneadm -z 'web,cold' verify", Text, "2 of 2 zones done", 0),
    ("zoneadm -z nowhere boot", Sentence, "zoneadm: zone 'nowhere': No such zone configured", 1),
    ("zoneadm -z web set shutdown-timeout=7", Lines, "Modifying shutdown-timeout=7", 0),
    ("zoneadm -z web set shutdown-timeout=", Lines, "Applied the changes", 0),
    ("zoneadm -z web apply -n", Lines, "", 0),
    ("zoneadm -z web renew-daemon", Sentence, "zone 'web': zoneadmd ", 0),
    // An interrupt by ^C would end the line of the shell, too.
    ("timeout --foreground -s INT 1 zoneadm events -f", Lines, "web", 124),
    ("timeout --foreground -s INT 1 zoneadm -z web log -f", Text, "running", 124),
    ("zoneadm cp sun.cfg web:/tmp/there", Text, "", 0),
    ("zoneadm cp web:/tmp/there back.cfg", Text, "", 0),
    ("zoneadm cp web:/no/such there", Text, "could not read web:/no/such in the zone", 1),
    ("zoneadm -R /no/such list", Sentence, "/no/such", 1),
    ("zoneadm --version", Sentence, "zoneadm ", 0),
    ("zoneadm -z cold uninstall", Question, "Are you sure you want to uninstall zone cold (y/[n])? ", 1),
];

/// What root and who manages the zones can type.
pub(super) const MANAGES: [Row; 9] = [
    ("zoneadm -z web boot", Sentence, "zone is already booted", 0),
    ("zoneadm -z spare boot", Sentence, "zoneadm: zone 'spare': ", 1),
    ("zoneadm -z 'co*' boot", Text, "2 of 2 zones done", 0),
    ("zoneadm -z cool reboot", Nothing, "", 0),
    ("zoneadm -z cool shutdown -t 1", Text, "", 0),
    ("zoneadm -z cold halt", Nothing, "", 0),
    ("zlogin spare true", Sentence, "zlogin: ", 1),
    (
        "zlogin -C web",
        Talk(&[
            ("[Connected to zone 'web' console]", "\r~."),
            ("[Connection to zone 'web' console closed]", ""),
        ]),
        "",
        0,
    ),
    ("zlogin -C -n web", Lines, "-n may not be specified for console login", 2),
];

/// What root and who may log in can type.
pub(super) const LOGINS: [Row; 13] = [
    ("zlogin web 'echo a | tr a b; exit 7'", Sentence, "b", 7),
    ("zlogin web -- echo '$HOME;' ls", Sentence, "$HOME; ls", 0),
    ("zlogin web tty", Sentence, "/dev/pts/", 0),
    ("zlogin web 'stty size'", Sentence, "24 COLUMNS", 0),
    ("zlogin -T web tty", Sentence, "not a tty", 1),
    ("zlogin -S web 'echo $0'", Sentence, "sh", 0),
    ("zlogin -l root web 'id -un'", Sentence, "root", 0),
    ("zlogin -Q -n --cwd /tmp --env X=1 web 'echo $X in $PWD'", Sentence, "1 in /tmp", 0),
    ("zlogin web no-such-program", Sentence, "no-such-program", 127),
    ("zlogin wbe true", Sentence, "zone 'wbe' unknown", 1),
    ("zlogin --help", Lines, "Usage", 0),
    (
        "zlogin web",
        Talk(&[("[Connected to zone 'web' pts/", "stty size; exit 3\r"), ("24 COLUMNS", "")]),
        "",
        3,
    ),
    (
        "zlogin -e @ web",
        Talk(&[("[Connected to zone 'web' pts/", "\r@."), ("[Connection to zone 'web' pts/", "")]),
        "",
        0,
    ),
];

/// What is refused to a user who may look, and nothing else.
pub(super) const REFUSED: [Row; 8] = [
    (
        "zonecfg -z web",
        Talk(&[
            ("zonecfg:web> ", "inf\thostname\r"),
            ("hostname: web]", ""),
            ("zonecfg:web> ", "set autoboot=true\r"),
            ("cannot set in read-only mode", ""),
            ("zonecfg:web> ", "exit\r"),
        ]),
        "",
        0,
    ),
    ("zoneadm -z web halt", Sentence, "zoneadm: ", 1),
    ("zoneadm -z cold uninstall", Sentence, "zoneadm: ", 1),
    ("zoneadm -z spare install", Sentence, "zoneadm: ", 1),
    ("zonecfg -z web set autoboot=true", Sentence, "zonecfg: ", 1),
    ("zlogin web true", Sentence, "zlogin: ", 1),
    ("zlogin -C web", Sentence, "not authorized for console access", 1),
    ("zoneadm cp sun.cfg web:/tmp", Sentence, "only a privileged user may cp", 1),
];
