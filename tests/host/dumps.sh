#!/bin/bash
# Lets processes of zones crash on a host whose core dumps go to a program, and looks whether it is started.
#
#   dumps.sh PROGRAMS
#
# PROGRAMS is the folder of the programs. kernel.core_pattern is the whole machine's, so this belongs into a virtual machine that is
# thrown away. Needs jq and python3. Ends with the count; each failure is printed where it stands.
set -u
. "$(dirname "$0")/common.sh"
PATH=$1:$PATH

started=/run/dumps.started
printf '#!/bin/sh\ncat >/dev/null\necho "$@" >> %s\n' "$started" > /run/dumps.handler
chmod 755 /run/dumps.handler
count() { cat "$started" 2>/dev/null | wc -l; }
crash='kill -SEGV $$'
python='import os, resource, signal; resource.setrlimit(resource.RLIMIT_CORE, (0, 0)); os.kill(os.getpid(), signal.SIGSEGV)'

the_host

title "A program of the host's takes core dumps"
echo "|/run/dumps.handler %P" > /proc/sys/kernel/core_pattern
ok create zonecfg -z web 'create; set brand=sparse'
ok install zoneadm -z web install
ok boot zoneadm -z web boot
bash -c "ulimit -c unlimited; $crash" 2>/dev/null
ok "a crash of the host's own starts it" until_is 10 1 count
zlogin web sh -c "$crash" >/dev/null 2>&1
zlogin web sh -c "ulimit -c 0; $crash" >/dev/null 2>&1
zlogin web sh -c "ulimit -S -c 0; $crash" >/dev/null 2>&1
ok "the limit can be set, and stays" zlogin web python3 -c 'import resource as r; r.setrlimit(r.RLIMIT_CORE, (0, 0)); assert r.getrlimit(r.RLIMIT_CORE) == (1, 1)'
ok "others can" zlogin web python3 -c 'import resource as r; r.setrlimit(r.RLIMIT_NOFILE, (9, 9)); assert r.getrlimit(r.RLIMIT_NOFILE) == (9, 9)'
zlogin web python3 -c "$python" >/dev/null 2>&1
zlogin web prlimit --core=0:0 sh -c "$crash" >/dev/null 2>&1
sleep 2
is "no crash in the zone has started it" 1 count

title "Core dumps are files"
echo core > /proc/sys/kernel/core_pattern
ok reboot zoneadm -z web reboot
zlogin web sh -c "mkdir /tmp/d && cd /tmp/d && ulimit -c unlimited; $crash" >/dev/null 2>&1
is "one is in the zone" 1 zlogin web sh -c 'ls /tmp/d | grep -c core'
is "the program was not started" 1 count
ok halt zoneadm -z web halt
ok uninstall zoneadm -z web uninstall -F
ok delete zonecfg -z web delete -F
nothing_left
the_end
