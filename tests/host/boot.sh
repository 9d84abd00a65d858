#!/bin/bash
# Has systemd boot zones and take them down, as it does with the host, by the units of the package.
#
#   boot.sh PROGRAMS
#
# PROGRAMS is the folder of the programs; what is to be installed with them is in `packaging` beside it. They are installed on
# the host, so this belongs into a virtual machine that is thrown away.
set -u
. "$(dirname "$0")/common.sh"
unit() { systemctl show -P "$2" "zone@$1"; }
log() { cat "/var/log/zones/$1.console.log"; }
before() { # WHAT, ZONE ZONE: the first had booted when the boot of the second began
    local first second; first=$(unit "$1" ActiveEnterTimestampMonotonic) second=$(unit "$2" ExecMainStartTimestampMonotonic)
    echo "$first $second"; [ "$first" -gt 0 ] && [ "$first" -le "$second" ]
}
unit_is() { until_is 20 "$2" systemctl is-active "zone@$1"; } # ZONE STATE: systemd hears of a zone a moment later
settled() { until_is 60 0 sh -c "systemctl list-jobs --no-legend | grep -c 'zone@'"; }
another() { # ZONE UNIQID: it runs, and is not this one
    local now; now=$(field "$1" '|.state + " " + .uniqid'); echo "$now"; [ "${now% *}" = running ] && [ "$now" != "running $2" ]
}
again_and_again() { # ZONE: its unit stands for it however soon it is booted after a halt
    local pause
    for pause in 0 0.1 0.2 0.21 0.22 0.3; do
        zoneadm -z "$1" halt && sleep $pause && zoneadm -z "$1" boot && sleep 1 && settled && unit_is "$1" active || return 1
    done
}
leader() { machinectl show "$1" -p Leader --value 2>/dev/null || echo none; }
installed() { zonecfg -z "$1" "create; set brand=sparse; $2" && zoneadm -z "$1" install; }

the_host

installation "$1"
is "the target is enabled" enabled systemctl is-enabled zones.target
is "programs are found" /usr/sbin/zoneadm sh -c 'command -v zoneadm'

title "Settings"
mkdir -p /etc/zones
printf '# for all zones\nparalelism = 4\n' > /etc/zones/zones.toml
no "a key that there is not" '/etc/zones/zones.toml, line 2: unknown field .paralelism' zonecfg -z x create
printf 'parallelism = 2\nshutdown-time = 40\n' > /etc/zones/zones.toml

title "Zones that boot with the host"
ok "low priority" installed late 'set autoboot=true; set boot-priority=low'
ok "depends on another" installed web 'set autoboot=true; set depends=db'
ok "the other, which is waited for until it is ready" installed db 'set autoboot=true; set autoshutdown=halt; set boot-wait=ready'
printf '#!/bin/sh\nsleep 5\necho > /tmp/is-ready\n' > /var/lib/zones/db/root/etc/rc && chmod 755 /var/lib/zones/db/root/etc/rc
ok "high priority" installed first 'set autoboot=true; set boot-priority=high'
ok "one that cannot boot" installed bad 'set autoboot=true; set init=/sbin/nope'
ok "by hand only" installed hand ''
no "a circle is refused" 'depends leads back to the zone: db -> web -> db' zonecfg -z db 'set depends=web; commit'
has "a zone that is not there is told of" "depends names 'nobody'" zonecfg -z hand 'set depends=nobody; commit'
has "by verify, too" "depends names 'nobody'" zoneadm -z hand verify
ok "it need not be" zonecfg -z hand 'clear depends; set shutdown-timeout=5'
ok "every step is told of, for what the journal has" zoneadm -z web log --level debug
systemctl stop zones.target zones-high.target zones-normal.target
ok "systemd is told" systemctl daemon-reload
ok "the target is reached whatever fails" systemctl start zones.target
for zone in late web db first; do is "$zone" running state "$zone"; done
is "hand" installed state hand
ok "what it depends on has booted before" before db web
has "and was ready by then" 'STATUS=The zone runs$|^The zone runs$' unit db StatusText
ok "after all that it does first" sh -c "test \"\$(zlogin db stat -c %Y /tmp/is-ready)\" -le \"\$(zoneadm -z web list -v --json | jq .[0].since)\""
ok "high priority before normal" before first db
ok "low priority last" before web late
has "the one that cannot is a failed unit" 'zone@bad.service' systemctl --failed --no-legend
finds "and says why" '/sbin/nope' journalctl -b -u zone@bad --no-pager

