# Copyright the Zones for Linux authors
# SPDX-License-Identifier: Apache-2.0 OR MIT

"""Runs the tasks of a play in a zone of this host, by zlogin(1)."""

from __future__ import annotations

DOCUMENTATION = """
name: zone
short_description: run tasks in a zone of this host
description:
  - Runs the tasks of a play in a zone that runs on the host on which Ansible runs, by zlogin(1).
  - Ansible must run as root there, or as a user whom the zone's C(admin) lets log in.
  - Modules need a Python in the zone. A sparse zone has that of its host.
options:
  remote_addr:
    description: The name of the zone.
    type: str
    default: inventory_hostname
    vars:
      - name: inventory_hostname
      - name: ansible_host
      - name: ansible_zone
  remote_user:
    description: The user of the zone as whom tasks run; its root if it is not set.
    type: str
    ini:
      - section: defaults
        key: remote_user
    env:
      - name: ANSIBLE_REMOTE_USER
    vars:
      - name: ansible_user
    keyword:
      - name: remote_user
  zlogin:
    description: The program zlogin.
    type: str
    default: zlogin
    vars:
      - name: ansible_zlogin
  zones_root:
    description: The root of another installation of zones than the host's, as C(-R) of zlogin has it.
    type: str
    env:
      - name: ZONES_ROOT
    vars:
      - name: ansible_zones_root
"""

import os
import shlex
import shutil
import subprocess

from ansible.errors import AnsibleConnectionFailure, AnsibleError, AnsibleFileNotFound
from ansible.module_utils.common.text.converters import to_bytes, to_native, to_text
from ansible.plugins.connection import ConnectionBase
from ansible.utils.display import Display

display = Display()

# What is copied at a time.
BLOCK = 1 << 16


class Connection(ConnectionBase):
    """A connection to a zone of this host. It has no state: each command is a zlogin of its own."""

    transport = "zones.linux.zone"
    has_pipelining = True

    def _connect(self):
        super()._connect()
        if self._connected:
            return self
        self.zone = self.get_option("remote_addr")
        # A program by its name alone may be where only root looks for it.
        paths = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/bin", "/usr/sbin"])
        self.zlogin = shutil.which(self.get_option("zlogin"), path=paths)
        if not self.zlogin:
            raise AnsibleError("%s is not installed on this host" % self.get_option("zlogin"))
        # What zlogin says of a zone that cannot be entered is better than anything said here.
        ran = self._zlogin(["true"], stdin=subprocess.DEVNULL)
        _out, err = ran.communicate()
        if ran.returncode != 0:
            raise AnsibleConnectionFailure(to_native(err).strip() or "cannot enter the zone %s" % self.zone)
        display.vvv("ESTABLISH ZONE CONNECTION", host=self.zone)
        self._connected = True
        return self

    def _zlogin(self, words, stdin):
        """Starts a program with its arguments in the zone, with no shell between."""
        command = [self.zlogin, "-Q"]
        if self.get_option("zones_root"):
            command += ["-R", self.get_option("zones_root")]
        if self.get_option("remote_user"):
            command += ["-l", self.get_option("remote_user")]
        command += [self.zone, "--"] + words
        command = [to_bytes(word, errors="surrogate_or_strict") for word in command]
        return subprocess.Popen(command, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def exec_command(self, cmd, in_data=None, sudoable=False):
        """Runs a command line by the shell of the zone."""
        super().exec_command(cmd, in_data=in_data, sudoable=sudoable)
        self._connect()
        display.vvv("EXEC %s" % to_text(cmd), host=self.zone)
        ran = self._zlogin(["/bin/sh", "-c", cmd], stdin=subprocess.DEVNULL if in_data is None else subprocess.PIPE)
        out, err = ran.communicate(in_data)
        return ran.returncode, out, err

    def put_file(self, in_path, out_path):
        """Writes a file of this host to the zone."""
        super().put_file(in_path, out_path)
        self._connect()
        if not os.path.isfile(to_bytes(in_path, errors="surrogate_or_strict")):
            raise AnsibleFileNotFound("%s is no file" % to_native(in_path))
        with open(to_bytes(in_path, errors="surrogate_or_strict"), "rb") as source:
            ran = self._zlogin(["/bin/sh", "-c", "cat > %s" % shlex.quote(out_path)], stdin=source)
            _out, err = ran.communicate()
        if ran.returncode != 0:
            raise AnsibleError("cannot write %s in the zone %s: %s" % (out_path, self.zone, to_native(err).strip()))

    def fetch_file(self, in_path, out_path):
        """Reads a file of the zone; nothing of what is in it decides where it goes."""
        super().fetch_file(in_path, out_path)
        self._connect()
        ran = self._zlogin(["/bin/sh", "-c", "cat < %s" % shlex.quote(in_path)], stdin=subprocess.DEVNULL)
        with open(to_bytes(out_path, errors="surrogate_or_strict"), "wb") as target:
            shutil.copyfileobj(ran.stdout, target, BLOCK)
        _out, err = ran.communicate()
        if ran.returncode != 0:
            raise AnsibleError("cannot read %s in the zone %s: %s" % (in_path, self.zone, to_native(err).strip()))

    def close(self):
        """There is nothing to be closed."""
        self._connected = False
