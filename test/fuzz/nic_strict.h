/* SPDX-License-Identifier: MIT */
/*
 * A NIC for fuzzing: it judges what it is asked (fuzz_expect), and answers,
 * sends and receives when it is told to. It has no wire: frames that come are
 * only said to have come.
 */
#ifndef TEST_FUZZ_NIC_STRICT_H
#define TEST_FUZZ_NIC_STRICT_H

#include <pv/nic.h>

#define NIC_STRICT_QUEUES 4
#define NIC_STRICT_DEPTH 64

enum nic_strict_state { NIC_STOPPED, NIC_STARTING, NIC_RUNNING, NIC_STOPPING };

struct nic_queue {
	struct nic_strict *nic;
	struct reactor *reactor;
	void *client;
	unsigned int nr_posted, nr_tx;
	uint32_t posted[NIC_STRICT_DEPTH], room[NIC_STRICT_DEPTH];
	uint32_t tx[NIC_STRICT_DEPTH];
};

struct nic_strict {
	struct nic nic; /* first */
	const struct guest_memory *memory;
	struct reactor *reactor;
	enum nic_strict_state state;
	struct nic_start start;
	bool link_up;
	struct nic_queue queue[NIC_STRICT_QUEUES];
	uint64_t frames; /* taken to be sent */
};

void nic_strict_init(struct nic_strict *nic, const struct guest_memory *memory,
		     struct reactor *reactor);
/* Answers a start or a stop that waits; false: none does. */
bool nic_strict_answer(struct nic_strict *nic, int result);
/* On a queue: the oldest `n` frames are sent, or fail; `n` frames come, of this
 * length. False: nothing to do. */
bool nic_strict_sent(struct nic_strict *nic, unsigned int queue,
		     unsigned int n, bool failed);
bool nic_strict_receive(struct nic_strict *nic, unsigned int queue,
			unsigned int n, uint32_t len, uint16_t good,
			uint16_t bad);
void nic_strict_event(struct nic_strict *nic, enum nic_event event);

#endif
