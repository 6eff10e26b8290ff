#!/usr/bin/env bash
# A QEMU that the user starts joins examples/external.clab.yml with two queue pairs, and its guest goes on when the lab's
# engine is killed and the lab comes back. Usage: external_qemu.sh PATCHBAY EXAMPLES IMAGE
set -euo pipefail
patchbay=$1 example=$2/external.clab.yml image=$3
source "$(dirname "$0")/../lab/lab.sh"
needs qemu-system-x86_64 ping jq

lab=$work/external-qemu.clab.yml
sed 's/^name: .*/name: external-qemu/' "$example" >"$lab"  # other tests have the example up
qemu="" flood=""
trap 'end "$qemu"; end "$flood"; clean_up' EXIT
evidence() { tail -n 10 "$work/qemu.log" "$work/serial"; }
x1() { listing -r ".nodes[] | select(.name == \"x1\") | .interfaces[0].$1"; }
reaches() { in_node h1 ping -q -c 1 -W 1 10.0.1.2 >/dev/null; }
both_queues() { [[ $(x1 queues) == 2 ]]; }

check "QEMU joins with two queue pairs"
"$patchbay" deploy -t "$lab"
# Emulated, so that it runs anywhere, and without MSI-X: QEMU 7.2 crashes with both.
run='ip link set eth0 up; ip addr add 10.0.1.2/24 dev eth0; ethtool -L eth0 combined 2; sleep 100000'
qemu-system-x86_64 -nodefaults -no-user-config -no-reboot -display none \
  -machine q35,memory-backend=ram,i8042=off,sata=off,smbus=off,smm=off,vmport=off,hpet=off -m 256M \
  -object memory-backend-memfd,id=ram,size=256M,share=on -accel tcg,thread=multi -smp 2 \
  -cpu max,family=25,model=1,stepping=0 -kernel "$image/vmlinuz" -initrd "$image/initrd.cpio" \
  -append "console=ttyS0 quiet patchbay.run=\"$run\"" -serial "file:$work/serial" \
  -chardev "socket,id=c0,path=$(x1 socket),reconnect=1" -netdev vhost-user,id=n0,chardev=c0,queues=2 \
  -device "virtio-net-pci,netdev=n0,mac=$(x1 mac),mq=on,vectors=0,disable-legacy=on" >"$work/qemu.log" 2>&1 &
qemu=$!
within 120 reaches || fail "the guest does not answer"
within 20 both_queues || fail "the second queue pair does not come up"
[[ $(x1 'features | contains(["F_MQ", "F_GUEST_TSO4"])') == true ]] || fail "features: $(x1 features)"
in_node h1 ping -q -c 100 -i 0.01 -s 1472 -M do 10.0.1.2 | grep -q ' 0% packet loss' || fail "pings were lost"

check "the engine killed under traffic: the guest goes on in the lab that comes back"
"$patchbay" exec -t "$lab" --node h1 -- ping -q -f -c 1000000 10.0.1.2 >/dev/null 2>&1 &
flood=$!
delivered() { listing '[.segments[].ports[] | select(.name == "x1:eth1").out.delivered][0]'; }
start=$(delivered)
flows() { [[ $(delivered) -gt $((start + 200)) ]]; }
within 20 flows || fail "no traffic"
kill -KILL "$(cat /run/patchbay/external-qemu/pid)"
end "$flood"
flood=""
"$patchbay" destroy -t "$lab"
"$patchbay" deploy -t "$lab"
within 30 reaches || fail "the guest does not come back"
both_queues || fail "$(x1 queues) queue pairs came back"
in_node h1 ping -q -c 100 -i 0.01 10.0.1.2 | grep -q ' 0% packet loss' || fail "pings were lost"
[[ $(grep -c 'guest is up' "$work/serial") == 1 ]] || fail "the guest was started anew"
balanced

check "QEMU killed: its node waits, and nothing is left"
end "$qemu"
qemu=""
waits() { [[ $(listing -r '.nodes[] | select(.name == "x1") | .state') == waiting ]]; }
within 10 waits || fail "a QEMU that is gone is connected"
"$patchbay" destroy -t "$lab"
[[ ! -e /run/patchbay/external-qemu ]] || fail "destroy left something"
echo "passed after $SECONDS s"
