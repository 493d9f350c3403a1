/* SPDX-License-Identifier: MIT */
/* SOURCES: test/vmm/net_back.c test/vmm/net_back_pair.c test/vmm/net_back_tap.c test/vmm/net_back_user.c test/vmm/net_capture.c test/vmm/net_headers.c test/vmm/net_offload.c test/vmm/byte_ring.c test/vmm/device_option.c test/vmm/loop.c paravisor/reactor_calls.c paravisor/reactor_timers.c paravisor/log.c */
/*
 * Back-ends on a loop of their own: what goes in on one side comes out finished
 * on the other, what does not fit is told, and libslirp answers.
 */
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "net_unit.h"
#include "stderr_capture.h"

static struct test_client first, second;
static struct test_frame frame;

static int setup(void **state)
{
	(void)state;
	memset(&first, 0, sizeof(first));
	memset(&second, 0, sizeof(second));
	loop = loop_create();
	return loop ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	loop_destroy(loop);
	return 0;
}

static uint64_t counter(struct net_back *nb, const char *name)
{
	char text[512], key[32];
	FILE *out = fmemopen(text, sizeof(text), "w");
	const char *at;

	net_back_print_stats(nb, out);
	fclose(out);
	snprintf(key, sizeof(key), "\"%s\":", name);
	at = strstr(text, key);
	assert_non_null(at);
	return strtoull(at + strlen(key), NULL, 10);
}

/* ---- null and pair ---- */

static void test_null(void **state)
{
	struct net_back *nb = open_back(0, "null");

	(void)state;
	assert_non_null(nb);
	client_start(&first, nb);
	loop_begin();
	make_frame(&frame, false, true, 100);
	assert_true(send_frame(nb, &frame, NULL));
	WAIT_FOR(counter(nb, "out_frames") == 1);
	assert_int_equal(counter(nb, "out_bytes"), frame.len);
	assert_int_equal(client_frames(&first), 0);
	loop_end();
	close_back(0, nb);
}

static void check_finished(struct test_client *c, const uint8_t *data,
			   uint32_t len)
{
	(void)c;
	assert_finished(data, len);
}

static void test_pair(void **state)
{
	struct net_back *a = open_back(0, "pair"), *b = open_back(1, "uh:pair");
	struct net_offload lso = offload_of(false, true, 1000),
			   udp = offload_of(true, false, 0);

	(void)state;
	net_back_join(a, b);
	second.look = check_finished;
	client_start(&first, a);
	client_start(&second, b);
	loop_begin();
	make_frame(&frame, false, true, 5000);
	assert_true(send_frame(a, &frame, &lso));
	WAIT_FOR(client_frames(&second) == 5);
	make_frame(&frame, true, false, 99);
	assert_true(send_frame(a, &frame, &udp));
	WAIT_FOR(client_frames(&second) == 6);
	assert_int_equal(second.last.len, frame.len);
	/* The other way, and as it is. */
	assert_true(send_frame(b, &frame, NULL));
	WAIT_FOR(client_frames(&first) == 1);
	assert_int_equal(first.last.len, frame.len);
	assert_memory_equal(first.last.byte, frame.byte, frame.len);
	/* An offload that is not of this frame. */
	assert_true(send_frame(a, &frame, &lso));
	WAIT_FOR(counter(a, "out_bad") == 1);
	loop_end();
	close_back(0, a);
	/* The cable hangs loose. */
	assert_true(send_frame(b, &frame, NULL));
	loop_stop(loop);
	loop_run(loop);
	assert_int_equal(counter(b, "out_dropped"), 1);
	close_back(1, b);
}

static void test_full_ring_holds_back(void **state)
{
	struct net_back *nb = open_back(0, "null");
	unsigned int sent = 0;

	(void)state;
	client_start(&first, nb);
	make_frame(&frame, false, true, 60000);
	while (send_frame(nb, &frame, NULL))
		sent++;
	assert_in_range(sent, 10, 30);
	assert_false(send_frame(nb, &frame, NULL));
	assert_int_equal(counter(nb, "out_waits"), 1);
	loop_begin();
	WAIT_FOR(client_rooms(&first) == 1);
	assert_int_equal(counter(nb, "out_frames"), sent);
	assert_true(send_frame(nb, &frame, NULL));
	WAIT_FOR(counter(nb, "out_frames") == sent + 1);
	assert_int_equal(client_rooms(&first), 1);
	loop_end();
	close_back(0, nb);
}

