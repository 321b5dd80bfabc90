#!/usr/bin/env bash
# Boots small guests with several memory nodes under QEMU, on Debian's cloud kernel, and runs the runtime's tests in
# each: tests/system and tests/numa of a build. Exit 0: all passed; 1: a test failed or the guest hung (its console
# follows); 2: usage; 77: there can be no guest here, with the reason (meson counts it as skipped).
#   scripts/numa_vm_test.sh [--topology 2node|snc4|hbm]... [--only SUBJECT]... [--accel kvm|tcg] [--builddir DIR] [--keep]
#       2node: two sockets; snc4: two sockets of two nodes each; hbm: two sockets, each with a second node that has
#       no processors (all three unless told); SUBJECT as in nodes_test.cpp (all unless told); KVM where it works, else
#       TCG; --keep leaves console and files
set -euo pipefail
started_in=$PWD
cd "$(dirname "$0")/.."

usage_error() { echo "numa_vm_test.sh: $1; see scripts/numa_vm_test.sh --help" >&2; exit 2; }
skip() { echo "skipped: $1"; exit 77; }

topologies=() only=()
accel='' fallback='' builddir=build keep=no report=''
while [ $# -gt 0 ]; do
    case "$1 ${2-}" in
        "--topology "2node | "--topology "snc4 | "--topology "hbm) topologies+=("$2"); shift 2 ;;
        "--topology "*) usage_error "--topology is 2node, snc4 or hbm, not \"${2-}\"" ;;
        "--only "?*) only+=("$2"); shift 2 ;;
        "--accel "kvm | "--accel "tcg) accel=$2; shift 2 ;;
        "--accel "*) usage_error "--accel is kvm or tcg, not \"${2-}\"" ;;
        "--builddir "*) builddir=${2-}; shift; [ $# -eq 0 ] || shift ;;
        "--keep "*) keep=yes; shift ;;
        # Where meson wants the cases of a GoogleTest program; here those of all programs in the guest.
        "--gtest_output=xml:"*) report=$(cd "$started_in" && realpath -m "${1#*xml:}"); shift ;;
        "--help "*) sed -n '2,8s/^# *//p' "$0"; exit 0 ;;
        *) usage_error "unknown argument \"$1\"" ;;
    esac
