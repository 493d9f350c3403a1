# SPDX-License-Identifier: MIT
#
# A machine that loses its power while a guest writes; sourced after start.sh.
# shellcheck shell=bash

# One start: the guest verifies what the start before made durable, and writes
# until the next cut, by turns with flushes and with FUA. The disk's cache is
# vmm's memory: what is in it is lost.
power_cuts() {
	local n how durable=0 before='' lost=0 disk=$PWD/$case_dir/disk.img

	allow "$recovery"
	truncate -s 32M "$disk"
	for n in $(seq $(($1 + 1))); do
		how=$([ $((n % 2)) = 0 ] && echo -f || true)
		boot=.$n faults_start --disk "file:$disk,uh-nvme,volatile"
		if [ "$n" -gt 1 ]; then
			guest verify 200 "stamped $before -v $durable \
\$(disk_of 0)"
			says_nothing_lost verify "cut $((n - 1))"
			echo "cut $((n - 1)): durable $durable; $(findings verify)" \
				>>"$case_dir/figures"
		fi
		[ "$n" -le "$1" ] || break
		before="-n 500 -o 3000 -s $n -d 600"
		told write "stamped $how $before \$(disk_of 0)"
		expect '^stamped: durable 128' 120 "$com1"
		fault 0 power-cut ",\"opcode\":1,\"skip\":$((RANDOM % 40)),\
\"delay_ms\":600000"
		until_cut
		lost=$((lost + $(model 0 blocks_lost)))
		quit
		durable=$(tr -d '\r' <"$com1" |
			sed -n 's/^stamped: durable \([0-9]*\)$/\1/p' | tail -n 1)
		[ "$durable" -gt 0 ] || fail "nothing was durable"
	done
	echo "$lost blocks of 512 bytes lost what was not durable" \
		>>"$case_dir/figures"
	[ "$lost" -gt 0 ] || fail "no cut found anything in the cache"
	faults_end
}

until_cut() {
	local i

	for ((i = 0; i < 30 * PACE; i++)); do
		[ "$(model 0 faults)" = 0 ] || return 0
		sleep 1
	done
	fail "no write came"
}

# The machine's end, without a word to the guest.
quit() {
	ask quit >/dev/null || true
	vmm_reap
}