/* ---- captures ---- */

static void test_capture(void **state)
{
	char path[] = "/tmp/net-pcap-XXXXXX", text[64];
	static uint8_t file[8192];
	struct net_offload o = offload_of(false, true, 1000);
	const uint8_t *at = file + 24;
	struct net_back *nb;
	uint32_t word[6];
	FILE *in;
	size_t n;
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	close(fd);
	snprintf(text, sizeof(text), "null,pcap=%s", path);
	nb = open_back(0, text);
	client_start(&first, nb);
	make_frame(&frame, false, true, 1500);
	assert_true(send_frame(nb, &frame, &o));
	loop_begin();
	WAIT_FOR(counter(nb, "out_frames") == 2);
	loop_end();
	/* All of it is there before the end. */
	in = fopen(path, "r");
	n = fread(file, 1, sizeof(file), in);
	fclose(in);
	assert_int_equal(n, 24 + 2 * 16 + 2 * 54 + 1500);
	memcpy(word, file, sizeof(word));
	assert_int_equal(word[0], 0xa1b23c4d);
	assert_int_equal(word[1], 4 << 16 | 2);
	assert_int_equal(word[5], 1);
	for (unsigned int i = 0; i < 2; i++) {
		memcpy(word, at, 16);
		assert_in_range(word[0], time(NULL) - 60, time(NULL));
		assert_true(word[1] < 1000000000);
		assert_int_equal(word[2], 54 + (i ? 500 : 1000));
		assert_int_equal(word[3], word[2]);
		assert_finished(at + 16, word[2]);
		at += 16 + word[2];
	}
	close_back(0, nb);
	unlink(path);
}

static void test_refusals(void **state)
{
	static const char *const bad[] = {
		"null,pcap=/no/such/directory/file",
		"tap:this/is/wrong",
	};
	struct net_back *nb;
	const char *said;

	(void)state;
	capture_stderr();
	nb = open_back(0, bad[0]);
	said = captured_stderr();
	assert_null(nb);
	assert_true(is_one_line(said));
	assert_non_null(strstr(said, "--net null,pcap=/no"));
	close_back(0, NULL);
	assert_non_null(net_option_parse(bad[1], &test_option[0]));
	close_back(0, NULL);
	/* An interface that is there and is no tap. */
	capture_stderr();
	nb = open_back(0, "tap:lo");
	said = captured_stderr();
	assert_null(nb);
	assert_true(is_one_line(said));
	assert_non_null(strstr(said, "--net tap:lo: "));
	close_back(0, NULL);
}

/* ---- user ---- */

static const uint8_t our_mac[6] = { 2, 0, 0, 0, 0, 1 };

static void dhcp_discover(struct test_frame *f)
{
	uint8_t *bootp = f->byte + 42;

	make_frame(f, false, false, 300);
	memset(f->byte, 0xff, 6);
	memcpy(f->byte + 6, our_mac, 6);
	put32(f->byte + 26, 0);
	put32(f->byte + 30, 0xffffffff);
	net_put16(f->byte + 34, 68);
	net_put16(f->byte + 36, 67);
	memset(bootp, 0, 300);
	bootp[0] = 1;
	bootp[1] = 1;
	bootp[2] = 6;
	put32(bootp + 4, 0xabcd1234);
	memcpy(bootp + 28, our_mac, 6);
	put32(bootp + 236, 0x63825363);
	bootp[240] = 53; /* message type: discover */
	bootp[241] = 1;
	bootp[242] = 1;
	bootp[243] = 255;
}

static void test_user_answers_dhcp(void **state)
{
	struct net_back *nb = open_back(0, "user");
	struct net_offload o = offload_of(false, false, 0);

	(void)state;
	assert_non_null(nb);
	client_start(&first, nb);
	loop_begin();
	dhcp_discover(&frame);
	assert_true(send_frame(nb, &frame, &o));
	WAIT_FOR(client_frames(&first) > 0);
	assert_finished(first.last.byte, first.last.len);
	assert_int_equal(first.last.byte[42], 2); /* reply */
	assert_int_equal(get32(first.last.byte + 46), 0xabcd1234);
	assert_int_equal(get32(first.last.byte + 58), 0x0a00020f);
	loop_end();
	close_back(0, nb);
}

