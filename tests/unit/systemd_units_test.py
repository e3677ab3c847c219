#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""systemd has nothing to say against the units.

    systemd_units_test.py UNIT...

`systemd-analyze verify` succeeds even if it has not understood a line, so it must be silent as well.
"""

import os
import subprocess
import sys
import tempfile


def main():
    with tempfile.TemporaryDirectory() as runtime:
        verify = subprocess.run(
            ["systemd-analyze", "--user", "--man=no", "verify", *sys.argv[1:]],
            env={**os.environ, "XDG_RUNTIME_DIR": runtime},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
    print(verify.stdout, end="")
    if verify.returncode or verify.stdout:
        print(f"systemd-analyze verify ended with {verify.returncode} and said the above")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
