# SPDX-License-Identifier: MIT
#
# A disk that is taken away and comes back; sourced after start.sh.
# shellcheck shell=bash

# What is on LUN 1 before it goes, and after it came back.
stamp="-n 200 -o 50 -s 7 -d $((60 * PACE))"
stamp_it() { guest stamp 120 "stamped $stamp \$(disk_of 1)"; }
verify_it() { guest "$1" 120 "stamped $stamp -v 63 \$(disk_of 1)"; }

# lost WHY: the guest, the log and inspect say so. Something of it is asked for
# first, so that a device that only stands still is noticed.
lost() {
	told "touch-$1" "stamped -e -n 4 -o 0 -d 600 \$(disk_of 1)"
	becomes 1 degraded 60
	guest "gone-$1" 60 'until_true 60 gone 1'
	[ "$(grep -ac 'LUN 1: degraded: its disk is gone' "$com3")" = "$2" ] ||
		fail "$1: not one line more in the log"
	# The other one works on.
	guest "other-$1" 60 "stamped -n 64 -o 20 -s $2 -d $((20 * PACE)) \
\$(disk_of 0)"
}

back() {
	becomes 1 good 30
	guest "back-$1" 60 'until_true 60 there 1'
	[ "$(grep -ac 'LUN 1: not degraded any more' "$com3")" = "$2" ] ||
		fail "$1: not one line more in the log"
	verify_it "verify-$1"
}

nsids() { tree '[.. | .lun1? | .nvme? | .nsid? // empty] | unique'; }

# The namespace goes and is back under another number; then the controller is
# pulled while a command is under way, and is plugged in again.
go_and_return() {
	allow "$recovery"
	allow 'Sense Key|blk_update_request|critical|I/O error|Synchronize'
	allow 'Device not ready|device reset|Disabling device|Removing after|CSTS'
	faults_start --disk mem:32M,uh-nvme --disk mem:32M,uh-nvme
	stamp_it
	[ "$(nsids)" = '[1]' ] || fail "LUN 1 stands on $(nsids)"
	fault 1 ns-remove ',"opcode":1'
	lost namespace 1
	fault 1 ns-elsewhere
	back namespace 1
	[ "$(nsids)" = '[2]' ] || fail "LUN 1 stands on $(nsids), not on 2"
	fault 1 removed
	lost controller 2
	control nvme-unplug '{"disk":1}'
	sleep $((2 * PACE))
	fault 1 none
	plug_in 1
	back controller 2
	echo "namespace 1, as 2, and its controller: gone and back, stamps good" \
		>>"$case_dir/figures"
	faults_end
}

# When VTL2 has let go of it.
plug_in() {
	local i

	for ((i = 0; i < 30 * PACE; i++)); do
		ask nvme-plug "{\"disk\":$1}" >"$case_dir/answer"
		! jq -e '.ok' "$case_dir/answer" >/dev/null || return 0
		sleep 1
	done
	fail "nvme-plug: $(cat "$case_dir/answer")"
}
