# SPDX-License-Identifier: MIT
#
# nvme-cli against the one controller of a guest without VTL2: what it prints is
# for the host to judge; what it does to the disk is judged here. It reads
# registers by mmap, which needs iomem=relaxed beside the driver.
set -u

fail() { echo "nvme: $*"; exit 1; }

ctrl=/dev/nvme0
disk=${ctrl}n1
block=512
wait_for $disk 20 || exit 1

# Runs a command that must succeed; prints it and what it says.
ask() {
	echo "nvme: $*"
	nvme "$@" 2>&1 || fail "status $?: nvme $*"
}

# The controller must refuse it, by a status and not by silence.
refused() {
	echo "nvme: refused $*"
	! nvme "$@" >/tmp/said 2>&1 || fail "done: nvme $*"
	grep -i 'status' /tmp/said || fail "no status: $(cat /tmp/said)"
}

# sum FIRST COUNT: SHA-256 of these blocks, both multiples of 8, from the disk.
sum() {
	dd if=$disk bs=$((8 * block)) skip=$(($1 / 8)) count=$(($2 / 8)) \
		iflag=direct 2>/dev/null | sha256sum | cut -d ' ' -f 1
}

zeros() {
	head -c $(($1 * block)) /dev/zero | sha256sum | cut -d ' ' -f 1
}

tell() {
	ask list
	ask id-ctrl $ctrl
	ask id-ns $disk
	ask list-ns $ctrl
	ask ns-descs $disk
	ask smart-log $ctrl
	ask error-log $ctrl
	ask fw-log $ctrl
	ask effects-log $ctrl
	ask supported-log-pages $ctrl
	for feature in 1 2 4 5 6 7 8 9 10 11; do
		ask get-feature $ctrl -f $feature
	done
	ask set-feature $ctrl -f 6 -v 0
	ask get-feature $ctrl -f 6
	ask set-feature $ctrl -f 6 -v 1
	ask show-regs $ctrl
}

# Blocks 0 to 255 hold random data; a part is taken away by each command.
change() {
	head -c $((256 * block)) /dev/urandom >/tmp/data
	dd if=/tmp/data of=$disk bs=64k oflag=direct 2>/dev/null ||
		fail "write"
	whole=$(sha256sum </tmp/data | cut -d ' ' -f 1)
	[ "$(sum 0 256)" = "$whole" ] || fail "read is not what was written"
	head -c $((8 * block)) /tmp/data >/tmp/first
	ask flush $disk -n 1
	ask verify $disk -s 0 -c 255
	ask compare $disk -s 0 -c 7 -z $((8 * block)) -d /tmp/first
	refused compare $disk -s 8 -c 7 -z $((8 * block)) -d /tmp/first
	ask read $disk -s 0 -c 7 -z $((8 * block)) -d /tmp/back
	cmp /tmp/first /tmp/back || fail "nvme read: other data"
	ask write $disk -s 304 -c 7 -z $((8 * block)) -d /tmp/first
	[ "$(sum 304 8)" = "$(sha256sum </tmp/first | cut -d ' ' -f 1)" ] ||
		fail "nvme write: other data"
	ask write-zeroes $disk -s 304 -c 7
	[ "$(sum 304 8)" = "$(zeros 8)" ] || fail "write-zeroes left data"
	ask write $disk -s 304 -c 7 -z $((8 * block)) -d /tmp/first
	ask dsm $disk -n 1 -d -s 304,308 -b 4,4
	[ "$(sum 304 8)" = "$(zeros 8)" ] || fail "dsm left data"
	[ "$(sum 0 256)" = "$whole" ] || fail "blocks beside were changed"
}

# What the controller does not have: nothing changes and it lives on.
refuse() {
	refused format $disk --force
	refused sanitize $ctrl -a 2
	refused fw-commit $ctrl -s 1 -a 1
	refused create-ns $ctrl -s 8 -c 8 -f 0
	refused get-feature $ctrl -f 3
	refused get-log $ctrl -i 0x7f -l 512
	refused io-passthru $disk -o 0x7f -n 1
	refused read $disk -s 0x7fffffff -c 0 -z $block -d /tmp/back
	[ "$(sum 0 256)" = "$whole" ] || fail "a refused command changed data"
	[ "$(cat /sys/class/nvme/nvme0/state)" = live ] ||
		fail "state $(cat /sys/class/nvme/nvme0/state)"
}

tell
change
refuse
echo 'nvme: a reset'
ask reset $ctrl
wait_for $disk 20 || exit 1
[ "$(sum 0 256)" = "$whole" ] || fail "a reset changed data"
ask smart-log $ctrl
