# SPDX-License-Identifier: MIT
#
# What `make run` shows in VTL0: the kernel, the hypervisor it sees, its VPs
# and its disk, on which a file system is made, filled and read back. Any step
# that fails ends it with status 1. `nonce=TEXT` on the command line is written
# to the disk and read back; its SHA-256 proves that this run did it. With
# `shell` on the command line a shell follows.
set -u

fail() { echo "demo: $*"; exit 1; }
has() { grep -qw "$1" /proc/cmdline; }

disk=/dev/sda
echo
uname -a
dmesg | grep -i 'hyper-v: ' | head -n 3 || fail "the kernel sees no Hyper-V"
[ "$(dmesg | grep -ci 'hypervisor detected: microsoft hyper-v')" -ge 1 ] ||
	fail "the kernel does not detect Hyper-V"
echo "VPs online: $(nproc) ($(cat /sys/devices/system/cpu/online))"

wait_for $disk 20 || fail "no $disk"
lsblk -o NAME,SIZE,TYPE,VENDOR,MODEL || fail "lsblk"
[ "$(readlink -f /sys/block/sda/device/driver)" != "" ] || fail "sda: no driver"
! ls /sys/block | grep -q '^nvme' || fail "VTL0 sees an NVMe device"

echo "ext4 on $disk:"
mkfs.ext4 -q -F $disk || fail "mkfs.ext4"
mount -t ext4 $disk /mnt || fail "mount"
dd if=/dev/urandom of=/mnt/data bs=64k count=128 2>/dev/null || fail "write"
before=$(sha256sum </mnt/data)
umount /mnt && echo 3 >/proc/sys/vm/drop_caches
mount -t ext4 $disk /mnt || fail "second mount"
[ "$(sha256sum </mnt/data)" = "$before" ] || fail "the data differs"
umount /mnt
e2fsck -fn $disk >/tmp/fsck 2>&1 || { cat /tmp/fsck; fail "e2fsck"; }
echo "  8 MiB written, read back after a new mount, equal; e2fsck clean"

nonce=$(sed -n 's/.*\bnonce=\([^ ]*\).*/\1/p' /proc/cmdline)
if [ -n "$nonce" ]; then
	end=$(($(blockdev --getsz $disk) / 8 - 1))
	printf %s "$nonce" | dd of=$disk bs=4096 seek=$end conv=sync,fsync \
		2>/dev/null || fail "write of the nonce"
	echo 3 >/proc/sys/vm/drop_caches
	dd if=$disk bs=4096 skip=$end count=1 2>/dev/null |
		head -c ${#nonce} >/tmp/nonce
	echo "sha256 of the nonce, read back from $disk:" \
		"$(sha256sum </tmp/nonce | cut -d ' ' -f 1)"
fi

if has shell; then
	echo
	echo "A shell in VTL0. \`poweroff -f' ends it; Ctrl-A x ends vmm."
	setsid cttyhack sh -l
fi
