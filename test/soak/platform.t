# SPDX-License-Identifier: MIT
# An unmodified guest with more VPs and interrupts than the nested lab has the
# patience for.
. test/e2e/lib.sh
. test/e2e/platform/start.sh

cpus_seconds=600
disk=build/guest/platform.img
head -c $((8 << 20)) /dev/urandom >"$disk"
disk_sum=$(sha256sum <"$disk" | cut -d ' ' -f 1)

# eight IDS ARGS...: all run, and the disk is what it is outside.
eight() {
	local ids=$1

	shift
	cpus 8 "$ids" disk --disk "file:$PWD/$disk,uh-nvme,ro" "$@"
	says "$com1" "^platform: disk $disk_sum" 1
}
case_eight_vps() { eight '0 1 2 3 4 5 6 7'; }
case_apic_ids() { eight '0 2 4 6 8 10 12 14' --apic-ids even; }

# An event of VP 0's is one SCI, which VP 0 takes.
case_scis() {
	platform_start 'scis=600' -m 512MB -p 2
	vmm_end 0 200
	says "$com1" '^platform: sci-before 0'
	says "$com1" '^platform: sci 600'
	says "$com1" '^platform: sci-ff_gbl_lock 600'
	says "$com1" '^platform: sci-sci_not 0'
}

run_cases 'eight_vps: 8 VPs run, and read a disk' \
	'apic_ids: 8 VPs whose APIC ids are not their numbers, too' \
	'scis: 600 events, 600 SCIs'
