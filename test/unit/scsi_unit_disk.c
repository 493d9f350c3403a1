/* SPDX-License-Identifier: MIT */
/* See scsi_unit_disk.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "test/unit/scsi_unit.h"
#include "test/unit/scsi_unit_disk.h"

/* Reservations (NVM Express Base Specification 2.0, 8.19). */

static bool for_all(const struct unit_disk *d)
{
	return d->type == DISK_WRITE_EXCLUSIVE_ALL ||
	       d->type == DISK_EXCLUSIVE_ACCESS_ALL;
}

static bool holds(const struct unit_disk *d, unsigned int host)
{
	return d->type && d->key[host] && (for_all(d) || d->holder == host);
}

static void report(const struct unit_disk *d, struct disk_reservation *r)
{
	r->generation = d->generation;
	r->persists = d->persists;
	r->type = d->type;
	for (unsigned int i = 0; i < UNIT_DISK_HOSTS; i++) {
		unsigned int at = r->nr_registrants;

		if (!d->key[i])
			continue;
		r->registrant[at].key = d->key[i];
		r->registrant[at].holder = holds(d, i);
		r->registrant[at].self = !i;
		memset(r->registrant[at].host, 0xa0 + (int)i, 16);
		r->nr_registrants++;
	}
}

static void leave(struct unit_disk *d, unsigned int host)
{
	if (holds(d, host) && !for_all(d))
		d->type = 0;
	d->key[host] = 0;
	if (!d->key[!host])
		d->type = 0;
}

static enum disk_status change(struct unit_disk *d, unsigned int host,
			       const struct disk_reservation *r)
{
	if (r->action == DISK_REGISTER) {
		if (d->key[host] && d->key[host] != r->new_key)
			return DISK_CONFLICT;
		d->key[host] = r->new_key;
	} else if (r->action == DISK_REPLACE) {
		if (!r->ignore_key && d->key[host] != r->key)
			return DISK_CONFLICT;
		d->key[host] = r->new_key;
	} else {
		if (!d->key[host] ||
		    (!r->ignore_key && d->key[host] != r->key))
			return DISK_CONFLICT;
		leave(d, host);
	}
	if (r->set_persist)
		d->persists = r->persist;
	d->generation++;
	return DISK_OK;
}

static enum disk_status preempt(struct unit_disk *d, unsigned int host,
				const struct disk_reservation *r)
{
	bool was_holder = d->type && d->key[d->holder] == r->new_key;

	if (!r->new_key && !for_all(d))
		return DISK_INVALID;
	if (d->key[!host] != r->new_key)
		return DISK_CONFLICT;
	leave(d, !host);
	if (was_holder) {
		d->holder = host;
		d->type = r->type;
	}
	d->generation++;
	return DISK_OK;
}

enum disk_status unit_disk_reserve(struct unit_disk *d, unsigned int host,
				   struct disk_reservation *r)
{
	if (r->action == DISK_REPORT) {
		report(d, r);
		return DISK_OK;
	}
	if (r->action <= DISK_REPLACE)
		return change(d, host, r);
	if (!d->key[host] || d->key[host] != r->key)
		return DISK_CONFLICT;
	switch (r->action) {
	case DISK_RESERVE:
		if (d->type && (!holds(d, host) || d->type != r->type))
			return DISK_CONFLICT;
		d->type = r->type;
		d->holder = host;
		return DISK_OK;
	case DISK_RELEASE:
		if (!holds(d, host))
			return DISK_OK;
		if (d->type != r->type)
			return DISK_INVALID;
		d->type = 0;
		return DISK_OK;
	case DISK_CLEAR:
		memset(d->key, 0, sizeof(d->key));
		d->type = 0;
		d->generation++;
		return DISK_OK;
	default:
		return preempt(d, host, r);
	}
}

static bool conflicts(const struct unit_disk *d, uint8_t op)
{
	bool reads = op == DISK_READ || op == DISK_COMPARE ||
		     op == DISK_VERIFY || op == DISK_FLUSH;
	bool exclusive = d->type == DISK_EXCLUSIVE_ACCESS ||
			 d->type == DISK_EXCLUSIVE_ACCESS_REGISTRANTS ||
			 d->type == DISK_EXCLUSIVE_ACCESS_ALL;

	if (!d->type || holds(d, 0) || op == DISK_RESERVATION)
		return false;
	if (d->type > DISK_EXCLUSIVE_ACCESS && d->key[0])
		return false;
	return !reads || exclusive;
}

/* Requests. */

