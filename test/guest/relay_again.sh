# SPDX-License-Identifier: MIT
#
# A guest that starts again and again while its SCSI disk and its NIC, both the
# host's own, are at work. The disk's first block counts the starts. At each it
# waits for a line on COM1; on the command line `ends=KIND,KIND...', how each of
# them ends: reboot or kexec. After them it powers off.
set -u
prefix=again
. /lib/net.sh

wait_for /dev/sda $((20 * pace)) || fail "no sda"
wait_for /sys/class/net/eth0 $((20 * pace)) || fail "no eth0"
start=$(($(dd if=/dev/sda bs=512 count=1 iflag=direct 2>/dev/null |
	tr -cd 0-9) + 1))
printf '%-512s' "$start" | dd of=/dev/sda bs=512 oflag=direct 2>/dev/null ||
	fail "sda: $?"
up
ifconfig eth0 10.0.2.15 netmask 255.255.255.0
reaches
# All channels are open then.
sleep $((2 * pace))
tell "start $start, $(nproc) VPs, $(ls /sys/bus/vmbus/devices | wc -l) devices"
read -r _

kind=$(value ends | cut -d , -f "$start")
[ -n "$kind" ] || exit 0
# Something is under way of each kind at any moment.
head -c 65536 /dev/urandom >/tmp/block
(while :; do
	dd if=/dev/sda of=/dev/null bs=64k iflag=direct 2>/dev/null
done) &
(while :; do
	dd if=/tmp/block of=/dev/sda bs=64k seek=64 oflag=direct 2>/dev/null
done) &
# shellcheck disable=SC2154 # net.sh sets it
ping -q -i 0.02 "$host" >/dev/null &
sleep 1
tell "ends by $kind"
case $kind in
reboot) reboot -f;;
kexec) kexec /boot/vmlinuz /boot/initrd;;
esac
sleep $((20 * pace))
fail "$kind did not end the guest"
