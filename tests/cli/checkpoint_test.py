"""Checkpoints as a user meets them: signals, resuming, refusals, full disks, the log."""

import filecmp
import json
import os
import re
import resource
import signal
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

from toy_data import synthetic

SLIDEKIT = os.environ["SLIDEKIT"]


class Checkpoints(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.dir = Path(folder.name)
        self.folder = self.dir / "checkpoints"
        self.log = self.dir / "log"
        (self.dir / "train.txt").write_text(synthetic(600, 1))
        (self.dir / "test.txt").write_text(synthetic(100, 2))

    def start(self, *options, limit=None, epochs=4):
        command = [SLIDEKIT, "train", "--train", self.dir / "train.txt", "--test", self.dir / "test.txt", "--batch", 32,
                   "--epochs", epochs, "--lr", 0.01, "--hidden", 16, *options]
        if "full" not in options:
            command += ["--mix", "lsh=10,batch=5,uniform=5"]
        return subprocess.Popen([*map(str, command)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                preexec_fn=limit)

    def run_to_end(self, *options, **how):
        run = self.start(*options, **how)
        run.out, run.err = run.communicate(timeout=120)
        return run

    def checkpointed(self, *options, **how):
        return self.run_to_end("--checkpoint", self.folder, *options, **how)

    def refused(self, code, pattern, *options, **how):
        done = self.run_to_end(*options, **how)
        self.assertEqual(done.returncode, code, done.err)
        self.assertRegex(done.err.strip().splitlines()[-1], "^slidekit: .*" + pattern)
        return done

    def events(self, kind):
        lines = [json.loads(line) for line in self.log.read_text().splitlines()]
        return [line for line in lines if line["event"] == kind]

    def steps(self):
        return sorted(int(re.search(r"\d{12}", name)[0]) for name in os.listdir(self.folder) if name != "lock")

    def stopped(self, how, *options):
        """A run of many epochs that gets the signal once it trains."""
        before = len(self.events("eval")) if self.log.exists() else 0
        run = self.start("--log", self.log, *options, epochs=100000)
        while not self.log.exists() or len(self.events("eval")) <= before:
            self.assertIsNone(run.poll(), "the run ended by itself")
            time.sleep(0.005)
        run.send_signal(how)
        run.out, run.err = run.communicate(timeout=60)
        return run

    def test_signals_write_a_checkpoint_that_goes_on_to_the_same_model(self):
        for how, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
            schedule = ("--lr-schedule", "constant", "--checkpoint", self.folder, "--model", self.dir / "m")
            run = self.stopped(how, *schedule, *(("--resume",) if self.folder.exists() else ()))
            self.assertEqual(run.returncode, code, run.err)
            self.assertFalse((self.dir / "m").exists())
            stopped = self.events("stopped")[-1]
            self.assertEqual(stopped["signal"], how.name)
            self.assertIn(f"stopped by {how.name} after step {stopped['step']} ", run.err)
            self.assertIn(stopped["checkpoint"], run.err)
            self.assertEqual(self.steps()[-1], stopped["step"])
        epochs = stopped["step"] // 19 + 2
        done = self.run_to_end(*schedule, "--resume", "--log", self.log, epochs=epochs)
        self.assertEqual(done.returncode, 0, done.err)
        self.assertIn(f"resumed at step {stopped['step']} of {19 * epochs}", done.err)
        self.assertEqual(self.events("resume")[-1]["step"], stopped["step"])
        self.assertEqual((len(self.events("run")), len(self.events("resume")), len(self.events("done"))), (1, 2, 1))
        whole = self.run_to_end("--lr-schedule", "constant", "--model", self.dir / "whole", epochs=epochs)
        self.assertEqual(whole.returncode, 0, whole.err)
        self.assertTrue(filecmp.cmp(self.dir / "whole", self.dir / "m", shallow=False))

    def test_without_a_folder_a_signal_ends_the_run_and_keeps_nothing(self):
        run = self.stopped(signal.SIGTERM)
        self.assertEqual(run.returncode, 143)
        self.assertIn("nothing is kept", run.err)

    def test_resume_begins_anew_where_there_is_nothing_and_is_needed_where_there_is(self):
        done = self.checkpointed("--resume", "--checkpoint-every", 30, "--log", self.log)
        self.assertEqual(done.returncode, 0, done.err)
        self.assertIn("no checkpoint yet, starting anew", done.err)
        self.assertEqual(self.steps(), [60, 76])
        self.assertEqual([event["step"] for event in self.events("checkpoint")], [30, 60, 76])
        self.refused(2, "up to step 76 .*--resume", "--checkpoint", self.folder)
        again = self.checkpointed("--resume")
        self.assertIn("resumed at step 76 of 76", again.err)
        self.assertEqual(again.out.split()[-9:-3][2:], done.out.split()[-9:-3][2:])  # P@1 and so on

    def test_contradictions_name_both_options(self):
        for flags in (("--resume",), ("--checkpoint-every", "30s")):
            self.refused(2, flags[0] + ".*--checkpoint", *flags)
        for text in ("0", "5d", "m", "-3", "1.5h", "10m,"):
            self.refused(2, "--checkpoint-every", "--checkpoint", self.folder, "--checkpoint-every=" + text)
        for text in ("500,10m", "2h", "30s"):
            self.assertEqual(self.checkpointed("--resume", "--checkpoint-every", text).returncode, 0)

    def test_another_run_is_refused_by_the_field_that_differs(self):
        self.assertEqual(self.checkpointed("--log", self.log).returncode, 0)
        log = self.log.read_bytes()
        resume = ("--checkpoint", self.folder, "--resume", "--log", self.log)
        self.refused(2, "training weight-decay is 0 there and 0.5 here; give the same", *resume, "--weight-decay", 0.5)
        self.refused(2, "network hidden is 16 there and 8 here", *resume, "--hidden", 8)
        self.refused(2, "training epochs is 4 there and 5 here", *resume, epochs=5)
        (self.dir / "train.txt").write_text(synthetic(600, 3))
        self.refused(1, "data contents is [0-9a-f]{16} there and", *resume)
        self.assertEqual(self.log.read_bytes(), log)

    def test_a_torn_checkpoint_is_skipped_for_the_older(self):
        self.assertEqual(self.checkpointed("--checkpoint-every", 30).returncode, 0)
        newest = self.folder / "checkpoint-000000000076.safetensors"
        newest.write_bytes(newest.read_bytes()[:-1000])
        done = self.checkpointed("--resume")
        self.assertEqual(done.returncode, 0, done.err)
        self.assertRegex(done.err, "skipped: .*000076.safetensors: .*")
        self.assertIn("resumed at step 60 of 76", done.err)
        damaged = subprocess.run([SLIDEKIT, "inspect", self.dir / "train.txt"], capture_output=True)
        self.assertEqual(damaged.returncode, 0)

    def test_inspect_shows_step_shapes_and_configuration(self):
        self.assertEqual(self.checkpointed().returncode, 0)
        file = self.folder / "checkpoint-000000000076.safetensors"
        shown = subprocess.run([SLIDEKIT, "inspect", file], capture_output=True, text=True)
        self.assertEqual(shown.returncode, 0, shown.stderr)
        for pattern in (r"output\.weight +F32 60 x 16", r"output\.second_moment +F32 60 x 16", r"checkpoint\.step: 76",
                        r"checkpoint\.network: .*hidden=16", r"checkpoint\.training: batch=32", r"checkpoint\.data: .*points=600"):
            self.assertRegex(shown.stdout, pattern)
        rotten = bytearray(file.read_bytes())
        rotten[-100] ^= 1
        file.write_bytes(rotten)
        shown = subprocess.run([SLIDEKIT, "inspect", file], capture_output=True, text=True)
        self.assertEqual(shown.returncode, 1)
        self.assertIn("not those that were written", shown.stderr)

    def test_a_full_disk_is_a_warning_and_training_goes_on(self):
        limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (8000, 8000))
        done = self.checkpointed("--checkpoint-every", 30, "--cache", "ignore", limit=limit)
        self.assertEqual(done.returncode, 0, done.err)
        self.assertEqual(done.err.count("warning: no checkpoint of step"), 3)
        self.assertIn("File too large", done.err)
        self.assertEqual(os.listdir(self.folder), ["lock"])

    def test_a_folder_that_cannot_be_written_is_refused_before_training(self):
        for folder in ("/proc/nowhere", self.dir / "train.txt", self.dir / "train.txt" / "inside"):
            done = self.refused(1, re.escape(str(folder)) + ": .*choose a folder", "--checkpoint", folder)
            self.assertNotIn("points", done.err)

    def test_a_second_run_in_the_folder_is_refused(self):
        first = self.start("--log", self.log, "--checkpoint", self.folder, epochs=100000)
        while not self.log.exists() or not self.events("run"):
            self.assertIsNone(first.poll())
            time.sleep(0.005)
        self.refused(1, f"{self.folder}: process {first.pid} keeps", "--checkpoint", self.folder, "--resume")
        first.kill()
        first.communicate()
        self.assertEqual(self.checkpointed("--resume").returncode, 0)  # its lock hinders nobody

    def test_divergence_names_the_last_good_checkpoint(self):
        done = self.refused(1, r"step \d+, (in|out)put layer: .*diverged.*checkpoint", "--checkpoint", self.folder,
                            "--checkpoint-every", 1, "--output", "full", "--optimizer", "sgd", "--lr", 1e30, "--warm-up", 3)
        for step in self.steps():
            self.assertIn("the last good checkpoint is ", done.err)

    def test_a_training_that_diverged_goes_on_with_a_lower_rate(self):
        run = ("--checkpoint", self.folder, "--checkpoint-every", 1000, "--output", "full", "--optimizer", "sgd",
               "--lr-schedule", "constant")
        self.assertEqual(self.run_to_end(*run, "--lr", 0.1, epochs=1).returncode, 0)
        good = self.steps()[-1]
        self.refused(1, "diverged.*the last good checkpoint is .*, which a run with a lower rate can go on from",
                     *run, "--resume", "--lr", 1e30, epochs=2)
        went_on = self.run_to_end(*run, "--resume", "--lr", 0.05, "--model", self.dir / "model", epochs=2)
        self.assertEqual(went_on.returncode, 0, went_on.err)
        self.assertRegex(went_on.err, "lr was .* and is 0.05 from here on")
        self.assertGreater(self.steps()[-1], good)
        self.assertTrue((self.dir / "model").exists())


if __name__ == "__main__":
    unittest.main()
