#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Checks region.pml, classic.pml and stream.pml with Spin: exhaustively, in several sizes, and with mistakes built in that have to
be noticed.

    run.py SPIN CC everybody|other-sizes|shrinking|classic|streams|mistakes|NAME...

Each check generates, compiles and runs a verifier. A size that holds is searched to its end; a mistake must end the
search with an error.
"""

import pathlib
import re
import subprocess
import sys
import tempfile
import time

SPIN, CC, *WANTED = sys.argv[1:]
HERE = pathlib.Path(__file__).resolve().parent


def size(writers=2, publishes=1, subscribers=0, readers=0, reads=1, slots=3, crashes=1, impatient=0, copying=0,
         holding=0, shrinkers=0, memiod_shrinks=0):
    return "region.pml", {"WRITERS": writers, "PUBLISHES": publishes, "SUBSCRIBERS": subscribers, "READERS": readers,
                          "READS": reads, "SLOTS": slots, "CRASHES": crashes, "IMPATIENT": impatient,
                          "COPYING": copying, "HOLDING": holding, "SHRINKERS": shrinkers,
                          "MEMIOD_SHRINKS": memiod_shrinks}


def classic(writers=2, writes=1, reads=1, crashes=1):
    return "classic.pml", {"WRITERS": writers, "WRITES": writes, "READS": reads, "CRASHES": crashes}


def stream(capacity=2, chunks=4, crashes=1, give_up=0, holding=0):
    return "stream.pml", {"CAPACITY": capacity, "CHUNKS": chunks, "CRASHES": crashes, "GIVE_UP": give_up,
                          "HOLDING": holding}


# A process that waits for ever can still die as long as CRASHES is not used up, so what only needs fewer crashes to go
# wrong is found with fewer; hence those with none.
SIZES = {
    "everybody": size(subscribers=1, readers=1),
    "two subscribers": size(writers=1, publishes=2, subscribers=2),
    "two writers, twice": size(publishes=2, subscribers=1, crashes=0),
    "two dead and a subscriber": size(subscribers=1, crashes=2),
    "readers that take all slots": size(readers=2, slots=2),
    "a reader that holds": size(writers=1, publishes=3, readers=1, reads=3, slots=2, holding=1, crashes=0),
    "readers that copy": size(publishes=2, readers=1, copying=1, slots=2),
    "one writer after another": size(writers=1, publishes=3, subscribers=1, readers=1, slots=2),
    "the lock, with deadlines": size(writers=3, impatient=1, crashes=0),
    "the lock, with deadlines and deaths": size(writers=3, impatient=1, crashes=2),
    "slots, with deadlines": size(impatient=1, readers=2, slots=2, crashes=0),
}

# Somebody gives memory back.
SHRINKING = {
    "a client shrinks": size(writers=1, publishes=2, readers=1, slots=2, shrinkers=1),
    "memiod shrinks": size(writers=1, publishes=2, readers=1, slots=3, memiod_shrinks=1),
    "a client and memiod shrink": size(writers=1, publishes=2, slots=2, shrinkers=1, memiod_shrinks=1),
    "two writers and a client that shrinks": size(slots=2, shrinkers=1, crashes=2),
    "a subscriber and a client that shrinks": size(writers=1, subscribers=1, slots=2, shrinkers=1),
    "a reader that copies while memiod shrinks": size(writers=1, publishes=2, readers=1, copying=1, slots=2,
                                                      memiod_shrinks=1),
}

CLASSIC = {
    "two writers of a classic region": classic(reads=2, crashes=2),
    "a writer of a classic region, again and again": classic(writers=1, writes=3, reads=2),
}

STREAMS = {
    "a stream": stream(crashes=0, chunks=6),
    "a stream whose sides die": stream(crashes=2),
    "a stream whose sides give up": stream(give_up=1),
    "a stream with one buffer": stream(capacity=1, crashes=2, give_up=1),
    "a stream with four buffers": stream(capacity=4, chunks=6),
    "a stream whose chunks are given back the wrong way round": stream(holding=1, chunks=5),
}

# In a small size in which it shows.
MISTAKES = {
    "LEASES_WITHOUT_ANOTHER_LOOK": size(readers=1, crashes=0),
    "COPIES_WITHOUT_ANOTHER_LOOK": size(readers=1, copying=1, slots=2, crashes=0),
    "ARMS_WITHOUT_ANOTHER_LOOK": size(writers=1, subscribers=1, crashes=0),
    "WRITER_CLEARS_ARMED": size(writers=2, subscribers=1, crashes=0),
    "SLEEPS_WITHOUT_ANOTHER_LOOK": size(writers=1, publishes=2, readers=1, slots=2, crashes=0),
    "A_LATE_LEASE_WAKES_NOBODY": SIZES["a reader that holds"],
    "LATE_SLEEPER_KEEPS_THE_WAKE_UP": size(writers=3, impatient=1, crashes=0),
    "RINGS_WITHOUT_THE_LOCK": size(writers=1, subscribers=1),
    "BROKER_DOES_NOT_RING": size(writers=1, subscribers=1),
    "LEASES_STAY": size(writers=2, readers=1, slots=2),
    "WAKES_ONLY_FOR_ITS_OWN_CHANGES": size(writers=2),
    "SHRINKER_WAITS_FOR_NO_WRITER": size(writers=1, publishes=2, readers=1, slots=2, shrinkers=1, crashes=0),
    "SHRINKER_IGNORES_LEASES": size(writers=1, publishes=2, readers=1, slots=2, shrinkers=1, crashes=0),
    "SHRINKER_PUNCHES_THE_LATEST": size(writers=1, readers=1, slots=2, shrinkers=1, crashes=0),
    "SHRINKER_WAKES_NOBODY": size(writers=1, publishes=2, slots=2, shrinkers=1, crashes=0),
    "SHRINKER_LEASES_BEFORE_IT_LOCKS": size(writers=1, slots=2, shrinkers=1, crashes=0),
    "MEMIOD_LEASES_AFTER_ITS_LOOK": size(writers=1, publishes=2, readers=1, slots=2, memiod_shrinks=1, crashes=0),
    "LOCK_ONLY_ACQUIRES": size(writers=1, publishes=2, readers=1, slots=2, memiod_shrinks=1, crashes=0),
    "TAKES_A_HOLE_FOR_CORRUPT": SHRINKING["a reader that copies while memiod shrinks"],
    "WRITES_WITHOUT_A_MARK": classic(),
    "WRITES_THE_HEADER_LAST": classic(),
    "IGNORES_THE_MARK": classic(),
    "ACCEPTS_WITHOUT_ANOTHER_LOOK": classic(),
    "DOES_NOT_MEND": classic(),
    "ABORT_CLEARS_THE_MARK": classic(),
    "SLEEPS_WITHOUT_A_LOOK_AT_THE_RING": stream(crashes=0),
    "WAKES_BEFORE_IT_STORES": stream(crashes=0),
    "CLEARS_WAITS_AFTER_RINGING": stream(crashes=0),
    "STORES_THE_ENTRY_LAST": stream(crashes=0),
    "GIVES_BACK_WHAT_IT_HOLDS": stream(crashes=0, holding=1),
    "LOOKS_AT_THE_HEAD_FIRST": stream(crashes=0),
    "LOOKS_AT_THE_TAIL_FIRST": stream(),
    "MEMIOD_RINGS_FIRST": stream(),
    "MEMIOD_DOES_NOT_RING": stream(),
    "JOINS_BEFORE_ITS_WILL": stream(capacity=1, crashes=0),
}


def verify(model, definitions, optimisation):
    """Runs the verifier and returns its output."""
    with tempfile.TemporaryDirectory() as directory:
        def run(*command, timeout=250):
            return subprocess.run(command, cwd=directory, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                  timeout=timeout, check=False).stdout

        arguments = [f"-D{name}={value}" for name, value in definitions.items()]
        output = run(SPIN, "-a", *arguments, str(HERE / model))
        # COLLAPSE: states in less memory, still all of them. At most 3 GB.
        options = ["-w", "-DSAFETY", "-DNOCLAIM", "-DCOLLAPSE", "-DMEMLIM=3000"]
        output += run(CC, optimisation, *options, "-o", "pan", "pan.c")
        if not pathlib.Path(directory, "pan").exists():
            sys.exit(f"no verifier:\n{output}")
        return run("./pan", "-m1000000", "-w24")


def main():
    failed = 0
    groups = {"everybody": {"everybody": SIZES["everybody"]},
              "other-sizes": {name: size for name, size in SIZES.items() if name != "everybody"},
              "shrinking": SHRINKING, "classic": CLASSIC, "streams": STREAMS, "mistakes": MISTAKES}
    checks = [(group, name, size) for group, sizes in groups.items() for name, size in sizes.items()]
    for group, name, (model, definitions) in checks:
        holds = group != "mistakes"
        if name not in WANTED and group not in WANTED:
            continue
        if not holds:
            definitions = {**definitions, f"MISTAKE_{name}": 1}
        start = time.monotonic()
        # A mistake is found before an optimiser would be done, and most sizes are before -O2 would be.
        output = verify(model, definitions, "-O1" if holds else "-O0")
        errors = re.search(r"errors: (\d+)", output)
        states = re.search(r"(\d+) states, stored", output)
        complete = "too small" not in output and "not completed" not in output and "Search aborted" not in output
        if holds:
            ok = errors and errors[1] == "0" and complete
        else:
            ok = errors and errors[1] != "0" and ("assertion violated" in output or "invalid end state" in output)
        verdict = ("holds" if holds else "is noticed") if ok else "FAILED"
        print(f"{name}: {verdict}; {states[1] if states else '?'} states, {time.monotonic() - start:.1f} s", flush=True)
        if not ok:
            print(output)
            failed += 1
    return 1 if failed else 0


sys.exit(main())
