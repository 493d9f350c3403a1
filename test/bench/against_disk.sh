# SPDX-License-Identifier: MIT
#
# The disk bench's work in VTL0: random reads of the disk that `disk=PATH' on
# the command line names. Each job runs twice, the second time with five times
# the reads: what it takes more is what the additional reads take, without
# fio's beginning and end. A line of results for each:
#
#	bench: BLOCK DEPTH READS IOPS MICROSECONDS
set -u

fail() { echo "bench: failed: $*"; exit 1; }

disk=$(sed -n 's/.*\bdisk=\([^ ]*\).*/\1/p' /proc/cmdline)
wait_for "$disk" 20 || exit 1

# measure BLOCK DEPTH READS. Fields of fio's terse version 3: 5 error, 8 IOPS
# and 40 mean latency of reads.
measure() {
	mark start
	fio --name=random --filename="$disk" --rw=randread --bs="$1" \
		--iodepth="$2" --number_ios="$3" --ioengine=libaio --direct=1 \
		--thread --randseed=1 --randrepeat=1 --allrandrepeat=1 \
		--norandommap \
		--output-format=terse --terse-version=3 >/tmp/fio 2>&1
	mark stop
	[ "$(cut -d ';' -f 5 /tmp/fio)" = 0 ] || {
		cat /tmp/fio
		fail "fio: $*"
	}
	echo "bench: $1 $2 $3 $(cut -d ';' -f 8,40 /tmp/fio | tr ';' ' ')"
}

for reads in 200 1000; do
	measure 4k 32 $reads
done
for reads in 20 100; do
	measure 4k 1 $reads
	measure 64k 32 $((reads * 2))
done
