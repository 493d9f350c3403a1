# SPDX-License-Identifier: MIT
#
# The tiny guest and what it says; sourced by the case files of the areas that
# use it. The guest runs in a case of its own, `guest'; each line of its TAP is
# then a case: what failed there fails here, with the guest's reason.
# shellcheck shell=bash

tap=build/log/$area/guest/com1
nvme=1d0f2a1e-0001-4e56-8d65-766d6d000000 # the first --disk

# tiny_settings FILE: three controllers, the first with LUNs 0 and 3, room for
# 200 requests and sub-channels; all of them are one disk. And a NIC of four
# queues that gets what it sends.
tiny_settings() {
	jq -n --arg nvme "$nvme" 'def lun(n): {lun: n,
		backend: {nvme: {device: $nvme, nsid: 1}}};
		def instance(n): "5ba1c4f0-7d3e-4b6a-9c21-766d6d00000\(n)";
		{version: 1, storage: [
			{instance: instance(1), queue_depth: 256,
				sub_channels: 4, luns: [lun(0), lun(3)]},
			{instance: instance(2), luns: [lun(0)]},
			{instance: instance(3), luns: [lun(0)]}],
		nics: [{instance: instance(4), queues: 4, mtu: 9000,
			backend: {loopback: {}}}]}' >"$1"
}

# tap_complete: the guest ran all that it planned.
tap_complete() {
	local planned ran

	! grep -a 'Bail out!' "$tap" || fail "the guest gave up"
	planned=$(sed -n 's/^1\.\.\([0-9]*\).*/\1/p' "$tap")
	ran=$(grep -acE '^(not )?ok ' "$tap" || true)
	[ "${planned:-0}" -gt 0 ] && [ "$planned" = "$ran" ] ||
		fail "${planned:-no} rows planned, $ran ran; last line:" \
			"$(tail -n 1 "$tap" | tr -d '\r')"
	note "rows $ran, $(sed -n 's/^# \([0-9]* ms\).*/\1/p' "$tap")"
}

# row ID: passed in the guest?
row() {
	grep -aqE "^ok [0-9]+ - $1 " "$tap" && return
	fail "$(grep -aE -B 3 "^not ok [0-9]+ - $1 " "$tap" |
		sed -n 's/^# //p' | tr -d '\r')"
}

# run_rows [PREFIX]: a case for each line; PREFIX keeps their files apart.
run_rows() {
	local id text rows=()

	[ -s "$tap" ] || return 0
	while read -r id text; do
		eval "case_${1-}$id() { row $id; }"
		rows+=("${1-}$id: $id $text${1:+, ${1%_}}")
	done < <(tr -d '\r' <"$tap" |
		sed -nE 's/^(not )?ok [0-9]+ - (.*)/\2/p')
	[ ${#rows[@]} = 0 ] || run_cases "${rows[@]}"
}
