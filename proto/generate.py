#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Turns an interface definition (Varlink) into what the code and the documents need.

    generate.py INTERFACE.varlink --cpp DIR         DIR/protocol.h, DIR/protocol_json.h, DIR/protocol_json.cpp
    generate.py INTERFACE.varlink --typescript FILE
    generate.py INTERFACE.varlink --markdown        the reference tables, on standard output

The interface file is the only definition of the protocol; everything else is made from it. Only the parts of
Varlink's grammar that our interfaces use are read: named types, enums, `object`, `?` and `[]`; no inline structs, no
maps. An `object` is any JSON value: its text in C++, `unknown` in TypeScript.
"""

import argparse
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path

TOKEN = re.compile(r"\s+|(?P<comment>#[^\n]*)|(?P<word>[A-Za-z][A-Za-z0-9_.]*)|(?P<mark>->|\[\]|[():,?])")


@dataclass
class Type:
    name: str
    nullable: bool = False
    array: bool = False


@dataclass
class Field:
    name: str
    type: Type
    doc: list


@dataclass
class Item:
    kind: str  # struct, enum, method, error
    name: str
    doc: list
    fields: list = field(default_factory=list)  # of Field; of (name) for an enum
    reply: list = field(default_factory=list)


class Parser:
    def __init__(self, text):
        self.tokens = []
        position = 0
        while position < len(text):
            match = TOKEN.match(text, position)
            if not match:
                line = text.count("\n", 0, position) + 1
                sys.exit(f"line {line}: unexpected {text[position]!r}")
            position = match.end()
            if match.lastgroup:
                self.tokens.append(match.group(match.lastgroup))
            elif match.group().count("\n") > 1:
                self.tokens.append("\n")  # an empty line parts a comment from what follows
        self.doc = []

    def peek(self):
        while self.tokens and (self.tokens[0] == "\n" or self.tokens[0].startswith("#")):
            token = self.tokens.pop(0)
            self.doc = [] if token == "\n" else self.doc + [token[1:].strip()]
        return self.tokens[0] if self.tokens else None

    def take(self, expected=None):
        token = self.peek()
        if token is None or (expected and token != expected):
            sys.exit(f"expected {expected or 'more'}, found {token!r}")
        return self.tokens.pop(0)

    def take_doc(self):
        self.peek()
        doc, self.doc = self.doc, []
        return doc

    def type(self):
        result = Type("")
        while self.peek() in ("?", "[]"):
            if self.take() == "?":
                result.nullable = True
            else:
                result.array = True
        result.name = self.take()
        return result

    def fields(self):
        """A parenthesised list: of fields, or of names for an enum."""
        self.take("(")
        fields, names = [], []
        while self.peek() != ")":
            doc = self.take_doc()
            name = self.take()
            if self.peek() == ":":
                self.take()
                fields.append(Field(name, self.type(), doc))
            else:
                names.append(name)
            if self.peek() == ",":
                self.take()
        self.take(")")
        return fields, names

    def interface(self):
        doc = self.take_doc()
        self.take("interface")
        name = self.take()
        items = []
        while self.peek():
            item_doc = self.take_doc()
            keyword = self.take()
            item = Item(keyword, self.take(), item_doc)
            item.fields, names = self.fields()
            if keyword == "type":
                item.kind = "enum" if names else "struct"
                item.fields = names or item.fields
            elif keyword == "method":
                self.take("->")
                item.reply, _ = self.fields()
            items.append(item)
        return name, doc, items


def comment(doc, prefix, indent=""):
    return "".join(f"{indent}{prefix} {line}".rstrip() + "\n" for line in doc)


def structs(items):
    """Every group of fields that becomes a type: (name, doc, fields)."""
    for item in items:
        if item.kind == "struct":
            yield item.name, item.doc, item.fields
        elif item.kind == "method":
            yield item.name + "Parameters", [f"What {item.name} takes."], item.fields
            yield item.name + "Reply", [f"What {item.name} answers."], item.reply


def snake(name):
    return re.sub(r"(?<=[a-z])([A-Z])", lambda m: "_" + m.group(1).lower(), name)


CPP_TYPES = {"string": "std::string", "int": "std::uint64_t", "bool": "bool", "object": "JsonText"}


def cpp_type(t, enums):
    base = CPP_TYPES.get(t.name, t.name)
    if t.array:
        base = f"std::vector<{base}>"
    return f"std::optional<{base}>" if t.nullable else base


def cpp(name, items, text, out):
    enums = [i for i in items if i.kind == "enum"]
    header = "// Made by proto/generate.py from the interface definition: change that, not this.\n#pragma once\n\n"
    body = header + "#include <cstdint>\n#include <optional>\n#include <string>\n#include <vector>\n\n"
    if any(f.type.name == "object" for _, _, fields in structs(items) for f in fields):
        body += '#include "memio/json_text.h"\n\n'
    body += "namespace memio::protocol {\n"
    for item in enums:
        body += "\n" + comment(item.doc, "//") + f"enum class {item.name} : std::uint8_t {{ {', '.join(item.fields)} }};\n"
    for struct, doc, fields in structs(items):
        body += "\n" + comment(doc, "//") + f"struct {struct} {{\n"
        for f in fields:
            body += comment(f.doc, "//", "  ") + f"  {cpp_type(f.type, enums)} {snake(f.name)}{{}};\n"
        body += "};\n"
    body += "\n}  // namespace memio::protocol\n"
    (out / "protocol.h").write_text(body)

    body = header + '#include <array>\n#include <string_view>\n\n#include "memio/json_fields.h"\n#include "memio/protocol.h"\n\n'
    body += "namespace memio::protocol {\n\n"
    body += f'inline constexpr std::string_view interface_name = "{name}";\n'
    body += "extern const std::string_view interface_description;\n\n"
    for item in items:
        if item.kind == "method":
            body += f'inline constexpr std::string_view {snake(item.name[0].lower() + item.name[1:])}_method = "{name}.{item.name}";\n'
    body += f"\n// Every error of the interface, in its order.\ninline constexpr std::array error_names = {{\n"
    body += "".join(f'    std::string_view("{name}.{i.name}"),\n' for i in items if i.kind == "error") + "};\n"
    for item in enums:
        body += f"\ntemplate <>\nstruct EnumNames<{item.name}> {{\n  static constexpr std::array names = {{"
        body += ", ".join(f'std::string_view("{n}")' for n in item.fields) + "};\n};\n"
    for struct, _, _ in structs(items):
        body += f"\nvoid write_fields(FieldWriter& writer, const {struct}& value);\nvoid read_fields(FieldReader& reader, {struct}& value);\n"
    body += "\n}  // namespace memio::protocol\n"
    (out / "protocol_json.h").write_text(body)

    body = header.replace("#pragma once\n\n", "") + '#include "memio/protocol_json.h"\n\nnamespace memio::protocol {\n\n'
    body += f'const std::string_view interface_description = R"varlink({text})varlink";\n'
    for struct, _, fields in structs(items):
        value, reader, writer = ("value", "reader", "writer") if fields else ("", "", "")
        body += f"\nvoid write_fields(FieldWriter& {writer}, const {struct}& {value}) {{\n"
        by_name = sorted(fields, key=lambda f: f.name)
        body += "".join(f'  writer.write("{f.name}", value.{snake(f.name)});\n' for f in by_name) + "}\n"
        body += f"void read_fields(FieldReader& {reader}, {struct}& {value}) {{\n"
        body += "".join(f'  reader.read("{f.name}", value.{snake(f.name)});\n' for f in fields) + "}\n"
    body += "\n}  // namespace memio::protocol\n"
    (out / "protocol_json.cpp").write_text(body)


TS_TYPES = {"string": "string", "int": "number", "bool": "boolean", "object": "unknown"}


def typescript(name, items):
    text = "// Made by proto/generate.py from the interface definition: change that, not this.\n"

    def doc(lines, indent=""):
        return comment(["/**"] + [" * " + l for l in lines] + [" */"], "", indent).replace(indent + " /**", indent + "/**") if lines else ""

    for item in items:
        if item.kind == "enum":
            text += "\n" + doc(item.doc) + f"export type {item.name} = {' | '.join(repr(n) for n in item.fields)};\n"
    for struct, lines, fields in structs(items):
        text += "\n" + doc(lines) + f"export interface {struct} {{\n"
        for f in fields:
            kind = TS_TYPES.get(f.type.name, f.type.name) + ("[]" if f.type.array else "")
            text += doc(f.doc, "  ") + (f"  {f.name}?: {kind} | null;\n" if f.type.nullable else f"  {f.name}: {kind};\n")
        text += "}\n"
    text += "\n/** The methods of the interface: what each takes and answers. */\nexport interface Methods {\n"
    for item in items:
        if item.kind == "method":
            text += f"  '{name}.{item.name}': {{ parameters: {item.name}Parameters; reply: {item.name}Reply }};\n"
    text += "}\n\n/** The names of the interface's errors. */\nexport type ErrorName =\n"
    text += "\n".join(f"  | '{name}.{i.name}'" for i in items if i.kind == "error") + ";\n"
    return text


def markdown(name, items):
    def signature(fields):
        marks = lambda t: ("?" if t.nullable else "") + ("[]" if t.array else "") + t.name
        return ", ".join(f"`{f.name}: {marks(f.type)}`" for f in fields) or "nothing"

    text = "| method | takes | answers | what it does |\n| --- | --- | --- | --- |\n"
    for i in items:
        if i.kind == "method":
            text += f"| `{i.name}` | {signature(i.fields)} | {signature(i.reply)} | {' '.join(i.doc)} |\n"
    text += "\n| type | what it is |\n| --- | --- |\n"
    for i in items:
        if i.kind == "enum":
            text += f"| `{i.name}` | {' '.join(i.doc)} One of {', '.join(f'`{n}`' for n in i.fields)}. |\n"
        elif i.kind == "struct":
            text += f"| `{i.name}` | {' '.join(i.doc)} {signature(i.fields)} |\n"
    text += "\n| error | when |\n| --- | --- |\n"
    for i in items:
        if i.kind == "error":
            text += f"| `{name}.{i.name}` | {' '.join(i.doc)} |\n"
    return text.replace("|  ", "| ")


def main():
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("interface", type=Path)
    arguments.add_argument("--cpp", type=Path, metavar="DIR")
    arguments.add_argument("--typescript", type=Path, metavar="FILE")
    arguments.add_argument("--markdown", action="store_true")
    options = arguments.parse_args()
    text = options.interface.read_text()
    name, _, items = Parser(text).interface()
    if options.cpp:
        options.cpp.mkdir(parents=True, exist_ok=True)
        cpp(name, items, text, options.cpp)
    if options.typescript:
        options.typescript.write_text(typescript(name, items))
    if options.markdown:
        print(markdown(name, items), end="")


if __name__ == "__main__":
    main()
