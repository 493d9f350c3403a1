// SPDX-License-Identifier: MIT
/*
 * Taps, theory of operation
 *
 * Owns: one descriptor per queue of one tap interface. The kernel spreads
 * frames over queues as it likes; a table for that is not looked at.
 *
 * Sending is one system call per frame: vnet header, the frame's headers from
 * a copy (tap_frame.c completes them), the rest from the guest's pages. It is
 * over when the call returns; sent() follows from a call that is posted.
 *
 * Receiving: the reactor watches the descriptor as long as there are buffers;
 * frames go straight into them. The kernel is asked for whole frames with
 * checksums, so that none is longer than a buffer; nothing is known of them.
 *
 *	stopped --start: open queues--> attach each on its reactor --> running
 *	   ^                                                              |
 *	   +---- close queues <--- detach each on its reactor <--stop-----+
 *
 * Threads: each queue on its reactor, the rest on the NIC's; none waits: what
 * must happen on another reactor is posted there, and the last to be done
 * posts back. Failure answers: a frame that the kernel refuses (interface
 * down, no memory) is answered as failed.
 */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <linux/if_tun.h>

#include <pv/inspect.h>
#include <pv/log.h>
#include <pv/reactor.h>

#include "tap.h"
#include "tap_frame.h"

LOG_MODULE("tap");

#define MAX_QUEUES 8
#define MAX_DEPTH 1024
#define MAX_TX_RANGES 256
#define MAX_RX_RANGES 4
#define MAX_LSO 65535u
#define BURST 32	/* frames received in one go */
#define LINK_BPS 10000000000ull
#define TX_CAN (NIC_IP4_CHECKSUM | NIC_TCP4_CHECKSUM | NIC_UDP4_CHECKSUM | \
		NIC_TCP6_CHECKSUM | NIC_UDP6_CHECKSUM | NIC_LSO4 |          \
		NIC_LSO6 | NIC_VLAN)

enum tap_state { TAP_STOPPED, TAP_STARTING, TAP_RUNNING, TAP_STOPPING };

struct tap_buffer {
	uint32_t id;
	unsigned int nr;
	struct gpa_range range[MAX_RX_RANGES];
};

struct nic_queue {
	struct tap *tap;
	struct reactor *reactor;
	void *client;
	struct reactor_call attach, detach, answer;
	struct reactor_watch watch; /* its fd is the queue's */
	bool watched, running;
	uint32_t rx_head, rx_tail, tx_done; /* tx_done: sent, not sent() */
	struct tap_buffer rx[MAX_DEPTH];
	struct nic_sent tx[MAX_DEPTH];
	struct nic_stats stats;
};

struct tap {
	struct nic nic; /* first */
	struct guest_memory *memory;
	struct reactor *reactor;
	char name[IFNAMSIZ];
	int keep_fd; /* the interface lives as long as somebody has a queue */
	struct nic_info info;
	atomic_uint filter;
	enum tap_state state;
	const struct nic_client_ops *ops;
	void *client;
	unsigned int nr_queues;
	struct nic_queue *queue[MAX_QUEUES];
	atomic_uint pending, failed; /* queues that are to attach or detach */
	struct reactor_call done;
	struct nic_stats past;
};

/* ---- the interface ---- */

static int open_queue(struct tap *tap)
{
	struct ifreq request = { .ifr_flags = IFF_TAP | IFF_NO_PI |
					      IFF_VNET_HDR | IFF_MULTI_QUEUE };
	int size = sizeof(struct tap_vnet);
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	int err;

	if (fd < 0)
		return -errno;
	memcpy(request.ifr_name, tap->name, sizeof(tap->name));
	if (ioctl(fd, TUNSETIFF, &request) < 0 ||
	    ioctl(fd, TUNSETVNETHDRSZ, &size) < 0 ||
	    ioctl(fd, TUNSETOFFLOAD, 0) < 0) {
		err = -errno;
		close(fd);
		return err;
	}
	return fd;
}

/* The queue that is kept gets no frames. */
static int set_idle(int fd)
{
	struct ifreq request = { .ifr_flags = IFF_DETACH_QUEUE };

	return ioctl(fd, TUNSETQUEUE, &request) < 0 ? -errno : 0;
}

static int read_info(struct tap *tap)
{
	struct ifreq request = { .ifr_flags = 0 };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int err = 0;

	if (fd < 0)
		return -errno;
	memcpy(request.ifr_name, tap->name, sizeof(tap->name));
	if (ioctl(fd, SIOCGIFHWADDR, &request) < 0)
		err = -errno;
	memcpy(tap->info.mac, request.ifr_hwaddr.sa_data, 6);
	tap->info.mac[5] ^= 1;
	if (!err && ioctl(fd, SIOCGIFMTU, &request) < 0)
		err = -errno;
	close(fd);
	if (err)
		return err;
	if (request.ifr_mtu < 68 || request.ifr_mtu > 9000)
		return -EINVAL;
	tap->info.max_frame = (uint16_t)(request.ifr_mtu +
					 NIC_ETHERNET_HEADER);
	return 0;
}

