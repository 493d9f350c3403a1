# SPDX-License-Identifier: MIT
# A NIC goes and comes by updates of the settings while another moves data.
. test/e2e/lib.sh
. test/e2e/net/start.sh
for_flavour debug

guest_initrd=build/guest/net_hot.cpio
test/guest/mkguest -o "$guest_initrd" --pkg ethtool \
	--add "$(command -v socat):/usr/bin/socat" \
	--add test/guest/net_lib.sh:/lib/net.sh test/guest/net_hot.sh || exit 1

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

run_cases 'hot: a NIC gone and back 3 times, by settings, beside traffic'
