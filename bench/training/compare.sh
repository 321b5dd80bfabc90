#!/usr/bin/env bash
# slidekit beside PyTorch on the same data: samples/s in rounds that take turns, then P@1 against training seconds.
#   bench/training/compare.sh [--quick] [--part speed|amazon|wordnet] [--threads N] [--rounds N] [NAME...]
#                                                    default: all parts and runs, 2 threads, 3 rounds
#     --quick    seconds instead of minutes a run: shows that all of it works, in two minutes
#     NAME...    only these runs of the lists below
# Needs scripts/setup.sh --with pytorch. Data goes to data/, logs to build/compare; runs that are there are not run again.
set -euo pipefail
cd "$(dirname "$0")/../.."
source bench/training/runs.sh

quick= threads=2 rounds=3 parts='speed amazon wordnet'
while [ $# -gt 0 ]; do
    case "$1" in
        --quick) quick=yes rounds=1; shift ;;
        --part) parts=${2:?--part needs a name}; shift 2 ;;
        --threads) threads=${2:?--threads needs a number}; shift 2 ;;
        --rounds) rounds=${2:?--rounds needs a number}; shift 2 ;;
        --help) sed -n '2,7s/^# \{0,1\}//p' "$0"; exit 0 ;;
        -*) echo "compare.sh: unknown option \"$1\"; see bench/training/compare.sh --help" >&2; exit 2 ;;
        *) break ;;
    esac
done
only=("$@")

# NAME ENGINE OPTIONS: the time limit comes with the part. tables and scan: --output lsh by hash tables, by linear scan.
speed=(
    "pytorch-uniform       pytorch --output uniform --batch 128 --negatives 4096"
    "uniform-128           slidekit --output uniform --batch 128 --negatives 4096"
    "tables-1000           slidekit --sampling top-k --mix lsh=400,batch=300,uniform=300"
    "scan-1000             slidekit --sampling exact --mix lsh=400,batch=300,uniform=300"
    "pytorch-full          pytorch --output full --batch 128"
    "full-128              slidekit --output full --batch 128"
    "pytorch-uniform-256   pytorch --output uniform --batch 256 --negatives 4096"
    "tables                slidekit --sampling top-k"
    "scan                  slidekit --sampling exact"
    "tables-3000           slidekit --sampling top-k --mix lsh=1000,batch=1000,uniform=1000"
)
# Schedules end with the epochs, which are chosen for the time limit. Learning rates: bench/README.md.
amazon=(
    "lsh                   slidekit --epochs 12 --eval-every 120"
    "lsh-tables            slidekit --sampling top-k --epochs 14 --eval-every 120"
    "uniform-all           slidekit --output uniform --negatives-from all --epochs 30 --eval-every 240"
    "uniform-met           slidekit --output uniform --negatives-from met --epochs 30 --eval-every 240"
    "uniform-popular       slidekit --output uniform --negatives-from popular --epochs 30 --eval-every 240"
    "full                  slidekit --output full --batch 128 --lr 1e-3 --lr-schedule constant --epochs 9 --eval-every 40"
    "pytorch-uniform       pytorch --output uniform --lr 1e-3 --epochs 9 --eval-every 200"
    "pytorch-full          pytorch --output full --lr 1e-3 --epochs 1 --eval-every 10"
)
wordnet=(
    "lsh                   slidekit --epochs 5 --eval-every 100"
    "lsh-tables            slidekit --sampling top-k --epochs 5 --eval-every 100"
    "lsh-regularised       slidekit --epochs 30 --feature-dropout 0.3 --label-smoothing 0.1 --weight-decay 0.02 --eval-every 1000"
    "uniform               slidekit --output uniform --lr 8e-3 --epochs 8 --eval-every 200"
    "full                  slidekit --output full --lr 5e-3 --lr-schedule constant --epochs 8 --eval-every 100"
    "pytorch-uniform       pytorch --output uniform --lr 2e-3 --epochs 20 --eval-every 400"
    "pytorch-full          pytorch --output full --lr 2e-3 --epochs 4 --eval-every 100"
)

part() {  # FOLDER TRAIN TEST SECONDS SUFFIX LINE...: runs the lines, adds their logs to `logs`
    local folder=$base/$1 train=$2 test=$3 seconds=$4 suffix=$5 line name engine options
    [[ " $parts " == *" $1 "* ]] || return 0
    shift 5
    mkdir -p "$folder"
    for line in "$@"; do
        read -r name engine options <<< "$line"
        [ ${#only[@]} -eq 0 ] || [[ " ${only[*]} " == *" $name "* ]] || continue
        # shellcheck disable=SC2086 -- the options are words
        run_once "$engine" "$folder/$name$suffix.jsonl" --train "$train" --test "$test" --threads "$threads" \
            --max-seconds "$seconds" $options
        logs+=("$folder/$name$suffix.jsonl")
    done
}

table() {  # HEAD [OPTION VALUE]...: over `logs`, which it empties; a run to compare with counts where it is there
    local head=$1 options=(); shift
    [ ${#logs[@]} -gt 0 ] || return 0
    while [ $# -gt 0 ]; do
        if [ "$1" = --marks ] || [[ "${logs[*]}" == *"/$2."* ]]; then options+=("$1" "$2"); fi
        shift 2
    done
    printf '\n== %s\n' "$head"
    python3 scripts/summarize_runs.py "${options[@]}" "${logs[@]}"
    logs=()
}

base=build/compare${quick:+/quick}
logs=()
amazon_set=data/amazon-670k wordnet_set=data/wordnet-related
make_synthetic amazon-670k --shape amazon-670k --scale 0.12234
python3 scripts/get_data.py wordnet-related "$wordnet_set" > /dev/null
# Exact evaluation takes PyTorch 3 ms a point: all runs of a part see the same few.
points=3000 speed_seconds=10 amazon_seconds=62 wordnet_seconds=302 marks=30,60 wordnet_marks=30,300
[ -z "$quick" ] || { points=300 speed_seconds=1 amazon_seconds=2 wordnet_seconds=2 marks=1 wordnet_marks=1; }
some_points "$amazon_set/test.txt" 300 "$base/amazon-300.txt"
some_points "$amazon_set/test.txt" "$points" "$base/amazon.txt"
some_points "$wordnet_set/test.txt" "$points" "$base/wordnet.txt"

for ((round = 1; round <= rounds; ++round)); do
    part speed "$amazon_set/train.txt" "$base/amazon-300.txt" "$speed_seconds" ".$round" "${speed[@]}"
done
table "speed, amazon-670k, batch 256 where the name says no other" --baseline pytorch-uniform
part amazon "$amazon_set/train.txt" "$base/amazon.txt" "$amazon_seconds" "" "${amazon[@]}"
table "amazon-670k" --marks "$marks" --target lsh
part wordnet "$wordnet_set/train.txt" "$base/wordnet.txt" "$wordnet_seconds" "" "${wordnet[@]}"
table "wordnet-related" --marks "$wordnet_marks" --target lsh
