#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Suspension is in the signature: a function that calls one marked MK_SUSPENDS is marked too, and a marked one is in no
row that says MK_INLINE.

    suspends.py BUILD [FOLDER...]    BUILD has compile_commands.json; FOLDERS default to plugins, backends, core

Calls through pointers are not seen.  What runs a turn (the function in a struct mail that says .suspends, an errand) is
where marks begin: functions whose address is taken may be marked freely.
"""
import json
import os
import shlex
import sys

from clang.cindex import CursorKind, Index, LinkageKind, TranslationUnit

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
KEEP = ("-I", "-D", "-U", "-std")


def arguments(entry):
    """What the parser needs of the compiler's arguments, with absolute include paths."""
    out = []
    for word in entry.get("arguments") or shlex.split(entry["command"]):
        if word.startswith("-I"):
            out.append("-I" + os.path.join(entry["directory"], word[2:]))
        elif word.startswith(KEEP):
            out.append(word)
    return out


def units(build, folders):
    with open(os.path.join(build, "compile_commands.json")) as f:
        entries = json.load(f)
    seen = set()
    for entry in entries:
        path = os.path.realpath(os.path.join(entry["directory"], entry["file"]))
        short = os.path.relpath(path, ROOT)
        wanted = short.endswith(".c") and short.split(os.sep)[0] in folders
        if wanted and path not in seen and not os.path.basename(path).startswith("test_"):
            seen.add(path)
            yield path, arguments(entry)


class Found:
    def __init__(self):
        self.marked = set()   # identities of functions
        self.calls = {}       # (caller, callee) -> where, names
        self.inline = {}      # function in an MK_INLINE row -> where, name


def identity(function):
    """The USR; of a static function with its file, since there it has no more than the file's name."""
    first = function.canonical
    if first.linkage == LinkageKind.INTERNAL and first.location.file:
        return f"{first.get_usr()} {os.path.realpath(first.location.file.name)}"
    return first.get_usr()


def is_marked(cursor):
    return any(c.kind == CursorKind.ANNOTATE_ATTR and c.spelling == "mk_suspends" for c in cursor.get_children())


def place(cursor):
    return f"{os.path.relpath(cursor.location.file.name, ROOT)}:{cursor.location.line}"


def in_project(cursor):
    return cursor.location.file is not None and os.path.realpath(cursor.location.file.name).startswith(ROOT + os.sep)


def names_in(cursor):
    """Functions and enumerators that an expression names, not those of lists inside of it."""
    for child in cursor.get_children():
        if child.kind == CursorKind.DECL_REF_EXPR:
            yield child.referenced
        elif child.kind != CursorKind.INIT_LIST_EXPR:
            yield from names_in(child)


def all_names_in(cursor):
    for child in cursor.walk_preorder():
        if child.kind == CursorKind.DECL_REF_EXPR and child.referenced:
            yield child.referenced


def look_at_row(cursor, found):
    names = [n for n in names_in(cursor) if n]
    if not any(n.kind == CursorKind.ENUM_CONSTANT_DECL and n.spelling == "MK_INLINE" for n in names):
        return
    for n in all_names_in(cursor):
        if n.kind == CursorKind.FUNCTION_DECL:
            found.inline.setdefault(identity(n), (place(cursor), n.spelling))


def look_at_body(function, found):
    for cursor in function.walk_preorder():
        if cursor.kind != CursorKind.CALL_EXPR or cursor.referenced is None:
            continue
        if cursor.referenced.kind == CursorKind.FUNCTION_DECL:
            pair = identity(function), identity(cursor.referenced)
            found.calls.setdefault(pair, (place(cursor), function.spelling, cursor.referenced.spelling))


def look_at(unit, found):
    for cursor in unit.cursor.get_children():
        if not in_project(cursor):
            continue
        if cursor.kind == CursorKind.FUNCTION_DECL:
            if is_marked(cursor):
                found.marked.add(identity(cursor))
            if cursor.is_definition():
                look_at_body(cursor, found)
        elif cursor.kind == CursorKind.VAR_DECL:
            for inner in cursor.walk_preorder():
                if inner.kind == CursorKind.INIT_LIST_EXPR:
                    look_at_row(inner, found)


def main():
    build, folders = sys.argv[1], set(sys.argv[2:]) or {"plugins", "backends", "core"}
    found, bad, index, count = Found(), [], Index.create(), 0
    for path, args in units(build, folders):
        unit = index.parse(path, args=args, options=TranslationUnit.PARSE_NONE)
        errors = [str(d) for d in unit.diagnostics if d.severity >= d.Error]
        bad += errors[:3]
        look_at(unit, found)
        count += 1
    for (caller, callee), (where, name, called) in found.calls.items():
        if callee in found.marked and caller not in found.marked:
            bad.append(f"{where}: {name} calls {called}, which is marked MK_SUSPENDS, and is not")
    for function, (where, name) in found.inline.items():
        if function in found.marked:
            bad.append(f"{where}: {name} is marked MK_SUSPENDS, but its row says MK_INLINE")
    print("\n".join(sorted(bad)))
    print(f"{count} files, {len(found.marked)} marked functions")
    sys.exit(bool(bad) or not count)


if __name__ == "__main__":
    main()
