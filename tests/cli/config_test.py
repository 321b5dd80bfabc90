"""Networks from a file: what it says is what flags say, it can be written and read back, and every mistake in it is
named with its line."""

import json
import unittest

from cli_test import FEATURES, LABELS, Case, read_safetensors, run

THREE_SAMPLED = """
batch = 32
epochs = 6
lr = 0.01
seed = 7

[[hidden]]
width = 48
sampling = "top-k"
mix = "lsh=16,uniform=4"

[[hidden]]
width = 32
sampling = "exact"
mix = "lsh=12,uniform=4"
optimizer = "adagrad-row"
lr = 0.1

[output]
mix = "lsh=10,batch=5,uniform=5"
"""


class ConfigTest(Case):
    def config(self, text):
        path = self.dir / "net.toml"
        path.write_text(text)
        return path

    def run_config(self, text, *options, **how):
        return run("train", "--train", self.train, "--test", self.test, "--config", self.config(text), *options, **how)

    def refused(self, text, *parts):
        done = self.run_config(text, "--model", self.dir / "model")
        self.assertNotEqual(done.returncode, 0, done.stderr)
        for part in parts:
            self.assertIn(part, done.stderr)
        self.assertFalse((self.dir / "model").exists())

    def test_file_and_flags_make_the_same_model(self):
        flags = ("--batch", 32, "--epochs", 2, "--lr", 0.01, "--hidden", 16, "--seed", 7, "--output-optimizer", "sgd",
                 "--output-lr", 0.5, "--mix", "lsh=10,batch=5,uniform=5")
        done = run("train", "--train", self.train, "--test", self.test, *flags, "--model", self.dir / "by_flags")
        self.assertEqual(done.returncode, 0, done.stderr)
        text = """
batch = 32
epochs = 2
lr = 0.01
hidden = 16
seed = 7
mix = "lsh=10,batch=5,uniform=5"
[output]
optimizer = "sgd"
lr = 0.5
"""
        done = self.run_config(text, "--model", self.dir / "by_file")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual((self.dir / "by_flags").read_bytes(), (self.dir / "by_file").read_bytes())

    def test_what_is_dumped_reads_back(self):
        first = self.run_config(THREE_SAMPLED, "--epochs", 2, "--no-stream", "--dump-config")
        self.assertEqual(first.returncode, 0, first.stderr)
        self.assertIn("epochs = 2", first.stdout)
        self.assertIn('optimizer = \'adagrad-row\'', first.stdout)
        again = self.run_config(first.stdout, "--dump-config")
        self.assertEqual(again.returncode, 0, again.stderr)
        self.assertEqual(again.stdout, first.stdout)
        for text, name in ((THREE_SAMPLED, "a"), (first.stdout, "b")):
            done = self.run_config(text, "--epochs", 2, "--model", self.dir / name)
            self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual((self.dir / "a").read_bytes(), (self.dir / "b").read_bytes())

    def test_three_sampled_layers_learn_and_predict(self):
        done = self.run_config(THREE_SAMPLED, "--epochs", 30, "--model", self.dir / "model", "--log", self.dir / "log")
        self.assertEqual(done.returncode, 0, done.stderr)
        events = [json.loads(line) for line in (self.dir / "log").read_text().splitlines()]
        layers = events[0]["options"]["layers"]
        self.assertEqual([(l["width"], l["sampling"]) for l in layers], [(48, "top-k"), (32, "exact")])
        best = [e for e in events if e["event"] == "eval"][-1]["p_at_1"]
        self.assertGreater(best, 0.5)
        header, _ = read_safetensors(self.dir / "model")
        self.assertEqual(header["input.weight"]["shape"], [48, FEATURES])
        self.assertEqual(header["hidden2.weight"]["shape"], [32, 48])
        self.assertEqual(header["output.weight"]["shape"], [LABELS, 32])
        shown = run("evaluate", "--model", self.dir / "model", "--test", self.test, "--top-k", 1)
        self.assertEqual(shown.returncode, 0, shown.stderr)
        self.assertIn(f"P@1 {100 * best:.2f} %", shown.stdout)

    def test_losses(self):
        for loss in ("sigmoid", "squared"):
            done = self.train_run("--loss", loss, "--output", "full", "--epochs", 25, "--lr", 0.03, "--log", self.dir / "log")
            self.assertEqual(done.returncode, 0, done.stderr)
            evals = [json.loads(l) for l in (self.dir / "log").read_text().splitlines() if '"eval"' in l]
            self.assertGreater(evals[-1]["p_at_1"], 0.3, loss)
        done = self.train_run("--loss", "squared", "--label-smoothing", 0.1)
        self.assertEqual(done.returncode, 2)
        self.assertIn("--loss is squared", done.stderr)
        self.assertIn("--label-smoothing", done.stderr)

    def test_mistakes_are_named_with_their_line(self):
        net = "net.toml:"
        self.refused("batch = 32\nepoch = 2\n", net + "2", "epoch", "--dump-config")
        self.refused("batch = \n", net + "1", "is no TOML")
        self.refused("batch = \"many\"\n", net + "1", "batch", "many")
        self.refused("seed = 1\nbatch = -3\n", net + "2", "batch = -3")
        self.refused("train = \"x\"\n", net + "1", "belongs on the command line")
        self.refused("hidden = [1, 2]\n", net + "1", "[[hidden]]")
        self.refused("[[hidden]]\nwidth = 8\nsampling = \"often\"\n", net + "3", "often")
        self.refused("[[hidden]]\nwidht = 8\n", net + "2", "widht")
        self.refused("[output]\nkind = \"lsh\"\n", net + "2", "output.kind")
        self.refused("[[hidden]]\nwidth = 8\nmix = \"lsh=4\"\n", "[[hidden]] mix", "sampling is all")
        self.refused("[[hidden]]\nsampling = \"top-k\"\nprecision = \"bf16\"\n", "hidden", "use fp32")

    def test_layers_and_the_width_of_one_contradict(self):
        done = self.run_config("[[hidden]]\nwidth = 8\n", "--hidden", 16)
        self.assertEqual(done.returncode, 2)
        self.assertIn("--hidden", done.stderr)
        self.assertIn("[[hidden]]", done.stderr)

    def test_a_missing_file_is_named(self):
        done = run("train", "--train", self.train, "--test", self.test, "--config", self.dir / "none.toml")
        self.assertEqual(done.returncode, 1)
        self.assertIn("none.toml: cannot be read", done.stderr)


if __name__ == "__main__":
    unittest.main()
