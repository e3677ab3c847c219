#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Tests proto/generate.py: run as generate_test.py PROTO_DIR."""

import io
import re
import sys
import tempfile
import unittest
from contextlib import redirect_stdout
from pathlib import Path

PROTO = Path(sys.argv.pop(1))
sys.path.insert(0, str(PROTO))
import generate  # noqa: E402

SMALL = """# About the interface.
interface io.example

# Not about anything: an empty line follows.

# What shapes there are.
type Shape (round, square)

type Thing (
  # What it is called.
  # On two lines.
  thingName: string,
  size: ?int,
  shapes: []Shape,
  parts: ?[]Part
)

type Part (id: int, note: ?object)

# Does it.
method DoIt(thing: Thing, quick: ?bool) -> (socketFileDescriptor: int)

method Nothing() -> ()

# It broke.
error Broken (message: string)
"""


def parse(text):
    return generate.Parser(text).interface()


def normal_form(text):
    """An interface's tokens without comments and commas: what two texts of the same meaning share."""
    return [t for t in generate.Parser(text).tokens if t != "\n" and t != "," and not t.startswith("#")]


def format_interface(name, items):
    """Writes what was parsed as an interface again."""
    def type_text(t):
        return ("?" if t.nullable else "") + ("[]" if t.array else "") + t.name

    def fields(list_):
        return "(" + ", ".join(f"{f.name}: {type_text(f.type)}" for f in list_) + ")"

    text = f"interface {name}\n"
    for item in items:
        if item.kind == "enum":
            text += f"type {item.name} ({', '.join(item.fields)})\n"
        elif item.kind == "struct":
            text += f"type {item.name} {fields(item.fields)}\n"
        elif item.kind == "method":
            text += f"method {item.name}{fields(item.fields)} -> {fields(item.reply)}\n"
        else:
            text += f"error {item.name} {fields(item.fields)}\n"
    return text


class ParserTest(unittest.TestCase):
    def test_reads_each_kind_of_item(self):
        name, doc, items = parse(SMALL)
        self.assertEqual(name, "io.example")
        self.assertEqual(doc, ["About the interface."])
        self.assertEqual([(i.kind, i.name) for i in items],
                         [("enum", "Shape"), ("struct", "Thing"), ("struct", "Part"), ("method", "DoIt"),
                          ("method", "Nothing"), ("error", "Broken")])

    def test_reads_types(self):
        _, _, items = parse(SMALL)
        types = {f.name: f.type for f in items[1].fields}
        self.assertEqual(types["size"], generate.Type("int", nullable=True))
        self.assertEqual(types["shapes"], generate.Type("Shape", array=True))
        self.assertEqual(types["parts"], generate.Type("Part", nullable=True, array=True))

    def test_gives_a_comment_to_what_follows_it_directly(self):
        _, _, items = parse(SMALL)
        self.assertEqual(items[0].doc, ["What shapes there are."])
        self.assertEqual(items[1].doc, [])
        self.assertEqual(items[1].fields[0].doc, ["What it is called.", "On two lines."])
        self.assertEqual(items[1].fields[1].doc, [])

    def test_every_interface_survives_parse_and_format(self):
        files = sorted(PROTO.glob("*.varlink"))
        self.assertTrue(files)
        for text in [SMALL] + [f.read_text() for f in files]:
            name, _, items = parse(text)
            again = format_interface(name, items)
            self.assertEqual(normal_form(again), normal_form(text))
            self.assertEqual(format_interface(*[parse(again)[i] for i in (0, 2)]), again)

    def test_says_where_it_does_not_understand(self):
        with self.assertRaisesRegex(SystemExit, "line 2: unexpected '!'"):
            parse("interface io.example\n!\n")
        with self.assertRaisesRegex(SystemExit, r"expected ->"):
            parse("interface io.example\nmethod A() (b: int)\n")
        with self.assertRaisesRegex(SystemExit, "expected more"):
            parse("interface io.example\ntype A (b: int")

    def test_uses_only_types_that_exist(self):
        for file in PROTO.glob("*.varlink"):
            _, _, items = parse(file.read_text())
            known = set(generate.CPP_TYPES) | {i.name for i in items if i.kind in ("struct", "enum")}
            for _, _, fields in generate.structs(items):
                for f in fields:
                    self.assertIn(f.type.name, known, f"{file.name}: {f.name}")


