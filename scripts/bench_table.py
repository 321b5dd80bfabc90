#!/usr/bin/env python3
"""Prints the measurements of kernels_bench as one table.

usage: scripts/bench_table.py FILE.json

A line is a kernel at a shape and a level. Times are medians of runs that took turns with those of the peers; what
a column means is told in bench/README.md.
"""

import json
import statistics
import sys

LEVELS = ("scalar", "avx2", "avx512", "avx512bf16", "neon")
PROBES = ("probe", "probe-l2")  # the faster one is the limit
COLUMNS = ("kernel", "shape", "level", "ns a unit", "spread", "times faster than", "limit", "error")


class Runs:
    """All runs of one function at one shape."""

    def __init__(self):
        self.rows = []
        self.complaint = ""

    def value(self, name):
        return statistics.median(row[name] for row in self.rows)

    @property
    def ns(self):
        return self.value("ns_unit")

    @property
    def spread(self):
        """Half the distance between the quartiles, as a share of the median."""
        times = sorted(row["ns_unit"] for row in self.rows)
        return (times[(3 * len(times) - 1) // 4] - times[len(times) // 4]) / 2 / self.ns


def read(report):
    """{(kernel, heat, shape): {who: Runs}}, in the order of the report."""
    shapes = {}
    for row in report["benchmarks"]:
        if row.get("run_type") == "aggregate":
            continue
        kernel, heat, shape, who = row["name"].split("/")[:4]
        runs = shapes.setdefault((kernel, heat, shape), {}).setdefault(who, Runs())
        if row.get("error_occurred"):
            runs.complaint = row["error_message"]
        else:
            runs.rows.append(row)
    return shapes


def significant(value):
    """Three digits, and no exponent."""
    if value == 0:
        return "0"
    digits = max(0, 2 - (len(str(int(abs(value)))) - 1)) if abs(value) >= 1 else 3
    return f"{value:.{digits}f}"


def limit_of(runs, probe):
    """Share of the machine's limit, and what the limit is."""
    bytes_ns = probe.ns if probe and probe.rows else runs.value("bytes_limit_ns")
    flops_ns = runs.value("flops_limit_ns")
    label = runs.rows[0].get("label", "")
    if flops_ns > bytes_ns:
        bound, ns = "flops", flops_ns
    elif probe and probe.rows:
        bound, ns = label.replace("rows come from ", "rows, ").replace("streamed from ", "stream, "), bytes_ns
    else:
        bound, ns = label, bytes_ns
    return f"{100 * ns / runs.ns:.0f} % ({bound})"


def shorten(shape):
    """Sizes by the last part of their names, where no other has it."""
    pairs = [size.split("=") for size in shape.split(",")]
    last = [name.split(".")[-1] for name, _ in pairs]
    return " ".join((short if last.count(short) == 1 else name) + "=" + value
                    for short, (name, value) in zip(last, pairs))


def probe_of(functions):
    return min((functions[who] for who in PROBES if who in functions), key=lambda runs: runs.ns, default=None)


def lines_of(key, functions):
    kernel, heat, shape = key
    peers = sorted((who, runs) for who, runs in functions.items() if who not in LEVELS and who not in PROBES)
    probe = probe_of(functions)
    for level in LEVELS:
        runs = functions.get(level)
        if runs is None:
            continue
        line = [kernel, f"{heat} {shorten(shape)}", level]
        if runs.complaint:
            yield [*line, "-", "-", "-", "-", runs.complaint]
            continue
        faster = [f"{who} wrong" if peer.complaint else f"{who} {significant(peer.ns / runs.ns)}x" for who, peer in peers]
        yield [*line, significant(runs.ns), f"{100 * runs.spread:.0f} %", ", ".join(faster) or "-",
               limit_of(runs, probe), f"{runs.value('error'):.1e}" if runs.value("error") else "0"]


def table(rows):
    widths = [max(len(row[i]) for row in rows) for i in range(len(COLUMNS))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows)


def describe(context):
    get = context.get
    peers = get("peers", "").replace("; ", "\n  ")
    return "\n".join((
        f"{get('cpu')}, level {get('level')}, one thread; {get('date', '')}; commit {get('commit', 'unknown')}; {get('mode')} run",
        f"caches: {int(get('l1_bytes', 0)) >> 10} KB, {int(get('l2_bytes', 0)) >> 10} KB, {int(get('l3_bytes', 0)) >> 20} MB; "
        f"huge pages: {get('huge_pages')}; nodes: {get('nodes')}; compiler: {get('compiler')}, {get('flags')}",
        f"limits, GB/s: L1 {get('limit_l1_gb_s')}, L2 {get('limit_l2_gb_s')}, L3 {get('limit_l3_gb_s')}, "
        f"memory {get('limit_memory_gb_s')}; G operations/s: fp32 {get('limit_f32_gflop_s')}, "
        f"bf16 {get('limit_bf16_gflop_s')}, int8 {get('limit_i8_gop_s')}",
        f"peers:\n  {peers}", ""))


def main(arguments):
    if len(arguments) != 1 or arguments[0].startswith("-"):
        print(__doc__.split("\n\n")[1], file=sys.stderr)
        return 2
    try:
        with open(arguments[0], encoding="utf-8") as file:
            report = json.load(file)
        rows = [line for key, functions in read(report).items() for line in lines_of(key, functions)]
    except (OSError, ValueError, KeyError) as error:
        print(f"bench_table.py: {arguments[0]}: no report of kernels_bench: {error}", file=sys.stderr)
        return 1
    print(describe(report.get("context", {})))
    print(table([COLUMNS, *rows]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
