#!/bin/bash
# Holds zones to their limits on a host with cgroup version 2, and looks whether the kernel does.
#
#   limits.sh PROGRAMS
#
# PROGRAMS is the folder of the programs. The zones are the host's own, so this belongs into a virtual machine that is
# thrown away. Types the examples of docs/limits.md, which is in `docs` beside that folder. Needs jq, python3 and lxcfs. Ends with the count;
# each failure is printed where it stands.
set -u
. "$(dirname "$0")/common.sh"
PATH=$1:$PATH

own() { # ZONE FILE: one of the kernel's files of the zone's own cgroup
    local dir; dir="/sys/fs/cgroup$(sed 's/^0:://' "/proc/$(field "$1" .pid)/cgroup")"
    # A login and an init of systemd's are in a cgroup below it.
    while [ "$(basename "$dir")" != zone ] && [ "$dir" != / ]; do dir=$(dirname "$dir"); done
    cat "$dir/$2"
}
beside() { local dir; dir="/sys/fs/cgroup$(sed 's/^0:://' "/proc/$(field "$1" .pid)/cgroup")"
    while [ "$(basename "$dir")" != zone ] && [ "$dir" != / ]; do dir=$(dirname "$dir"); done
    cat "$(dirname "$dir")/$2"; }
used() { own "$1" cpu.stat | awk '$1 == "usage_usec" {print $2}'; }

the_host

title "What is written"
ok create zonecfg -z web 'create; set brand=sparse; set cpu-shares=400; set max-lwps=80;
    set max-shm-memory=1M; set max-shm-ids=2; set max-msg-ids=3; set max-sem-ids=4;
    add capped-memory; set physical=96M; set swap=1M; set locked=3M; end; add capped-cpu; set ncpus=0.5; end'
ok install zoneadm -z web install
ok verify zoneadm -z web verify
ok boot zoneadm -z web boot
is memory.max $((96 << 20)) own web memory.max
is memory.high $((93 << 20)) own web memory.high
is memory.swap.max $((1 << 20)) own web memory.swap.max
is cpu.max '50000 100000' own web cpu.max
is pids.max 80 own web pids.max
is cpu.weight 400 beside web cpu.weight
ok "a second zone, without limits" bash -c "zonecfg -z free 'create; set brand=sparse' && zoneadm -z free install && zoneadm -z free boot"
is "its memory.max" max own free memory.max
is "its cpu.weight" 100 beside free cpu.weight
ok "the zone's root cannot change them" zlogin web sh -c '! sh -c "echo max > /sys/fs/cgroup/memory.max" 2>/dev/null && ! sh -c "echo max > /sys/fs/cgroup/pids.max" 2>/dev/null'

listen='import json, socket, sys
door = socket.socket(socket.AF_UNIX); door.connect("/run/zones/web/door")
door.sendall(json.dumps({"method": "org.zones.zoneadmd.Monitor", "more": True}).encode() + b"\0")
text = b""
while True:
    *whole, text = (text + door.recv(65536)).split(b"\0")
    for event in (json.loads(one)["parameters"]["event"] for one in whole):
        print(event["kind"], event.get("process"), event.get("bytes", 0) >> 20, flush=True)
        if event["kind"] == "oom_kill": sys.exit()'
told() { grep -c 'out of memory: the kernel has killed process [0-9]* (python3), which had [0-9]* MiB of the 96 MiB' \
    /var/log/zones/web.console.log; }

