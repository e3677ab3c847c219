# SPDX-License-Identifier: MIT
"""memiod's clients once more, in Python, written from proto/PROTOCOL.md and proto/REGION_FORMAT.md alone.

For tests only: it is slow, and shows that the documents say everything that a second implementation needs. Names and
order are those of the documents' algorithms.
"""

import ctypes
import json
import mmap
import os
import platform
import select
import socket
import time

PAGE = os.sysconf("SC_PAGESIZE")
MAGIC = {"memio24": 0x4F425255545F4F54, "memio64": 0x545552424F534852}
HEADER = {"memio24": 24, "memio64": 64}
DIRECTORY_MAGIC = 0x5249444F494D454D
LEASE_TABLE_MAGIC = 0x4C54424F494D454D
FORMAT_VERSION = 1
WAITING = 1 << 31
MAX_CELLS = 4096
HUGE_PAGE = 1 << 21
_PUNCH_HOLE = 1 | 2  # FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE

# Atomics: Python has none. libatomic has them as functions, and g++ depends on it.
_atomic = ctypes.CDLL("libatomic.so.1")
RELAXED, ACQUIRE, RELEASE, SEQ_CST = 0, 2, 3, 5
_libc = ctypes.CDLL(None, use_errno=True)
_SYS_FUTEX = {"x86_64": 202, "aarch64": 98}[platform.machine()]
_FUTEX_WAKE, _FUTEX_WAIT_BITSET, _EVERYBODY = 1, 9, 0x7FFFFFFF

for _size, _type in ((4, ctypes.c_uint32), (8, ctypes.c_uint64)):
    _f = getattr(_atomic, f"__atomic_load_{_size}")
    _f.restype, _f.argtypes = _type, [ctypes.c_void_p, ctypes.c_int]
    _f = getattr(_atomic, f"__atomic_store_{_size}")
    _f.restype, _f.argtypes = None, [ctypes.c_void_p, _type, ctypes.c_int]
    _f = getattr(_atomic, f"__atomic_compare_exchange_{_size}")
    _f.restype = ctypes.c_bool
    _f.argtypes = [ctypes.c_void_p, ctypes.c_void_p, _type, ctypes.c_int, ctypes.c_int]
_atomic.atomic_thread_fence.argtypes = [ctypes.c_int]
_libc.mmap.restype = ctypes.c_void_p
_libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
_libc.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_long, ctypes.c_long]
_libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]


class Error(Exception):
    """A failure with one of the documents' names: busy, corrupt, evicted, ..., or io.memio.NoSuchRegion."""

    def __init__(self, name, message=""):
        super().__init__(f"{name}: {message}" if message else name)
        self.name = name


class Word:
    """An atomic number in shared memory."""

    def __init__(self, address, size=8):
        self.address = address
        self.type = ctypes.c_uint64 if size == 8 else ctypes.c_uint32
        self._load = getattr(_atomic, f"__atomic_load_{size}")
        self._store = getattr(_atomic, f"__atomic_store_{size}")
        self._cas = getattr(_atomic, f"__atomic_compare_exchange_{size}")

    def load(self, order=SEQ_CST):
        return self._load(self.address, order)

    def store(self, value, order=SEQ_CST):
        self._store(self.address, value, order)

    def cas(self, expected, value, order=SEQ_CST):
        seen = self.type(expected)
        failure = RELAXED if order == RELEASE else order
        return self._cas(self.address, ctypes.byref(seen), value, order, failure)

    def futex_wait(self, expected, deadline):
        """False if the deadline passed. May return early."""
        until = None
        if deadline is not None:
            seconds = int(deadline)
            until = (ctypes.c_long * 2)(seconds, int((deadline - seconds) * 1e9))
        word = ctypes.c_void_p(self.address)
        result = _libc.syscall(_SYS_FUTEX, word, _FUTEX_WAIT_BITSET, ctypes.c_uint32(expected), until, None,
                               ctypes.c_uint32(0xFFFFFFFF))
        return result == 0 or ctypes.get_errno() != 110  # ETIMEDOUT

    def futex_wake(self, count):
        _libc.syscall(_SYS_FUTEX, ctypes.c_void_p(self.address), _FUTEX_WAKE, count, None, None, 0)


def _deadline(timeout):
    return None if timeout is None else time.clock_gettime(time.CLOCK_MONOTONIC) + timeout


def _is_past(deadline):
    return deadline is not None and time.clock_gettime(time.CLOCK_MONOTONIC) >= deadline


