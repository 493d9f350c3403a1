# SPDX-License-Identifier: MIT
# What VTL2 leaves behind, whatever ends it, read without a machine.
. test/e2e/lib.sh
for_flavour debug

pvctl=build/host/pvctl
guest_kernel=$(test/guest/kernel guest) || exit 1
guest_initrd=build/guest/staying.cpio
mkdir -p build/guest
test/guest/mkguest -o "$guest_initrd" test/guest/staying.sh || exit 1

# A guest that is up, and VTL2's shell.
box_start() {
	com1=$case_dir/com1
	box=$case_dir/box
	vmm_start --igvm "$igvm" -m 512M -p 2 -c loglevel=7 \
		--vtl0-kernel "$guest_kernel/vmlinuz" \
		--vtl0-initrd "$guest_initrd" --disk mem:64MB,uh-nvme \
		--vtl0-append 'console=ttyS0 quiet loglevel=4' \
		--vmbus-com1-serial "file=$com1" --blackbox "$box" "$@"
	expect '^staying: ' 60 "$com1"
	shell_open 20
	! [ -e "$box" ] || fail "there is a black box while VTL2 runs"
}

# Of every end: exits of both VPs and the guest's way to its devices. The file
# is in $box, the report in $said and, for a program, $box.json.
box_read() {
	said=$case_dir/report
	[ -s "$box" ] && [ ! -e "$box.part" ] || fail "there is no black box"
	"$pvctl" blackbox "$box" >"$said" || fail "pvctl: status $?"
	"$pvctl" blackbox --json -n 1024 "$box" >"$box.json" ||
		fail "pvctl --json: status $?"
	python3 -B -c 'import json, sys
from jsonschema import Draft202012Validator as Validator
schema, box = (json.load(open(name)) for name in sys.argv[1:])
Validator.check_schema(schema)
sys.exit("\n".join(e.message[:200] for e in
                   Validator(schema).iter_errors(box)) or None)' \
		paravisor/pvctl_blackbox.schema.json "$box.json" ||
		fail "the JSON is not what its schema says"
	"$pvctl" report -o "$box.html" "$box" || fail "pvctl report: status $?"
	says "$box.html" '>VP [01]: [0-9]{2,} exits<' 2
	says "$box.html" '>OPENCHANNEL_RESULT<'
	says "$said" '^Kernel: console' 1
	says "$said" 'Linux version 7\.'
	says "$said" 'info  partition: VTL0 runs on 2 VPs'
	says "$said" '^VP [01]: [0-9]{2,} exits' 2
	# The newest ones: which, is the guest's affair, but it is a kernel's.
	says "$said" '#[0-9]+ [a-z]+ .* rip 0xf'
	says "$said" ' -> OPENCHANNEL, '
	says "$said" ' <- OPENCHANNEL_RESULT, '
	jq -e '.version == 1 and (.vps | length) == 2 and
		([.vps[].last | length] | min) >= 20 and
		([.vps[].last[] | select(.ns == 0)] | length) == 0 and
		([.vps[].last[] | select(.reason == "hypercall")] |
			length) >= 5 and
		([.vmbus[] | select(.from == "vtl0")] | length) >= 5 and
		([.vmbus[] | select(.from == "vtl2")] | length) >= 5' \
		"$box.json" >/dev/null || fail "what the report holds"
}

case_panic() {
	allow 'Call Trace:'
	box_start
	send 'echo c >/proc/sysrq-trigger'
	vmm_end 4 20
	box_read
	says "$said" 'Kernel panic - not syncing: sysrq triggered crash'
	says "$said" ' sysrq_handle_crash\+0x'
	says "$box.html" '>Kernel panic - not syncing: sysrq triggered crash<'
	jq -e '.first_signal == null and (.console |
		contains("Kernel panic - not syncing: sysrq triggered crash"))' \
		"$box.json" >/dev/null || fail "what it says of the end"
}

case_signal() {
	local core=$case_dir/core vsock=$case_dir/vsock.socket

	box_start --vtl2-vsock-path "$vsock" --core "$core"
	# shellcheck disable=SC2016 # for the shell in VTL2
	send 'kill -SEGV $(pidof paravisor)'
	vmm_end 4 60
	box_read
	says "$said" 'signal 11, code 0, address'
	says "$box.html" '>The daemon: <code>SIGSEGV<'
	says "$said" 'init: /bin/paravisor was killed by signal 11'
	jq -e '.first_signal.signal == 11 and
		(.first_signal.stack | length) == 64' "$box.json" >/dev/null ||
		fail "what it says of the signal"
	# The core: threads, variables, and whose frames there are. musl has no
	# tables to unwind by, so of a thread that waits in it gdb shows these as
	# return addresses.
	says "$core.log" 'paravisor: up on 2 VPs'
	# shellcheck disable=SC2016 # for gdb
	gdb -nx -batch -ex 'info threads' -ex 'print self.partition.nr_vps' \
		-ex 'print self.tree.black_box' \
		-ex 'thread apply all x/64a $rsp' \
		"build/$FLAVOUR/paravisor.debug" "$core" \
		>"$case_dir/gdb" 2>&1 || fail "gdb: status $?"
	says "$case_dir/gdb" 'terminated with signal SIGSEGV'
	says "$case_dir/gdb" '^[* ]*[0-9]+ +LWP '
	says "$case_dir/gdb" '^\$1 = 2$'
	says "$case_dir/gdb" '^\$2 = \{gpa = 2009071616, size = 4194304\}'
	says "$case_dir/gdb" '<main\+|<diag_inspect_serve\+'
	says "$case_dir/gdb" '<vp_thread\+'
}

# With reboot=t this is one: nobody has a last word.
case_triple() {
	box_start
	send 'echo b >/proc/sysrq-trigger'
	vmm_end 4 20
	says "$vmm_log" 'VTL2 .*triple fault'
	box_read
	says "$said" 'sysrq: Resetting'
	jq -e '(.kernel_dumps | length) == 0 and .first_signal == null' \
		"$box.json" >/dev/null || fail "what else it says"
}

# An end from outside: nothing failed.
case_stopped() {
	control=$PWD/$case_dir/control.socket
	box_start --control "$control"
	control quit
	vmm_end 0 20
	box_read
	jq -e '.first_error == null and .first_signal == null and
		(.kernel_dumps | length) == 0' "$box.json" >/dev/null ||
		fail "a failure in a machine that was only stopped"
}

run_cases 'panic: the text of a panic, and what went on before' \
	'signal: the daemon is killed: registers, stack, and a core for gdb' \
	'triple: a triple fault of VTL2: what went on before' \
	'stopped: a machine that is stopped leaves it as well'
