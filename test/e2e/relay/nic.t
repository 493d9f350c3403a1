# SPDX-License-Identifier: MIT
# A NIC and a SCSI disk of the host's own: an unmodified guest has the same ones
# by VTL2's relay as it has without VTL2, at the same cost for the host, and none
# of it passes VTL2.
. test/e2e/lib.sh
. test/e2e/net/start.sh

net_guest relay_same --add "$(command -v dd):/usr/local/bin/dd"
nic_guid=2c6e83b4-1f0d-4d92-a758-766d6d000100
reads=200

# same_boot NAME ARGS...: a run, whose counters are in $case_dir/NAME.N.
same_boot() {
	local name=$1 append

	shift
	server_start $((2 << 20))
	append="port=$port bytes=$size sum=$sum pace=$PACE reads=$reads"
	com1=$case_dir/com1.$name
	control=$PWD/$case_dir/control.$name
	vsock=$PWD/$case_dir/vsock.$name
	if [ "$name" = relayed ]; then
		vmm_limit=240 vmm_start --igvm "$igvm" -m 512MB -p 2 \
			-c loglevel=7 --vtl0-kernel "$guest_kernel/vmlinuz" \
			--vtl0-initrd "$guest_initrd" --vtl0-append \
			"console=ttyS0 quiet loglevel=4 $append" \
			--vmbus-com1-serial "file=$com1" \
			--vtl2-vsock-path "$vsock" --vmbus-redirect "$@"
	else
		vmm_limit=240 console_start "$case_dir/said.$name" \
			-m 512MB -p 2 --vtl0-kernel "$guest_kernel/vmlinuz" \
			--vtl0-initrd "$guest_initrd" \
			-c "console=ttyS0 quiet loglevel=4 $append" \
			--com1 "file=$com1" "$@"
	fi
	expect '^same: before the reads' 120 "$com1"
	counters_of "$name" 0
	expect '^same: after the reads' 60 "$com1"
	counters_of "$name" 1
	expect '^same: after the transfer' 120 "$com1"
	counters_of "$name" 2
	vmm_end 0 60
	server_stop
	says "$com1" '^guest-exit: 0'
	says "$com1" '^same: dhcp 10.0.2.15'
	says "$com1" "^same: $size bytes each way"
	says "$case_dir/server" '^server: take: good' 1
}

counters_of() {
	if [ "$1" = relayed ]; then
		stats_to "$case_dir/$1.$2"
	else
		control stats
		mv "$case_dir/answer" "$case_dir/$1.$2"
	fi
}

# between NAME A B FILTER: of counter files A and B, as an array.
between() {
	jq -ce --slurpfile b "$case_dir/$1.$3" \
		"[., \$b[0]] | map(.ok | $4)" < <(head -n 1 "$case_dir/$1.$2")
}

signals='.machine.hypercalls_vtl0."0x5d" // 0'
difference() { between "$@" | jq '.[1] - .[0]'; }

case_same() {
	local relayed direct each

	same_boot relayed --control "$PWD/$case_dir/control.relayed" \
		--disk mem:8M --net user
	same_boot direct --control "$PWD/$case_dir/control.direct" \
		--disk mem:8M,synthetic --net user,synthetic

	for each in relayed direct; do
		grep -aE '^same: (device|disk|nic) ' "$case_dir/com1.$each" |
			tr -d '\r' >"$case_dir/list.$each"
	done
	cmp "$case_dir/list.relayed" "$case_dir/list.direct" ||
		fail "the guest sees something else through the relay:" \
			"$(diff "$case_dir"/list.*)"
	says "$case_dir/list.direct" "^same: device .*$nic_guid"
	says "$case_dir/list.direct" '^same: disk sda '
	note "$(wc -l <"$case_dir/list.direct") devices, disks and NICs are the same"

	# What each read costs the host, with and without VTL2.
	relayed=$(difference relayed 0 1 "$signals")
	direct=$(difference direct 0 1 "$signals")
	note "signals of $reads reads: $relayed relayed, $direct directly"
	[ "$(difference relayed 0 1 '.disks[0].scsi.reads')" = "$reads" ] &&
		[ "$(difference direct 0 1 '.disks[0].scsi.reads')" = \
			"$reads" ] || fail "not $reads reads at the host"
	# Who finds a packet in the ring that was not read yet does not signal: one
	# in a hundred may.
	[ "$relayed" -le $((direct + reads / 100)) ] ||
		fail "a relayed read costs the host more"
	note "signals of the transfer: $(difference relayed 1 2 "$signals")" \
		"relayed, $(difference direct 1 2 "$signals") directly"

	# The NIC's data went between the host and VTL0; every signal was the
	# host's, and VTL2 had neither signal nor message.
	each=$(difference relayed 1 2 \
		'.nics[0].synthetic | .rx_bytes + .tx_bytes')
	note "the host's NIC moved $each bytes"
	[ "$each" -ge $((2 * size)) ] || fail "the host's NIC moved $each bytes"
	jq -es 'def all: .ok.machine.hypercalls_vtl0."0x5d" // 0;
		def host: [.ok.vmbus_vtl0.channels[].signals_in // 0] | add;
		def daemon: [.relay.bus.messages_in, .relay.bus.messages_out,
			(to_entries[] | select(.key | test("^vp[0-9]")) |
				.value.hypercall | .signals, .messages)];
		((.[2] | host) - (.[0] | host)) as $host |
		$host > 0 and (.[2] | all) - (.[0] | all) == $host and
		(.[3] | daemon) == (.[1] | daemon)' \
		"$case_dir/relayed.0" "$case_dir/relayed.2" >/dev/null ||
		fail "signals or messages of the devices went through VTL2"
	jq -es --arg nic $nic_guid '[.[1].vmbus.channels[] |
		select(.relayed and .instance == $nic)] | length == 2 and
		all(.state == "open" and (has("packets_in") | not))' \
		"$case_dir/relayed.2" >/dev/null ||
		fail "the NIC's channels are not two, relayed and open"
}

run_cases "same: devices and cost of $reads reads, 2 MiB each way by a NIC, relayed and directly"
