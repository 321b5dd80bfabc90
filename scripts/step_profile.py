#!/usr/bin/env python3
"""Where a training step's time goes: step_profile.py LOG [--read-ns NS] [--update-ns NS]

LOG is one of `slidekit train --output lsh --log` with the defaults of precision and optimiser (fp32, adam). A row of the
table is a stage of the mean step: milliseconds, share, and the bytes and operations that it cannot do without, from
the counts of the log: each row touched is read once for the logits, and read and written with both moments for the
update; each pair of sample and neuron is a dot, a sum into the row's gradient and one into the sample's; each
candidate is a row of bytes.
  --read-ns NS     what reading a random row takes one thread at best (scripts/bench.sh kernels: dot_groups, cold),
  --update-ns NS   and reading and writing it with its moments (adam_groups, cold): adds the share of that limit
"""

import argparse
import json
import sys


def mean_step(events):
    """Totals over the run, and the counts a step: stages, rows, pairs, candidates a sample."""
    steps, stages, rows, pairs, before = 0, {}, 0.0, 0.0, 0
    for event in events:
        if event["event"] != "step":
            continue
        count = event["step"] - before
        before = event["step"]
        steps += count
        rows += count * event["rows_touched"]
        pairs += count * event["active_per_sample"]
        for stage, seconds in event["stage_seconds"].items():
            stages[stage] = stages.get(stage, 0.0) + seconds
    candidates = [event["candidates_per_sample"] for event in events if "candidates_per_sample" in event]
    return steps, stages, rows / steps, pairs / steps, sum(candidates) / max(1, len(candidates))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("log")
    parser.add_argument("--read-ns", type=float)
    parser.add_argument("--update-ns", type=float)
    options = parser.parse_args()
    try:
        with open(options.log) as lines:
            events = [json.loads(line) for line in lines]
        run = next(event for event in events if event["event"] == "run")
        if run["options"]["output"] != "lsh" or not any(event["event"] == "step" for event in events):
            raise ValueError("no steps of --output lsh")
    except (OSError, ValueError, KeyError, StopIteration) as error:
        sys.exit(f"step_profile.py: {options.log}: {error}; give a log of slidekit train --output lsh --log")

    steps, stages, rows, active, candidates = mean_step(events)
    hidden, batch, threads = run["options"]["hidden"], run["options"]["batch"], run["threads"]
    pairs = active * batch
    work = {  # stage: (bytes, operations, nanoseconds of one thread at the limit)
        "select": (batch * candidates * hidden, 2 * batch * candidates * hidden, None),
        "group": (40 * pairs, 0, None),
        "forward": (4 * hidden * rows, 2 * hidden * pairs, options.read_ns and rows * options.read_ns),
        "backward": (24 * hidden * rows, 4 * hidden * pairs + 14 * hidden * rows,
                     options.update_ns and rows * options.update_ns),
    }
    total = sum(stages.values())
    print(f"{options.log}: {steps} steps of {batch} samples, {threads} threads; a step: {rows:.0f} rows, {pairs:.0f} pairs, "
          f"{candidates:.0f} candidates a sample, {1000 * total / steps:.2f} ms")
    print(f"{'stage':<16}{'ms':>8}{'share':>8}{'MB':>8}{'GB/s':>8}{'Mflop':>9}{'Gflop/s':>9}{'limit':>8}")
    for stage, seconds in stages.items():
        one = seconds / steps
        line = f"{stage:<16}{1000 * one:>8.2f}{100 * seconds / total:>6.1f} %"
        if stage in work and one > 0:
            size, operations, limit = work[stage]
            line += f"{size / 1e6:>8.1f}{size / one / 1e9:>8.1f}{operations / 1e6:>9.1f}{operations / one / 1e9:>9.1f}"
            if limit:
                line += f"{100 * limit / threads * 1e-9 / one:>6.0f} %"
        print(line)


if __name__ == "__main__":
    main()
