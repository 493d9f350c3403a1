/* SPDX-License-Identifier: MIT */
/*
 * Guest driver, theory of operation
 *
 * Plays the hypervisor and the guest kernel for one VMBus server: it is the
 * server's transport (messages go to an inbox, signals are counted) and it
 * offers the steps a kernel makes. RAM is one allocation at GPA 0; pages are
 * handed out from the top downwards, every other one, so that nothing works
 * only because pages happen to be adjacent.
 *
 * guest_channel.c has its channels.
 *
 * Threads: messages and signals may come from any, the rest belongs to the
 * test's thread. Failure answers: abort when this process is out of memory.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "test/guest_driver/guest_driver.h"
#include "test/unit/reactor_inline.h"

#define FIRST_GPADL 0xe1e10u
#define WORD_SIZE 8u

static void *need(void *memory)
{
	if (!memory) {
		fprintf(stderr, "guest driver: no memory\n");
		abort();
	}
	return memory;
}

static void settle(struct guest_driver *g)
{
	if (!g->manual)
		reactor_inline_drain();
}

/* The transport. */

static int transport_post(void *opaque, uint32_t vp, uint8_t sint,
			  const void *payload, size_t size)
{
	struct guest_driver *g = opaque;
	struct guest_message *message;

	if (g->synic_off)
		return -ENODEV;
	if (g->sim_busy)
		return -EAGAIN;
	pthread_mutex_lock(&g->lock);
	if (g->nr_inbox == g->inbox_size) {
		g->inbox_size = g->inbox_size * 2 + 16;
		g->inbox = need(realloc(g->inbox, g->inbox_size *
					sizeof(g->inbox[0])));
	}
	message = &g->inbox[g->nr_inbox++];
	message->vp = vp;
	message->sint = sint;
	message->size = size;
	memcpy(message->payload, payload, size);
	pthread_mutex_unlock(&g->lock);
	return 0;
}

static void transport_signal(void *opaque, uint32_t vp, uint8_t sint,
			     uint16_t flag)
{
	struct guest_driver *g = opaque;

	if (sint != VMBUS_SINT)
		return;
	g->signal_vp = vp;
	g->signal_flag = flag;
	g->signals++;
	if (g->interrupt)
		g->interrupt(g->interrupt_opaque, flag);
}

static struct reactor *transport_reactor(void *opaque, uint32_t vp)
{
	struct guest_driver *g = opaque;

	return vp < g->nr_vps ? g->reactor[vp] : NULL;
}

static const struct vmbus_transport_ops transport = {
	.post = transport_post,
	.signal = transport_signal,
	.reactor = transport_reactor,
};

struct guest_driver *guest_driver_create(uint32_t nr_pages, unsigned int nr_vps,
					 uint32_t max_version)
{
	struct guest_driver *g = need(calloc(1, sizeof(*g)));
	size_t size = (size_t)nr_pages * GUEST_PAGE_SIZE;
	struct vmbus_server_config config = {
		.transport = &transport,
		.opaque = g,
		.memory = &g->memory,
		.nr_vps = nr_vps,
		.message_connection = GUEST_MESSAGE_CONNECTION,
		.max_version = max_version,
	};

	pthread_mutex_init(&g->lock, NULL);
	g->ram = need(aligned_alloc(GUEST_PAGE_SIZE, size));
	memset(g->ram, 0xaa, size);
	g->nr_pages = nr_pages;
	g->free_pages = nr_pages;
	if (guest_memory_add(&g->memory, 0, size, g->ram))
		abort();
	g->nr_vps = nr_vps;
	for (unsigned int vp = 0; vp < nr_vps; vp++)
		g->reactor[vp] = reactor_inline_create();
	config.reactor = g->reactor[0];
	g->server = need(vmbus_server_create(&config));
	g->next_gpadl = FIRST_GPADL;
	return g;
}

void guest_driver_destroy(struct guest_driver *g)
{
	reactor_inline_drain();
	for (unsigned int vp = 0; vp < g->nr_vps; vp++)
		reactor_inline_destroy(g->reactor[vp]);
	vmbus_server_destroy(g->server);
	pthread_mutex_destroy(&g->lock);
	free(g->inbox);
	free(g->ram);
	free(g);
}

