#!/usr/bin/env bash
# HOGWILD stopped in its middle and resumed, beside HOGWILD never stopped: P@1 over five seeds on the verbs of
# wordnet-related. The grouped step resumes to the same bits (tests/train/resume_test.cpp); races have none to compare,
# so here the two means are, against the spread of the seeds.
#   bench/training/hogwild_resume.sh [--seeds N] [--epochs N]     default: 5 seeds, 8 epochs; about a minute
set -euo pipefail
cd "$(dirname "$0")/../.."
source bench/training/runs.sh

seeds=5 epochs=8
while [ $# -gt 0 ]; do
    case "$1" in
        --seeds) seeds=${2:?--seeds needs a number}; shift 2 ;;
        --epochs) epochs=${2:?--epochs needs a number}; shift 2 ;;
        --help) sed -n '2,5s/^# \{0,1\}//p' "$0"; exit 0 ;;
        *) echo "hogwild_resume.sh: unknown option \"$1\"; see bench/training/hogwild_resume.sh --help" >&2; exit 2 ;;
    esac
done

data=data/wordnet-verbs
out=build/hogwild-resume
python3 scripts/get_data.py wordnet-related "$data" --pos v --min-label-points 5 > /dev/null
rm -rf "$out"
mkdir -p "$out"
train() {  # NAME SEED OPTIONS...
    local name=$1 seed=$2; shift 2
    "$slidekit" train --train "$data/train.txt" --test "$data/test.txt" --threads 2 --epochs "$epochs" --seed "$seed" \
        --update hogwild --sampling top-k --lr 4e-4 --lr-schedule constant --log "$out/$name.$seed.jsonl" "$@" \
        > /dev/null 2> "$out/$name.$seed.err"
}
for ((seed = 1; seed <= seeds; ++seed)); do
    train whole "$seed"
    # Ends after half of the epochs with a checkpoint; the same command with all of them goes on from it.
    whole=$epochs
    epochs=$((whole / 2)) train resumed "$seed" --checkpoint "$out/$seed"
    train resumed "$seed" --checkpoint "$out/$seed" --resume
done

python3 - "$out" "$seeds" << 'END'
import json
import statistics
import sys

out, seeds = sys.argv[1], int(sys.argv[2])


def precisions(name):
    for seed in range(1, seeds + 1):
        with open(f"{out}/{name}.{seed}.jsonl", encoding="utf-8") as log:
            events = [json.loads(line) for line in log]
        if name == "resumed":
            assert any(event["event"] == "resume" and event["step"] > 0 for event in events), seed
        yield 100 * [event for event in events if event["event"] == "eval"][-1]["p_at_1"]


print("| hogwild, 2 threads | P@1 %, mean | least to most | deviation |")
print("|---|---|---|---|")
for name in ("whole", "resumed"):
    values = list(precisions(name))
    deviation = f"{statistics.stdev(values):.2f}" if seeds > 1 else "-"
    print(f"| {name} | {statistics.mean(values):.2f} | {min(values):.2f} to {max(values):.2f} | {deviation} |")
END