class CppTest(unittest.TestCase):
    def test_writes_structs_and_their_readers(self):
        name, _, items = parse(SMALL)
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder)
            generate.cpp(name, items, SMALL, out)
            header = (out / "protocol.h").read_text()
            json_header = (out / "protocol_json.h").read_text()
            source = (out / "protocol_json.cpp").read_text()
        self.assertIn("enum class Shape : std::uint8_t { round, square };", header)
        self.assertIn("std::string thing_name{};", header)
        self.assertIn("std::optional<std::uint64_t> size{};", header)
        self.assertIn("std::vector<Shape> shapes{};", header)
        self.assertIn("std::optional<std::vector<Part>> parts{};", header)
        self.assertIn("std::uint64_t socket_file_descriptor{};", header)
        self.assertIn("std::optional<JsonText> note{};", header)
        self.assertIn('#include "memio/json_text.h"', header)
        self.assertIn('do_it_method = "io.example.DoIt"', json_header)
        self.assertIn('std::string_view("io.example.Broken")', json_header)
        self.assertIn('reader.read("thingName", value.thing_name);', source)
        self.assertIn(SMALL, source)


class MarkdownTest(unittest.TestCase):
    def test_has_a_row_for_each_item(self):
        name, _, items = parse(SMALL)
        text = generate.markdown(name, items)
        self.assertIn("| `DoIt` | `thing: Thing`, `quick: ?bool` | `socketFileDescriptor: int` | Does it. |", text)
        self.assertIn("| `Nothing` | nothing | nothing |", text)
        self.assertIn("One of `round`, `square`.", text)
        self.assertIn("| `io.example.Broken` | It broke. |", text)

    def test_protocol_document_has_the_tables_of_the_interface(self):
        document = (PROTO / "PROTOCOL.md").read_text()
        found = re.search(r"<!-- generate\.py begin -->\n(.*?)<!-- generate\.py end -->\n", document, re.S)
        self.assertTrue(found, "PROTOCOL.md has no markers for the tables")
        out = io.StringIO()
        arguments, sys.argv = sys.argv, ["generate.py", str(PROTO / "io.memio.varlink"), "--markdown"]
        try:
            with redirect_stdout(out):
                generate.main()
        finally:
            sys.argv = arguments
        self.assertEqual(found.group(1).strip(), out.getvalue().strip(),
                         "PROTOCOL.md is out of date: put the output of generate.py --markdown between the markers")

    def test_protocol_document_shows_messages_that_exist(self):
        """Each message shown in PROTOCOL.md is a golden message, which the C++ and TypeScript tests read."""
        import json
        golden = [json.loads(json.loads(f.read_text())["text"]) for f in (PROTO / "testdata").glob("*.json")]
        document = (PROTO / "PROTOCOL.md").read_text()
        shown = [line[3:].strip() for block in re.findall(r"```text\n(.*?)```", document, re.S)
                 for line in block.splitlines() if line.startswith(("-> {", "<- {"))]
        self.assertGreater(len(shown), 8)
        for message in shown:
            self.assertIn(json.loads(message.split("   + ")[0]), golden, message)


class TypescriptTest(unittest.TestCase):
    def test_has_a_type_for_each_item(self):
        name, _, items = parse(SMALL)
        text = generate.typescript(name, items)
        self.assertIn("export type Shape = 'round' | 'square';", text)
        self.assertIn("  thingName: string;", text)
        self.assertIn("  size?: number | null;", text)
        self.assertIn("  parts?: Part[] | null;", text)
        self.assertIn("  note?: unknown | null;", text)
        self.assertIn("'io.example.DoIt': { parameters: DoItParameters; reply: DoItReply };", text)
        self.assertIn("  | 'io.example.Broken'", text)


if __name__ == "__main__":
    unittest.main()