/* ---- sending ---- */

/* The range as memory of ours; it was checked by the caller. */
static int to_iovec(struct nic_queue *q, struct gpa_range range,
		    struct iovec *iov)
{
	struct guest_hold hold;
	int err = guest_memory_hold(q->tap->memory, range, &hold);

	if (err)
		return err;
	*iov = (struct iovec){ (__guest_force void *)hold.va, range.len };
	guest_memory_drop(q->tap->memory, &hold); /* RAM stays mapped */
	return 0;
}

struct outgoing {
	struct tap_vnet vnet;
	uint8_t head[TAP_HEADER_MAX + 1 + TAP_TAG];
	unsigned int nr;
	struct iovec iov[2 + MAX_TX_RANGES];
};

/* Splits the frame after its first `want` bytes: those copied, the rest as it
 * lies. How many were copied, or -EFAULT. */
static int split(struct nic_queue *q, const struct nic_frame *frame,
		 unsigned int want, struct outgoing *out)
{
	unsigned int have = 0;

	out->nr = 2;
	for (unsigned int i = 0; i < frame->nr_ranges; i++) {
		struct gpa_range r = frame->ranges[i];
		uint32_t part = want - have < r.len ? want - have : r.len;

		if (part && guest_memory_read(q->tap->memory, r.gpa,
					      out->head + have, part))
			return -EFAULT;
		have += part;
		r.gpa += part;
		r.len -= part;
		if (r.len && to_iovec(q, r, &out->iov[out->nr++]))
			return -EFAULT;
	}
	return (int)have;
}

/* Bytes sent, or -errno. */
static int64_t send_frame(struct nic_queue *q, const struct nic_frame *frame)
{
	struct outgoing out;
	uint64_t total = 0;
	ssize_t n;
	int len;

	for (unsigned int i = 0; i < frame->nr_ranges; i++)
		total += frame->ranges[i].len;
	if (frame->nr_ranges > MAX_TX_RANGES || total > MAX_LSO)
		return -EINVAL;
	len = split(q, frame, total < TAP_HEADER_MAX ? (unsigned int)total :
			    TAP_HEADER_MAX, &out);
	if (len < 0)
		return len;
	len = tap_frame_prepare(frame, out.head, (unsigned int)len,
				(uint32_t)total, &out.vnet);
	if (len < 0)
		return len;
	out.iov[0] = (struct iovec){ &out.vnet, sizeof(out.vnet) };
	out.iov[1] = (struct iovec){ out.head, (size_t)len };
	n = writev(q->watch.fd, out.iov, (int)out.nr);
	return n < 0 ? -errno : (int64_t)total;
}

static unsigned int tap_tx(struct nic_queue *q, const struct nic_frame *frames,
			   unsigned int nr)
{
	unsigned int i = 0;

	for (; i < nr && q->tx_done < MAX_DEPTH; i++) {
		int64_t n = q->running ? send_frame(q, &frames[i]) : -ENODEV;

		if (n < 0) {
			q->stats.tx_failed++;
		} else {
			q->stats.tx_frames++;
			q->stats.tx_bytes += (uint64_t)n;
		}
		q->tx[q->tx_done++] = (struct nic_sent){ frames[i].id, n < 0 };
	}
	if (q->tx_done)
		reactor_post(q->reactor, &q->answer);
	return i;
}

static void answer(struct reactor_call *call)
{
	struct nic_queue *q = (struct nic_queue *)((char *)call -
		offsetof(struct nic_queue, answer));
	struct nic_sent sent[BURST];

	while (q->running && q->tx_done) {
		unsigned int nr = q->tx_done < BURST ? q->tx_done : BURST;

		memcpy(sent, q->tx, nr * sizeof(sent[0]));
		q->tx_done -= nr;
		memmove(q->tx, q->tx + nr, q->tx_done * sizeof(sent[0]));
		q->tap->ops->sent(q->client, sent, nr);
	}
}

/* ---- receiving ---- */

static void watch_if_needed(struct nic_queue *q)
{
	bool want = q->running && q->rx_head != q->rx_tail;

	if (want == q->watched)
		return;
	if (want && reactor_watch_add(q->reactor, &q->watch))
		return; /* no room for it: the next rx_post() tries again */
	if (!want)
		reactor_watch_remove(q->reactor, &q->watch);
	q->watched = want;
}

