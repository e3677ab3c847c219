#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The configuration as an administrator uses it, and what other users then may do. Needs root for the latter.

    policy_test.py MEMIOD MEMIOCTL
"""

import json
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import memiod  # noqa: E402

MEMIOD, MEMIOCTL = sys.argv[1:3]
OTHER_USER = 12345


class CheckConfig(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def write(self, name, text):
        path = pathlib.Path(self.folder.name) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return str(path)

    def check(self, *files, code=0, environment=None):
        done = subprocess.run([MEMIOD, "--check-config", *files], capture_output=True, text=True, timeout=20,
                              env={**os.environ, **(environment or {})})
        self.assertEqual(done.returncode, code, done.stderr)
        return done.stdout, done.stderr

    def test_good_files(self):
        a, b = self.write("a", "// nothing\n{}"), self.write("b", '{"limits": {"user": {"bytes": "1G"}}}')
        self.assertEqual(self.check(a, b), (f"{a}: good\n{b}: good\n", ""))

    def test_each_wrong_file_has_a_line_and_the_good_ones_too(self):
        good, bad = self.write("good", "{}"), self.write("bad", '{\n  "limits": {"usr": {}}\n}')
        out, error = self.check(bad, good, "/nonexistent", code=1)
        self.assertEqual(out, f"{good}: good\n")
        self.assertIn(f'{bad}:2:14: limits: "usr" cannot be set here; did you mean "user"?', error)
        self.assertIn("/nonexistent", error)

    def test_without_names_those_that_would_be_read(self):
        main, drop = self.write("memio/memiod.conf", "{}"), self.write("memio/memiod.conf.d/x.conf", "[]")
        out, error = self.check(code=1, environment={"XDG_CONFIG_HOME": self.folder.name})
        self.assertIn(f"{main}: good", out)
        self.assertIn(f"{drop}:1:1: expected an object", error)

    def test_memiod_does_not_start_with_a_wrong_one(self):
        bad = self.write("bad", '{"limits": 5}')
        done = subprocess.run([MEMIOD, "--config", bad, "--socket", f"{self.folder.name}/s"], capture_output=True, text=True,
                              timeout=20)
        self.assertEqual(done.returncode, 1)
        self.assertIn(f"{bad}:1:12: limits: expected an object of limits, not 5", done.stderr)

    def test_nor_with_one_for_users_whom_it_cannot_tell_apart(self):
        conf = self.write("conf", '{"policy": {"12345": {"grants": []}}}')
        done = subprocess.run(["unshare", "--user", "--map-root-user", MEMIOD, "--config", conf, "--socket",
                               f"{self.folder.name}/s"], capture_output=True, text=True, timeout=20)
        if "unshare" in done.stderr:
            self.skipTest("user namespaces are forbidden here: " + done.stderr)
        self.assertEqual(done.returncode, 1)
        self.assertIn("policy.12345 of memiod.conf cannot be kept", done.stderr)
        self.assertIn("PrivateUsers=no", done.stderr)

    def test_files_of_the_user_are_read(self):
        self.write("memio/memiod.conf", '{"limits": {"user": {"regions": 1}}}')
        self.write("memio/memiod.conf.d/50.conf", '{"limits": {"user": {"regions": 0}}}')
        path = f"{self.folder.name}/s"
        environment = {**os.environ, "XDG_CONFIG_HOME": self.folder.name, "MEMIO_SOCKET": path}
        notify = f"{self.folder.name}/notify"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notifications:
            notifications.bind(notify)
            notifications.settimeout(20)
            with memiod.start([MEMIOD, "--log-level", "warning"], env={**environment, "NOTIFY_SOCKET": notify}) as daemon:
                while b"READY=1" not in notifications.recv(4096).split(b"\n"):
                    pass
                done = subprocess.run([MEMIOCTL, "create", "a", "1"], env=environment, capture_output=True, text=True)
                self.assertIn("this user may have 0 regions", done.stderr)
                self.assertIn("limits.user.regions", done.stderr)
                daemon.terminate()


def ask(path, call):
    """What memiod says to a call, and whether it then closes the connection."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(20)
        connection.connect(path)
        try:
            connection.sendall(json.dumps(call).encode() + b"\0")
        except BrokenPipeError:
            pass
        answer = b""
        while not answer.endswith(b"\0"):
            piece = connection.recv(65536)
            if not piece:
                break
            answer += piece
        return json.loads(answer.rstrip(b"\0"))


