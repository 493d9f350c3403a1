# SPDX-License-Identifier: MIT
#
# A guest that starts again and again with relayed devices at work, and what the
# host and the daemon then have; sourced by case files here and of the soak.
# shellcheck shell=bash disable=SC2034

guest_kernel=$(test/guest/kernel guest) || exit 1
guest_initrd=build/guest/relay_again.cpio
again=(--add build/guest/kexec:/sbin/kexec
	--add "$(command -v dd):/usr/local/bin/dd"
	--add test/guest/net_lib.sh:/lib/net.sh)
mkdir -p build/guest
# What a kexec brings up is the same guest without a kernel of its own.
test/guest/mkguest -o build/guest/relay_again_inner.cpio.gz "${again[@]}" \
	test/guest/relay_again.sh &&
	test/guest/mkguest -o "$guest_initrd" "${again[@]}" \
		--add "$guest_kernel/vmlinuz:/boot/vmlinuz" \
		--add build/guest/relay_again_inner.cpio.gz:/boot/initrd \
		test/guest/relay_again.sh || exit 1

# A kexec copies a kernel at once, which on a slow lab takes longer than Linux
# lets a CPU be busy.
patience=sysctl.kernel.watchdog_thresh=$((10 * PACE))

# again_start ENDS: its COM1 is a socket; $com1 has what it said, and whoever
# writes to the descriptor $keys types there.
again_start() {
	local i

	com1=$case_dir/com1 control=$PWD/$case_dir/control
	vsock=$PWD/$case_dir/vsock
	vmm_limit=${vmm_limit:-240} vmm_start --igvm "$igvm" -m 512MB -p 2 \
		--vtl0-kernel "$guest_kernel/vmlinuz" \
		--vtl0-initrd "$guest_initrd" --vtl0-append \
		"console=ttyS0 quiet loglevel=4 pace=$PACE ends=$1 $patience" \
		--vmbus-com1-serial "listen=$PWD/$case_dir/port1" \
		--control "$control" --vtl2-vsock-path "$vsock" \
		--vmbus-redirect --disk mem:8M --net user
	for ((i = 0; i < 90 * PACE; i++)); do
		[ ! -S "$case_dir/port1" ] || break
		sleep 1
	done
	mkfifo "$case_dir/keys"
	exec {keys}<>"$case_dir/keys"
	rm "$case_dir/keys"
	socat - "UNIX-CONNECT:$case_dir/port1" <&"$keys" >"$com1" &
	shell_open 60
}

go_on() { echo >&"$keys"; }

# What must be as it was: objects that live, not work that was counted. First of
# the host, then of the daemon.
relayed_living() {
	jq -S 'if .ok then { bus: .ok.vmbus_vtl0 } else
			{ bus: .vmbus, holds: .partition.holds,
			  relay: (.relay.bus | { state, offers, gpadls,
				messages_lost, messages_refused, unanswered }),
			  offers: (.relay.offers | map_values(.state)) } end |
		.bus |= { state, version, gpadls, messages_lost,
			messages_refused, channels: (.channels |
			map_values({ state, gpadls, device, instance })) }' "$1"
}

# again_look N: when the guest has started so often.
again_look() {
	expect "^again: start $1, 2 VPs" 90 "$com1"
	stats_to "$case_dir/tree.$1"
	relayed_living "$case_dir/tree.$1" >"$case_dir/living.$1"
	process "$1"
	note "start $1: $(xargs <"$case_dir/process.$1")," \
		"$(jq -s '.[1].relay.bus | "GPADLs \(.gpadls)"' \
			"$case_dir/tree.$1" | tr -d '"')"
}

# again_same N: as at the second start; the first has not grown what is kept.
again_same() {
	diff "$case_dir/living.1" "$case_dir/living.$1" ||
		fail "host or daemon keep what the guest gave back at $1"
	process_kept 2 "$1" 8
}
