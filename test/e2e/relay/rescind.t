# SPDX-License-Identifier: MIT
# The host takes relayed devices away at any step that the guest's driver is at,
# and gives them back: guest and daemon live on. Each step between two messages is
# gone through natively, in relay_host_relay_test.
. test/e2e/lib.sh

guest_kernel=$(test/guest/kernel guest) || exit 1
guest_initrd=build/guest/relay_plug.cpio
mkdir -p build/guest
test/guest/mkguest -o "$guest_initrd" \
	--add "$(command -v dd):/usr/local/bin/dd" \
	--add test/guest/net_lib.sh:/lib/net.sh test/guest/relay_plug.sh ||
	exit 1
rounds=(offered:0 opening:0 opening:1 opening:2 opening:3 opening:5 running:0
	closing:0 closing:1 closing:2 scsi:0)

# plug_again DEVICE: when the guest has let go of it.
plug_again() {
	local i

	for ((i = 0; i < 40 * PACE; i++)); do
		ask plug "{\"device\":\"$1\"}" >"$case_dir/answer"
		! jq -e .ok "$case_dir/answer" >/dev/null || return 0
		sleep 0.5
	done
	fail "plug $1: $(cat "$case_dir/answer")"
}

case_rescind() {
	local n device

	com1=$case_dir/com1
	control=$PWD/$case_dir/control vsock=$PWD/$case_dir/vsock
	head -c $((8 << 20)) /dev/urandom >"$case_dir/disk.img"
	vmm_limit=300 vmm_start --igvm "$igvm" -m 512MB -p 2 -c loglevel=7 \
		--vtl0-kernel "$guest_kernel/vmlinuz" \
		--vtl0-initrd "$guest_initrd" --vtl0-append \
		"console=ttyS0 quiet loglevel=4 pace=$PACE rounds=$(
			IFS=,; echo "${rounds[*]}")" \
		--vmbus-com1-serial "file=$com1" --control "$control" \
		--vtl2-vsock-path "$vsock" --vmbus-redirect \
		--disk "file:$case_dir/disk.img" --disk mem:8M,uh-nvme \
		--net user
	for ((n = 1; n <= ${#rounds[@]}; n++)); do
		expect "^plug: round $n " 90 "$com1"
		device=net0
		[[ ${rounds[n - 1]} != scsi* ]] || device=scsi
		control unplug "{\"device\":\"$device\"}"
		expect "^plug: gone $n" 90 "$com1"
		plug_again "$device"
		expect "^plug: works $n" 90 "$com1"
	done
	# The guest reads a disk that goes, and stops looking for it.
	allow 'I/O error, dev sd|Sense Key|Synchronize Cache'
	stats_to "$case_dir/tree"
	vmm_end 0 90
	says "$com1" '^guest-exit: 0'
	says "$com1" '^plug: done'
	note "$(sed -n 's/^plug: alive: //p' "$com1" | tr -d '\r')"
	# Each was seen, and is whole again.
	jq -es --argjson n ${#rounds[@]} '.[1].relay |
		.rescinded >= $n and .lost == 0 and .bus.unanswered == 0 and
		(.offers | length > 0 and all(.state == "relayed"))' \
		"$case_dir/tree" >/dev/null ||
		fail "the relay: $(jq -cs '.[1].relay' "$case_dir/tree")"
}

run_cases "rescind: ${#rounds[@]} times a device goes and comes back, at any step"
