"""SIGKILL at random moments of a training with frequent checkpoints.

Every restart has to go on from the newest checkpoint that is there, and the model at the end has to be, byte for
byte, that of a run that was never killed. SLIDEKIT_KILLS says how many kills (15), SLIDEKIT_KILL_SEED which moments;
200 by hand: SLIDEKIT=build/examples/cli/slidekit SLIDEKIT_KILLS=200 python3 tests/cli/kill_test.py
"""

import filecmp
import json
import os
import random
import re
import shutil
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

from toy_data import synthetic

SLIDEKIT = os.environ["SLIDEKIT"]
KILLS = int(os.environ.get("SLIDEKIT_KILLS", 15))
SEED = int(os.environ.get("SLIDEKIT_KILL_SEED", 1))
CHECKPOINT = re.compile(r"checkpoint-(\d{12})\.safetensors")


class Kill(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.dir = Path(folder.name)
        (self.dir / "train.txt").write_text(synthetic(600, 1))
        (self.dir / "test.txt").write_text(synthetic(50, 2))

    def start(self, name):
        """A run in its folder: tables rebuilt in the background, so that much is under way at any moment."""
        return subprocess.Popen(
            [SLIDEKIT, "train", "--train", self.dir / "train.txt", "--test", self.dir / "test.txt", "--batch", "16",
             "--epochs", "5", "--lr", "0.01", "--hidden", "16", "--seed", "7", "--mix", "lsh=10,batch=5,uniform=5",
             "--sampling", "top-k", "--rebuild", "background", "--rebuild-first", "12", "--redraw-every", "3",
             "--huge-pages", "never", "--eval-every", "60",
             "--checkpoint", self.dir / name, "--checkpoint-every", "2", "--resume",
             "--model", self.dir / f"{name}.model", "--log", self.dir / f"{name}.log"],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

    def finish(self, run):
        _, said = run.communicate(timeout=120)
        self.assertEqual(run.returncode, 0, said)
        return said

    def wait_for_training(self, run, name):
        log = self.dir / f"{name}.log"
        size = log.stat().st_size if log.exists() else 0
        while run.poll() is None and (not log.exists() or log.stat().st_size == size):
            time.sleep(0.002)

    def newest(self, name):
        found = [CHECKPOINT.fullmatch(entry) for entry in os.listdir(self.dir / name)] if (self.dir / name).exists() else []
        return max((int(match[1]) for match in found if match), default=None)

    def test_every_restart_goes_on_to_the_model_of_a_run_never_killed(self):
        draw = random.Random(SEED)
        begin = time.monotonic()
        self.finish(self.start("whole"))
        seconds = time.monotonic() - begin
        kills = restarts = rounds = 0
        while kills < KILLS:
            rounds += 1
            newest = None
            while True:
                run = self.start("killed")
                killed = False
                if kills < KILLS:
                    try:
                        # One in four falls anywhere, start-up included, the others into the training.
                        if draw.random() < 0.75:
                            self.wait_for_training(run, "killed")
                        run.wait(draw.uniform(0, 0.6 * seconds))
                    except subprocess.TimeoutExpired:
                        run.kill()
                        killed = True
                _, said = run.communicate(timeout=120)
                resumed = re.search(r"^resumed at step (\d+) ", said, re.M)
                if resumed:
                    restarts += 1
                    self.assertEqual(int(resumed[1]), newest, said)
                elif not killed:
                    self.assertIsNone(newest, said)  # it had nothing to go on from
                if killed:
                    kills += 1
                    after = self.newest("killed")
                    self.assertGreaterEqual(after or 0, newest or 0)
                    newest = after
                    continue
                self.assertEqual(run.returncode, 0, said)
                break
            self.assertTrue(filecmp.cmp(self.dir / "whole.model", self.dir / "killed.model", shallow=False))
            self.assertEqual(self.last_evaluation("whole"), self.last_evaluation("killed"))
            shutil.rmtree(self.dir / "killed")
            (self.dir / "killed.model").unlink()
        print(f"{kills} kills at random moments, {restarts} restarts from a checkpoint seen, {rounds} runs to the end; "
              f"a run takes {seconds:.2f} s; seed {SEED}")

    def last_evaluation(self, name):
        events = [json.loads(line) for line in (self.dir / f"{name}.log").read_text().splitlines()]
        last = [event for event in events if event["event"] == "eval"][-1]
        return {key: last[key] for key in ("step", "samples", "p_at_1", "p_at_5")}


if __name__ == "__main__":
    unittest.main()