static void tap_rx_post(struct nic_queue *q, const struct nic_buffer *buffers,
			unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++) {
		struct tap_buffer *to = &q->rx[q->rx_head++ % MAX_DEPTH];

		pv_bug(q->rx_head - q->rx_tail > MAX_DEPTH, i, nr);
		pv_bug(buffers[i].nr_ranges > MAX_RX_RANGES,
		       buffers[i].nr_ranges, buffers[i].id);
		to->id = buffers[i].id;
		to->nr = buffers[i].nr_ranges;
		memcpy(to->range, buffers[i].ranges,
		       to->nr * sizeof(to->range[0]));
	}
	watch_if_needed(q);
}

/* One frame into the buffer at the tail: its bytes, 0 none is there, or
 * -EMSGSIZE it was cut off. */
static int receive(struct nic_queue *q)
{
	const struct tap_buffer *to = &q->rx[q->rx_tail % MAX_DEPTH];
	struct tap_vnet vnet;
	struct iovec iov[2 + MAX_RX_RANGES];
	uint8_t beyond;
	size_t room = sizeof(vnet);
	ssize_t n;

	iov[0] = (struct iovec){ &vnet, sizeof(vnet) };
	for (unsigned int i = 0; i < to->nr; i++) {
		if (to_iovec(q, to->range[i], &iov[1 + i]))
			return -EMSGSIZE;
		room += to->range[i].len;
	}
	iov[1 + to->nr] = (struct iovec){ &beyond, 1 };
	n = readv(q->watch.fd, iov, (int)(2 + to->nr));
	if (n <= (ssize_t)sizeof(vnet))
		return 0;
	return (size_t)n > room ? -EMSGSIZE : (int)(n - (ssize_t)sizeof(vnet));
}

static void readable(struct reactor_watch *watch)
{
	struct nic_queue *q = (struct nic_queue *)((char *)watch -
		offsetof(struct nic_queue, watch));
	struct nic_received got[BURST];
	unsigned int nr = 0, looked = 0;

	for (; looked < BURST && q->rx_tail != q->rx_head; looked++) {
		int len = receive(q);

		if (!len)
			break;
		if (!atomic_load(&q->tap->filter))
			continue; /* the buffer stays for the next one */
		got[nr] = (struct nic_received){
			.id = q->rx[q->rx_tail++ % MAX_DEPTH].id,
			.len = len > 0 ? (uint32_t)len : 0 };
		if (len > 0) {
			q->stats.rx_frames++;
			q->stats.rx_bytes += (uint64_t)len;
		} else {
			q->stats.rx_dropped++;
		}
		nr++;
	}
	if (nr)
		q->tap->ops->received(q->client, got, nr);
	watch_if_needed(q);
}

/* ---- starting and stopping ---- */

static void queue_is_done(struct nic_queue *q)
{
	if (atomic_fetch_sub(&q->tap->pending, 1) == 1)
		reactor_post(q->tap->reactor, &q->tap->done);
}

static void attach(struct reactor_call *call)
{
	struct nic_queue *q = (struct nic_queue *)((char *)call -
		offsetof(struct nic_queue, attach));

	q->running = true;
	queue_is_done(q);
}

static void detach(struct reactor_call *call)
{
	struct nic_queue *q = (struct nic_queue *)((char *)call -
		offsetof(struct nic_queue, detach));

	/* The first time round; an answer may be posted behind us. */
	if (q->running) {
		q->running = false;
		watch_if_needed(q);
		reactor_post(q->reactor, call);
		return;
	}
	queue_is_done(q);
}

static void free_queues(struct tap *tap)
{
	while (tap->nr_queues) {
		struct nic_queue *q = tap->queue[--tap->nr_queues];

		nic_stats_add(&tap->past, &q->stats);
		close(q->watch.fd);
		free(q);
	}
}

static int make_queues(struct tap *tap, const struct nic_start *start)
{
	while (tap->nr_queues < start->nr_queues) {
		struct nic_queue *q = calloc(1, sizeof(*q));
		int fd = q ? open_queue(tap) : -ENOMEM;

		if (fd < 0) {
			free(q);
			free_queues(tap);
			return fd;
		}
		q->tap = tap;
		q->reactor = start->queue[tap->nr_queues].reactor;
		q->client = start->queue[tap->nr_queues].client;
		q->attach.fn = attach;
		q->detach.fn = detach;
		q->answer.fn = answer;
		q->watch.fn = readable;
		q->watch.fd = fd;
		tap->queue[tap->nr_queues++] = q;
	}
	return 0;
}

/* The last queue is attached, or detached. */
static void all_done(struct reactor_call *call)
{
	struct tap *tap = (struct tap *)((char *)call -
		offsetof(struct tap, done));

	if (tap->state == TAP_STARTING) {
		tap->state = TAP_RUNNING;
		tap->ops->started(tap->client, 0, tap->queue);
		return;
	}
	free_queues(tap);
	tap->state = TAP_STOPPED;
	tap->ops->stopped(tap->client);
}

