# SPDX-License-Identifier: MIT
# The daemon's NVMe is libnvme's, not our own copy of it.
. test/e2e/lib.sh

map=build/$FLAVOUR/paravisor.debug.map
program=build/$FLAVOUR/paravisor.debug

# Placed code: an object that --gc-sections dropped has address or size 0.
case_linked() {
	local symbol

	awk '/^ \.text/ && NF == 1 { getline; $0 = ".text " $0 }
		$1 == ".text" && /libnvme\.a\(nvme_ioctl/ &&
			$2 !~ /^0x0+$/ && $3 != "0x0" { found = 1 }
		END { exit !found }' "$map" ||
		fail "no code of libnvme's nvme_ioctl is in the program"
	for symbol in nvme_identify_ctrl nvme_identify_ns; do
		grep -rq "\<$symbol(" nvme/*.c ||
			fail "nvme/ does not call $symbol"
	done
	for symbol in nvme_admin_passthru nvme_status_to_string; do
		nm "$program" | grep -q " T $symbol\$" ||
			fail "$symbol is not in the program"
	done
}

case_no_copy() {
	# Identify's structures by their oldest field names.
	! grep -nE '\b(cntlid|sqes|nsze|mdts|lbaf)\b.*;' nvme/*.h ||
		fail "nvme/ has an identify structure of its own"
}

run_cases "linked: libnvme's identify and status text are linked in" \
	'no_copy: the daemon has no identify structure of its own'
