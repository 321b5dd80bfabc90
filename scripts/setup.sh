#!/usr/bin/env bash
# Installs the Debian packages that building and testing need, and says what it does.
# Needs root only when something is missing.
set -euo pipefail

base=(g++ meson ninja-build pkg-config binutils git python3
      libtbb-dev libxsimd-dev libhwloc-dev libjemalloc-dev libfmt-dev nlohmann-json3-dev libcli11-dev libtomlplusplus-dev zlib1g-dev
      libgtest-dev libgmock-dev libbenchmark-dev libopenblas-dev)
clang=(clang libclang-rt-14-dev)
emulation=(qemu-user g++-aarch64-linux-gnu googletest)
numa=(qemu-system-x86 busybox-static cpio)
plot=(python3-matplotlib)
bench=(libeigen3-dev libxxhash-dev)
pytorch=(python3-torch python3-numpy)

usage() {
    cat <<'TEXT'
usage: scripts/setup.sh [--with clang|emulation|numa|plot|bench|pytorch]...
Installs what slidekit needs from Debian (12 or later): compiler, meson and libraries;
  --with clang      also clang and its sanitizer runtimes, as .ci/run uses them
  --with emulation  also qemu-user and the compiler for arm64, for scripts/emulated_tests.sh
  --with numa       also QEMU and what a guest is made of (75 MB), for scripts/numa_vm_test.sh
  --with plot       also matplotlib, for scripts/plot.sh
  --with bench      also the libraries that scripts/bench.sh runs beside the kernels
  --with pytorch    also PyTorch (1 GB), for scripts/baselines and bench/training/compare.sh
TEXT
}

wanted=("${base[@]}")
while [ $# -gt 0 ]; do
    case "$1 ${2-}" in
        "--with clang") wanted+=("${clang[@]}"); shift 2 ;;
        "--with emulation") wanted+=("${emulation[@]}"); shift 2 ;;
        "--with numa") wanted+=("${numa[@]}"); shift 2 ;;
        "--with plot") wanted+=("${plot[@]}"); shift 2 ;;
        "--with bench") wanted+=("${bench[@]}"); shift 2 ;;
        "--with pytorch") wanted+=("${pytorch[@]}"); shift 2 ;;
        "--help "*) usage; exit 0 ;;
        *) echo "setup.sh: unknown argument \"$1 ${2-}\"; see scripts/setup.sh --help" >&2; exit 2 ;;
    esac
done

if ! command -v dpkg-query > /dev/null || ! command -v apt-get > /dev/null; then
    echo "setup.sh: this is no Debian-like system; install by hand: ${wanted[*]}" >&2
    exit 1
fi

as_root=()
[ "$(id -u)" -eq 0 ] || as_root=(sudo)

# get_data.py downloads this package without root, but only root can fetch the list that names it. Not needed
# to build or test: it is tried where root costs no password, and otherwise only said.
fetch_list() {
    if apt-cache show wordnet-base > /dev/null 2>&1; then return; fi
    if [ "$(id -u)" -eq 0 ] || sudo -n true 2> /dev/null; then
        echo "set-up: fetching the package list (apt-get update, as root): the data set is made from a package"
        "${as_root[@]}" apt-get update -qq && return
    fi
    echo "set-up: no package list, which scripts/get_data.py needs; run as root: apt-get update"
}

missing=()
for package in "${wanted[@]}"; do
    state=$(dpkg-query -W -f '${Status}' "$package" 2> /dev/null || true)
    [ "$state" = "install ok installed" ] || missing+=("$package")
done
if [ ${#missing[@]} -eq 0 ]; then
    echo "set-up: all ${#wanted[@]} packages are installed"
    fetch_list
    exit 0
fi

if [ "$(id -u)" -ne 0 ] && ! command -v sudo > /dev/null; then
    echo "setup.sh: root is needed to install ${missing[*]}; run as root: apt-get install ${missing[*]}" >&2
    exit 1
fi
echo "set-up: installing with apt-get (as root): ${missing[*]}"
"${as_root[@]}" apt-get update -qq
# sudo drops the environment, so that the variable goes behind it.
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" > /dev/null
echo "set-up: done"
