# SPDX-License-Identifier: MIT
#
# A guest with two NICs and a disk in use, and what a fault of the MANA function
# does to them; sourced by the case files of this area and of the soak.
# shellcheck shell=bash

# trouble_start: eth0 is vport 0, and eth1 vport 1.
trouble_start() {
	net_guest beats
	server_start $((64 << 10))
	net_start "nics=2" --net uh:user --net uh:user --disk mem:16M,uh-nvme
	expect '^beat: eth0 1' 90 "$com1"
	expect '^beat: eth1 1' 30 "$com1"
	expect '^beat: disk 1' 30 "$com1"
}

# So far vport 0 had faults; the other NIC and the disk never.
undisturbed() {
	! grep -aq '^beat: disk misses' "$com1" || fail "the disk gave other data"
	! grep -aq '^beat: eth1 misses' "$com1" ||
		fail "the other NIC was disturbed: $(
			grep -ac '^beat: eth1 misses' "$com1") times"
}

trouble_end() {
	control quit
	vmm_reap
	server_stop
	! grep -aq '^beat: disk misses' "$com1" || fail "the disk gave other data"
	counted '.data_outside == 0 and .bad_access == 0'
}

# beats WHO: how often so far.
beats() { grep -acE "^beat: $1 [0-9]" "$com1" || true; }

# beats_on WHO COUNT SECONDS: so many more within that time.
beats_on() {
	local from i

	from=$(beats "$1")
	for ((i = 0; i < $3 * 10 * PACE; i++)); do
		[ "$(beats "$1")" -lt $((from + $2)) ] || return 0
		vmm_running || { vmm_reap; fail "vmm ended: $vmm_status"; }
		sleep 0.1
	done
	fail "$1: $(($(beats "$1") - from)) of $2 beats within $3 s"
}

# What the daemon says of the vports: [{degraded, losses, last_loss}].
vports() {
	stats_to "$case_dir/seen"
	jq -cs '[.[1].vmbus.channels[] | .mana?.device? // empty |
		{vport, degraded, losses, last_loss}] | unique_by(.vport)' \
		"$case_dir/seen"
}

# vports_say FILTER SECONDS
vports_say() {
	local i said=''

	for ((i = 0; i < $2 * PACE; i++)); do
		said=$(vports)
		! jq -e "$1" <<<"$said" >/dev/null || return 0
		sleep 1
	done
	fail "no \`$1' within $2 s: $said"
}

# trouble_all FAULT SECONDS: what the whole function has; the disk works all the
# time, both NICs again by then.
trouble_all() {
	local from=$SECONDS

	control mana-fault "$(jq -cn --arg fault "$1" \
		'{fault: $fault, count: 1}')"
	beats_on disk 2 20
	sleep $((2 * PACE))
	beats_on eth0 3 "$2"
	beats_on eth1 3 "$2"
	control mana-fault '{"fault":"none"}'
	echo "$1: $((SECONDS - from)) s, $(vports)" >>"$case_dir/times"
}

# trouble FAULT COUNT SECONDS: vport 0 has it; its NIC works again by then, and
# the other one and the disk all the time.
trouble() {
	local from=$SECONDS

	control mana-fault "$(jq -cn --arg fault "$1" --argjson count "$2" \
		'{fault: $fault, count: $count, vport: 0}')"
	beats_on eth1 2 20
	beats_on disk 2 20
	beats_on eth0 3 "$3"
	control mana-fault '{"fault":"none"}'
	echo "$1: $((SECONDS - from)) s, $(vports | jq -c '.[0]')" \
		>>"$case_dir/times"
}
