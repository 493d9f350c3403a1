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

# not_yet OPTION ARGS...
not_yet() {
	local option=$1

	shift
	refused "^vmm: $option\b.*not supported yet" "$@"
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
	not_yet --net "${base[@]}" --net uh:consomme
}
case_redirect() {
	not_yet --vmbus-redirect "${base[@]}" --vmbus-redirect
}
case_scsi() {
	truncate -s 1M "$case_dir/disk"
	not_yet --disk "${base[@]}" --disk "file:$case_dir/disk,uh"
}
case_vsock() {
	not_yet --vsock-path "${base[@]}" --vsock-path "$case_dir/vsock0"
}
case_all() {
	not_yet '--(vmbus-redirect|net)' "${base[@]}" --vmbus-redirect \
		--net uh:consomme --disk mem:1G,uh-nvme
}

run_cases 'serial: --com3 term, both COMs, -c and the vsock path are taken' \
	'nvme: --disk mem:1G,uh-nvme is taken' \
	'net: --net is named' \
	'redirect: --vmbus-redirect is named' \
	'scsi: --disk FILE,uh is named' \
	'vsock: --vsock-path is named' \
	'all: of several one is named'
