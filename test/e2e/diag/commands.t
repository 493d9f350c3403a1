# SPDX-License-Identifier: MIT
# Every command of pvctl, on the image as it is.
. test/e2e/lib.sh
. test/e2e/diag/start.sh

# Answered by either image.
both() {
	must 0 '^paravisor .*'"$FLAVOUR"' image, Linux 7' -- version
	must 0 '^partition: _' -- inspect
	must 0 '^  state: "running"' -- inspect -r -l 1
	must 0 '"state":"running"' -- inspect -j -r partition
	must 0 '^"running"' -- inspect partition/state
	must 1 'nowhere: no such path' -- inspect nowhere
	must 1 'nothing to update there' -- inspect partition/state -u no
	must 0 '^filter: "info"' -- log
	must 0 '^total: ' -- violations
	must 0 'reason: "(port|msr|hypercall|memory)"' -- trace 0 -n 50
	must 0 '^running 0x' -- sample 0
	must 0 '^paravisor .* VTL0 running, 1 VPs' -- top -n 1 -d 0.5
	must 0 '"vps":\[\{"vp":0,"exits":' -- --json top -n 1 -d 0.5
	must 2 'usage' -- sample 99999
	must 2 'not a command' -- nothing
	must 0 '"command":"version","result":\{"pvctl":' -- --json version
	must 1 '"error":\{"status":1,' -- --json inspect nowhere
}

# The first line of the log, and all the kernel said so far in its order.
kmsg() {
	must 0 '^\[ *0\.000000\] Linux version' -- kmsg
	[ "$(head -n 1 "$case_dir/pvctl" | sed 's/^\[[^]]*\] //')" = \
		"$(grep -am 1 'Linux version' "$com3" | tr -d '\r' |
			sed 's/^\[[^]]*\] //')" ] ||
		fail "line 1: $(head -n 1 "$case_dir/pvctl")"
	grep -aq '\] paravisor: up on 1 VPs' "$case_dir/pvctl" ||
		fail "the daemon's own lines are not in the log"
	must 0 -- --json kmsg
	jq -es 'all(.command == "kmsg") and
		([.[].sequence] == [range(.[0].sequence;
			.[0].sequence + length)])' "$case_dir/pvctl" \
		>/dev/null || fail "sequence numbers have a gap"
	# What is followed goes on until nobody wants it any more.
	timeout $((5 * PACE)) build/host/pvctl --vm "$vsock" kmsg -f \
		>"$case_dir/followed" 2>/dev/null || true
	grep -aq '\] paravisor: up on' "$case_dir/followed" ||
		fail "kmsg -f gave no log"
}

# What VTL2 saw of the guest, in the order of what the guest did.
exits() {
	local spin reached rip

	rip=$(sed -n 's/^# rdmsr at \(0x[0-9a-f]*\).*/\1/p' "$com1")
	must 0 "^$rip$" -- inspect msr/unknown/0xdeadbeef/rip
	spin=$(sed -n 's/^# spin at \(0x[0-9a-f]*\).*/\1/p' "$com1")
	must 0 -- sample 0 -n 100
	reached=$(grep -c "^running $spin$" "$case_dir/pvctl" || true)
	note "\`jmp \$': $reached of 100 samples at $spin"
	[ "$reached" -ge 80 ] || fail "$reached of 100 samples at $spin"
	# The oldest of the trace is the start: the hypercall page, then COM1.
	must 0 '"qualifier":"0x3f8"' -- inspect -j -r vp0/trace/4096
}

