"""Metrics of the program against a plain reading of their definitions, predictions read back, and training that looks
at a validation part."""

import json
import math
import random
import unittest

from cli_test import FEATURES, LABELS, Case, run

NAMES = ("p", "ndcg", "recall", "psp")


def read_labels(path):
    """(labels of each point, number of labels) of XMC text."""
    head, *lines = path.read_text().splitlines()
    return [[int(l) for l in line.split(" ")[0].split(",") if l] for line in lines], int(head.split()[2])


def read_ranked(path):
    return [[int(item.split(":")[0]) for item in line.split()] for line in path.read_text().splitlines()]


def propensities(train, a=0.55, b=1.5):
    """p_l = 1 / (1 + C exp(-A ln(N_l + B))), C = (ln N - 1) (B + 1)^A [Jain, Prabhu, Varma 2016]."""
    points, labels = read_labels(train)
    c = (math.log(len(points)) - 1) * (b + 1) ** a
    counts = [sum(label in point for point in points) for label in range(labels)]
    return [1 / (1 + c * math.exp(-a * math.log(count + b))) for count in counts]


def metrics(ranked, truth, depths, p=None):
    pairs = [(r, set(y)) for r, y in zip(ranked, truth, strict=True) if y]
    result = {"points": len(pairs)}
    discount = lambda rank: 1 / math.log2(rank + 1)
    mean = lambda values: math.fsum(values) / len(pairs)
    for k in depths:
        hits = [[rank for rank, label in enumerate(r[:k], 1) if label in y] for r, y in pairs]
        result[f"p_at_{k}"] = mean(len(h) / k for h in hits)
        result[f"ndcg_at_{k}"] = mean(sum(map(discount, h)) / sum(map(discount, range(1, min(k, len(y)) + 1)))
                                      for h, (_, y) in zip(hits, pairs))
        result[f"recall_at_{k}"] = mean(len(h) / len(y) for h, (_, y) in zip(hits, pairs))
        if p:
            gained = math.fsum(1 / p[r[rank - 1]] for h, (r, _) in zip(hits, pairs) for rank in h)
            best = math.fsum(sum(sorted((1 / p[label] for label in y), reverse=True)[:k]) for _, y in pairs)
            result[f"psp_at_{k}"] = gained / best
    return result


def random_sets(draw, points, labels):
    """Truth and predictions of many sizes, none among them."""
    some = lambda most: draw.sample(range(labels), draw.randrange(most + 1))
    return [sorted(some(7)) for _ in range(points)], [some(9) for _ in range(points)]


