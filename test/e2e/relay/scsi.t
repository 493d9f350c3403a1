# SPDX-License-Identifier: MIT
# A SCSI disk of the host's own: an unmodified guest has it through VTL2's relay,
# and neither its data nor its signals pass VTL2.
. test/e2e/lib.sh

guest_kernel=$(test/guest/kernel guest) || exit 1
guest_initrd=build/guest/relay.cpio
mkdir -p build/guest
test/guest/mkguest -o "$guest_initrd" test/guest/relay.sh || exit 1
scsi_guid=2c6e83b4-1f0d-4d92-a758-766d6d000003
mib=32

# relay_start ARGS...
relay_start() {
	com1=$case_dir/com1
	control=$PWD/$case_dir/control vsock=$PWD/$case_dir/vsock
	vmm_limit=180 vmm_start --igvm "$igvm" -m 512MB -p 2 -c loglevel=7 \
		--vtl0-kernel "$guest_kernel/vmlinuz" \
		--vtl0-initrd "$guest_initrd" \
		--vtl0-append "console=ttyS0 quiet loglevel=4 pace=$PACE" \
		--vmbus-com1-serial "file=$com1" --stats "$case_dir/stats" \
		--control "$control" --vtl2-vsock-path "$vsock" "$@"
}

# told NAME: the checksum that the guest gave it.
told() { sed -nE "s/^relay: $1 ([0-9a-f]{64}).*/\1/p" "$com1"; }

case_disk() {
	local sum

	head -c $((mib << 20)) /dev/urandom >"$case_dir/disk.img"
	sum=$(sha256sum <"$case_dir/disk.img" | cut -d ' ' -f 1)
	relay_start --vmbus-redirect --disk "file:$case_dir/disk.img"
	expect '^relay: before the read' 90 "$com1"
	stats_to "$case_dir/before"
	expect '^relay: after the read' 60 "$com1"
	stats_to "$case_dir/after"
	expect '^relay: done' 60 "$com1"
	vmm_end 0 60
	says "$com1" '^guest-exit: 0'
	says "$com1" "^relay: device .*$scsi_guid"
	[ "$(told read)" = "$sum" ] || fail "the guest read something else"
	[ "$(told again)" = "$(told written)" ] ||
		fail "what was written is not what is read"
	[ "$(head -c 4194304 "$case_dir/disk.img" | sha256sum |
		cut -d ' ' -f 1)" = "$(told written)" ] ||
		fail "what was written is not in the file"
	# The data went between the host and VTL0.
	jq -es '[.[0, 2].ok.disks[0].scsi.bytes_read] |
		.[1] - .[0] >= '$((mib << 20)) "$case_dir/before" \
		"$case_dir/after" >/dev/null ||
		fail "the host did not read $mib MiB"
	# Every signal of VTL0 was the host's, and the relay had no message.
	jq -es 'def all: .ok.machine.hypercalls_vtl0."0x5d" // 0;
		def host: [.ok.vmbus_vtl0.channels[].signals_in // 0] | add;
		def messages: .relay.bus.messages_in + .relay.bus.messages_out;
		((.[2] | host) - (.[0] | host)) as $host |
		$host > 0 and (.[2] | all) - (.[0] | all) == $host and
		(.[3] | messages) == (.[1] | messages)' \
		"$case_dir/before" "$case_dir/after" >/dev/null ||
		fail "signals or messages of the disk went through VTL2"
	# The server of the daemon holds nothing of it.
	jq -es --arg disk $scsi_guid '[.[3].vmbus.channels[] |
		select(.relayed and .instance == $disk)] |
		length > 0 and all(.state == "open" and
			(has("packets_in") | not))' \
		"$case_dir/before" "$case_dir/after" >/dev/null ||
		fail "the channel is not relayed, or not open"
}

run_cases 'disk: 32 MiB of a relayed disk, none of its signals in VTL2'
