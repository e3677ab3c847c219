#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What README.md shows works: one program publishes, the other follows, memioctl reads. So do the examples of commands and
messages: one handles, the other calls it and listens, memioctl calls it too.

    examples_test.py MEMIOD MEMIOCTL PUBLISHER FOLLOWER HANDLER LISTENER
"""

import pathlib
import select
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import memiod  # noqa: E402


class Program:
    """A program that is ended with the `with` block."""

    def __init__(self, command, **options):
        self.process = memiod.start(command, **options)

    def __enter__(self):
        return self.process

    def __exit__(self, *exception):
        self.process.terminate()
        self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()


def line_of(process):
    ready, _, _ = select.select([process.stdout], [], [], 20)
    line = process.stdout.readline() if ready else ""
    return line or sys.exit(f"{process.args[0]} printed nothing for 20 seconds, or ended")


def main():
    program, memioctl, publisher, follower, handler, listener = sys.argv[1:]
    daemon = memiod.Memiod(program)
    environment = daemon.environment
    with Program([memioctl, "watch"], stdout=subprocess.PIPE, text=True, env=environment) as watching:
        with Program([publisher], env=environment):
            # The publisher is there when its region is.
            while "hello" not in line_of(watching):
                pass
            with Program([follower], stdout=subprocess.PIPE, text=True, env=environment) as following:
                lines = [line_of(following), line_of(following)]
            get = [memioctl, "get", "hello"]
            lines.append(subprocess.run(get, stdout=subprocess.PIPE, text=True, env=environment).stdout)
    with Program([handler], stdout=subprocess.PIPE, text=True, env=environment) as handling:
        line_of(handling)
        with Program([listener, "text/*"], stdout=subprocess.PIPE, text=True, env=environment) as listening:
            said = [line_of(listening), line_of(listening)]
            called = subprocess.run([handler, "hello"], stdout=subprocess.PIPE, text=True, env=environment).stdout
            said += [line_of(listening), called]
            call = subprocess.run([memioctl, "call", "text/upper", "7"], capture_output=True, text=True, env=environment)
            said.append(call.stderr)
    daemon.stop()
    if said[:4] != ['"LISTENING"\n', 'text/done "LISTENING"\n', 'text/done "HELLO"\n', '"HELLO"\n'] or "NotText" not in said[4]:
        sys.exit(f"the examples of commands said {said}")
    if not all(line.startswith("hello, ") for line in lines) or lines[0] == lines[1]:
        sys.exit(f"the follower printed {lines[:2]}, memioctl {lines[2]!r}")


if __name__ == "__main__":
    main()
