"""Training from a text that is read anew each epoch: what it gives, when it is chosen, and what it takes of memory."""

import json
import resource
import unittest

from cli_test import FEATURES, LABELS, Case, run


class Stream(Case):
    def events(self, log):
        return [json.loads(line) for line in log.read_text().splitlines()]

    def test_learns_as_well_and_says_what_it_does(self):
        log = self.dir / "log"
        done = self.train_run("--stream", "--shuffle-buffer", 200, "--epochs", 15, "--log", log)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertGreater(float(done.stdout.splitlines()[1].split()[3]), 60, done.stdout)
        self.assertRegex(done.stderr, r"train\.txt: 600 points, 40 features, 60 labels; \S+ s for a first pass\n")
        self.assertRegex(done.stderr, r"streamed by a shuffle buffer of 200 points of 600")
        self.assertRegex(done.stderr, r"memory estimated: network .*, shuffle buffer .* are free")
        started = self.events(log)[0]
        self.assertEqual(started["order"], "streamed by a shuffle buffer of 200 points")
        self.assertEqual(started["points"], 600)
        memory = started["memory"]
        self.assertGreater(memory["shuffle_buffer_bytes"], 200 * 4 * 10)
        self.assertLess(memory["network_bytes"] + memory["shuffle_buffer_bytes"], memory["available_bytes"])
        self.assertEqual(self.events(log)[-1]["samples"], 15 * 600)
        self.assertFalse((self.dir / "train.txt.cache").exists())

    def test_a_set_that_fits_is_held_in_memory(self):
        log = self.dir / "log"
        for flags in ((), ("--no-stream",)):
            self.assertEqual(self.train_run("--log", log, *flags).returncode, 0)
            started = self.events(log)[0]
            self.assertEqual(started["order"], "shuffled")
            self.assertEqual(started["memory"]["shuffle_buffer_bytes"], 0)
            self.assertGreater(started["memory"]["data_bytes"], 600 * 3 * 8)

    def test_same_bits_at_any_number_of_threads(self):
        models = set()
        for threads in (1, 2, 4):
            model = self.dir / f"{threads}.safetensors"
            done = self.train_run("--stream", "--shuffle-buffer", 50, "--threads", threads, "--model", model)
            self.assertEqual(done.returncode, 0, done.stderr)
            models.add(model.read_bytes())
        self.assertEqual(len(models), 1)

    def test_an_error_names_the_line_and_leaves_nothing(self):
        model = self.dir / "m.safetensors"
        lines = self.train.read_text().splitlines()
        lines[300] = "1 2:x"
        self.train.write_text("\n".join(lines) + "\n")
        self.assert_fails(self.train_run("--stream", "--model", model), r"train\.txt:301: feature value \"x\"")
        self.assertFalse(model.exists())

    def test_flags_with_a_mistake(self):
        self.assert_fails(self.train_run("--shuffle-buffer", 0), "--shuffle-buffer", code=2)
        self.assert_fails(self.train_run("--stream", "--batch", 601), "601.*600", code=2)

    def test_label_values_are_read_and_said(self):
        self.train.write_text(f"40 {FEATURES} {LABELS}\n" + "1:0.5,7 3:1\n2 4:1\n" * 20)
        done = self.train_run()
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stderr, r"train\.txt: 40 points.*labels have values")
        self.assert_fails(self.train_run("--batch", 41), "41.*40", code=2)


class LittleMemory(Case):
    """A text of 70 MB in an address space of 120 MB, which its points would fill."""

    SPACE = 120_000_000

    def setUp(self):
        super().setUp()
        lines = [f"{i % LABELS} " + " ".join(f"{f}:{f * i % 7}" for f in range(99)) + "\n" for i in range(1000)]
        block = "".join(lines)
        blocks = 70_000_000 // len(block)
        self.points = 1000 * blocks
        with self.train.open("w") as out:
            out.write(f"{self.points} 99 {LABELS}\n")
            for _ in range(blocks):
                out.write(block)
        self.test.write_text(f"200 99 {LABELS}\n" + "".join(lines[:200]))

    def little(self, *options):
        limit = lambda: resource.setrlimit(resource.RLIMIT_AS, (self.SPACE, self.SPACE))
        return run("train", "--train", self.train, "--test", self.test, "--output", "uniform", "--negatives", 10,
                   "--hidden", 8, "--epochs", 1, "--threads", 2, "--cache", "ignore", *options, limit=limit)

    def test_what_does_not_fit_is_streamed_unless_that_is_forbidden(self):
        log = self.dir / "log"
        done = self.little("--shuffle-buffer", 5000, "--log", log)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stderr, r"first pass; its points would take 1\d\d MB, .*, and \d+ MB are free\n")
        started, *_, ended = [json.loads(line) for line in log.read_text().splitlines()]
        self.assertEqual(started["order"], "streamed by a shuffle buffer of 5000 points")
        self.assertEqual(ended["samples"], self.points)
        self.assertLess(ended["peak_rss_bytes"], self.SPACE)
        self.assert_fails(self.little("--no-stream"),
                          r"train\.txt: its points would take 1\d\d MB, .* are free; leave --no-stream out")
        self.assert_fails(self.little("--shuffle-buffer", 1_000_000),
                          r"memory: .*shuffle buffer \d+ MB, \d+ MB are free; .*lower --shuffle-buffer")


if __name__ == "__main__":
    unittest.main(verbosity=2)
