# SPDX-License-Identifier: MIT
# A guest that talks without a rest is paused a hundred times, wherever it just
# is, and goes on each time.
. test/e2e/lib.sh

guest_kernel=$(test/guest/kernel guest) || exit 1
guest_initrd=build/guest/serial.cpio
mkdir -p build/guest
test/guest/mkguest -o "$guest_initrd" test/guest/serial.sh || exit 1
rounds=100

size() { stat -c %s "$com1"; }

case_pauses() {
	local n before i

	com1=$case_dir/com1 control=$PWD/$case_dir/control
	vsock=$PWD/$case_dir/vsock
	vmm_limit=1200 vmm_start --igvm "$igvm" -m 512MB -p 2 -c loglevel=7 \
		--vtl0-kernel "$guest_kernel/vmlinuz" \
		--vtl0-initrd "$guest_initrd" \
		--vtl0-append "console=ttyS0 quiet loglevel=4 job=talks" \
		--vmbus-com1-serial "file=$com1" --disk mem:64M,uh-nvme \
		--control "$control" --vtl2-vsock-path "$vsock"
	expect '^serial: tick' 90 "$com1"
	for ((n = 1; n <= rounds; n++)); do
		sleep "0.$((RANDOM % 10))"
		control pause
		before=$(size)
		sleep 0.5
		[ "$(size)" = "$before" ] || fail "round $n: a paused guest talks"
		control resume
		for ((i = 0; i < 200 * PACE && $(size) <= before; i++)); do
			sleep 0.1
		done
		[ "$(size)" -gt "$before" ] || {
			stats_to "$case_dir/silent"
			fail "round $n: nothing more, see silent"
		}
	done
	control quit
	vmm_end 0 20
}

run_cases "pauses: a guest that talks goes on after each of $rounds pauses"
