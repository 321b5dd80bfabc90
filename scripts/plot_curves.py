#!/usr/bin/env python3
"""P@1 against training seconds and epochs: plot_curves.py --output FILE.svg LOG...   (logs of slidekit train --log)"""

import argparse
import json
import sys


def read_curve(file):
    """(name, seconds, epochs, P@1 in percent) of a run; the untrained network is left out."""
    try:
        with open(file) as lines:
            events = [json.loads(line) for line in lines]
        run = next(event for event in events if event["event"] == "run")
        points = [event for event in events if event["event"] == "eval"]
        points = [point for point in points if point.get("set") == points[0].get("set")]  # held-out points, or the test set
    except (OSError, ValueError, StopIteration) as error:
        sys.exit(f"plot_curves.py: {file}: {error or 'no run event'}; is it a log of slidekit train --log?")
    if not points:
        sys.exit(f"plot_curves.py: {file}: no evaluation in it; train for longer, or with --eval-every")
    return (
        " ".join(name for name in (run.get("engine"), run["options"]["output"]) if name),
        [point["train_seconds"] for point in points],
        [point["epoch"] for point in points],
        [100 * point["p_at_1"] for point in points],
    )


def spread(values, gap):
    """Heights for labels at values: from the highest down in the same order, at least gap apart."""
    heights = {}
    for i in sorted(range(len(values)), key=values.__getitem__, reverse=True):
        heights[i] = min(values[i], min(heights.values(), default=values[i] + gap) - gap)
    return [heights[i] for i in range(len(values))]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", required=True)
    parser.add_argument("logs", nargs="+")
    options = parser.parse_args()
    try:
        import matplotlib
    except ImportError:
        sys.exit("plot_curves.py: matplotlib is missing; scripts/plot.sh installs it")
    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "slidekit"  # the same picture gives the same file
    import matplotlib.pyplot as plt

    curves = [read_curve(log) for log in options.logs]
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), sharey=True)
    ends = [precision[-1] for *_, precision in curves]
    label_heights = spread(ends, gap=0.06 * max(max(precision) for *_, precision in curves))
    for (name, seconds, epochs, precision), height in zip(curves, label_heights):
        for axes, x in ((left, seconds), (right, epochs)):
            (line,) = axes.plot(x, precision, marker="o", markersize=3)
        # At the end of the line, once: on the left, where runs end at different times, they would hide lines.
        right.annotate(name, (epochs[-1], height), xytext=(5, 0), textcoords="offset points",
                       color=line.get_color(), va="center")
    left.set_xlabel("training seconds")
    left.set_ylabel("test P@1, %")
    right.set_xlabel("epochs")
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_ylim(bottom=0)
        axes.set_xlim(left=0)
        axes.margins(x=0.15)
        axes.grid(axis="y", linewidth=0.4)
    figure.tight_layout()
    figure.savefig(options.output, metadata={"Date": None} if options.output.endswith(".svg") else None, dpi=150)
    print(options.output)


if __name__ == "__main__":
    main()
