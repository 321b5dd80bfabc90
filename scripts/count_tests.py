#!/usr/bin/env python3
"""Counts the test cases of a meson run: count_tests.py BUILDDIR...

GoogleTest programs count each of their cases (disabled ones not at all), other tests count once. A program
that crashed or timed out counts as one failure: GoogleTest writes its cases down at the end, so that those
found are of an earlier run. A build without a log counts as one failure too. Ends with the line
`N passed, N failed, N skipped`; exit 1 where any failed or none ran.
"""

import json
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path


def count(builddir):
    """(passed, failed, skipped) of the last `meson test` in builddir."""
    logs = Path(builddir) / "meson-logs"
    if not (logs / "testlog.json").exists():
        print(f"count_tests.py: {builddir}: no tests ran; counted as one failure", file=sys.stderr)
        return [0, 1, 0]
    programs = [json.loads(line) for line in (logs / "testlog.json").read_text().splitlines()]
    names = {program["name"] for program in programs}
    cases = {}  # program -> [passed, failed, skipped], of those that report cases
    junit = logs / "testlog.junit.xml"
    if junit.exists():
        for suite in ElementTree.parse(junit).getroot().iter("testsuite"):
            # PROJECT.PROGRAM.SUITE for GoogleTest; other programs share one suite, which is no program's name.
            program = next((name for name in names if suite.get("name").split(".", 1)[-1].startswith(name + ".")), None)
            if program is None:
                continue
            found = cases.setdefault(program, [0, 0, 0])
            for case in suite.iter("testcase"):
                if case.get("status") == "notrun":
                    continue
                failed = case.find("failure") is not None or case.find("error") is not None
                skipped = case.find("skipped") is not None
                found[1 if failed else 2 if skipped else 0] += 1
    total = [0, 0, 0]
    for program in programs:
        result = program["result"]
        reported = cases.get(program["name"])
        ended = result in ("OK", "SKIP", "EXPECTEDFAIL")
        # GoogleTest's own exit status for failed cases is 1; anything else is a crash.
        if reported and (ended or (program["returncode"] == 1 and reported[1])):
            total = [a + b for a, b in zip(total, reported)]
        elif result in ("OK", "EXPECTEDFAIL"):
            total[0] += 1
        elif result == "SKIP":
            total[2] += 1
        else:
            total[1] += 1
    return total


def main():
    if len(sys.argv) < 2:
        sys.exit("usage: count_tests.py BUILDDIR...")
    passed, failed, skipped = (sum(column) for column in zip(*(count(builddir) for builddir in sys.argv[1:])))
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    sys.exit(1 if failed or passed == 0 else 0)


if __name__ == "__main__":
    main()
