"""Speaks to a door with the `varlink` package from PyPI, which knows nothing of this project.

Usage: varlink_client.py SOCKET
The daemon behind SOCKET is the tests' own. Prints "ok" and exits 0 if every answer is as the interface says.
"""

import json
import sys

import varlink

INTERFACE = "org.zones.zoneadmd"


def main(path):
    client = varlink.Client(address="unix:" + path)
    info = client.get_interfaces()
    assert INTERFACE in info, info

    # Parses the interface file with this package's own grammar.
    interface = client.get_interface(INTERFACE)
    for name in ("Ready", "Boot", "Reboot", "Halt", "Shutdown", "NoteUninstalling", "Apply", "GetStatus", "Monitor"):
        interface.get_method(name)

    with client.open(INTERFACE) as door:
        status = door.GetStatus()["status"]
        assert status["state"] == "running", status
        assert int(status["uniqid"]) == 2**64 - 2, status
        assert status["last_exit"]["status"] == 3, status

        result = door.Boot(bootargs="-s")["result"]
        assert result["messages"] == ["booted with '-s'"], result
        assert result["timings"][0]["usec"] == 1, result

        replies = list(door.Ready(_more=True))
        assert [list(reply) for reply in replies] == [["progress"], ["progress"], ["result"]], replies
        assert replies[0]["progress"]["step"] == "first", replies

        for call, name, part in (
            (lambda: door.Reboot(uniqid="5"), "StaleUniqid", ("given", "5")),
            (lambda: door.Reboot(), "InvalidState", ("operation", "reboot")),
            (lambda: door.Shutdown(timeout=1), "Failed", ("messages", ["one", "two"])),
        ):
            try:
                call()
            except varlink.VarlinkError as error:
                assert error.error() == INTERFACE + "." + name, error
                assert error.parameters()[part[0]] == part[1], error
            else:
                raise AssertionError(name + " was expected")

        try:
            door.Reboot(uniqid="not digits")
        except varlink.VarlinkError as error:
            assert error.error() == "org.varlink.service.InvalidParameter", error
        else:
            raise AssertionError("InvalidParameter was expected")

        # The connection has survived all of that.
        event = next(door.Monitor(_more=True))["event"]
        assert event["kind"] == "state" and event["state"] == "running", event

    # What the package's own checks would not let out.
    with client.open(INTERFACE) as door:
        door._send_message(json.dumps({"method": INTERFACE + ".Explode", "parameters": {}}).encode())
        reply = json.loads(next(door._next_message()))
        assert reply["error"] == "org.varlink.service.MethodNotFound", reply

    print("ok")


main(sys.argv[1])
