# SPDX-License-Identifier: MIT
# Looking while others work: under a disk's and a NIC's load, and while VTL0
# starts anew.
. test/e2e/lib.sh
. test/e2e/diag/start.sh

[ "$FLAVOUR" = debug ] ||
	note 'diag: release runs the same daemon; this is looked at with debug'
for_flavour debug
. test/e2e/disk/start.sh

ending_initrd=build/guest/ending.cpio
test/guest/mkguest -o "$ending_initrd" test/guest/ending.sh || exit 1

# How long an answer may take, milliseconds: that of the whole tree, with a
# program started and a connection made for it.
limit=$((2000 * PACE))

# Has it ended, or is it about to?
ends() {
	local i

	for ((i = 0; i < 50 * PACE; i++)); do
		vmm_running || return 0
		sleep 0.1
	done
	return 1
}

# look_while COMMAND: asks for the whole tree every second, or as seldom as the lab
# is slow, as long as COMMAND holds, and calls `seen', with the tree in
# $case_dir/tree.
look_while() {
	local began took

	looks=0 worst=0
	while "$@" && [ $looks -lt 300 ]; do
		sleep "$PACE"
		began=$(date +%s%N)
		pvctl inspect -j -r >"$case_dir/tree" 2>"$case_dir/said" || {
			ends || fail "inspect: $(head -c 300 "$case_dir/said")"
			break
		}
		took=$((($(date +%s%N) - began) / 1000000))
		looks=$((looks + 1))
		[ $took -le $worst ] || worst=$took
		seen
	done
	note "$looks answers, the slowest in $worst ms"
	[ $worst -lt $limit ] || fail "an answer took $worst ms, $limit at most"
}

writing() { vmm_running && ! grep -aq '^disk sha256' "$com1"; }

case_load() {
	local last=0 moved=0 now frames=0 passed=0 asked late

	seen() {
		now=$(jq '[.vmbus | .. | .srbs? // empty] | add // 0' \
			"$case_dir/tree")
		[ "$now" -le "$last" ] || moved=$((moved + 1))
		last=$now
		now=$(jq '[.vmbus.channels[].mana? | .tx_frames? // empty] |
			add // 0' "$case_dir/tree")
		[ "$now" -le "$frames" ] || passed=$((passed + 1))
		frames=$now
		read -r asked late < <(jq -r '[to_entries[] |
			select(.key | test("^vp[0-9]")).value.reactor] |
			"\(map(.asked) | add) \(map(.asked_late) | add)"' \
			"$case_dir/tree")
	}
	control=$PWD/$case_dir/control vsock=$PWD/$case_dir/vsock
	disk_start write "$case_dir/stats" --disk mem:64MB,uh-nvme \
		--net uh:user --control "$control" --vtl2-vsock-path "$vsock"
	expect 'paravisor: up on 2 VPs' 60
	look_while writing
	note "in $moved of them the disk had moved on, $last commands at the end"
	note "in $passed of them the NIC had, $frames frames at the end"
	note "of $asked questions to a reactor $late took more than its turn"
	[ $moved -ge 3 ] || fail "the disk moved on between $moved answers only"
	[ $passed -ge 3 ] || fail "the NIC moved on between $passed answers only"
	[ "$asked" -gt 0 ] && [ $((late * 20)) -le "$asked" ] ||
		fail "$late of $asked questions took more than a turn"
	vmm_end 0 60
	says "$com1" '^guest-exit: 0'
}

case_reset() {
	local first=0 second=0

	seen() {
		case $(jq .partition.starts "$case_dir/tree") in
		1) first=$((first + 1));;
		2) second=$((second + 1));;
		esac
	}
	com1=$case_dir/com1
	look_start 2 -m 512MB --disk mem:64MB,uh-nvme \
		--vtl0-kernel "$guest_kernel/vmlinuz" \
		--vtl0-initrd "$ending_initrd" --vtl0-append \
		'console=ttyS0 quiet loglevel=4 ending=reboot' \
		--vmbus-com1-serial "file=$com1"
	expect 'paravisor: up on 2 VPs' 60
	look_while vmm_running
	note "$first answers from the first start, $second from the second"
	[ $first -ge 1 ] && [ $second -ge 1 ] ||
		fail "$first and $second answers of the two starts"
	vmm_end 0 60
	says "$com1" '^second start, 2 VPs'
}

run_cases 'load: the whole tree, while fio writes and verifies and frames pass' \
	'reset: the same while VTL0 starts, is reset, and starts again'
