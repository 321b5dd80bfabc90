#!/usr/bin/env bash
# From a fresh machine to a trained network on real data: set-up, build, data, training, result.
#   scripts/quickstart.sh [--threads N] [--quick]
#     --threads N   worker threads (default 2)
#     --quick       a small set (verbs only, 5,063 labels) instead of the 142,690-label one
set -euo pipefail
cd "$(dirname "$0")/.."

# Each output at the learning rate that suits it best (bench/README.md), lsh at the program's defaults. The dense
# baseline is slow by nature: it is measured for two minutes and marked so.
declare -A options=(
    [lsh]=""
    [uniform]="--lr 8e-3 --epochs 8"
    [full]="--lr 5e-3 --lr-schedule constant --max-seconds 120"
)
# A ninth of the points makes a ninth of the steps an epoch: the default epochs would end at the most frequent label.
quick_epochs=20

threads=2
data=data/wordnet-related
data_options=()
epochs=()
while [ $# -gt 0 ]; do
    case "$1" in
        --threads) threads=${2:?--threads needs a number}; shift 2 ;;
        --quick) data=data/wordnet-verbs; data_options=(--pos v --min-label-points 5)
                 epochs=(--epochs "$quick_epochs"); shift ;;
        --help) sed -n '2,5s/^# \{0,1\}//p' "$0"; exit 0 ;;
        *) echo "quickstart.sh: unknown argument \"$1\"; see scripts/quickstart.sh --help" >&2; exit 2 ;;
    esac
done

step() { printf '\n== %s\n' "$*"; }

step "set-up"
scripts/setup.sh

step "build"
[ -f build/build.ninja ] || meson setup build > build-setup.log || { cat build-setup.log; exit 1; }
rm -f build-setup.log
# Named in full: the library is called slidekit too.
meson compile -C build slidekit:executable

step "data"
python3 scripts/get_data.py wordnet-related "$data" "${data_options[@]}"

runs=build/quickstart
mkdir -p "$runs"
for output in lsh uniform full; do
    step "training with --output $output"
    # shellcheck disable=SC2086 -- the options are words
    build/examples/cli/slidekit train --train "$data/train.txt" --test "$data/test.txt" --output "$output" \
        --threads "$threads" --seed 1 --log "$runs/$output.jsonl" --model "$runs/$output.safetensors" \
        ${options[$output]} "${epochs[@]}" > "$runs/$output.txt"
done

step "result ($data, $threads threads)"
python3 scripts/summarize_runs.py "$runs/lsh.jsonl" "$runs/uniform.jsonl" "$runs/full.jsonl"
