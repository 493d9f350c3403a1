# SPDX-License-Identifier: MIT
# The rows that need no VMBus device, on vmm alone: what fails here is the
# host's fault, not the paravisor's.
. test/e2e/lib.sh
. test/e2e/tiny/guest.sh

tap=build/log/$area/guest_direct/com1

case_guest_direct() {
	com3='' vmm_log=$case_dir/vmm.log
	set -- -m 512MB -p 2 --vtl0-kernel build/guest/tiny \
		--vtl0-append 'cases=HV-*,O-*,X-*,-X-09,U-07' \
		--com1 "file=$tap"
	printf '%q ' vmm "$@" >>"$case_dir/commands"
	LAB_ATTEMPTS=1 $lab --timeout $((40 * PACE)) -- "$@" </dev/null \
		>"$case_dir/stdout" 2>"$vmm_log" &
	vmm_pid=$!
	vmm_end 0 40
	tap_complete
}

run_cases 'guest_direct: the tiny guest runs on vmm alone'
run_rows direct_
