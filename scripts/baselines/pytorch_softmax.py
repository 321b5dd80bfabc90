#!/usr/bin/env python3
"""The same network in PyTorch, as its users write it: the peer of `slidekit train` in bench/training/compare.sh.

EmbeddingBag, ReLU and a linear layer over all labels; target 1/|Y| on each label of a point.
  --output full     dense softmax: the output layer's gradient and Adam over all of it
  --output uniform  softmax over the labels of the batch and N uniform negatives that it shares: sparse gradients, SparseAdam
Rows of the input layer have sparse gradients in both. Needs python3-torch (Debian's is 1.13), which
scripts/setup.sh --with pytorch installs and nothing else of slidekit needs.

The log's events are those of `slidekit train --log`. Training seconds hold the making of batches and the steps, not
loading and evaluation. Exit codes: 0, 1 (failed), 2 (usage).
"""

import argparse
import gzip
import itertools
import json
import os
import shlex
import sys
import time
import warnings
from pathlib import Path

LINES_AT_ONCE = 8192
EVAL_BLOCK = 256  # points: 670,091 logits of each are 690 MB


class Failure(Exception):
    pass


def whole(low):
    def parse(text):
        if not text.isdecimal() or int(text) < low:
            raise argparse.ArgumentTypeError(f'"{text}" is no whole number from {low} on')
        return int(text)
    return parse


def number(allowed, what):
    def parse(text):
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not allowed(value) or value == float("inf"):
            raise argparse.ArgumentTypeError(f'"{text}" is no {what}')
        return value
    return parse


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    positive, seconds = number(lambda x: x > 0, "number above 0"), number(lambda x: x >= 0, "number from 0 on")
    parser.add_argument("--train", required=True, help="training set (XMC text, .gz too)")
    parser.add_argument("--test", required=True, help="test set")
    parser.add_argument("--log", help="where to write the run log (JSON lines)")
    parser.add_argument("--output", choices=["full", "uniform"], default="uniform")
    parser.add_argument("--hidden", type=whole(1), default=128)
    parser.add_argument("--batch", type=whole(1), default=128)
    parser.add_argument("--negatives", type=whole(1), default=4096, help="negatives that a batch shares (--output uniform)")
    parser.add_argument("--lr", type=positive, default=1e-3)
    parser.add_argument("--epochs", type=whole(1), default=1)
    parser.add_argument("--max-seconds", type=seconds, default=0, help="stop after so many training seconds (0: no limit)")
    parser.add_argument("--threads", type=whole(1), default=2)
    parser.add_argument("--eval-points", type=whole(0), default=0, help="test points of an evaluation during training (0: all)")
    parser.add_argument("--eval-every", type=whole(0), default=0, help="steps between evaluations (0: each epoch)")
    parser.add_argument("--seed", type=whole(0), default=1)
    return parser.parse_args()


OPTIONS = parse_options()  # before the import of PyTorch, which takes seconds
os.environ["OPENBLAS_NUM_THREADS"] = str(OPTIONS.threads)  # torch.set_num_threads does not reach Debian's OpenBLAS
try:
    import numpy as np
    import torch
except ImportError as error:
    sys.exit(f"pytorch_softmax.py: {error.name} is missing; run scripts/setup.sh --with pytorch, and this script with /usr/bin/python3")


def number_list(text, dtype, count, where):
    # Of a text that is no list of numbers fromstring reads the beginning, and warns: the count tells.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        values = np.fromstring(text, dtype, sep=" ") if text.strip() else np.empty(0, dtype)
    if len(values) != count:
        raise Failure(f"{where}: no XMC text (labels, then feature:value pairs)")
    return values


