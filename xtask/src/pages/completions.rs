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
    text + "    esac\n}\n"
}

fn bash(program: &str, text: &str) -> String {
    let own = include_str!("../../../packaging/completions/zones.bash");
    // The last word on a program is the one that counts.
    format!("{text}{}{own}\ncomplete -F _zones_{program} -o bashdefault -o default {program}\n", tables())
}

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
            // It would look for files of one character.
            lines.push(line.replace(" -s ? ", " -s '?' "));
        }
    }
    let rest = match program {
        "zoneadm" => {
            ensure!(!all.is_empty(), "clap has no verbs");
            "complete -c zoneadm -s z -d 'The zone to work on' -x -a '(__zones_of_verb)'\n\
             complete -c zoneadm -n __fish_zoneadm_needs_command -f -a '(__zones_possible)'\n\
             complete -c zoneadm -n '__fish_zoneadm_using_subcommand console' -f -a '(__zones_names)'\n"
        }
        "zonecfg" => "complete -c zonecfg -s z -d 'The zone to describe' -x -a '(__zones_names)'\n",
        _ => {
            "complete -c zlogin -n 'test -z (__zones_operand -e -l -R --cwd --env --replay --record)' -f \
             -a '(__zones_to_enter)'\n"
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
    if !all.is_empty() {
        let _ = writeln!(own, "\nfunction __zones_all_verbs\n    printf '%s\\t%s\\n'{all}\nend");
    }
    Ok(format!("{own}\n{}\n{rest}", lines.join("\n")))
}
