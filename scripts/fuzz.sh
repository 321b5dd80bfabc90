#!/usr/bin/env bash
# Fuzzes with libFuzzer: builds the targets with clang, ASan and UBSan and gives each its share of the time. What
# was found stays in corpus/ of the build's folder for the next run. Exits with 1 on a finding, and says how
# to repeat it.
#   scripts/fuzz.sh [--builddir DIR] [MINUTES]   (build-fuzz and 1 unless told)
set -euo pipefail
cd "$(dirname "$0")/.."

builddir=build-fuzz
if [ "${1-}" = --builddir ]; then
    builddir=${2:?--builddir needs a folder}
    shift 2
fi
case "${1-1}" in
    --help) sed -n '2,5s/^# *//p' "$0"; exit 0 ;;
    *[!0-9]* | "" | 0) echo "fuzz.sh: \"$1\" is no number of minutes; see scripts/fuzz.sh --help" >&2; exit 2 ;;
esac
minutes=${1-1}

if [ ! -f "$builddir/build.ninja" ]; then
    scripts/setup.sh --with clang
    # b_lundef: a shared library cannot name the sanitizers' functions, which are in the program.
    CC=clang CXX=clang++ meson setup "$builddir" -Druntime=false -Dtests=false -Dfuzz=true \
        -Dbuildtype=debugoptimized -Db_sanitize=address,undefined -Db_lundef=false
fi
meson compile -C "$builddir"

targets=("$builddir"/tests/fuzz/*_fuzz)
[ -x "${targets[0]}" ] || { echo "fuzz.sh: $builddir has no fuzz targets; it wants -Dfuzz=true" >&2; exit 2; }
seconds=$((60 * minutes / ${#targets[@]}))
export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
status=0
for target in "${targets[@]}"; do
    name=$(basename "$target")
    corpus=$builddir/corpus/$name findings=$builddir/findings/$name
    mkdir -p "$corpus" "$findings"
    echo "fuzz.sh: $name for $seconds s"
    # A call takes a hundred bytes at most: past 1 KB an input has no more to say.
    if ! "$target" -max_total_time="$seconds" -max_len=1024 -timeout=20 -rss_limit_mb=4096 -verbosity=0 \
        -print_final_stats=1 -artifact_prefix="$findings/" "$corpus"; then
        status=1
        echo "fuzz.sh: $name found something; repeat it with"
        # The newest is the one of this run.
        echo "    $target $(ls -t "$findings"/* 2> /dev/null | head -n 1)"
    fi
done
exit $status
