#!/bin/bash
# Has users who are not root administer and enter zones, by the socket that systemd holds, and reads in the host's audit what
# they and root did.
#
#   rights.sh PROGRAMS
#
# PROGRAMS is the folder of the programs; what is to be installed with them is in `packaging` beside it. Users are made on the
# host, so this belongs into a virtual machine that is thrown away.
set -u
. "$(dirname "$0")/common.sh"
as() { # USER COMMAND...: in a login of the user's, as audit counts them
    local user=$1; shift
    sh -c 'uid=$(id -u "$1"); echo "$uid" > /proc/self/loginuid; user=$1; shift; exec runuser -u "$user" -- "$@"' sh "$user" "$@"
}
control() { ausearch -m "${2:-VIRT_CONTROL}" -i 2>/dev/null | grep -E "$1" | tail -1; }

the_host

installation "$1"
has "the group" '^zones:' getent group zones
is "the socket" active systemctl is-active zone-access.socket
is "nobody serves before somebody calls" inactive systemctl is-active zone-access.service
is "everybody may connect" 666 stat -c %a /run/zone-access
for user in manny logan rita nick; do useradd -m "$user"; done
gpasswd -a rita zones > /dev/null

title "What they may"
ok "configured" zonecfg -z web "create; set brand=sparse; set max-processes=200; add capped-memory; set physical=200M; end
    add admin; set user=manny; set auths=manage; end; add admin; set user=logan; set auths=login; end"
ok "installed" zoneadm -z web install
ok "verified" zoneadm -z web verify
ok "boot" as manny zoneadm -z web boot
is "by the service" active systemctl is-active zone-access.service
is "login" 0 as logan zlogin web id -u
is "login without a right" 1 sh -c 'runuser -u nick zlogin web true 2>/dev/null; echo $?'
has "list" ':web:running:' as rita zoneadm list -p
no "halt" 'User logan is not authorized to halt this zone' as logan zoneadm -z web halt
no "uninstall" 'only a privileged user may uninstall' as manny zoneadm -z web uninstall -F
no "the sockets of root" 'Permission denied' runuser -u manny -- ls /run/zones/
ok "a session of logan's" sh -c 'runuser -u logan -- zlogin web sleep 1000 > /dev/null 2>&1 & sleep 2'
served=$(systemctl show -P MainPID zone-access.service)
ok "the service starts anew, as an upgrade has it" systemctl try-restart zone-access.service
no "by another process" '' kill -0 "$served"
ok "and the session stays" zlogin web pgrep -x sleep
ok "the service goes" systemctl stop zone-access.service
ok "and the session stays" zlogin web pgrep -x sleep
is "the socket starts it again" 0 as logan zlogin web id -u
zlogin web pkill -x sleep
ok "a member no more" gpasswd -d rita zones
has "sees no more" 'only root and members of the group' runuser -u rita -- zoneadm list
ok "masked" systemctl mask --now zone-access.socket
no "and nobody is served" 'only a privileged user may halt' as manny zoneadm -z web halt
ok "unmasked" sh -c 'systemctl unmask zone-access.socket && systemctl start zone-access.socket'

title "What the audit has"
if auditctl -s > /dev/null 2>&1 && [ "$(systemctl is-active auditd)" = active ]; then
    uuid=$(zoneadm list -cp | sed -n 's/^[^:]*:web:[^:]*:[^:]*:\([^:]*\):.*/\1/p') pid=$(field web .pid)
    finds "install" "op=install .*vm=web uuid=$uuid .*res=success" control 'op=install'
    finds "boot, of whom" "op=start reason=booted vm=web uuid=$uuid vm-pid=$pid sauid=manny suid=manny .*exe=.*zoneadmd .*res=success" control 'op=start'
    finds "who the zone is" "vm=web uuid=$uuid vm-pid=$pid" control vm=web VIRT_MACHINE_ID
    finds "its memory" 'resrc=mem reason=start old-mem=. new-mem=204800 ' control resrc=mem VIRT_RESOURCE
    finds "its processes" 'resrc=max-processes reason=start old-max-processes=. new-max-processes=200 ' control max-processes VIRT_RESOURCE
    finds "login" 'op=login reason=entered vm=web .*sauid=logan suid=logan .*res=success' control 'op=login.*logan.*success'
    finds "refused" 'op=halt reason=denied vm=web .*sauid=logan suid=logan .*res=failed' control 'op=halt'
    ok "console by who manages" sh -c 'timeout -s HUP 3 runuser -u manny -- zlogin -C web; [ $? -ne 1 ]'
    finds "console" 'op=console reason=attached vm=web .*suid=manny .*res=success' control op=console
    ok "console by root" sh -c 'timeout -s HUP 3 zlogin -C web; [ $? -ne 1 ]'
    finds "console of root's" "op=console reason=attached vm=web uuid=$uuid .*suid=root .*exe=.*zlogin .*res=success" control 'op=console.*suid=root'
    ok "apply" sh -c 'zonecfg -z web "set max-processes=300" && zoneadm -z web apply'
    finds "apply" 'op=apply reason=asked vm=web .*suid=root' control op=apply
    finds "the limit changed" 'resrc=max-processes reason=update old-max-processes=200 new-max-processes=300 ' control 'reason=update' VIRT_RESOURCE
    ok "halt" as manny zoneadm -z web halt
    finds "halt" 'op=stop reason=halted vm=web .*suid=manny .*res=success' control 'op=stop'
    zoneadm -z web boot; zlogin web poweroff; until_is 20 installed state web > /dev/null
    finds "its own end" 'op=stop reason=poweroff vm=web .*zone=1 .*res=success' control 'op=stop'
    finds "aureport" 'VIRT_CONTROL yes' sh -c 'aureport --virt -i'
    finds "auvirt" 'web' sh -c 'auvirt --all-events'
else
    skip "audit: this kernel has none"
    ok "halt" as manny zoneadm -z web halt
fi

title "The end"
ok "uninstall" zoneadm -z web uninstall -F
ok "delete" zonecfg -z web delete -F
systemctl stop zone-access.socket zone-access.service zones.target
# The unit hears of its zone's end a moment later.
until_is 20 "" systemctl --no-legend --plain list-units --state=active,activating,deactivating 'zone@*' > /dev/null
no_units
nothing_left
the_end