debug() {
	local before

	must 0 '^ *CPU0' -- run -- cat /proc/interrupts
	must 7 '^out' -- run -- sh -c 'echo out; exit 7'
	must 1 'No such file' -- run -- /nothing
	must 127 'applet not found' -- run -- nothing-of-that-name
	must 124 'still runs' -- -t $((2 * PACE)) run -- sleep 1000
	must 0 '^Linux version' -- file /proc/version
	must 1 'No such file' -- file /nowhere
	# shellcheck disable=SC2016 # for the shell in VTL2
	echo 'echo $((6*7)); tty; exit 9' >"$case_dir/typed_in"
	status=0
	pvctl shell <"$case_dir/typed_in" >"$case_dir/pvctl" || status=$?
	[ $status = 9 ] && grep -aq '^42' "$case_dir/pvctl" &&
		grep -aq '^/dev/pts/' "$case_dir/pvctl" ||
		fail "shell: status $status: $(head -c 300 "$case_dir/pvctl")"

	must 0 '^"info,msr=debug"' -- log msr=debug
	must 0 '^  msr: "debug"' -- log
	must 0 '^  partition: "info"' -- log
	must 1 'a level is' -- log msr=loud
	must 0 '^"info"' -- log info

	# The guest's time goes on, and it does not run.
	must 0 -- pause
	must 0 '^stopped' -- sample 0
	before=$(pvctl inspect vp0/entries)
	sleep 1
	[ "$(pvctl inspect vp0/entries)" = "$before" ] ||
		fail "a paused VP was entered"
	must 0 -- resume
	must 0 '^running' -- sample 0

	must 1 'VTL2 ends with its paravisor' -- restart
	must 1 'nothing waits for this' -- start
	must 1 'there is no NIC' -- pcap "$case_dir/pcap"
	must 1 'cannot be serviced' -- saved-state
}

release() {
	local command

	for command in 'shell' 'run true' 'file /proc/version' 'crash panic' \
		pause resume restart start 'pcap x' saved-state 'log debug'; do
		# shellcheck disable=SC2086 # words
		must 3 "$release_says" -- $command
	done
	must 3 "$release_says" -- inspect log/filter -u debug
}

case_commands() {
	# Words of a shell that a case tries, and no fault.
	allow 'sh: '
	tiny_start 1 'look-*'
	expect '^# spin at' 60 "$com1"
	both
	kmsg
	exits
	"$FLAVOUR"
	vmm_running || fail "vmm has ended"
	vmm_stop
	must 4 -- version
}

case_crash() {
	[ "$FLAVOUR" = debug ] || { crash_release; return; }
	allow 'Call Trace:'
	# Nobody takes one here, and a slow machine says so by the clock.
	allow 'core: the host does not take it'
	tiny_start 1 'look-*'
	expect '^# spin at' 60 "$com1"
	must 0 -- crash panic
	vmm_end 4 30
	says "$com3" 'crash: a client of the diagnosis port asked for it'
}

# A client that cannot be understood, and those who say nothing.
crash_release() {
	look_start 1
	expect 'paravisor: up on 1 VPs' 60
	{ printf 'CONNECT 1\n'; head -c 100000 /dev/urandom; } |
		timeout $((20 * PACE)) socat -t 2 - "UNIX-CONNECT:$vsock" \
			>/dev/null || true
	must 0 -- version
	vmm_stop
}

# The log over a restart of VTL2: each kernel's, whole.
case_restart() {
	local kmsg

	tiny_start 1 'look-*'
	expect '^# spin at' 60 "$com1"
	build/host/pvctl --vm "$vsock" kmsg -r >"$case_dir/kmsg" \
		2>"$case_dir/kmsg.said" &
	kmsg=$!
	expect '\] paravisor: up on' 30 "$case_dir/kmsg"
	vmm_stop
	mv "$com3" "$case_dir/com3.first"
	tiny_start 1 'look-*'
	expect '^# spin at' 60 "$com1"
	expect 'VTL2 has been started again' 30 "$case_dir/kmsg.said"
	sleep $((2 * PACE))
	kill $kmsg
	wait $kmsg || true
	says "$case_dir/kmsg" '^\[ *0\.000000\] Linux version' 2
	says "$case_dir/kmsg" '\] paravisor: up on' 2
	vmm_stop
}

run_cases "commands: each command, on a $FLAVOUR image" \
	'crash: VTL2 ends when it may be asked to; who speaks no ttrpc is dropped' \
	'restart: kmsg -r goes on with the next kernel'