/* Whoever asks which IPv6 there is hears of fec0::/64. */
static void test_user_advertises_ipv6(void **state)
{
	/* A solicitation to all routers, from fe80::1. */
	static const uint8_t solicitation[] = {
		0x33, 0x33, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x86, 0xdd,
		0x60, 0, 0, 0, 0, 8, 58, 255,
		0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,
		0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2,
		133, 0, 0x7d, 0x36, 0, 0, 0, 0,
	};
	struct net_back *nb = open_back(0, "user");

	(void)state;
	assert_non_null(nb);
	client_start(&first, nb);
	loop_begin();
	memcpy(frame.byte, solicitation, sizeof(solicitation));
	frame.len = sizeof(solicitation);
	assert_true(send_frame(nb, &frame, NULL));
	WAIT_FOR(client_frames(&first) > 0);
	assert_int_equal(first.last.byte[54], 134); /* advertisement */
	assert_non_null(memmem(first.last.byte + 54, first.last.len - 54,
			       "\xfe\xc0\0\0\0\0\0\0", 8));
	loop_end();
	close_back(0, nb);
}

/* Waits for the next frame that is TCP. */
static void look_tcp(struct test_client *c, const uint8_t *data, uint32_t len)
{
	struct net_headers h;

	net_headers_parse(data, len, &h);
	if (h.l4 != NET_TCP)
		c->frames--;
	else
		assert_finished(data, len);
}

/* A connection to 10.0.2.2 is one to this host; data comes back. */
static void test_user_reaches_this_host(void **state)
{
	struct net_back *nb = open_back(0, "consomme");
	struct sockaddr_in address = { .sin_family = AF_INET };
	socklen_t size = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM, 0), connection;
	struct net_offload o = offload_of(false, true, 0);
	uint32_t ours;

	(void)state;
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(listener, (void *)&address, size), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (void *)&address, &size), 0);
	first.look = look_tcp;
	client_start(&first, nb);
	loop_begin();
	/* Where we are, by ARP. */
	memset(frame.byte, 0, 60);
	memset(frame.byte, 0xff, 6);
	memcpy(frame.byte + 6, our_mac, 6);
	net_put16(frame.byte + 12, 0x0806);
	put32(frame.byte + 14, 0x00010800);
	put32(frame.byte + 18, 0x06040001);
	memcpy(frame.byte + 22, our_mac, 6);
	put32(frame.byte + 28, 0x0a00020f);
	put32(frame.byte + 38, 0x0a000202);
	frame.len = 60;
	assert_true(send_frame(nb, &frame, NULL));
	make_frame(&frame, false, true, 0);
	memcpy(frame.byte + 6, our_mac, 6);
	net_put16(frame.byte + 36, ntohs(address.sin_port));
	frame.byte[47] = 2; /* SYN */
	assert_true(send_frame(nb, &frame, &o));
	WAIT_FOR(client_frames(&first) == 1);
	assert_int_equal(first.last.byte[47], 0x12);
	assert_int_equal(get32(first.last.byte + 42), 0xfffffff1);
	ours = get32(first.last.byte + 38) + 1;
	connection = accept(listener, NULL, NULL);
	assert_true(connection >= 0);
	frame.byte[47] = 0x10;
	put32(frame.byte + 38, 0xfffffff1);
	put32(frame.byte + 42, ours);
	assert_true(send_frame(nb, &frame, &o));
	assert_int_equal(write(connection, "hello", 5), 5);
	WAIT_FOR(client_frames(&first) == 2);
	assert_memory_equal(first.last.byte + 54, "hello", 5);
	loop_end();
	close(connection);
	close(listener);
	close_back(0, nb);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_null),
		TEST(test_pair),
		TEST(test_full_ring_holds_back),
		TEST(test_capture),
		TEST(test_refusals),
		TEST(test_user_answers_dhcp),
		TEST(test_user_advertises_ipv6),
		TEST(test_user_reaches_this_host),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
