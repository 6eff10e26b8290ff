#!/usr/bin/env bash
# Virtual machines with Debian's unmodified kernel beside namespaces and a router on one switch: examples/mixed.clab.yml
# with two disks added. Commands in guests, the power switch, disks across resets, the checks of the example; under QEMU
# also the end of its process. Whatever engine this host has.
# Usage: mixed_lab.sh PATCHBAY EXAMPLES IMAGE
set -euo pipefail
patchbay=$1 examples=$2 image=$3
export PATCHBAY_DEBIAN_IMAGE=$image

[[ $EUID -eq 0 ]] || { echo "SKIP: namespaces and TAP interfaces need root"; exit 77; }
"$patchbay" doctor | grep -q 'vm yes' || { echo "SKIP: this host runs no operating systems as guests"; exit 77; }
[[ -w /dev/kvm ]] || { echo "SKIP: /dev/kvm is not usable, and the router is a VM"; exit 77; }
for program in ping jq mkfs.ext4; do
  command -v "$program" >/dev/null || { echo "SKIP: $program is not installed (tools/install-packages demo test)"; exit 77; }
done

work=$(mktemp -d /tmp/patchbay-test.XXXXXX)
lab=$work/mixed.clab.yml
trap '"$patchbay" destroy -t "$lab" >/dev/null 2>&1 || true; rm -rf "$work"' EXIT
fail() {
  echo "FAIL: $*"
  for node in v1 v2; do
    timeout 2 "$patchbay" console -t "$lab" $node </dev/null 2>/dev/null | tail -n 15 | sed "s/^/$node: /" || true
  done
  exit 1
}
check() { echo "-- $* ($SECONDS s)"; }
in_node() { local node=$1; shift; "$patchbay" exec -t "$lab" --node "$node" -- "$@"; }
fact() { "$patchbay" inspect -t "$lab" --format json | jq -r ".nodes[] | select(.name == \"$1\") | .$2"; }
agent_back() {
  for _ in $(seq 240); do
    ! in_node "$1" sh -c true 2>/dev/null || return 0
    sleep 0.5
  done
  fail "$1: its agent did not come back after $2"
}

# v2 gets a disk that is written in place, v1 a copy-on-write one, whose base image a file system is made in here.
truncate -s 64M "$work/scratch.img" "$work/base.img"
mkfs.ext4 -q -F "$work/base.img"
base_sum=$(sha256sum <"$work/base.img")
sed -e "s|v2: {kind: vm|v2: {kind: vm, binds: [\"scratch.img:/dev/vda\"]|" \
  -e "s|v1: {kind: vm}|v1: {kind: vm, image: base.img, config: {vars: {patchbay: {kernel: $image/vmlinuz, initrd: $image/initrd.cpio}}}}|" "$examples/mixed.clab.yml" >"$lab"
grep -q 'scratch.img:/dev/vda' "$lab" && grep -q 'image: base.img' "$lab" || fail "the example has changed: adapt this test"

check "the lab comes up and its checks pass"
"$patchbay" test --keep -t "$lab" || fail "the lab's checks"

check "commands in a guest: separate outputs, exit status, input, large output"
status=0
in_node v2 sh -c 'echo out; echo err >&2; exit 7' >"$work/out" 2>"$work/err" </dev/null || status=$?
[[ $status -eq 7 && $(cat "$work/out") == out && $(cat "$work/err") == err ]] || fail "status $status or outputs"
[[ $(echo hello | in_node v2 sh -c 'tr a-z A-Z') == HELLO ]] || fail "standard input"
[[ $(in_node v2 sh -c 'head -c 3000000 /dev/zero' </dev/null | wc -c) -eq 3000000 ]] || fail "large output"
status=0
in_node v2 no-such-program 2>"$work/err" </dev/null || status=$?
[[ $status -eq 127 ]] && grep -q 'No such file' "$work/err" || fail "a program that is missing"

check "entropy"
in_node v2 cat /sys/class/misc/hw_random/rng_current | grep -q virtio_rng || fail "the driver does not use the device"
[[ $(in_node v2 sh -c 'head -c 64 /dev/hwrng | wc -c') -eq 64 ]] || fail "no random bytes"

check "disks: a file system made in the guest, one on a copy-on-write image"
in_node v2 sh -c 'mkdir -p /mnt && mke2fs /dev/vda >/dev/null && mount -t ext4 /dev/vda /mnt && head -c 8000000 /dev/urandom >/mnt/data &&
  sync && sha256sum /mnt/data' </dev/null >"$work/sum2" || fail "v2: $(cat "$work/sum2")"
