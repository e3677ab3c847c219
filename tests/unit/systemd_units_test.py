#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""systemd has nothing to say against the units, and finds the service little exposed.

    systemd_units_test.py SOCKET SERVICE

`systemd-analyze verify` succeeds even if it has not understood a line, so it must be silent as well.
"""

import os
import subprocess
import sys
import tempfile


MOST_EXPOSURE = 15  # tenths


def analyze(runtime, *command):
    done = subprocess.run(
        ["systemd-analyze", "--user", "--man=no", *command],
        env={**os.environ, "XDG_RUNTIME_DIR": runtime},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout


def main():
    socket, service = sys.argv[1:]
    with tempfile.TemporaryDirectory() as runtime:
        status, said = analyze(runtime, "verify", socket, service)
        if status or said:
            print(f"{said}systemd-analyze verify ended with {status} and said the above")
            return 1
        status, said = analyze(runtime, "security", "--offline=true", f"--threshold={MOST_EXPOSURE}", service)
        if status or "exposure level" not in said:
            print(f"{said}systemd-analyze security ended with {status}")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
