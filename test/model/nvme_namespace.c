// SPDX-License-Identifier: MIT
/*
 * Namespaces of the NVMe model: which there are, and how that changes while
 * the controller runs. The host hears of it by the event "Namespace Attribute
 * Changed" and reads which ones from log page 04h (base 5.16.1.5).
 *
 * Changes come from other threads and are made by the controller's, between
 * commands (nvme_run()): no command is under way in a namespace that goes.
 */
#include <errno.h>

#include "nvme_controller.h"

#define MAX_PHYSICAL 65536u

struct nvme_namespace *nvme_namespace(struct nvme_controller *c,
				      uint32_t nsid)
{
	if (!nsid || nsid > NVME_MAX_NAMESPACES ||
	    !c->ns[nsid - 1].config.medium)
		return NULL;
	return &c->ns[nsid - 1];
}

/* Base 3.2.1.5: inactive, or no identifier that could be. */
uint16_t nvme_namespace_missing(uint32_t nsid)
{
	if (nsid && nsid <= NVME_MAX_NAMESPACES)
		return NVME_FAIL(NVME_INVALID_FIELD);
	return NVME_FAIL(NVME_INVALID_NAMESPACE);
}

int nvme_namespaces_flush(struct nvme_controller *c)
{
	int err = 0;

	for (unsigned int i = 0; i < NVME_MAX_NAMESPACES; i++) {
		struct medium *medium = c->ns[i].config.medium;
		int one = medium ? medium_flush(medium) : 0;

		err = err ? err : one;
	}
	return err;
}

int nvme_namespace_set(struct nvme_namespace *ns,
		       const struct nvme_namespace_config *config)
{
	uint32_t block = config->block_size ? config->block_size :
					      MEDIUM_BLOCK;
	uint32_t physical = config->physical_block_size ?
				    config->physical_block_size : block;

	if (!config->medium || (block != 512 && block != 4096) ||
	    physical < block || physical > MAX_PHYSICAL ||
	    physical & (physical - 1) || medium_size(config->medium) % block)
		return -EINVAL;
	ns->config = *config;
	ns->config.block_size = block;
	ns->config.physical_block_size = physical;
	ns->shift = (unsigned int)__builtin_ctz(block);
	ns->blocks = medium_size(config->medium) >> ns->shift;
	return 0;
}

void nvme_namespace_changed(struct nvme_controller *c, uint32_t nsid)
{
	c->changed_ns |= 1u << (nsid - 1);
	nvme_event(c, NVME_EVENTS_NAMESPACES, NVME_EVENT_NAMESPACES);
}

static int attach(struct nvme_controller *c, struct nvme_request *request)
{
	int err;

	if (nvme_namespace(c, request->nsid))
		return -EEXIST;
	err = nvme_namespace_set(&c->ns[request->nsid - 1], request->config);
	if (!err)
		nvme_namespace_changed(c, request->nsid);
	return err;
}

int nvme_namespace_attach(struct nvme_controller *c, uint32_t nsid,
			  const struct nvme_namespace_config *config)
{
	struct nvme_request request = { .fn = attach, .nsid = nsid,
					.config = config };

	if (!nsid)
		return -EINVAL;
	if (nsid > NVME_MAX_NAMESPACES)
		return -ENOSPC;
	return nvme_run(c, &request);
}

static int detach(struct nvme_controller *c, struct nvme_request *request)
{
	struct nvme_namespace *ns = nvme_namespace(c, request->nsid);

	if (!ns)
		return -ENOENT;
	*ns = (struct nvme_namespace){ 0 };
	nvme_namespace_changed(c, request->nsid);
	return 0;
}

int nvme_namespace_detach(struct nvme_controller *c, uint32_t nsid)
{
	struct nvme_request request = { .fn = detach, .nsid = nsid };

	return nvme_run(c, &request);
}

static int resize(struct nvme_controller *c, struct nvme_request *request)
{
	struct nvme_namespace *ns = nvme_namespace(c, request->nsid);
	int err;

	if (!ns)
		return -ENOENT;
	for (uint32_t i = 0; i < NVME_MAX_NAMESPACES; i++)
		if (c->ns[i].config.medium == ns->config.medium &&
		    request->size % c->ns[i].config.block_size)
			return -EINVAL;
	err = medium_resize(ns->config.medium, request->size);
	if (err)
		return err;
	for (uint32_t i = 0; i < NVME_MAX_NAMESPACES; i++) {
		if (c->ns[i].config.medium != ns->config.medium)
			continue;
		c->ns[i].blocks = request->size >> c->ns[i].shift;
		nvme_namespace_changed(c, i + 1);
	}
	return 0;
}

int nvme_namespace_resize(struct nvme_controller *c, uint32_t nsid,
			  uint64_t size)
{
	struct nvme_request request = { .fn = resize, .nsid = nsid,
					.size = size };

	return nvme_run(c, &request);
}