done
[ ${#topologies[@]} -gt 0 ] || topologies=(2node snc4 hbm)
[ -f "$builddir/build.ninja" ] || usage_error "--builddir \"$builddir\" is no build"
[ -z "$report" ] || rm -f "$report"  # that of an earlier run would be counted where this one skips

shopt -s nullglob
# The pools that another program has too are left out (the standard allocator's).
tests=("$builddir"/tests/system*_tests "$builddir"/tests/system/system_pool_jemalloc_tes[t] "$builddir"/tests/numa/numa_test[s])
programs=("${tests[@]}")
[ ! -x "$builddir/examples/cli/slidekit" ] || programs+=("$builddir/examples/cli/slidekit")
[ ${#tests[@]} -gt 0 ] || { echo "numa_vm_test.sh: $builddir has no tests; run ninja -C $builddir" >&2; exit 1; }

# ---- what a guest is made of ----

missing_tool() {
    local tool
    for tool in qemu-system-x86_64 busybox cpio; do
        command -v "$tool" > /dev/null || { echo "$tool"; return; }
    done
}
[ "$(uname -m)" = x86_64 ] || skip "this is no x86-64 machine"
if [ -n "$(missing_tool)" ] && { [ "$(id -u)" -eq 0 ] || sudo -n true 2> /dev/null; }; then
    scripts/setup.sh --with numa || true
fi
tool=$(missing_tool)
[ -z "$tool" ] || skip "no $tool; scripts/setup.sh --with numa installs it"

work=$(mktemp -d)
qemu=''
clean_up() {
    [ -z "$qemu" ] || kill -KILL "$qemu" 2> /dev/null || true
    if [ "$keep" = yes ]; then echo "numa_vm_test.sh: files are in $work"; else rm -rf "$work"; fi
}
trap clean_up EXIT

# The kernel alone, out of the package that apt has checked against its signed list.
fetch_kernel() {  # PACKAGE FILE
    local folder=$work/kernel
    mkdir -p "$folder" "$(dirname "$2")" || return 1
    # apt downloads as a user of its own, where there is one.
    if [ "$(id -u)" -eq 0 ] && id _apt > /dev/null 2>&1; then chmod 755 "$work"; chown _apt "$folder"; fi
    (cd "$folder" && apt-get download -qq "$1") || return 1
    dpkg-deb --fsys-tarfile "$folder"/*.deb | tar -xO --wildcards './boot/vmlinuz-*' > "$folder/vmlinuz" || return 1
    rm -f "$(dirname "$2")"/vmlinuz-*
    mv "$folder/vmlinuz" "$2"
}
package=$(apt-cache show --no-all-versions linux-image-cloud-amd64 2> /dev/null |
    sed -n 's/^Depends: \(linux-image-[^ ,]*\).*/\1/p') || true
[ -n "$package" ] || skip "apt knows no linux-image-cloud-amd64 (Debian's; run as root: apt-get update)"
kernel=${XDG_CACHE_HOME:-$HOME/.cache}/slidekit/vmlinuz-$package
[ -s "$kernel" ] || fetch_kernel "$package" "$kernel" || skip "$package could not be downloaded to $kernel"

root=$work/root
mkdir -p "$root"/{bin,lib64,lib/guest,proc,sys,dev,tmp,tests}
cp "$(command -v busybox)" "$root/bin/busybox"
cp "${programs[@]}" "$root/tests"
# A process each, as on this machine: "PROGRAM SUBJECT".
for program in "${tests[@]}"; do
    name=$(basename "$program")
    case "$name" in
        *_tests) "$program" --subjects | sed "s/^/$name /" ;;
        *) echo "$name" ;;
    esac
done > "$work/list"
if [ ${#only[@]} -eq 0 ]; then
    grep -vE ' (error|limits|random)$' "$work/list" > "$root/tests/list"  # what knows nothing of nodes
fi
for subject in "${only[@]}"; do
    awk -v subject="$subject" '$2 == subject { print; found = 1 } END { exit !found }' "$work/list" >> "$root/tests/list" ||
        usage_error "--only \"$subject\": no test program has it"
done
# Not in the closure: what is loaded at run time. TBB does without its library for NUMA, as it has to.
ldd "${programs[@]}" | awk '$2 == "=>" && $3 ~ /^\// {print $3} $1 ~ /^\/lib64/ {print $1}' | sort -u | while read -r library; do
    case "$library" in
        /lib64/*) cp -L "$library" "$root/lib64" ;;
        *) cp -L "$library" "$root/lib/guest" ;;
    esac
done
cat > "$root/init" <<'INIT'
#!/bin/busybox sh
/bin/busybox --install /bin
export PATH=/bin HOME=/tmp LD_LIBRARY_PATH=/lib/guest
[ ! -x /tests/slidekit ] || export SLIDEKIT=/tests/slidekit
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t tmpfs tmp /tmp
mount -t cgroup2 cgroup /sys/fs/cgroup
echo "guest: up with nodes $(cat /sys/devices/system/node/online), Linux $(cat /proc/sys/kernel/osrelease)"
for node in /sys/devices/system/node/node*; do
    echo "guest: ${node##*/} has processors $(cat $node/cpulist), $(sed -n 's/.*MemFree: *//p' $node/meminfo) free"
done
export SLIDEKIT_NUMA_GUEST=$(sed 's/.*slidekit_topology=\([^ ]*\).*/\1/' /proc/cmdline)
cd /tmp
failed=no
while read -r program subject; do
    echo "guest: $program $subject begins"
    /tests/$program $subject --gtest_output=xml:/tmp/cases.xml --gtest_color=no < /dev/null
    status=$?
    echo "guest: $program $subject ends with $status after $(cut -d ' ' -f 1 /proc/uptime) s"
    [ $status = 0 ] || failed=yes
    [ ! -f /tmp/cases.xml ] || cat /tmp/cases.xml > /dev/ttyS1
    rm -f /tmp/cases.xml
done < /tests/list
echo "guest: done, failed: $failed"
poweroff -f
INIT
chmod +x "$root/init"
(cd "$root" && find . | cpio -o -H newc --quiet) > "$work/initrd"

# ---- guests ----

# Sets options: those of QEMU for processors and memory.
set_options() {  # TOPOLOGY
    node() {  # NUMBER MIB cpus=RANGE, or whose memory it is
        options+=(-object "memory-backend-ram,id=m$1,size=$2M" -numa "node,nodeid=$1,memdev=m$1,$3")
    }
    case "$1" in
        2node)
            options=(-machine q35 -m 1536 -smp 4,sockets=2,cores=2,threads=1)
            node 0 768 cpus=0-1; node 1 768 cpus=2-3 ;;
        snc4)
            options=(-machine q35 -m 2048 -smp 8,sockets=2,dies=2,cores=2,threads=1)
            node 0 512 cpus=0-1; node 1 512 cpus=2-3; node 2 512 cpus=4-5; node 3 512 cpus=6-7 ;;
        hbm)
            options=(-machine "q35,hmat=on" -m 2048 -smp 4,sockets=2,cores=2,threads=1)
            node 0 768 cpus=0-1; node 1 768 cpus=2-3; node 2 256 initiator=0; node 3 256 initiator=1 ;;
    esac
}

limit=150  # seconds for a guest
declare -A boot_limits=([kvm]=20 [tcg]=100)  # of them until the first program runs

# Sets outcome: passed, failed, hung, or absent (no guest came up), and seconds.
boot() {  # TOPOLOGY kvm|tcg
    local console=$work/$1.console start=$SECONDS
    set_options "$1"
    rm -f "$console" "$work/$1.cases"
    outcome=failed
    qemu-system-x86_64 "${options[@]}" -accel "$2" -cpu max -nodefaults -display none -no-reboot \
        -serial "file:$console" -serial "file:$work/$1.cases" -kernel "$kernel" -initrd "$work/initrd" \
        -append "console=ttyS0 quiet panic=-1 mitigations=off transparent_hugepage=madvise slidekit_topology=$1" \
        < /dev/null > "$work/$1.qemu" 2>&1 &
    qemu=$!
    while kill -0 "$qemu" 2> /dev/null; do
        sleep 0.2
        seconds=$((SECONDS - start))
        if [ $seconds -ge $limit ] ||
            { [ $seconds -ge "${boot_limits[$2]}" ] && ! grep -qs '^guest: up' "$console"; }; then
            kill -KILL "$qemu"
            outcome=hung
            break
        fi
    done
    { wait "$qemu" || true; } 2> /dev/null
    qemu=''
    if grep -qs '^guest: done, failed: no' "$console"; then
        outcome=passed
    elif ! grep -qsE '^guest: up|Kernel panic' "$console"; then
        outcome=absent
    fi
}

if [ -z "$accel" ]; then
    accel=tcg
    # What else may stand behind /dev/kvm (kvm_pvm) boots kernels made for it only.
    if [ -r /dev/kvm ] && [ -w /dev/kvm ] && { [ -d /sys/module/kvm_intel ] || [ -d /sys/module/kvm_amd ]; }; then
        accel=kvm fallback=tcg
    fi
fi

# "24 passed, 0 failed, 3 skipped", from the summaries that GoogleTest writes for each suite.
count_cases() {  # FILE
    awk -F '"' '/<testsuite / {
        for (i = 1; i < NF; i += 2) { sub(/.* /, "", $i); sum[$i] += $(i + 1) }
    }
    END {
        passed = sum["tests="] - sum["failures="] - sum["disabled="] - sum["skipped="]
        printf "%d passed, %d failed, %d skipped\n", passed, sum["failures="], sum["skipped="]
    }' "$1"
}

run_guest() {  # TOPOLOGY
    local console=$work/$1.console
    boot "$1" "$accel"
    if [ "$outcome" = absent ] && [ -n "$fallback" ]; then
        echo "numa_vm_test.sh: no guest came up under KVM; trying TCG"
        accel=$fallback fallback=''
        boot "$1" "$accel"
    fi
    if [ "$outcome" = absent ]; then
        cat "$work/$1.qemu"
        echo "skipped: no guest came up under $accel in $seconds s"
        [ $status -ne 0 ] || status=77
        return
    fi
    if [ "$outcome" != passed ]; then
        tr -d '\r' < "$console"
        status=1
    fi
    echo "$1: $outcome under $accel after $seconds s: $(count_cases "$work/$1.cases")"
    sed -n '/<testsuite /,/<\/testsuite>/p' "$work/$1.cases" | tr -d '\r' >> "$work/cases"
}

status=0
for topology in "${topologies[@]}"; do run_guest "$topology"; done
if [ -n "$report" ] && [ -f "$work/cases" ]; then
    { echo '<testsuites>'; cat "$work/cases"; echo '</testsuites>'; } > "$report"
fi
exit $status
