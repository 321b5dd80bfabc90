#!/usr/bin/env bash
# The figure of the quick start: P@1 against training seconds and epochs for the three outputs.
#   scripts/plot.sh [FILE.svg|FILE.png] [LOG...]     default: build/quickstart/curves.svg of the quick start's logs
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh --with plot
output=${1:-build/quickstart/curves.svg}
[ $# -eq 0 ] || shift
[ $# -gt 0 ] || set -- build/quickstart/lsh.jsonl build/quickstart/uniform.jsonl build/quickstart/full.jsonl
# Debian's Python, which Debian's matplotlib belongs to, wherever else a python3 comes first on the PATH.
/usr/bin/python3 scripts/plot_curves.py --output "$output" "$@"
