# SPDX-License-Identifier: MIT
#
# A machine to look into; sourced by the case files of this area.
# shellcheck shell=bash

# look_start VPS ARGS...: $com3 is VTL2's console, $vsock the way in.
look_start() {
	local vps=$1

	shift
	control=$PWD/$case_dir/control vsock=$PWD/$case_dir/vsock
	vmm_limit=120 vmm_start --igvm "$igvm" -p "$vps" \
		--control "$control" --vtl2-vsock-path "$vsock" "$@"
}

# tiny_start VPS CASES ARGS...: with the tiny guest, which says things on $com1.
tiny_start() {
	local vps=$1 cases=$2

	shift 2
	com1=$PWD/$case_dir/com1
	look_start "$vps" -m 512MB -c loglevel=7 \
		--vtl0-kernel build/guest/tiny --vtl0-append "cases=$cases" \
		--vmbus-com1-serial "file=$com1" "$@"
}

# pvctl ARGS...: as a user has it.
pvctl() {
	timeout $((40 * PACE)) build/host/pvctl --vm "$vsock" \
		-t $((10 * PACE)) "$@"
}

# must STATUS [REGEX] -- ARGS...: pvctl ends with STATUS; what it says on either
# stream matches. Both are in $case_dir/pvctl.
must() {
	local want=$1 regex='' status=0

	shift
	[ "$1" = -- ] || { regex=$1; shift; }
	shift
	pvctl "$@" >"$case_dir/pvctl" 2>&1 </dev/null || status=$?
	[ $status = "$want" ] || fail "pvctl $*: status $status, not $want:" \
		"$(head -c 300 "$case_dir/pvctl")"
	[ -z "$regex" ] || grep -aEq -e "$regex" "$case_dir/pvctl" ||
		fail "pvctl $*: no \`$regex' in:" \
			"$(head -c 300 "$case_dir/pvctl")"
}

# What a release image says of what only a debug image does.
release_says='not in release build'
