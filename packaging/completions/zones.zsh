
# What the program's own table cannot know: which zones there are.

# The value of an option on the line.
_zones_option() {
    local -a line; line=(${(Q)${(z)LBUFFER}})
    local at=${line[(I)$1]}
    if (( at )); then print -r -- "${line[at + 1]/#\~/$HOME}"; else print -r -- "${${(M)line:#$1?*}[1]#$1}"; fi
}

# zoneadm, for the zones under the ROOT that the line names.
_zones_ask() {
    local root="$(_zones_option -R)"
    zoneadm ${root:+-R} $root "$@" 2>/dev/null
}

# Completes names of zones in these states, all without any; the last of a list.
_zones_names() {
    local expl
    local -a names in; in=(-c)
    [[ -n $1 ]] && in=(-s $1)
    names=(${(f)"$(_zones_ask list -n $in)"})
    compset -P '*,'
    _wanted zones expl zone compadd -a names
}

# Completes names of the zones that the verb on the line is for.
_zones_of_verb() {
    local -a line; line=(${(Q)${(z)LBUFFER}})
    shift line
    while (( $#line )); do
        case $line[1] in
            (-R|-u|-z|--state) shift line ;;
            (-*) ;;
            (*) break ;;
        esac
        (( $#line )) && shift line
    done
    _zones_names "$(_zones_states $line[1])"
}

# Names of those that can be entered, or whose console is there.
_zones_to_enter() {
    if (( ${words[(I)-C]} )); then _zones_names installed,ready,running,shutting_down,down; else _zones_names running; fi
}

# Leaves of `commands` what can be done to the zone of the line as it is.
_zones_possible() {
    local zone="$(_zones_option -z)"
    [[ -n $zone && $zone != *[,*?[]* ]] || return 0
    local -a line verbs
    line=("${(@s.:.)$(_zones_ask -z $zone list -p)}")
    verbs=(${=$(_zones_verbs $line[3])})
    (( $#verbs )) && commands=(${(M)commands:#(${(j.|.)~verbs}):*})
}

# What `set` can change: a property, and behind it a value that nobody knows.
_zones_assign() {
    local expl
    compset -P '*=' && { _message value; return 1 }
    _wanted properties expl property compadd -S '' -a _zones_assignments
}

# A file here, or a zone that runs and a colon.
_zones_file() {
    local -a running
    if ! compset -P '*:'; then
        running=(${^${(f)"$(_zones_ask list -n -s running)"}}:)
        _alternative "zones:zone:compadd -S '' -a running" 'files:file:_files'
    fi
}

# What can follow on a command line of zonecfg: a command, and what that is about.
_zones_command() {
    local -a found
    (( CURRENT > 2 )) && return 1
    found=($(_zones_command_words ${words[CURRENT - 1]}))
    (( CURRENT == 1 )) && found=($(_zones_command_words))
    compadd -S '' -- ${(M)found:#*=} || compadd -- ${found:#*=}
}
