#!/usr/bin/env bash
# Runs a program on an emulated processor: run.sh CPU PROGRAM [ARGUMENT...], CPU as `qemu-x86_64 -cpu help`
# lists them. Without the emulator it exits with 77, which meson counts as skipped.
set -euo pipefail

cpu=$1; shift
if ! command -v qemu-x86_64 > /dev/null; then
    echo "skipped: no qemu-x86_64; scripts/setup.sh --with emulation installs it"
    exit 77
fi
exec qemu-x86_64 -cpu "$cpu" "$@"
