# What the scripts here stand on: a line for each thing that is looked at, and a count. Read with `.`; needs jq and procps.
unset ZONES_ROOT
passed=0 failed=0 skipped=0
# What was counted in an earlier boot of the machine.
counted=/var/tmp/zones-counted
[ -e "$counted" ] && . "$counted"

title() { printf '\n== %s\n' "$*"; }
# ok WHAT COMMAND...: it must succeed; what it prints is shown if it does not.
ok() {
    local what=$1 said; shift
    if said=$("$@" 2>&1 </dev/null); then passed=$((passed + 1)); echo "ok    $what${said:+: $(head -c 300 <<<"$said" | tr '\n' '|')}"
    else local rc=$?; failed=$((failed + 1)); printf 'FAIL  %s (exit %s)\n      %s\n%s\n' "$what" "$rc" "$*" "$said"; fi
}
# is WHAT WANTED COMMAND...: it must print exactly that.
is() {
    local what=$1 wanted=$2 said; shift 2
    said=$("$@" 2>&1 </dev/null)
    if [ "$said" = "$wanted" ]; then passed=$((passed + 1)); echo "ok    $what: $said"
    else failed=$((failed + 1)); printf 'FAIL  %s\n      %s\nwanted %s\ngot    %s\n' "$what" "$*" "$wanted" "$said"; fi
}
# has WHAT PATTERN COMMAND...: a line of what it prints must match.
has() {
    local what=$1 wanted=$2 said; shift 2
    said=$("$@" 2>&1 </dev/null)
    if grep -Eq -- "$wanted" <<<"$said"; then passed=$((passed + 1)); echo "ok    $what: $(grep -Em1 -- "$wanted" <<<"$said")"
    else failed=$((failed + 1)); printf 'FAIL  %s\n      %s\nwanted a line like %s\ngot    %s\n' "$what" "$*" "$wanted" "$said"; fi
}
# finds WHAT PATTERN COMMAND...: as `has`, of what somebody writes who may be a moment behind: it is looked again for half a minute.
finds() {
    local left=30
    until "${@:3}" 2>&1 </dev/null | grep -Eq -- "$2"; do
        left=$((left - 1)); [ "$left" -gt 0 ] || break
        sleep 1
    done
    has "$@"
}
# no WHAT PATTERN COMMAND...: it must fail, with a line that matches.
no() {
    local what=$1 wanted=$2 said; shift 2
    if said=$("$@" 2>&1 </dev/null); then failed=$((failed + 1)); printf 'FAIL  %s\n      %s\nwanted an error like %s\ngot    %s\n' "$what" "$*" "$wanted" "$said"
    elif grep -Eq -- "$wanted" <<<"$said"; then passed=$((passed + 1)); echo "ok    $what: $(grep -Em1 -- "$wanted" <<<"$said")"
    else failed=$((failed + 1)); printf 'FAIL  %s\n      %s\nwanted an error like %s\ngot    %s\n' "$what" "$*" "$wanted" "$said"; fi
}
skip() { skipped=$((skipped + 1)); echo "skip  $*"; } # WHAT: WHY
# the_end: the count, and whether all is well.
the_end() {
    printf '\n%s passed, %s failed, %s skipped\n' "$passed" "$failed" "$skipped"
    [ "$failed" -eq 0 ]
}
# next_boot COMMAND...: the count goes on in the machine's next boot, which the end of this script begins.
next_boot() {
    echo "passed=$passed failed=$failed skipped=$skipped boot=$((${boot:-1} + 1))" > "$counted"
    sync
    "$@"
}
field() { zoneadm -z "$1" list -v --json | jq -r ".[0]$2"; }
state() { field "$1" .state; }
# until_is SECONDS WANTED COMMAND...: waits until it prints that.
until_is() {
    local left=$1 wanted=$2 said; shift 2
    while said=$("$@" 2>/dev/null); [ "$said" != "$wanted" ]; do
        left=$((left - 1)); [ "$left" -gt 0 ] || { echo "still '$said', not '$wanted'"; return 1; }
        sleep 1
    done
    echo "$said"
}
die() { # PID: SIGKILL, and wait until it is no more
    kill -9 "$1" || return 1
    while kill -0 "$1" 2>/dev/null && ! grep -q '^State:.Z' "/proc/$1/status" 2>/dev/null; do sleep 0.1; done
}
served_by() { pgrep -f "zoneadmd.* -z $1( |\$)" | head -1; } # ZONE: its daemon, if one is there
# daemon ZONE: its daemon, of a zone that is up with one that comes back if it has left, and stays for some seconds: somebody is connected.
daemon() {
    local answer
    exec 8< <({ { printf '{"method":"org.zones.zoneadmd.GetStatus"}\0'; sleep 10; } | socat - "UNIX-CONNECT:/run/zones/$1/door"; } 2>/dev/null)
    IFS= read -r -t 30 -d '' answer <&8
    exec 8<&-
    served_by "$1"
}
# lacks NEED: says what this host lacks of what an example needs, in the words of tests/zones/src/harness/manual.rs.
lacks() {
    case $1 in
    /*) [ -e "$1" ] || echo "$1" ;;
    cgroup2) grep -q 'cpu.*memory.*pids' /sys/fs/cgroup/cgroup.controllers || echo "controllers of cgroup version 2" ;;
    nftables) nft add table netdev zones-try 2>/dev/null && nft delete table netdev zones-try || echo "rules of nf_tables for links" ;;
    *) echo "$1, whatever that is" ;;
    esac
}
# examples FILE FEW [COMMAND]: types the examples of a document, the blocks that are marked `sh`, of which there are more than FEW; after each
# comes COMMAND. Each is one script in one shell, which stops at the first command that fails; what it exports goes no further.
examples() {
    local dir file need missing promised; dir=$(mktemp -d)
    awk -v into="$dir/" '
        /^```/ && open { open = 0; next }
        /^```sh( |$)/ { file = sprintf("%s%02d", into, ++n); print "#", title > file; print "#", substr($0, 7) > file; open = 1; next }
        open { print > file; next }
        /^#/ { title = $0; sub(/^#+ /, "", title) }
    ' "$1"
    ok "$(basename "$1") has examples: $(ls "$dir" | wc -l)" test "$(ls "$dir" | wc -l)" -gt "$2"
    for file in "$dir"/*; do
        title "$(basename "$1"): $(sed -n '1s/^# //p' "$file")"
        missing=$(for need in $(sed -n '2s/^# *//p' "$file"); do lacks "$need"; done)
        if [ -n "$missing" ]; then skip "an example: this host has no $missing"; continue; fi
        sed 1,2d "$file"
        ok "it works as typed" sh -c "sh -eu $file > $file.out 2>&1 || { cat $file.out; exit 1; }"
        while IFS= read -r promised; do
            has "prints $promised" "$(sed 's/[][\.*^$+?(){}|/]/\\&/g' <<<"$promised")" cat "$file.out"
        done < <(sed -n 's/.*# prints //p' "$file")
        [ -z "${3-}" ] || $3
    done
    rm -r "$dir"
}
# installation PROGRAMS: installs them, with what is in `packaging` beside their folder, as a host has them that has no package.
installation() {
    title "The installation"
    cp -r "$1/../packaging" /tmp/installed && cp -r "$1" /tmp/installed/bin
    ok "install.sh" /tmp/installed/install.sh
}
# no_units UNIT...: stops these, and has systemd forget what units have been.
no_units() {
    [ $# -eq 0 ] || systemctl stop "$@"
    systemctl reset-failed
    systemctl daemon-reload
    # systemd's own, for all instances of a template.
    systemctl stop system-zone.slice
}
# web_goes: takes away the zone of an example.
web_goes() { ok "the zone goes" sh -c 'zoneadm -z web halt && zoneadm -z web uninstall -F && zonecfg -z web delete -F'; }
look() { # what could be left
    awk '{print "mount", $5, $9, $10}' /proc/self/mountinfo
    # The slice of all units of a template is systemd's own, which removes it when it likes.
    find /sys/fs/cgroup -type d -path '*zone*' ! -name system-zone.slice | sed 's/^/cgroup /'
    ps -eo comm= | grep -E '^(zone|zsched|zinit|zlogin)' | sed 's/^/process /'
    ls /run/netns 2>/dev/null | sed 's/^/netns /'
    ip -o link | awk '{print "link", $2}'
    # A host that forwards IPv6, which it is told that it will go on with, has anycast addresses of all its networks.
    { ip -4 route show table all; ip -6 route show table all; } | grep -v '^anycast' | sed 's/ expires [0-9]*sec//; s/^/route /'
    ip neighbour show proxy | sed 's/^/proxy /'
    nft list ruleset 2>/dev/null | sed 's/^/rule /'
}
complaints() { dmesg | grep -c 'BUG\|WARNING:\|Oops'; } # the kernel's
complained=0
# the_host: says what it is, and remembers what is there.
the_host() {
    title "The host"
    uname -rv; systemctl --version | head -1
    echo "cgroup: $(stat -fc %T /sys/fs/cgroup): $(cat /sys/fs/cgroup/cgroup.controllers)"
    look | sort > /tmp/before
    complained=$(complaints)
}
# nothing_left: of all that the_host has seen nothing more is there.
nothing_left() {
    title "What is left"
    for _ in 1 2 3 4 5 6 7 8 9 10; do # a daemon without a zone ends by itself
        look | sort > /tmp/after
        diff /tmp/before /tmp/after > /tmp/left && break
        sleep 3
    done
    is "mounts, control groups, processes, links, routes, rules" "" cat /tmp/left
    is "ranges of ids" "" sh -c 'cat /etc/zones/idmap 2>/dev/null; grep -s zone /etc/subuid /etc/subgid'
    is "addresses" "" sh -c 'cat /etc/zones/addresses 2>/dev/null'
    is "files of the zones" "" sh -c 'find /run/zones /etc/zones /var/lib/zones -mindepth 1 2>/dev/null | grep -v "/index$\|/idmap$\|/addresses$\|/network.toml$\|/.sharing$\|lock"'
    is "complaints of the kernel" "$complained" complaints
}
