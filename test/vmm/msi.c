// SPDX-License-Identifier: MIT
/*
 * Interrupt messages, theory of operation
 *
 * Owns a table of pairs; the data word is the index. An entry has the vector
 * and VP that CREATE_INTERRUPT named (Linux names a placeholder there) until
 * HvRetargetDeviceInterrupt gives the real ones (TLFS, "Device Interrupts").
 * An interrupt that may go to several VPs goes to the lowest of them.
 *
 * Threads: created and freed on the device thread, retargeted on VPs' threads,
 * sent from the models' threads; one lock, held for a look at an entry.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include <hv_reg.h>

#include "msi.h"

struct msi_entry {
	bool used;
	uint8_t vector;
	unsigned int vp;
	uint64_t device;
};

struct msi_router {
	struct machine *machine;
	enum vtl vtl;
	pthread_mutex_t lock;
	struct msi_entry entry[MSI_MAX]; /* 0 stays unused */
	_Atomic uint64_t strays;
};

/* The lock is held. NULL: not a pair of the device's. */
static struct msi_entry *find(struct msi_router *router, uint64_t device,
			      uint32_t data)
{
	struct msi_entry *entry;

	if (data >= MSI_MAX)
		return NULL;
	entry = &router->entry[data];
	return entry->used && entry->device == device ? entry : NULL;
}

static uint16_t retarget(void *opaque, uint64_t device, uint64_t address,
			 uint32_t data, uint32_t vector, uint64_t vps)
{
	struct msi_router *router = opaque;
	uint16_t status = HV_STATUS_INVALID_PARAMETER;
	struct msi_entry *entry;

	if (address != MSI_ADDRESS || vector < 16 || vector > 255 || !vps)
		return status;
	pthread_mutex_lock(&router->lock);
	entry = find(router, device, data);
	if (entry) {
		entry->vector = (uint8_t)vector;
		entry->vp = (unsigned int)__builtin_ctzll(vps);
		status = HV_STATUS_SUCCESS;
	}
	pthread_mutex_unlock(&router->lock);
	return status;
}

struct msi_router *msi_create(struct machine *m, enum vtl vtl)
{
	struct msi_router *router = calloc(1, sizeof(*router));

	if (!router)
		return NULL;
	router->machine = m;
	router->vtl = vtl;
	pthread_mutex_init(&router->lock, NULL);
	machine_set_retarget(m, vtl, retarget, router);
	return router;
}

void msi_destroy(struct msi_router *router)
{
	if (!router)
		return;
	pthread_mutex_destroy(&router->lock);
	free(router);
}

uint32_t msi_allocate(struct msi_router *router, uint64_t device,
		      uint8_t vector, unsigned int vp)
{
	uint32_t data = 1;

	pthread_mutex_lock(&router->lock);
	while (data < MSI_MAX && router->entry[data].used)
		data++;
	if (data < MSI_MAX)
		router->entry[data] = (struct msi_entry){ true, vector, vp,
							  device };
	else
		data = 0;
	pthread_mutex_unlock(&router->lock);
	return data;
}

void msi_free(struct msi_router *router, uint64_t device, uint32_t data)
{
	struct msi_entry *entry;

	pthread_mutex_lock(&router->lock);
	entry = find(router, device, data);
	if (entry)
		entry->used = false;
	pthread_mutex_unlock(&router->lock);
}

void msi_free_all(struct msi_router *router, uint64_t device)
{
	pthread_mutex_lock(&router->lock);
	for (uint32_t i = 1; i < MSI_MAX; i++)
		if (find(router, device, i))
			router->entry[i].used = false;
	pthread_mutex_unlock(&router->lock);
}

void msi_send(struct msi_router *router, uint64_t address, uint32_t data)
{
	struct msi_entry entry = { 0 };

	pthread_mutex_lock(&router->lock);
	if (address == MSI_ADDRESS && data < MSI_MAX)
		entry = router->entry[data];
	pthread_mutex_unlock(&router->lock);
	if (entry.used)
		vp_interrupt(router->machine, router->vtl, entry.vp,
			     entry.vector);
	else
		atomic_fetch_add(&router->strays, 1);
}

uint64_t msi_strays(const struct msi_router *router)
{
	return atomic_load(&router->strays);
}
