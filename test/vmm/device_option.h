/* SPDX-License-Identifier: MIT */
/*
 * What --disk and --net say.
 *
 *	--disk BACK[,uh|,uh-nvme|,synthetic][,ro][,block=512|512e|4k][,sgl=off]
 *	       [,volatile]		BACK: mem:SIZE or file:PATH
 *	--net [uh:]BACK[,synthetic][,pcap=FILE][,mtu=N]
 *					BACK: user, consomme (= user), tap:NAME,
 *					pair or null
 *
 * The parsers return NULL, or the rule that the text breaks (static text). The
 * text must outlive the structure; free it in both cases.
 */
#ifndef VMM_DEVICE_OPTION_H
#define VMM_DEVICE_OPTION_H

#include <stdbool.h>
#include <stdint.h>

/* Who gets a disk or NIC first. */
enum device_owner {
	OWNER_VTL0,	 /* the guest, through the host's own bus */
	OWNER_VTL2_SCSI, /* ",uh" */
	OWNER_VTL2_NVME, /* ",uh-nvme" */
	OWNER_VTL2_MANA, /* "uh:" of --net */
};

struct disk_option {
	const char *text; /* as given */
	char *path;	  /* owned; NULL: memory of `size` bytes */
	uint64_t size;	  /* memory only; whole blocks, not 0 */
	enum device_owner owner;
	bool synthetic; /* the guest's: SCSI on VMBus without VTL2, too */
	bool read_only;
	/* ",volatile": what was not flushed is lost with vmm, or before. */
	bool volatile_cache;
	bool no_sgl; /* ",sgl=off": the controller knows PRPs only */
	uint32_t block_size, physical_block_size; /* 512 or 4096 */
};

enum net_kind { NET_USER, NET_TAP, NET_PAIR, NET_NULL };

struct net_option {
	const char *text;
	enum net_kind kind;
	char *interface; /* owned; NET_TAP only */
	char *pcap;	 /* owned; NULL = no capture */
	uint16_t mtu;	 /* of the wire; 0 = not said */
	enum device_owner owner;
	bool synthetic; /* the guest's: VMBus's own NIC without VTL2, too */
};

const char *disk_option_parse(const char *text, struct disk_option *disk);
void disk_option_free(struct disk_option *disk);

const char *net_option_parse(const char *text, struct net_option *nic);
void net_option_free(struct net_option *nic);

/*
 * Sizes: decimal digits and one of K, M, G, T (powers of 1024), the letter
 * followed by B or not, in either case; without a letter, bytes.
 * Returns 0 or -EINVAL, -ERANGE beyond 2^63 - 1; *size is then untouched.
 */
int size_parse(const char *text, uint64_t *size);

#endif
