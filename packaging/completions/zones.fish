# What the program's own table cannot know: which zones there are.

# The value of an option on the line.
function __zones_option
    set -l words (commandline -opc)
    for at in (seq (count $words))
        if test "$words[$at]" = $argv[1]; and set -q words[(math $at + 1)]
            echo $words[(math $at + 1)]
        else if string match -q -- "$argv[1]?*" $words[$at]
            string replace -- $argv[1] '' $words[$at]
        end
    end
end

# zoneadm, for the zones under the ROOT that the line names.
function __zones_ask
    set -l root (__zones_option -R | string replace -r '^~' $HOME)
    set -q root[1]; and set root -R $root[1]
    zoneadm $root $argv 2>/dev/null
end

# Names of zones in these states, all without any; behind what is on the line of a list.
function __zones_names
    set -l in -c
    test -n "$argv[1]"; and set in -s $argv[1]
    set -l before (commandline -ct | string replace -r '^-z' '' | string match -r '.*,')
    for name in (__zones_ask list -n $in)
        echo "$before$name"
    end
end

# Names of the zones that the verb on the line is for.
function __zones_of_verb
    __zones_names (__zones_states (__zones_operand -R -u -z --state))
end

# Names of those that can be entered, or whose console is there.
function __zones_to_enter
    if contains -- -C (commandline -opc)
        __zones_names installed,ready,running,shutting_down,down
    else
        __zones_names running
    end
end

# The first word on the line that is no option, and no value of these options.
function __zones_operand
    set -l words (commandline -opc)
    set -e words[1]
    while set -q words[1]
        if contains -- $words[1] $argv
            set -e words[1]
        else if not string match -q -- '-*' $words[1]
            echo $words[1]
            return
        end
        set -q words[1]; and set -e words[1]
    end
end

# What can be done, of one zone what can be done to it as it is.
function __zones_possible
    set -l zone (__zones_option -z)
    set -l verbs
    if set -q zone[1]; and not string match -qr '[,*?[]' -- $zone[1]
        set verbs (__zones_verbs (__zones_ask -z $zone[1] list -p | string split -f 3 :))
    end
    if set -q verbs[1]
        __zones_all_verbs | string match -r -- '^('(string join '|' -- $verbs)')\t.*' | string match '*'\t'*'
    else
        __zones_all_verbs
    end
end

# What can follow on a command line of zonecfg: a command, and what that is about.
function __zones_command
    set -l words (commandline -opc)
    set -e words[1]
    while set -q words[1]; and string match -q -- '-*' $words[1]
        contains -- $words[1] -z -f -R; and set -e words[1]
        set -q words[1]; and set -e words[1]
    end
    test (count $words) -lt 2; and __zones_command_words $words[1]
end
