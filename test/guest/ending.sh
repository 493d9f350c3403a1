# SPDX-License-Identifier: MIT
#
# The ways a guest can end, under the paravisor or on the host's own NVMe;
# `ending=NAME' on the command line chooses:
#
# poweroff   by /init
# reboot     once: a mark on the disk tells the second start, which powers off
# crash      as SysRq does it
# triple     a triple fault: the kernel's own way to reboot with reboot=t
set -u

mark=marked-by-the-first-start
ending=$(sed -n 's/.*\bending=\([^ ]*\).*/\1/p' /proc/cmdline)
echo
echo "command line: $(cat /proc/cmdline)"
disk=$(sed -n 's/.*\bdisk=\([^ ]*\).*/\1/p' /proc/cmdline)
: "${disk:=/dev/sda}"
wait_for "$disk" 20 || exit 1
echo "start $(cat /proc/sys/kernel/random/boot_id)"

case $ending in
poweroff) exit 0;;
reboot)
	if [ "$(head -c ${#mark} "$disk")" = $mark ]; then
		echo "second start, $(nproc) VPs"
		exit 0
	fi
	printf %s $mark | dd of="$disk" conv=sync,fsync 2>/dev/null || exit 1
	echo "first start, $(nproc) VPs"
	reboot -f;;
crash)
	echo 1 >/proc/sys/kernel/sysrq
	echo c >/proc/sysrq-trigger;;
triple) reboot -f;;
esac
sleep 20
echo "ending: \`$ending' did not end the guest"
exit 1
