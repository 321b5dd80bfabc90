#!/usr/bin/env python3
"""One table from run logs: summarize_runs.py [options] LOG...   (logs as `slidekit train --log` writes them)

A row is named by its file. active: share of the neurons that a sample touched. labels found: share of the
true labels among the sample's LSH candidates, in the last stretch between two rebuilds. With any of the options
a second table compares the runs, in seconds of training; what a run has not reached, or was not evaluated around,
is "-": between two evaluations a line is drawn, past them nothing is guessed.

  --marks S,S...   P@1 after so many seconds
  --baseline NAME  samples/s as multiples of the median of this run (NAME.jsonl, NAME.1.jsonl, NAME.2.jsonl, ...)
  --target NAME    seconds until 95 % of the best P@1 that this run reached
"""

import argparse
import json
import statistics
import sys
from pathlib import Path


def fail(message):
    sys.exit(f"summarize_runs.py: {message}")


def read_events(file):
    try:
        with open(file) as lines:
            events = [json.loads(line) for line in lines]
    except (OSError, ValueError) as error:
        fail(f"{file}: {error}; is it a log of slidekit train --log?")
    for kind in ("run", "eval", "done"):
        if not any(event.get("event") == kind for event in events):
            fail(f"{file}: no \"{kind}\" event; the run did not end")
    return events


def of_kind(events, kind):
    return [event for event in events if event["event"] == kind]


def name_of(file):
    return Path(file).stem


def row_of(file, events):
    run, done = of_kind(events, "run")[0], events[-1]
    last = of_kind(events, "eval")[-1]
    recalls = [event["label_recall"] for event in events if "label_recall" in event]
    return [
        name_of(file) + ("*" if done["out_of_time"] else ""),
        f"{done['epochs']:.2f}",
        f"{done['train_seconds']:.1f}",
        f"{done['samples_per_second']:.0f}",
        *(f"{100 * last[f'p_at_{k}']:.2f}" for k in (1, 3, 5)),
        f"{100 * done['active_per_sample'] / run['labels']:.3f}",
        f"{100 * recalls[-1]:.1f}" if recalls else "-",
        f"{done['peak_rss_bytes'] / 1e6:.0f} MB",
    ]


def curve_of(events):
    """(training seconds, P@1) of the evaluations on one set: where some points were held out, on those."""
    evaluations = of_kind(events, "eval")
    return [(e["train_seconds"], e["p_at_1"]) for e in evaluations if e.get("set") == evaluations[0].get("set")]


def precision_at(curve, seconds):
    """P@1 after these seconds on the line between the evaluations around them; None: not between two."""
    for (left, low), (right, high) in zip(curve, curve[1:]):
        if left <= seconds <= right:
            return high if left == right else low + (high - low) * (seconds - left) / (right - left)
    return None


def seconds_to(curve, precision):
    """When the line through the evaluations first reaches this P@1, as text; in the first: at most its seconds."""
    if curve[0][1] >= precision:
        return f"<= {curve[0][0]:.1f}"
    for (left, low), (right, high) in zip(curve, curve[1:]):
        if high >= precision:
            return f"{left + (right - left) * (precision - low) / (high - low):.1f}"
    return "-"


def evaluation_rate(events):
    timed = [event for event in of_kind(events, "eval") if event.get("seconds")]
    return f"{sum(e['points'] for e in timed) / sum(e['seconds'] for e in timed):.0f}" if timed else "-"


def rebuild_time(events):
    seconds = [event["seconds"] for event in of_kind(events, "rebuild")]
    return f"{1000 * statistics.median(seconds):.0f}" if seconds else "-"


def named(logs, name, option):
    """The logs of this run: one, or one a round."""
    chosen = [events for file, events in logs.items() if name in (name_of(file), name_of(file).rpartition(".")[0])]
    return chosen or fail(f"{option}: no log of \"{name}\" among {', '.join(map(name_of, logs))}")


def compare(logs, marks, baseline, target):
    """Rows of the second table, the head first."""
    head, cells = ["run"], {file: [name_of(file)] for file in logs}

    def column(title, cell):
        head.append(title)
        for file, events in logs.items():
            cells[file].append(cell(events))

    if baseline:
        base = statistics.median(events[-1]["samples_per_second"] for events in named(logs, baseline, "--baseline"))
        column(f"samples/s, {baseline} = 1", lambda events: f"{events[-1]['samples_per_second'] / base:.2f}")
    for mark in marks:
        points = {file: precision_at(curve_of(events), mark) for file, events in logs.items()}
        head.append(f"P@1 % at {mark:g} s")
        for file, point in points.items():
            cells[file].append("-" if point is None else f"{100 * point:.2f}")
    if target:
        best = max(point for events in named(logs, target, "--target") for _, point in curve_of(events))
        column(f"s to {95 * best:.2f} %", lambda events: seconds_to(curve_of(events), 0.95 * best))
    column("evaluation, points/s", evaluation_rate)
    column("rebuild, ms", rebuild_time)
    return [head, *cells.values()]


def print_table(rows):
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        print(row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:])), sep="  ")


def seconds_list(text):
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f'"{text}" is no list of seconds like 30,60') from None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--marks", type=seconds_list, default=[], metavar="S,S...")
    parser.add_argument("--baseline", metavar="NAME")
    parser.add_argument("--target", metavar="NAME")
    parser.add_argument("logs", nargs="+", metavar="LOG")
    options = parser.parse_args()
    logs = {file: read_events(file) for file in options.logs}
    rows = [["run", "epochs", "train s", "samples/s", "P@1 %", "P@3 %", "P@5 %", "active %", "labels found %", "peak RSS"]]
    print_table(rows + [row_of(file, events) for file, events in logs.items()])
    if any(events[-1]["out_of_time"] for events in logs.values()):
        print("* stopped by its time limit, before its last epoch ended")
    if options.marks or options.baseline or options.target:
        print()
        print_table(compare(logs, options.marks, options.baseline, options.target))


if __name__ == "__main__":
    main()
