#!/usr/bin/env python3
"""Rebuilds a real data set from a Debian package: get_data.py wordnet-related OUT

wordnet-related: the gloss of a WordNet 3.0 synset -> the words of that synset and of every synset that it
points to. 142,690 labels, 30,049 features, 94,211 training and 23,111 test points, in XMC text. Made from
Debian's wordnet-base 1:3.0-37 alone (installed, or else downloaded by apt), byte for byte the same everywhere; the sums are checked. Needs no root.

  --pos v --min-label-points 5   only verbs, and labels in at least 5 training points: a small set of 5,063 labels
  --deb FILE                     use this package file instead of downloading it
"""

import argparse
import hashlib
import math
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zlib
from collections import Counter
from pathlib import Path

PACKAGE = "wordnet-base"
INSTALLED = Path("/usr/share/wordnet")  # where the package puts its files
FILES = {"n": "data.noun", "v": "data.verb", "a": "data.adj", "r": "data.adv"}
MOST_TARGETS = 32  # a group of pointers with more adds no labels: it says little about the synset
TEST_PERCENT = 20

SUMS = {
    ("nvar", 1): {
        "train.txt": "c9d9a9de632c3988ee7f722334ce9c3b91a508dbc7516a9cb18be93bc6c81337",
        "test.txt": "2654f8e8a7a37226a741265281027426d637709f8ec469436dc89ec3f3bb2661",
        "labels.txt": "0352ffcd0e38b1fecf01daec78e07466564a977e659ed36fbe2611425faee1dd",
        "features.txt": "157a21a039277168080b009c47c6b5bfe646afa9b9e00d5837613e5dfe28d93f",
    },
    ("v", 5): {
        "train.txt": "4e958844e6714048d48eb7b2b97bb9afa662011400004b0268f2497609535a06",
        "test.txt": "b6b28f28998a5ea281f180b4da7617b94a966271c1e806ec9022e346c82023b6",
    },
}


def fail(where, what):
    sys.exit(f"get_data.py: {where}: {what}")


def sha256(path):
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def is_there(folder, sums):
    return all((folder / name).is_file() and sha256(folder / name) == total for name, total in sums.items())


def download(folder):
    """The package file, fetched into folder by apt."""
    if shutil.which("apt-get") is None:
        fail(PACKAGE, "no apt-get here; download the package by hand and give it with --deb")
    done = subprocess.run(["apt-get", "download", PACKAGE], cwd=folder, capture_output=True, text=True)
    packages = list(Path(folder).glob(f"{PACKAGE}_*.deb"))
    if done.returncode != 0 or not packages:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        fail(PACKAGE, f"apt-get download failed ({reason}); run `apt-get update` as root first, or give --deb FILE")
    return packages[0]


def unpack(package, folder):
    """The folder with WordNet's data files."""
    done = subprocess.run(["dpkg-deb", "-x", str(package), folder], capture_output=True, text=True)
    dictionary = Path(folder) / "usr/share/wordnet"
    if done.returncode != 0 or not all((dictionary / name).is_file() for name in FILES.values()):
        fail(package, f"is no usable {PACKAGE} package; Debian's 1:3.0-37 is wanted")
    return dictionary


def read_synsets(dictionary):
    """key -> (words, pointers as (symbol, key), gloss); a key is part of speech and offset."""
    synsets = {}
    for pos, name in FILES.items():
        for line in (dictionary / name).read_text(encoding="latin-1").splitlines():
            if line.startswith(" "):
                continue  # the licence
            fields, _, gloss = line.partition("|")
            fields = fields.split()
            word_count = int(fields[3], 16)
            words = [re.sub(r"\(\w+\)$", "", word).lower() for word in fields[4 : 4 + 2 * word_count : 2]]
            at = 4 + 2 * word_count
            pointers = []
            for i in range(int(fields[at])):
                symbol, offset, target = fields[at + 1 + 4 * i : at + 4 + 4 * i]
                pointers.append((symbol, ("a" if target == "s" else target) + offset))
            synsets[pos + fields[0]] = (words, pointers, gloss)
    return synsets