void guest_pages(struct guest_driver *g, uint64_t *pfn, uint32_t n)
{
	while (n--) {
		if (g->free_pages < 2) {
			fprintf(stderr, "guest driver: guest RAM used up\n");
			abort();
		}
		g->free_pages -= 2;
		*pfn++ = g->free_pages;
		memset(guest_page(g, g->free_pages), 0, GUEST_PAGE_SIZE);
	}
}

void *guest_page(struct guest_driver *g, uint64_t pfn)
{
	return g->ram + pfn * GUEST_PAGE_SIZE;
}

/* Messages. */

int guest_post(struct guest_driver *g, enum vmbus_message_type type,
	       void *message, size_t size)
{
	struct vmbus_header header = { .type = cpu_to_le32(type) };
	int err;

	memcpy(message, &header, size < sizeof(header) ? size : sizeof(header));
	err = vmbus_server_message(g->server, 0, message, size);
	settle(g);
	return err;
}

bool guest_take(struct guest_driver *g, struct guest_message *message)
{
	bool any;

	pthread_mutex_lock(&g->lock);
	any = g->nr_inbox > 0;
	if (any) {
		*message = g->inbox[0];
		g->nr_inbox--;
		memmove(g->inbox, g->inbox + 1,
			g->nr_inbox * sizeof(g->inbox[0]));
	}
	pthread_mutex_unlock(&g->lock);
	return any;
}

int guest_expect(struct guest_driver *g, enum vmbus_message_type type,
		 void *message, size_t size)
{
	struct guest_message got;
	struct vmbus_header header;

	if (!guest_take(g, &got))
		return -ENOMSG;
	memcpy(&header, got.payload, sizeof(header));
	if (le32_to_cpu(header.type) != type || got.size != size) {
		fprintf(stderr, "guest: message %u of %u bytes, not %u of %zu\n",
			le32_to_cpu(header.type), got.size, (uint32_t)type,
			size);
		return -EBADMSG;
	}
	memcpy(message, got.payload, size);
	return 0;
}

/* The steps of a kernel. */

int guest_contact(struct guest_driver *g, uint32_t version, uint32_t vp,
		  uint32_t features)
{
	struct vmbus_initiate_contact_id contact = { .contact = {
		.version = cpu_to_le32(version),
		.vp = cpu_to_le32(vp),
		.sint = version < VMBUS_VERSION_WIN10_V5 ? 0 : VMBUS_SINT,
		.features = cpu_to_le32(features),
		.monitor_in = cpu_to_le64(0x1000),
		.monitor_out = cpu_to_le64(0x2000),
	} };
	struct vmbus_version_response_features response;
	int err = guest_post(g, VMBUS_INITIATE_CONTACT, &contact,
			     features & VMBUS_FEATURE_CLIENT_ID ?
			     sizeof(contact) : sizeof(contact.contact));

	if (err)
		return err;
	if (g->nr_inbox && g->inbox[0].size == sizeof(response))
		err = guest_expect(g, VMBUS_VERSION_RESPONSE, &response,
				   sizeof(response));
	else
		err = guest_expect(g, VMBUS_VERSION_RESPONSE, &response,
				   sizeof(response.response));
	if (err)
		return err;
	if (!response.response.supported || response.response.status)
		return -EPROTO;
	g->features = version < VMBUS_VERSION_COPPER ? 0 :
		      le32_to_cpu(response.features);
	return 0;
}

int guest_request_offers(struct guest_driver *g, unsigned int *nr_offers,
			 struct vmbus_offer_channel *offers, unsigned int max)
{
	struct vmbus_header request;
	struct guest_message got;
	struct vmbus_header header;
	int err = guest_post(g, VMBUS_REQUEST_OFFERS, &request,
			     sizeof(request));

