#!/usr/bin/env bash
# What each part of the sampler is worth on wordnet-related: one run a line of the list, then one table.
#   bench/training/ablation.sh [--threads N] [NAME...]      default: 2 threads, all of the list
# Logs go to build/ablation/NAME.jsonl; runs that are there already are not run again.
set -euo pipefail
cd "$(dirname "$0")/../.."

threads=2
[ "${1-}" != --threads ] || { threads=$2; shift 2; }

runs=(
    "tables --sampling top-k"
    "scan --sampling exact"
    "scan-fp32 --sampling exact --rank dot-fp32"
    "centre-off --centre off"
    "rank-count --rank count"
    "rank-fp32 --sampling top-k --rank dot-fp32"
    "textbook --centre off --rank count --mix lsh=1000,uniform=200 --uniform-group 1 --lr 2e-3 --lr-schedule constant"
    "no-lsh --sampling none --mix batch=300,uniform=300"
    "vanilla --sampling vanilla"
    "threshold --sampling threshold --threshold 2"
    "union --sampling union"
    "query-label --query label"
    "scope-batch --sampling top-k --active-scope batch --mix lsh=16,batch=0,uniform=4096"
    "logq --correction logq"
    "uniform-group-1 --sampling top-k --uniform-group 1"
    "uniform-group-16 --sampling top-k --uniform-group 16"
    "uniform-group-64 --sampling top-k --uniform-group 64"
    "mix-400 --sampling top-k --mix lsh=200,batch=100,uniform=100"
    "dwta --hash dwta"
    "crosspolytope --hash crosspolytope"
    "probes-4 --hash-k 14 --hash-probes 4"
    "adam-dense --sampling top-k --optimizer adam-dense"
    "rebuild-40 --rebuild-first 40 --rebuild-growth 0"
    "lr-2e-3 --sampling top-k --lr 2e-3"
    "lr-3e-3 --sampling top-k --lr 3e-3"
    "lr-6e-3 --sampling top-k --lr 6e-3"
    "uniform --output uniform --lr 8e-3 --epochs 8"
    "uniform-constant --output uniform --lr 2e-3 --lr-schedule constant --epochs 8"
    "uniform-4e-3 --output uniform --epochs 8"
    "uniform-16384 --output uniform --negatives 16384 --lr 8e-3 --epochs 8"
)

data=data/wordnet-related
python3 scripts/get_data.py wordnet-related "$data" > /dev/null
mkdir -p build/ablation
logs=()
for line in "${runs[@]}"; do
    read -r name options <<< "$line"
    [ $# -eq 0 ] || [[ " $* " == *" $name "* ]] || continue
    log=build/ablation/$name.jsonl
    logs+=("$log")
    [ ! -f "$log" ] || ! tail -n 1 "$log" | grep -q '"done"' || continue
    echo "== $name $options" >&2
    # shellcheck disable=SC2086 -- the options are words
    build/examples/cli/slidekit train --train "$data/train.txt" --test "$data/test.txt" --threads "$threads" \
        --eval-points 6000 --log "$log" $options > /dev/null
done
python3 scripts/summarize_runs.py "${logs[@]}"
