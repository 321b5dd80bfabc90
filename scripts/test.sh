#!/usr/bin/env bash
# Set-up, build (release unless told otherwise) and every test. Ends with one line: N passed, N failed.
#   scripts/test.sh [--builddir DIR] [--no-setup] [--] [meson setup options...]
set -euo pipefail
cd "$(dirname "$0")/.."

builddir=build
setup=yes
while [ $# -gt 0 ]; do
    case "$1" in
        --builddir) builddir=${2:?--builddir needs a folder}; shift 2 ;;
        --no-setup) setup=no; shift ;;
        --) shift; break ;;
        --help) sed -n '2,3s/^# *//p' "$0"; exit 0 ;;
        *) break ;;
    esac
done

[ "$setup" = no ] || scripts/setup.sh --with numa
if [ -f "$builddir/build.ninja" ]; then
    [ $# -eq 0 ] || meson configure "$builddir" "$@"
else
    meson setup "$builddir" "$@"
fi
# A log of an earlier run would be counted where this build fails.
rm -f "$builddir"/meson-logs/testlog.*
meson compile -C "$builddir"
status=0
meson test -C "$builddir" --no-rebuild --print-errorlogs || status=$?
python3 scripts/count_tests.py "$builddir" || status=1
exit $status
