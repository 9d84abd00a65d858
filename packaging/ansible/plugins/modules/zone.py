# Copyright the Zones for Linux authors
# SPDX-License-Identifier: Apache-2.0 OR MIT

"""Manages a zone by zonecfg(8) and zoneadm(8)."""

from __future__ import annotations

DOCUMENTATION = """
module: zone
short_description: manage a zone of Zones for Linux
description:
  - Describes, installs, boots, halts and removes a zone of the host that the task runs on.
  - What is already so is left alone, and nothing is done in check mode; with C(--diff) the configuration is compared.
options:
  name:
    description: The name of the zone.
    type: str
    required: true
  state:
    description:
      - C(configured), the zone has a configuration; one that is installed or up stays so.
      - C(installed), it is installed and down; one that is up is shut down.
      - C(ready) and C(running), it is in this state.
      - C(absent), there is no such zone. Its root and all files in it are removed.
      - Nothing but C(absent) removes files. So a zone that is incomplete, which can only be uninstalled, stays so with C(configured), and
        the others fail, in check mode, too.
    type: str
    choices: [absent, configured, installed, ready, running]
    default: configured
  config:
    description:
      - What the configuration is to have, as C(zonecfg export --json) has it. Properties by name, and resources as lists by type.
      - A property that is not named stays as it is, one that is null is cleared.
      - The list of a type is the whole of it, so that C([]) removes all of that type. A type that is not named stays as it is.
      - C(data) of a C(credential) is never compared, since it is shown to nobody; use C(source).
    type: dict
    default: {}
  install:
    description: Arguments of C(zoneadm install), such as C([-a, /srv/root.tar]), for a zone that is not installed yet.
    type: list
    elements: str
    default: []
  bootargs:
    description: Boot arguments for a zone that is booted now; those of the configuration if it is not set.
    type: list
    elements: str
    default: []
  wait:
    description: How many seconds to wait until a zone that is booted is ready; 0 does not wait.
    type: int
    default: 0
  shutdown_timeout:
    description: How many seconds a zone that is shut down has; C(shutdown-timeout) of its configuration if it is not set.
    type: int
  apply:
    description: Whether a zone that is up is given what is configured by now, as far as it can have that before its next boot.
    type: bool
    default: false
  zones_root:
    description: The root of another installation of zones than the host's.
    type: path
author: the Zones for Linux authors
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
"""

EXAMPLES = """
- name: A web server's zone runs
  zones.linux.zone:
    name: web
    state: running
    config:
      autoboot: true
      capped-memory:
        - physical: 2G
      net:
        - physical: eth0
          global-nic: auto
      port:
        - host: 8080
          to: 80
    wait: 60

- name: There is no zone of last year's
  zones.linux.zone:
    name: old
    state: absent
"""

RETURN = """
state:
  description: The state the zone is in, or would be in.
  returned: success
  type: str
config:
  description: The configuration that it has, or would have.
  returned: success
  type: dict
commands:
  description: The commands that were run to change something, or would be.
  returned: success
  type: list
"""

import json
import re

from ansible.module_utils.basic import AnsibleModule

UP = ("ready", "running", "shutting_down", "down")

# What zonecfg reads as one bare word.
BARE = re.compile(r"[A-Za-z0-9_./:+@%-]+\Z")


class Zone:
    """The zone, and what has been done to it."""

    def __init__(self, module):
        self.module = module
        self.name = module.params["name"]
        self.commands = []
        self.zoneadm = self.program("zoneadm")
        self.zonecfg = self.program("zonecfg")
        # Output is compared and read.
        env = {"LC_ALL": "C.UTF-8"}
        if module.params["zones_root"]:
            env["ZONES_ROOT"] = module.params["zones_root"]
        module.run_command_environ_update = env

    def program(self, name):
        return self.module.get_bin_path(name, True, ["/usr/sbin"])

    def run(self, command):
        status, out, err = self.module.run_command(command)
        if status != 0:
            self.module.fail_json(
                msg=err.strip() or "%s ended with %d" % (" ".join(command), status), rc=status, stdout=out, stderr=err, cmd=command
            )
        return out

    def change(self, command):
        """Runs a command that changes something, but in check mode."""
        self.commands.append(" ".join(command))
        if not self.module.check_mode:
            self.run(command)

    def adm(self, *words):
        self.change([self.zoneadm, "-z", self.name] + list(words))

    def state(self):
        for line in self.run([self.zoneadm, "list", "-cp"]).splitlines():
            fields = line.split(":")
            if len(fields) > 2 and fields[1] == self.name:
                return fields[2]
        return "absent"

    def config(self):
        return json.loads(self.run([self.zonecfg, "-z", self.name, "export", "--json"]))


