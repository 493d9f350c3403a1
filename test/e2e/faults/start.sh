# SPDX-License-Identifier: MIT
#
# A guest that does what it is told over COM1, with stamped blocks, and disks that
# are told to fail; sourced by the case files of this area and by test/soak.
# shellcheck shell=bash

guest_kernel=$(test/guest/kernel guest) || exit 1
guest_initrd=build/guest/faults.cpio
mkdir -p build/guest
test/guest/mkguest -o "$guest_initrd" --add "$(command -v fio):/usr/bin/fio" \
	--add "$PWD/build/guest/stamped:/bin/stamped" \
	test/guest/faults.sh || exit 1

# What VTL2's kernel says of a controller that it recovers.
recovery='nvme.*(timeout|I/O tag|timed out|I/O error|controller is down)|status: timed out'

# Seconds that VTL2's kernel gives a command: 2, or VTL2's default.
nvme_timeout=2
timeouts() {
	echo "nvme_core.io_timeout=$1 nvme_core.admin_timeout=$1"
}

# faults_start ARGS...: $com1 is what the guest says; `send' goes to it.
faults_start() {
	# shellcheck disable=SC2034 # the cases read them
	com1=$case_dir/com1${boot-} com3=$case_dir/com3${boot-}
	control=$PWD/$case_dir/control vsock=$PWD/$case_dir/vsock
	vmm_limit=${faults_limit:-400} console_start "$com1" --igvm "$igvm" \
		-m 512MB -p 2 -c "loglevel=7 ${vtl2_append-$(timeouts \
			$nvme_timeout)}" \
		--vtl0-kernel "$guest_kernel/vmlinuz" \
		--vtl0-initrd "$guest_initrd" --vtl0-append \
		"console=ttyS0 quiet loglevel=4 pace=$PACE" \
		--vmbus-com1-serial console --com3 "file=$PWD/$com3" \
		--stats "$case_dir/stats" --control "$control" \
		--vtl2-vsock-path "$vsock" "$@"
	expect '^faults: ready' 90 "$com1"
}

# told LABEL COMMAND: the guest begins with it.
told() { send "$1 $2"; }

# ended LABEL SECONDS [STATUS]: it is through.
ended() {
	expect "^faults: $1 ended [0-9]" "$2" "$com1"
	[ -z "${3-}" ] || says "$com1" "^faults: $1 ended $3" 1
}

# guest LABEL SECONDS COMMAND: with status 0.
guest() {
	told "$1" "$3"
	ended "$1" "$2" 0
}

# fault DISK NAME [MORE]: MORE are members of JSON, `,"count":3'.
fault() {
	control fault "{\"disk\":$1,\"fault\":\"$2\"${3-}}"
}

# model DISK COUNTER: of its controller, now.
model() {
	ask stats | jq -e ".ok.disks[$1].nvme.$2" ||
		fail "no counter $2 of disk $1"
}

# tree FILTER: of the daemon's tree, now.
tree() {
	printf 'CONNECT 5\n{"path":"","depth":10}\n' |
		timeout 20 socat -t 10 - "UNIX-CONNECT:$vsock" |
		tail -n +2 | jq -ce "$1"
}

# state LUN: of the guest's first controller.
state() {
	tree "[.. | .lun$1? | .state? // empty] | map(select(. != null)) | .[0]" |
		tr -d '"'
}

# becomes LUN STATE SECONDS
becomes() {
	local i

	for ((i = 0; i < $3 * PACE; i++)); do
		[ "$(state "$1")" != "$2" ] || return 0
		sleep 1
	done
	fail "LUN $1 is \`$(state "$1")', not $2, after $3 s"
}

says_nothing_lost() {
	findings "$1" | grep -Eq 'late 0, .* lost 0, torn 0, misplaced 0, stale 0, double 0, corrupt 0' ||
		fail "$2: $(findings "$1")"
}

# The last line of the run LABEL of stamped: findings.
findings() {
	tr -d '\r' <"$com1" | sed -n "/^faults: $1 ended/q
		/^stamped: failed/p" | tail -n 1
}

faults_end() {
	send end
	vmm_end 0 60
	says "$com1" '^guest-exit: 0'
}
