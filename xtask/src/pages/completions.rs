//! Completions for shells: clap's of the command lines, and with them what only a running system knows, which is the zones that there are.
//!
//! What asks for those is written by hand for each shell, in packaging/completions, and says what a table of verbs and states made here
//! leaves it to say. It is put where clap has a zone's name or the verbs; that clap writes those otherwise by now is an error.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use clap::Command;
use clap_complete::Shell;
use zone_config::State;
use zone_config::command::{COMMANDS, Scope};
use zone_config::schema::{Applies, GLOBALS, Property, RESOURCES};

const SHELLS: [Shell; 3] = [Shell::Bash, Shell::Zsh, Shell::Fish];

/// Writes the completions of all programs into a folder, each by the name that its shell looks for.
pub(crate) fn write(to: &Path) -> Result<()> {
    for mut command in super::commands() {
        let name = command.get_name().to_owned();
        for shell in SHELLS {
            let path = clap_complete::generate_to(shell, &mut command, &name, to)
                .with_context(|| format!("the completions of {name} for {shell}"))?;
            let text =
                std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
            let text = with_zones(shell, &command, &text)
                .with_context(|| format!("the zones in the completions of {name} for {shell}"))?;
            std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        }
    }
    Ok(())
}

/// Has a script of clap's know the zones.
fn with_zones(shell: Shell, command: &Command, text: &str) -> Result<String> {
    let text = without_hidden(command, text);
    match (shell, command.get_name()) {
        (_, "zonename") => Ok(text),
        (Shell::Bash, program) => Ok(bash(program, &text)),
        (Shell::Zsh, program) => zsh(program, &text),
        (_, program) => fish(program, &text),
    }
}

/// Leaves out the options that are for the program itself, which clap completes all the same.
fn without_hidden(command: &Command, text: &str) -> String {
    let hidden = command.get_arguments().filter(|arg| arg.is_hide_set()).filter_map(|arg| arg.get_long());
    hidden.fold(text.to_owned(), |text, long| {
        let line_of =
            |line: &&str| line.contains(&format!("'--{long}=[")) || line.contains(&format!(" -l {long} "));
        let kept: Vec<&str> = text.lines().filter(|line| !line_of(line)).collect();
        kept.join("\n").replace(&format!(" --{long} "), " ") + "\n"
    })
}

/// The states of the zones that a verb is for, as `list -s` takes them; none where it is for all.
fn states(verb: &str) -> Option<String> {
    let all = State::ALL.into_iter();
    let states: Vec<&str> = all.filter(|&state| zoneadm::is_for(verb, state)).map(State::as_str).collect();
    (states.len() < State::ALL.len()).then(|| states.join(","))
}

fn verbs() -> Vec<String> {
    zoneadm::command().get_subcommands().map(|verb| verb.get_name().to_owned()).collect()
}

/// The verbs for a zone in a state.
fn verbs_for(state: State) -> String {
    let verbs = verbs();
    verbs.iter().filter(|verb| zoneadm::is_for(verb, state)).cloned().collect::<Vec<_>>().join(" ")
}

/// What `zoneadm set` can change of a zone that is up, as it is begun to be typed.
fn assignments() -> Vec<String> {
    let live = |row: &&Property| row.applies == Applies::Live;
    let globals = GLOBALS.iter().filter(live).map(|row| format!("{}=", row.name));
    let single = RESOURCES.iter().filter(|resource| resource.single);
    let of_resources = single.flat_map(|resource| {
        let rows = resource.properties.iter().filter(live);
        rows.map(|row| format!("{}.{}=", resource.name, row.name))
    });
    globals.chain(of_resources).collect()
}