class Metrics(Case):
    def assert_same(self, seen, expected):
        for name, value in expected.items():
            self.assertAlmostEqual(seen[name], value, delta=1e-12, msg=name)
        self.assertEqual({n for n in seen if n.startswith(NAMES) and "_at_" in n}, set(expected) - {"points"})

    def evaluate(self, *options):
        done = run("evaluate", "--test", self.test, "--json", *options)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stdout.count("\n"), 1)
        return json.loads(done.stdout), done.stderr

    def write(self, truth, ranked):
        self.test.write_text("\n".join([f"{len(truth)} {FEATURES} {LABELS}",
                                        *(",".join(map(str, y)) + " 1:1" for y in truth)]) + "\n")
        predictions = self.dir / "best.txt"
        predictions.write_text("".join(" ".join(f"{label}:{-i}" for i, label in enumerate(r)) + "\n" for r in ranked))
        return predictions

    def test_random_predictions_give_what_the_definitions_say(self):
        for seed in range(5):
            draw = random.Random(seed)
            truth, ranked = random_sets(draw, 300, LABELS)
            predictions = self.write(truth, ranked)
            depths = draw.sample(range(1, 12), 4)
            for options, constants in (((), {}), (("--propensity", "amazon"), {"a": 0.6, "b": 2.6}),
                                       (("--propensity", "wiki"), {"a": 0.5, "b": 0.4}),
                                       (("--propensity-a", 0.3, "--propensity-b", 2), {"a": 0.3, "b": 2})):
                seen, _ = self.evaluate("--predictions", predictions, "--top-k", ",".join(map(str, depths)),
                                        "--propensity-from", self.train, *options)
                self.assert_same(seen, metrics(ranked, truth, depths, propensities(self.train, **constants)))
                self.assertEqual(seen["propensity"]["a"], constants.get("a", 0.55))

    def test_a_model_its_predictions_its_log_and_the_definitions_agree(self):
        model, predictions, log = self.dir / "m.safetensors", self.dir / "best.txt", self.dir / "log"
        trained = self.train_run("--model", model, "--log", log, "--propensity", "amazon")
        self.assertEqual(trained.returncode, 0, trained.stderr)
        for retrieval in ("exact", "scan", "lsh"):
            ask = ("--retrieval", retrieval) if retrieval != "lsh" else ("--retrieval", "lsh", "--hash-k", 5, "--hash-l", 3)
            done = run("predict", "--model", model, "--input", self.test, "--top-k", 5, "--output", predictions, *ask)
            self.assertEqual(done.returncode, 0, done.stderr)
            psp = ("--propensity-from", self.train, "--propensity", "amazon")
            of_model, _ = self.evaluate("--model", model, *ask, *psp)
            of_file, _ = self.evaluate("--predictions", predictions, *psp)
            self.assertEqual((of_model.pop("model"), of_file.pop("predictions")), (str(model), str(predictions)))
            self.assertEqual(of_model, of_file, retrieval)
            ranked = read_ranked(predictions)
            self.assertEqual(any(len(r) < 5 for r in ranked), retrieval == "lsh")
            expected = metrics(ranked, read_labels(self.test)[0], (1, 3, 5), propensities(self.train, 0.6, 2.6))
            self.assert_same(of_model, expected)
            if retrieval == "exact":
                last = [e for e in map(json.loads, log.read_text().splitlines()) if e["event"] == "eval"][-1]
                self.assertEqual(last["set"], "test")
                self.assert_same(last, expected)
                shown = [f"{100 * expected[n]:.2f}" for n in ("p_at_1", "p_at_3", "p_at_5", "ndcg_at_5", "recall_at_5",
                                                              "psp_at_5")]
                self.assertEqual(trained.stdout.splitlines()[1].split()[3:9], shown)
                lines = run("evaluate", "--test", self.test, "--model", model, *psp).stdout.splitlines()
                self.assertEqual(lines[0], "points 200")
                for name, title in zip(NAMES, ("P", "nDCG", "recall", "PSP")):
                    self.assertIn(f"{title}@3 {100 * expected[name + '_at_3']:.2f} %", lines)
                self.assertEqual(len(lines), 1 + 4 * 3)

    def test_without_a_training_set_psp_is_left_out_and_it_says_why(self):
        truth, ranked = random_sets(random.Random(1), 50, LABELS)
        seen, said = self.evaluate("--predictions", self.write(truth, ranked))
        self.assert_same(seen, metrics(ranked, truth, (1, 3, 5)))
        self.assertRegex(said, r"PSP@k is left out: .*--propensity-from TRAIN\n")

    def test_depths_that_no_line_reaches_are_said(self):
        predictions = self.write([[1], [2, 3]], [[1, 4], [3]])
        seen, said = self.evaluate("--predictions", predictions, "--top-k", "2,3")
        self.assertRegex(said, r"best\.txt: no line has more than 2 labels: at depth 3 .*--top-k 3\n")
        self.assertEqual((seen["p_at_2"], seen["p_at_3"]), (2 / 4, 2 / 6))
        self.assertNotIn("no line", self.evaluate("--predictions", predictions, "--top-k", "1,2")[1])

    def test_predictions_of_something_else_are_refused(self):
        truth, ranked = random_sets(random.Random(1), 3, LABELS)
        for content, pattern in [
            ("1:2\n3:4\n", r"best\.txt: ends after 2 lines, but the test set has 3 points; .*predicted"),
            ("1:2\n" * 4, r"best\.txt:4: a line beyond the 3 points"),
            ("1:2\n60:1\n\n", r"best\.txt:2: label 60 out of range, the test set has 60 labels \(0\.\.59\); use files of"),
            ("1:2\n5:2 5:1\n\n", r"best\.txt:2: label 5 occurs twice in this line; give it once"),
            ("1:2\n5:2 6:3\n\n", r"best\.txt:2: score 3 behind 2: .*sort"),
            ("1:2\nx:1\n\n", r'best\.txt:2: label "x" is no whole number; write label:score'),
            ("1:2\n1:nan\n\n", r'best\.txt:2: score "nan" of label 1 is no finite number; write'),
            ("1:2\n\x1b[31m\n\n", r'best\.txt:2: "\\x1b\[31m" is no prediction; write label:score'),
        ]:
            with self.subTest(content=content):
                predictions = self.write(truth, ranked)
                predictions.write_text(content)
                self.assert_fails(run("evaluate", "--test", self.test, "--predictions", predictions), pattern)
        self.assert_fails(run("evaluate", "--test", self.test, "--predictions", self.dir), "it is a folder")
        narrow = self.dir / "narrow.txt"
        narrow.write_text(f"1 {FEATURES} 50\n1 1:1\n")
        self.assert_fails(run("evaluate", "--test", self.test, "--predictions", predictions, "--propensity-from", narrow),
                          r"narrow\.txt: 50 labels, but .*test\.txt has 60; use files of one data set")

    def test_options_that_contradict_each_other_are_named(self):
        both = ("--model", "m", "--predictions", "p")
        for options, pattern in [
            (both, "--predictions: takes the place of --model"),
            ((), "--model: is missing, and so is --predictions"),
            (("--predictions", "p", "--retrieval", "scan"), "--retrieval.*--predictions"),
            (("--predictions", "p", "--hash-l", 3), "--hash-l.*--retrieval"),
            (("--predictions", "p", "--propensity", "wiki"), "--propensity: .*--propensity-from"),
            (("--predictions", "p", "--propensity-b", 3), "--propensity: .*--propensity-from"),
            (("--predictions", "p", "--propensity-from", self.train, "--propensity", "wiki", "--propensity-b", 1),
             "--propensity: wiki has its own constants, but --propensity-b"),
            (("--predictions", "p", "--propensity-from", self.train, "--propensity", "eurlex"), "--propensity.*eurlex"),
            (("--predictions", "p", "--propensity-from", self.train, "--propensity-a", -1), "--propensity-a: -1 is not"),
            (("--predictions", "p", "--propensity-from", self.train, "--propensity-b", 0), "--propensity-b: 0 is not"),
            (("--predictions", "p", "--propensity-from", self.train, "--propensity-b", "nan"), "--propensity-b: nan is"),
        ]:
            with self.subTest(options=options):
                self.assert_fails(run("evaluate", "--test", self.test, *options), pattern, code=2)


