# SPDX-License-Identifier: MIT
#
# A guest without VTL2, on the host's own devices: what it finds.
set -u

fail() { echo "direct: $*"; exit 1; }

disk=/dev/nvme0n1
echo
echo "command line: $(cat /proc/cmdline)"
wait_for $disk 20 || fail "no $disk"

# How often the interrupt whose line ends in $1 came.
interrupts() {
	awk -v name="$1" '$NF == name {
		for (i = 2; $i ~ /^[0-9]+$/; i++) n += $i
	} END { print n + 0 }' /proc/interrupts
}

platform() {
	dmesg | grep -q 'Hypervisor detected: Microsoft Hyper-V' ||
		fail "Hyper-V was not detected"
	dmesg | grep -o 'Hyper-V: privilege flags.*'
	dmesg | grep -o 'hv_vmbus: Vmbus version.*'
	[ "$(cat /sys/devices/system/cpu/online)" = 0-1 ] ||
		fail "online: $(cat /sys/devices/system/cpu/online)"
	echo "direct: $(nproc) VPs online"
	for seen in /dev/sd*; do
		[ ! -e "$seen" ] || fail "there is a $seen"
	done
	for clock in acpi_pm hyperv_clocksource_tsc_page; do
		grep -qw $clock \
			/sys/devices/system/clocksource/clocksource0/available_clocksource ||
			fail "no clock source $clock"
	done
	echo "direct: time $(cat /sys/class/rtc/rtc0/since_epoch)"
}

# Both ways; a driver that polls would do as well, but without interrupts.
serial() {
	before=$(interrupts ttyS0)
	echo "direct: a word, please, after a line that no 16550 takes at once"
	read -r word || fail "end of input on COM1"
	echo "direct: heard $word"
	after=$(interrupts ttyS0)
	[ "$after" -gt $((before + 1)) ] ||
		fail "ttyS0 had $before interrupts, then $after"
	echo "direct: interrupts of ttyS0 $((after - before))"
}

# 8 MiB there and back, past the page cache.
data() {
	head -c 8388608 /dev/urandom >/tmp/data
	sum=$(sha256sum </tmp/data | cut -d ' ' -f 1)
	dd if=/tmp/data of=$disk bs=64k oflag=direct 2>/dev/null ||
		fail "write"
	read=$(dd if=$disk bs=64k count=128 iflag=direct 2>/dev/null |
		sha256sum | cut -d ' ' -f 1)
	[ "$read" = "$sum" ] || fail "wrote $sum, read $read"
	echo "direct: disk sha256 $sum"
	# q0 is the admin queue; the others are a VP's each.
	echo "direct: interrupts of NVMe $(interrupts nvme0q0)" \
		"$(interrupts nvme0q1) $(interrupts nvme0q2)"
}

platform
serial
data
