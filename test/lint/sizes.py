#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""No file is longer than 800 lines, no function than 80."""
import ast
import os
import re
import sys

FILE_LINES, FUNCTION_LINES = 800, 80
ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
FOLDERS = ("core", "plugins", "backends", "sdk", "test", "packaging", "etc")


def c_functions(lines):
    """(name, first line, length) by the layout that clang-format gives: a definition begins in the first column and ends
    with a brace there."""
    start, head = None, ""
    for number, line in enumerate(lines, 1):
        if start is None and re.match(r"[A-Za-z_]", line):
            start, head = number, line
        elif start is not None and not line.startswith("}"):
            if number - start < 6 and "{" not in head:
                head += " " + line.strip()
            continue
        if start is not None and (line.startswith("}") or line.endswith((";", "}"))) and number >= start:
            if line.startswith("}") and re.search(r"\w+\s*\([^;=]*\)\s*\{", head):
                yield re.search(r"(\w+)\s*\(", head).group(1), start, number - start + 1
            start = None


def python_functions(text):
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node.name, node.lineno, node.end_lineno - node.lineno + 1


def complaints(path):
    with open(path, encoding="utf-8") as f:
        text = f.read()
    lines = text.splitlines()
    short = os.path.relpath(path, ROOT)
    if len(lines) > FILE_LINES:
        yield f"{short}: {len(lines)} lines, most are {FILE_LINES}"
    functions = python_functions(text) if path.endswith(".py") else c_functions(lines)
    for name, line, length in functions:
        if length > FUNCTION_LINES:
            yield f"{short}:{line}: {name} has {length} lines, most are {FUNCTION_LINES}"


def main():
    bad = []
    for folder in FOLDERS:
        for where, dirs, names in os.walk(os.path.join(ROOT, folder)):
            dirs[:] = [d for d in dirs if d not in ("node_modules", "__pycache__")]
            for name in sorted(names):
                if name.endswith((".c", ".h", ".py")):
                    bad += complaints(os.path.join(where, name))
    print("\n".join(bad))
    sys.exit(bool(bad))


if __name__ == "__main__":
    main()