def _round_up(size, unit):
    return -(-size // unit) * unit


def _pages(size):
    return _round_up(size, PAGE)


class Connection:
    """PROTOCOL.md: NUL-terminated JSON, descriptors beside it. One call at a time."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(20)
        self.socket.connect(path)

    def close(self):
        self.socket.close()

    def call(self, method, **parameters):
        """The reply's parameters and its descriptors."""
        call = {"method": method, "parameters": parameters}
        self.socket.sendall(json.dumps(call).encode() + b"\0")
        text, fds = b"", []
        while not text.endswith(b"\0"):
            part, part_fds, flags, _ = socket.recv_fds(self.socket, 65536, 16, socket.MSG_CMSG_CLOEXEC)
            fds += part_fds
            if not part or flags & socket.MSG_CTRUNC:
                raise Error("disconnected")
            text += part
        reply = json.loads(text[:-1])
        if "error" in reply:
            raise Error(reply["error"], reply.get("parameters", {}).get("message", ""))
        return reply.get("parameters", {}), fds

    def create(self, name, capacity, **options):
        return Handle(self, *self.call("io.memio.Create", name=name, capacity=capacity, **options))

    def open(self, name, access="read"):
        return Handle(self, *self.call("io.memio.Open", name=name, access=access))


class Lease:
    def __init__(self, version, sequence, payload, slot):
        self.version, self.sequence, self.payload, self.slot = version, sequence, payload, slot


class Handle:
    """REGION_FORMAT.md, for one open handle."""

    def __init__(self, connection, reply, fds):
        region, handle = reply["region"], reply["handle"]
        self.connection, self.id = connection, handle["id"]
        self.region_fd = fds[handle["regionFileDescriptor"]]
        self.leases_fd = fds[handle["leasesFileDescriptor"]]
        self.doorbell = fds[handle["doorbellFileDescriptor"]]
        self.layout, self.slots, self.capacity = region["layout"], region["slots"], region["capacity"]
        self.stride, self.cell, self.cells = region["stride"], handle["cell"], handle["cells"]
        self.huge_pages = region["hugePages"]
        self.writable = handle["access"] == "write"
        self.classic = self.slots == 1
        self.own_leases, self.lease_counts = 0, [0] * self.slots
        self.begun = None
        self.epoll = None
        self._map()

    # Geometry, and what must be checked when mapping.

    def _map(self):
        self.header = HEADER[self.layout]
        unit = HUGE_PAGE if self.huge_pages else PAGE
        if self.stride != _round_up(self.header + self.capacity, unit) or not 1 <= self.slots <= 64:
            raise Error("corrupt", "memiod's geometry is impossible")
        if self.cell >= self.cells or self.cells > MAX_CELLS:
            raise Error("corrupt", "the cell is outside the lease table")
        self.region_size = self.slots * self.stride + PAGE
        self.leases_size = _pages(256 + 64 * self.cells)
        self.region = self._mmap(self.region_fd, self.region_size, self.writable)
        self.table = self._mmap(self.leases_fd, self.leases_size, True)
        directory = self.region + self.slots * self.stride
        fields = ((0, 8, DIRECTORY_MAGIC), (8, 4, FORMAT_VERSION), (12, 4, self.slots), (16, 8, self.stride),
                  (24, 8, self.capacity), (32, 4, self.header))
        for offset, size, value in fields:
            if Word(directory + offset, size).load(RELAXED) != value:
                raise Error("corrupt", f"the directory's field at {offset}")
        fields = ((0, 8, LEASE_TABLE_MAGIC), (8, 4, FORMAT_VERSION))
        if any(Word(self.table + offset, size).load(RELAXED) != value for offset, size, value in fields):
            raise Error("corrupt", "the lease table's magic or version")
        self.latest = Word(directory + 64)
        self.writer = Word(directory + 128, 4)
        self.cells_used = Word(self.table + 64, 4)
        self.slot_wanted = Word(self.table + 128, 4)

    @staticmethod
    def _mmap(fd, size, writable):
        if os.fstat(fd).st_size < size:
            raise Error("corrupt", "a file is smaller than the geometry needs")
        protection = mmap.PROT_READ | (mmap.PROT_WRITE if writable else 0)
        address = _libc.mmap(None, size, protection, mmap.MAP_SHARED, fd, 0)
        if address == ctypes.c_void_p(-1).value:
            raise OSError(ctypes.get_errno(), "mmap")
        return address

    def close(self):
        """Closes the handle; the memory must no longer be used."""
        self.connection.call("io.memio.Close", id=self.id)
        self.forget()

    def forget(self):
        """Undoes what is ours, for when the connection has ended."""
        _libc.munmap(self.region, self.region_size)
        _libc.munmap(self.table, self.leases_size)
        for fd in (self.region_fd, self.leases_fd, self.doorbell):
            os.close(fd)
        if self.epoll:
            self.epoll.close()

    # Places.

    def leases_of(self, cell):
        return Word(self.table + 256 + 64 * cell)

    def armed_of(self, cell):
        return Word(self.table + 256 + 64 * cell + 8)

    def will_of(self, cell):
        return Word(self.table + 256 + 64 * cell + 16, 4)

    def cells_to_look_at(self):
        return range(min(self.cells_used.load(), self.cells))

    def load_header(self, slot):
        start = self.region + slot * self.stride
        return tuple(Word(start + offset).load(RELAXED) for offset in (0, 8, 16))

    def payload(self, slot, length):
        """A view of the shared memory; of writers, a writable one."""
        start = self.region + slot * self.stride + self.header
        view = memoryview((ctypes.c_ubyte * length).from_address(start)).cast("B")
        return view if self.writable else view.toreadonly()

    @property
    def sequence(self):
        return self.latest.load(ACQUIRE) >> 6

    # Reading.

    def read(self, last_seen=None):
        """The latest publish as (version, sequence, bytes), or None if its sequence is last_seen."""
        if self.classic:
            return self._read_classic(last_seen)
        lease = self.lease(last_seen)
        if lease is None:
            return None
        content = bytes(lease.payload)
        self.release(lease.slot)
        return lease.version, lease.sequence, content

    def lease(self, last_seen=None):
        while True:
            latest = self.latest.load(ACQUIRE)
            sequence, index = latest >> 6, latest & 63
            if sequence == last_seen:
                return None
            if index >= self.slots:
                raise Error("corrupt", "the latest slot")
            if self.lease_counts[index] == 0:
                self._store_leases(self.own_leases | 1 << index)
                if self.latest.load() != latest:
                    self._end_lease(index)
                    continue
            self.lease_counts[index] += 1
            magic, version, length = self.load_header(index)
            if magic != MAGIC[self.layout] or length > self.capacity:
                self.release(index)
                raise Error("corrupt", "a slot's header")
            return Lease(version, sequence, self.payload(index, length), index)

    def release(self, slot):
        self.lease_counts[slot] -= 1
        if self.lease_counts[slot] == 0:
            self._end_lease(slot)

    def _store_leases(self, leases):
        self.own_leases = leases
        self.leases_of(self.cell).store(leases)

    def _end_lease(self, slot):
        self._store_leases(self.own_leases & ~(1 << slot))
        if self.slot_wanted.load() != 0:
            self.slot_wanted.store(0)
            self.slot_wanted.futex_wake(_EVERYBODY)

    def _read_classic(self, last_seen):
        for _ in range(10_000):
            latest = self.latest.load(ACQUIRE)
            if latest & 63 > 1:
                raise Error("corrupt", "the latest slot")
            if latest & 63 == 1:
                os.sched_yield()
                continue
            if latest >> 6 == last_seen:
                return None
            magic, version, length = self.load_header(0)
            if magic != MAGIC[self.layout] or length > self.capacity:
                raise Error("corrupt", "the header")
            content = bytes(self.payload(0, length))
            _atomic.atomic_thread_fence(ACQUIRE)
            if self.latest.load(RELAXED) == latest and self.load_header(0)[1:] == (version, length):
                return version, latest >> 6, content
        raise Error("busy")

    # Writing.

    def write(self, content, version=None, timeout=20):
        self.begin(len(content), timeout)[:] = content
        return self.commit(version)

    def begin(self, length, timeout=20):
        if length > self.capacity:
            raise Error("payload_too_large")
        deadline = _deadline(timeout)
        self._lock(deadline)
        latest = self.latest.load(ACQUIRE)
        if self.classic:
            latest &= ~63
            slot, version = 0, self.load_header(0)[1]
            self.latest.store(latest + 1, RELAXED)
            _atomic.atomic_thread_fence(RELEASE)
        else:
            try:
                slot = self._choose_slot(latest & 63, deadline)
            except Error:
                self._unlock()
                raise
            version = self.load_header(latest & 63)[1]
            _atomic.atomic_thread_fence(RELEASE)
        self.begun = slot, latest, (version + 1) % 2**64, length
        return self.payload(slot, length)

    def _choose_slot(self, latest_slot, deadline):
        if latest_slot >= self.slots:
            raise Error("corrupt", "the latest slot")
        announced = False
        while True:
            taken = 1 << latest_slot
            for cell in self.cells_to_look_at():
                taken |= self.leases_of(cell).load()
            for slot in range(self.slots):
                if not taken >> slot & 1:
                    return slot
            if _is_past(deadline):
                raise Error("busy", "all slots are leased")
            if announced and not self.slot_wanted.futex_wait(1, deadline):
                raise Error("busy", "all slots are leased")
            self.slot_wanted.store(1)
            announced = True

    def commit(self, version=None):
        slot, old, next_version, length = self.begun
        self.begun = None
        if self.writer.load(ACQUIRE) & ~WAITING != self.cell + 1:
            raise Error("evicted")
        start = self.region + slot * self.stride
        for offset, value in ((0, MAGIC[self.layout]), (8, next_version if version is None else version), (16, length)):
            Word(start + offset).store(value, RELAXED)
        sequence = (old >> 6) + 1
        published = self.latest.cas(old + 1 if self.classic else old, sequence * 64 + slot)
        if published:
            self._ring_if_armed(sequence)
        self._unlock()
        if not published:
            raise Error("evicted")
        return sequence

    def abort(self):
        self.begun = None
        self._unlock()

    def _lock(self, deadline):
        mine = self.cell + 1
        for _ in range(10):
            if self.writer.cas(0, mine):
                return
        slept = False
        while not self.writer.cas(0, mine | WAITING):
            if not slept and _is_past(deadline):
                raise Error("busy", "another writer")
            seen = self.writer.load(RELAXED)
            if seen == 0 or (not seen & WAITING and not self.writer.cas(seen, seen | WAITING, RELAXED)):
                continue
            if _is_past(deadline):
                raise Error("busy", "another writer")
            self.writer.futex_wait(seen | WAITING, deadline)
            slept = True

    def _unlock(self):
        mine = self.cell + 1
        if not self.writer.cas(mine, 0, RELEASE) and self.writer.cas(mine | WAITING, 0, RELEASE):
            self.writer.futex_wake(1)

    # Shrinking.

    def shrink(self, timeout=0):
        deadline = _deadline(timeout)
        for slot in range(self.slots):
            if self.lease_counts[slot] > 0:
                continue
            self._store_leases(self.own_leases | 1 << slot)
            try:
                self._lock(deadline)
                self._unlock()
                self._punch(*self._unneeded(slot))
            finally:
                self._end_lease(slot)

    def _unneeded(self, slot):
        """Begin and end of what nobody needs of a slot, from its start on."""
        if self.latest.load() & 63 == slot:
            return slot * self.stride + _pages(self.header + self.load_header(slot)[2]), (slot + 1) * self.stride
        leased = any(self.leases_of(cell).load() >> slot & 1 for cell in self.cells_to_look_at() if cell != self.cell)
        return slot * self.stride, (slot + (0 if leased else 1)) * self.stride

    def _punch(self, begin, end):
        if begin < end and _libc.fallocate(self.region_fd, _PUNCH_HOLE, begin, end - begin) != 0:
            raise OSError(ctypes.get_errno(), "fallocate")

    # Waking up.

    def arm(self, last_seen):
        self.armed_of(self.cell).store(last_seen + 1)
        return self.sequence_now() == last_seen

    def sequence_now(self):
        return self.latest.load() >> 6

    def _ring_if_armed(self, sequence):
        if any(self.armed_of(cell).load() == sequence for cell in self.cells_to_look_at()):
            self.ring()

    def set_will(self):
        self.will_of(self.cell).store(1)

    def is_there(self, cell):
        """Whether the handle of that cell, which has set its will, is still open."""
        return self.will_of(cell).load() != 0

    def wait_while_there(self, cell):
        """Sleeps until the handle of that cell has ended."""
        with select.epoll() as rings:
            rings.register(self.doorbell, select.EPOLLIN | select.EPOLLET)
            while self.is_there(cell):
                if not rings.poll(20):
                    raise Error("timed_out")

    def ring(self):
        one = (1).to_bytes(8, "little")
        try:
            os.write(self.doorbell, one)
        except BlockingIOError:
            os.read(self.doorbell, 8)
            os.write(self.doorbell, one)

    def wait(self, last_seen, timeout=20):
        """Sleeps until the sequence is other than last_seen, and returns it."""
        if not self.epoll:
            self.epoll = select.epoll()
            self.epoll.register(self.doorbell, select.EPOLLIN | select.EPOLLET)
        deadline = _deadline(timeout)
        while self.arm(last_seen):
            self.epoll.poll(max(0, deadline - time.clock_gettime(time.CLOCK_MONOTONIC)))
            if _is_past(deadline) and self.sequence_now() == last_seen:
                raise Error("timed_out")
        return self.sequence_now()
