# SPDX-License-Identifier: MIT
# A NIC goes and comes by updates of the settings while another moves data.
. test/e2e/lib.sh
. test/e2e/net/start.sh
for_flavour debug

net_guest net_hot

rounds=3
nets=(--net uh:user --net uh:null)

# settings FILTER: of what vmm would give.
settings() {
	build/host/vmm --igvm "$igvm" "${nets[@]}" --print-settings |
		jq -c "$1"
}

# refused SETTINGS POINTER: by it.
refused() {
	ask settings "$1" >"$case_dir/answer"
	jq -e --arg at "$2" '.error | tostring | contains($at)' \
		"$case_dir/answer" >/dev/null ||
		fail "not refused by $2: $(head -c 300 "$case_dir/answer")"
}

case_hot() {
	local both one wrong i

	both=$(settings .)
	one=$(settings '.nics |= .[:1]')
	wrong=$(settings '.nics[0].mtu = 1400 | .nics[1].mtu = 9000')
	server_start $((1 << 20))
	net_start "second=00:15:5d:76:6d:01 rounds=$rounds" "${nets[@]}"
	expect '^net: round 1: there' 90 "$com1"
	for ((i = 1; i <= rounds; i++)); do
		expect "^net: round $i: there" 40 "$com1"
		refused "$wrong" /nics/1/mtu
		control settings "$one"
		expect "^net: round $i: gone" 40 "$com1"
		control settings "$both"
	done
	vmm_end 0 180
	server_stop
	says "$com1" '^guest-exit: 0'
	says "$com1" '^net: back eth[0-9] hv_netvsc' 1
	says "$com1" '^net: [0-9]+ transfers meanwhile' 1
	says "$com3" 'nics: /nics/1/mtu: the backend has 1500 at most' $rounds
	counted '.data_outside == 0 and .bad_access == 0 and .bad_wqes == 0'
	note "$(grep -a '^net: .* transfers meanwhile' "$com1" | tr -d '\r')"
}

# heard FILE: is pcap, of so many frames of the guest's.
heard() {
	"$python" - "$1" <<-'EOF'
	import struct, sys
	data = open(sys.argv[1], "rb").read()
	assert struct.unpack_from("<IHHIIII", data) == (
	    0xa1b2c3d4, 2, 4, 0, 0, 96, 1), "the header"
	at, frames = 24, 0
	while at < len(data):
	    kept, length = struct.unpack_from("<8xII", data, at)
	    assert kept == min(length, 96) and length >= 14, "a frame's length"
	    at += 16 + kept
	    frames += 1
	assert at == len(data), "the last frame"
	print(frames)
	EOF
}

case_heard() {
	local frames

	server_start $((1 << 20))
	net_start "second=00:15:5d:76:6d:01 rounds=1" "${nets[@]}"
	expect '^net: dhcp' 90 "$com1"
	timeout $((90 * PACE)) build/host/pvctl --vm "$vsock" \
		-t $((10 * PACE)) pcap -s 96 -d $((10 * PACE)) \
		"$case_dir/heard" >"$case_dir/pvctl" 2>&1 ||
		fail "pvctl pcap: $(cat "$case_dir/pvctl")"
	expect '^net: round 1: there' 40 "$com1"
	control settings "$(settings '.nics |= .[:1]')"
	expect '^net: round 1: gone' 40 "$com1"
	control settings "$(settings .)"
	vmm_end 0 180
	server_stop
	says "$com1" '^guest-exit: 0'
	frames=$(heard "$case_dir/heard.0") || fail "heard.0 is no such pcap"
	[ "$frames" -ge 100 ] || fail "$frames frames of the first NIC"
	heard "$case_dir/heard.1" >/dev/null || fail "heard.1 is no such pcap"
	note "$frames frames heard: $(xargs <"$case_dir/pvctl")"
	rm -f "$case_dir"/heard.*
}

run_cases 'heard: what passes two NICs, as pcap, by pvctl' \
	'hot: a NIC gone and back 3 times, by settings, beside traffic'
