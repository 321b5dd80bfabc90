#!/usr/bin/env bash
# What width costs: samples/s of lsh by tables and by scans, and of the baselines, at 84 k to 1.3 M labels, with the
# same points and the same active neurons; then loading, evaluation and prediction at the width of Amazon-670K.
#   bench/training/growth.sh [--threads N] [--rounds N] [LABELS...]   default: 2 threads, 2 rounds, 84k 168k 335k 670k 1340k
# Data goes to data/, logs to build/growth; runs that are there are not run again.
set -euo pipefail
cd "$(dirname "$0")/../.."
source bench/training/runs.sh

threads=2 rounds=2
while [ $# -gt 0 ]; do
    case "$1" in
        --threads) threads=${2:?--threads needs a number}; shift 2 ;;
        --rounds) rounds=${2:?--rounds needs a number}; shift 2 ;;
        --help) sed -n '2,5s/^# \{0,1\}//p' "$0"; exit 0 ;;
        -*) echo "growth.sh: unknown option \"$1\"; see bench/training/growth.sh --help" >&2; exit 2 ;;
        *) break ;;
    esac
done
[ $# -gt 0 ] || set -- 84000 168000 335000 670091 1340000

runs=(
    "tables --output lsh --sampling top-k"
    "scan --output lsh --sampling exact"
    "uniform --output uniform"
    "full --output full"
)
mkdir -p build/growth
logs=()
for labels in "$@"; do
    make_synthetic "growth-$labels" --shape amazon-670k --scale 0.12234 --labels "$labels"
    some_points "data/growth-$labels/test.txt" 300 "build/growth/$labels.txt"
done
# Rounds over all widths: what else the machine does then meets each width alike.
for ((round = 1; round <= rounds; ++round)); do
    for labels in "$@"; do
        for run in "${runs[@]}"; do
            read -r name options <<< "$run"
            log=build/growth/$name-$labels.$round.jsonl
            # shellcheck disable=SC2086 -- the options are words
            run_once slidekit "$log" --train "data/growth-$labels/train.txt" --test "build/growth/$labels.txt" \
                --threads "$threads" --max-seconds 8 $options
            logs+=("$log")
        done
    done
done
for run in "${runs[@]}"; do
    name=${run%% *} chosen=()
    for labels in "$@"; do
        for log in "${logs[@]}"; do [[ "$log" != */"$name-$labels".* ]] || chosen+=("$log"); done
    done
    printf '\n== %s\n' "$name"
    python3 scripts/summarize_runs.py --baseline "$name-$1" "${chosen[@]}"
done

printf '\n== loading, evaluation and prediction, %s labels\n' "${@: -1}"
data=data/growth-${@: -1}
timed() {  # TEXT COMMAND...
    local text=$1 start=$EPOCHREALTIME; shift
    "$@" > /dev/null 2>&1 || { echo "growth.sh: failed: $*" >&2; exit 1; }
    python3 -c "import sys; print(f'{sys.argv[1]:<32}{float(sys.argv[3]) - float(sys.argv[2]):.2f} s')" "$text" "$start" "$EPOCHREALTIME"
}
cat "$data/train.txt" > /dev/null  # the disk is not what is measured
timed "text of $(($(stat -c %s "$data/train.txt") / 1000000)) MB" "$slidekit" inspect "$data/train.txt" --cache ignore
"$slidekit" inspect "$data/train.txt" > /dev/null 2>&1
timed "the same from its cache" "$slidekit" inspect "$data/train.txt"
model=build/growth/model-${@: -1}.safetensors
[ -f "$model" ] || "$slidekit" train --train "$data/train.txt" --test "build/growth/${@: -1}.txt" --epochs 1 \
    --threads "$threads" --model "$model" > /dev/null 2>&1
points=$(head -n 1 "$data/test.txt" | cut -d' ' -f1)
timed "evaluate, $points points" "$slidekit" evaluate --model "$model" --test "$data/test.txt" --threads "$threads"
timed "predict, $points points" "$slidekit" predict --model "$model" --input "$data/test.txt" --threads "$threads"
