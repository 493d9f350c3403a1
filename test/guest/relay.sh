# SPDX-License-Identifier: MIT
#
# The relay tests' work in VTL0: the only disk is one of the host's. What is
# read and written there is told as SHA-256, a line before and after each with
# time for the host to take its counters (`pace=N' times as much).
set -u

tell() { echo "relay: $*"; }
fail() { tell "$*"; exit 1; }
sum() { sha256sum | cut -d ' ' -f 1; }

pace=$(sed -n 's/.*\bpace=\([^ ]*\).*/\1/p' /proc/cmdline)
pause=$((3 * ${pace:-1}))
wait_for /dev/sda $((20 * ${pace:-1})) || exit 1
for device in /sys/bus/vmbus/devices/*; do
	tell "device $(cat "$device/class_id") $(cat "$device/device_id")" \
		"$(cat "$device/id")"
done
tell "before the read"
sleep $pause
tell "read $(sum </dev/sda)"
tell "after the read"
sleep $pause
head -c 4194304 /dev/urandom >/tmp/written
dd if=/tmp/written of=/dev/sda bs=64k conv=fsync 2>/dev/null ||
	fail "dd failed"
sync
tell "written $(sum </tmp/written)"
# Another kernel, or a driver anew, finds the same.
echo 3 >/proc/sys/vm/drop_caches
tell "again $(head -c 4194304 /dev/sda | sum)"
tell "done"