class Validation(Case):
    def events(self, *options, code=0):
        log = self.dir / "log"
        done = self.train_run("--log", log, *options)
        self.assertEqual(done.returncode, code, done.stderr)
        return [json.loads(line) for line in log.read_text().splitlines()], done

    def test_the_part_is_held_out_and_evaluated_on(self):
        events, done = self.events("--validation", 0.2)
        head, last = events[0], events[-1]
        self.assertEqual(head["points"] + head["validation_points"], 600)
        self.assertTrue(80 < head["validation_points"] < 160, head["validation_points"])
        self.assertEqual(last["samples"], 4 * head["points"])
        evaluations = [e for e in events if e["event"] == "eval"]
        self.assertEqual([e["set"] for e in evaluations], 4 * ["validation"] + ["test"])
        self.assertEqual([e["points"] for e in evaluations], 4 * [head["validation_points"]] + [200])
        best = max(evaluations[:-1], key=lambda e: e["p_at_1"])
        self.assertEqual(last["best_validation"], {"p_at_1": best["p_at_1"], "step": best["step"]})
        self.assertFalse(last["stopped_early"])
        self.assertRegex(done.stderr, r"train\.txt: \d+ points are held out for validation, \d+ are trained on\n")
        self.assertIn("validation P@1", done.stderr)
        self.assertEqual(self.events()[0][-1]["best_validation"], None)

    def test_a_training_that_stands_still_stops_and_says_where_it_was_best(self):
        events, done = self.events("--validation", 0.2, "--early-stop", 2, "--lr", 1e-30, "--epochs", 50)
        self.assertTrue(events[-1]["stopped_early"])
        self.assertEqual(len([e for e in events if e["event"] == "eval"]), 4)
        steps = events[-1]["best_validation"]["step"]
        self.assertRegex(done.stderr, rf"best P@1 \S+ % at step {steps} of {50 * steps}, none of 2 evaluations since was "
                                      rf"better: stopped; the model is that of step {3 * steps}\n")
        self.assertIn("(stopped by --early-stop)", done.stdout)

    def test_same_bits_at_any_number_of_threads_and_another_part_for_another_seed(self):
        models = []
        for options in (("--threads", 1), ("--threads", 3), ("--seed", 8)):
            model = self.dir / "m.safetensors"
            self.events("--validation", 0.3, "--model", model, *options)
            models.append(model.read_bytes())
        self.assertEqual(models[0], models[1])
        self.assertNotEqual(models[0], models[2])

    def test_parts_that_cannot_be(self):
        self.assert_fails(self.train_run("--early-stop", 3), "--early-stop: needs .*--validation is 0", code=2)
        self.assert_fails(self.train_run("--validation", 1e-5), "--validation: 1e-05 of 600 points leaves 600 .*share", code=2)
        self.assert_fails(self.train_run("--validation", 0.95), "--validation", code=2)
        self.assert_fails(self.train_run("--validation", 0.5, "--batch", 400), "batch: 400 samples, but", code=2)


class SampleWeights(Case):
    def test_a_file_with_a_weight_a_point_is_read(self):
        weights = self.dir / "weights.txt"
        weights.write_text("1\n0.5\n0\n" * 200)
        for options in ((), ("--validation", 0.2)):
            done = self.train_run("--sample-weights", weights, *options)
            self.assertEqual(done.returncode, 0, done.stderr)

    def test_what_is_no_weight_is_refused_before_the_log_is_touched(self):
        weights, log = self.dir / "weights.txt", self.dir / "log"
        for content, pattern in [("1\n" * 599, r"weights\.txt: ends after 599 weights, but the training set has 600 points"),
                                 ("1\n" * 601, r"weights\.txt:601: a weight beyond the 600 points"),
                                 ("1\n-1\n" * 300, r'weights\.txt:2: "-1" is no weight; give one finite number'),
                                 ("1\ninf\n" * 300, r'weights\.txt:2: "inf" is no weight'),
                                 ("1\nabc\n" * 300, r'weights\.txt:2: "abc" is no weight'),
                                 ("0\n" * 600, r"weights\.txt: all weights are 0")]:
            weights.write_text(content)
            log.write_text("precious")
            self.assert_fails(self.train_run("--sample-weights", weights, "--log", log), pattern)
            self.assertEqual(log.read_text(), "precious")
        self.assert_fails(self.train_run("--sample-weights", self.dir / "none"), "none: cannot be read")


if __name__ == "__main__":
    unittest.main()