def labels_of(synsets, key):
    words, pointers, _ = synsets[key]
    groups = {}
    for symbol, target in pointers:
        groups.setdefault(symbol, set()).add(target)
    labels = set(words)
    for targets in groups.values():
        if len(targets) <= MOST_TARGETS:
            for target in targets:
                labels.update(synsets[target][0])
    return sorted(labels)


def tokens_of(gloss):
    return [token for token in re.findall("[a-z]+", gloss.lower().replace("'s", "")) if len(token) > 1]


def build(dictionary, out, parts, min_label_points):
    synsets = read_synsets(dictionary)
    train, test = [], []
    for key in sorted(synsets):
        if key[0] in parts:
            point = (labels_of(synsets, key), Counter(tokens_of(synsets[key][2])))
            (test if zlib.crc32(f"1:{key}".encode()) % 100 < TEST_PERCENT else train).append(point)

    frequency = Counter(token for _, counts in train for token in counts)
    uses = Counter(label for labels, _ in train for label in labels)
    features = sorted(token for token, count in frequency.items() if count >= 2)
    labels = sorted(label for label, count in uses.items() if count >= min_label_points)
    feature_ids = {token: i for i, token in enumerate(features)}
    label_ids = {label: i for i, label in enumerate(labels)}
    idf = [math.log((1 + len(train)) / (1 + frequency[token])) + 1 for token in features]

    def line_of(point):
        ids = sorted(label_ids[label] for label in point[0] if label in label_ids)
        values = {feature_ids[token]: count for token, count in point[1].items() if token in feature_ids}
        if not ids or not values:
            return None
        values = {i: (1 + math.log(count)) * idf[i] for i, count in sorted(values.items())}
        norm = math.sqrt(sum(value * value for value in values.values()))
        return ",".join(map(str, ids)) + "".join(f" {i}:{value / norm:.5g}" for i, value in values.items())

    for name, points in (("train.txt", train), ("test.txt", test)):
        lines = [line for line in map(line_of, points) if line]
        header = f"{len(lines)} {len(features)} {len(labels)}"
        (out / name).write_text("\n".join([header, *lines]) + "\n")
    (out / "labels.txt").write_text("\n".join(labels) + "\n")
    (out / "features.txt").write_text("\n".join(features) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=["wordnet-related"])
    parser.add_argument("out", type=Path)
    parser.add_argument("--pos", default="nvar", help="parts of speech, of n v a r (default: all)")
    parser.add_argument("--min-label-points", type=int, default=1)
    parser.add_argument("--deb", type=Path)
    options = parser.parse_args()
    if not options.pos or set(options.pos) - set(FILES):
        parser.error(f"--pos: \"{options.pos}\" has letters beside n, v, a and r")
    if options.min_label_points < 1:
        parser.error("--min-label-points: give 1 or more")
    if options.deb and not options.deb.is_file():
        fail(options.deb, "no such file; give a wordnet-base package, or leave --deb out to download it")
    sums = SUMS.get((options.pos, options.min_label_points), {})
    out = options.out
    if sums and is_there(out, sums):
        print(f"{out}: {options.name} is there, its sums are right")
        return
    try:
        out.mkdir(parents=True, exist_ok=True)
        scratch = tempfile.TemporaryDirectory(dir=out)
    except OSError as error:
        fail(out, f"cannot be written ({error.strerror}); choose another folder")
    with scratch as folder:
        if not options.deb and all((INSTALLED / name).is_file() for name in FILES.values()):
            package = dictionary = INSTALLED
        else:
            package = options.deb or download(folder)
            dictionary = unpack(package, folder)
        made = Path(folder) / "made"
        made.mkdir()
        build(dictionary, made, options.pos, options.min_label_points)
        for name, total in sums.items():
            if sha256(made / name) != total:
                fail(out / name, f"would have the sum {sha256(made / name)}, expected {total}; "
                     f"is {package} Debian's {PACKAGE} 1:3.0-37?")
        for file in sorted(made.iterdir()):
            os.replace(file, out / file.name)
    print(f"{out}: {options.name} made" + (", its sums are right" if sums else "; no sums are pinned for these options"))


if __name__ == "__main__":
    try:
        main()
    except OSError as error:
        fail(error.filename or "output", error.strerror)