	if (err)
		return err;
	for (*nr_offers = 0; guest_take(g, &got); ++*nr_offers) {
		memcpy(&header, got.payload, sizeof(header));
		if (le32_to_cpu(header.type) == VMBUS_ALL_OFFERS_DELIVERED)
			return 0;
		if (le32_to_cpu(header.type) != VMBUS_OFFER_CHANNEL ||
		    got.size != sizeof(offers[0]))
			return -EBADMSG;
		if (*nr_offers < max)
			memcpy(&offers[*nr_offers], got.payload, got.size);
	}
	return -ENOMSG;
}

static int post_gpadl(struct guest_driver *g, uint32_t channel, uint32_t id,
		      const uint64_t *word, uint32_t n)
{
	uint8_t message[VMBUS_MAX_MESSAGE];
	struct vmbus_gpadl_header header = {
		.channel = cpu_to_le32(channel),
		.gpadl = cpu_to_le32(id),
		.range_bytes = cpu_to_le16(n * WORD_SIZE),
		.range_count = cpu_to_le16(1),
	};
	struct vmbus_gpadl_body body = { .gpadl = cpu_to_le32(id) };
	uint32_t now = n < VMBUS_GPADL_HEADER_WORDS ? n :
		       VMBUS_GPADL_HEADER_WORDS;
	int err;

	memcpy(message, &header, sizeof(header));
	memcpy(message + sizeof(header), word, now * WORD_SIZE);
	err = guest_post(g, VMBUS_GPADL_HEADER, message,
			 sizeof(header) + now * WORD_SIZE);
	while (!err && (word += now, n -= now)) {
		now = n < VMBUS_GPADL_BODY_WORDS ? n : VMBUS_GPADL_BODY_WORDS;
		memcpy(message, &body, sizeof(body));
		memcpy(message + sizeof(body), word, now * WORD_SIZE);
		err = guest_post(g, VMBUS_GPADL_BODY, message,
				 sizeof(body) + now * WORD_SIZE);
	}
	return err;
}

int guest_gpadl_post(struct guest_driver *g, uint32_t channel,
		     const uint64_t *pfn, uint32_t n, uint32_t *gpadl)
{
	uint64_t *word = need(calloc(n + 1, sizeof(word[0])));
	int err;

	*gpadl = g->next_gpadl++;
	word[0] = (uint64_t)n * GUEST_PAGE_SIZE;
	memcpy(word + 1, pfn, n * sizeof(pfn[0]));
	err = post_gpadl(g, channel, *gpadl, word, n + 1);
	free(word);
	return err;
}

int guest_gpadl_create(struct guest_driver *g, uint32_t channel,
		       const uint64_t *pfn, uint32_t n, uint32_t *gpadl)
{
	struct vmbus_gpadl_created created;
	int err = guest_gpadl_post(g, channel, pfn, n, gpadl);

	if (err)
		return err;
	err = guest_expect(g, VMBUS_GPADL_CREATED, &created, sizeof(created));
	if (err)
		return err;
	if (le32_to_cpu(created.gpadl) != *gpadl ||
	    le32_to_cpu(created.channel) != channel)
		return -EBADMSG;
	return le32_to_cpu(created.status) ? -EPROTO : 0;
}

int guest_gpadl_teardown(struct guest_driver *g, uint32_t channel,
			 uint32_t gpadl)
{
	struct vmbus_gpadl_teardown teardown = {
		.channel = cpu_to_le32(channel),
		.gpadl = cpu_to_le32(gpadl),
	};
	struct vmbus_gpadl_torndown torndown;
	int err = guest_post(g, VMBUS_GPADL_TEARDOWN, &teardown,
			     sizeof(teardown));

	if (!err)
		err = guest_expect(g, VMBUS_GPADL_TORNDOWN, &torndown,
				   sizeof(torndown));
	if (!err && le32_to_cpu(torndown.gpadl) != gpadl)
		err = -EBADMSG;
	return err;
}

int guest_unload(struct guest_driver *g)
{
	struct vmbus_header unload, complete;
	int err = guest_post(g, VMBUS_UNLOAD, &unload, sizeof(unload));

	return err ? err : guest_expect(g, VMBUS_UNLOAD_COMPLETE, &complete,
					sizeof(complete));
}
