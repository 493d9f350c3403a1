# SPDX-License-Identifier: MIT
# Disks and controllers that come and go while others are at work; another size;
# mistakes in settings, each refused whole.
. test/e2e/lib.sh
. test/e2e/storage/start.sh
for_flavour debug

# base [LUNS [CONTROLLERS]]: what stays, and what comes with it.
base() {
	printf '{"version":1,"storage":[{"instance":"%s","sub_channels":3,' \
		5ba1c4f0-7d3e-4b6a-9c21-766d6d000001
	printf '"luns":[{"lun":0,"serial":"MAIN","backend":%s}%s]}%s]}' \
		"$(nvme 0)" "${1-}" "${2-}"
}

# with N: of round N; a LUN and a controller more.
with() {
	base ",{\"lun\":$1,\"serial\":\"HOT$1\",\"backend\":$(nvme 1)}" \
		",{\"instance\":\"5ba1c4f0-7d3e-4b6a-9c21-766d6d00010$(($1 % 10))\",
		\"luns\":[{\"lun\":$((63 - $1)),\"serial\":\"FAR$1\",
		\"backend\":$(nvme 2)}]}"
}

case_hot() {
	local n

	base >"$case_dir/settings"
	storage_start hot 2 --settings "$case_dir/settings" \
		--disk mem:64M,uh-nvme --disk mem:32M,uh-nvme \
		--disk mem:32M,uh-nvme
	for n in 1 2 3 4 5 6 7 8 9 10; do
		expect "^storage: round $n waits" 90 "$com1"
		control settings "$(with $n)"
		expect "^storage: round $n seen" 40 "$com1"
		control settings "$(base)"
		expect "^storage: round $n gone" 40 "$com1"
	done
	refusals
	expect '^storage: resize waits' 20 "$com1"
	control nvme-resize '{"disk":0,"nsid":1,"size":"96M"}'
	expect '^storage: resize seen' 20 "$com1"
	expect '^storage: hot done' 60 "$com1"
	vmm_end 0 60
	says "$com1" '^guest-exit: 0'
	# The guest finds a unit gone that it had just looked at.
	allow 'srb 0x20|Sense Key|Synchronize Cache'
}

# wrong REGEX SETTINGS: refused whole, with the place and the rule.
wrong() {
	ask settings "$2" >"$case_dir/answer"
	jq -e --arg re "$1" '.error | test($re)' "$case_dir/answer" \
		>/dev/null ||
		fail "no \`$1' in: $(head -c 300 "$case_dir/answer")"
}

refusals() {
	local stripe

	wrong '^/storage/0/luns/1/lun: another LUN has this number' \
		"$(base ",{\"lun\":0,\"backend\":$(nvme 1)}")"
	wrong '^/storage/0/luns/1/backend/stripe/of/1/nvme: the stripe has' \
		"$(base ",{\"lun\":1,\"backend\":{\"stripe\":{\"chunk_kib\":64,
			\"of\":[$(nvme 1),$(nvme 1)]}}}")"
	wrong '^/storage/0/luns/2/backend/nvme: no such' \
		"$(base ",{\"lun\":1,\"backend\":$(nvme 1)},
			{\"lun\":2,\"backend\":$(nvme 2 7)}")"
	# shellcheck disable=SC2089
	stripe="{\"stripe\":{\"chunk_kib\":64,\"of\":[$(nvme 1),$(nvme 2)]}}"
	control nvme-resize '{"disk":2,"nsid":1,"size":"16M"}'
	wrong '^/storage/0/luns/1/backend/stripe' \
		"$(base ",{\"lun\":1,\"backend\":$stripe}")"
	wrong 'must be an integer from 0 to 63' \
		"$(base ",{\"lun\":64,\"backend\":$(nvme 1)}")"
	# And nothing of all that is there.
	ask stats | jq -e '.ok' >/dev/null || fail "vmm does not answer"
}

run_cases 'hot: ten rounds of LUNs and controllers; refusals; another size'
