//! The table of commands, for the parser's usage lines, help, manual page and completion.

/// Where a command makes sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Outside a resource.
    Global,
    /// Between `add` or `select` and `end` or `cancel`.
    Resource,
    /// Inside of resources and outside.
    Both,
}

/// A row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommandSpec {
    /// The word it begins with.
    pub name: &'static str,
    /// Its forms, each a line of the help.
    pub usage: &'static [&'static str],
    /// Where it makes sense.
    pub scope: Scope,
    /// What it does.
    pub help: &'static str,
    /// Its single-letter options; one that takes a word has a colon after it, as in getopt(3).
    pub(super) options: &'static str,
}

impl CommandSpec {
    /// Lists its options as they are typed.
    pub fn options(&self) -> Vec<String> {
        let letters = self.options.chars().filter(|letter| *letter != ':').map(|letter| format!("-{letter}"));
        let json = has_json(self.name).then(|| "--json".to_owned());
        letters.chain(json).collect()
    }
}

/// Whether a command prints JSON for who asks for it.
pub(super) fn has_json(command: &str) -> bool {
    matches!(command, "info" | "export")
}

const fn row(
    name: &'static str,
    usage: &'static [&'static str],
    scope: Scope,
    options: &'static str,
    help: &'static str,
) -> CommandSpec {
    CommandSpec { name, usage, scope, help, options }
}

/// Lists all commands.
pub static COMMANDS: &[CommandSpec] = &[
    row(
        "create",
        &["create [-F] [-b | -t ZONE | -a ZONEPATH | -f FILE]"],
        Scope::Global,
        "Fbt:a:f:",
        "Begins a new configuration: with defaults, with nothing set (-b), as a copy of another zone's but for \
         its zonepath (-t), or that of a zone that was detached, in ZONEPATH (-a), or from one of illumos or Solaris: such a zone as well, or in FILE (-f), \
         which is an XML of /etc/zones or what 'zonecfg export' wrote there. A commit names what of it was left out. \
         Nothing is written before commit. -F writes over an existing one.",
    ),
    row(
        "add",
        &["add RESOURCE", "add PROPERTY VALUE"],
        Scope::Both,
        "",
        "Begins a new resource, up to end or cancel; in a resource, adds to a property that is a list.",
    ),
    row(
        "set",
        &["set PROPERTY=VALUE", "set PROPERTY=[VALUE,VALUE...]"],
        Scope::Both,
        "",
        "Sets a property of the zone, or of the resource one is in; RESOURCE:PROPERTY is one of a resource that there is one \
         of at most, such as capped-memory. A value with blanks or any of ;=[]() goes in \
         double quotes.",
    ),
    row(
        "clear",
        &["clear PROPERTY"],
        Scope::Both,
        "",
        "Makes a property as if it had never been set; RESOURCE:PROPERTY as with set.",
    ),
    row(
        "remove",
        &["remove [-F] RESOURCE [PROPERTY=VALUE...]", "remove PROPERTY VALUE"],
        Scope::Both,
        "F",
        "Removes a resource, or with -F all of its type; in a resource, removes from a property that is a list.",
    ),
    row(
        "select",
        &["select RESOURCE PROPERTY=VALUE..."],
        Scope::Global,
        "",
        "Goes into the one resource that has these values, to change it, up to end or cancel.",
    ),
    row("end", &["end"], Scope::Resource, "", "Completes the resource one is in."),
    row("cancel", &["cancel"], Scope::Resource, "", "Leaves the resource one is in as it was before."),
    row(
        "info",
        &["info [--json] [RESOURCE [PROPERTY=VALUE...] | PROPERTY]"],
        Scope::Both,
        "",
        "Shows the configuration with its defaults; what comes from elsewhere is in square brackets.",
    ),
    row(
        "export",
        &["export [--json] [-f FILE]"],
        Scope::Both,
        "f:",
        "Writes the commands that make this configuration again.",
    ),
    row(
        "edit",
        &["edit"],
        Scope::Global,
        "",
        "Opens the configuration as TOML in $VISUAL or $EDITOR, and commits what verifies.",
    ),
    row("verify", &["verify"], Scope::Both, "", "Says everything that is wrong with the configuration."),
    row(
        "commit",
        &["commit"],
        Scope::Both,
        "",
        "Verifies and saves. In a command file, what was committed is saved when the whole file has succeeded. A zone \
         that is up keeps what it has until 'zoneadm apply' or its next boot; 'help PROPERTY' says when a change applies. \
         With -r the commit gives it to the zone that runs.",
    ),
    row("revert", &["revert [-F]"], Scope::Global, "F", "Goes back to what was saved last."),
    row(
        "delete",
        &["delete [-F]"],
        Scope::Global,
        "F",
        "Removes the configuration, but no file of the zone: as long as its root is there ('zoneadm uninstall' removes \
         that) the zone cannot be deleted. Without a root it must be in state configured, or -F be given.",
    ),
    row(
        "exit",
        &["exit [-F]"],
        Scope::Both,
        "F",
        "Ends the session, saving what was changed if it verifies. -F leaves without asking.",
    ),
    row(
        "help",
        &["help [COMMAND | RESOURCE | PROPERTY | commands | syntax | usage]", "?"],
        Scope::Both,
        "",
        "Explains.",
    ),
];

/// The row of a command.
pub fn spec(name: &str) -> Option<&'static CommandSpec> {
    COMMANDS.iter().find(|row| row.name == name)
}
