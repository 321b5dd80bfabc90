"""A data set as text whose label is written in its features, so that a few epochs learn it."""

import random

FEATURES, LABELS = 40, 60


def synthetic(points, seed):
    draw = random.Random(seed)
    lines = [f"{points} {FEATURES} {LABELS}"]
    for _ in range(points):
        label = draw.randrange(LABELS)
        features = sorted({label % FEATURES, (label // 2 + 11) % FEATURES, draw.randrange(FEATURES)})
        labels = sorted({label, (label + 1) % LABELS})
        lines.append(",".join(map(str, labels)) + " " + " ".join(f"{f}:{1 + f / 100:.2f}" for f in features))
    return "\n".join(lines) + "\n"
