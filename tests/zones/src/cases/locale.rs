//! Messages, in the language of whoever calls.

use crate::harness::init::IDLE;
use crate::harness::{Lab, cases, read, write};

cases![
    a_failure_is_told_in_the_language_of_who_called,
    the_daemon_answers_in_the_language_of_each_request,
    zonecfg_says_what_is_wrong_and_where,
    help_is_in_the_language_of_who_asks,
    what_programs_read_is_the_same_in_all,
];

const GERMAN: &str = "de_DE.UTF-8";
/// What is no locale, or one that there are no texts for: English is spoken.
const OTHERS: [&str; 7] = [
    "C",
    "POSIX",
    "xx_YY.UTF-8",
    "../../../../etc/passwd",
    "de%s%n%n_DE",
    "\u{1b}[2Jde_DE",
    "dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd",
];

fn a_failure_is_told_in_the_language_of_who_called(lab: &Lab) {
    let boot = || lab.command("zoneadm", ["-z", "nosuch", "boot"]);
    let german = "zoneadm: Zone 'nosuch': Keine solche Zone konfiguriert\n";
    let english = "zoneadm: zone 'nosuch': No such zone configured\n";
    lab.configured("other", "create");
    boot().env("LC_ALL", GERMAN).run().exits(1).stderr_is(german);
    boot().env("LC_ALL", "").env("LC_MESSAGES", GERMAN).env("LANG", "C").run().exits(1).stderr_is(german);
    boot().env("LC_ALL", "").env("LANG", GERMAN).run().exits(1).stderr_is(german);
    boot().env("LC_ALL", "C").env("LANG", GERMAN).run().exits(1).stderr_is(english);
    for locale in OTHERS {
        boot().env("LC_ALL", locale).run().exits(1).stderr_is(english);
    }
    // The causes, too, and in ASCII for who has no more.
    let enter = lab.command("zlogin", ["other", "true"]).env("LC_ALL", "de_AT.ISO8859-15@euro");
    enter
        .run()
        .exits(1)
        .stderr_is("zlogin: Anmeldung in einer Zone im Zustand 'configured' nicht moeglich\n");
    lab.command("zoneadm", ["-z", "other", "--nosuch", "boot"])
        .env("LC_ALL", GERMAN)
        .run()
        .exits(2)
        .stderr_has("zoneadm: unerwartetes Argument '--nosuch'");
}

fn the_daemon_answers_in_the_language_of_each_request(lab: &Lab) {
    let zone = lab.tiny("web", IDLE);
    let boot = |locale: &str| {
        let command = zone.zoneadm_command(["boot", "--", "-i", "/no/such/init"]).env("LC_ALL", locale);
        command.run().err()
    };
    let english = boot("C");
    let german = boot(GERMAN);
    assert!(english.contains("zone 'web': ") && !english.contains("init der Zone"), "{english}");
    assert!(german.contains("/no/such/init") && german.contains("die Eigenschaft init der Zone"), "{german}");
    assert_eq!(boot("C"), english, "the next one is told in its own");
    // The log is English.
    let log = read(&lab.root().join("var/log/zones/web.log"));
    assert!(log.contains("/no/such/init") && !log.contains("Eigenschaft"), "{log}");
    zone.boot();
    zone.zoneadm_command(["boot"]).env("LC_ALL", GERMAN).run().ok().stderr_has("Zone ist bereits gebootet");
    zone.zoneadm(["boot"]).ok().stderr_has("zone is already booted");
    // A client that is not ours is answered so by the daemon itself.
    let answer = zone.door_call("Boot", r#"{"locale":"de_DE.UTF-8"}"#);
    assert!(answer.contains("Zone ist bereits gebootet"), "{answer}");
    zone.halt();
}

fn zonecfg_says_what_is_wrong_and_where(lab: &Lab) {
    let file = lab.path("commands");
    write(&file, "create\nset autoboot=maybe\n");
    let run = |locale: &str| {
        let path = file.display().to_string();
        lab.command("zonecfg", ["-z", "web", "-f", &path]).env("LC_ALL", locale).run()
    };
    let place = format!("zonecfg: In Zeile 2 von {}: autoboot: ", file.display());
    run(GERMAN).exits(1).stderr_has(&place).stderr_has("ist nicht zulässig; erlaubt: true, false");
    run("C").exits(1).stderr_has(&format!("zonecfg: On line 2 of {}: autoboot: ", file.display()));
    write(&file, "create\nadd\n");
    run(GERMAN).exits(1).stderr_has("zonecfg: Syntaxfehler in Zeile 2 von ").stderr_has(", Spalte 4: ");
    run("xx_YY.UTF-8").exits(1).stderr_has("zonecfg: syntax error on line 2 of ");
    lab.command("zonecfg", ["help", "autoboot"])
        .env("LC_ALL", GERMAN)
        .run()
        .ok()
        .stdout_has("autoboot: Ob die Zone mit dem Host bootet.\nerlaubt: true, false\n");
}

fn help_is_in_the_language_of_who_asks(lab: &Lab) {
    for program in ["zoneadm", "zonecfg", "zlogin", "zonename"] {
        let help = |locale: &str| lab.command(program, ["--help"]).env("LC_ALL", locale).run();
        let german = help(GERMAN);
        german.ok().stdout_has("Aufruf: ").stdout_has("Optionen:");
        assert!(!german.out().contains("Usage:") && !german.out().contains("Examples:"), "{german}");
        let english = help("C");
        english.ok().stdout_has("Usage: ").stdout_has("Options:");
        assert_eq!(help("\u{1b}[2Jde_DE").out(), english.out());
    }
    lab.command("zoneadm", ["help", "boot"])
        .env("LC_ALL", GERMAN)
        .run()
        .ok()
        .stdout_has("Erfolg heißt, dass init der Zone gestartet wurde");
}

fn what_programs_read_is_the_same_in_all(lab: &Lab) {
    lab.configured(
        "web",
        "create; set autoboot=true; add attr; set name=a; set type=string; set value=b; end",
    );
    for words in [
        &["list", "-cp"][..],
        &["list", "-cv"],
        &["list", "-c", "--csv", "-o", "name,state,brand"],
        &["list", "-cv", "--json"],
        &["-z", "web", "status", "--json"],
    ] {
        let list = |locale: &str| lab.command("zoneadm", words).env("LC_ALL", locale).run();
        assert_eq!(list(GERMAN).ok().out(), list("C").ok().out());
    }
    for words in [&["-z", "web", "info"][..], &["-z", "web", "export"]] {
        let show = |locale: &str| lab.command("zonecfg", words).env("LC_ALL", locale).run();
        assert_eq!(show(GERMAN).ok().out(), show("C").ok().out());
    }
}
