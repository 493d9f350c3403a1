#!/bin/sh
# SPDX-License-Identifier: MIT
#
# A guest that does what COM1 tells it: a line `LABEL COMMAND' is run, and what it
# says and `faults: LABEL ended STATUS' go back; `end' ends the guest. So the host
# can say when what goes wrong.
#
# alive DEVICE: in the background, a small verified run on that disk after the
# other; alive_says: how many there were, the longest time between two ends and the
# usual one (the median), in hundredths of a second, and how many failed.
set -u

alive() {
	: >/tmp/alive
	(
		n=0
		while [ -e /tmp/alive ]; do
			n=$((n + 1))
			state=good
			stamped -n 4 -o 4 -s $n "$1" >/tmp/alive.said 2>&1 ||
				state=bad
			read -r up _ </proc/uptime
			echo "$up $state" >>/tmp/alive
			usleep 200000
		done
	) &
}

alive_says() {
	awk '{ t = $1 * 100
		bad += $2 == "bad"
		if (NR > 1) {
			gap = t - last
			if (gap >= longest) { longest = gap; at = $1 }
			for (i = NR - 2; i > 0 && gaps[i] > gap; i--)
				gaps[i + 1] = gaps[i]
			gaps[i + 1] = gap
		}
		last = t }
		END { printf "faults: alive runs %d gap %d bad %d until %s " \
			"usual %d\n", NR, longest, bad, at,
			(NR > 3 ? gaps[int(NR / 2)] : 0) }' /tmp/alive
	: >/tmp/alive
}

# reads DEVICE DEPTH SECONDS: 4 KiB each, from anywhere; how many there were, and
# the longest, in milliseconds.
reads() {
	fio --name=reads --filename="$1" --rw=randread --bs=4k --direct=1 \
		--ioengine=libaio --iodepth="$2" --time_based --runtime="$3" \
		--output-format=json | tr -d ' ,' | awk -F : '
		$1 == "\"clat_ns\"" { inside = 1 }
		inside && $1 == "\"max\"" && max == "" { max = $2 }
		$1 == "\"total_ios\"" && ios == "" { ios = $2 }
		END { printf "reads %d %d\n", ios, max / 1000000 }'
}

# until SECONDS COMMAND...: true within them.
until_true() {
	n=$(($1 * 10))
	shift
	until "$@"; do
		[ $n -gt 0 ] || return 1
		n=$((n - 1))
		usleep 100000
	done
}

# The disk of a LUN, by its serial number; of the model, sda is not always the
# first.
disk_of() {
	for d in /sys/block/sd*; do
		[ -e "$d" ] || continue
		case $(readlink -f "$d/device") in
		*:"$1") echo "/dev/${d##*/}"; return 0;;
		esac
	done
	return 1
}
there() { [ -n "$(disk_of "$1")" ]; }
gone() { ! there "$1"; }

if grep -qw idle /proc/cmdline; then
	until_true 60 there 0 || exit 1
	echo "faults: idle"
	sleep 100000
fi
stty -echo 2>/dev/null
until_true 60 there 0 || exit 1
echo "faults: ready"
while read -r label command; do
	[ "$label" != end ] || break
	[ -n "$command" ] || continue
	eval "$command"
	echo "faults: $label ended $?"
done
