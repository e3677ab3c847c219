#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Two implementations of the region format share regions: ours in C++, and one in Python that was written from the
documents alone (tests/support/region.py).

    region_in_python_test.py MEMIOD MEMIOCTL LIBMEMIO_CLIENT
"""

import ctypes
import os
import pathlib
import select
import subprocess
import sys
import threading
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import memiod  # noqa: E402
import region as python  # noqa: E402

MEMIOD, MEMIOCTL, LIBRARY = sys.argv[1:4]
lib = ctypes.CDLL(LIBRARY)
lib.memio_error_message.restype = ctypes.c_char_p
lib.memio_error_name.restype = ctypes.c_char_p
lib.memio_snapshot_data.restype = ctypes.c_void_p
lib.memio_snapshot_length.restype = ctypes.c_size_t
lib.memio_snapshot_version.restype = ctypes.c_uint64
lib.memio_snapshot_sequence.restype = ctypes.c_uint64
lib.memio_region_sequence.restype = ctypes.c_uint64
BUSY, CORRUPT = -12, -13
LONG = 20


class Event(ctypes.Structure):
    _fields_ = [("token", ctypes.c_uint64), ("kind", ctypes.c_int)]


class CError(Exception):
    def __init__(self, code):
        super().__init__(lib.memio_error_name().decode() + ": " + lib.memio_error_message().decode())
        self.code = code


def check(code):
    if code < 0:
        raise CError(code)
    return code


class CSnapshot:
    def __init__(self, pointer):
        self.pointer = pointer
        self.version = lib.memio_snapshot_version(pointer)
        self.sequence = lib.memio_snapshot_sequence(pointer)

    def content(self):
        return ctypes.string_at(lib.memio_snapshot_data(self.pointer), lib.memio_snapshot_length(self.pointer))

    def release(self):
        lib.memio_snapshot_free(self.pointer)


class CRegion:
    """A handle of the C++ implementation, through its C face. Calls let other Python threads run."""

    def __init__(self, path, name, write=False):
        self.client, self.region = ctypes.c_void_p(), ctypes.c_void_p()
        check(lib.memio_connect(path.encode(), ctypes.byref(self.client)))
        check(lib.memio_open(self.client, name.encode(), int(write), ctypes.byref(self.region)))

    def close(self):
        lib.memio_region_free(self.region)
        lib.memio_client_free(self.client)

    def write(self, content, version=None, timeout=LONG):
        lib.memio_region_set_write_timeout(self.region, ctypes.c_int64(int(timeout * 1000)))
        if version is None:
            return check(lib.memio_region_write(self.region, content, ctypes.c_size_t(len(content)), None))
        return check(lib.memio_region_write_version(self.region, content, ctypes.c_size_t(len(content)),
                                                    ctypes.c_uint64(version), None))

    def lease(self):
        snapshot = ctypes.c_void_p()
        check(lib.memio_region_read(self.region, ctypes.byref(snapshot)))
        return CSnapshot(snapshot)

    def read(self):
        snapshot = self.lease()
        result = snapshot.version, snapshot.sequence, snapshot.content()
        snapshot.release()
        return result

    def wait(self, last_seen):
        sequence = ctypes.c_uint64()
        check(lib.memio_region_wait(self.region, ctypes.c_uint64(last_seen), ctypes.c_int64(LONG * 1000),
                                    ctypes.byref(sequence)))
        return sequence.value


class InBackground:
    """A function in another thread; result() waits for what it returns or raises."""

    def __init__(self, function, *arguments):
        self.value, self.error = None, None
        self.thread = threading.Thread(target=self._run, args=(function, *arguments), daemon=True)
        self.thread.start()

    def _run(self, function, *arguments):
        try:
            self.value = function(*arguments)
        except Exception as error:
            self.error = error

    def result(self):
        self.thread.join(LONG + 10)
        if self.error:
            raise self.error
        return self.value


def wait_until(condition):
    while not condition():
        os.sched_yield()


class RegionInPython(unittest.TestCase):
    SHAPES = [(slots, layout) for slots in (1, 2, 4, 64) for layout in ("memio24", "memio64")]

    def setUp(self):
        self.memiod = memiod.Memiod(MEMIOD)
        self.path, self.environment = self.memiod.path, self.memiod.environment
        self.connection = python.Connection(self.path)
        self.addCleanup(self.stop)

    def stop(self):
        self.connection.close()
        self.assertEqual(self.memiod.stop(), 0)

    def ctl(self, *arguments, data=b""):
        command = [MEMIOCTL, *arguments]
        return subprocess.run(command, input=data, env=self.environment, stdout=subprocess.PIPE, check=True,
                              timeout=LONG).stdout

    def create(self, slots=4, layout="memio64", capacity=5000, **options):
        """A region with a handle of each kind: ours to write, theirs to write."""
        name = f"{layout}/{slots}/{os.urandom(4).hex()}"
        ours = self.connection.create(name, capacity, slots=slots, layout=layout, **options)
        theirs = CRegion(self.path, name, write=True)
        self.addCleanup(theirs.close)
        self.addCleanup(ours.close)
        return name, ours, theirs

    def open_reader(self, name):
        reader = self.connection.open(name)
        self.addCleanup(reader.close)
        return reader

    def for_each_shape(self):
        for slots, layout in self.SHAPES:
            yield self.create(slots, layout)

    def test_each_reads_what_the_other_writes(self):
        for name, ours, theirs in self.for_each_shape():
            reader = self.open_reader(name)
            self.assertEqual(reader.read(), (0, 0, b""))
            self.assertIsNone(reader.read(0))
            self.assertEqual(ours.write(b"from Python"), 1)
            self.assertEqual(theirs.read(), (1, 1, b"from Python"))
            theirs.write(b"from C++", version=41)
            self.assertEqual(reader.read(1), (41, 2, b"from C++"))
            self.assertIsNone(reader.read(2))
            ours.write(b"again")
            self.assertEqual(theirs.read(), (42, 3, b"again"), "labels go on from the other's")
            theirs.write(b"", version=2**64 - 1)
            self.assertEqual(reader.read(), (2**64 - 1, 4, b""))
            ours.write(b"x" * 5000)
            self.assertEqual(theirs.read(), (0, 5, b"x" * 5000))
            ours.write(b"backwards", version=7)
            self.assertEqual(theirs.read()[0], 7)

    def test_memioctl_and_python(self):
        name, ours, _ = self.create()
        self.ctl("put", name, "-", "--version", "9", data=b"from the shell")
        self.assertEqual(ours.read(), (9, 1, b"from the shell"))
        ours.write(b"from Python", version=10)
        self.assertEqual(self.ctl("get", name), b"from Python")

    def test_memiod_tells_of_what_python_writes(self):
        name, ours, _ = self.create()
        command = [MEMIOCTL, "--json", "watch", "--versions", "--count", "1"]
        with memiod.start(command, env=self.environment, stdout=subprocess.PIPE) as watch:
            self.assertIn(b"present", watch.stdout.readline())
            self.assertIn(b"ready", watch.stdout.readline())
            ours.write(b"x", version=77)
            self.assertIn(b"77", watch.stdout.readline())
            self.assertEqual(watch.wait(LONG), 0)

    def test_python_wakes_cpp(self):
        for _, ours, theirs in self.for_each_shape():
            for sequence in range(1, 4):
                sleeper = InBackground(theirs.wait, sequence - 1)
                wait_until(lambda n=sequence: any(ours.armed_of(cell).load() == n for cell in ours.cells_to_look_at()))
                ours.write(b"x")
                self.assertEqual(sleeper.result(), sequence)

    def test_python_wakes_a_subscriber_of_cpp(self):
        _, ours, theirs = self.create()
        events = (Event * 4)()
        check(lib.memio_subscribe(theirs.region, ctypes.c_uint64(5), ctypes.c_uint64(0)))
        self.assertEqual(lib.memio_dispatch(theirs.client, events, ctypes.c_size_t(4)), 0)
        ours.write(b"x")
        readable, _, _ = select.select([lib.memio_get_fd(theirs.client)], [], [], LONG)
        self.assertTrue(readable)
        self.assertEqual(lib.memio_dispatch(theirs.client, events, ctypes.c_size_t(4)), 1)
        self.assertEqual((events[0].token, events[0].kind), (5, 0))

    def test_cpp_wakes_python(self):
        for name, ours, theirs in self.for_each_shape():
            reader = self.open_reader(name)
            for sequence in range(1, 4):
                sleeper = InBackground(reader.wait, sequence - 1)
                wait_until(lambda n=sequence: ours.armed_of(reader.cell).load() == n)
                theirs.write(b"x")
                self.assertEqual(sleeper.result(), sequence)

    def test_a_will_is_done_when_its_handle_ends(self):
        name, ours, _ = self.create()
        for by_connection in (False, True):
            connection = python.Connection(self.path)
            other = connection.open(name)
            other.set_will()
            self.assertTrue(ours.is_there(other.cell))
            waiting = InBackground(ours.wait_while_there, other.cell)
            if by_connection:
                connection.close()
                other.forget()
            else:
                other.close()
                connection.close()
            waiting.result()

    def test_neither_writes_what_the_other_has_leased(self):
        name, ours, theirs = self.create(slots=2)
        reader = self.open_reader(name)
        ours.write(b"leased")
        lease = reader.lease()
        theirs.write(b"latest")
        with self.assertRaises(CError) as caught:
            theirs.write(b"no", timeout=0)
        self.assertEqual(caught.exception.code, BUSY)
        self.assertEqual(bytes(lease.payload), b"leased")
        waiting = InBackground(theirs.write, b"after the release")
        wait_until(lambda: ours.slot_wanted.load() == 1)
        reader.release(lease.slot)
        waiting.result()
        self.assertEqual(reader.read()[2], b"after the release")

        snapshot = theirs.lease()
        ours.write(b"latest")
        with self.assertRaises(python.Error) as caught:
            ours.write(b"no", timeout=0)
        self.assertEqual(caught.exception.name, "busy")
        self.assertEqual(snapshot.content(), b"after the release")
        waiting = InBackground(ours.write, b"and again")
        wait_until(lambda: ours.slot_wanted.load() == 1)
        snapshot.release()
        waiting.result()
        self.assertEqual(theirs.read()[2], b"and again")

    def test_each_waits_for_the_others_lock(self):
        for _, ours, theirs in self.for_each_shape():
            def is_waited_for(held=ours):
                return held.writer.load() & python.WAITING

            ours.begin(4)[:] = b"1234"
            with self.assertRaises(CError) as caught:
                theirs.write(b"no", timeout=0)
            self.assertEqual(caught.exception.code, BUSY)
            waiting = InBackground(theirs.write, b"second")
            wait_until(is_waited_for)
            ours.commit()
            waiting.result()
            self.assertEqual(ours.read()[1:], (2, b"second"))

            data = ctypes.c_void_p()
            check(lib.memio_region_begin(theirs.region, ctypes.c_size_t(0), ctypes.byref(data)))
            with self.assertRaises(python.Error) as caught:
                ours.write(b"no", timeout=0)
            self.assertEqual(caught.exception.name, "busy")
            waiting = InBackground(ours.write, b"fourth")
            wait_until(is_waited_for)
            check(lib.memio_region_commit(theirs.region, None))
            waiting.result()
            self.assertEqual(theirs.read()[1:], (4, b"fourth"))
            self.assertEqual(ours.writer.load(), 0)

    def test_a_lost_connection_frees_lock_and_leases(self):
        name, ours, theirs = self.create(slots=2)
        ours.write(b"1")
        other = python.Connection(self.path)
        gone = other.open(name, "write")
        gone.lease()
        gone.begin(1)
        other.close()
        theirs.write(b"2")
        theirs.write(b"3")
        with self.assertRaises(python.Error) as caught:
            gone.commit()
        self.assertEqual(caught.exception.name, "evicted")
        gone.forget()

    def test_both_find_lies(self):
        for _, ours, theirs in self.for_each_shape():
            def expect_corrupt(held=ours, others=theirs):
                with self.assertRaises(python.Error) as caught:
                    held.read()
                self.assertEqual(caught.exception.name, "corrupt")
                with self.assertRaises(CError) as caught:
                    others.read()
                self.assertEqual(caught.exception.code, CORRUPT)

            if ours.slots < 64:
                ours.latest.store(63)
                expect_corrupt()
                ours.latest.store(0)
            length = python.Word(ours.region + 16)
            length.store(5001)
            expect_corrupt()
            length.store(0)
            self.assertEqual(ours.read(), (0, 0, b""))

    def test_each_shrinks_what_the_other_has_written(self):
        size = 100_000

        def shrink_theirs():
            freed = ctypes.c_uint64()
            check(lib.memio_region_shrink(theirs.region, ctypes.byref(freed)))

        for huge_pages in (False, True):
            name, ours, theirs = self.create(capacity=size, hugePages=huge_pages)
            for write, shrink in ((theirs.write, ours.shrink), (ours.write, shrink_theirs)):
                write(b"1" * size)
                leased_by_python, leased_by_cpp = ours.lease(), theirs.lease()
                write(b"2" * size)
                write(b"3" * size)
                write(b"4")
                shrink()
                self.assertEqual(bytes(leased_by_python.payload), b"1" * size)
                self.assertEqual(leased_by_cpp.content(), b"1" * size)
                self.assertEqual((ours.read()[2], theirs.read()[2]), (b"4", b"4"))
                ours.release(leased_by_python.slot)
                leased_by_cpp.release()
                before = os.fstat(ours.region_fd).st_blocks * 512
                shrink()
                self.assertLessEqual(os.fstat(ours.region_fd).st_blocks * 512, before - size)

    def test_all_at_once(self):
        each = 300
        for name, ours, theirs in self.for_each_shape():
            def content(version):
                return version.to_bytes(8, "little") * (1 + version % 600)

            def write_all(write, first):
                for version in range(first, 2 * each, 2):
                    write(content(version), version)

            def read_all(reader):
                seen, reads = 0, 0
                while seen < 2 * each:
                    reader.wait(seen)
                    try:
                        version, seen, got = reader.read()
                    except (python.Error, CError) as error:
                        # A classic region can be found half-written for a long time.
                        self.assertEqual(ours.slots, 1, error)
                        continue
                    self.assertEqual(got, content(version), "torn")
                    reads += 1
                return reads

            c_reader = CRegion(self.path, name)
            readers = [InBackground(read_all, reader) for reader in (self.open_reader(name), c_reader)]
            writers = [InBackground(write_all, ours.write, 0), InBackground(write_all, theirs.write, 1)]
            for thread in writers + readers:
                thread.result()
            c_reader.close()
            self.assertEqual(ours.sequence, 2 * each)
            self.assertEqual([ours.leases_of(cell).load() for cell in ours.cells_to_look_at()].count(0),
                             len(ours.cells_to_look_at()))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1] + sys.argv[4:])
