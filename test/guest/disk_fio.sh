# SPDX-License-Identifier: MIT
#
# The disk tests' work in VTL0. `disk=PATH' on the command line is the disk,
# /dev/sda without it; only that one is there. `job=NAME' chooses:
#
# With a NIC, it sends pings meanwhile.
#
# write      64 MiB of mixed 4 KiB and 64 KiB blocks at depth 32, each with its
#            CRC-32C, read back and verified; the whole disk's SHA-256
# again      the same after another start: verified without a write
# both       again on the first disk; the second disk must refuse writes
# figures    random reads of 4 KiB at depth 1 and 32, a line before and after
#            each, with time for the host to take its counters (`pace=N'
#            times as much)
set -u

fail() { echo "disk: $*"; exit 1; }

job=$(sed -n 's/.*\bjob=\([^ ]*\).*/\1/p' /proc/cmdline)
pace=$(sed -n 's/.*\bpace=\([^ ]*\).*/\1/p' /proc/cmdline)
disk=$(sed -n 's/.*\bdisk=\([^ ]*\).*/\1/p' /proc/cmdline)
wait_for "${disk:=/dev/sda}" $((20 * ${pace:-1})) || exit 1
case $disk in
/dev/nvme*) hidden='/dev/sd*';;
*) hidden='/sys/block/nvme* /dev/nvme* /sys/bus/pci/devices/*';;
esac
for seen in $hidden; do
	[ ! -e "$seen" ] || fail "VTL0 sees $seen"
done

run_fio() {
	fio --filename="$disk" --ioengine=libaio --direct=1 --thread \
		--randseed=1 --randrepeat=1 --allrandrepeat=1 "$@" \
		>/tmp/fio 2>&1 || { tail -n 20 /tmp/fio; fail "fio: $*"; }
}

verify_job() {
	run_fio --name=verify --rw=randwrite --bssplit=4k/50:64k/50 \
		--iodepth=32 --size=64M --verify=crc32c --verify_fatal=1 \
		--verify_state_save=0 "$@"
	grep -E 'issued rwts|err=' /tmp/fio
}

# The kernel names disks as they come; the LUN tells which one it is.
by_lun() {
	set -- /sys/bus/scsi/devices/*:0:0:$1/block/*
	[ -e "$1" ] || fail "$1: no disk"
	echo "/dev/${1##*/}"
}

whole_disk() {
	echo 3 >/proc/sys/vm/drop_caches
	echo "disk sha256 $(sha256sum <"$disk" | cut -d ' ' -f 1)"
}

again() {
	[ "$(cat /sys/block/${disk##*/}/ro)" = 0 ] || fail "$disk is read-only"
	verify_job --verify_only=1
	whole_disk
}

# locked DISK
locked() {
	[ "$(cat /sys/block/${1##*/}/ro)" = 1 ] || fail "$1 is not read-only"
	! dd if=/dev/zero of="$1" bs=4096 count=1 oflag=direct \
		2>/dev/null || fail "$1 took a write"
	echo "locked disk sha256 $(sha256sum <"$1" | cut -d ' ' -f 1)"
}

figures() {
	for depth in 1 32; do
		reads=$((depth == 1 ? 400 : 1600))
		echo "disk: before depth $depth"
		sleep $((2 * ${pace:-1}))
		run_fio --name=random --rw=randread --bs=4k --iodepth=$depth \
			--cpus_allowed=0 \
			--size=64M --io_size=$((reads * 4))k
		echo "disk: after depth $depth, $reads reads"
		sed -n 's/^ *read: /disk: fio /p' /tmp/fio
		sleep $((2 * ${pace:-1}))
	done
}

# Frames there and back beside it, where there is a NIC.
if [ -e /sys/class/net/eth0 ]; then
	ifconfig eth0 10.0.2.15 netmask 255.255.255.0 up
	ping -q -i 0.01 -s 1400 10.0.2.2 >/dev/null &
fi

case $job in
write) verify_job --do_verify=1; whole_disk;;
again) again;;
both)
	wait_for /dev/sdb 20 || exit 1
	disk=$(by_lun 0) || { echo "$disk"; exit 1; }
	second=$(by_lun 1) || { echo "$second"; exit 1; }
	again
	locked "$second";;
figures) figures
	echo "disk: done"
	sleep $((5 * ${pace:-1}));;
*) fail "job \`$job': not known";;
esac
