#!/usr/bin/python3
"""Leads an installed zone through a life by its door: boot, ready, reboot, shutdown.

    pip install varlink
    life.py web

As root; ZONES_ROOT and the PATH, for zoneadmd, are those of the caller. Nothing of this project is used: the package
`varlink` reads the interface from the door itself. life.rs beside it does the same in Rust.
"""

import os
import subprocess
import sys

import varlink

INTERFACE = "org.zones.zoneadmd"


def until_ready(client, door):
    """Waits until the zone is ready, by the events of a second connection."""
    with client.open(INTERFACE) as other:
        events = (reply["event"] for reply in other.Monitor(_more=True))
        # The first event is the state at that moment: what becomes of it from then on is not missed.
        next(events)
        readiness = door.GetStatus()["status"].get("readiness")
        if readiness and readiness["state"] == "ready":
            return
        for event in events:
            if event["kind"] == "ready":
                return
            if event["kind"] == "exit":
                break
    raise SystemExit("it ended before it was ready")


def boot(zone, run_dir):
    """Starts the daemon and has it boot the zone."""
    # It returns when the daemon serves, and does nothing more where there is one.
    subprocess.run(["zoneadmd", "-z", zone], check=True)
    # The path of a socket is short: from its directory it always is.
    os.chdir(run_dir)
    client = varlink.Client(address="unix:door")
    with client.open(INTERFACE) as door:
        state = door.GetStatus()["status"]["state"]
        if state != "installed":
            raise SystemExit("it is %s, and has to be installed, and down" % state)
        replies = list(door.Boot(_more=True))
        steps = [reply["progress"] for reply in replies if reply.get("progress", {}).get("step")]
        print("it is %s, after %d steps" % (replies[-1]["result"]["state"], len(steps)))
    return client


def life(zone):
    root = os.environ.get("ZONES_ROOT", "/")
    run_dir = os.path.join(root, "run/zones", zone)
    for tries in range(10):
        try:
            client = boot(zone, run_dir)
            break
        except OSError:
            # The daemon of a zone that is down waits two seconds for its first operation, and then leaves.
            if tries == 9:
                raise
    with client.open(INTERFACE) as door:
        until_ready(client, door)
        print("it is ready")

        first = door.GetStatus()["status"]["uniqid"]
        door.Reboot(uniqid=first)
        # What was meant for the zone as it was does nothing to the zone as it is.
        try:
            door.Reboot(uniqid=first)
        except varlink.VarlinkError as error:
            if error.error() != INTERFACE + ".StaleUniqid":
                raise
            print("it was rebooted, once")
        else:
            raise SystemExit("a second reboot of the first incarnation was done")

        # The daemon leaves when the zone is down. How that ended is told before, to those who listen.
        with client.open(INTERFACE) as other:
            events = (reply["event"] for reply in other.Monitor(_more=True))
            next(events)
            result = door.Shutdown(timeout=30)["result"]
            exit = next(event["exit"] for event in events if event["kind"] == "exit")
        print("it is %s: %s" % (result["state"], exit["how"].capitalize()))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit("usage: life.py ZONE")
    life(sys.argv[1])
