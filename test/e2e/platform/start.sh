# SPDX-License-Identifier: MIT
#
# A guest that tells what its platform is; sourced by the case files that start
# it.
# shellcheck shell=bash

guest_kernel=$(test/guest/kernel guest) || exit 1
guest_initrd=build/guest/platform.cpio
mkdir -p build/guest
musl-gcc -static -O2 -D_GNU_SOURCE -o build/guest/platform_io test/guest/platform_io.c ||
	exit 1
test/guest/mkguest -o "$guest_initrd" \
	--add "$PWD/build/guest/platform_io:/bin/platform_io" \
	test/guest/platform.sh || exit 1
cpus_seconds=60 # that a start of cpus() may take

# platform_start APPEND ARGS...
platform_start() {
	local append=$1

	shift
	com1=$PWD/$case_dir/com1
	vmm_limit=$((cpus_seconds + 30)) vmm_start --igvm "$igvm" -c loglevel=7 \
		--vtl0-kernel "$guest_kernel/vmlinuz" \
		--vtl0-initrd "$guest_initrd" \
		--vtl0-append "console=ttyS0 quiet loglevel=4 $append" \
		--vmbus-com1-serial "file=$com1" "$@"
}

# cpus N IDS APPEND ARGS...: all come up, with these APIC ids, and run.
cpus() {
	local n=$1 ids=$2 append=$3 i

	shift 3
	platform_start "quick $append" -m 512MB -p "$n" "$@"
	vmm_end 0 "$cpus_seconds"
	grep -aq "^platform: cpus $n\b" "$com1" || fail "not $n CPUs"
	grep -aq "^platform: apicids $ids " "$com1" || fail "not APIC ids $ids"
	for ((i = 0; i < n; i++)); do
		grep -aq "^platform: ran on $i\b" "$com1" ||
			fail "CPU $i does not run"
	done
}