has "others run" '^active$' systemctl is-active zone@web zone@late zone@db zone@first

title "What the journal has"
# The fields by which programs find what was done to a zone, as a real journald has kept them.
is "of one zone and no other" web sh -c "journalctl -b -t zoneadmd -o json ZONE=web | jq -r .ZONE | sort -u"
finds "its incarnation" "^$(field web .uniqid)$" sh -c "journalctl -b -o json ZONE=web OPERATION=boot | jq -r '.UNIQID // empty' | sort -u"
finds "the steps of a boot" '^(root|cgroup|create)$' sh -c "journalctl -b -o json ZONE=web OPERATION=boot | jq -r '.STEP // empty' | sort -u"
is "who asked" 0 sh -c "journalctl -b -o json ZONE=web OPERATION=boot | jq -r '.CALLER_UID // empty' | sort -u"
is "one that is found by it" web sh -c "journalctl -b -o json UNIQID=$(field web .uniqid) | jq -r .ZONE | sort -u"
has "the fields are known to it" '^ZONE$' journalctl --fields
ok "as much as usual from now on" zoneadm -z web log --level info

title "By systemctl"
ok stop systemctl stop zone@web
is "web" installed state web
finds "its init was asked to" 'Zone (halted|shutting down)' log web
is "what it depends on runs on" running state db
ok "start" systemctl start zone@web
is "web" running state web
uniqid=$(field web .uniqid)
ok restart systemctl restart zone@web
ok "it was booted anew" another web "$uniqid"
is "the unit" active systemctl is-active zone@web
ok "start of one that was booted by the other" systemctl start zone@db

title "By hand"
is "systemd does not know it yet" inactive systemctl is-active zone@hand
ok "boot by hand" zoneadm -z hand boot
ok "is active for systemd" unit_is hand active
ok "halt by hand" zoneadm -z hand halt
ok "is inactive" unit_is hand inactive
ok boot zoneadm -z hand boot
ok "active" unit_is hand active
uniqid=$(field hand .uniqid) process=$(unit hand MainPID)
zlogin hand reboot
until_is 60 yes sh -c "zoneadm -z hand list -v --json | jq -e '.[0] | .state == \"running\" and .uniqid != \"$uniqid\"' > /dev/null && echo yes"
ok "rebooted from inside" another hand "$uniqid"
ok "machined knows the other first process" until_is 20 "$(field hand .pid)" leader hand
is "its unit has not noticed" "active $process" sh -c 'echo $(systemctl is-active zone@hand) $(systemctl show -P MainPID zone@hand)'
ok "halted and booted, the unit may be at its end just then" again_and_again hand
zlogin hand poweroff
ok "after a power-off from inside" unit_is hand inactive
ok "machined has forgotten it" until_is 20 none leader hand
is hand installed state hand
ok "boot by hand" zoneadm -z hand boot
ok "active" unit_is hand active
ok "systemctl stop" systemctl stop zone@hand
is "hand" installed state hand
ok "boot by hand, and what it depends on stays down" sh -c 'zonecfg -z hand "set depends=bad" && zoneadm -z hand boot'
ok "active" unit_is hand active
ok "nothing else was started" settled

