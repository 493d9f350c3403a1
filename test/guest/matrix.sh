# SPDX-License-Identifier: MIT
#
# VMBus drivers that come and go in VTL0. `job=NAME' on the command line:
#
# versions  hv_vmbus is loaded again with each max_version it knows; each time
#           the disk is read and one block of it written
# reload    hv_storvsc is loaded again ten times
# once      the disk is read as it came
#
# At a line `matrix: WHAT?' the script waits for a word on COM1.
#
# Without hv_vmbus a processor needs another timer: the driver's exit stops the
# synthetic ones even where Linux takes its ticks from them, so the local APIC's
# are chosen before. They can be if the kernel does not take one of them for its
# broadcast device: clearcpuid=arat on the command line.
set -u

fail() { echo "matrix: $*"; exit 1; }

job=$(sed -n 's/.*\bjob=\([^ ]*\).*/\1/p' /proc/cmdline)
modules=/lib/modules/$(uname -r)/kernel/drivers
disk=/dev/sda

ask() {
	echo "matrix: $*?"
	read -r word || fail "end of input on COM1"
}

# What unplugging leaves is not read: the disk's driver starts anew.
bind() {
	insmod $modules/scsi/hv_storvsc.ko || fail "hv_storvsc: not loaded"
	wait_for $disk 10 || fail "no $disk"
}

unbind() {
	rmmod hv_storvsc || fail "hv_storvsc: not unloaded"
	[ ! -e $disk ] || fail "$disk is still there"
}

sum() {
	dd if=$disk bs=64k count=16 iflag=direct 2>/dev/null |
		sha256sum | cut -d ' ' -f 1
}

# The first is the last one registered, which is the last processor's.
other_timers() {
	local cpu n=$(nproc)

	while [ $((n -= 1)) -ge 0 ]; do
		cpu=/sys/devices/system/clockevents/clockevent$n
		echo 'Hyper-V clockevent' >"$cpu/unbind_device" ||
			fail "VP $n keeps its synthetic timer"
		case $(cat "$cpu/current_device") in
		lapic*) ;;
		*) fail "VP $n: timer $(cat "$cpu/current_device")";;
		esac
	done
}

versions() {
	local minor major n=0

	other_timers
	rmmod hv_netvsc pci_hyperv || fail "hv_netvsc, pci_hyperv: in use"
	for version in 2.4 3.0 4.0 4.1 5.0 5.1 5.2 5.3; do
		unbind
		rmmod hv_vmbus || fail "hv_vmbus: not unloaded"
		major=${version%.*} minor=${version#*.}
		dmesg -c >/dev/null
		insmod $modules/hv/hv_vmbus.ko \
			max_version=$((major << 16 | minor)) ||
			fail "hv_vmbus: not loaded for $version"
		bind
		agreed=$(dmesg | sed -n 's/.*Vmbus version:\([0-9.]*\).*/\1/p')
		echo "matrix: asked $version agreed $agreed sha256 $(sum)"
		printf 'version %s' "$version" | dd of=$disk bs=512 \
			seek=$((4096 + n)) conv=sync oflag=direct 2>/dev/null ||
			fail "write"
		n=$((n + 1))
		ask "bound $version"
	done
}

reload() {
	local n=0

	# Once before: what is made at the first time and kept is no leak.
	unbind
	bind
	echo "matrix: sha256 $(sum)"
	ask before
	while [ $((n += 1)) -le 10 ]; do
		unbind
		bind
		echo "matrix: reload $n sha256 $(sum)"
	done
	ask after
}

wait_for $disk 20 || fail "no $disk"
case $job in
versions) versions;;
reload) reload;;
once) dmesg | sed -n 's/.*\(Vmbus version:[0-9.]*\).*/matrix: \1/p'
	echo "matrix: sha256 $(sum)"
	ask bound;;
*) fail "job \`$job': not known";;
esac
