#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Checks that dependencies run one way: proto <- daemon; proto <- libclient <- memioctl, webext.

Run as architecture_test.py SOURCE_DIR. It reads #include lines and CMake's target_link_libraries.
"""

import re
import sys
import unittest
from pathlib import Path

ROOT = Path(sys.argv.pop(1))
SOURCES = {".h", ".hpp", ".c", ".cpp", ".cc"}

# What each part may take from the others. A part that is not here may use anything.
ALLOWED = {
    "proto": set(),
    "daemon": {"proto"},
    "libclient": {"proto"},
}
# Which part each of our CMake targets belongs to, by how its name begins; the first that fits.
TARGETS = [("memio-proto", "proto"), ("memio-client", "libclient"), ("memio-glib", "libclient"), ("memioctl", "libclient"),
           ("memiod", "daemon"), ("memio-daemon", "daemon"), ("memio-webkit", "webext"), ("memio-webext", "webext")]


def part_of(path):
    return path.relative_to(ROOT).parts[0]


def files(part, suffixes):
    return [p for p in sorted((ROOT / part).rglob("*")) if p.suffix in suffixes and "node_modules" not in p.parts]


def owners():
    """Every header that an #include can name, by each way of naming it: the parts that have one like that."""
    found = {}
    for part in ("proto", "daemon", "libclient", "webext"):
        for header in files(part, {".h", ".hpp"}):
            pieces = header.relative_to(ROOT).parts
            for i in range(len(pieces)):
                found.setdefault("/".join(pieces[i:]), set()).add(part)
    return found


def wrong_includes(part, allowed, known):
    for file in files(part, SOURCES):
        for included in re.findall(r'^\s*#\s*include\s*[<"]([^">]+)[">]', file.read_text(), re.M):
            parts = known.get(included, set())
            if ".." in included:
                yield f"{file.relative_to(ROOT)}: #include with '..': {included}"
            elif parts and part not in parts and not parts & allowed:
                yield f"{file.relative_to(ROOT)} includes {included}, which is {' or '.join(sorted(parts))}'s"


def part_of_target(target):
    for prefix, part in TARGETS:
        if target == prefix or target.startswith(prefix):
            return part
    return None


def wrong_links(part, allowed):
    for file in files(part, {".txt"}):
        for body in re.findall(r"target_(?:link_libraries|include_directories|sources)\s*\(([^)]*)\)", file.read_text()):
            for word in body.split()[1:]:
                other = part_of_target(word)
                if other and other != part and other not in allowed:
                    yield f"{file.relative_to(ROOT)} links {word}, which is {other}'s"
                for folder in set(ALLOWED) - allowed - {part}:
                    if re.search(rf"[/}}]{folder}/", word):
                        yield f"{file.relative_to(ROOT)} reaches into {folder}: {word}"


class ArchitectureTest(unittest.TestCase):
    def test_no_part_includes_what_it_must_not(self):
        known = owners()
        self.assertIn("memio/client.h", known)
        for part, allowed in ALLOWED.items():
            self.assertTrue(files(part, SOURCES) or part == "daemon", f"{part} has no sources")
            self.assertEqual(list(wrong_includes(part, allowed, known)), [])

    def test_no_part_links_what_it_must_not(self):
        for part, allowed in ALLOWED.items():
            self.assertEqual(list(wrong_links(part, allowed)), [])

    def test_these_checks_find_what_they_look_for(self):
        known = owners()
        self.assertEqual(known["memio/channel.h"], {"proto"})
        self.assertEqual(known["memio/client.h"], {"libclient"})
        self.assertEqual(known["reader.h"], {"libclient"})
        # libclient uses proto; if that were not allowed, this would have to show.
        self.assertNotEqual(list(wrong_includes("libclient", set(), known)), [])
        self.assertNotEqual(list(wrong_links("libclient", set())), [])

    def test_only_unique_fd_calls_close(self):
        for part in ("proto", "daemon", "libclient"):
            for file in files(part, SOURCES):
                if file.name == "unique_fd.h":
                    continue
                calls = [line.strip() for line in file.read_text().splitlines() if re.search(r"(?<![\w.>])::close\(", line)]
                self.assertEqual(calls, [], file.relative_to(ROOT))


if __name__ == "__main__":
    unittest.main()
