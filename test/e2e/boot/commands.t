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

# refused OPTION ARGS...
refused() {
	local option=$1 status=0

	shift
	timeout 20 build/host/vmm "$@" >"$case_dir/out" 2>"$case_dir/said" \
		</dev/null || status=$?
	[ $status = 2 ] || fail "status $status instead of 2: $*"
	[ "$(wc -l <"$case_dir/said")" = 1 ] && [ ! -s "$case_dir/out" ] ||
		fail "not one line: $(cat "$case_dir/out" "$case_dir/said")"
	grep -q "^vmm: $option\b.*not supported yet" "$case_dir/said" ||
		fail "does not name $option: $(cat "$case_dir/said")"
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
	refused --net "${base[@]}" --net uh:consomme
}
case_redirect() {
	refused --vmbus-redirect "${base[@]}" --vmbus-redirect
}
case_scsi() {
	truncate -s 1M "$case_dir/disk"
	refused --disk "${base[@]}" --disk "file:$case_dir/disk,uh"
}
case_vsock() {
	refused --vsock-path "${base[@]}" --vsock-path "$case_dir/vsock0"
}
case_all() {
	refused '--\(vmbus-redirect\|net\)' "${base[@]}" --vmbus-redirect \
		--net uh:consomme --disk mem:1G,uh-nvme
}

run_cases 'serial: --com3 term, both COMs, -c and the vsock path are taken' \
	'nvme: --disk mem:1G,uh-nvme is taken' \
	'net: --net is named' \
	'redirect: --vmbus-redirect is named' \
	'scsi: --disk FILE,uh is named' \
	'vsock: --vsock-path is named' \
	'all: of several one is named'