title "What binds"
timeout 60 python3 -c "$listen" > /tmp/events & monitor=$!
ok "somebody monitors" until_is 30 1 grep -c '^state' /tmp/events
before=$(own web memory.events | awk '$1 == "oom_kill" {print $2}')
ok "a memory hog is killed" bash -c "! zlogin web python3 -c 'x = bytearray(300 << 20)'"
ok "by the kernel, for the zone's limit" [ "$(own web memory.events | awk '$1 == "oom_kill" {print $2}')" -gt "$before" ]
is "the zone runs on" running state web
wait $monitor
# What it had counts the libraries that it shares with the host, too: a little more than the bound, perhaps.
has "who monitors is told who it was" '^oom_kill python3 ([89][0-9]|1[01][0-9])$' cat /tmp/events
is "so is the console" 1 told
is "and whoever lists" 1 field web .limits.oom_kills
has "also for people" '1 process killed for want of memory' zoneadm list -v
is "limits are listed" '100663296 1048576 80 0.5 400' bash -c "$(declare -f field); field web ' | .limits | [.memory.limit, .swap.limit, .lwps.limit, .cpu.limit, .cpu.shares] | map(tostring) | join(\" \")'"
ok "its daemon is killed" die "$(daemon web)"
ok "another hog" bash -c "! zlogin web python3 -c 'x = bytearray(300 << 20)'"
is "nobody tells" 1 told
has "the next daemon" 'already booted' zoneadm -z web boot
ok "tells" bash -c "$(declare -f told until_is); until_is 30 2 told"
ok "once" bash -c "zoneadm -z web renew-daemon && zoneadm -z web boot; $(declare -f told); [ \$(told) = 2 ]"
is "the other too" here zlogin free echo here
has "a fork bomb is stopped" '[Cc]annot fork|Resource temporarily' zlogin web sh -c 'for i in $(seq 300); do sleep 20 & done'
ok "at its bound" [ "$(own web pids.events | awk '$1 == "max" {print $2}')" -gt 0 ]
is "the other zone still forks" here zlogin free sh -c 'sleep 0.1 & wait; echo here'
sleep 21
from=$(used web); zlogin web timeout 10 sh -c 'while :; do :; done' >/dev/null 2>&1; to=$(used web)
echo "      $(((to - from) / 1000)) ms of CPU in 10 s"
ok "a CPU hog is held to half a CPU" [ $((to - from)) -lt 6500000 ]
ok "and throttled" [ "$(own web cpu.stat | awk '$1 == "nr_throttled" {print $2}')" -gt 0 ]

title "Locked memory and IPC"
lock='import ctypes, mmap, sys; m = mmap.mmap(-1, 8 << 20); a = ctypes.addressof(ctypes.c_char.from_buffer(m))
sys.exit(ctypes.CDLL(None).mlock(ctypes.c_void_p(a), int(sys.argv[1]) << 20) != 0)'
ok "a process locks 2 MiB" zlogin web python3 -c "$lock" 2
no "and not 4" '' zlogin web sh -c "python3 -c '$lock' 4 || { echo refused >&2; exit 1; }"
has "nor raises its limit" 'not permitted' zlogin web prlimit --memlock=8388608 true
is "init has it, too" 3145728 zlogin web awk '/Max locked memory/ {print $4}' /proc/1/limits
most() { zlogin "$1" sh -c "n=0; while [ \$n -lt 20 ] && ipcmk $2 >/dev/null 2>&1; do n=\$((n+1)); done; echo \$n"; }
is "message queues" 3 most web -Q
is "sets of semaphores" 4 most web '-S 1'
is "shared memory segments" 2 most web '-M 4096'
ok "they are removed" zlogin web ipcrm -a
ok "700000 bytes of shared memory" zlogin web ipcmk -M 700000
no "not twice as much" 'No space left' zlogin web ipcmk -M 700000
no "no other IPC namespace is made" 'No space left' zlogin web unshare --ipc true
no "no limit is lifted" '' zlogin web sh -c 'echo 99 > /proc/sys/kernel/shmmni'
is "the other zone has none" 20 most free '-M 4096'

