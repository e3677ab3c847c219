#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""memioctl as a script uses it: what it prints, its JSON, its exit codes.

    memioctl_test.py MEMIOD MEMIOCTL
"""

import contextlib
import json
import os
import pathlib
import pty
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import memiod  # noqa: E402

MEMIOD, MEMIOCTL = sys.argv[1:3]


class Memioctl(unittest.TestCase):
    def setUp(self):
        self.memiod = memiod.Memiod(MEMIOD)
        self.runtime, self.environment = self.memiod.runtime, self.memiod.environment

    def tearDown(self):
        self.assertEqual(self.memiod.stop(), 0)

    def run_ctl(self, *arguments, data=b"", code=0):
        result = subprocess.run([MEMIOCTL, *arguments], input=data, env=self.environment, capture_output=True, timeout=20)
        self.assertEqual(result.returncode, code, result.stderr.decode())
        self.stderr = result.stderr.decode()
        return result.stdout

    def run_json(self, *arguments, **options):
        return json.loads(self.run_ctl("--json", *arguments, **options))

    def test_create_list_stat_and_remove(self):
        self.assertIn(b"created a/b: 4 slots of 64.0 KiB", self.run_ctl("create", "a/b", "64K"))
        listed = self.run_ctl("list").decode().splitlines()
        self.assertTrue(listed[0].startswith("NAME"))
        self.assertTrue(listed[1].startswith("a/b"))
        region = self.run_json("list")[0]
        self.assertEqual((region["name"], region["capacity"], region["lifetime"]), ("a/b", 65536, "persistent"))
        self.assertEqual(self.run_json("stat", "a/b")["handleStates"], [])
        self.run_ctl("rm", "a/b")
        self.assertEqual(self.run_json("list"), [])

    def start(self, *arguments, under=(), **options):
        process = memiod.start([*under, MEMIOCTL, *arguments], env=self.environment, stdout=subprocess.PIPE, text=True, **options)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.terminate)
        return process

    def wait_for_session(self, having):
        """Until a connection has one of that kind."""
        while not any(session[having] for session in self.run_json("sessions")):
            pass

    def test_handle_and_call(self):
        handler = self.start("handle", "text/sort", "--count", "5", "--", sys.executable, "-c",
                             "import json,sys; a = json.load(sys.stdin); sys.exit(a) if a == 3 else print(json.dumps(sorted(a)))",
                             stderr=subprocess.DEVNULL)
        self.wait_for_session("commands")
        self.assertEqual(self.run_json("call", "text/sort", "[3,1,2]"), [1, 2, 3])
        self.assertEqual(self.run_ctl("call", "text/sort", "-", data=b"[2.5, -1]"), b"[-1, 2.5]\n")
        self.run_ctl("--json", "call", "text/sort", "3", code=1)
        error = json.loads(self.stderr)
        self.assertEqual((error["error"], error["rejection"], error["details"]),
                         ("io.memio.CommandFailed", "ProgramFailed", {"status": 3}))
        self.run_ctl("call", "text/sort", "7", code=1)
        self.assertIn("ProgramFailed", self.stderr)
        self.run_ctl("call", "none", code=4)
        self.run_ctl("call", "text/sort", "{", code=1)
        self.assertIn("InvalidParameter", self.stderr)
        self.assertEqual(self.run_json("call", "text/sort", "[]", "--timeout", "20000"), [])
        self.assertEqual(handler.wait(), 0)
        self.assertEqual(handler.stdout.read().splitlines(),
                         ["text/sort answered"] * 2 + ["text/sort rejected, status 3", "text/sort rejected, status 1",
                                                       "text/sort answered"])

    def test_call_timeout(self):
        handler = self.start("handle", "slow", "--count", "1", "--", "sleep", "1000")
        self.wait_for_session("commands")
        self.run_ctl("--json", "call", "slow", "--timeout", "50", code=1)
        self.assertEqual(json.loads(self.stderr)["error"], "io.memio.CallTimedOut")
        self.assertEqual(handler.wait(20), 0)
        self.assertEqual(handler.stdout.read(), "slow rejected, status 143\n", "the program was ended with its call")

    def test_emit_and_listen(self):
        plain = self.start("listen", "--count", "2")
        some = self.start("--json", "listen", "a/*", "--count", "1")
        while sum(session["listens"] for session in self.run_json("sessions")) < 2:
            pass
        self.run_ctl("emit", "b", '{"x":[1]}')
        self.run_ctl("emit", "a/b")
        self.assertEqual(plain.stdout.read(), 'b {"x":[1]}\na/b null\n')
        self.assertEqual(json.loads(some.stdout.read()), {"topic": "a/b", "payload": None, "lost": 0})
        self.run_ctl("emit", "b", "nonsense", code=1)

    def test_put_and_get_files_and_pipes(self):
        content = bytes(range(256)) * 1000
        path = f"{self.runtime.name}/in"
        with open(path, "wb") as file:
            file.write(content)
        self.assertEqual(self.run_json("put", "f", path, "--create")["length"], len(content))
        self.assertEqual(self.run_ctl("get", "f"), content)
        out = f"{self.runtime.name}/out"
        self.run_ctl("get", "f", "-o", out)
        with open(out, "rb") as file:
            self.assertEqual(file.read(), content)
        self.run_ctl("put", "f", "-", "--version", "9", data=b"from a pipe")
        self.assertEqual(self.run_ctl("get", "f"), b"from a pipe")
        self.assertEqual(self.run_json("stat", "f")["version"], 9)

    def test_shrink_gives_memory_back(self):
        self.run_ctl("create", "a", "1M", "--huge-pages", "--shrink-after", "60000")
        region = self.run_json("list")[0]
        self.assertEqual((region["hugePages"], region["shrinkAfter"]), (True, 60000))
        self.assertIn(b"huge pages, shrunk when idle for 60000 ms", self.run_ctl("stat", "a"))
        for content in (b"x" * 1000000, b"y" * 1000000, b"short"):
            self.run_ctl("put", "a", "-", data=content)
        before = self.run_json("stat", "a")["memory"]
        self.assertIn(b"gave back", self.run_ctl("shrink", "a"))
        self.assertLessEqual(self.run_json("stat", "a")["memory"], before - 1900000)
        self.assertEqual(self.run_json("shrink", "a"), {"name": "a", "freed": 0})
        self.assertEqual(self.run_ctl("get", "a"), b"short")
        self.run_ctl("create", "b", "1", "--shrink-after", "5", code=1)
        self.assertIn("10 to 604800000", self.stderr)
        self.run_ctl("shrink", "none", code=4)

    def test_watch_prints_a_json_object_a_line(self):
        self.run_ctl("create", "a", "16")
        command = [MEMIOCTL, "--json", "watch", "--versions", "--count", "3"]
        with memiod.start(command, env=self.environment, stdout=subprocess.PIPE) as watch:
            lines = (json.loads(line) for line in watch.stdout)
            self.assertEqual(next(lines)["event"], "present")
            self.assertEqual(next(lines)["event"], "ready")
            self.run_ctl("put", "a", "-", "--version", "5", data=b"x")
            event = next(lines)
            self.assertEqual((event["event"], event["version"], event["region"]["name"]), ("version", 5, "a"))
            self.run_ctl("create", "b", "16")
            self.assertEqual(next(lines)["event"], "created")
            self.run_ctl("rm", "b")
            self.assertEqual(next(lines)["event"], "removed")
            self.assertEqual(watch.wait(20), 0)

    def test_errors_and_exit_codes(self):
        self.run_ctl("get", "none", code=4)
        self.assertEqual(self.stderr.count("\n"), 1)
        self.assertIn("none", self.stderr)
        self.run_ctl("put", "none", "-", data=b"x", code=4)
        self.assertIn("--create", self.stderr)
        self.run_ctl("--json", "stat", "none", code=4)
        self.assertEqual(json.loads(self.stderr)["error"], "io.memio.NoSuchRegion")
        self.run_ctl("create", "a b", "1", code=1)
        self.assertIn("0x20", self.stderr)
        self.run_ctl("create", "a", "0", code=1)
        self.run_ctl("create", "a", "ten", code=2)
        self.run_ctl("create", "a", code=2)
        self.run_ctl("frobnicate", code=2)
        self.run_ctl(code=2)
        self.run_ctl("create", "small", "2")
        self.run_ctl("put", "small", "-", data=b"too large", code=1)
        self.assertIn("9 bytes", self.stderr)
        self.run_ctl("put", "small", "/nonexistent", code=1)
        self.assertIn("/nonexistent", self.stderr)
        self.run_ctl("--socket", "/nonexistent", "list", code=3)
        self.assertIn("systemctl --user start", self.stderr)

    def start_ctl(self, *arguments, **options):
        return memiod.start([MEMIOCTL, *arguments], env=self.environment, **options)

    def test_streams_carry_files_whoever_comes_first(self):
        content = bytes(range(256)) * 40000  # 10 MB: more than the buffers of a stream
        path, out = f"{self.runtime.name}/in", f"{self.runtime.name}/out"
        pathlib.Path(path).write_bytes(content)
        with self.start_ctl("put", "--stream", "s", path, stdout=subprocess.PIPE) as put:
            self.assertEqual(self.run_ctl("get", "--stream", "s"), content)
            self.assertEqual(put.wait(20), 0)
            self.assertRegex(put.stdout.read().decode(), r"^s: 9.8 MiB, [0-9.]+ [MG]iB/s\n$")
        with self.start_ctl("--json", "get", "--stream", "t", "-o", out, stdout=subprocess.PIPE) as get:
            sent = self.run_json("put", "--stream", "t", "-", data=content)
            self.assertEqual(get.wait(20), 0)
            self.assertEqual(pathlib.Path(out).read_bytes(), content)
            received = json.loads(get.stdout.read())
        for said in (sent, received):
            self.assertEqual((said["name"], said["length"]), ("t", len(content)))
            self.assertGreater(said["seconds"], 0)
        self.assertEqual(self.run_json("list"), [], "nothing is left")

    def test_streams_that_meet_at_the_same_moment(self):
        for i in range(10):
            with self.start_ctl("get", "--stream", f"s{i}", stdout=subprocess.PIPE) as get:
                with self.start_ctl("put", "--stream", f"s{i}", "/dev/null", stdout=subprocess.DEVNULL):
                    self.assertEqual(get.communicate(timeout=20)[0], b"")
                    self.assertEqual(get.returncode, 0)

    def test_a_stream_shows_its_progress_on_a_terminal_only(self):
        path = f"{self.runtime.name}/in"
        pathlib.Path(path).write_bytes(b"x" * 5000000)
        for colours in (True, False):
            ours, theirs = pty.openpty()
            environment = {k: v for k, v in self.environment.items() if k != "NO_COLOR"}
            if not colours:
                environment["NO_COLOR"] = "1"
            with memiod.start([MEMIOCTL, "put", "--stream", "s", path], env=environment, stderr=theirs,
                              stdout=subprocess.DEVNULL) as put:
                os.close(theirs)
                self.run_ctl("get", "--stream", "s")
                self.assertEqual(self.stderr, "", "no terminal, no progress")
                self.assertEqual(put.wait(20), 0)
            shown = b""
            with contextlib.suppress(OSError):  # EIO: the other end is closed
                while part := os.read(ours, 4096):
                    shown += part
            os.close(ours)
            self.assertRegex(shown.decode(), r"s  .*\d+ %  [0-9.]+ [KM]?i?B of 4\.8 MiB")
            self.assertEqual(b"\033[32m" in shown, colours)
            self.assertTrue(shown.endswith(b"\r\033[K"), "the line is taken away")

    def test_streams_that_break_off_are_errors(self):
        with self.start_ctl("get", "--stream", "s", stdout=subprocess.PIPE, stderr=subprocess.PIPE) as get:
            with self.start_ctl("put", "--stream", "s", "-", stdin=subprocess.PIPE) as put:
                put.stdin.write(b"the beginning")
                put.stdin.flush()
                self.assertEqual(os.read(get.stdout.fileno(), 100), b"the beginning", "not kept back")
                put.kill()
                self.assertEqual(get.wait(20), 1)
                self.assertIn("PeerGone", get.stderr.read().decode())
        with self.start_ctl("put", "--stream", "s", "-", stdin=subprocess.PIPE, stderr=subprocess.PIPE) as put:
            self.run_ctl("get", "--stream", "s", "-o", "/nonexistent/file", code=1)
            self.assertEqual(put.wait(20), 1, "it learns of it while it waits for input")
            self.assertIn("Aborted", put.stderr.read().decode())
        self.run_ctl("put", "--stream", "--create", "s", "-", code=2)

    def test_a_full_disk_is_an_error(self):
        self.run_ctl("put", "a", "-", "--create", data=b"x" * 100)
        self.run_ctl("get", "a", "-o", "/dev/full", code=1)
        self.assertIn("/dev/full", self.stderr)

    def test_a_full_disk_ends_what_goes_on(self):
        with open("/dev/full", "wb") as full:
            done = subprocess.run([MEMIOCTL, "watch"], stdout=full, stderr=subprocess.PIPE, env=self.environment, timeout=20)
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"standard output", done.stderr)

    def test_closed_standard_descriptors_are_not_taken_for_the_connection(self):
        self.run_ctl("put", "a", "-", "--create", data=b"x")
        for command in ("list >&-", "get a >&-", "put a - <&-"):
            done = subprocess.run(["sh", "-c", f'exec "$0" {command}', MEMIOCTL], stderr=subprocess.PIPE, env=self.environment,
                                  timeout=20)
            self.assertEqual(done.returncode, 1, command)
            self.assertIn(b"Bad file descriptor", done.stderr)
        self.assertEqual(self.run_ctl("get", "a"), b"x")

    def test_a_file_that_says_that_it_is_empty_is_read(self):
        self.run_ctl("put", "load", "/proc/loadavg", "--create")
        self.assertEqual(len(self.run_ctl("get", "load").split()), 5)

    def test_a_program_is_waited_for_by_one_who_was_told_not_to(self):
        handler = self.start("handle", "c", "--count", "1", "--", "false", under=["env", "--ignore-signal=CHLD"])
        self.wait_for_session("commands")
        self.run_ctl("call", "c", code=1)
        self.assertIn("ProgramFailed", self.stderr)
        self.assertEqual(handler.wait(20), 0)

    def test_help_and_version(self):
        self.assertIn(b"create", self.run_ctl("--help"))
        self.assertTrue(self.run_ctl("--version").startswith(b"memioctl "))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
