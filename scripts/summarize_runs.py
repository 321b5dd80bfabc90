#!/usr/bin/env python3
"""One table from run logs: summarize_runs.py LOG...   (logs as `slidekit train --log` writes them)

A row is named by its file. active: share of the neurons that a sample touched. labels found: share of the
true labels among the sample's LSH candidates, in the last stretch between two rebuilds.
"""

import json
import sys
from pathlib import Path


def read_events(file):
    try:
        with open(file) as lines:
            events = [json.loads(line) for line in lines]
    except (OSError, ValueError) as error:
        sys.exit(f"summarize_runs.py: {file}: {error}; is it a log of slidekit train --log?")
    for kind in ("run", "eval", "done"):
        if not any(event.get("event") == kind for event in events):
            sys.exit(f"summarize_runs.py: {file}: no \"{kind}\" event; the run did not end")
    return events


def row_of(file, events):
    run = next(event for event in events if event["event"] == "run")
    last = [event for event in events if event["event"] == "eval"][-1]
    done = events[-1]
    recalls = [event["label_recall"] for event in events if "label_recall" in event]
    return [
        Path(file).stem + ("*" if done["out_of_time"] else ""),
        f"{done['epochs']:.2f}",
        f"{done['train_seconds']:.1f}",
        f"{done['samples_per_second']:.0f}",
        *(f"{100 * last[f'p_at_{k}']:.2f}" for k in (1, 3, 5)),
        f"{100 * done['active_per_sample'] / run['labels']:.3f}",
        f"{100 * recalls[-1]:.1f}" if recalls else "-",
        f"{done['peak_rss_bytes'] / 1e6:.0f} MB",
    ]


def main():
    if len(sys.argv) < 2:
        sys.exit("usage: summarize_runs.py LOG...")
    logs = [read_events(file) for file in sys.argv[1:]]
    rows = [["run", "epochs", "train s", "samples/s", "P@1 %", "P@3 %", "P@5 %", "active %", "labels found %", "peak RSS"]]
    rows += [row_of(file, events) for file, events in zip(sys.argv[1:], logs)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        print(row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:])), sep="  ")
    if any(events[-1]["out_of_time"] for events in logs):
        print("* stopped by its time limit, before its last epoch ended")


if __name__ == "__main__":
    main()