title "Whatever becomes of a unit, the zone goes on"
pid=$(field web .pid) hand=$(field hand .pid)
ok "our units start again" systemctl restart zones.service zones.target
ok "daemon-reload, daemon-reexec" sh -c 'systemctl daemon-reload && systemctl daemon-reexec'
is "the zone has not noticed" "$pid" field web .pid
is "nor one that was booted by hand" "$hand" field hand .pid
ok "machined knows it" until_is 20 "$pid" leader web
ok "and after a start of its own" systemctl restart systemd-machined
is "the same" "$pid" leader web
is "both are active" "active active" sh -c 'echo $(systemctl is-active zone@web zone@hand)'
ok "kill -9 of the unit's process" die "$(unit web MainPID)"
ok "its unit has failed" unit_is web failed
ok "machined has forgotten it" until_is 20 none leader web
is "the zone runs" "$pid" field web .pid
ok "a failed unit is stopped" systemctl stop zone@web
is "the zone runs" "$pid" field web .pid
ok "started" systemctl start zone@web
is "active, and the same zone" "active $pid" sh -c 'echo $(systemctl is-active zone@web) $(zoneadm -z web list -v --json | jq .[0].pid)'
ok "machined knows it again" until_is 20 "$pid" leader web
ok "systemctl kill" systemctl kill zone@web
ok "inactive" unit_is web inactive
is "the zone runs" "$pid" field web .pid
ok "kill -9 of its daemon, and a command" sh -c "kill -9 $(daemon web); zoneadm -z web boot"
ok "the next daemon tells systemd" unit_is web active
ok "units of systemd's own are reset" systemctl reset-failed

title "zsched is killed when no daemon is there"
cp /etc/zones/zones.toml /tmp/zones.toml
echo 'daemon-idle = 0' >> /etc/zones/zones.toml
ok "its daemon is killed" die "$(daemon web)"
ok "the next one" zoneadm -z web boot
ok "leaves" until_is 30 "" served_by web
zsched=$(field web .zsched.pid)
ok "kill -9 of zsched" die "$zsched"
ok "its unit has somebody start another" until_is 30 yes sh -c "zoneadm -z web list --json | jq -e '.[0].zsched.pid | . != null and . != $zsched' > /dev/null && echo yes"
is "the same zone" "running $pid" field web '|.state + " " + (.pid | tostring)'
ok "without a daemon again" until_is 30 "" served_by web
is "its unit" active systemctl is-active zone@web
mv /tmp/zones.toml /etc/zones/zones.toml
mkdir -p /etc/systemd/logind.conf.d
printf '[Login]\nKillUserProcesses=yes\nKillExcludeUsers=\n' > /etc/systemd/logind.conf.d/kill.conf
systemctl restart systemd-logind
ok halt zoneadm -z hand halt
ok "boot in a login session" systemd-run --quiet --wait --collect -p PAMName=login zoneadm -z hand boot
ok "sessions are over" until_is 20 "" sh -c 'loginctl --no-legend list-sessions | grep -v closing'
is "logged out, and the zone runs" running state hand
ok "active" unit_is hand active

title "Boots and halts in a row"
zoneadm -z hand halt
for _ in 1 2 3 4; do zoneadm -z hand boot && zoneadm -z hand halt; done > /dev/null 2>&1
ok "systemd has nothing more to do" settled
is "what was halted stays so" installed state hand
ok "and is not active" until_is 20 no sh -c 'if systemctl --quiet is-active zone@hand; then echo yes; else echo no; fi'
for _ in 1 2 3 4; do zoneadm -z hand halt; zoneadm -z hand boot; done > /dev/null 2>&1
ok "systemd has nothing more to do" settled
is "what was booted stays so" running state hand
ok "and is active" unit_is hand active
systemctl reset-failed

title "machined, and others"
ok "machinectl terminate" machinectl terminate hand
ok "is the stop of its unit" unit_is hand inactive
is "hand" installed state hand
systemd-run --quiet --unit=other sleep 1000
ok "somebody else has a machine of its name" busctl -q call org.freedesktop.machine1 /org/freedesktop/machine1 org.freedesktop.machine1.Manager \
    RegisterMachine sayssus hand 0 other container "$(systemctl show -P MainPID other)" /