title "What limits cost a boot"
boots() { # ZONE: the median of the step "cgroup" of a boot, by the daemon's own clock, in microseconds
    local n; for n in 1 2 3 4 5 6 7; do
        zoneadm -z "$1" halt && zoneadm -z "$1" boot --timings --json | jq -r '.steps[] | select(.step == "cgroup") | .usec'
    done 2>/dev/null | sort -n | sed -n 4p
}
floor='import os, statistics, time
took = []
for n in range(15):
    since = time.perf_counter_ns()
    os.mkdir("/sys/fs/cgroup/floor")
    for name, text in (("memory.max", "100663296"), ("memory.high", "97517568"), ("memory.swap.max", "1048576"), ("cpu.max", "50000 100000"), ("pids.max", "80"), ("cpu.weight", "400")):
        fd = os.open("/sys/fs/cgroup/floor/" + name, os.O_WRONLY); os.write(fd, text.encode()); os.close(fd)
    took.append((time.perf_counter_ns() - since) // 1000)
    os.rmdir("/sys/fs/cgroup/floor")
print(int(statistics.median(took)))'
echo "      step cgroup: with all limits $(boots web) us, without $(boots free) us; a floor that makes a cgroup and writes the same files: $(python3 -c "$floor") us"

title "Processes"
ok "processes are counted with their threads" bash -c "zonecfg -z web 'set max-processes=40' && zoneadm -z web reboot"
is pids.max 40 own web pids.max

title "Disks"
disk=$(findmnt -no SOURCE /)
if [ -e "$(dirname "$(find /sys/fs/cgroup -path '*zones*web*/zone/memory.max')")/io.max" ]; then
    direct() { local since=$(date +%s%N); zlogin web dd if=/dev/zero of=/var/tmp/x bs=64k count="$1" oflag=direct 2>&1 || return
        echo $((($(date +%s%N) - since) / 1000000)); }
    ok "a limit for $disk" bash -c "zonecfg -z web 'add io; set device=$disk; set write-bandwidth=1M; end' && zoneadm -z web apply"
    has io.max 'wbps=1048576' own web io.max
    took=$(direct 80 | tail -1); echo "      5 MiB in $took ms"
    ok "a writer is held to its bandwidth" [ "$took" -gt 3500 ]
    # Through the page cache: the kernel's flusher writes, and knows whose it is.
    cached() { local since=$(date +%s%N); zlogin web dd if=/dev/zero of=/var/tmp/y bs=64k count=80 conv=fsync 2>&1 || return
        echo $((($(date +%s%N) - since) / 1000000)); }
    took=$(cached | tail -1); echo "      5 MiB by the page cache in $took ms"
    ok "so is one by the page cache" [ "$took" -gt 3500 ]
    reads() { local since=$(date +%s%N); zlogin web dd if=/var/tmp/x of=/dev/null bs=64k count="$1" iflag=direct 2>&1 || return
        echo $((($(date +%s%N) - since) / 1000000)); }
    ok "a limit of what is read" bash -c "zonecfg -z web 'select io device=$disk; clear write-bandwidth; set read-bandwidth=1M; end' && zoneadm -z web apply"
    has io.max 'rbps=1048576 wbps=max' own web io.max
    took=$(reads 80 | tail -1); echo "      5 MiB in $took ms"
    ok "a reader is held to its bandwidth" [ "$took" -gt 3500 ]
    ok "limits of requests" bash -c "zonecfg -z web 'select io device=$disk; clear read-bandwidth; set read-iops=20; set write-iops=20; end' && zoneadm -z web apply"
    has io.max 'riops=20 wiops=20' own web io.max
    took=$(reads 80 | tail -1); echo "      80 reads in $took ms"
    ok "a reader is held to so many requests" [ "$took" -gt 2500 ]
    took=$(direct 80 | tail -1); echo "      80 writes in $took ms"
    ok "a writer, too" [ "$took" -gt 2500 ]
    ok "no more" bash -c "zonecfg -z web 'remove io' && zoneadm -z web apply"
    is io.max '' own web io.max
    took=$(direct 80 | tail -1); echo "      5 MiB in $took ms"
    ok "and then not" [ "$took" -lt 3000 ]
else
    skip "disks: this kernel has no io.max"
fi
no "what is no disk" 'no block device' bash -c "zonecfg -z web 'add io; set device=/dev/null; set write-iops=5; end' && zoneadm -z web apply"
ok "goes again" zonecfg -z web 'remove io'

title "Shares"
ok "the cap goes with the next boot" bash -c "zonecfg -z web 'remove capped-cpu' && zoneadm -z web reboot"
is cpu.max 'max 100000' own web cpu.max
hog='for i in 1 2 3 4; do (timeout 40 sh -c "while :; do :; done") & done; wait'
more() { [ "$(used "$1")" -gt "$(($2 + 2000000))" ] && echo more; } # ZONE SINCE: two seconds of CPU have gone by
a=$(used web) b=$(used free)
zlogin web sh -c "$hog" >/dev/null 2>&1 & zlogin free sh -c "$hog" >/dev/null 2>&1 &
ok "both run" bash -c "$(declare -f own beside used field more until_is); until_is 60 more more web $a && until_is 60 more more free $b"
a=$(used web) b=$(used free); sleep 10; a=$(($(used web) - a)) b=$(($(used free) - b))
wait
echo "      web $((a / 1000)) ms, free $((b / 1000)) ms"
ok "400 shares beside 100 are more than twice as much" [ "$a" -gt $((b * 2)) ]

title "The end"
for zone in web free; do
    ok "halt $zone" zoneadm -z $zone halt
    ok "uninstall $zone" zoneadm -z $zone uninstall -F
    ok "delete $zone" zonecfg -z $zone delete -F
done

ok "lxcfs is there" systemctl start lxcfs
examples "$1/../docs/limits.md" 3 web_goes
ok "lxcfs goes" systemctl stop lxcfs
is "no cgroup is left" '' find /sys/fs/cgroup -type d -path '*zones*/*web*' -o -type d -path '*zones*/*free*'
the_end
