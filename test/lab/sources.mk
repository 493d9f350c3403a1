# SPDX-License-Identifier: MIT
host_programs += kvm-probe lab-front lab-client lab-agent
kvm-probe_sources := test/lab/kvm_probe.c
lab-front_sources := test/lab/front.c test/lab/mux.c
lab-client_sources := test/lab/client.c
lab-agent_sources := test/lab/agent.c test/lab/mux.c