ok boot zoneadm -z hand boot
ok active unit_is hand active
ok "is told of" until_is 20 yes sh -c "journalctl -b -u zone@hand | grep -q \"does not know zone 'hand': .*exists\" && echo yes"
ok halt zoneadm -z hand halt
ok inactive unit_is hand inactive
is "theirs stays theirs" "$(systemctl show -P MainPID other)" leader hand
systemctl stop other
ok "a machined that is not to run" sh -c 'systemctl stop systemd-machined && systemctl mask systemd-machined'
ok boot zoneadm -z hand boot
ok active unit_is hand active
pid=$(field hand .pid)
for process in "$(unit hand MainPID)" "$(daemon hand)" "$(field hand .zsched.pid)"; do kill -9 "$process"; done
ok "one that runs again" sh -c 'systemctl unmask systemd-machined && systemctl start zone@hand'
ok "knows a zone of which all of ours were killed" until_is 20 "$pid" leader hand
for process in "$(unit hand MainPID)" "$(daemon hand)" "$(field hand .zsched.pid)"; do kill -9 "$process"; done
ok "and its init" die "$pid"
ok "it has forgotten it" until_is 20 none leader hand
is "nor is it up" installed sh -c 'zoneadm -z hand halt > /dev/null 2>&1; zoneadm list -cp | cut -d: -f2,3 | sed -n s/^hand://p'

title "A cgroup of before"
# Where a version had it that did not look whether systemd runs.
ok boot unshare --mount sh -c 'mount -t tmpfs none /run/systemd && zoneadm -z hand boot'
pid=$(field hand .pid)
has "is another" '^0::/zones/hand/zone$' cat "/proc/$pid/cgroup"
ok "kill -9 of its daemon" die "$(daemon hand)"
ok "it is found" zoneadm -z hand boot
is "the same" "running $pid" field hand '|.state + " " + (.pid | tostring)'
ok halt zoneadm -z hand halt
is "it is gone" "" find /sys/fs/cgroup -path '*/zones/*' -name zone
ok "and its daemon, which was beside it" until_is 60 "" served_by hand
ok boot zoneadm -z hand boot
ok active unit_is hand active
has "now it is the usual one" '^0::/zones.units.slice/zone@hand.service/zone$' cat "/proc/$(field hand .pid)/cgroup"
systemctl reset-failed

title "The host goes down"
# Only then does the service take down what systemd has not booted; the host says so of itself here.
mkdir /tmp/going && printf '#!/bin/sh\necho stopping\n' > /tmp/going/systemctl && chmod 755 /tmp/going/systemctl
mount --bind /tmp/going/systemctl "$(readlink -f "$(command -v systemctl)")"
ok "one whose init does not react" kill -STOP "$(field hand .pid)"
begun=$(date +%s)
ok "zones-host end" /usr/libexec/zones/zones-host end
echo "      $(($(date +%s) - begun)) s"
umount "$(readlink -f "$(command -v systemctl)")"
for zone in hand web db first late; do is "$zone" installed state "$zone"; ok "$zone is inactive" unit_is "$zone" inactive; done

