#!/usr/bin/env bash
# Compares what Debian's kernel complains about on our machine with what it complains about under QEMU's q35: warnings
# and errors of its log that appear here and not there are a failure.
#
#   log.sh BOOT_VM GUEST-IMAGE
set -euo pipefail
boot_vm=$1 image=$2
[[ -e $image/vmlinuz ]] || { echo "SKIP: no guest image; run tools/image/debian"; exit 77; }
command -v qemu-system-x86_64 >/dev/null || { echo "SKIP: no qemu-system-x86_64 to compare with"; exit 77; }
grep -qE '^flags.* (vmx|svm)( |$)' /proc/cpuinfo || { echo "SKIP: no VMX or SVM; ctest -L emulated runs it"; exit 77; }

work=$(mktemp -d /tmp/patchbay-log.XXXXXX)
trap 'rm -rf "$work"' EXIT
append="console=ttyS0 quiet panic=-1 patchbay.run=\"echo LOG; dmesg -r | grep '^<[0-4]>'; echo END\""
for vcpus in 1 2; do
  "$boot_vm" --kernel "$image/vmlinuz" --initrd "$image/initrd.cpio" --append "$append" --vcpus "$vcpus" \
    --seconds 150 >"$work/ours.$vcpus"
  timeout 150 qemu-system-x86_64 -M q35 -accel kvm -cpu host -smp "$vcpus" -m 256 -nodefaults -display none -no-reboot \
    -serial stdio -kernel "$image/vmlinuz" -initrd "$image/initrd.cpio" -append "$append" >"$work/qemu.$vcpus" </dev/null
  for machine in ours qemu; do
    # Without times, addresses and numbers, which differ from one start to the next.
    tr -d '\r' <"$work/$machine.$vcpus" | sed -n '/^LOG$/,/^END$/p' | sed -E 's/^<[0-9]>\[[^]]*\] //; s/[0-9a-fx]*[0-9][0-9a-f]*/N/g' |
      grep -vE '^(LOG|END)$|^ |^(RIP|RSP|RAX|RBP|RDX|RBX|R1?N|FS|CS|CRN|PKRU|Code|Call Trace|CPUID)' | sort -u \
      >"$work/$machine.lines" || true
    grep -q '^END' <(tr -d '\r' <"$work/$machine.$vcpus") || { echo "$machine: no log"; tail -n 20 "$work/$machine.$vcpus"; exit 1; }
  done
  echo "$vcpus vCPUs: $(wc -l <"$work/ours.lines") warnings and errors here, $(wc -l <"$work/qemu.lines") under QEMU"
  comm -23 "$work/ours.lines" "$work/qemu.lines" >"$work/only"
  if [[ -s $work/only ]]; then
    echo "only here:"
    cat "$work/only"
    exit 1
  fi
done
