# SPDX-License-Identifier: MIT
# Command lines as users of a public host write them: taken, or refused by one
# line that names the option. --host-tree ends vmm before it needs KVM.
. test/e2e/lib.sh

base=(--hv --vtl2 --igvm "$igvm" -m 2GB --com3 term)

# taken ARGS...
taken() {
	timeout 20 build/host/vmm "$@" --host-tree "$case_dir/tree" \
		>"$case_dir/said" 2>&1 || fail "status $?: $(cat "$case_dir/said")"
	[ ! -s "$case_dir/said" ] || fail "said: $(cat "$case_dir/said")"
	[ -s "$case_dir/tree" ] || fail "no tree was written"
}

case_serial() {
	taken "${base[@]}" -c "loglevel=7" --vmbus-com1-serial term \
		--vmbus-com2-serial "file=$case_dir/com2" \
		--vtl2-vsock-path "$case_dir/vsock"
}
case_nvme() {
	taken "${base[@]}" --disk mem:1G,uh-nvme
}
case_net() {
	taken "${base[@]}" --net uh:consomme --net "uh:pair,pcap=$case_dir/p"
	taken "${base[@]}" --vmbus-redirect --net consomme
	refused '^vmm: --net consomme: .*--vmbus-redirect' "${base[@]}" \
		--net consomme
	refused '^vmm: --net uh:user: uh: needs --igvm' --vtl0-kernel k \
		--net uh:user
	build/host/vmm "${base[@]}" --net uh:user --net uh:null \
		--disk mem:1G,uh-nvme --print-settings |
		jq -e '.storage[0].luns | length == 1' >/dev/null &&
		build/host/vmm "${base[@]}" --net uh:user --net uh:null \
			--print-settings | jq -e '.version == 1 and
			(.nics | length == 2) and
			.nics[1].backend.mana.vport == 1' >/dev/null ||
		fail "--print-settings: no NICs"
	# The guest's own NIC is none of the paravisor's.
	build/host/vmm "${base[@]}" --vmbus-redirect --net user \
		--disk mem:1G,uh-nvme --print-settings |
		jq -e '(.storage | length == 1) and has("nics") == false' \
		>/dev/null || fail "--print-settings: a NIC of the guest's"
}
case_redirect() {
	taken "${base[@]}" --vmbus-redirect --disk mem:1M
}
case_scsi() {
	truncate -s 1M "$case_dir/disk"
	taken "${base[@]}" --disk "file:$case_dir/disk,uh"
}
case_vsock() {
	taken "${base[@]}" --vmbus-redirect --vsock-path "$case_dir/vsock0"
	refused '^vmm: --vsock-path\b.*--vmbus-redirect' "${base[@]}" \
		--vsock-path "$case_dir/vsock0"
}
case_all() {
	taken "${base[@]}" --vmbus-redirect \
		--net uh:consomme --disk mem:1G,uh-nvme \
		--vsock-path "$case_dir/vsock0"
}

run_cases 'serial: --com3 term, both COMs, -c and the vsock path are taken' \
	'nvme: --disk mem:1G,uh-nvme is taken' \
	'net: --net uh: is taken, and in the settings; without VTL2 it is not' \
	'redirect: --vmbus-redirect and a disk of the guest are taken' \
	'scsi: --disk FILE,uh is taken' \
	'vsock: --vsock-path is taken with --vmbus-redirect, and refused without' \
	'all: several of them together are taken'
