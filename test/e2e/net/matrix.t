# SPDX-License-Identifier: MIT
# Every offload, table and version of NVSP that hv_netvsc has.
. test/e2e/lib.sh
. test/e2e/net/start.sh
for_flavour debug

net_guest net_matrix

case_offloads() {
	local pcap=$PWD/$case_dir/pcap seen

	server_start $((256 << 10))
	vps=4 net_start "job=offloads" --net "uh:user,pcap=$pcap"
	vmm_end 0 240
	server_stop
	says "$com1" '^guest-exit: 0'
	says "$com1" '^net: flows on [34] channels'
	says "$com1" '^net: table and key followed'
	says "$com1" '^net: good with tx ' 5
	says "$com1" '^net: good with IPv6'
	# Checksums and segments, by the capture.
	seen=$("$python" test/e2e/net/pcap_check.py "$pcap" \
		00:15:5d:76:6d:00 1500) || fail "on the wire: $seen"
	jq -e '.tcp > 500 and .tcp6 > 50 and .udp >= 5 and .full > 100' \
		<<<"$seen" >/dev/null || fail "too few on the wire: $seen"
	note "$seen"
	counted '.data_outside == 0 and .bad_access == 0 and .bad_wqes == 0'
	counted '.vports[0] | .tx_lso > 20 and .tx_errors == 0'
	rm -f "$pcap"
}

# nvsp_settings: those of five NICs, each with another version at most.
nvsp_settings() {
	local nics=() i

	for ((i = 0; i < 6; i++)); do
		nics+=(--net uh:user)
	done
	build/host/vmm --igvm "$igvm" "${nics[@]}" --print-settings |
		jq '.nics |= [., ["1", "2", "4", "5", "6", "6.1"]] |
			.nics = [range(6) as $i |
				.nics[0][$i] + {nvsp: .nics[1][$i]}]'
}

case_versions() {
	local i nics=()

	nvsp_settings >"$case_dir/settings" || fail "no settings"
	for ((i = 0; i < 6; i++)); do
		nics+=(--net uh:user)
	done
	server_start $((8 << 20))
	net_start "job=versions nics=6" "${nics[@]}" \
		--settings "$case_dir/settings"
	vmm_end 0 240
	server_stop
	says "$com1" '^guest-exit: 0'
	says "$com1" "^net: eth[0-5] $size bytes each way" 6
	for i in 0x2 0x30002 0x40000 0x50000 0x60000 0x60001; do
		says "$com3" "netvsp: protocol $i\>" 1
	done
	counted '.data_outside == 0 and .bad_access == 0 and .bad_wqes == 0'
}

run_cases 'offloads: 4 VPs: tables followed; offloads and IPv6 by the capture' \
	'versions: each version of NVSP, 8 MiB each way'
