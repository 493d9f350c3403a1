// SPDX-License-Identifier: MIT
#include "rss.h"

/* The table repeats its first `period` entries, which are distinct. */
static bool has_period(const struct nic_rss *rss, unsigned int period)
{
	uint64_t seen = 0;

	for (unsigned int i = 0; i < rss->entries; i++) {
		uint64_t bit = 1ull << rss->table[i];

		if (rss->table[i] != rss->table[i % period])
			return false;
		if (i < period && seen & bit)
			return false;
		seen |= bit;
	}
	return true;
}

bool mana_rss_order(const struct nic_rss *rss, unsigned int nr_queues,
		    uint16_t order[NIC_MAX_QUEUES], unsigned int *nr_order)
{
	order[0] = 0;
	*nr_order = 1;
	if (!rss->entries)
		return true;
	for (unsigned int n = 1; n <= rss->entries && n <= NIC_MAX_QUEUES;
	     n *= 2) {
		if (!has_period(rss, n))
			continue;
		for (unsigned int i = 0; i < n; i++)
			order[i] = rss->table[i];
		*nr_order = n;
		return true;
	}
	for (unsigned int i = 0; i < nr_queues; i++)
		order[i] = (uint16_t)i;
	*nr_order = nr_queues;
	return false;
}
