#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What memiod tells its owner: sessions, metrics, and the fields of its log in the journal.

    observation_test.py MEMIOD MEMIOCTL
"""

import json
import os
import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import time
import unittest

SOURCE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(SOURCE.parent / "support"))
import memiod  # noqa: E402

MEMIOD, MEMIOCTL = sys.argv[1:3]

# Debian's own Python has the package python3-prometheus-client.
PARSE = """
import json, sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families
print(json.dumps([[f.name, f.type, f.unit, [[s.name, s.labels, s.value] for s in f.samples]]
                  for f in text_string_to_metric_families(sys.stdin.read())]))
"""


def parse(text):
    done = subprocess.run(["/usr/bin/python3", "-c", PARSE], input=text, capture_output=True, text=True, timeout=20)
    if done.returncode != 0:
        raise AssertionError(done.stderr)
    return {name: (kind, unit, {tuple(sorted(labels.items())): value for _, labels, value in samples})
            for name, kind, unit, samples in json.loads(done.stdout)}


class Observation(unittest.TestCase):
    def setUp(self):
        self.memiod = memiod.Memiod(MEMIOD)
        self.addCleanup(self.memiod.stop)

    def ctl(self, *arguments, data=b"", code=0):
        done = subprocess.run([MEMIOCTL, *arguments], input=data, env=self.memiod.environment, capture_output=True, timeout=20)
        self.assertEqual(done.returncode, code, done.stderr.decode())
        return done.stdout.decode()

    def json(self, *arguments):
        return json.loads(self.ctl("--json", *arguments))

    def test_sessions(self):
        with memiod.start([MEMIOCTL, "watch"], env=self.memiod.environment, stdout=subprocess.PIPE) as watch:
            self.assertEqual(watch.stdout.readline(), b"ready\n")
            sessions = self.json("sessions")
            watching = [s for s in sessions if s["watches"] == 1]
            self.assertEqual(len(watching), 1)
            self.assertEqual(watching[0]["uid"], os.geteuid())
            self.assertTrue(watching[0]["scoped"], "a client watches on a connection of its own")
            self.assertIn(watch.pid, [s["pid"] for s in sessions])
            self.assertEqual(sessions[-1]["messages"], 1)
            table = self.ctl("sessions").splitlines()
            self.assertTrue(table[0].startswith("SESSION"))
            self.assertEqual(len(table), 4)
            watch.terminate()

    def test_metrics_are_valid_openmetrics(self):
        self.ctl("create", "a/b", "64K")
        self.ctl("put", "a/b", "-", data=b"hello")
        self.ctl("get", "none", code=4)
        metrics = parse(self.ctl("metrics", "--openmetrics"))
        region = (("region", "a/b"),)
        self.assertEqual(metrics["memio_region_publishes"], ("counter", "", {region: 1}))
        self.assertEqual(metrics["memio_region_payload_bytes"], ("gauge", "bytes", {region: 5}))
        self.assertGreaterEqual(metrics["memio_region_size_bytes"][2][region], 4 * 65536)
        self.assertLess(metrics["memio_region_memory_bytes"][2][region], 4 * 65536)
        for name in ("leases", "readers", "writers"):
            self.assertEqual(metrics[f"memio_region_{name}"][2][region], 0)
        self.assertEqual(metrics["memio_errors"], ("counter", "", {(): 1}))
        self.assertEqual(metrics["memio_regions"][2], {(): 1})
        user = (("uid", str(os.geteuid())),)
        self.assertEqual(metrics["memio_user_regions"][2], {user: 1})
        self.assertEqual(metrics["memio_user_limit_regions"][2], {user: 32768})
        self.assertAlmostEqual(metrics["memio_start_time_seconds"][2][()], time.time(), delta=60)

    def test_metrics_for_people_and_for_scripts(self):
        self.ctl("create", "a", "1")
        families = {f["name"]: f for f in self.json("metrics")}
        self.assertEqual(families["memio_region_readers"]["samples"], [{"labels": {"region": "a"}, "value": 0}])
        self.assertRegex(self.ctl("metrics"), r"memio_region_readers +region a +0\n")

    def test_the_last_publish(self):
        name = "memio_region_last_publish_timestamp_seconds"
        self.ctl("create", "a", "1")
        self.ctl("create", "b", "1")
        self.ctl("put", "a", "-", data=b"x")
        self.assertEqual(parse(self.ctl("metrics", "--openmetrics"))[name][2], {}, "nobody had asked")
        before = int(time.time())
        self.ctl("put", "a", "-", data=b"x")
        seen = parse(self.ctl("metrics", "--openmetrics"))[name][2]
        self.assertEqual(list(seen), [(("region", "a"),)])
        self.assertTrue(before <= seen[(("region", "a"),)] <= time.time())

    def test_only_the_owner_is_told(self):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(self.memiod.path)
            connection.sendall(b'{"method":"io.memio.OpenConnection"}\0')
            _, fds, _, _ = socket.recv_fds(connection, 4096, 1)
        with socket.socket(fileno=fds[0]) as scoped:
            scoped.setblocking(True)
            for method in ("ListSessions", "Metrics"):
                scoped.sendall(json.dumps({"method": f"io.memio.{method}"}).encode() + b"\0")
                answer = json.loads(scoped.recv(65536).rstrip(b"\0"))
                self.assertEqual(answer["error"], "io.memio.PermissionDenied")
                self.assertIn(method, answer["parameters"]["message"])


# Runs in a mount namespace of its own, in which it is the journal: prints what memiod writes to it. memiod believes that
# its standard error leads there if JOURNAL_STREAM says so.
JOURNAL = """
import json, os, pathlib, socket, subprocess, sys
subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/run"], check=True)
pathlib.Path("/run/systemd/journal").mkdir(parents=True)
journal = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
journal.bind("/run/systemd/journal/socket")
journal.settimeout(20)
status = os.fstat(2)
environment = {**os.environ, "JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"}
memiod = subprocess.Popen([sys.argv[1], "--socket", sys.argv[2] + "/s", "--config", sys.argv[3]], env=environment)
def entry():
    lines = journal.recv(65536).decode().splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line)
