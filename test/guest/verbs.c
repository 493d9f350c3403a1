/* SPDX-License-Identifier: MIT */
/*
 * verbs [-d DEVICE] [-p PORT] [-q PORT] TEST...: MANA's queues and regions from
 * user space, as the paravisor uses them, in VTL2 or in any guest that has the
 * device. One line per case, "ok" or "not ok"; status 1 when one is not.
 *
 *   region     regions of several sizes can be made, and made again
 *   isolation  an address outside of the region ends in an error, and the page
 *              there is as it was; the queues can be made again after it
 *   loopback   frames that leave port -p come in at port -q (default: the
 *              same port), all of them, as they were; by polling and by events
 *
 * It drives mana/ itself (verbs, tx, rx, poll) over memory of its own, which
 * stands for guest RAM at address GPA.
 */
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "mana/verbs.h"
#include "test/unit/reactor_inline.h"

#define GPA 0x10000000u
#define RAM (4u << 20)
#define BEYOND 4096u /* mapped behind it, but not registered */
#define DEPTH 64u
#define RX_AT 0x200000u /* buffers, a page each */
#define FRAME 1000u
#define FRAMES 700u /* eleven laps: owner bits come round */
#define DEADLINE_NS 60000000000ull

struct end {
	struct verbs *verbs;
	struct mana_keys keys;
	struct verbs_limits limits;
	struct verbs_region *bounce_region;
	struct nic_queue q;
	struct tx_slot tx[DEPTH];
	struct rx_slot rx[DEPTH];
	unsigned int sent, failed, received, bad, broken, events;
};

static const char *device;
static unsigned int tx_port = 1, rx_port;
static struct guest_memory memory;
static uint8_t *ram;
static atomic_uint filter = NIC_DIRECTED;
static struct places places[PLACES_KINDS];
static struct reactor *reactor;
static struct reactor_watch *watches[4];
static int failures;

static void say(bool good, const char *what)
{
	printf("%s - %s\n", good ? "ok" : "not ok", what);
	failures += !good;
}

static uint64_t clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
}

int reactor_watch_add(struct reactor *r, struct reactor_watch *watch)
{
	(void)r;
	for (unsigned int i = 0; i < 4; i++)
		if (!watches[i]) {
			watches[i] = watch;
			return 0;
		}
	return -EMFILE;
}

void reactor_watch_remove(struct reactor *r, struct reactor_watch *watch)
{
	(void)r;
	for (unsigned int i = 0; i < 4; i++)
		if (watches[i] == watch)
			watches[i] = NULL;
}

/* Runs what is due; sleeps for an event if that moved nothing. */
static void pass(const struct end *tx, const struct end *rx)
{
	unsigned int before = tx->sent + rx->received;
	struct pollfd fds[4];

	while (reactor_inline_step())
		;
	for (unsigned int i = 0; i < 4; i++)
		fds[i] = (struct pollfd){ .fd = watches[i] ? watches[i]->fd : -1,
					  .events = POLLIN };
	if (poll(fds, 4, tx->sent + rx->received == before ? 1000 : 0) <= 0)
		return;
	for (unsigned int i = 0; i < 4; i++)
		if (fds[i].revents && watches[i])
			watches[i]->fn(watches[i]);
}

/* ---- one end: a port's queues ---- */

static void fill(uint8_t *frame, unsigned int n)
{
	memset(frame, 0xff, 6);
	memcpy(frame + 6, "\x02\x00\x00\x00\x00\x01\x88\xb5", 8);
	for (unsigned int i = 14; i < FRAME; i++)
		frame[i] = (uint8_t)(n * 13 + i);
	memcpy(frame + 14, &n, sizeof(n));
}

static void post(struct end *e, unsigned int i)
{
	const struct gpa_range range = { GPA + RX_AT + i * 4096 + 128, 1884 };
	const struct nic_buffer buffer = { i, 1, &range };

	queue_rx_post(&e->q, &buffer, 1);
}

static void received(void *client, const struct nic_received *frames,
		     unsigned int nr)
{
	struct end *e = client;

	for (unsigned int i = 0; i < nr; i++) {
		const uint8_t *at = ram + RX_AT + frames[i].id * 4096 + 128;
		uint8_t want[FRAME];
		unsigned int n;

		memcpy(&n, at + 14, sizeof(n));
		fill(want, n);
		/* Others may send on this wire: what is not ours is not bad. */
		if (frames[i].len >= 14 && at[12] == 0x88 && at[13] == 0xb5) {
			e->bad += frames[i].len != FRAME || n != e->received ||
				  memcmp(at, want, FRAME);
			e->received++;
		}
		post(e, frames[i].id);
	}
}

static void sent(void *client, const struct nic_sent *frames, unsigned int nr)
{
	struct end *e = client;

	for (unsigned int i = 0; i < nr; i++)
		e->failed += frames[i].failed;
	e->sent += nr;
}

