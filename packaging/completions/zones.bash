
# What the program's own table cannot know: which zones there are.

# zoneadm, for the zones under the ROOT that the line names.
_zones_ask() {
    local -a root=()
    local at
    for ((at = 1; at < COMP_CWORD; at++)); do
        [[ ${COMP_WORDS[at]} == -R ]] && root=(-R "${COMP_WORDS[at + 1]/#\~/$HOME}")
    done
    zoneadm "${root[@]}" "$@" 2>/dev/null
}

# Completes names of zones in these states, all without any; the last of a list. The second word is what stands before them.
_zones_names() {
    local -a in=(-c)
    local before= word=${cur#"$2"}
    [[ -n $1 ]] && in=(-s "$1")
    [[ $word == *,* ]] && before=${word%,*},
    COMPREPLY=($(compgen -P "$2$before" -W "$(_zones_ask list -n "${in[@]}")" -- "${word##*,}"))
}

_zones_zoneadm() {
    local cur=$2 prev=$3 verb= zone= word state at
    for ((at = 1; at < COMP_CWORD; at++)); do
        word=${COMP_WORDS[at]}
        case $word in
            -z) ((++at < COMP_CWORD)) && zone=${COMP_WORDS[at]} ;;
            -z*) zone=${word#-z} ;;
            -R | -u | --state) ((++at)) ;;
            -* | =) ;;
            *) verb=${verb:-$word} ;;
        esac
    done
    case $verb,$prev in
        # Of a list the last; what stands before is kept.
        list,-s | *,--state)
            local before=
            [[ $cur == *,* ]] && before=${cur%,*},
            COMPREPLY=($(compgen -P "$before" -W "$_zones_all_states" -- "${cur##*,}"))
            return
            ;;
        set,*)
            [[ $cur == -* ]] && _zoneadm "$@" && return
            compopt -o nospace 2>/dev/null
            _zones_no_files
            # Behind "=", which readline takes for the end of a word, comes a value.
            [[ ${COMP_WORDS[COMP_CWORD]} == = || ${COMP_WORDS[COMP_CWORD - 1]} == = ]] ||
                COMPREPLY=($(compgen -W "${_zones_assignments[*]}" -- "$cur"))
            return
            ;;
        cp,*)
            # Files are the shell's own business.
            if [[ $cur != -* && $cur != */* && -n $cur && $prev != : ]]; then
                COMPREPLY=($(compgen -S : -W "$(_zones_ask list -n -s running)" -- "$cur"))
                ((${#COMPREPLY[@]})) && compopt -o nospace 2>/dev/null && return
            fi
            ;;
    esac
    case $prev,$cur in
        -z,* | console,[!-]* | console, | status,[!-]* | status,) _zones_names "$(_zones_states "$verb")" && return ;;
        *,-z?*) _zones_names "$(_zones_states "$verb")" -z && return ;;
        clone,[!-]* | clone,) _zones_names installed && return ;;
    esac
    _zoneadm "$@"
    if [[ $cur != -* && $prev != -* ]]; then
        _zones_no_options
        [[ $verb == cp || $verb == move ]] || _zones_no_files
    fi
    # Of one zone what can be done to it as it is.
    if [[ -z $verb && -n $zone && $zone != *[,*?[]* && $cur != -* ]]; then
        IFS=: read -r _ _ state _ < <(_zones_ask -z "$zone" list -p)
        [[ -n $state ]] && COMPREPLY=($(compgen -W "$(_zones_verbs "$state")" -- "$cur"))
    fi
}

# Offers no options where none is begun, and files only where they make sense.
_zones_no_options() {
    local word
    local -a kept=()
    for word in "${COMPREPLY[@]}"; do
        [[ $word == -* ]] || kept+=("$word")
    done
    COMPREPLY=("${kept[@]}")
}

_zones_no_files() {
    compopt +o default +o bashdefault 2>/dev/null
}

_zones_zonecfg() {
    local cur=$2 at
    local -a words=()
    for ((at = 1; at < COMP_CWORD; at++)); do
        case ${COMP_WORDS[at]} in
            -z | -R | -f) ((++at)) ;;
            -*) ;;
            *) words+=("${COMP_WORDS[at]}") ;;
        esac
    done
    case $3,$2 in
        -z,*) _zones_names "" ;;
        *,-z?*) _zones_names "" -z ;;
        -f,* | -R,* | *,-*) _zonecfg "$@" ;;
        *)
            _zones_no_files
            ((${#words[@]} > 1)) || COMPREPLY=($(compgen -W "$(_zones_command_words "${words[0]}")" -- "$cur"))
            [[ ${COMPREPLY[*]} == *= ]] && compopt -o nospace 2>/dev/null
            ;;
    esac
}

_zones_zlogin() {
    local cur=$2 states=running at
    for ((at = 1; at < COMP_CWORD; at++)); do
        case ${COMP_WORDS[at]} in
            -C) states=installed,ready,running,shutting_down,down ;;
            -e | -l | -R | --cwd | --env | --replay | --record) ((++at)) ;;
            -*) ;;
            # What is behind the zone is the zone's.
            *) _zones_no_files && COMPREPLY=() && return ;;
        esac
    done
    if ((at > COMP_CWORD)) || [[ $cur == -* ]]; then _zlogin "$@"; else _zones_names "$states"; fi
}
