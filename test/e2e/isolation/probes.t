# SPDX-License-Identifier: MIT
# The tiny guest probes; VTL2's shell and the guest's next start tell whether
# what it wrote did harm.
. test/e2e/lib.sh
. test/e2e/tiny/guest.sh

manifest=igvm/manifests/$FLAVOUR.json
ram=$(jq -r .ram_size "$manifest")
base=$(jq -r .base "$manifest")
canary='sha256sum /tmp/canary /init /bin/paravisor'

# The shell's answer to $canary, once more.
hashes() {
	send "$canary; echo done-\$((40+$1))"
	expect "done-4$1" 20
	sed -n "/done-4$(($1 - 1))/,\$p" "$com3" | tr -d '\r' |
		grep -aE '^[0-9a-f]{64} '
}

case_guest() {
	local before after go

	tiny_settings "$case_dir/settings.json"
	mkfifo "$case_dir/go"
	exec {go}<>"$case_dir/go"
	vmm_start --igvm "$igvm" -m 2GB -p 2 -c loglevel=7 \
		--vtl0-kernel build/guest/tiny \
		--vtl0-append "cases=X-09,I-* go=1 restart=1 vtl2=$base \
vtl2-size=$(numfmt --from=iec-i --suffix=B "$ram" | tr -d B) \
files=0xd00000000" \
		--disk mem:64MB,uh-nvme --settings "$case_dir/settings.json" \
		--vmbus-com1-serial "listen=$PWD/$case_dir/com1.socket"
	socat -t 1 "UNIX-CONNECT:$case_dir/com1.socket,retry=300,interval=0.1" \
		STDIO <"$case_dir/go" >"$tap" &
	expect '^# waiting' 40 "$tap"
	if [ "$FLAVOUR" = debug ]; then
		shell_open 20
		send 'head -c 16777216 /dev/urandom >/tmp/canary; echo done-$((40+0))'
		expect 'done-40' 20
		before=$(hashes 1)
	fi
	printf g >&"$go"
	expect '^# second start' 40 "$tap"
	if [ "$FLAVOUR" = debug ]; then
		after=$(hashes 2)
		[ "$(wc -l <<<"$before")" = 3 ] && [ "$before" = "$after" ] ||
			fail "canaries: $before; then $after"
	fi
	printf g >&"$go"
	vmm_end 0 20
	tap_complete
}

run_cases "guest: it probes; VTL2's canaries and VTL0's next start are intact"
run_rows
