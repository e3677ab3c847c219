#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""varlinkctl of systemd 257 works with memiod as it is. Debian 12 does not have it, so it is fetched once, into a folder of the
build. Skipped (77) where that is not possible.

    varlinkctl_test.py MEMIOD MEMIOCTL CACHE_DIR INTERFACE_FILE
"""

import json
import pathlib
import re
import shutil
import subprocess
import sys
import unittest

SUPPORT = pathlib.Path(__file__).resolve().parent.parent / "support"
sys.path.insert(0, str(SUPPORT))
import memiod  # noqa: E402

MEMIOD, MEMIOCTL, CACHE, INTERFACE = sys.argv[1:5]


def version(program):
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout
    found = re.match(r"systemd (\d+)", said)
    return int(found[1]) if found else 0


def find_varlinkctl():
    installed = shutil.which("varlinkctl")
    if installed and version(installed) >= 257:
        return installed
    fetched = subprocess.run([SUPPORT / "fetch-varlinkctl", CACHE], capture_output=True, text=True, timeout=100, check=False)
    if fetched.returncode != 0:
        print("varlinkctl cannot be fetched:", fetched.stderr)
        sys.exit(77)
    return f"{CACHE}/varlinkctl"


VARLINKCTL = find_varlinkctl()


class Varlinkctl(unittest.TestCase):
    def setUp(self):
        self.memiod = memiod.Memiod(MEMIOD)
        self.addCleanup(self.memiod.stop)
        subprocess.run([MEMIOCTL, "create", "a/b", "64K"], env=self.memiod.environment, check=True, capture_output=True)

    def run_ctl(self, *arguments, code=0):
        done = subprocess.run([VARLINKCTL, *arguments], capture_output=True, text=True, timeout=20, check=False)
        self.assertEqual(done.returncode, code, done.stderr)
        self.stderr = done.stderr
        return done.stdout

    def test_info(self):
        info = self.run_ctl("info", self.memiod.path)
        for word in ("memiod", "io.memio", "org.varlink.service"):
            self.assertIn(word, info)

    def test_introspect(self):
        told = self.run_ctl("introspect", self.memiod.path, "io.memio")
        # Formatted anew by varlinkctl, so it was understood.
        for method in re.findall(r"^method (\w+)", pathlib.Path(INTERFACE).read_text(), re.MULTILINE):
            self.assertRegex(told, rf"method {method}\b")
        self.assertIn("interface org.varlink.service", self.run_ctl("introspect", self.memiod.path, "org.varlink.service"))

    def test_call(self):
        regions = json.loads(self.run_ctl("--json=short", "call", self.memiod.path, "io.memio.List", "{}"))["regions"]
        self.assertEqual([region["name"] for region in regions], ["a/b"])
        stat = json.loads(self.run_ctl("--json=short", "call", self.memiod.path, "io.memio.Stat", '{"name":"a/b"}'))
        self.assertEqual(stat["region"]["capacity"], 65536)
        text = json.loads(self.run_ctl("--json=short", "call", self.memiod.path, "io.memio.Metrics", '{"openMetrics":true}'))
        self.assertTrue(text["openMetrics"].endswith("# EOF\n"))

    def test_commands_and_messages(self):
        with memiod.start([MEMIOCTL, "handle", "echo", "--", "cat"], env=self.memiod.environment,
                          stdout=subprocess.DEVNULL) as handler:
            while not any(session["commands"] for session in json.loads(
                    self.run_ctl("--json=short", "call", self.memiod.path, "io.memio.ListSessions", "{}"))["sessions"]):
                pass
            answer = json.loads(self.run_ctl("--json=short", "call", self.memiod.path, "io.memio.Invoke",
                                             '{"name":"echo","arguments":{"x":[-1.5,null]}}'))
            self.assertEqual(answer, {"result": {"x": [-1.5, None]}, "attachments": []})
            handler.terminate()
        self.run_ctl("call", self.memiod.path, "io.memio.Invoke", '{"name":"none"}', code=1)
        self.assertIn("io.memio.NoSuchCommand", self.stderr)
        with memiod.start([VARLINKCTL, "--more", "--json=short", "call", self.memiod.path, "io.memio.Receive",
                           '{"listen":["a/*"]}'], stdout=subprocess.PIPE) as listening:
            deliveries = (json.loads(line.lstrip(b"\x1e")) for line in listening.stdout)
            self.assertEqual(next(deliveries), {"kind": "ready"})
            self.run_ctl("call", self.memiod.path, "io.memio.Emit", '{"topic":"a/b","payload":{"x":1}}')
            self.assertEqual(next(deliveries), {"kind": "message", "name": "a/b", "value": {"x": 1}})
            listening.terminate()

    def test_call_with_an_error(self):
        self.run_ctl("call", self.memiod.path, "io.memio.Stat", '{"name":"none"}', code=1)
        self.assertIn("io.memio.NoSuchRegion", self.stderr)

    def test_call_more(self):
        with memiod.start([VARLINKCTL, "--more", "--json=short", "call", self.memiod.path, "io.memio.Watch", "{}"],
                          stdout=subprocess.PIPE) as watch:
            events = (json.loads(line.lstrip(b"\x1e")) for line in watch.stdout)
            self.assertEqual(next(events)["event"], "present")
            self.assertEqual(next(events)["event"], "ready")
            subprocess.run([MEMIOCTL, "rm", "a/b"], env=self.memiod.environment, check=True)
            event = next(events)
            self.assertEqual((event["event"], event["region"]["name"]), ("removed", "a/b"))
            watch.terminate()


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
