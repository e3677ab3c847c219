#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The manual pages are well-formed and, with the completion, know each command and option that the programs have.

    manuals_test.py SOURCE_DIR MEMIOD MEMIOCTL
"""

import re
import subprocess
import sys
from pathlib import Path


def said_by(*command):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=True).stdout


def options(help_text):
    return set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", help_text))


# CLI11 lists commands under "Subcommands:", each on a line that begins with two spaces.
def commands(help_text):
    return re.findall(r"^  ([a-z]+) ", help_text.partition("Subcommands:")[2], re.MULTILINE)


def warnings(page):
    man = subprocess.run(
        ["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", page],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "MANROFFSEQ": "", "MANWIDTH": "80"},
        check=False,
    )
    return man.stderr


def main():
    source, memiod, memioctl = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    manuals = {name: source / "packaging/man" / place for name, place in
               {"memiod": "man8/memiod.8", "memioctl": "man1/memioctl.1", "memiod.conf": "man5/memiod.conf.5"}.items()}
    completion = (source / "packaging/memioctl.bash").read_text()
    problems = [f"{page}: {said}" for page in manuals.values() if (said := warnings(page))]

    # In roff an option's second hyphen is written \-.
    text = {name: page.read_text().replace("Fl \\-", "--").replace("\\-", "-") for name, page in manuals.items()}
    problems += [f"memiod(8) does not tell of {o}" for o in options(said_by(memiod, "--help")) if o not in text["memiod"]]

    general = said_by(memioctl, "--help")
    known = commands(general)
    if not known:
        problems.append("memioctl --help lists no commands")
    for command in known:
        if not re.search(rf"^\.It (Cm|Ic) {command}\b", text["memioctl"], re.MULTILINE):
            problems.append(f"memioctl(1) does not tell of the command {command}")
        if not re.search(rf"\b{command}\b", completion):
            problems.append(f"the completion does not know the command {command}")
    offered = options(general).union(*(options(said_by(memioctl, command, "--help")) for command in known))
    problems += [f"memioctl(1) does not tell of {o}" for o in sorted(offered) if o not in text["memioctl"]]
    problems += [f"the completion does not know {o}" for o in sorted(offered) if o not in completion]

    print("\n".join(problems))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
