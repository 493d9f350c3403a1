# SPDX-License-Identifier: MIT
# Two controllers at once, ten starts: VTL2 finds them at the same time, and one
# start in fifteen hung when the console could take an interrupt of theirs.
. test/e2e/lib.sh
. test/e2e/disk/start.sh

case_both() {
	local n first=build/guest/both-0.img second=build/guest/both-1.img

	rm -f "$first" "$second"
	truncate -s 128M "$first"
	head -c $((8 << 20)) /dev/urandom >"$second"
	disk_start write "$case_dir/stats" --disk "file:$PWD/$first,uh-nvme"
	vmm_end 0 150
	for n in $(seq 10); do
		disk_start both "$case_dir/stats" \
			--disk "file:$PWD/$first,uh-nvme" \
			--disk "file:$PWD/$second,uh-nvme,ro"
		vmm_end 0 120
		says "$com1" '^guest-exit: 0'
	done
}

run_cases 'both: two disks, ten starts'