class Points:
    """A data set as flat arrays, as in CSR."""

    def __init__(self, name):
        features, values, labels, nnz, counts = [], [], [], [], []
        try:
            with (gzip.open if name.endswith(".gz") else open)(name, "rb") as file:
                self.points, self.features, self.labels = self.header(name, file.readline())
                while lines := list(itertools.islice(file, LINES_AT_ONCE)):
                    where = f"{name}: lines {sum(map(len, nnz)) + 2} to {sum(map(len, nnz)) + len(lines) + 1}"
                    parts = [line.partition(b" ") for line in lines]
                    nnz.append([part[2].count(b":") for part in parts])
                    counts.append([part[0].count(b",") + bool(part[0].strip()) for part in parts])
                    pairs = number_list(b"".join(part[2] for part in parts).replace(b":", b" "), float, 2 * sum(nnz[-1]), where)
                    features.append(pairs[::2].astype(np.int64))
                    values.append(pairs[1::2].astype(np.float32))
                    text = b" ".join(part[0] for part in parts).replace(b",", b" ")
                    labels.append(number_list(text, np.int64, sum(counts[-1]), where))
        except (OSError, EOFError) as error:
            raise Failure(f"{name}: {getattr(error, 'strerror', None) or error}; give a file of XMC text") from None
        self.nnz = np.array(list(itertools.chain(*nnz)), dtype=np.int64)
        self.label_counts = np.array(list(itertools.chain(*counts)), dtype=np.int64)
        if len(self.nnz) != self.points:
            raise Failure(f"{name}: {len(self.nnz)} points, but the header says {self.points}; is the file whole?")
        self.feature_ids, self.feature_values, self.label_ids = map(np.concatenate, (features, values, labels))
        for ids, width, what in ((self.feature_ids, self.features, "feature"), (self.label_ids, self.labels, "label")):
            if len(ids) and not 0 <= ids.min() <= ids.max() < width:
                raise Failure(f"{name}: a {what} out of range, the header says {width} (0..{width - 1})")
        self.feature_ends, self.label_ends = np.cumsum(self.nnz), np.cumsum(self.label_counts)

    @staticmethod
    def header(name, line):
        numbers = line.split()
        if len(numbers) != 3 or not all(text.isdigit() and int(text) > 0 for text in numbers):
            raise Failure(f"{name}: line 1: not three numbers: points, features, labels")
        return map(int, numbers)

    def batch(self, chosen):
        """Tensors of these points: (feature ids, values, bag offsets), labels, and the point of each label."""
        at, counts = members(self.feature_ends, self.nnz, chosen)
        bags = torch.from_numpy(self.feature_ids[at]), torch.from_numpy(self.feature_values[at]), torch.from_numpy(np.cumsum(counts) - counts)
        at, counts = members(self.label_ends, self.label_counts, chosen)
        return bags, torch.from_numpy(self.label_ids[at]), torch.from_numpy(np.repeat(np.arange(len(chosen)), counts))


def members(ends, counts, chosen):
    """Where the entries of the chosen points lie in the flat arrays, and how many each has."""
    sizes = counts[chosen]
    starts = ends[chosen] - sizes - (np.cumsum(sizes) - sizes)
    return np.arange(sizes.sum()) + np.repeat(starts, sizes), sizes


class Network(torch.nn.Module):
    def __init__(self, features, labels, options):
        super().__init__()
        self.negatives = options.negatives if options.output == "uniform" else 0
        self.input = torch.nn.EmbeddingBag(features, options.hidden, mode="sum", sparse=True)
        self.input_bias = torch.nn.Parameter(torch.zeros(options.hidden))
        sparse = self.negatives > 0
        self.weight = torch.nn.Embedding(labels, options.hidden, sparse=sparse)
        self.bias = torch.nn.Embedding(labels, 1, sparse=sparse)
        torch.nn.init.normal_(self.input.weight, std=0.1)
        torch.nn.init.normal_(self.weight.weight, std=options.hidden**-0.5)
        torch.nn.init.zeros_(self.bias.weight)
        dense = [self.input_bias] + ([] if sparse else [self.weight.weight, self.bias.weight])
        rows = [self.input.weight] + ([self.weight.weight, self.bias.weight] if sparse else [])
        self.optimizers = torch.optim.Adam(dense, lr=options.lr), torch.optim.SparseAdam(rows, lr=options.lr)

    def hidden(self, bags):
        ids, values, offsets = bags
        return torch.relu(self.input(ids, offsets, per_sample_weights=values) + self.input_bias)

    def logits(self, hidden):
        return torch.addmm(self.bias.weight.squeeze(1), hidden, self.weight.weight.t())

    def loss(self, bags, labels, owners):
        hidden = self.hidden(bags)
        if self.negatives:
            drawn = torch.randint(self.weight.num_embeddings, (self.negatives,))
            active, where = torch.unique(torch.cat((labels, drawn)), return_inverse=True)
            columns = where[: len(labels)]
            logits = torch.addmm(self.bias(active).squeeze(1), hidden, self.weight(active).t())
        else:
            columns = labels
            logits = self.logits(hidden)
        share = 1 / torch.bincount(owners, minlength=len(hidden)).clamp(min=1).float()
        # Cross entropy against 1/|Y| on each label; with a dense target in F.cross_entropy it takes a tenth longer.
        loss = torch.logsumexp(logits, 1).sum() - (share[owners] * logits[owners, columns]).sum()
        return loss / len(hidden), logits.shape[1]

    def step(self, batch):
        """Loss of the batch and neurons of the softmax."""
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=True)
        loss, active = self.loss(*batch)
        loss.backward()
        for optimizer in self.optimizers:
            optimizer.step()
        return loss.item(), active

    @torch.no_grad()
    def precision(self, points, chosen):
        """Exact P@1, P@3 and P@5 over the chosen points that have labels."""
        chosen = chosen[points.label_counts[chosen] > 0]
        hits = np.zeros(5)
        for begin in range(0, len(chosen), EVAL_BLOCK):
            bags, labels, owners = points.batch(chosen[begin : begin + EVAL_BLOCK])
            best = torch.topk(self.logits(self.hidden(bags)), min(5, points.labels)).indices
            found = np.isin(owners_and_labels(np.arange(len(best))[:, None], best.numpy(), points.labels),
                            owners_and_labels(owners.numpy(), labels.numpy(), points.labels))
            hits[: found.shape[1]] += found.sum(0)
        total = np.cumsum(hits) / max(1, len(chosen))
        return {"points": len(chosen), **{f"p_at_{k}": total[k - 1] / k for k in (1, 3, 5)}}


