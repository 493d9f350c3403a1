# SPDX-License-Identifier: MIT
# All rows, under the paravisor.
. test/e2e/lib.sh
. test/e2e/tiny/guest.sh

case_guest() {
	tiny_settings "$case_dir/settings.json"
	vmm_start --igvm "$igvm" -m 512MB -p 2 -c loglevel=7 \
		--vtl0-kernel build/guest/tiny \
		--vtl0-append 'cases=-I-*,-X-09 offers=4' \
		--disk mem:64MB,uh-nvme --settings "$case_dir/settings.json" \
		--vmbus-com1-serial "file=$tap"
	vmm_end 0 60
	tap_complete
}

case_up() {
	local up

	up=$(sed -n 's/^# up in \([0-9]*\) ms.*/\1/p' "$tap")
	[ -n "$up" ] || fail "the guest does not say how soon it was up"
	[ "$up" -lt 1000 ] || fail "up in $up ms"
}

run_cases 'guest: the tiny guest starts, runs its cases and powers off' \
	'up: from its entry to the first line in less than a second'
run_rows
