/* SPDX-License-Identifier: MIT */
/*
 * bursts INTERFACE DESTINATION BURSTS FRAMES SIZE REST: so many bursts of so many
 * Ethernet frames of SIZE bytes each, with REST milliseconds after each burst.
 * The frames are sent one by one, as a socket does, to a hardware address; their
 * type is one for experiments, which nobody answers. Status 1 after one line, 2:
 * usage.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/ether.h>
#include <netpacket/packet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define TYPE 0x88b5 /* IEEE 802, local experimental EtherType 1 */

static int failed(const char *what)
{
	fprintf(stderr, "bursts: %s: %s\n", what, strerror(errno));
	return 1;
}

static void rest(unsigned long ms)
{
	struct timespec t = { .tv_sec = (time_t)(ms / 1000),
			      .tv_nsec = (long)(ms % 1000) * 1000000 };

	nanosleep(&t, NULL);
}

int main(int argc, char **argv)
{
	static char frame[ETH_DATA_LEN];
	struct sockaddr_ll to = { .sll_family = AF_PACKET,
				  .sll_protocol = htons(TYPE),
				  .sll_halen = ETH_ALEN };
	unsigned long bursts, frames, size, ms;
	struct ether_addr destination;
	int fd;

	if (argc != 7 || !ether_aton_r(argv[2], &destination)) {
		fprintf(stderr, "Usage: bursts INTERFACE DESTINATION BURSTS "
				"FRAMES SIZE REST\n");
		return 2;
	}
	bursts = strtoul(argv[3], NULL, 10);
	frames = strtoul(argv[4], NULL, 10);
	size = strtoul(argv[5], NULL, 10);
	ms = strtoul(argv[6], NULL, 10);
	if (size < ETH_ZLEN || size - ETH_HLEN > sizeof(frame)) {
		fprintf(stderr, "bursts: SIZE: from %d to %zu\n", ETH_ZLEN,
			sizeof(frame) + ETH_HLEN);
		return 2;
	}
	memcpy(to.sll_addr, &destination, ETH_ALEN);
	to.sll_ifindex = (int)if_nametoindex(argv[1]);
	if (!to.sll_ifindex)
		return failed(argv[1]);
	fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return failed("socket");
	for (unsigned long i = 0; i < bursts; i++) {
		for (unsigned long n = 0; n < frames; n++)
			if (sendto(fd, frame, size - ETH_HLEN, 0,
				   (struct sockaddr *)&to, sizeof(to)) < 0)
				return failed("send");
		rest(ms);
	}
	return 0;
}