in_node v1 sh -c 'mkdir -p /mnt && mount -t ext4 -o discard /dev/vda /mnt && head -c 8000000 /dev/urandom >/mnt/data &&
  dd if=/dev/zero of=/mnt/gone bs=64k count=64 2>/dev/null && sync && rm /mnt/gone && sync && sha256sum /mnt/data' \
  </dev/null >"$work/sum1" || fail "v1: $(cat "$work/sum1")"
[[ $(in_node v2 cat /sys/block/vda/serial </dev/null) == patchbay-vda ]] || fail "the disk's serial number"

check "pause and resume"
"$patchbay" power pause -t "$lab" v1 && [[ $(fact v1 state) == paused ]] || fail "it is not paused"
in_node h1 ping -q -c 1 -W 1 10.0.1.11 >/dev/null && fail "a paused machine answers"
"$patchbay" power resume -t "$lab" v1
in_node h1 ping -q -c 3 -W 5 10.0.1.11 >/dev/null || fail "a resumed machine does not answer"

check "reset of one, power off by the button and on again of the other: the disks keep what was written"
"$patchbay" power reset -t "$lab" v1
"$patchbay" power off --timeout 60 -t "$lab" v2 | tee "$work/off"
! grep -q forced "$work/off" || fail "v2 did not react to its power button"
[[ $(fact v2 state) == off ]] || fail "v2 is $(fact v2 state)"
"$patchbay" power on -t "$lab" v2
agent_back v1 "a reset"
agent_back v2 "power on"
in_node v2 sh -c 'mkdir -p /mnt && mount -t ext4 /dev/vda /mnt && sha256sum /mnt/data' </dev/null | cmp - "$work/sum2" || fail "v2 lost its data"
in_node v1 sh -c 'mkdir -p /mnt && mount -t ext4 /dev/vda /mnt && sha256sum /mnt/data' </dev/null | cmp - "$work/sum1" || fail "v1 lost its data"
[[ $(sha256sum <"$work/base.img") == "$base_sum" ]] || fail "the base image was written to"
for _ in $(seq 60); do
  ! in_node h1 ping -q -c 1 -W 1 10.0.1.12 >/dev/null || break
done
in_node h1 ping -q -c 1 -W 2 10.0.1.12 >/dev/null || fail "v2's addresses were not set up again"

check "TCP from a guest to a namespace"
in_node h1 iperf3 -s -1 -D
in_node v2 iperf3 -c 10.0.1.13 -t 1 >"$work/iperf" </dev/null || fail "iperf3: $(cat "$work/iperf")"

if [[ $(fact v1 engine) == qemu ]]; then
  check "a QEMU that is killed takes its node along and nothing else"
  kill -KILL "$(fact v1 qemu_pid)"
  for _ in $(seq 50); do [[ $(fact v1 state) != crashed ]] || break; sleep 0.1; done
  [[ $(fact v1 state) == crashed && $(fact v1 failure) == *"signal 9"* ]] || fail "v1 is $(fact v1 state): $(fact v1 failure)"
  in_node h1 ping -q -c 1 -W 2 10.0.1.12 >/dev/null || fail "v2 suffers from the end of v1"
  "$patchbay" power on -t "$lab" v1
  agent_back v1 "its QEMU was killed"
  in_node v1 sh -c 'mkdir -p /mnt && mount -t ext4 /dev/vda /mnt && sha256sum /mnt/data' </dev/null | cmp - "$work/sum1" || fail "v1 lost its data"
fi

check "what is left"
qemus=$("$patchbay" inspect -t "$lab" --format json | jq -r '.nodes[].qemu_pid // empty')
[[ $("$patchbay" inspect -t "$lab" --format json | jq .balanced) == true ]] || fail "counters do not balance"
"$patchbay" destroy -t "$lab"
[[ ! -e /run/patchbay/mixed ]] || fail "the run directory is left"
for pid in $qemus; do [[ ! -e /proc/$pid ]] || fail "QEMU $pid is left"; done
fsck.ext4 -n -f "$work/scratch.img" >"$work/fsck" 2>&1 || [[ $? -le 4 ]] || fail "the file system is damaged: $(cat "$work/fsck")"
echo "passed after $SECONDS s"
