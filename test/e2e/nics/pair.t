# SPDX-License-Identifier: MIT
# Every MTU, and tags, between two NICs of a guest.
. test/e2e/lib.sh
. test/e2e/net/start.sh
for_flavour debug

net_guest net_matrix

case_pair() {
	server_start $((64 << 10))
	net_start "job=pair" --net uh:pair,mtu=9000 --net uh:pair,mtu=9000
	vmm_end 0 160
	server_stop
	says "$com1" '^guest-exit: 0'
	says "$com1" '^net: good with MTU (576|1500|4000|9000)' 4
	says "$com1" '^net: tagged: 1 MiB each way'
	counted '.data_outside == 0 and .bad_access == 0 and .bad_wqes == 0'
	counted '.vports[0] | .tx_lso > 20 and .tx_errors == 0'
}

run_cases 'pair: MTU 576, 1500, 4000, 9000 and tags between two NICs'
