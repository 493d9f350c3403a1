# SPDX-License-Identifier: MIT
# The release image as a whole: a guest that has its root on an NVMe disk and its
# address over MANA, and knows of neither.
. test/e2e/lib.sh
. test/e2e/net/start.sh
for_flavour release

# make_data TAR: 20 MiB in files, and their sums.
make_data() {
	local dir=$case_dir/data

	mkdir -p "$dir"
	head -c 20M /dev/urandom | (cd "$dir" && split -b 512K - file &&
		sha256sum file* >sums)
	tar -C "$dir" -cf "$1" .
	rm -rf "$dir"
}

case_whole_guest() {
	local disk=$PWD/$case_dir/disk

	net_guest whole
	make_data "$case_dir/data.tar"
	test/guest/mkroot -o "$disk" -s 128 \
		--add "$case_dir/data.tar:/data.tar" "$guest_initrd"
	server_start $((2 << 20))
	net_start "root=/dev/sda1" --net uh:user \
		--disk "file:$disk,uh-nvme"
	vmm_end 0 240
	server_stop
	says "$com1" '^guest-exit: 0'
	says "$com1" '^whole: root /dev/sda1 ext4'
	says "$com1" '^whole: PCI: 0'
	says "$com1" '^whole: dhcp 10.0.2.15'
	says "$com1" "^whole: fetched $size bytes"
	says "$com1" '^whole: untarred 2[01] MiB, 40 files'
	counted '.data_outside == 0 and .bad_access == 0'
	# What the guest wrote is in the host's file.
	PATH=$PATH:/sbin:/usr/sbin e2fsck -fn "$disk?offset=1048576" \
		>"$case_dir/fsck" 2>&1 || fail "fsck: $(tail -n 3 "$case_dir/fsck")"
	rm -f "$disk" "$case_dir/data.tar"
}

run_cases 'whole_guest: root on NVMe, DHCP over MANA, 20 MiB untarred, no PCI device'
