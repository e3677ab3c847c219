#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The examples work: one program publishes, the other follows, memioctl reads; one handles a command, others call it and
listen; one sends a stream, the other receives it; and each event loop brings what happens to a region, a stream and a topic.

    examples_test.py MEMIOD MEMIOCTL PUBLISHER FOLLOWER HANDLER LISTENER SENDER RECEIVER LOOP...
"""

import os
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
    """The next line. Nothing is read ahead, so that waiting for the next one overlooks nothing."""
    line = b""
    while not line.endswith(b"\n"):
        ready, _, _ = select.select([process.stdout], [], [], 20)
        byte = os.read(process.stdout.fileno(), 1) if ready else b""
        line += byte or sys.exit(f"{process.args[0]} printed nothing for 20 seconds, or ended")
    return line.decode()


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


def check_command(memioctl, handler, listener, environment):
    with Program([handler], stdout=subprocess.PIPE, text=True, env=environment) as handling:
        line_of(handling)
        with Program([listener, "text/*"], stdout=subprocess.PIPE, text=True, env=environment) as listening:
            said = [line_of(listening), line_of(listening)]
            called = subprocess.run([handler, "hello"], stdout=subprocess.PIPE, text=True, env=environment).stdout
            said += [line_of(listening), called]
            call = subprocess.run([memioctl, "call", "text/upper", "7"], capture_output=True, text=True, env=environment)
            said.append(call.stderr)
    if said[:4] != ['"LISTENING"\n', 'text/done "LISTENING"\n', 'text/done "HELLO"\n', '"HELLO"\n'] or "NotText" not in said[4]:
        sys.exit(f"the examples of commands said {said}")


def check_loop(memioctl, loop, environment):
    """What follower.h follows comes, and the loop ends with the tape."""
    put_clock = [memioctl, "put", "--create", "clock", "-"]
    subprocess.run(put_clock, input="noon", text=True, env=environment, check=True, stdout=subprocess.DEVNULL)
    put_tape = [memioctl, "put", "--stream", "tape", "-"]
    pipe = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "bufsize": 1, "env": environment}
    with Program([memioctl, "watch", "tape__ctrl"], stdout=subprocess.PIPE, text=True, env=environment) as watching:
        line_of(watching)  # ready: there is none yet
        with Program(put_tape, **pipe) as taping:
            line_of(watching)
            with Program([loop], stdout=subprocess.PIPE, text=True, env=environment) as following:
                lines = [line_of(following)]  # the region's state of now; by then it listens
                subprocess.run([memioctl, "emit", "news", "[1]"], env=environment, check=True)
                lines.append(line_of(following))
                taping.stdin.write("side A")
                taping.stdin.flush()
                lines.append(line_of(following))
                subprocess.run(put_clock, input="one", text=True, env=environment, check=True, stdout=subprocess.DEVNULL)
                lines.append(line_of(following))
                taping.stdin.close()
                if following.wait(20) != 0 or taping.wait(20) != 0:
                    sys.exit(f"{loop} did not end with the tape")
    if lines != ["clock: noon\n", "news: [1]\n", "tape: side A\n", "clock: one\n"]:
        sys.exit(f"{loop} printed {lines}")


def main():
    program, memioctl, publisher, follower, handler, listener, sender, receiver, *loops = sys.argv[1:]
    daemon = memiod.Memiod(program)
    check_hello(memioctl, publisher, follower, daemon.environment)
    check_command(memioctl, handler, listener, daemon.environment)
    check_stream(memioctl, sender, receiver, daemon.environment)
    for loop in loops:
        check_loop(memioctl, loop, daemon.environment)
    daemon.stop()


if __name__ == "__main__":
    main()