static const struct nic_client_ops ops = { .received = received, .sent = sent };

static void broken(struct nic_queue *q, const char *why)
{
	struct end *e = q->client;

	printf("# broken: %s\n", why);
	e->broken++;
}

static int end_open(struct end *e, unsigned int port)
{
	int err;

	memset(e, 0, sizeof(*e));
	err = verbs_open(device, port, &memory, &e->keys, &e->limits,
			 &e->verbs);
	if (err)
		printf("# %s port %u: %s\n", device, port, strerror(-err));
	return err;
}

static int end_start(struct end *e)
{
	static const uint8_t key[NIC_RSS_KEY] = { 0x6d, 0x5a, 0x56, 0xda };
	const uint16_t order[1] = { 0 };
	struct nic_queue *q = &e->q;
	int err;

	memset(q, 0, sizeof(*q));
	q->reactor = reactor;
	q->ops = &ops;
	q->client = e;
	q->memory = &memory;
	q->keys = &e->keys;
	q->filter = &filter;
	q->places = places;
	q->broken = broken;
	q->tx_depth = q->rx_depth = DEPTH;
	q->tx = e->tx;
	q->rx = e->rx;
	q->tx_bounce.size = MANA_TX_BOUNCE;
	q->tx_bounce.va = aligned_alloc(4096, MANA_TX_BOUNCE);
	if (!q->tx_bounce.va)
		return -ENOMEM;
	err = verbs_register(e->verbs, q->tx_bounce.va, MANA_TX_BOUNCE,
			     &q->tx_bounce.key, &e->bounce_region);
	if (!err)
		err = verbs_queues_create(e->verbs, &q, 1, order, 1, key);
	if (!err)
		err = queue_attach(q);
	if (err)
		printf("# queues: %s\n", strerror(-err));
	return err;
}

static void end_stop(struct end *e)
{
	queue_detach(&e->q);
	while (reactor_inline_step())
		;
	verbs_queues_destroy(e->verbs);
	verbs_unregister(e->bounce_region);
	free(e->q.tx_bounce.va);
}

/* ---- the cases ---- */

static void test_region(void)
{
	static const uint32_t sizes[] = { 4096, 65536, 2u << 20, RAM };
	static struct end e;
	struct verbs_region *region;
	uint32_t key;

	if (end_open(&e, tx_port)) {
		say(false, "region: the device opens");
		return;
	}
	printf("# %u queues of %u\n", e.limits.max_queues, e.limits.max_depth);
	say(e.keys.all, "region: memory under an address of our choice");
	for (unsigned int i = 0; i < 2 * sizeof(sizes) / sizeof(sizes[0]); i++) {
		char text[64];
		int err = verbs_register(e.verbs, ram, sizes[i / 2], &key,
					 &region);

		snprintf(text, sizeof(text), "region: %u KiB, key 0x%x",
			 sizes[i / 2] >> 10, err ? 0 : key);
		say(!err, text);
		if (!err)
			verbs_unregister(region);
	}
	verbs_close(e.verbs);
}

/* Entries that the paravisor never writes: the address is nobody's. */
static void send_raw(struct end *e, uint64_t address)
{
	const struct mana_sge sge = { cpu_to_le64(address),
				      cpu_to_le32(e->keys.range[0].key),
				      cpu_to_le32(100) };
	const struct mana_tx_wqe wqe = { .sges = &sge, .nr_sges = 1,
					 .cq = e->q.tx_cq.id,
					 .vport_offset = e->q.vport_offset };

	mana_tx_wqe_write(&e->q.sq, &wqe);
	mana_sq_ring(&e->q.doorbells, &e->q.sq);
}

/* Type of the next completion, or 0 if none comes. */
static unsigned int completion(struct end *e, uint64_t wait_ns)
{
	uint64_t deadline = clock_ns() + wait_ns;
	struct mana_cqe cqe;

	while (clock_ns() < deadline)
		if (mana_cq_next(&e->q.tx_cq, &cqe) == 1)
			return le32_to_cpu(cqe.header) & MANA_CQE_TYPE_MASK;
	return 0;
}

static void test_isolation(void)
{
	const uint64_t bad[] = { GPA + RAM, GPA - 4096, (uintptr_t)ram + RAM };
	static struct end e;

	if (end_open(&e, tx_port)) {
		say(false, "isolation: the device opens");
		return;
	}
	memset(ram + RAM, 0x5a, BEYOND);
	for (unsigned int i = 0; i < 3; i++) {
		unsigned int untouched = 0;
		char text[64];

		if (end_start(&e)) {
			say(false, "isolation: queues after an error");
			break;
		}
		send_raw(&e, bad[i]);
		snprintf(text, sizeof(text), "isolation: 0x%llx is refused",
			 (unsigned long long)bad[i]);
		say(completion(&e, DEADLINE_NS) == MANA_CQE_TX_DISABLED, text);
		send_raw(&e, GPA);
		say(!completion(&e, 300000000), "isolation: the queue is dead");
		while (untouched < BEYOND && ram[RAM + untouched] == 0x5a)
			untouched++;
		say(untouched == BEYOND, "isolation: the page is as it was");
		end_stop(&e);
	}
	verbs_close(e.verbs);
}

