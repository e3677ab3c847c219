#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs the benchmarks and says how memiod stands against its peers and its targets. `./dev bench` calls it.

A figure is a ratio: the median of ours over the median of the peer's, both from one run of one program, which takes them
in turns in random order. README.md says what each figure means; the programs say what is compared and why it is fair.

A missed target is shown as missed and is no failure of the run; only a program that does not run is.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Optional


@dataclass(frozen=True)
class Figure:
    name: str
    program: str
    ours: str  # Google Benchmark's names of the two
    peers: str
    unit: str
    peer: str  # what people read
    target: Optional[float] = None  # the largest ratio; none: reported only
    clock: str = "real"  # cpu for what runs in one process, which others disturb less
    if_missing: str = "the program does not have it"
    if_missed: str = "no reason is known yet"


NO_ICEORYX = ("iceoryx is missing (packages iceoryx and libiceoryx-posh-dev; then configure again), or another iox-roudi "
              "runs on this machine")

# In the order of the table. A new figure is a line here and a benchmark in some *_bench.cpp.
FIGURES = [
    Figure("publish_1mib_vs_memcpy", "publish_bench", "publish_1mib/memio", "publish_1mib/memcpy", "us", "memcpy of 1 MiB",
           1.05, "cpu"),
    Figure("publish_64b_ns", "publish_bench", "publish_64b/memio", "publish_64b/fetch_add", "ns", "atomic fetch_add", 10, "cpu",
           if_missed="three locked instructions, as the protocol needs them, and each waits for the stores before it; the rest "
                     "is plain instructions, which a busy neighbour on the core slows down more than a locked one"),
    Figure("read_lease_vs_atomics", "lease_bench", "lease/memio", "lease/atomics", "ns", "two atomic RMWs", 5, "cpu"),
    Figure("spin_rtt_vs_atomics", "spin_bench", "spin_rtt/memio", "spin_rtt/atomics", "ns", "bare atomics, no bytes", 2,
           if_missed="the peer carries no bytes; with 1 KiB copied in and out (next row) it takes more than twice its own time. With "
                     "64 bytes instead of 1 KiB ours is at 2.1"),
    Figure("spin_rtt_vs_atomics_1kib", "spin_bench", "spin_rtt/memio", "spin_rtt/atomics_1kib", "ns", "the same with 1 KiB"),
    Figure("spin_rtt_vs_iceoryx", "spin_bench", "spin_rtt/memio", "spin_rtt/iceoryx", "ns", "iceoryx, busy poll", 0.25,
           if_missing=NO_ICEORYX,
           if_missed="0.26 to 0.29 with the two CPUs 0.13 us of bare atomics apart, 0.13 with 0.06 us. Half of ours is moving the 16 cache "
                     "lines of 1 KiB, which iceoryx has to move as well; the compare-and-swap that publishes waits for all of them. "
                     "Asking for the lines earlier, by the writer or by the reader, was measured and changes nothing"),
    Figure("wake_rtt_vs_eventfd", "wake_bench", "wake_rtt/memio", "wake_rtt/eventfd", "us", "bare eventfds, no bytes", 1.25),
    Figure("wake_rtt_vs_iceoryx", "wake_bench", "wake_rtt/memio", "wake_rtt/iceoryx", "us", "iceoryx, WaitSet", 0.6,
           if_missing=NO_ICEORYX,
           if_missed="0.52 to 0.70, as the machine's CPUs happen to lie: nearly all of both is the kernel waking a process on the other "
                     "CPU, and ours takes less than bare eventfds do (the row above)"),
    Figure("fanout_64", "fanout_bench", "fanout/memio_64", "fanout/memio_1", "us", "1 subscriber"),
    Figure("fanout_64_eventfd", "fanout_bench", "fanout/eventfd_64", "fanout/eventfd_1", "us", "1 subscriber, bare eventfd"),
    Figure("big_read_vs_socket", "big_read_bench", "big_read/memio", "big_read/socket", "ms", "Unix socket", 0.35),
    Figure("big_read_copied_vs_socket", "big_read_bench", "big_read/memio_copied", "big_read/socket", "ms", "Unix socket"),
    Figure("stream_vs_memcpy", "stream_bench", "stream/memio", "stream/memcpy", "ms", "two memcpys of 1 GiB", 1.2),
    Figure("stream_vs_socket", "stream_bench", "stream/memio", "stream/socket", "ms", "Unix socket", 0.5),
    Figure("first_publish_prefaulted", "memory_bench", "first_publish/prefaulted", "first_publish/untouched", "ms",
           "without prefault()", clock="cpu"),
    Figure("first_publish_huge", "memory_bench", "first_publish/huge", "first_publish/untouched", "ms", "small pages, untouched",
           clock="cpu"),
    Figure("prefault_huge", "memory_bench", "prefault/huge", "prefault/small", "ms", "small pages", clock="cpu"),
    Figure("first_read_prefaulted", "memory_bench", "first_read/prefaulted", "first_read/small", "ms", "without prefault()",
           clock="cpu"),
    Figure("first_read_huge", "memory_bench", "first_read/huge", "first_read/small", "ms", "small pages", clock="cpu"),
    Figure("shrink_huge", "memory_bench", "shrink/huge", "shrink/small", "ms", "small pages", clock="cpu"),
    Figure("recover_1000", "recover_bench", "recover/1000", "recover/1", "ms", "with 1 region",
           if_missing="a systemd of one's own needs root, and the packages systemd and dbus-user-session"),
    Figure("call_rtt_vs_dbus", "call_bench", "call_rtt/memio", "call_rtt/dbus", "us", "D-Bus call", 0.5,
           if_missed="what two processes take to wake each other and to read and write bare JSON, which is call_rtt_vs_raw's peer, is some "
                     "0.4 of a D-Bus call by itself; then there are four system calls more: memiod's wait for any of its connections, "
                     "and three that ask for the region's memory"),
    Figure("call_rtt_vs_raw", "call_bench", "call_rtt/memio", "call_rtt/raw", "us", "bare JSON", 2),
    Figure("invoke_rtt_vs_dbus", "invoke_bench", "invoke_rtt/memio", "invoke_rtt/dbus", "us", "D-Bus call", 1),
    Figure("list_10000", "call_bench", "list/memio", "list/serialise", "ms", "serialising it", 5,
           if_missed="the answer goes through the socket in a dozen pieces, and each wakes the other process: 2 to 3 times the time to "
                     "serialise it where the CPU is free, 10 to 15 where others want it, too"),
    Figure("create_flat", "call_bench", "create/last", "create/first", "ms", "the first 1,000", 1.5),
    Figure("scale_memory", "scale_bench", "scale_memory/memiod", "scale_memory/allowed", "MiB", "64 MiB", 1),
    Figure("js_100mib_vs_scheme", "js_bench", "js_100mib/memio", "js_100mib/scheme", "ms", "URI scheme", 0.01),
    Figure("js_100mib_sum_vs_plain", "js_bench", "js_sum/memio", "js_sum/plain", "ms", "ordinary ArrayBuffer", 1.3),
    Figure("js_write_10mib_vs_base64", "js_bench", "js_write/memio", "js_write/base64", "ms", "base64 message", 0.02),
    Figure("js_write_10mib_vs_memcpy", "js_bench", "js_write/memio", "js_write/copy", "ms", "TypedArray.set()", 3),
    Figure("js_upload_vs_fetch", "js_bench", "js_upload/memio", "js_upload/fetch", "ms", "fetch POST", 0.1),
    Figure("invoke_js", "js_bench", "js_invoke/memio", "js_invoke/message", "us", "script message with reply"),
    Figure("js_version_poll_ns", "js_bench", "js_poll/memio", "js_poll/atomics_load", "ns", "Atomics.load", 5),
    Figure("js_read_release_ns", "js_bench", "js_lease/memio", "js_lease/native_call", "ns", "a native call", 1),
    Figure("js_store_read_only", "js_bench", "js_store/memio", "js_lease/memio", "us", "the same without a store"),
    Figure("notify_js_vs_native", "js_bench", "js_notify/memio", "js_notify/native", "us", "native GLib handler", 3),
    Figure("js_frame_1080p_vs_scheme", "js_bench", "js_frames/memio", "js_frames/scheme", "ms", "URI scheme"),
]