title "The time is over"
# Three quarters of it are for an end in order, which one whose init does nothing has not come to by then; whatever its own timeout.
printf 'shutdown-time = 12\n' > /etc/zones/zones.toml
ok "a timeout of its own that is longer" zonecfg -z hand 'set shutdown-timeout=600'
ok boot zoneadm -z hand boot
ok active unit_is hand active
ok "one whose init does not react" kill -STOP "$(field hand .pid)"
ok "as the host begins to go down" /usr/libexec/zones/zones-host begin
has "it has three quarters of the time, not its own" 'did not shut down within [0-9] seconds; halting it' /usr/libexec/zones/zones-host shutdown
is "and was halted" installed state hand
finds "its console says so" 'Zone halted' log hand
ok inactive unit_is hand inactive
ok boot zoneadm -z hand boot
ok active unit_is hand active
ok "a time of long ago" sh -c 'echo 0.001 > /run/zones/.going-down'
ok "who takes down all has his own" /usr/libexec/zones/zones-host shutdown
is "hand" installed state hand
ok inactive unit_is hand inactive
ok boot zoneadm -z hand boot
ok active unit_is hand active
mount --bind /tmp/going/systemctl "$(readlink -f "$(command -v systemctl)")"
ok "whose turn does not come within the host's is halted all the same" /usr/libexec/zones/zones-host end
umount "$(readlink -f "$(command -v systemctl)")"
is "hand" installed state hand
ok inactive unit_is hand inactive
printf 'parallelism = 2\nshutdown-time = 40\n' > /etc/zones/zones.toml

title "Without systemd"
# As /etc/init.d/zones has it.
rm -f /var/lib/zones/db/root/tmp/is-ready
ok "all in their order" /usr/libexec/zones/zones-host begin
no "boot, and the one that cannot" "zone 'bad' has not booted" /usr/libexec/zones/zones-host boot
for zone in late web db first; do is "$zone" running state "$zone"; done
is "hand" installed state hand
booted() { grep -n "zone '$1'\] boot asked" /tmp/asked | tail -1 | cut -d: -f1; }
journalctl -b -t zoneadmd -o cat > /tmp/asked
ok "first before db before web before late" test "$(booted first)" -lt "$(booted db)" -a "$(booted db)" -lt "$(booted web)" -a "$(booted web)" -lt "$(booted late)"
ok "db was ready before" sh -c "test \"\$(zlogin db stat -c %Y /tmp/is-ready)\" -le \"\$(zoneadm -z web list -v --json | jq .[0].since)\""
begun=$(date +%s%N)
ok "shutdown" /usr/libexec/zones/zones-host shutdown
echo "      $((($(date +%s%N) - begun) / 1000000)) ms for four idle zones, one after another"
for zone in late web db first; do is "$zone" installed state "$zone"; ok "$zone is inactive" unit_is "$zone" inactive; done
rm -f /etc/zones/zones.toml

title "One that ends before it is ready"
printf '#!/bin/sh\nwhile :; do sleep 1; done\n' > /var/lib/zones/db/root/etc/rc
ok boot zoneadm -z db boot
ok "its unit waits until it is ready" unit_is db activating
ok halt zoneadm -z db halt
ok "and no longer than it runs" unit_is db inactive
ok boot zoneadm -z db boot
ok "its unit waits" unit_is db activating
ok "and can be stopped meanwhile" systemctl stop zone@db
is "nobody waits on" "" sh -c 'cat /sys/fs/cgroup/system.slice/system-zone.slice/zone@db.service/cgroup.procs 2>/dev/null'
is "which takes the zone down" installed state db
ok "and is no failure" unit_is db inactive
ok "a start that waits" systemctl start --no-block zone@db
ok "its zone runs" until_is 20 running state db
ok "and is waited for" unit_is db activating
ok "its process can be killed" systemctl kill --kill-who=main zone@db
ok "and the unit has failed" unit_is db failed
is "which does nothing to the zone" running state db
ok halt zoneadm -z db halt
systemctl reset-failed
ok "a start that waits, once more" systemctl start --no-block zone@db
ok "and is called off at once" systemctl stop zone@db
ok "is no failure" unit_is db inactive
is "and leaves no zone" installed state db

title "A service that starts again"
ok "a start that comes next" /usr/libexec/zones/zones-host begin
no "a zone that there is not" '' systemctl start zone@nobody

title "The end"
for zone in late web db first bad hand; do
    ok "uninstall $zone" zoneadm -z "$zone" uninstall -F
    ok "delete $zone" zonecfg -z "$zone" delete -F
done
no_units zones.target
nothing_left
the_end
