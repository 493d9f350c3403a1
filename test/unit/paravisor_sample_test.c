/* SPDX-License-Identifier: MIT */
/* SOURCES: paravisor/vp.c paravisor/sample.c paravisor/trace.c paravisor/synic.c paravisor/hypercall.c paravisor/diag_inspect.c paravisor/reactor.c paravisor/reactor_calls.c paravisor/reactor_timeouts.c paravisor/reactor_timers.c paravisor/reactor_ring.c paravisor/guest_memory.c paravisor/violation.c paravisor/inspect.c paravisor/log.c test/unit/inspect_list.c */
/*
 * Samples of a VP: its real thread and reactor, with a kernel stood in for that
 * stays in VTL0 until the reactor's poll file wakes it, and the diagnosis port
 * on a pair of sockets.
 */
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include <pv/inspect.h>

#include "paravisor/diag_inspect.h"
#include "paravisor/intercept.h"
#include "paravisor/partition.h"
#include "paravisor/reactor.h"
#include "paravisor/vp.h"
#include "test/unit/inspect_list.h"

#define RIP 0xffffffff81234567ull
#define SAMPLES 100

static struct partition partition;
static struct vp *const vp = &partition.vp[0];
static struct trace_ring ring;
static struct mshv_run run;

/* VTL0. */
static struct {
	atomic_bool intercepts; /* it stops, and the answer takes for ever */
	_Atomic uint64_t activity;
	_Atomic int refuses; /* registers */
	atomic_bool inside;  /* it executes */
	atomic_uint left;    /* times it was made to stop */
	sem_t answered;
	int epoll;
} guest;

/* ---- the kernel ---- */

int mshv_vp_open(struct mshv *m, unsigned int cpu, struct mshv_vp *hw)
{
	*hw = (struct mshv_vp){ .mshv = m, .cpu = cpu, .run = &run };
	return 0;
}

/* As the kernel does it: what counts is that the file's queue is woken. */
int mshv_vp_set_poll_file(struct mshv_vp *hw, int fd)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLET };

	(void)hw;
	guest.epoll = epoll_create1(0);
	return epoll_ctl(guest.epoll, EPOLL_CTL_ADD, fd, &event);
}

void mshv_vp_arm(struct mshv_vp *hw)
{
	(void)hw;
}

int mshv_vp_run(struct mshv_vp *hw)
{
	struct epoll_event event;

	(void)hw;
	if (atomic_load(&guest.intercepts))
		return 0;
	atomic_store(&guest.inside, true);
	while (epoll_wait(guest.epoll, &event, 1, -1) < 0)
		;
	atomic_store(&guest.inside, false);
	atomic_fetch_add(&guest.left, 1);
	return -EINTR;
}

int mshv_vp_get_register(struct mshv_vp *hw, struct vp_register *reg)
{
	(void)hw;
	assert_int_equal(reg->name, HV_REG_INTERNAL_ACTIVITY);
	reg->low = guest.activity;
	return guest.refuses;
}

