# SPDX-License-Identifier: MIT
#
# A guest whose root is on a disk and whose address comes over a NIC: all of its
# hardware is VTL2's. On the command line, beside what net_lib.sh says:
# root=DEVICE. /data.tar holds files and their SHA-256.
set -u
prefix=whole
. /lib/net.sh

root=$(value root)
tell "root $(awk '$2 == "/" { print $1, $3 }' /proc/mounts | tail -n 1)"
grep -q "^$root / ext4 " /proc/mounts || fail "root is not $root"
tell "PCI: $(ls /sys/bus/pci/devices 2>/dev/null | wc -l)"
! lsmod | grep -q '^mana ' || fail "mana is loaded"
! lsmod | awk '$1 == "nvme" && $3 > 0 { found = 1 } END { exit !found }' ||
	fail "nvme is in use"

wait_for /sys/class/net/eth0 $((20 * pace)) || fail "no eth0"
[ "$(ethtool -i eth0 | sed -n 's/^driver: //p')" = hv_netvsc ] ||
	fail "eth0: $(ethtool -i eth0)"
up
dhcp
reaches
said=$(fetch "$bytes" | sha256sum | cut -d ' ' -f 1)
[ "$said" = "$sum" ] || fail "fetched: sum $said"
tell "fetched $bytes bytes"

mkdir /data
tar -C /data -xf /data.tar || fail "untar: status $?"
sync
echo 3 >/proc/sys/vm/drop_caches
(cd /data && sha256sum -c sums >/tmp/sums 2>&1) || {
	tail -n 5 /tmp/sums
	fail "what was untarred"
}
tell "untarred $(du -sm /data | cut -f 1) MiB, $(wc -l </tmp/sums) files"
mount -o remount,ro / 2>/dev/null
tell done
exit 0
