// SPDX-License-Identifier: MIT
/*
 * Ports and memory-mapped registers: which device of a VTL has an address, and
 * the promise that a removed device is not called any more.
 *
 * Regions, message ports and event ports are in lists under machine->lock. A
 * VP finds its target with the lock held, notes it in vp->in_callback, lets go
 * of the lock and calls. Whoever removes the target unlinks it and waits until
 * no other VP has it noted. So callbacks run without a lock, and a callback
 * may remove its own region.
 *
 * An access that nobody answers reads as all ones and is counted.
 */
#include <assert.h>
#include <errno.h>

#include "vp.h"

void callback_begin(struct vp *vp, const void *what)
{
	atomic_store(&vp->in_callback, what);
}

void callback_end(struct vp *vp)
{
	atomic_store(&vp->in_callback, NULL);
	pthread_mutex_lock(&vp->m->lock);
	pthread_cond_broadcast(&vp->m->callback_ended);
	pthread_mutex_unlock(&vp->m->lock);
}

void callback_wait(struct machine *m, const void *what)
{
	for (unsigned int i = 0; i < m->config.vps; i++) {
		struct vp *vp = &m->vps[i];

		if (pthread_equal(pthread_self(), vp->thread))
			continue;
		while (atomic_load(&vp->in_callback) == what)
			pthread_cond_wait(&m->callback_ended, &m->lock);
	}
}

static struct io_region *find(struct io_region *list, uint64_t address,
			      unsigned int size)
{
	for (struct io_region *r = list; r; r = r->next)
		if (address >= r->base && address - r->base < r->size &&
		    size <= r->size - (address - r->base))
			return r;
	return NULL;
}

static bool access_region(struct vp *vp, struct io_region **list,
			  uint64_t address, bool write, unsigned int size,
			  uint64_t *value)
{
	struct io_region *r;

	pthread_mutex_lock(&vp->m->lock);
	r = find(*list, address, size);
	if (r)
		callback_begin(vp, r);
	pthread_mutex_unlock(&vp->m->lock);
	if (!r) {
		if (!write)
			*value = UINT64_MAX;
		return false;
	}
	if (write && r->write)
		r->write(r->opaque, address - r->base, size, *value);
	else if (!write)
		*value = r->read ? r->read(r->opaque, address - r->base, size) :
				   UINT64_MAX;
	callback_end(vp);
	return true;
}

bool io_port(struct vp *vp, enum vtl vtl, uint16_t port, bool write,
	     unsigned int size, uint64_t *value)
{
	return access_region(vp, &machine_view(vp->m, vtl)->ports, port, write,
			     size, value);
}

bool io_memory(struct vp *vp, enum vtl vtl, uint64_t gpa, bool write,
	       unsigned int size, uint64_t *value)
{
	return access_region(vp, &machine_view(vp->m, vtl)->mmio, gpa, write,
			     size, value);
}

void io_eoi(struct vp *vp, uint8_t vector)
{
	struct vtl_view *view = machine_view(vp->m, VTL0);

	if (view->eoi)
		view->eoi(view->eoi_opaque, vector);
}

static int add(struct machine *m, struct io_region **list, struct io_region *r)
{
	int ret = 0;

	if (r->base + r->size < r->base)
		return -EINVAL;
	pthread_mutex_lock(&m->lock);
	for (struct io_region *i = *list; i; i = i->next)
		if (r->base < i->base + i->size && i->base < r->base + r->size)
			ret = -EEXIST;
	if (!ret) {
		r->next = *list;
		*list = r;
	}
	pthread_mutex_unlock(&m->lock);
	return ret;
}

void machine_add_ports(struct machine *m, enum vtl vtl, struct io_region *r)
{
	int ret = add(m, &machine_view(m, vtl)->ports, r);

	assert(!ret);
	(void)ret;
}

int machine_add_mmio(struct machine *m, enum vtl vtl, struct io_region *r)
{
	return add(m, &machine_view(m, vtl)->mmio, r);
}

void machine_remove_mmio(struct machine *m, enum vtl vtl, struct io_region *r)
{
	struct io_region **at = &machine_view(m, vtl)->mmio;

	pthread_mutex_lock(&m->lock);
	while (*at && *at != r)
		at = &(*at)->next;
	if (*at) {
		*at = r->next;
		callback_wait(m, r);
	}
	pthread_mutex_unlock(&m->lock);
}

void machine_add_message_port(struct machine *m, struct message_port *port)
{
	struct vtl_view *view = machine_view(m, port->vtl);

	pthread_mutex_lock(&m->lock);
	port->next = view->messages;
	view->messages = port;
	pthread_mutex_unlock(&m->lock);
}

void machine_add_event_port(struct machine *m, struct event_port *port)
{
	struct vtl_view *view = machine_view(m, port->vtl);

	pthread_mutex_lock(&m->lock);
	port->next = view->events;
	view->events = port;
	pthread_mutex_unlock(&m->lock);
}

void machine_remove_event_port(struct machine *m, struct event_port *port)
{
	struct event_port **at = &machine_view(m, port->vtl)->events;

	pthread_mutex_lock(&m->lock);
	while (*at && *at != port)
		at = &(*at)->next;
	if (*at) {
		*at = port->next;
		callback_wait(m, port);
	}
	pthread_mutex_unlock(&m->lock);
}

void machine_set_retarget(struct machine *m, enum vtl vtl,
			  uint16_t (*retarget)(void *opaque, uint64_t device,
					       uint64_t address, uint32_t data,
					       uint32_t vector, uint64_t vps),
			  void *opaque)
{
	struct vtl_view *view = machine_view(m, vtl);

	pthread_mutex_lock(&m->lock);
	view->retarget = retarget;
	view->retarget_opaque = opaque;
	pthread_mutex_unlock(&m->lock);
}

void machine_set_eoi(struct machine *m,
		     void (*eoi)(void *opaque, uint8_t vector), void *opaque)
{
	struct vtl_view *view = machine_view(m, VTL0);

	view->eoi = eoi;
	view->eoi_opaque = opaque;
}
