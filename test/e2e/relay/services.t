# SPDX-License-Identifier: MIT
# Integration services of the host, which VTL2 relays: an unmodified guest with
# hv_utils and hyperv-daemons.
. test/e2e/lib.sh

guest_kernel=$(test/guest/kernel guest) || exit 1
guest_initrd=build/guest/services.cpio
mkdir -p build/guest
test/guest/mkguest -o "$guest_initrd" --pkg hyperv-daemons \
	--add /etc/os-release:/etc/os-release test/guest/services.sh || exit 1

# services_start APPEND
services_start() {
	com1=$case_dir/com1
	control=$PWD/$case_dir/control
	vmm_limit=180 vmm_start --igvm "$igvm" -m 512MB -p 2 -c loglevel=7 \
		--vtl0-kernel "$guest_kernel/vmlinuz" \
		--vtl0-initrd "$guest_initrd" --vtl0-append \
		"console=ttyS0 quiet loglevel=4 $1" \
		--control "$control" --vmbus-redirect "${@:2}"
}

# asked COMMAND ARGS: the answer's `ok' is in $answer.
asked() {
	control "$1" "{$2}"
	answer=$(jq -c .ok "$case_dir/answer")
}

# ready SERVICE: until its versions are agreed on.
ready() {
	local i

	for ((i = 0; i < 20 * PACE; i++)); do
		asked inspect "\"path\":\"ic/$1\""
		! jq -e '.state == "ready"' <<<"$answer" >/dev/null || return 0
		sleep 1
	done
	fail "$1 is not ready: $answer"
}

# The guest's clock, as it said last, less the host's.
ahead() {
	local clock

	clock=$(sed -nE 's/^services: clock ([0-9]+).*/\1/p' "$com1" | tail -n 1)
	echo $((clock - $(date +%s)))
}

# follows SECONDS: the guest's clock is so much ahead, soon.
follows() {
	local i off

	for ((i = 0; i < 20 * PACE; i++)); do
		off=$(($(ahead) - $1))
		[ "$off" -lt -20 ] || [ "$off" -gt 20 ] || return 0
		sleep 1
	done
	fail "the guest's clock is $(ahead) s ahead, not $1"
}

case_services() {
	local began

	services_start '' --vmbus-com1-serial "file=$case_dir/com1"
	expect '^services: clock' 90 "$com1"
	ready time
	follows 0
	asked time '"offset":3600'
	follows 3600
	ready kvp
	asked kvp-get '"key":"OSName"'
	note "OSName: $answer"
	jq -e '.value | test("Debian")' <<<"$answer" >/dev/null ||
		fail "OSName: $answer"
	asked kvp-get '"key":"OSBuildNumber"'
	note "OSBuildNumber: $answer"
	ready heartbeat
	asked inspect '"path":"ic/heartbeat"'
	jq -e '.heart == "beats" and .losses == 0' <<<"$answer" >/dev/null ||
		fail "heartbeat: $answer"
	ready shutdown
	began=$SECONDS
	asked shutdown ''
	vmm_end 0 30
	note "powered off $((SECONDS - began)) s after it was asked"
	says "$com1" '^services: asked to shut down'
	says "$com1" '^guest-exit: 0'
	! grep -q 'heartbeat lost' "$vmm_log" || fail "$(cat "$vmm_log")"
}

case_heartbeat() {
	local i

	services_start halt --vmbus-com1-serial "listen=$PWD/$case_dir/serial"
	for ((i = 0; i < 90 * PACE; i++)); do
		[ ! -S "$case_dir/serial" ] || break
		sleep 1
	done
	mkfifo "$case_dir/keys"
	exec {keys}<>"$case_dir/keys"
	rm "$case_dir/keys"
	socat - "UNIX-CONNECT:$case_dir/serial" <&"$keys" >"$com1" &
	expect '^services: drivers are there' 90 "$com1"
	ready heartbeat
	for ((i = 0; i < 20 * PACE; i++)); do
		asked inspect '"path":"ic/heartbeat"'
		! jq -e '.beats > 1' <<<"$answer" >/dev/null || break
		sleep 1
	done
	jq -e '.heart == "beats"' <<<"$answer" >/dev/null ||
		fail "heartbeat: $answer"
	echo >&"$keys"
	expect '^services: halting' 20 "$com1"
	expect '^vmm: heartbeat lost' 30 "$vmm_log"
	asked inspect '"path":"ic/heartbeat"'
	jq -e '.heart == "lost" and .losses == 1' <<<"$answer" >/dev/null ||
		fail "heartbeat: $answer"
	says "$vmm_log" '^vmm: heartbeat lost' 1
	asked quit ''
	vmm_end 0 20
}

run_cases 'services: clock, keys, heartbeat and shutdown of an unmodified guest' \
	'heartbeat: a guest that stops for good has lost it'
