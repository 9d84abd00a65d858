#!/bin/bash
# Gives a zone that runs other limits on a host with cgroup version 2, and looks whether the kernel holds it to them.
#
#   live.sh PROGRAMS
#
# PROGRAMS is the folder of the programs. The zones are the host's own, so this belongs into a virtual machine that is
# thrown away. Types the examples of docs/live.md, which is in `docs` beside that folder. Needs jq and python3. Ends with the count;
# each failure is printed where it stands.
set -u
. "$(dirname "$0")/common.sh"
PATH=$1:$PATH

zone_dir() { # the directory of the zone's own cgroup
    local dir; dir="/sys/fs/cgroup$(sed 's/^0:://' "/proc/$(field web .pid)/cgroup")"
    while [ "$(basename "$dir")" != zone ] && [ "$dir" != / ]; do dir=$(dirname "$dir"); done
    echo "$dir"
}
own() { cat "$(zone_dir)/$1"; }
beside() { cat "$(dirname "$(zone_dir)")/$1"; }
used() { own cpu.stat | awk '$1 == "usage_usec" {print $2}'; }
event() { own "$1" | awk -v name="$2" '$1 == name {print $2}'; }

the_host

title "Nothing is bound"
ok create zonecfg -z web 'create; set brand=sparse'
ok install zoneadm -z web install
ok boot zoneadm -z web boot
first=$(field web .pid)
is memory.max max own memory.max
is pids.max max own pids.max

title "What is configured is given"
has "commit says what the zone lacks" "'zoneadm -z web apply' gives it cpu-shares, max-lwps, capped-memory, capped-cpu" \
    zonecfg -z web 'set cpu-shares=400; set max-lwps=80; add capped-memory; set physical=96M; set swap=1M; end; add capped-cpu; set ncpus=0.5; end'
has "a trial tells it" 'Checking: Adding capped-memory' zoneadm -z web apply -n
is "and changes nothing" max own memory.max
has apply 'Applied the changes' zoneadm -z web apply
is memory.max $((96 << 20)) own memory.max
is memory.swap.max $((1 << 20)) own memory.swap.max
is cpu.max '50000 100000' own cpu.max
is pids.max 80 own pids.max
is cpu.weight 400 beside cpu.weight
is "it is the same zone" "$first" field web .pid

title "It binds"
before=$(event memory.events oom_kill)
ok "a memory hog is killed" bash -c "! zlogin web python3 -c 'x = bytearray(300 << 20)'"
ok "by the kernel, for the zone's limit" [ "$(event memory.events oom_kill)" -gt "$before" ]
has "a fork bomb is stopped" '[Cc]annot fork|Resource temporarily' zlogin web sh -c 'for i in $(seq 300); do sleep 20 & done'
sleep 21
from=$(used) start=$(date +%s%N); zlogin web timeout 10 sh -c 'while :; do :; done' >/dev/null 2>&1
to=$(used) took=$((($(date +%s%N) - start) / 1000))
echo "      $(((to - from) / 1000)) ms of CPU in $((took / 1000)) ms"
ok "a CPU hog is held to half a CPU, and a bit" [ $(((to - from) * 100)) -lt $((took * 65)) ]
ok "and throttled" [ "$(event cpu.stat nr_throttled)" -gt 0 ]

title "It is changed under what runs"
zlogin web python3 -c 'import time; x = bytearray(200 << 20); time.sleep(60)' >/tmp/hog 2>&1 & hog=$!
wait $hog
ok "200 MB do not fit" [ "$?" -ne 0 ]
has set 'Applied the changes' zoneadm -z web set capped-memory.physical=300m max-lwps=
is memory.max $((300 << 20)) own memory.max
is pids.max max own pids.max
is "what is configured is as it was" 'physical: 96M' sh -c "zonecfg -z web info capped-memory | grep -o 'physical: .*'"
ok "200 MB fit now" zlogin web python3 -c 'x = bytearray(200 << 20)'
has "the difference is told" 'Modifying capped-memory physical=96M' zoneadm -z web apply -n
is "by list, too" 96M sh -c "zoneadm -z web list --json | jq -r '.[0].differs[] | select(.property == \"physical\") | .to'"
has "the language edits what runs" 'Applied the changes' zonecfg -z web -r 'remove capped-cpu; set capped-memory:physical=64M; commit'
is cpu.max 'max 100000' own cpu.max
is memory.max $((64 << 20)) own memory.max
is "and shows it" 'physical: 64M' sh -c "zonecfg -z web -r info capped-memory | grep -o 'physical: .*'"
die "$(daemon web)"
has "the next daemon goes by it" 'Modifying capped-memory physical=96M' zoneadm -z web apply -n
has "as it is configured again" 'Applied the changes' zoneadm -z web apply
is memory.max $((96 << 20)) own memory.max
is cpu.max '50000 100000' own cpu.max
is pids.max 80 own pids.max