static void copy(const struct unit_disk *d, const struct disk_request *req,
		 uint8_t *to, bool out)
{
	uint32_t bytes = req->blocks * d->info.block_size;

	if (req->buffer) {
		memcpy(out ? to : req->buffer, out ? req->buffer : to, bytes);
		return;
	}
	for (unsigned int i = 0; i < req->nr_ranges; i++) {
		const struct gpa_range *r = &req->ranges[i];

		if (out)
			assert_int_equal(guest_memory_read(
				&memory, r->gpa, to, r->len), 0);
		else
			assert_int_equal(guest_memory_write(
				&memory, r->gpa, to, r->len), 0);
		to += r->len;
	}
}

static enum disk_status carry_out(struct unit_disk *d,
				  const struct disk_request *req)
{
	uint8_t *at = d->medium + req->lba * d->info.block_size;
	size_t bytes = (size_t)req->blocks * d->info.block_size;
	enum disk_status status = DISK_OK;
	uint8_t *data;

	assert_true(req->lba + req->blocks <= d->info.blocks);
	if (conflicts(d, req->op))
		return DISK_CONFLICT;
	switch (req->op) {
	case DISK_READ:
		copy(d, req, at, false);
		break;
	case DISK_WRITE:
		copy(d, req, at, true);
		break;
	case DISK_COMPARE:
		assert_true(d->info.compare);
		data = malloc(bytes);
		assert_non_null(data);
		copy(d, req, data, true);
		if (memcmp(at, data, bytes))
			status = DISK_MISCOMPARE;
		free(data);
		break;
	case DISK_DISCARD:
	case DISK_WRITE_ZEROES:
		memset(at, 0, bytes);
		break;
	case DISK_VERIFY:
		assert_true(d->info.verify);
		break;
	case DISK_RESERVATION:
		d->last = *req->reservation;
		status = unit_disk_reserve(d, 0, req->reservation);
		break;
	default:
		assert_int_equal(req->op, DISK_FLUSH);
	}
	return status;
}

static void submit(struct disk_queue *queue, struct disk_request **reqs,
		   unsigned int nr)
{
	struct unit_disk *d = (struct unit_disk *)queue;

	for (unsigned int i = 0; i < nr; i++) {
		const struct disk_request *req = reqs[i];
		unsigned int at = d->nr_pending++;

		assert_true(at < 64 && d->nr < UNIT_DISK_LOG);
		d->log[d->nr] = (struct unit_disk_record){
			.op = req->op, .flags = req->flags, .lba = req->lba,
			.blocks = req->blocks, .bounced = req->buffer,
		};
		d->pending[at] = reqs[i];
		d->status[at] = d->fail_with != DISK_OK &&
				d->nr == d->fail_at ? d->fail_with :
						      carry_out(d, req);
		d->nr++;
	}
	reactor_post(d->reactor, &d->call);
}

static void tell(struct reactor_call *call)
{
	struct unit_disk *d = (struct unit_disk *)
		((char *)call - offsetof(struct unit_disk, call));
	unsigned int nr = d->nr_pending;
	struct disk_request *pending[64];
	enum disk_status status[64];

	memcpy(pending, d->pending, sizeof(pending));
	memcpy(status, d->status, sizeof(status));
	d->nr_pending = 0;
	for (unsigned int i = 0; i < nr; i++)
		pending[i]->done(pending[i], status[i]);
}

static void get_info(struct disk *disk, struct disk_info *info)
{
	*info = ((struct unit_disk *)disk)->info;
}

static int queue_open(struct disk *disk, struct reactor *r, unsigned int depth,
		      struct disk_queue **queue)
{
	struct unit_disk *d = (struct unit_disk *)disk;

	(void)depth;
	d->reactor = r;
	d->call.fn = tell;
	*queue = (struct disk_queue *)d;
	return 0;
}

static void queue_close(struct disk_queue *queue)
{
	assert_int_equal(((struct unit_disk *)queue)->nr_pending, 0);
}

static void close_disk(struct disk *disk)
{
	free(((struct unit_disk *)disk)->medium);
	free(disk);
}

struct unit_disk *unit_disk_create(const struct disk_info *info)
{
	static const struct disk_ops ops = {
		.name = "unit",
		.info = get_info,
		.queue_open = queue_open,
		.queue_close = queue_close,
		.submit = submit,
		.close = close_disk,
	};
	struct unit_disk *d = calloc(1, sizeof(*d));

	assert_non_null(d);
	d->disk.ops = &ops;
	d->info = *info;
	d->medium = calloc(info->blocks, info->block_size);
	assert_non_null(d->medium);
	return d;
}
