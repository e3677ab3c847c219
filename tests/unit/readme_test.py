#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The documents' examples are files that are built and run, and their links lead somewhere.

    readme_test.py SOURCE_DIR

In a document, a comment `<!-- the same as PATH -->` stands above each block of code that must equal the file PATH.
"""

import re
import sys
from pathlib import Path

BLOCK = re.compile(r"<!-- the same as (?P<path>\S+) -->\n```\w*\n(?P<code>.*?)```\n", re.DOTALL)
CODE = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)
LINK = re.compile(r"\[[^\]\n]*\]\((?P<target>[^)#\s]+)(?:#[^)\s]*)?\)|<img [^>]*src=\"(?P<source>[^\"]+)\"")


def problems(root, document):
    text = document.read_text()
    name = document.relative_to(root)
    for block in BLOCK.finditer(text):
        path = root / block["path"]
        if not path.is_file():
            yield f"{name} shows {block['path']}, which does not exist"
        elif path.read_text() != block["code"]:
            yield f"{name} shows {block['path']} as it is not: copy the file into the document"
    for link in LINK.finditer(CODE.sub("", text)):
        target = link["target"] or link["source"]
        if ":" not in target and not (document.parent / target).exists():
            yield f"{name} has a link to {target}, which does not exist"


def main():
    root = Path(sys.argv[1])
    skipped = {"build", "node_modules", ".git"}
    documents = [path for path in root.rglob("*.md") if not skipped & set(path.relative_to(root).parts)]
    found = [problem for document in documents for problem in problems(root, document)]
    shown = len(BLOCK.findall((root / "README.md").read_text()))
    if shown < 3:
        found.append(f"README.md shows {shown} examples; it should show one each in C++, in C and in a page")
    print("\n".join(found) or f"{len(documents)} documents are right")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
