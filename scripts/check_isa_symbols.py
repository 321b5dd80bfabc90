#!/usr/bin/env python3
"""Reads the symbols of the per-ISA libraries: check_isa_symbols.py LIBRARY...

Each may define its getter and nothing else that a linker could see. A weak symbol (an inline function that
was not inlined) could be kept for the whole program, and would then run wide instructions on a processor
that has none. --self-test plants such a symbol and looks for it (needs g++).
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

GETTER = re.compile(r"^slidekit::kernels::detail::\w+_table\(\)$")


def visible_symbols(library):
    """(kind, demangled name) of all symbols that the library defines for others."""
    done = subprocess.run(["nm", "-C", "--defined-only", library], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"check_isa_symbols.py: {done.stderr.strip()}; give object files or static libraries")
    for line in done.stdout.splitlines():
        match = re.match(r"^[0-9a-f]*\s+([A-Za-z])\s+(.+)$", line)
        # Small letters are local to the object, but i, u, v and w: resolved at load, unique or weak.
        if match and (match.group(1).isupper() or match.group(1) in "iuvw"):
            yield match.group(1), match.group(2)


def leaks(libraries):
    """Whether any library shows more than its getter, or no getter; says which."""
    bad = False
    for library in libraries:
        symbols = list(visible_symbols(library))
        getters = [name for kind, name in symbols if kind == "T" and GETTER.match(name)]
        others = [(kind, name) for kind, name in symbols if not (kind == "T" and GETTER.match(name))]
        for kind, name in others:
            print(f"{library}: {kind} {name}")
        if len(getters) != 1:
            print(f"{library}: {len(getters)} getters, expected one")
        bad = bad or bool(others) or len(getters) != 1
    return bad


def self_test():
    getter = "namespace slidekit::kernels::detail { const int* avx2_table() { return nullptr; } }\n"
    leak = "inline int leak() { return 1; }\nauto* keep = &leak;\n"
    with tempfile.TemporaryDirectory() as folder:
        for name, text, expected in (("clean", getter, False), ("leaky", getter + leak, True), ("empty", "", True)):
            source = Path(folder) / f"{name}.cpp"
            source.write_text(text)
            subprocess.run(["g++", "-c", source, "-o", source.with_suffix(".o")], check=True)
            assert leaks([source.with_suffix(".o")]) == expected, name
    print("planted symbols are found")


def main():
    if len(sys.argv) < 2:
        sys.exit("usage: check_isa_symbols.py --self-test | LIBRARY...")
    if sys.argv[1:] == ["--self-test"]:
        self_test()
        return
    bad = leaks(sys.argv[1:])
    print("symbols leak" if bad else f"{len(sys.argv) - 1} libraries export their getter only")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
