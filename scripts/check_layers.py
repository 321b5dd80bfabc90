#!/usr/bin/env python3
"""Holds every include to the order of the floors: examples -> train -> nn -> {lsh, data} -> system -> kernels.

check_layers.py [ROOT] lists each include that points up or sideways, each public header that lets a
dependency through, and each ISA file that includes more than it may. Planted violations are looked for
first, always; --self-test does only that.
"""

import re
import sys
import tempfile
from pathlib import Path

# What each floor may include, beside itself.
BELOW = {
    "kernels": set(),
    "system": {"kernels"},
    "data": {"kernels", "system"},
    "lsh": {"kernels", "system"},
    "nn": {"kernels", "system", "data", "lsh"},
    "train": {"kernels", "system", "data", "lsh", "nn"},
}
HIDDEN = re.compile(r"^(xsimd/|oneapi/|tbb/|hwloc|jemalloc/|[a-z0-9]*intrin\.h|nlohmann/|fmt/|zlib\.h)")
ISA_FILE_MAY = re.compile(r'^(table\.hpp|.*-inl\.hpp|kernels\.def|cstddef|cstdint|bit|limits)$')
INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]')


def floor_of(path):
    """The floor that a file below ROOT belongs to; None for programs and tests, which may use all."""
    parts = path.parts
    if parts[0] == "kernels":
        return "kernels"
    if parts[0] == "runtime":
        return next((part for part in parts[1:] if part in BELOW and part != "kernels"), None)
    return None


def floor_of_include(name):
    match = re.match(r"(?:\.\./)*(?:slidekit/)?(kernels|system|data|lsh|nn|train)/", name)
    return match.group(1) if match else None


def violations(root):
    found = []
    for folder in ("kernels", "runtime"):
        for file in sorted((root / folder).rglob("*")):
            if file.suffix not in (".hpp", ".h", ".cpp"):
                continue
            path = file.relative_to(root)
            floor = floor_of(path)
            for number, line in enumerate(file.read_text().splitlines(), 1):
                match = INCLUDE.match(line)
                if not match:
                    continue
                name, at = match.group(1), f"{path}:{number}"
                target = floor_of_include(name)
                if floor and target and target != floor and target not in BELOW[floor]:
                    found.append(f"{at}: {floor} includes {name}, which is on a floor above or beside it")
                if "include" in path.parts and HIDDEN.match(name):
                    found.append(f"{at}: a public header includes {name}; keep it to a .cpp file")
                if path.parts[:3] == ("kernels", "src", "isa") and not ISA_FILE_MAY.match(name):
                    found.append(f"{at}: an ISA file includes {name}; its weak symbols would carry the wrong ISA")
    return found


def self_test():
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name, text in {
            "runtime/src/lsh/a.cpp": '#include <slidekit/nn/layer.hpp>\n',
            "runtime/src/lsh/relative.cpp": '#include "../nn/layer.hpp"\n',
            "kernels/include/slidekit/kernels/wide.hpp": "#include <x86intrin.h>\n",
            "runtime/src/system/b.cpp": '#include "data/reader.hpp"\n',
            "runtime/include/slidekit/system/c.hpp": "#include <oneapi/tbb.h>\n",
            "kernels/src/isa/d.cpp": "#include <vector>\n",
            "runtime/src/nn/fine.cpp": '#include <slidekit/lsh/tables.hpp>\n#include "nn/x.hpp"\n#include <vector>\n',
        }.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        found = violations(root)
        assert len(found) == 6 and not any("fine" in line for line in found), found


def main():
    self_test()
    if sys.argv[1:] == ["--self-test"]:
        print("planted violations are found")
        return
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent.parent
    if not (root / "kernels").is_dir() or not (root / "runtime").is_dir():
        sys.exit(f"check_layers.py: {root}: has no kernels and runtime folders; give the root of the source tree")
    found = violations(root)
    print("\n".join(found) or "every include points down")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
