//! The console's notices, in the locale of each client.

use crate::harness::init::IDLE;
use crate::harness::{Lab, Terminal, Wire, Zone, cases};

cases![
    each_client_is_told_in_its_own_locale,
    with_arguments_and_in_ascii,
    who_is_disconnected_is_told_so,
    a_failed_boot_and_an_end_of_init,
    zlogin_asks_for_the_locale_of_its_environment,
];

const GERMAN: &str = "de_DE.UTF-8";
const FRENCH: &str = "fr_FR.UTF-8";
/// What is no locale, or one that there are no texts for.
const OTHERS: [&str; 5] = ["C", "xx_YY.UTF-8", "../../etc", "\u{feff}\u{1b}[2J", "de=fr,%s"];

fn watcher(zone: &Zone<'_>, locale: &str, disconnect: bool) -> Wire {
    let mut wire = Wire::connect(zone);
    wire.says(format!("IDENT 1 {locale};watch {}\n", u8::from(disconnect)));
    wire.hears("OK\n");
    wire
}

fn served<'lab>(lab: &'lab Lab, init: &str) -> Zone<'lab> {
    let zone = lab.tiny("web", init);
    lab.command("zoneadmd", ["-z", "web"]).run().ok();
    zone
}

/// The very next that is heard is this notice.
#[track_caller]
fn told(wire: &mut Wire, notice: &str) {
    let heard = wire.hears("]\r\n").replace('\u{a0}', " ");
    assert_eq!(heard, format!("\r\n[{notice}]\r\n"));
}

fn each_client_is_told_in_its_own_locale(lab: &Lab) {
    let zone = served(lab, IDLE);
    let mut german = watcher(&zone, GERMAN, false);
    let mut french = watcher(&zone, FRENCH, false);
    let mut others = OTHERS.map(|locale| watcher(&zone, locale, false));
    for (verb, en, de, fr) in [
        ("ready", "NOTICE: Zone readied", "HINWEIS: Zone ist vorbereitet", "AVIS : zone préparée"),
        ("boot", "NOTICE: Zone booting up", "HINWEIS: Zone wird gestartet", "AVIS : démarrage de la zone"),
        (
            "reboot",
            "NOTICE: Zone rebooting",
            "HINWEIS: Zone wird neu gestartet",
            "AVIS : redémarrage de la zone",
        ),
        ("halt", "NOTICE: Zone halted", "HINWEIS: Zone wurde angehalten", "AVIS : zone arrêtée"),
    ] {
        zone.zoneadm([verb]).ok();
        told(&mut german, de);
        told(&mut french, fr);
        others.iter_mut().for_each(|other| told(other, en));
    }
    zone.zoneadm(["uninstall", "-F"]).ok();
    told(&mut german, "HINWEIS: Zone wird deinstalliert.  Verbindung wird getrennt...");
    told(&mut french, "AVIS : désinstallation de la zone en cours.  Déconnexion...");
    for mut other in others {
        told(&mut other, "NOTICE: Zone is being uninstalled.  Disconnecting...");
        assert_eq!(other.closes(), "");
    }
}

fn with_arguments_and_in_ascii(lab: &Lab) {
    let zone = served(lab, IDLE);
    let mut german = watcher(&zone, "de_AT.ISO8859-15@euro", false);
    let mut french = watcher(&zone, "fr_CA", false);
    zone.zoneadm(["boot", "--", "-s", "-m", "verbose"]).ok();
    told(&mut german, "HINWEIS: Zone wird mit folgenden Argumenten gestartet: -s -m verbose");
    told(&mut french, "AVIS : demarrage de la zone avec les arguments : -s -m verbose");
    zone.zoneadm(["reboot", "--", "-x", "\u{1b}[2J"]).ok();
    told(&mut german, "HINWEIS: Zone wird mit folgenden Argumenten neu gestartet: -x \\u{1b}[2J");
    told(&mut french, "AVIS : redemarrage de la zone avec les arguments : -x \\u{1b}[2J");
    told(&mut german, "WARNUNG: Ungueltige Startargumente werden ignoriert: -x");
    told(&mut french, "AVERTISSEMENT : arguments de demarrage non valides ignores : -x");
    assert!(german.said().is_ascii() && french.said().is_ascii());
}

fn who_is_disconnected_is_told_so(lab: &Lab) {
    let zone = served(lab, IDLE);
    zone.boot();
    let mut german = watcher(&zone, GERMAN, true);
    let mut french = watcher(&zone, FRENCH, true);
    let mut other = watcher(&zone, OTHERS[2], true);
    zone.halt();
    told(&mut german, "HINWEIS: Zone wurde angehalten.  Verbindung wird getrennt...");
    told(&mut french, "AVIS : zone arrêtée.  Déconnexion...");
    told(&mut other, "NOTICE: Zone halted.  Disconnecting...");
    for wire in [german, french, other] {
        assert_eq!(wire.closes(), "");
    }
}

fn a_failed_boot_and_an_end_of_init(lab: &Lab) {
    let zone = served(lab, "read go; exit 3");
    let mut holder = Wire::connect(&zone);
    holder.says(format!("IDENT 1 {GERMAN} 0\n"));
    holder.hears("OK\n");
    let mut french = watcher(&zone, FRENCH, false);
    zone.zoneadm(["boot", "--", "-i", "/no/such/init"]).refuses();
    told(&mut holder, "HINWEIS: Zone wird mit folgenden Argumenten gestartet: -i /no/such/init");
    told(&mut holder, "HINWEIS: Start der Zone ist fehlgeschlagen");
    french.hears("échec du démarrage de la zone]\r\n");
    zone.boot();
    holder.says("go\r");
    holder.hears("[HINWEIS: init der Zone ist beendet: init endete mit Status 3");
    french.hears("init s'est terminé avec le code 3");
}

fn zlogin_asks_for_the_locale_of_its_environment(lab: &Lab) {
    let zone = served(lab, IDLE);
    zone.boot();
    for (set, notice) in [
        (&[("LC_ALL", GERMAN)][..], "HINWEIS: Zone wird neu gestartet"),
        (&[("LC_ALL", ""), ("LC_MESSAGES", FRENCH), ("LANG", GERMAN)], "AVIS\u{a0}: redémarrage de la zone"),
        (&[("LC_ALL", ""), ("LANG", GERMAN)], "HINWEIS: Zone wird neu gestartet"),
        (&[("LC_ALL", "C"), ("LANG", GERMAN)], "NOTICE: Zone rebooting"),
    ] {
        let command =
            set.iter().fold(zone.console_command(&[]), |command, (name, value)| command.env(name, value));
        let mut terminal = Terminal::start(command, 24, 80);
        terminal.shows("'web'");
        zone.zoneadm(["reboot"]).ok();
        terminal.shows(&format!("\r\n[{notice}]\r\n"));
        // And in that which it comes back to.
        if set.len() == 1 {
            zone.kill_daemon();
            terminal.shows(
                "\r\n[HINWEIS: Daemon der Zone wurde neu gestartet, Konsole ist wieder verbunden]\r\n",
            );
        }
        assert_eq!(terminal.ends_by("\r~.").0.code(), Some(0));
    }
}
