#!/usr/bin/env python3
"""Prints the op table of docs/ir.md from ir/ops.def. `tools/op_table.py --write` puts it into the page, between the two marks."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "ir.md"
BEGIN, END = "<!-- ops: made by tools/op_table.py -->", "<!-- end of ops -->"


def columns(row):
    """The macro's arguments; commas inside strings and parentheses do not separate."""
    out, depth, quoted, at = [], 0, False, ""
    for i, c in enumerate(row):
        if c == '"' and row[i - 1] != "\\":
            quoted = not quoted
        depth += 0 if quoted else (c == "(") - (c == ")")
        if c == "," and not quoted and not depth:
            out.append(at.strip())
            at = ""
        else:
            at += c
    return [x.strip('"') if x.startswith('"') else x for x in out + [at.strip()]]


def table():
    text = (ROOT / "ir" / "ops.def").read_text()
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    lines = ["| op | operands | attributes | meaning |", "|---|---|---|---|"]
    for kind, row in re.findall(r"^(ELEM|TENSOR)\((.*)\)\s*$", text, flags=re.M):
        c = columns(row)
        if kind == "ELEM":
            operands, attributes = f"{c[1]} {c[2]}", "dtype" if c[3] == "DTYPE" else ""
        else:
            operands, attributes = "any" if c[1] == "-1" else c[1], c[3].replace("?", " (optional)").replace(" ", ", ").replace(", (", " (")
        lines.append(f"| `{c[0]}` | {operands} | {attributes} | {c[-1].replace('|', chr(92) + '|')} |")
    return "\n".join(lines)


def page_with(t):
    s = PAGE.read_text()
    return s[: s.index(BEGIN) + len(BEGIN)] + "\n" + t + "\n" + s[s.index(END):]


if __name__ == "__main__":
    if "--write" in sys.argv:
        PAGE.write_text(page_with(table()))
    else:
        print(table())