int mshv_vp_get_rip(struct mshv_vp *hw, uint64_t *rip)
{
	(void)hw;
	*rip = RIP;
	return 0;
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-parameter"
#define NOT_CALLED(name, ...)                                              \
	int name(__VA_ARGS__)                                              \
	{                                                                  \
		abort();                                                   \
	}
NOT_CALLED(mshv_vp_set_register, struct mshv_vp *hw,
	   const struct vp_register *reg)
NOT_CALLED(mshv_vp_set_rip, struct mshv_vp *hw, uint64_t rip)
NOT_CALLED(mshv_vp_get_rsp, struct mshv_vp *hw, uint64_t *rsp)
NOT_CALLED(mshv_vp_set_rsp, struct mshv_vp *hw, uint64_t rsp)
NOT_CALLED(mshv_vp_set_rflags, struct mshv_vp *hw, uint64_t rflags)
NOT_CALLED(mshv_vp_get_segment_base, struct mshv_vp *hw, unsigned int n,
	   uint64_t *base)
NOT_CALLED(mshv_vp_push_signal, struct mshv_vp *hw, uint32_t target,
	   uint8_t sint, uint16_t flag)
NOT_CALLED(mshv_hypercall, struct mshv *m, uint16_t code, uint16_t reps,
	   const void *in, size_t in_size, void *out, size_t out_size,
	   uint16_t *status)
#pragma GCC diagnostic pop

void mshv_vp_clean_page(struct mshv_vp *hw)
{
	(void)hw;
	abort();
}

/* ---- the rest of the daemon ---- */

bool partition_running(const struct partition *p)
{
	return atomic_load(&p->state) == PARTITION_RUNNING;
}

void partition_park(struct vp *v)
{
	(void)v;
}

void partition_vp_up(struct vp *v, int error)
{
	v->opened = !error;
	sem_post(&v->partition->up);
}

void partition_end(struct partition *p, enum partition_end end,
		   const struct vp *v)
{
	(void)p;
	(void)end;
	(void)v;
	abort();
}

void intercept_dispatch(struct vp *v)
{
	trace_begin(&v->trace, VP_EXIT_PORT, HV_INTERCEPT_ACCESS_WRITE, RIP);
	trace_what(&v->trace, 0xcf8, 0);
	sem_wait(&guest.answered);
	trace_end(&v->trace);
}

/* ---- the test ---- */

static int start(void **state)
{
	(void)state;
	sem_init(&partition.up, 0, 0);
	sem_init(&guest.answered, 0, 0);
	vp->partition = &partition;
	vp->reactor = reactor_create(0);
	assert_non_null(vp->reactor);
	vp->synic.hw = &vp->hw;
	vp->synic.reactor = vp->reactor;
	synic_init(&vp->synic);
	trace_init(&vp->trace, &ring);
	sample_init(&vp->sample, vp);
	atomic_store(&partition.state, PARTITION_RUNNING);
	assert_int_equal(pthread_create(&vp->thread, NULL, vp_thread, vp), 0);
	sem_wait(&partition.up);
	assert_true(vp->opened);
	vp_publish(vp);
	return 0;
}

static int end(void **state)
{
	(void)state;
	reactor_stop(vp->reactor);
	pthread_join(vp->thread, NULL);
	close(guest.epoll); /* the reactor was the thread's */
	return 0;
}

static struct {
	int client, server;
} line;

static void *serve(void *unused)
{
	(void)unused;
	diag_inspect_client(line.server, vp->reactor);
	return NULL;
}

/* What the port answers to one question. */
static const char *ask(const char *question)
{
	static char answer[65536];
	pthread_t thread;
	size_t len = 0;
	ssize_t n;
	int fd[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	line.client = fd[0];
	line.server = fd[1];
	assert_int_equal(pthread_create(&thread, NULL, serve, NULL), 0);
	dprintf(line.client, "%s\n", question);
	shutdown(line.client, SHUT_WR);
	while (!len || answer[len - 1] != '\n') {
		n = read(line.client, answer + len, sizeof(answer) - 1 - len);
		assert_true(n > 0);
		len += (size_t)n;
	}
	answer[len] = '\0';
	pthread_join(thread, NULL);
	close(fd[0]);
	close(fd[1]);
	return answer;
}

static const char *sample(void)
{
	return ask("{\"path\":\"vp0/sample\",\"update\":\"\"}");
}

static void nobody_asked(void **state)
{
	(void)state;
	assert_string_equal(ask("{\"path\":\"vp0/sample/state\"}"),
			    "\"none\"\n");
}

/* Each sample is one stop of VTL0, and says where it was. */
static void runs(void **state)
{
	unsigned int before = atomic_load(&guest.left);
	uint64_t tsc = 0;

	(void)state;
	for (unsigned int i = 1; i <= SAMPLES; i++) {
		while (!atomic_load(&guest.inside))
			usleep(100);
		sample_take(&vp->sample);
		assert_int_equal(vp->sample.answered, i);
		assert_int_equal(vp->sample.state, SAMPLE_RUNNING);
		assert_int_equal(vp->sample.rip, RIP);
		assert_true(vp->sample.tsc > tsc);
		tsc = vp->sample.tsc;
	}
	assert_true(atomic_load(&guest.left) - before >= SAMPLES);
	assert_non_null(strstr(sample(), "{\"number\":101,\"state\":\"running"
					 "\",\"rip\":\"0xffffffff81234567\""));
	/* A look is no sample. */
	assert_string_equal(ask("{\"path\":\"vp0/sample/number\"}"), "101\n");
}

static void states(void **state)
{
	(void)state;
	guest.activity = HV_ACTIVITY_HALT_SUSPEND;
	assert_non_null(strstr(sample(), "\"halted\""));
	guest.activity = HV_ACTIVITY_STARTUP_SUSPEND;
	assert_non_null(strstr(sample(), "\"waiting\""));
	guest.activity = 0;
	guest.refuses = -EIO;
	assert_non_null(strstr(sample(), "\"failed\""));
	guest.refuses = 0;
	atomic_store(&partition.state, PARTITION_QUIET);
	assert_non_null(strstr(sample(), "\"stopped\""));
	atomic_store(&partition.state, PARTITION_RUNNING);
	reactor_wake(vp->reactor);
	assert_non_null(strstr(sample(), "\"running\""));
}

/* The VP is in VTL2 and does not come out: said in time, and the trace says
 * with what. Afterwards all is as before. */
static void stuck(void **state)
{
	struct trace_exit e;

	(void)state;
	atomic_store(&guest.intercepts, true);
	reactor_wake(vp->reactor);
	while (!trace_newest(&ring))
		usleep(1000);
	sample_take(&vp->sample);
	assert_int_equal(vp->sample.state, SAMPLE_STUCK);
	assert_int_equal(vp->sample.rip, 0);
	sample_take(&vp->sample);
	assert_int_equal(vp->sample.state, SAMPLE_STUCK);
	assert_int_equal(trace_read(&ring, trace_newest(&ring), &e), 0);
	assert_int_equal(e.qualifier, 0xcf8);
	assert_int_equal(e.ns, 0);
	atomic_store(&guest.intercepts, false);
	sem_post(&guest.answered);
	assert_non_null(strstr(sample(), "\"running\""));
}

/* All of a VP in inspect. */
static void names(void **state)
{
	(void)state;
	assert_true(trace_newest(&ring) > 0);
	inspect_list_check("vp0", NULL);
	inspect_list_complete("vp<n>/");
}

static void mistakes(void **state)
{
	(void)state;
	assert_string_equal(ask("{\"path\":\"vp1/sample\",\"update\":\"\"}"),
			    "{\"error\":\"nothing to update there\"}\n");
	assert_string_equal(ask("{\"path\":\"vp0\",\"update\":\"\"}"),
			    "{\"error\":\"nothing to update there\"}\n");
	assert_string_equal(ask("{\"path\":\"vp0/sample\",\"update\":\"x\"}"),
			    "{\"error\":\"a sample takes no value\"}\n");
	assert_string_equal(ask("{\"path\":\"vp0/sample\",\"update\":1}"),
			    "{\"error\":\"update: must be a string of up to "
			    "255 bytes\"}\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nobody_asked),
		cmocka_unit_test(runs),
		cmocka_unit_test(states),
		cmocka_unit_test(stuck),
		cmocka_unit_test(names),
		cmocka_unit_test(mistakes),
	};

	return cmocka_run_group_tests(tests, start, end);
}
