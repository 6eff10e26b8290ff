#!/usr/bin/env bash
# A disk image as a distribution makes it, with a partition table, a boot loader's configuration, a kernel, an initial RAM
# disk and a root file system, is all that a node is given. Two nodes start from it, each with an overlay of its own that
# survives a reset; the image stays as it was. Whatever engine this host has.
# Usage: disk_image.sh PATCHBAY IMAGE
set -euo pipefail
patchbay=$1 image=$2
. "$(dirname "$0")/../lab/lab.sh"
needs ping jq mke2fs cpio
"$patchbay" doctor | grep -q 'vm yes' || { echo "SKIP: this host runs no operating systems as guests"; exit 77; }

# The root file system is the small guest with an init of its own; the initial RAM disk is that guest with another.
root=$work/root
mkdir -p "$root"/{sbin,boot/grub,patchbay} "$work/ram"
(cd "$root" && cpio --quiet -id <"$image/initrd.cpio")
rm "$root/init"
cp "$(dirname "$patchbay")/patchbay-agent" "$root/patchbay/agent"
cat >"$root/sbin/init" <<'INIT'
#!/bin/sh
export PATH=/bin
exec </dev/console >/dev/console 2>&1
mount -t sysfs sysfs /sys
busybox --install -s /bin
ip link set lo up
/patchbay/agent &
echo "the disk's own init runs"
while :; do sleep 1000; done
INIT
cat >"$work/ram/init" <<'INIT'
#!/bin/busybox sh
export PATH=/bin
busybox mount -t proc proc /proc
busybox --install -s /bin
mount -t devtmpfs devtmpfs /dev
while read -r module; do insmod "/lib/modules/$module"; done </lib/modules/order
for word in $(cat /proc/cmdline); do
  case $word in root=*) device=${word#root=} ;; esac
done
mkdir /new
mount -t ext4 "$device" /new
mount --move /dev /new/dev
mount --move /proc /new/proc
exec switch_root /new /sbin/init
INIT
chmod +x "$root/sbin/init" "$work/ram/init"
cp "$image/vmlinuz" "$root/boot/vmlinuz-6.1"
{ cat "$image/initrd.cpio"; cd "$work/ram" && echo init | cpio --quiet -o -H newc; } >"$root/boot/initrd.img-6.1"
cat >"$root/boot/grub/grub.cfg" <<'GRUB'
set default="0"
menuentry 'A distribution' --class os $menuentry_id_option 'simple' {
	search --no-floppy --fs-uuid --set=root 5c3
	linux	/boot/vmlinuz-6.1 root=/dev/sda1 rw quiet console=tty0 mark=from-the-disk
	initrd	/boot/initrd.img-6.1
}
GRUB

# An MBR with one Linux partition of 120 MiB behind the first MiB.
disk=$work/disk.img
truncate -s 121M "$disk"
mke2fs -q -F -t ext4 -d "$root" -E offset=1048576 "$disk" 120M 2>"$work/log" || fail "mke2fs: $(cat "$work/log")"
printf '\x00\x00\x00\x00\x83\x00\x00\x00\x00\x08\x00\x00\x00\xc0\x03\x00' | dd of="$disk" bs=1 seek=446 conv=notrunc status=none
printf '\x55\xaa' | dd of="$disk" bs=1 seek=510 conv=notrunc status=none
sum=$(sha256sum <"$disk")

lab=$work/disk.clab.yml
cat >"$lab" <<'LAB'
name: disk-image
topology:
  nodes:
    v1: {kind: vm, image: disk.img, memory: 256MiB, cmd: extra=from-the-lab}
    v2: {kind: vm, image: disk.img, memory: 256MiB}
  links:
    - {endpoints: ["v1:eth1", "v2:eth1"], ipv4: [10.0.0.1/24, 10.0.0.2/24]}
LAB
evidence() {
  local node
  for node in v1 v2; do timeout 2 "$patchbay" console -t "$lab" $node </dev/null 2>/dev/null | tail -n 15 | sed "s/^/$node: /" || true; done
}

check "it starts, from the disk and with its command line"
"$patchbay" deploy -t "$lab" || fail "the lab does not come up"
line=$(in_node v1 cat /proc/cmdline </dev/null)
[[ $line == "root=/dev/vda1 rw quiet console=tty0 mark=from-the-disk console=ttyS0 extra=from-the-lab"* ]] || fail "command line: $line"
in_node v1 grep -q '^/dev/vda1 / ext4 rw' /proc/mounts </dev/null || fail "the root is $(in_node v1 cat /proc/mounts </dev/null)"
[[ $(listing -r '.nodes[0].image') == "$disk" ]] || fail "inspect shows another image"
within 10 in_node v1 ping -q -c 1 -W 2 10.0.0.2 </dev/null >/dev/null || fail "the guests do not reach each other"

check "each has a disk of its own, which a reset leaves alone"
in_node v1 sh -c 'echo mine >/mark && sync' </dev/null
! in_node v2 test -e /mark </dev/null || fail "v2 sees what v1 wrote"
"$patchbay" power reset -t "$lab" v1
within 100 in_node v1 true </dev/null 2>/dev/null || fail "v1 did not come back"
[[ $(in_node v1 cat /mark </dev/null) == mine ]] || fail "the overlay is lost"

check "the end"
balanced
"$patchbay" destroy -t "$lab"
[[ $(sha256sum <"$disk") == "$sum" ]] || fail "the image was written to"

check "what cannot start says so"
truncate -s 4M "$work/empty.img"
sed "s/image: disk.img, memory: 256MiB}/image: empty.img}/" "$lab" >"$work/bad.clab.yml"
status=0
"$patchbay" deploy -t "$work/bad.clab.yml" 2>"$work/log" || status=$?
[[ $status -eq 2 ]] && grep -q "bad.clab.yml:5:.*empty.img' has no ext2, ext3 or ext4 file system" "$work/log" || fail "status $status: $(cat "$work/log")"
echo "passed after $SECONDS s"
