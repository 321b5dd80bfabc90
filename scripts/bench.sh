#!/usr/bin/env bash
# Measures every kernel beside its peers and the machine's limit, and prints one table.
#   scripts/bench.sh kernels [--quick] [--filter RE] [--json FILE] [--builddir DIR] [--no-setup]
#   --quick      one minute instead of six, for a look: fewer and shorter runs
#   --filter RE  only shapes whose name <kernel>_<dtype>/<cold or warm>/<shape> has a match
#   --json FILE  keeps the measurements, with the machine's description, in FILE
set -euo pipefail
cd "$(dirname "$0")/.."

usage_error() {
    echo "bench.sh: $1; see scripts/bench.sh --help" >&2
    exit 2
}

subject=
builddir=build
setup=yes
json=
arguments=()
while [ $# -gt 0 ]; do
    case "$1" in
        kernels) subject=$1; shift ;;
        --quick) arguments+=(--quick); shift ;;
        --filter | --json | --builddir)
            [ $# -ge 2 ] || usage_error "$1 needs a value"
            case "$1" in
                --filter)
                    # Told before anything is built.
                    python3 -c 'import re, sys; re.compile(sys.argv[1])' "$2" 2> /dev/null ||
                        usage_error "--filter: \"$2\" is no regular expression"
                    arguments+=(--filter "$2")
                    ;;
                --json) json=$2 ;;
                --builddir) builddir=$2 ;;
            esac
            shift 2
            ;;
        --no-setup) setup=no; shift ;;
        --help) sed -n '2,6s/^# *//p' "$0"; exit 0 ;;
        -*) usage_error "unknown flag \"$1\"" ;;
        *) usage_error "unknown subject \"$1\": only kernels" ;;
    esac
done
[ -n "$subject" ] || usage_error "name a subject: kernels"

kept=$json
if [ -z "$json" ]; then
    json=$(mktemp)
    trap 'rm -f "$json"' EXIT
fi
touch "$json" 2> /dev/null || usage_error "--json: cannot write \"$json\""

{
    [ "$setup" = no ] || scripts/setup.sh --with bench
    [ -f "$builddir/build.ninja" ] || meson setup "$builddir"
    meson compile -C "$builddir" kernels_bench
} >&2

commit=$(git rev-parse --short HEAD 2> /dev/null || echo unknown)
git diff --quiet HEAD 2> /dev/null || commit="$commit, changed"
# On one core: moving to another one costs both caches.
pinned=()
! command -v taskset > /dev/null || pinned=(taskset -c "$(taskset -pc $$ | sed 's/.*[ ,-]//')")
"${pinned[@]}" "$builddir/bench/kernels/kernels_bench" --json "$json" --context "commit=$commit" \
    ${arguments[@]+"${arguments[@]}"}
python3 scripts/bench_table.py "$json"
[ -z "$kept" ] || echo "measurements: $kept" >&2
