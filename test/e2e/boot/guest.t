# SPDX-License-Identifier: MIT
# An unmodified kernel in VTL0: that it runs, and how it ends.
. test/e2e/lib.sh

guest_kernel=$(test/guest/kernel guest) || exit 1
guest_initrd=build/guest/ending.cpio
mkdir -p build/guest
test/guest/mkguest -o "$guest_initrd" test/guest/ending.sh || exit 1

# guest_start ENDING [APPEND [VTL2-APPEND]]
guest_start() {
	com1=$case_dir/com1
	vmm_start --igvm "$igvm" -m 1GB -p 2 -c "loglevel=7 ${3-}" \
		--vtl0-kernel "$guest_kernel/vmlinuz" \
		--vtl0-initrd "$guest_initrd" --disk mem:64MB,uh-nvme \
		--vtl0-append \
		"console=ttyS0 quiet loglevel=4 ending=$1 ${2-}" \
		--vmbus-com1-serial "file=$com1"
}

# The demonstration of `make run', with a word it cannot know.
case_run() {
	local nonce sum release out=$case_dir/run status=0

	nonce=$(od -An -N12 -tx4 /dev/urandom | tr -d ' \n')
	sum=$(printf %s "$nonce" | sha256sum | cut -c 1-64)
	NONCE=$nonce TIMEOUT=120 LAB_ATTEMPTS=1 test/run </dev/null \
		>"$out" 2>&1 || status=$?
	cp build/log/run-com3.log "$case_dir/com3"
	case $status in
	5|125) touch "$case_dir/lab-failed"
		fail "the lab failed: status $status";;
	esac
	[ $status = 0 ] || fail "status $status: $(tail -n 1 "$out")"
	release=$(cat "$guest_kernel/release")
	says "$out" "^Linux .* ${release//+/\\+} "
	says "$out" 'Hyper-V: privilege flags'
	says "$out" '^VPs online: 2 '
	says "$out" '^sda '
	says "$out" 'read back after a new mount, equal; e2fsck clean'
	says "$out" "^sha256 of the nonce, .*: $sum"
}

case_poweroff() {
	local word=word_$RANDOM

	guest_start poweroff "vtl0.$word" "vtl2.$word"
	vmm_end 0 60
	says "$com1" '^guest-exit: 0'
	# The command lines do not mix.
	says "$com1" "^command line: .*vtl0\.$word"
	says "$com3" "Kernel command line: .*vtl2\.$word"
	! grep -aq "vtl2\.$word" "$com1" || fail "VTL0 was given VTL2's line"
	! grep -aq "vtl0\.$word" "$com3" || fail "VTL2 was given VTL0's line"
}

case_reboot() {
	guest_start reboot
	vmm_end 0 60
	says "$com1" '^first start, 2 VPs' 1
	says "$com1" '^second start, 2 VPs' 1
	says "$com1" '^guest-exit: 0' 1
	[ "$(grep -a '^start ' "$com1" | sort -u | wc -l)" = 2 ] ||
		fail "the guest's kernel did not start twice"
	says "$com3" 'Linux version' 1
	says "$com3" 'paravisor: up on' 1
	says "$com3" 'VTL0: reset' 1
}

case_crash() {
	allow 'Call Trace:'
	guest_start crash panic=-1
	vmm_end 3 60
	says "$com1" 'sysrq triggered crash'
	# Linux leaves the address and the size of its last words in P3, P4.
	says "$vmm_log" \
		'crashed on VP [01] in VTL0: .*P3 0x[1-9a-f].* P4 0x[1-9a-f]' 1
	says "$com3" 'VTL0, VP [01]: crash'
}

case_triple() {
	guest_start triple reboot=t
	vmm_end 3 60
	says "$vmm_log" 'guest had a triple fault on VP [01]' 1
	says "$com3" 'VTL0, VP [01]: triple fault'
	! grep -aq 'did not end' "$com1" || fail "the guest ran on"
}

run_cases "run: the demonstration, with a word it cannot know" \
	'poweroff: power-off ends vmm with 0; the command lines stay apart' \
	'reboot: VTL0 starts again, VTL2 runs on' \
	'crash: a crash in VTL0 ends vmm with 3 and its crash registers' \
	'triple: a triple fault in VTL0 ends vmm with 3'
