# SPDX-License-Identifier: MIT
# VTL2 boots twenty times in a row.
. test/e2e/lib.sh

boots=20

boots_with() {
	local n

	for ((n = 1; n <= boots; n++)); do
		vmm_start --igvm "$igvm" -p "$1"
		expect "paravisor: up on $1 VPs" 60
		vmm_stop
		mv "$com3" "$case_dir/com3.$n"
		mv "$vmm_log" "$case_dir/vmm.log.$n"
	done
}
case_two_vps() { boots_with 2; }
case_four_vps() { boots_with 4; }

run_cases "two_vps: $boots boots in a row with 2 VPs" \
	"four_vps: $boots boots in a row with 4 VPs"