static int tap_start(struct nic *nic, const struct nic_start *start)
{
	struct tap *tap = (struct tap *)nic;
	unsigned int nr = start->nr_queues;
	int err;

	if (tap->state != TAP_STOPPED)
		return -EBUSY;
	if (!nr || nr > tap->info.max_queues || nr & (nr - 1) ||
	    !start->rx_depth || start->rx_depth > MAX_DEPTH ||
	    !start->tx_depth || start->tx_depth > MAX_DEPTH)
		return -EINVAL;
	err = make_queues(tap, start);
	if (err) {
		log_err("%s: queue: %s", tap->name, strerror(-err));
		return -ENODEV;
	}
	tap->ops = start->ops;
	tap->client = start->client;
	tap->state = TAP_STARTING;
	atomic_store(&tap->pending, nr);
	for (unsigned int i = 0; i < nr; i++)
		reactor_post(tap->queue[i]->reactor, &tap->queue[i]->attach);
	return 0;
}

static void tap_stop(struct nic *nic)
{
	struct tap *tap = (struct tap *)nic;

	pv_bug(tap->state != TAP_RUNNING, tap->state, TAP_RUNNING);
	tap->state = TAP_STOPPING;
	atomic_store(&tap->pending, tap->nr_queues);
	for (unsigned int i = 0; i < tap->nr_queues; i++)
		reactor_post(tap->queue[i]->reactor, &tap->queue[i]->detach);
}

/* ---- the rest of nic_ops ---- */

static void tap_info(struct nic *nic, struct nic_info *info)
{
	*info = ((struct tap *)nic)->info;
}

static int tap_set_rss(struct nic *nic, const struct nic_rss *rss)
{
	(void)nic;
	(void)rss;
	return 0; /* the kernel's own idea of queues */
}

static void tap_set_filter(struct nic *nic, unsigned int filter)
{
	atomic_store(&((struct tap *)nic)->filter, filter);
}

/* Of a start that runs: as the queues are now. */
static void tap_stats(struct nic *nic, struct nic_stats *stats)
{
	struct tap *tap = (struct tap *)nic;

	*stats = tap->past;
	for (unsigned int i = 0; i < tap->nr_queues; i++)
		nic_stats_add(stats, &tap->queue[i]->stats);
}

static void tap_inspect(struct nic *nic, struct inspect *out)
{
	struct tap *tap = (struct tap *)nic;

	inspect_text(out, "backend", nic->ops->name);
	inspect_text(out, "interface", tap->name);
	inspect_u64(out, "queues", tap->nr_queues);
}

static void tap_close(struct nic *nic)
{
	struct tap *tap = (struct tap *)nic;

	pv_bug(tap->state != TAP_STOPPED, tap->state, TAP_STOPPED);
	close(tap->keep_fd);
	free(tap);
}

static const struct nic_ops tap_ops = {
	.name = "tap",
	.info = tap_info,
	.start = tap_start,
	.stop = tap_stop,
	.set_rss = tap_set_rss,
	.set_filter = tap_set_filter,
	.rx_post = tap_rx_post,
	.tx = tap_tx,
	.stats = tap_stats,
	.inspect = tap_inspect,
	.close = tap_close,
};

int tap_open(const struct tap_config *config, struct nic **nic)
{
	struct tap *tap = calloc(1, sizeof(*tap));
	int err = -EINVAL;

	if (!tap)
		return -ENOMEM;
	tap->nic.ops = &tap_ops;
	tap->memory = config->memory;
	tap->reactor = config->reactor;
	tap->done.fn = all_done;
	tap->info = (struct nic_info){
		.max_queues = MAX_QUEUES, .max_tx_ranges = MAX_TX_RANGES,
		.max_rx_ranges = MAX_RX_RANGES, .max_rx_depth = MAX_DEPTH,
		.max_tx_depth = MAX_DEPTH, .tx_can = TX_CAN,
		.max_lso = MAX_LSO, .link_bps = LINK_BPS, .link_up = true,
	};
	if (!config->name[0] || strlen(config->name) >= sizeof(tap->name) ||
	    strchr(config->name, '%') || strchr(config->name, '/'))
		goto out_free;
	strcpy(tap->name, config->name);
	err = tap->keep_fd = open_queue(tap);
	if (err < 0)
		goto out_free;
	err = set_idle(tap->keep_fd);
	if (!err)
		err = read_info(tap);
	if (err) {
		close(tap->keep_fd);
		goto out_free;
	}
	*nic = &tap->nic;
	return 0;
out_free:
	log_err("tap \"%s\": %s", config->name, strerror(-err));
	free(tap);
	return err;
}
