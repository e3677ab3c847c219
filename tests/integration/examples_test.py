#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The examples work: one program publishes, the other follows, memioctl reads; one sends, the other receives.

    examples_test.py MEMIOD MEMIOCTL PUBLISHER FOLLOWER SENDER RECEIVER
"""

import pathlib
import select
import subprocess
import sys
import threading

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


def check_hello(memioctl, publisher, follower, environment):
    with Program([memioctl, "watch"], stdout=subprocess.PIPE, text=True, env=environment) as watching:
        with Program([publisher], env=environment):
            # The publisher is there when its region is.
            while "hello" not in line_of(watching):
                pass
            with Program([follower], stdout=subprocess.PIPE, text=True, env=environment) as following:
                lines = [line_of(following), line_of(following)]
            get = [memioctl, "get", "hello"]
            lines.append(subprocess.run(get, stdout=subprocess.PIPE, text=True, env=environment).stdout)
    if not all(line.startswith("hello, ") for line in lines) or lines[0] == lines[1]:
        sys.exit(f"the follower printed {lines[:2]}, memioctl {lines[2]!r}")


def check_stream(memioctl, sender, receiver, environment):
    content = bytes(range(256)) * 40000
    watch = [memioctl, "watch", "parcel__ctrl"]
    with Program(watch, stdout=subprocess.PIPE, text=True, env=environment) as watching:
        line_of(watching)  # ready: there is none yet
        with Program([sender], stdin=subprocess.PIPE, env=environment) as sending:
            line_of(watching)
            with Program([receiver], stdout=subprocess.PIPE, env=environment) as receiving:
                feeding = threading.Thread(target=lambda: (sending.stdin.write(content), sending.stdin.close()))
                feeding.start()
                received = receiving.stdout.read()
                feeding.join()
                if receiving.wait(20) != 0 or sending.wait(20) != 0 or received != content:
                    sys.exit(f"the receiver got {len(received)} of {len(content)} bytes")


def main():
    program, memioctl, publisher, follower, sender, receiver = sys.argv[1:]
    daemon = memiod.Memiod(program)
    check_hello(memioctl, publisher, follower, daemon.environment)
    check_stream(memioctl, sender, receiver, daemon.environment)
    daemon.stop()


if __name__ == "__main__":
    main()
