#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Python's varlink, a client that knows nothing of memiod or systemd, works with memiod: it learns of the methods from the
interface that memiod describes. Debian 12 does not have it, so it is fetched once, into a folder of the build. Skipped (77)
where that is not possible.

    python_varlink_test.py MEMIOD MEMIOCTL CACHE_DIR
"""

import pathlib
import subprocess
import sys
import unittest

SUPPORT = pathlib.Path(__file__).resolve().parent.parent / "support"
sys.path.insert(0, str(SUPPORT))
import memiod  # noqa: E402

MEMIOD, MEMIOCTL, CACHE = sys.argv[1:4]
MODULES = pathlib.Path(CACHE) / "root/usr/lib/python3/dist-packages"


def fetch():
    if (MODULES / "varlink/__init__.py").exists():
        return
    fetched = subprocess.run([SUPPORT / "fetch-packages", CACHE, "python3-varlink"], capture_output=True, text=True,
                             timeout=100, check=False)
    if fetched.returncode != 0:
        print("python3-varlink cannot be fetched:", fetched.stderr)
        sys.exit(77)


try:
    import varlink
except ImportError:
    fetch()
    sys.path.append(str(MODULES))
    import varlink


class PythonVarlink(unittest.TestCase):
    def setUp(self):
        self.memiod = memiod.Memiod(MEMIOD)
        self.addCleanup(self.memiod.stop)
        subprocess.run([MEMIOCTL, "create", "a/b", "64K"], env=self.memiod.environment, check=True, capture_output=True)
        self.client = varlink.Client.new_with_address(f"unix:{self.memiod.path}")
        self.addCleanup(self.client.cleanup)

    def open(self):
        connection = self.client.open("io.memio")
        self.addCleanup(connection.close)
        return connection

    def test_introspection(self):
        self.assertEqual(set(self.client.get_interfaces()), {"io.memio", "org.varlink.service"})
        methods = {member for member in dir(self.open()) if member[0].isupper()}
        self.assertLess({"List", "Stat", "Watch", "Attach", "Invoke"}, methods)

    def test_calls(self):
        connection = self.open()
        self.assertEqual([region["name"] for region in connection.List()["regions"]], ["a/b"])
        self.assertEqual(connection.Stat(name="a/b")["region"]["capacity"], 65536)
        self.assertTrue(connection.Metrics(openMetrics=True)["openMetrics"].endswith("# EOF\n"))
        connection.Remove("a/b")
        self.assertEqual(connection.List()["regions"], [])

    def test_errors(self):
        connection = self.open()
        with self.assertRaises(varlink.VarlinkError) as raised:
            connection.Stat(name="none")
        self.assertEqual(raised.exception.error(), "io.memio.NoSuchRegion")
        with self.assertRaises(varlink.InvalidParameter) as raised:
            connection.Create(name="c", capacity=-1)
        self.assertEqual(raised.exception.parameters(), {"parameter": "capacity"})
        self.assertEqual(len(connection.List()["regions"]), 1)

    def test_more(self):
        events = self.open().Watch(_more=True)
        self.assertEqual(next(events)["event"], "present")
        self.assertEqual(next(events)["event"], "ready")
        self.open().Remove(name="a/b")
        event = next(events)
        self.assertEqual((event["event"], event["region"]["name"]), ("removed", "a/b"))

    def test_oneway(self):
        deliveries = self.open().Receive(listen=["a/*"], _more=True)
        self.assertEqual(next(deliveries)["kind"], "ready")
        self.open().Emit(topic="a/b", payload={"x": [1, None]}, _oneway=True)
        delivery = next(deliveries)
        self.assertEqual((delivery["name"], delivery["value"]), ("a/b", {"x": [1, None]}))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
