#!/usr/bin/env bash
# The tests of the kernels for arm64: cross-built into build-arm64 and run under qemu-aarch64. (Those on other
# x86-64 processors are the suite `emulated` of any build.) Ends with one line: N passed, N failed.
#   scripts/emulated_tests.sh [--no-setup] [meson setup options...]
set -euo pipefail
cd "$(dirname "$0")/.."

case "${1-}" in
    --no-setup) shift ;;
    --help) sed -n '2,4s/^# *//p' "$0"; exit 0 ;;
    "" | -D*) scripts/setup.sh --with emulation ;;
    *) echo "emulated_tests.sh: unknown argument \"$1\"; see scripts/emulated_tests.sh --help" >&2; exit 2 ;;
esac

builddir=build-arm64
if [ -f "$builddir/build.ninja" ]; then
    [ $# -eq 0 ] || meson configure "$builddir" "$@"
else
    meson setup "$builddir" --cross-file scripts/cross/aarch64-linux-gnu.ini -Druntime=false -Dbenchmarks=false "$@"
fi
# A log of an earlier run would be counted where this build fails.
rm -f "$builddir"/meson-logs/testlog.*
meson compile -C "$builddir"
status=0
SLIDEKIT_TEST_SIZES=few meson test -C "$builddir" --no-rebuild --print-errorlogs --no-suite lint \
    --test-args='--gtest_filter=-*/avx*' || status=$?
python3 scripts/count_tests.py "$builddir" || status=1
exit $status
