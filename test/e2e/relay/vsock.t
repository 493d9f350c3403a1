# SPDX-License-Identifier: MIT
# Sockets of an unmodified guest: through VTL2's relay of the host's bus, and on
# a bus of the guest's own without VTL2. They are in /dev/shm: in the nested lab
# that is the lab's, where vmm has to find its peer.
. test/e2e/lib.sh

guest_kernel=$(test/guest/kernel guest) || exit 1
guest_initrd=build/guest/vsock.cpio
mkdir -p build/guest
test/guest/mkguest -o "$guest_initrd" --pkg socat test/guest/vsock.sh || exit 1
clients=20

# dial PORT [FILE]: all that the guest's port answers to the bytes of FILE,
# after the line that says it is connected.
dial() {
	{ echo "CONNECT $1"; cat "${2-/dev/null}"; } |
		timeout $((60 * PACE)) socat -t $((40 * PACE)) - \
			"UNIX-CONNECT:$sockets"
}

# What of a guest's words stands behind NAME.
told() { sed -nE "s/^vsock: $1 ([0-9a-f]{64}).*/\1/p" "$com1"; }

peer_start() {
	sockets=/dev/shm/paravisor-$$-${case_dir##*/}
	control=$PWD/$case_dir/control
	LAB_ATTEMPTS=1 LAB_VMM=$(command -v socat) $lab \
		--timeout $((200 * PACE)) -- \
		"UNIX-LISTEN:${sockets}_9981,fork" EXEC:sha256sum \
		>"$case_dir/peer" 2>&1 &
	peer=$!
	trap 'kill $peer 2>/dev/null; rm -f "$sockets"*' EXIT
}

# The same, whichever bus the guest's sockets are on.
sockets_work() {
	local began i n=0

	expect '^vsock: listens' 90 "$com1"
	head -c 65536 /dev/urandom >"$case_dir/bytes"
	{ echo "OK 9980"; cat "$case_dir/bytes"; } >"$case_dir/right"
	dial 9980 "$case_dir/bytes" >"$case_dir/echo"
	cmp "$case_dir/echo" "$case_dir/right" || fail "not what was sent"

	expect '^vsock: refused' 60 "$com1"
	[ -n "$(told sent)" ] && [ "$(told answer)" = "$(told sent)" ] ||
		fail "the host got something else than the guest sent"
	read -r from to < <(sed -nE \
		's/^vsock: refused from ([0-9.]+) to ([0-9.]+).*/\1 \2/p' "$com1")
	note "guest, port nobody has: refused within $(
		awk "BEGIN { print $to - $from }") s"

	# One direction is at its end, the other still answers.
	head -c 1048576 /dev/urandom >"$case_dir/much"
	dial 9982 "$case_dir/much" >"$case_dir/sum"
	[ "$(sed -n 2p "$case_dir/sum" | cut -d ' ' -f 1)" = \
		"$(sha256sum <"$case_dir/much" | cut -d ' ' -f 1)" ] ||
		fail "half closed: $(head -c 200 "$case_dir/sum")"

	began=$(date +%s%N)
	dial 9999 >"$case_dir/nobody"
	began=$((($(date +%s%N) - began) / 1000000))
	note "host, port nobody has: refused within $began ms"
	[ ! -s "$case_dir/nobody" ] && [ $began -lt $((2000 * PACE)) ] ||
		fail "refused after $began ms: $(cat "$case_dir/nobody")"

	for ((i = 0; i < clients; i++)); do
		dial 9980 "$case_dir/bytes" >"$case_dir/echo$i" &
		jobs[i]=$!
	done
	for ((i = 0; i < clients; i++)); do
		wait "${jobs[i]}" || true
		! cmp -s "$case_dir/echo$i" "$case_dir/right" || n=$((n + 1))
	done
	[ $n = $clients ] || fail "$n of $clients connections at once were right"
	# The console's own word for it, until the guest ends.
	send "v 9980"
	send "typed at the console"
	expect '^typed at the console$' 20 "$said"
	dial 9983 >/dev/null
	vmm_end 0 40
	says "$com1" '^vsock: done'
	says "$com1" '^guest-exit: 0'
}

case_relayed() {
	peer_start
	com1=$case_dir/com1 com3=$case_dir/com3 said=$case_dir/said
	vmm_limit=180 console_start "$said" --igvm "$igvm" -m 512MB -p 2 \
		-c loglevel=7 --com3 "file=$com3" --console \
		--vtl0-kernel "$guest_kernel/vmlinuz" \
		--vtl0-initrd "$guest_initrd" \
		--vtl0-append "console=ttyS0 quiet loglevel=4 pace=$PACE" \
		--vmbus-com1-serial "file=$com1" --control "$control" \
		--vmbus-redirect --vsock-path "$sockets"
	sockets_work
}

case_direct() {
	peer_start
	com1=$case_dir/com1 said=$case_dir/said
	vmm_limit=180 console_start "$said" -m 512MB -p 2 --console \
		--vtl0-kernel "$guest_kernel/vmlinuz" \
		--vtl0-initrd "$guest_initrd" \
		-c "console=ttyS0 quiet loglevel=4 pace=$PACE" \
		--com1 "file=$com1" --vsock-path "$sockets"
	sockets_work
}

run_cases 'relayed: sockets both ways, 20 at once, half closed, refused, v 9980' \
	'direct: the same without VTL2'