/* Sends frames `from`..`to` in batches and waits for all. */
static bool exchange(struct end *tx, struct end *rx, unsigned int batch)
{
	uint64_t deadline = clock_ns() + DEADLINE_NS;
	unsigned int n = 0;

	tx->sent = rx->received = rx->bad = 0;
	while (rx->received < FRAMES || tx->sent < FRAMES) {
		unsigned int out = 0;

		/* No more on the way than there are buffers. */
		while (out < batch && n < FRAMES && n - tx->sent < DEPTH / 2 &&
		       n - rx->received < DEPTH / 2) {
			uint32_t at = n % DEPTH * 4096;
			const struct gpa_range ranges[] = {
				{ GPA + at + 0x100, 60 },
				{ GPA + at + 0x100 + 60, FRAME - 60 },
			};
			const struct nic_frame frame = {
				.id = n, .nr_ranges = 2,
				.ranges = ranges,
			};

			fill(ram + at + 0x100, n);
			if (!queue_tx(&tx->q, &frame, 1))
				break;
			n++;
			out++;
		}
		pass(tx, rx);
		if (clock_ns() > deadline || tx->broken || rx->broken) {
			printf("# sent %u, received %u, bad %u\n", tx->sent,
			       rx->received, rx->bad);
			return false;
		}
	}
	return !rx->bad && !tx->failed;
}

static void loopback(struct end *tx, struct end *rx)
{
	uint64_t rung;

	for (unsigned int i = 0; i < DEPTH; i++)
		post(rx, i);
	say(exchange(tx, rx, 1), "loopback: one at a time, by events");
	if (failures) /* what is still on its way would be taken for new */
		return;
	say(tx->q.events_taken + rx->q.events_taken > 0,
	    "loopback: events came");
	rung = tx->q.doorbells.rung + rx->q.doorbells.rung;
	say(exchange(tx, rx, 16), "loopback: in batches");
	printf("# %u frames, %llu doorbells\n", FRAMES, (unsigned long long)
	       (tx->q.doorbells.rung + rx->q.doorbells.rung - rung));
	say(!tx->q.stats.bounced_bytes && !rx->q.stats.bounced_bytes,
	    "loopback: without a copy");
}

static void test_loopback(void)
{
	static struct end a, b;
	struct end *rx = rx_port == tx_port ? &a : &b;

	if (end_open(&a, tx_port) || end_start(&a) ||
	    (rx == &b && (end_open(&b, rx_port) || end_start(&b)))) {
		say(false, "loopback: queues");
		return;
	}
	loopback(&a, rx);
	end_stop(&a);
	verbs_close(a.verbs);
	if (rx == &b) {
		end_stop(&b);
		verbs_close(b.verbs);
	}
}

/* The first of MANA's in sysfs. */
static const char *find_device(void)
{
	static char name[64];
	DIR *dir = opendir("/sys/class/infiniband");
	struct dirent *entry;

	while (dir && (entry = readdir(dir)))
		if (!strncmp(entry->d_name, "mana", 4) &&
		    strlen(entry->d_name) < sizeof(name))
			strcpy(name, entry->d_name);
	if (dir)
		closedir(dir);
	return name;
}

static int usage(void)
{
	fprintf(stderr, "usage: verbs [-d DEVICE] [-p PORT] [-q PORT] "
			"region|isolation|loopback...\n");
	return 2;
}

int main(int argc, char **argv)
{
	int option;

	setvbuf(stdout, NULL, _IOLBF, 0);
	device = find_device();
	while ((option = getopt(argc, argv, "d:p:q:")) != -1) {
		if (option == 'd')
			device = optarg;
		else if (option == 'p')
			tx_port = (unsigned int)atoi(optarg);
		else if (option == 'q')
			rx_port = (unsigned int)atoi(optarg);
		else
			return usage();
	}
	if (optind == argc)
		return usage();
	if (!rx_port)
		rx_port = tx_port;
	ram = mmap(NULL, RAM + BEYOND, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (ram == MAP_FAILED || guest_memory_add(&memory, GPA, RAM, ram)) {
		fprintf(stderr, "verbs: no memory\n");
		return 1;
	}
	reactor = reactor_inline_create();
	for (; optind < argc; optind++) {
		if (!strcmp(argv[optind], "region"))
			test_region();
		else if (!strcmp(argv[optind], "isolation"))
			test_isolation();
		else if (!strcmp(argv[optind], "loopback"))
			test_loopback();
		else
			return usage();
	}
	return failures != 0;
}
