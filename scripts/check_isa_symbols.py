#!/usr/bin/env python3
"""Reads the symbols of the per-ISA libraries: check_isa_symbols.py LIBRARY... [--plain FILE_OR_FOLDER...]

Each may define its getter and nothing else that a linker could see. A weak symbol (an inline function that
was not inlined) could be kept for the whole program, and would then run wide instructions on a processor
that has none. What follows --plain (objects, libraries, programs, or folders of objects) runs on any x86-64: it may
hold no instruction of AVX or later. --self-test plants such symbols and instructions and looks for them
(needs g++).
"""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

GETTER = re.compile(r"^slidekit::kernels::detail::(\w+_table\(\)|use_\w+\([\w:]+KernelTable&\))$")


# Of AVX and later: wider registers, masks, and names with a v (as no older instruction on vectors has).
WIDE = re.compile(r"\t(?:.*%(?:[yz]mm\d|k[0-7]\b)|v[a-z0-9]+ .*%xmm|vzero)")


def visible_symbols(library):
    """(kind, demangled name) of all symbols that the library defines for others."""
    done = subprocess.run([os.environ.get("NM", "nm"), "-C", "--defined-only", library], capture_output=True, text=True)
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


def files_of(names):
    """The files named, and the objects in the folders named."""
    for name in names:
        objects = sorted(Path(name).glob("*.o")) if Path(name).is_dir() else [Path(name)]
        if not objects:
            sys.exit(f"check_isa_symbols.py: no objects in {name}")
        yield from objects


def wide_instructions(names):
    """Whether any of the files has an instruction that the oldest x86-64 has not; says the first of each."""
    bad = False
    for file in files_of(names):
        done = subprocess.run(["objdump", "-d", "-C", "--no-show-raw-insn", file], capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"check_isa_symbols.py: {done.stderr.strip()}")
        function = "?"
        for line in done.stdout.splitlines():
            if line.endswith(">:"):
                function = line.split(" ", 1)[1][1:-2]
            elif WIDE.search(line):
                print(f"{file}: {function}: {' '.join(line.split()[1:])}")
                bad = True
                break
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
        for flags, expected in (("-msse2", False), ("-mavx", True), ("-mavx512f", True)):
            source = Path(folder) / "sum.cpp"
            source.write_text("void add(float* x, const float* y) { for (int i = 0; i < 64; ++i) x[i] += y[i]; }\n")
            subprocess.run(["g++", "-O3", flags, "-c", source, "-o", source.with_suffix(".o")], check=True)
            assert wide_instructions([source.with_suffix(".o")]) == expected, flags
    print("planted symbols and instructions are found")


def main():
    if len(sys.argv) < 2:
        sys.exit("usage: check_isa_symbols.py --self-test | LIBRARY...")
    if sys.argv[1:] == ["--self-test"]:
        self_test()
        return
    arguments = sys.argv[1:]
    plain = []
    if "--plain" in arguments:
        at = arguments.index("--plain")
        arguments, plain = arguments[:at], arguments[at + 1:]
    leaky = leaks(arguments)
    wide = wide_instructions(plain)
    print("symbols leak" if leaky else f"{len(arguments)} libraries export their getter only")
    if plain:
        print("instructions of AVX outside of its levels" if wide else "no instruction of AVX outside of its levels")
    sys.exit(1 if leaky or wide else 0)


if __name__ == "__main__":
    main()