try:
    while "listening" not in entry()["MESSAGE"]:
        pass
    def attempt(data=b""):
        client = socket.socket(socket.AF_UNIX)
        client.connect(sys.argv[2] + "/s")
        client.sendall(data)
        return client
    first = attempt(b'{"method":"io.memio.Create","parameters":{"name":"a","capacity":1}}' + bytes(1))
    found = [entry()]
    first.close()
    second = attempt(b"x" * 5000)
    found.append(entry())
    second.close()
    held = attempt()
    third = attempt()
    found.append(entry())
    print(json.dumps([memiod.pid, os.getpid(), found]))
finally:
    memiod.terminate()
    memiod.wait()
"""


class Journal(unittest.TestCase):
    CONFIG = '{"limits": {"user": {"regions": 0, "connections": 1}, "messageBytes": 4096}}'

    def test_entries_have_fields_that_the_manual_lists(self):
        with tempfile.TemporaryDirectory() as folder:
            config = pathlib.Path(folder) / "memiod.conf"
            config.write_text(self.CONFIG)
            as_root = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
            done = subprocess.run(["unshare", *as_root, "--mount", sys.executable, "-B", "-c", JOURNAL, MEMIOD, folder, str(config)],
                                  capture_output=True, text=True, timeout=40)
        self.assertEqual(done.returncode, 0, done.stderr)
        _, pid, (quota, ended, refused) = json.loads(done.stdout)
        self.assertIn("this user may have 0 regions", quota["MESSAGE"])
        self.assertIn("longer than 4096 bytes", ended["MESSAGE"])
        self.assertIn("limits.user.connections", refused["MESSAGE"])
        for entry in (quota, ended, refused):
            self.assertEqual((entry["PRIORITY"], entry["SYSLOG_IDENTIFIER"]), ("4", "memiod"))
            self.assertEqual(entry["MEMIO_PID"], str(pid))
            self.assertIn("MEMIO_UID", entry)
        self.assertEqual((quota["MEMIO_SESSION"], ended["MEMIO_SESSION"]), ("1", "2"))

    def test_the_manual_lists_every_message_id(self):
        root = SOURCE.parent.parent
        ids = re.compile(r"\b[0-9a-f]{32}\b")
        used = set(ids.findall((root / "daemon/log.cpp").read_text()))
        self.assertTrue(used)
        self.assertEqual(used, set(ids.findall((root / "packaging/man/man8/memiod.8").read_text())))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
