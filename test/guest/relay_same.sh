# SPDX-License-Identifier: MIT
#
# A SCSI disk and a NIC of the host's own, by whatever way the guest has them:
# what they are, and then work of which the host can count what each piece costs.
# Before each count a line, and time for the host to take its counters. On the
# command line what net_lib.sh says, and `reads=N'.
set -u
prefix=same
. /lib/net.sh

wait_for /dev/sda $((20 * pace)) || fail "no sda"
wait_for /sys/class/net/eth0 $((20 * pace)) || fail "no eth0"
# In the order of their numbers, which is that of the offers.
for device in /sys/bus/vmbus/devices/*; do
	echo "$(cat "$device/id") $(cat "$device/class_id")" \
		"$(cat "$device/device_id")"
done | sort -n | while read -r line; do tell "device $line"; done
for disk in /sys/block/sd*; do
	tell "disk ${disk##*/} $(cat "$disk/size")" \
		"$(cat "$disk/device/model") $(readlink -f "$disk/device" |
		sed 's|.*/vmbus:||; s|.*/\([0-9a-f-]*\)/host.*/|\1 |')"
done
for nic in /sys/class/net/eth*; do
	tell "nic ${nic##*/} $(cat "$nic/address") $(cat "$nic/mtu")" \
		"$(basename "$(readlink -f "$nic/device")")" \
		"queues $(ls -d "$nic"/queues/rx-* | wc -l)"
done

up
dhcp
reaches
sleep $((3 * pace))
tell "before the reads"
sleep $((3 * pace))
# One at a time: each is one command, and one signal.
dd if=/dev/sda of=/dev/null bs=4k count="$(value reads)" iflag=direct \
	2>/dev/null || fail "dd: $?"
tell "after the reads"
sleep $((3 * pace))
transfer
tell "after the transfer"
sleep $((3 * pace))
tell "done"
