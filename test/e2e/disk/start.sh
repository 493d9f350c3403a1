# SPDX-License-Identifier: MIT
#
# A guest with fio and a disk; sourced by the case files of this area.
# shellcheck shell=bash

guest_kernel=$(test/guest/kernel guest) || exit 1
guest_initrd=build/guest/disk_fio.cpio
mkdir -p build/guest
test/guest/mkguest -o "$guest_initrd" --add "$(command -v fio):/usr/bin/fio" \
	test/guest/disk_fio.sh || exit 1

# disk_start JOB STATS ARGS...
disk_start() {
	local job=$1 stats=$2

	shift 2
	# shellcheck disable=SC2034 # the cases read it
	com1=$case_dir/com1
	vmm_limit=180 vmm_start --igvm "$igvm" -m 1GB -p 2 \
		--vtl0-kernel "$guest_kernel/vmlinuz" \
		--vtl0-initrd "$guest_initrd" \
		--vtl0-append "console=ttyS0 quiet loglevel=4 job=$job pace=$PACE" \
		--vmbus-com1-serial "file=$com1" --stats "$stats" "$@"
}
