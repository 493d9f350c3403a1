# SPDX-License-Identifier: MIT
# The rows that need no disk, on vmm alone, whose two NICs are wired together:
# what fails here is the host's fault, not the paravisor's.
. test/e2e/lib.sh
. test/e2e/tiny/guest.sh

cases='cases=HV-*,O-*,X-*,-X-09,U-06,U-07,U-08,U-11,N-*,-N-09 queues=2 mtu=1500'
tap=build/log/$area/guest_direct/com1

case_guest_direct() {
	com3='' vmm_log=$case_dir/vmm.log
	set -- -m 512MB -p 2 --vtl0-kernel build/guest/tiny \
		--vtl0-append "$cases" --net pair,synthetic \
		--net pair,synthetic --com1 "file=$tap"
	printf '%q ' vmm "$@" >>"$case_dir/commands"
	LAB_ATTEMPTS=1 $lab --timeout $((40 * PACE)) -- "$@" </dev/null \
		>"$case_dir/stdout" 2>"$vmm_log" &
	vmm_pid=$!
	vmm_end 0 40
	tap_complete
}

run_cases 'guest_direct: the tiny guest runs on vmm alone'
run_rows direct_
