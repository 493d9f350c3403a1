# SPDX-License-Identifier: MIT
# All rows, under the paravisor.
. test/e2e/lib.sh
. test/e2e/tiny/guest.sh

case_guest() {
	tiny_settings "$case_dir/settings.json"
	vmm_start --igvm "$igvm" -m 512MB -p 2 -c loglevel=7 \
		--vtl0-kernel build/guest/tiny \
		--vtl0-append 'cases=-I-*,-X-09 offers=3' \
		--disk mem:64MB,uh-nvme --settings "$case_dir/settings.json" \
		--vmbus-com1-serial "file=$tap"
	vmm_end 0 60
	tap_complete
}

run_cases 'guest: the tiny guest starts, runs its cases and powers off'
run_rows
