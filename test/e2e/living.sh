# SPDX-License-Identifier: MIT
#
# What lives in the host, in VTL2 and in the daemon before and after work that
# is to leave nothing behind; sourced after lib.sh. The guest waits for a word
# at lines that end in a question mark, with its COM1 on a socket:
#
#	vmm_start ... --vmbus-com1-serial "listen=$(com1_socket)"; com1_join
#	shell_open 40
#	waits before 60; before_and_after 60
#	leaks_nothing PAGES
# shellcheck shell=bash

com1_socket() { echo "$PWD/$case_dir/com1.socket"; }

# What the guest says is in $com1.
com1_join() {
	mkfifo "$case_dir/told"
	exec {telling}<>"$case_dir/told"
	rm -f "$case_dir/told"
	socat - "UNIX-CONNECT:$(com1_socket),retry=300,interval=0.1" \
		<&"$telling" >"$com1" 2>"$case_dir/socat.log" {typing}>&- &
}

# waits WHAT SECONDS; go_on lets it run.
waits() { expect "^[a-z]*: $1\\?" "$2" "$com1"; }
go_on() { echo on >&"$telling"; }

# What must be as it was: objects that live, not work that was counted. First of
# the host, then of the daemon.
living() {
	jq -S 'if .ok then .ok | { bus: .vmbus, mana: (.mana // {} |
			with_entries(select(.key | startswith("now_")))) } else
			{ bus: .vmbus, holds: .partition.holds,
			  buffers: [.[] | .reactor?.registered_buffers? // empty],
			  in_flight: [.vmbus.channels[] | to_entries[] |
				select(.key | startswith("channel")) | .value |
				{ in_flight, tx_in_flight, rx_lent }] } end |
		.bus |= { state, version, gpadls, messages_lost, queue_full,
			messages_refused, channels: [.channels[] |
			{ state, gpadls, device, instance }] | sort }' "$1"
}

# snapshot WHEN: in the release image, which has no shell, of objects only.
snapshot() {
	stats_to "$case_dir/$1"
	living "$case_dir/$1" >"$case_dir/living.$1"
	[ "$FLAVOUR" != debug ] || process "$1"
}

# before_and_after SECONDS: as soon as the guest waits, what lives then and, when
# it waits again, within so long, what lives behind its work. It goes on.
before_and_after() {
	snapshot before
	go_on
	waits after "$1"
	snapshot after
	go_on
}

# leaks_nothing PAGES: `before' and `after' are the same, but for as many pages.
leaks_nothing() {
	diff "$case_dir/living.before" "$case_dir/living.after" ||
		fail "host or daemon keep what the guest gave back"
	[ "$FLAVOUR" != debug ] || process_kept before after "$1"
}
