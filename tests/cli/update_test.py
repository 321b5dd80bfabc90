"""slidekit train --update: each mode learns and is logged; what contradicts it is refused by both names."""

import json
import os
import random
import subprocess
import tempfile
import unittest
from pathlib import Path

SLIDEKIT = os.environ["SLIDEKIT"]
LABELS = 60


def points_text(points, seed):
    """Each label shows in two features of its own."""
    draw = random.Random(seed)
    lines = [f"{points} {2 * LABELS} {LABELS}"]
    for _ in range(points):
        label = draw.randrange(LABELS)
        lines.append(f"{label} {2 * label}:1 {2 * label + 1}:{draw.random():.2f}")
    return "\n".join(lines) + "\n"


class Updates(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.dir = Path(folder.name)
        for name, points, seed in (("train", 1500, 1), ("test", 200, 2)):
            (self.dir / name).write_text(points_text(points, seed))

    def train(self, *options):
        return subprocess.run(
            [SLIDEKIT, "train", "--train", self.dir / "train", "--test", self.dir / "test", "--batch", "32",
             "--epochs", "4", "--hidden", "16", "--threads", "2", "--log", self.dir / "log", *options],
            capture_output=True, text=True, timeout=120)

    def test_each_mode_learns_and_is_logged(self):
        mix = ("--mix", "lsh=10,batch=5,uniform=5")
        for update in ("batch", "hogwild", "racy"):
            for sampling in ("top-k", "exact"):
                with self.subTest(update=update, sampling=sampling):
                    done = self.train("--update", update, "--sampling", sampling, "--lr", "0.002", *mix)
                    self.assertEqual(done.returncode, 0, done.stderr)
                    events = [json.loads(line) for line in (self.dir / "log").read_text().splitlines()]
                    self.assertEqual(events[0]["options"]["update"], update)
                    evaluations = [event for event in events if event["event"] == "eval"]
                    self.assertGreater(evaluations[-1]["p_at_1"], 0.8)

    def test_contradictions_name_both(self):
        for update, flags, named in [
            ("hogwild", ("--output", "full"), "--output full"),
            ("racy", ("--output", "uniform"), "--output uniform"),
            ("hogwild", ("--domains", "2"), "--domains 2"),
            ("racy", ("--domains", "2"), "--domains 2"),
            ("hogwild", ("--precision", "bf16"), "--precision bf16"),
            ("racy", ("--precision", "bf16"), "--precision bf16"),
            ("hogwild", ("--active-scope", "batch"), "--active-scope batch"),
            ("racy", ("--correction", "logq"), "--correction logq"),
            ("hogwild", ("--optimizer", "adam-dense"), "--optimizer adam-dense"),
            ("hogwild", ("--query", "label"), "--query label"),
            ("hogwild", ("--sampling", "top-k", "--rank", "dot-fp32"), "--rank dot-fp32"),
        ]:
            with self.subTest(update=update, flags=flags):
                done = self.train("--update", update, *flags)
                self.assertEqual(done.returncode, 2, done.stderr)
                self.assertRegex(done.stderr.strip().splitlines()[-1], rf"^slidekit: --update: {update} .*{named}")
        self.assertFalse((self.dir / "log").exists())
        self.assertRegex(self.train("--update", "async").stderr, r"--update.*async")


if __name__ == "__main__":
    unittest.main()