title "A limit below what is used"
ok "no limit of memory" zoneadm -z web set capped-memory.physical=
is memory.max max own memory.max
zlogin web python3 -c 'import time; x = bytearray(60 << 20); print("has it", flush=True); time.sleep(300)' >/tmp/holder 2>&1 & holder=$!
ok "a process has 60 MiB" bash -c "$(declare -f until_is); until_is 30 'has it' cat /tmp/holder"
no "less is refused, with what is held" 'is less than the [67][0-9] MiB that zone .web. holds' zoneadm -z web set capped-memory.physical=32M
is memory.max max own memory.max
ok "the process lives" kill -0 $holder
no "of shared memory, too" 'is less than the' bash -c "zlogin web dd if=/dev/zero of=/dev/shm/x bs=1M count=60 2>/dev/null; zoneadm -z web set capped-memory.physical=100M"
ok "it goes" zlogin web rm /dev/shm/x
ok "120 MiB of a file are in memory" zlogin web sh -c 'dd if=/dev/zero of=/var/tmp/x bs=1M count=120 conv=fsync 2>/dev/null; cat /var/tmp/x > /dev/null'
start=$(date +%s%N); ok "which can be given back" zoneadm -z web set capped-memory.physical=96M
echo "      $((($(date +%s%N) - start) / 1000)) us for an apply that frees"
is memory.max $((96 << 20)) own memory.max
ok "the process lives" kill -0 $holder
zlogin web pkill -f 'x = bytearray'; wait $holder
ok "then less can be had" zoneadm -z web set capped-memory.physical=32M
ok "the file goes" zlogin web rm /var/tmp/x
ok "as it is configured" zoneadm -z web apply

title "What somebody has undone is mended"
ok "a bound is taken away by hand" sh -c "echo max > $(zone_dir)/memory.max"
ok apply zoneadm -z web apply
is memory.max $((96 << 20)) own memory.max

title "What is configured no more is taken away"
ok clear zonecfg -z web 'remove capped-memory; remove capped-cpu; clear cpu-shares; clear max-lwps'
start=$(date +%s%N); zoneadm -z web apply -q; echo "      $((($(date +%s%N) - start) / 1000)) us for an apply"
# What it takes inside the daemon, by its own clock, step by step: for docs/performance.md.
ask='import json, socket, subprocess, statistics, sys
took = []
for n in range(15):
    subprocess.run(["zonecfg", "-z", "web", f"set max-lwps={1000 + n}"], check=True, capture_output=True)
    door = socket.socket(socket.AF_UNIX); door.connect("/run/zones/web/door")
    door.sendall(json.dumps({"method": "org.zones.zoneadmd.Apply", "parameters": {}}).encode() + b"\0")
    text = b""
    while not text.endswith(b"\0"): text += door.recv(65536)
    reply = json.loads(text.split(b"\0")[-2])
    steps = {step["name"]: step["usec"] for step in reply["parameters"]["result"]["timings"]}
    took.append((sum(steps.values()), steps))
took.sort(key=lambda one: one[0])
print(took[len(took) // 2])'
has "one limit is given" '^\([0-9]+, ' python3 -c "$ask"
ok "no such limit configured" zonecfg -z web 'clear max-lwps'
ok "no such limit" zoneadm -z web set max-lwps=
is memory.max max own memory.max
is memory.swap.max max own memory.swap.max
is cpu.max 'max 100000' own cpu.max
is cpu.weight 100 beside cpu.weight
is pids.max max own pids.max
is "it is the same zone still" "$first" field web .pid
ok "a boot gives it the same" zoneadm -z web reboot
is memory.max max own memory.max

title "The end"
ok halt zoneadm -z web halt
ok uninstall zoneadm -z web uninstall -F
ok delete zonecfg -z web delete -F

examples "$1/../docs/live.md" 2 web_goes
ip link delete br0 2>/dev/null
is "no cgroup is left" '' find /sys/fs/cgroup -type d -path '*zones*/*web*'
the_end
