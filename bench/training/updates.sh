#!/usr/bin/env bash
# The grouped step beside HOGWILD and racy gradient sums on wordnet-related: samples/s and P@1 over five seeds at one
# and two threads, as a markdown table.
#   bench/training/updates.sh [--epochs N] [--seeds N] [--max-seconds S] [UPDATE...]   default: 2, 5, none, all three
# The same epochs and learning rate for all: of rates from 1e-4 to 4e-2, hogwild learns most with that of the others
# too (one epoch, bench/README.md).
# Logs go to build/updates; runs that are there are not run again. Some 15 minutes with nothing else on two cores.
set -euo pipefail
cd "$(dirname "$0")/../.."
source bench/training/runs.sh

epochs=2 seeds=5 limit=0
while [ $# -gt 0 ]; do
    case "$1" in
        --epochs) epochs=${2:?--epochs needs a number}; shift 2 ;;
        --seeds) seeds=${2:?--seeds needs a number}; shift 2 ;;
        --max-seconds) limit=${2:?--max-seconds needs a number}; shift 2 ;;
        --help) sed -n '2,7s/^# \{0,1\}//p' "$0"; exit 0 ;;
        -*) echo "updates.sh: unknown option \"$1\"; see bench/training/updates.sh --help" >&2; exit 2 ;;
        *) break ;;
    esac
done
[ $# -gt 0 ] || set -- batch hogwild racy

data=data/wordnet-related
folder=build/updates/epochs-$epochs-limit-$limit
python3 scripts/get_data.py wordnet-related "$data" > /dev/null
mkdir -p "$folder"
some_points "$data/test.txt" 6000 build/updates/test.txt
# Seeds are the outer loop: what else the machine does then meets each mode alike.
for ((seed = 1; seed <= seeds; ++seed)); do
    for threads in 1 2; do
        for update in "$@"; do
            run_once slidekit "$folder/$update-$threads.$seed.jsonl" --train "$data/train.txt" \
                --test build/updates/test.txt --sampling top-k --epochs "$epochs" --max-seconds "$limit" \
                --threads "$threads" --seed "$seed" --update "$update" --lr 4e-3
        done
    done
done
python3 - "$folder" "$seeds" "$@" <<'END'
import json, statistics, sys

folder, seeds, updates = sys.argv[1], int(sys.argv[2]), sys.argv[3:]


def runs(update, threads):
    for seed in range(1, seeds + 1):
        with open(f"{folder}/{update}-{threads}.{seed}.jsonl") as lines:
            events = [json.loads(line) for line in lines]
        last = [event for event in events if event["event"] == "eval"][-1]
        yield events[-1]["samples_per_second"], 100 * last["p_at_1"], events[0]["options"]["lr"]


print("| --update | lr | threads | samples/s, median | batch = 1 | P@1 %, mean | least to most | deviation |")
print("|---|---|---|---|---|---|---|---|")
for threads in (1, 2):
    base = None
    for update in updates:
        rates, precisions, lrs = zip(*runs(update, threads))
        rate = statistics.median(rates)
        base = rate if update == "batch" else base
        deviation = f"{statistics.stdev(precisions):.2f}" if seeds > 1 else "-"
        print(f"| {update} | {lrs[0]:.2g} | {threads} | {rate:,.0f} | {f'{rate / base:.2f}' if base else '-'} "
              f"| {statistics.mean(precisions):.2f} | {min(precisions):.2f} to {max(precisions):.2f} | {deviation} |")
END
