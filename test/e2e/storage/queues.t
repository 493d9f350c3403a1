# SPDX-License-Identifier: MIT
# Several queues: each VP has a channel, and works on it alone.
. test/e2e/lib.sh
. test/e2e/storage/start.sh

[ "$FLAVOUR" = debug ] ||
	note 'storage: release runs the same daemon; the area runs with debug'
for_flavour debug

case_queues() {
	cat >"$case_dir/settings" <<-EOF
	{"version":1,"storage":[{"instance":
	"5ba1c4f0-7d3e-4b6a-9c21-766d6d000001","sub_channels":3,
	"luns":[{"lun":0,"serial":"MAIN","backend":$(nvme 0)}]}]}
	EOF
	storage_start queues 4 --settings "$case_dir/settings" \
		--disk mem:96M,uh-nvme
	expect '^storage: queues done' 150 "$com1"
	stats_to "$case_dir/seen"
	vmm_end 0 60
	says "$com1" '^guest-exit: 0'
	# The primary, and three sub-channels, each with its own VP and work:
	# 512 commands, of which one interrupt can complete 16 at most.
	awk '/^storage: channel/ { gsub("\r", ""); cpus[$5] = 1
		if ($7 >= 32) n++ }
		END { for (c in cpus) vps++; exit !(n >= 4 && vps >= 4) }' \
		"$com1" || fail "fewer than 4 channels carried I/O:" \
		"$(grep -a 'storage: channel' "$com1" | tr -d '\r' | xargs)"
	[ "$(jq -s '[.[1] | .. | .cross_reactor_completions? // empty] | add' \
		"$case_dir/seen")" = 0 ] ||
		fail "a completion was on another VP than its channel"
}

run_cases 'queues: 4 VPs, each with a channel of its own'
