/* SPDX-License-Identifier: MIT */
/*
 * Which tables of receive side scaling a vport can have.
 */
#ifndef MANA_RSS_H
#define MANA_RSS_H

#include <stdbool.h>
#include <stdint.h>

#include <pv/nic.h>

/*
 * The device spreads over a list of distinct queues, list[hash % nr] with `nr`
 * a power of two. Finds the list for a table; false: there is none, and it is
 * the one over all queues in turn. Pure.
 */
bool mana_rss_order(const struct nic_rss *rss, unsigned int nr_queues,
		    uint16_t order[NIC_MAX_QUEUES], unsigned int *nr_order);

#endif
