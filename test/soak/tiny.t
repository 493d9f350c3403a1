# SPDX-License-Identifier: MIT
# Rows of the requirements with the counts that they ask for, under the
# paravisor. Each of the exits= is one of its kind and one of a port: together a
# million. Two rows get less here, because both VPs take turns on the one CPU of
# a nested lab: X-06 asks for 100000 interrupts, which need 20 minutes there,
# R-10 for 10000000 packets, which need four hours.
#
# COUNTS in the environment replaces them, to try this file out, or where there
# is more than one CPU.
. test/e2e/lib.sh
. test/e2e/tiny/guest.sh

counts=${COUNTS:-nmis=10000 interrupts=20000 exits=500000 idle-ms=60000
	gpadl-rounds=1000 packets=10000 polls=1000 clock-ms=10000 pings=200000}
counts=${counts//$'\n\t'/ }
seconds=3000 # 20 minutes on a machine that does nothing else

case_guest() {
	tiny_settings "$case_dir/settings.json"
	vmm_limit=$((seconds + 30)) vmm_start --igvm "$igvm" -m 512MB -p 2 \
		-c loglevel=7 --vtl0-kernel build/guest/tiny --vtl0-append \
		"cases=U-*,X-05,X-06,X-08,R-10 times=1 offers=4 $counts" \
		--disk mem:64MB,uh-nvme --settings "$case_dir/settings.json" \
		--vmbus-com1-serial "file=$tap"
	vmm_end 0 $seconds
	tap_complete
}

run_cases 'guest: the tiny guest runs its long cases and powers off'
run_rows
note "counts: $counts"
# How long each row took.
tr -d '\r' <"$tap" 2>/dev/null |
	sed -nE '/^# [0-9]+ ms/ { h; d; }
		/^(not )?ok / { s/^(not )?ok [0-9]+ - ([^ ]*).*/\2/; G
			s/\n# /: /; s/^/# /p; }' || true
