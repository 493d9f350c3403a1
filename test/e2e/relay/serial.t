# SPDX-License-Identifier: MIT
# COM1 and COM2 of an unmodified guest, over VTL2 and the host's VMBus to two
# sockets of the host.
. test/e2e/lib.sh

guest_kernel=$(test/guest/kernel guest) || exit 1
guest_initrd=build/guest/serial.cpio
mkdir -p build/guest
test/guest/mkguest -o "$guest_initrd" test/guest/serial.sh || exit 1

# port_open N: what comes from COMN is in $case_dir/comN, and goes there from
# the file descriptor ${keys[N]}; ${client[N]} is who talks to it.
port_open() {
	local i fd

	for ((i = 0; i < 90 * PACE; i++)); do
		[ ! -S "$case_dir/port$1" ] || break
		sleep 1
	done
	mkfifo "$case_dir/keys"
	exec {fd}<>"$case_dir/keys"
	rm "$case_dir/keys"
	socat - "UNIX-CONNECT:$case_dir/port$1" <&"$fd" >"$case_dir/com$1" &
	keys[$1]=$fd client[$1]=$!
}

# A byte costs a guest two exits, up to a millisecond each in a nested lab, and
# its driver sends what it has, 4 KiB, in one interrupt: its kernel takes that for
# a CPU that hangs, and would say so in the middle of the data.
patient='rcupdate.rcu_cpu_stall_suppress=1 nosoftlockup'

# serial_start APPEND ARGS...
serial_start() {
	vmm_limit=180 vmm_start --igvm "$igvm" -m 512MB -p 2 -c loglevel=7 \
		--vtl0-kernel "$guest_kernel/vmlinuz" \
		--vtl0-initrd "$guest_initrd" \
		--vtl0-append "console=ttyS0 quiet loglevel=4 $patient $1" \
		--vmbus-com1-serial "listen=$PWD/$case_dir/port1" \
		--vmbus-com2-serial "listen=$PWD/$case_dir/port2" "${@:2}"
	com1=$case_dir/com1 com2=$case_dir/com2
	keys=() client=()
	port_open 1
	port_open 2
}

sum() { sha256sum | cut -d ' ' -f 1; }

# The 8 KiB behind the line `go' of COM1.
behind_go() {
	local at

	at=$(grep -abo '^serial: go$' "$com1" | head -n 1 | cut -d : -f 1)
	tail -c +$((at + 12)) "$com1" | head -c 8192
}

case_both() {
	local sent received

	serial_start job=both
	head -c 8192 /dev/urandom >"$case_dir/to1"
	head -c 8192 /dev/urandom >"$case_dir/to2"
	expect '^serial: go$' 90 "$com1"
	# The host does not read for 5 s, nor does the guest.
	kill -STOP "${client[@]}"
	cat "$case_dir/to1" >&"${keys[1]}"
	cat "$case_dir/to2" >&"${keys[2]}"
	sleep $((5 * PACE))
	kill -CONT "${client[@]}"
	expect '^serial: received [0-9a-f]{64} [0-9a-f]{64}$' 60 "$com1"
	sent=$(sed -nE 's/^serial: sends (.*)/\1/p' "$com1")
	received=$(sed -nE 's/^serial: received (.*)/\1/p' "$com1")
	[ "$received" = "$(sum <"$case_dir/to1") $(sum <"$case_dir/to2")" ] ||
		fail "the guest received something else: $received"
	[ "$sent" = "$(behind_go | sum) $(head -c 8192 "$com2" | sum)" ] ||
		fail "the host received something else"
	note "8 KiB each way on both ports are equal"

	expect '^serial: getty' 20 "$com1"
	expect 'login: ' 20 "$com2"
	echo root >&"${keys[2]}"
	expect 'Password: ' 20 "$com2"
	echo opensesame >&"${keys[2]}"
	expect '~ # ' 20 "$com2"
	# shellcheck disable=SC2016 # for the guest's shell
	echo 'echo $((6*7))-$(whoami)-there; exit' >&"${keys[2]}"
	expect '42-root-there' 20 "$com2"
	expect '^serial: logged out' 20 "$com1"
	vmm_end 0 30
}

case_held() {
	local i

	echo '{"version":1,"serial":{"com1":{"transmit_only":true},' \
		'"com2":{"wait_for_rts":true}}}' >"$case_dir/settings"
	serial_start job=held --settings "$case_dir/settings"
	# Letters, as the guest's terminal is not raw when it opens it.
	for ((i = 0; i < 20; i++)); do
		head -c 24 /dev/urandom | od -An -tx1 -v | tr -d ' \n'
		echo
	done | cut -c 1-49 | head -c 1000 >"$case_dir/to2"
	[ "$(wc -c <"$case_dir/to2")" = 980 ] || fail "to2 has a wrong size"
	printf 'nineteen more bytes\n' >>"$case_dir/to2"
	cat "$case_dir/to2" >&"${keys[2]}"
	head -c 300 /dev/urandom >&"${keys[1]}"
	expect '^serial: reads' 90 "$com1"
	for ((i = 0; i < 5; i++)); do
		echo 'typed in vain' >&"${keys[1]}"
		sleep 1
	done
	expect '^serial: got [0-9]+ bytes$' 60 "$com1"
	says "$com1" '^serial: got 0 bytes$' 1
	expect '^serial: late [0-9a-f]{64}$' 90 "$com1"
	says "$com1" "^serial: late $(sum <"$case_dir/to2")\$" 1
	vmm_end 0 30
}

run_cases 'both: 8 KiB each way on COM1 and COM2 at once, read late; a login' \
	'held: transmit-only gets no input, wait for RTS gets it late and whole'