PER_NANOSECOND = {"ns": 1, "us": 1e-3, "ms": 1e-6, "s": 1e-9,
                  "MiB": 2**-20}  # Google Benchmark knows only times: a byte is told as a nanosecond


class ProgramFailed(Exception):
    pass


def measure(program, repetitions, min_time, limit):
    """Runs a program; its benchmarks' times in ns, a list each by name: {name: {"cpu": [...], "real": [...]}}, and "label"
    where a benchmark has something to say."""
    with tempfile.NamedTemporaryFile(suffix=".json") as out:
        command = [program, f"--benchmark_out={out.name}", "--benchmark_out_format=json",
                   f"--benchmark_repetitions={repetitions}", f"--benchmark_min_time={min_time}",
                   "--benchmark_enable_random_interleaving=true"]
        try:
            done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=limit,
                                  start_new_session=True)  # run_before_others() in process.cpp says why
        except subprocess.TimeoutExpired as expired:
            raise ProgramFailed(f"did not end within {limit} s") from expired
        except OSError as error:
            raise ProgramFailed(str(error)) from error
        if done.returncode == 77:  # it cannot run here
            return {}
        if done.returncode != 0:
            raise ProgramFailed(f"ended with {done.returncode}:\n{done.stdout[-2000:]}")
        runs = json.loads(Path(out.name).read_text())["benchmarks"]
    times = {}
    for run in runs:
        if run["run_type"] != "iteration":
            continue
        # Google Benchmark adds what was asked for to a name: "spin_rtt/memio/real_time".
        name = "/".join(run["name"].split("/")[:2])
        of = times.setdefault(name, {"cpu": [], "real": []})
        for clock in ("cpu", "real"):
            of[clock].append(run[f"{clock}_time"] / PER_NANOSECOND[run["time_unit"]])
        if "label" in run:
            of["label"] = run["label"]
    return times


