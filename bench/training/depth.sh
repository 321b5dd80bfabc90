#!/usr/bin/env bash
# Networks of several sampled layers beside the usual one: samples/s and P@1 at equal epochs, on wordnet-related and on
# a synthetic set in the shape of Amazon-670K (a tenth of its labels).
#   bench/training/depth.sh [--epochs N] [--threads N] [NETWORK...]
#   default: 2 epochs, 2 threads; two-layer dense-1024 sampled-first three-sampled three-dense
# two-layer: features -> 128 -> labels; dense-1024: 1024 -> 128; sampled-first: 1024 (sampled) -> 128;
# three-sampled: 1024 (sampled) -> 256 (sampled) -> labels; three-dense: the same widths, only the output sampled.
# Logs go to build/depth; runs that are there are not run again. Some ten minutes.
set -euo pipefail
cd "$(dirname "$0")/../.."
source bench/training/runs.sh

epochs=2 threads=2
while [ $# -gt 0 ]; do
    case "$1" in
        --epochs) epochs=${2:?--epochs needs a number}; shift 2 ;;
        --threads) threads=${2:?--threads needs a number}; shift 2 ;;
        --help) sed -n '2,8s/^# \{0,1\}//p' "$0"; exit 0 ;;
        -*) echo "depth.sh: unknown option \"$1\"; see bench/training/depth.sh --help" >&2; exit 2 ;;
        *) break ;;
    esac
done
[ $# -gt 0 ] || set -- two-layer dense-1024 sampled-first three-sampled three-dense

out=build/depth/epochs-$epochs
mkdir -p "$out"
layer() { printf '[[hidden]]\nwidth = %s\n' "$1"; [ $# -lt 2 ] || printf 'sampling = "top-k"\nmix = "%s"\n' "$2"; }
network() {
    case "$1" in
        two-layer) layer 128 ;;
        dense-1024) layer 1024; layer 128 ;;
        sampled-first) layer 1024 lsh=128,uniform=16; layer 128 ;;
        three-sampled) layer 1024 lsh=128,uniform=16; layer 256 lsh=64,uniform=8 ;;
        three-dense) layer 1024; layer 256 ;;
        *) echo "depth.sh: unknown network \"$1\"; see bench/training/depth.sh --help" >&2; exit 2 ;;
    esac
    printf '[output]\nmix = "lsh=200,batch=200,uniform=200"\n'
}
for name in "$@"; do network "$name" > "$out/$name.toml"; done

python3 scripts/get_data.py wordnet-related data/wordnet-related > /dev/null
some_points data/wordnet-related/test.txt 6000 build/depth/wordnet-related.txt
make_synthetic depth-synthetic --shape amazon-670k --labels 67000 --scale 0.1
some_points data/depth-synthetic/test.txt 3000 build/depth/depth-synthetic.txt
for data in wordnet-related depth-synthetic; do
    for name in "$@"; do
        run_once slidekit "$out/$data.$name.jsonl" --train "data/$data/train.txt" --test "build/depth/$data.txt" \
            --config "$out/$name.toml" --sampling top-k --epochs "$epochs" --threads "$threads"
    done
done

python3 - "$out" "$@" << 'END'
import json
import sys

out, names = sys.argv[1], sys.argv[2:]
print("| data | network | samples/s | P@1 %, by epoch | peak RSS |")
print("|---|---|---|---|---|")
for data in ("wordnet-related", "depth-synthetic"):
    for name in names:
        with open(f"{out}/{data}.{name}.jsonl", encoding="utf-8") as log:
            events = [json.loads(line) for line in log]
        precisions = ", ".join(f"{100 * event['p_at_1']:.1f}" for event in events if event["event"] == "eval")
        done = events[-1]
        print(f"| {data} | {name} | {done['samples_per_second']:,.0f} | {precisions} "
              f"| {done['peak_rss_bytes'] / 1e6:,.0f} MB |")
END