def quoted(module, value):
    """A value as zonecfg reads it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        return "[%s]" % ",".join(quoted(module, item) for item in value)
    if isinstance(value, dict) or value is None:
        module.fail_json(msg="a property is text, a number, true or false, or a list of such, and not %r" % (value,))
    text = str(value)
    if BARE.match(text):
        return text
    if '"' in text or "\n" in text:
        module.fail_json(msg="zonecfg has no way to write a double quote or a line break: %r" % text)
    return '"%s"' % text


def edits(module, wanted, before):
    """The commands of zonecfg that make what is wanted of what is there."""
    lines = []
    for name, value in wanted.items():
        if value == [] and not is_resources(before.get(name, [])):
            # A property that is a list.
            lines.append("clear %s" % name)
        elif is_resources(value):
            if before.get(name):
                lines.append("remove -F %s" % name)
            for resource in value:
                lines.append("add %s" % name)
                for prop, item in resource.items():
                    if item is not None:
                        lines.append("set %s=%s" % (prop, quoted(module, item)))
                lines.append("end")
        elif value is None:
            if name in before:
                lines.append("clear %s" % name)
        elif name not in before or quoted(module, before[name]) != quoted(module, value):
            lines.append("set %s=%s" % (name, quoted(module, value)))
    return lines


def is_resources(value):
    return isinstance(value, list) and all(isinstance(item, dict) for item in value)


def configure(zone, state):
    """Makes the configuration what it is to be, and returns it as it was and as it is."""
    module = zone.module
    wanted = dict(module.params["config"])
    if "zonename" in wanted:
        module.fail_json(msg="zonename is the module's name; a zone is not renamed")
    before = {} if state == "absent" else zone.config()
    lines = (["create"] if state == "absent" else []) + edits(module, wanted, before)
    if not lines:
        return before, before
    # What zonecfg makes of it is compared, since one thing can be written in many ways.
    script = "; ".join(lines)
    after = json.loads(zone.run([zone.zonecfg, "-n", "-z", zone.name, script + "; export --json"]))
    if after != before:
        zone.change([zone.zonecfg, "-z", zone.name, script])
    return before, after


def refuse_incomplete(zone, state, wanted):
    """Fails where the zone would have to be uninstalled first: nobody has said that its files are to go."""
    if state == "incomplete" and wanted != "configured":
        zone.module.fail_json(
            msg="zone %s is incomplete: state=absent removes it first, with all files in it" % zone.name
        )


def bring(zone, state, wanted):
    """Leads the zone from a state to one that is wanted, and returns the state that it has then."""
    params = zone.module.params
    if wanted == "configured":
        return state if state != "absent" else "configured"
    if state in ("absent", "configured"):
        zone.adm("install", *params["install"])
        state = "installed"
    if state in UP and state != wanted and not (state == "ready" and wanted == "running"):
        down(zone, state)
        state = "installed"
    if state == wanted:
        return state
    if wanted == "ready":
        zone.adm("ready")
    if wanted == "running":
        words = ["--wait=%d" % params["wait"]] if params["wait"] else []
        zone.adm("boot", *(words + (["--"] + params["bootargs"] if params["bootargs"] else [])))
    return wanted


def apply(zone, is_reconfigured):
    """Gives a zone that is up what it lacks of its configuration, if there is something that it can have."""
    if not (is_reconfigured and zone.module.check_mode):
        differs = json.loads(zone.run([zone.zoneadm, "-z", zone.name, "apply", "-n", "--json"]))
        if not any(change["applies"] == "live" for change in differs["changes"]):
            return
    zone.adm("apply")


def down(zone, state):
    """Takes the zone down, in order if it runs."""
    timeout = zone.module.params["shutdown_timeout"]
    if state == "running":
        zone.adm("shutdown", *(["-t", str(timeout)] if timeout else []))
    else:
        zone.adm("halt")


def remove(zone, state):
    if state in UP:
        down(zone, state)
    if state not in ("absent", "configured"):
        zone.adm("uninstall", "-F")
    if state != "absent":
        zone.change([zone.zonecfg, "-z", zone.name, "delete -F"])


def shown(state, config):
    """What a diff compares."""
    return json.dumps({"state": state, "config": config}, indent=2, sort_keys=True) + "\n"


def main():
    module = AnsibleModule(
        argument_spec=dict(
            name=dict(type="str", required=True),
            state=dict(
                type="str", default="configured", choices=["absent", "configured", "installed", "ready", "running"]
            ),
            config=dict(type="dict", default={}),
            install=dict(type="list", elements="str", default=[]),
            bootargs=dict(type="list", elements="str", default=[]),
            wait=dict(type="int", default=0),
            shutdown_timeout=dict(type="int"),
            apply=dict(type="bool", default=False),
            zones_root=dict(type="path"),
        ),
        supports_check_mode=True,
    )
    zone = Zone(module)
    before = zone.state()
    wanted = module.params["state"]
    if wanted == "absent":
        config = ({} if before == "absent" else zone.config(), {})
        remove(zone, before)
        after = "absent"
    else:
        refuse_incomplete(zone, before, wanted)
        config = configure(zone, before)
        after = bring(zone, before, wanted)
        if module.params["apply"] and before in UP and after == before:
            apply(zone, config[0] != config[1])
    module.exit_json(
        changed=bool(zone.commands),
        state=after,
        config=config[1],
        commands=zone.commands,
        diff=dict(before=shown(before, config[0]), after=shown(after, config[1])),
    )


if __name__ == "__main__":
    main()
