
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
    case $prev,$cur in
        -z,* | console,[!-]* | console,) _zones_names "$(_zones_states "$verb")" && return ;;
        *,-z?*) _zones_names "$(_zones_states "$verb")" -z && return ;;
    esac
    _zoneadm "$@"
    # Of one zone what can be done to it as it is.
    if [[ -z $verb && -n $zone && $zone != *[,*?[]* && $cur != -* ]]; then
        IFS=: read -r _ _ state _ < <(_zones_ask -z "$zone" list -p)
        [[ -n $state ]] && COMPREPLY=($(compgen -W "$(_zones_verbs "$state")" -- "$cur"))
    fi
}

_zones_zonecfg() {
    local cur=$2
    case $3,$2 in
        -z,*) _zones_names "" ;;
        *,-z?*) _zones_names "" -z ;;
        *) _zonecfg "$@" ;;
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
            *) COMPREPLY=() && return ;;
        esac
    done
    if ((at > COMP_CWORD)) || [[ $cur == -* ]]; then _zlogin "$@"; else _zones_names "$states"; fi
}