def result(figure, times):
    def median(name):
        found = times.get(name)
        return statistics.median(found[figure.clock]) * PER_NANOSECOND[figure.unit] if found else None

    value, peer_value = median(figure.ours), median(figure.peers)
    ratio = value / peer_value if value and peer_value else None
    row = {"name": figure.name, "value": value, "unit": figure.unit, "peer": figure.peer, "peer_value": peer_value,
           "ratio": ratio, "target": figure.target,
           "pass": None if ratio is None or figure.target is None else ratio <= figure.target}
    if ratio is None:
        row["note"] = "missing: " + figure.if_missing
    elif row["pass"] is False:
        row["note"] = "missed: " + figure.if_missed
    for name in (figure.ours, figure.peers):
        if label := times.get(name, {}).get("label"):
            row["note"] = "; ".join(filter(None, (row.get("note"), label)))
            break
    return row


def verdict(row):
    if row["ratio"] is None:
        return "missing", "33"
    return {True: ("met", "32"), False: ("missed", "31"), None: ("", "")}[row["pass"]]


def show_ratio(ratio: float) -> str:
    return f"{ratio:.2f}" if ratio >= 0.01 else f"{ratio:.1g}"


def table(rows, colours):
    def number(value, unit):
        if value is None:
            return "-"
        return f"{value:.0f} {unit}" if value >= 100 else f"{value:.3g} {unit}"

    lines = [["figure", "memiod", "peer", "", "ratio", "target", ""]]
    for row in rows:
        lines.append([row["name"], number(row["value"], row["unit"]), number(row["peer_value"], row["unit"]), row["peer"],
                      "-" if row["ratio"] is None else show_ratio(row["ratio"]),
                      "-" if row["target"] is None else f"<= {row['target']:g}", verdict(row)[0]])
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    left = {0, 3, 6}
    for n, line in enumerate(lines):
        cells = [cell.ljust(width) if i in left else cell.rjust(width) for i, (cell, width) in enumerate(zip(line, widths))]
        colour = "1" if n == 0 else verdict(rows[n - 1])[1]
        if colours and colour:
            chosen = range(len(cells)) if n == 0 else [len(cells) - 1]
            for i in chosen:
                cells[i] = f"\033[{colour}m{cells[i]}\033[0m"
        yield "  ".join(cells).rstrip()
    for row in rows:
        if "note" in row:
            yield f"{row['name']}: {row['note']}"


def main():
    root = Path(__file__).resolve().parent.parent
    parser = argparse.ArgumentParser(prog="dev bench", description=__doc__.split("\n\n")[0])
    parser.add_argument("only", nargs="*", metavar="FIGURE", help="only figures whose names begin so")
    parser.add_argument("--json", action="store_true", help="print the results as they are written to results.json")
    parser.add_argument("--quick", action="store_true", help="few and short repetitions: to see that all of it runs")
    parser.add_argument("--repetitions", type=int, default=41, help="of each benchmark (%(default)s)")
    parser.add_argument("--min-time", type=float, default=0.02, help="seconds of a repetition (%(default)s)")
    parser.add_argument("--build", type=Path, default=root / "build/release", help=argparse.SUPPRESS)
    parser.add_argument("--output", type=Path, default=root / "build/bench/results.json", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.quick:
        options.repetitions, options.min_time = 5, 0.005

    wanted = [f for f in FIGURES if not options.only or any(f.name.startswith(name) for name in options.only)]
    if not wanted:
        parser.error("there is no such figure; there are: " + ", ".join(f.name for f in FIGURES))
    measured, failed = {}, []
    for program in dict.fromkeys(f.program for f in wanted):
        print(f"{program} ...", file=sys.stderr, flush=True)
        try:
            measured[program] = measure(options.build / "bench" / program, options.repetitions, options.min_time, limit=300)
        except ProgramFailed as failure:
            measured[program] = {}
            failed.append(program)
            print(f"{program}: {failure}", file=sys.stderr)

    rows = [result(figure, measured[figure.program]) for figure in wanted]
    for figure, row in zip(wanted, rows):
        if figure.program in failed:
            row["note"] = f"missing: {figure.program} failed"
    options.output.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(rows, indent=2)
    options.output.write_text(text + "\n")
    if options.json:
        print(text)
    else:
        colours = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
        print(*table(rows, colours), sep="\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
