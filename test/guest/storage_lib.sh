# SPDX-License-Identifier: MIT
#
# What the storage tests' scripts in VTL0 share; sourced.

fail() { echo "storage: $*"; exit 1; }

# Every line of the guest that the host waits for.
tell() { echo "storage: $*"; }

# The serial number that a unit tells, without spaces.
serial_of() {
	tail -c +5 "/sys/block/$1/device/vpd_pg80" 2>/dev/null | tr -d ' \0'
}

# find_disk SERIAL: its name, sdX or srX.
find_disk() {
	for block in /sys/block/s[dr]*; do
		[ -e "$block" ] || continue
		[ "$(serial_of "${block##*/}")" != "$1" ] || {
			echo "${block##*/}"
			return 0
		}
	done
	return 1
}

# within SECONDS COMMAND...: until it succeeds. A slow lab gets four times as
# long, and what one look costs it is part of that.
within() {
	local end=$(($(date +%s) + $1 * 4))

	shift
	until "$@"; do
		[ "$(date +%s)" -lt $end ] || return 1
		sleep 0.2
	done
}

# wait_disk SERIAL SECONDS: prints its name.
wait_disk() {
	within "$2" find_disk "$1" || {
		whereabouts >&2
		fail "no disk of serial $1 within $2 s" >&2
	}
}

is_gone() { ! find_disk "$1" >/dev/null; }

# wait_gone SERIAL SECONDS
wait_gone() {
	within "$2" is_gone "$1" || {
		whereabouts
		fail "the disk of serial $1 is still there after $2 s"
	}
}

# What there is, and who waits for what.
whereabouts() {
	for block in /sys/block/s[dr]*; do
		echo "${block##*/}: $(serial_of "${block##*/}")," \
			"$(cat "$block/device/state")"
	done
	dmesg | tail -n 30
	for stack in /proc/[0-9]*/stack; do
		! grep -Eq 'scsi|storvsc|vmbus' "$stack" || {
			echo "$(cat "${stack%stack}comm" "${stack%stack}wchan")"
			cat "$stack"
		}
	done 2>/dev/null
}

# is WHAT VALUE EXPECTED
is() { [ "$2" = "$3" ] || fail "$1 is \`$2', not \`$3'"; }

# queue DISK ATTRIBUTE EXPECTED
queue() { is "$1: $2" "$(cat "/sys/block/$1/queue/$2")" "$3"; }

# run COMMAND...: must succeed; what it says is shown if it does not.
run() {
	"$@" >/tmp/run 2>&1 && return
	echo "status $?"
	cat /tmp/run
	fail "$*: see above"
}

# refused REGEX COMMAND...: must fail, and say so.
refused() {
	local regex=$1

	shift
	! "$@" >/tmp/run 2>&1 || fail "$*: not refused"
	grep -Eqi "$regex" /tmp/run || {
		cat /tmp/run
		fail "$*: not refused by \`$regex'"
	}
}

run_fio() {
	fio --ioengine=libaio --direct=1 --thread --randseed=1 --randrepeat=1 \
		--allrandrepeat=1 "$@" >/tmp/fio 2>&1 ||
		{ tail -n 20 /tmp/fio; fail "fio: $*"; }
}

# verified DISK SIZE: written at depth 32, read back, compared.
verified() {
	run_fio --name=verify --filename="/dev/$1" --rw=randwrite \
		--bssplit=4k/50:64k/50 --iodepth=32 --size="$2" \
		--verify=crc32c --verify_fatal=1 --do_verify=1 \
		--verify_state_save=0
	run blockdev --flushbufs "/dev/$1"
}

sha_of() {
	echo 3 >/proc/sys/vm/drop_caches
	sha256sum <"/dev/$1" | cut -d ' ' -f 1
}
