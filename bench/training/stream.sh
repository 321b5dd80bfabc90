#!/usr/bin/env bash
# What streaming costs: an epoch over a text that is larger than the memory allowed, beside the same from memory.
#   bench/training/stream.sh [--megabytes N] [--cap-megabytes N] [--threads N] [--rounds N] [-- TRAIN-OPTIONS]
#   default: 2000 MB of text, a cap of 1500 MB on the streamed runs, 2 threads, 2 rounds
# The cap is a cgroup's (systemd-run --scope -p MemoryMax=) where that works, else one of the address space (ulimit -v).
# Data goes to data/, logs to build/stream; runs that are there are not run again. The text and as much again are
# wanted on the disk, and some 2.5 times the text of memory for the runs without a cap.
set -euo pipefail
cd "$(dirname "$0")/../.."
source bench/training/runs.sh

megabytes=2000 cap=1500 threads=2 rounds=2
while [ $# -gt 0 ]; do
    case "$1" in
        --megabytes) megabytes=${2:?--megabytes needs a number}; shift 2 ;;
        --cap-megabytes) cap=${2:?--cap-megabytes needs a number}; shift 2 ;;
        --threads) threads=${2:?--threads needs a number}; shift 2 ;;
        --rounds) rounds=${2:?--rounds needs a number}; shift 2 ;;
        --) shift; break ;;
        --help) sed -n '2,7s/^# \{0,1\}//p' "$0"; exit 0 ;;
        *) echo "stream.sh: unknown option \"$1\"; see bench/training/stream.sh --help" >&2; exit 2 ;;
    esac
done

# The shape of Amazon-670K, 943 bytes a point, with fewer labels: its weights would take more than the cap.
data=data/stream-$megabytes
make_synthetic "stream-$megabytes" --shape amazon-670k --labels 100000 \
    --scale "$(python3 -c "print($megabytes * 1e6 / 943 / 490449)")"
out=build/stream/$megabytes
some_points "$data/test.txt" 3000 "$out/test.txt"
ls -l "$data/train.txt" | awk '{ printf "text: %.0f MB\n", $5 / 1e6 }'

if systemd-run --quiet --scope -p MemoryMax="${cap}M" -p MemorySwapMax=0 true 2> /dev/null; then
    how="systemd-run --scope -p MemoryMax=${cap}M"
    capped() { systemd-run --quiet --scope -p MemoryMax="${cap}M" -p MemorySwapMax=0 "$@"; }
else
    how="ulimit -v $((cap * 1000000 / 1024))"
    capped() { (ulimit -v $((cap * 1000000 / 1024)); exec "$@"); }
fi
echo "cap: $how"

# run_once runs what this variable names.
program=$slidekit
slidekit=one_run
one_run() { "${before[@]}" "$program" "$@"; }
common=(--train "$data/train.txt" --test "$out/test.txt" --epochs 1 --threads "$threads" --cache ignore "$@")
for ((round = 1; round <= rounds; ++round)); do
    before=()
    run_once slidekit "$out/memory.$round.jsonl" "${common[@]}" --no-stream
    before=(capped)
    run_once slidekit "$out/streamed.$round.jsonl" "${common[@]}" --stream
done

python3 - "$out" "$rounds" << 'END'
import json
import sys

out, rounds = sys.argv[1], int(sys.argv[2])
rates = {}
print(f"{'run':<12}{'order':<50}{'samples/s':>10}{'P@1 %':>8}{'peak RSS':>11}")
for number in range(1, rounds + 1):
    for run in ("memory", "streamed"):
        with open(f"{out}/{run}.{number}.jsonl", encoding="utf-8") as log:
            events = [json.loads(line) for line in log]
        done = events[-1]
        precision = [event["p_at_1"] for event in events if event["event"] == "eval"][-1]
        rates.setdefault(run, []).append(done["samples_per_second"])
        print(f"{run + '.' + str(number):<12}{events[0]['order']:<50}{rates[run][-1]:>10.0f}{100 * precision:>8.2f}"
              f"{done['peak_rss_bytes'] / 1e6:>8.0f} MB")
mean = {run: sum(values) / len(values) for run, values in rates.items()}
print(f"streamed: {100 * mean['streamed'] / mean['memory']:.1f} % of the speed in memory")
END