def owners_and_labels(owners, labels, width):
    return owners * width + labels


def peak_rss_bytes():
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1024
    return 0


class Run:
    def __init__(self, options, log, train, test):
        self.options, self.log, self.train, self.test = options, log, train, test
        self.network = Network(train.features, train.labels, options)
        self.start = time.monotonic()
        self.steps = self.samples = self.active = 0
        self.epoch = self.seconds = 0.0
        self.out_of_time = False

    def write(self, event, **fields):
        if self.log:
            print(json.dumps({"event": event, **fields}), file=self.log, flush=True)

    def train_all(self):
        o = self.options
        self.write("run", engine="pytorch", version=torch.__version__, command=shlex.join(sys.argv),
                   options={key.replace("_", "-"): value for key, value in vars(o).items()}, threads=o.threads,
                   points=self.train.points, test_points=self.test.points, features=self.train.features, labels=self.train.labels)
        random = np.random.default_rng(o.seed)
        for epoch in range(o.epochs):
            self.train_epoch(epoch, random.permutation(self.train.points))
            if self.out_of_time:
                break
            if o.eval_every == 0 and epoch + 1 < o.epochs:
                self.evaluate(o.eval_points)
        self.evaluate(0)
        self.write("done", epochs=self.epoch, samples=self.samples, train_seconds=self.seconds,
                   wall_seconds=time.monotonic() - self.start, samples_per_second=self.samples / self.seconds,
                   active_per_sample=self.active / self.samples, out_of_time=self.out_of_time, peak_rss_bytes=peak_rss_bytes())

    def train_epoch(self, epoch, order):
        o = self.options
        reported, window, losses = self.seconds, self.samples, 0.0
        for begin in range(0, len(order), o.batch):
            start = time.monotonic()
            chosen = order[begin : begin + o.batch]
            loss, active = self.network.step(self.train.batch(chosen))
            self.seconds += time.monotonic() - start
            if not np.isfinite(loss):
                raise Failure(f"step {self.steps}: the loss is no longer finite; lower --lr (it is {o.lr})")
            self.steps += 1
            self.samples += len(chosen)
            self.active += active * len(chosen)
            losses += loss * len(chosen)
            self.epoch = epoch + (begin + len(chosen)) / len(order)
            self.out_of_time = 0 < o.max_seconds <= self.seconds
            if self.seconds - reported >= 1 or self.out_of_time or begin + o.batch >= len(order):
                self.write("step", step=self.steps, samples=self.samples, train_seconds=self.seconds, lr=o.lr,
                           samples_per_second=(self.samples - window) / (self.seconds - reported), loss=losses / (self.samples - window))
                reported, window, losses = self.seconds, self.samples, 0.0
            if self.out_of_time:
                return
            if o.eval_every and self.steps % o.eval_every == 0:
                self.evaluate(o.eval_points)

    def evaluate(self, count):
        """On all test points, or on `count` that are evenly spread, as slidekit chooses them."""
        count = min(count or self.test.points, self.test.points)
        start = time.monotonic()
        precision = self.network.precision(self.test, np.arange(count) * self.test.points // count)
        self.write("eval", step=self.steps, epoch=self.epoch, samples=self.samples, train_seconds=self.seconds, **precision,
                   seconds=time.monotonic() - start)
        print(f"epoch {self.epoch:.2f}, {self.seconds:.1f} s of training, {self.samples / max(self.seconds, 1e-9):.0f} samples/s, "
              f"P@1 {100 * precision['p_at_1']:.2f} %, P@5 {100 * precision['p_at_5']:.2f} %", flush=True)


def main():
    torch.set_num_threads(OPTIONS.threads)
    torch.set_flush_denormal(True)
    torch.manual_seed(OPTIONS.seed)
    try:
        log = open(OPTIONS.log, "w") if OPTIONS.log else None
        train, test = Points(OPTIONS.train), Points(OPTIONS.test)
        if (train.features, train.labels) != (test.features, test.labels):
            raise Failure(f"{OPTIONS.test}: {test.features} features and {test.labels} labels, but {OPTIONS.train} has "
                          f"{train.features} and {train.labels}; use files of one data set")
        Run(OPTIONS, log, train, test).train_all()
    except Failure as error:
        sys.exit(f"pytorch_softmax.py: {error}")
    except OSError as error:
        sys.exit(f"pytorch_softmax.py: {error.filename}: {error.strerror}")


if __name__ == "__main__":
    main()
