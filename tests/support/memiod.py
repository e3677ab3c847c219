# SPDX-License-Identifier: MIT
"""Programs to be tested, and a memiod in a runtime directory of its own. What is started here ends with the test, however
that ends."""

import ctypes
import os
import signal
import socket
import subprocess
import tempfile

LONGEST = 20
PR_SET_PDEATHSIG = 1
libc = ctypes.CDLL(None)


def start(command, **options):
    return subprocess.Popen(command, preexec_fn=lambda: libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL), **options)


class Memiod:
    """Ready when constructed. `environment` is that of programs which are to find it."""

    def __init__(self, program, config="/dev/null"):
        self.runtime = tempfile.TemporaryDirectory()
        self.path = f"{self.runtime.name}/s"
        self.environment = {**os.environ, "MEMIO_SOCKET": self.path}
        notify = f"{self.runtime.name}/notify"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notifications:
            notifications.bind(notify)
            notifications.settimeout(LONGEST)
            self.process = start([program, "--config", config, "--log-level", "warning"], env={**self.environment, "NOTIFY_SOCKET": notify})
            while b"READY=1" not in notifications.recv(4096).split(b"\n"):
                pass

    def stop(self):
        """Its exit status."""
        self.process.terminate()
        status = self.process.wait(LONGEST)
        self.runtime.cleanup()
        return status