@unittest.skipIf(os.geteuid() != 0, "only root can be another user")
class OtherUsers(unittest.TestCase):
    POLICY = {"socketMode": "0666",
              "limits": {"user": {"regions": 3}},
              "policy": {str(OTHER_USER): {"grants": [{"pattern": "shared/**", "rights": ["read", "watch", "create"]}]}}}

    def serve(self, config):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        os.chmod(folder.name, 0o755)
        path = pathlib.Path(folder.name) / "memiod.conf"
        path.write_text(json.dumps(config))
        daemon = memiod.Memiod(MEMIOD, str(path))
        self.addCleanup(daemon.stop)
        os.chmod(daemon.runtime.name, 0o755)
        return daemon

    def as_other(self, path, *calls):
        """What another user is answered."""
        read_end, write_end = os.pipe()
        child = os.fork()
        if child == 0:  # a process of its own: nobody can be another user for a while
            try:
                os.setgroups([])
                os.setgid(OTHER_USER)
                os.setuid(OTHER_USER)
                os.write(write_end, json.dumps([ask(path, call) for call in calls]).encode())
            finally:
                os._exit(0)
        os.close(write_end)
        with os.fdopen(read_end) as answers:
            text = answers.read()
        os.waitpid(child, 0)
        return json.loads(text)

    def test_one_without_a_policy_is_refused_with_a_reason(self):
        daemon = self.serve({"socketMode": "0666"})
        answer = self.as_other(daemon.path, {"method": "io.memio.List"})[0]
        self.assertEqual(answer["error"], "io.memio.PermissionDenied")
        self.assertIn(f"policy.{OTHER_USER} in memiod.conf", answer["parameters"]["message"])

    def test_one_with_a_policy_may_what_it_says(self):
        daemon = self.serve(self.POLICY)
        subprocess.run([MEMIOCTL, "create", "secret", "1"], env=daemon.environment, check=True, capture_output=True)
        subprocess.run([MEMIOCTL, "create", "shared/a", "1"], env=daemon.environment, check=True, capture_output=True)
        listed, opened, written = self.as_other(
            daemon.path, {"method": "io.memio.List"},
            {"method": "io.memio.Open", "parameters": {"name": "shared/a", "access": "read"}},
            {"method": "io.memio.Open", "parameters": {"name": "shared/a", "access": "write"}})
        self.assertEqual([region["name"] for region in listed["parameters"]["regions"]], ["shared/a"])
        self.assertNotIn("error", opened)
        self.assertEqual(written["error"], "io.memio.PermissionDenied")

    def test_each_user_has_a_quota_of_its_own(self):
        daemon = self.serve(self.POLICY)
        calls = [{"method": "io.memio.Create",
                  "parameters": {"name": f"shared/{i}", "capacity": 1, "lifetime": "persistent"}} for i in range(4)]
        answers = self.as_other(daemon.path, *calls)
        self.assertEqual([answer.get("error") for answer in answers], [None] * 3 + ["io.memio.LimitExceeded"])
        subprocess.run([MEMIOCTL, "create", "mine", "1"], env=daemon.environment, check=True, capture_output=True)

    def start(self, config, *arguments):
        """One without a service manager, which another may take over from."""
        environment = {name: value for name, value in os.environ.items() if name != "NOTIFY_SOCKET"}
        process = memiod.start([MEMIOD, "--config", config, *arguments], stderr=subprocess.PIPE, text=True, env=environment)
        self.addCleanup(process.stderr.close)
        return process

    def test_what_it_made_stays_its_own_in_the_memiod_after(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        os.chmod(folder.name, 0o755)
        path, config = f"{folder.name}/s", f"{folder.name}/memiod.conf"
        pathlib.Path(config).write_text(json.dumps(self.POLICY))

        def create(name):
            return {"method": "io.memio.Create", "parameters": {"name": name, "capacity": 1, "lifetime": "persistent"}}

        first = self.start(config, "--socket", path)
        while "listening" not in first.stderr.readline():
            pass
        answers = self.as_other(path, *[create(f"shared/{i}") for i in range(3)])
        self.assertEqual([answer.get("error") for answer in answers], [None] * 3)
        second = self.start(config, "--socket", path, "--takeover")
        self.assertEqual(first.wait(20), 0)
        refused = self.as_other(path, create("shared/3"))[0]
        self.assertIn("this user may have 3 regions, has 3", refused["parameters"]["message"])
        self.assertNotIn("error", ask(path, create("mine")))
        second.terminate()
        self.assertEqual(second.wait(20), 0)

    def test_by_default_the_socket_is_the_owners_alone(self):
        daemon = self.serve({})
        self.assertEqual(os.stat(daemon.path).st_mode & 0o777, 0o600)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