/// What can follow a command of zonecfg; the first is what can follow none.
fn command_words() -> [(&'static str, Vec<String>); 5] {
    let outside = COMMANDS.iter().filter(|row| row.scope != Scope::Resource);
    let commands: Vec<String> = outside.map(|row| row.name.to_owned()).collect();
    let resources: Vec<String> = RESOURCES.iter().map(|row| row.name.to_owned()).collect();
    let globals: Vec<String> = GLOBALS.iter().map(|row| row.name.to_owned()).collect();
    let assignments = globals.iter().map(|name| format!("{name}=")).collect();
    let both = resources.iter().chain(&globals).cloned().collect();
    [
        ("''", commands),
        ("set", assignments),
        ("clear", globals),
        ("add select remove", resources),
        ("info", both),
    ]
}

/// The table, as bash and zsh have them: what is for which state.
fn tables() -> String {
    let mut text = "\n_zones_states() {\n    case $1 in\n".to_owned();
    for verb in verbs() {
        if let Some(states) = states(&verb) {
            let _ = writeln!(text, "        {verb}) echo {states} ;;");
        }
    }
    text += "    esac\n}\n\n_zones_verbs() {\n    case $1 in\n";
    for state in State::ALL {
        let _ = writeln!(text, "        {state}) echo {} ;;", verbs_for(state));
    }
    text += "    esac\n}\n\n";
    text += "_zones_command_words() {\n    case $1 in\n";
    for (commands, words) in command_words() {
        let _ = writeln!(text, "        {}) echo {} ;;", commands.replace(' ', " | "), words.join(" "));
    }
    text += "    esac\n}\n\n";
    let states: Vec<&str> = State::ALL.map(State::as_str).to_vec();
    let _ = writeln!(text, "_zones_all_states=\"{}\"", states.join(" "));
    let _ = writeln!(text, "_zones_assignments=({})", assignments().join(" "));
    text
}

fn bash(program: &str, text: &str) -> String {
    let own = include_str!("../../../packaging/completions/zones.bash");
    // The last word on a program is the one that counts.
    format!("{text}{}{own}\ncomplete -F _zones_{program} -o bashdefault -o default {program}\n", tables())
}

/// What zsh does for arguments of ours: the program, what clap's line has, the function.
const OF_ZSH: [(&str, &str, &str); 6] = [
    ("zoneadm", "assignments -- ", "_zones_assign"),
    ("zoneadm", "':from -- ", "_zones_file"),
    ("zoneadm", "':to -- ", "_zones_file"),
    ("zoneadm", "words -- ", "_message argument"),
    ("zonecfg", "commands -- ", "_zones_command"),
    ("zlogin", "words -- ", "_message command"),
];

fn zsh(program: &str, text: &str) -> Result<String> {
    let own = include_str!("../../../packaging/completions/zones.zsh");
    let action = match program {
        "zlogin" => "_zones_to_enter",
        "zonecfg" => "_zones_names",
        _ => "_zones_of_verb",
    };
    let mut lines = Vec::new();
    let mut places = 0;
    for line in text.lines() {
        if line.contains(":ZONE:_default'") || line.contains("zone -- ") {
            places += 1;
            lines.push(line.replace(":_default'", &format!(": {action}'")));
            continue;
        }
        if let Some((.., action)) = OF_ZSH.iter().find(|(of, arg, _)| program == *of && line.contains(arg)) {
            let (before, _) = line.rsplit_once(':').context("clap has no action")?;
            lines.push(format!("{before}: {action}' \\"));
            continue;
        }
        // Of a clone.
        if line.contains("':source -- ") {
            lines.push(line.replace(":_default'", ": _zones_names installed'"));
            continue;
        }
        if line.contains("_describe -t commands 'zoneadm commands'") {
            places += 1;
            lines.push("    _zones_possible".to_owned());
        }
        lines.push(line.to_owned());
    }
    ensure!(places > 0, "clap names no zone");
    let (head, tail) = lines.split_at(1);
    Ok(format!("{}\n{}{own}\n{}\n", head.join("\n"), tables(), tail.join("\n")))
}

fn fish(program: &str, text: &str) -> Result<String> {
    let mut lines = Vec::new();
    // The verbs, with what they do, as arguments of printf(1).
    let mut all = String::new();
    let verb_of = "complete -c zoneadm -n \"__fish_zoneadm_needs_command\" -f -a \"";
    for line in text.lines() {
        if let Some((verb, help)) = line.strip_prefix(verb_of).and_then(|rest| rest.split_once("\" -d ")) {
            let _ = write!(all, " {verb} {help}");
        } else if !(line.starts_with("complete ") && line.contains(" -s z ")) {
            let line = match line.contains(" -r") {
                // What clap asks fails where the value that is to be completed is missing.
                true => line.replace(
                    "-n \"__fish_zoneadm_needs_command\"",
                    "-n 'test -z (__zones_operand -R -u -z --state)'",
                ),
                false => line.to_owned(),
            };
            // It would look for files of one character.
            lines.push(line.replace(" -s ? ", " -s '?' "));
        }
    }
    let rest = match program {
        "zoneadm" => {
            ensure!(!all.is_empty(), "clap has no verbs");
            "complete -c zoneadm -s z -d 'The zone to work on' -x -a '(__zones_of_verb)'\n\
             complete -c zoneadm -n __fish_zoneadm_needs_command -f -a '(__zones_possible)'\n\
             complete -c zoneadm -n '__fish_zoneadm_using_subcommand console' -f -a '(__zones_names)'\n\
             complete -c zoneadm -n '__fish_zoneadm_using_subcommand status' -f -a '(__zones_names)'\n\
             complete -c zoneadm -n '__fish_zoneadm_using_subcommand clone' -f -a '(__zones_names installed)'\n\
             complete -c zoneadm -n '__fish_zoneadm_using_subcommand set' -f -a '(__zones_assignments)'\n\
             complete -c zoneadm -f\n\
             complete -c zoneadm -n '__fish_zoneadm_using_subcommand mark' -f -a incomplete\n\
             complete -c zoneadm -n '__fish_zoneadm_using_subcommand move' -F\n\
             complete -c zoneadm -n '__fish_zoneadm_using_subcommand cp' -F -a '(__zones_ask list -n -s running)\\:'\n"
        }
        "zonecfg" => {
            "complete -c zonecfg -s z -d 'The zone to describe' -x -a '(__zones_names)'\n\
             complete -c zonecfg -f -a '(__zones_command)'\n"
        }
        _ => {
            "complete -c zlogin -n 'test -z (__zones_operand -e -l -R --cwd --env --replay --record)' -f \
             -a '(__zones_to_enter)'\n\
             complete -c zlogin -n 'string length -q -- (__zones_operand -e -l -R --cwd --env --replay --record)' -f\n"
        }
    };
    let mut own = include_str!("../../../packaging/completions/zones.fish").to_owned();
    own += "\nfunction __zones_states\n    switch \"$argv[1]\"\n";
    for verb in verbs() {
        if let Some(states) = states(&verb) {
            let _ = writeln!(own, "        case {verb}\n            echo {states}");
        }
    }
    own += "    end\nend\n\nfunction __zones_verbs\n    switch \"$argv[1]\"\n";
    for state in State::ALL {
        let verbs = verbs_for(state).replace(' ', "\\n");
        let _ = writeln!(own, "        case {state}\n            printf '{verbs}\\n'");
    }
    own += "    end\nend\n";
    own += "\nfunction __zones_command_words\n    switch \"$argv[1]\"\n";
    for (commands, words) in command_words() {
        let _ = writeln!(own, "        case {commands}\n            printf '%s\\n' {}", words.join(" "));
    }
    own += "    end\nend\n";
    let _ = writeln!(
        own,
        "\nfunction __zones_assignments\n    string match -q '*=*' -- (commandline -ct); or printf '%s\\n' {}\nend",
        assignments().join(" ")
    );
    if !all.is_empty() {
        let _ = writeln!(own, "\nfunction __zones_all_verbs\n    printf '%s\\t%s\\n'{all}\nend");
    }
    Ok(format!("{own}\n{}\n{rest}", lines.join("\n")))
}
