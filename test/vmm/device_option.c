/* SPDX-License-Identifier: MIT */
/*
 * Disk and NIC options, theory of operation
 *
 * Turns the text of --disk and --net into structures, word by word between
 * commas; a path or name with a comma in it can therefore not be given. Pure:
 * opens nothing. A failure is the rule that the text breaks, as static text;
 * the caller knows the option's name and prints both.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "device_option.h"

#define SECTOR_SIZE 512

int size_parse(const char *text, uint64_t *size)
{
	static const char letters[] = "KMGT";
	const char *letter;
	unsigned int shift = 0;
	uint64_t value = 0;

	if (!isdigit((unsigned char)*text))
		return -EINVAL;
	for (; isdigit((unsigned char)*text); text++)
		if (__builtin_mul_overflow(value, 10u, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(*text - '0'),
					   &value))
			return -ERANGE;
	if (*text) {
		letter = strchr(letters, toupper((unsigned char)*text));
		if (!letter)
			return -EINVAL;
		shift = 10 * (unsigned int)(letter - letters + 1);
		text++;
		if (toupper((unsigned char)*text) == 'B')
			text++;
		if (*text)
			return -EINVAL;
	}
	if (value > (uint64_t)INT64_MAX >> shift)
		return -ERANGE;
	*size = value << shift;
	return 0;
}

/* Cuts the next comma-separated word off *text. NULL at the end. */
static char *next_word(char **text)
{
	return *text ? strsep(text, ",") : NULL;
}

static const char *parse_disk_back(struct disk_option *disk, const char *word)
{
	int err;

	if (!strncmp(word, "file:", 5)) {
		if (!word[5])
			return "the path after file: is missing";
		disk->path = strdup(word + 5);
		return disk->path ? NULL : "out of memory";
	}
	if (strncmp(word, "mem:", 4))
		return "expected mem:SIZE or file:PATH first";
	err = size_parse(word + 4, &disk->size);
	if (err == -ERANGE)
		return "the size after mem: is too large";
	if (err)
		return "expected a size such as 64M after mem:";
	return NULL;
}

static const char *parse_block(struct disk_option *disk, const char *word)
{
	static const struct {
		const char *name;
		uint32_t logical, physical;
	} sizes[] = {
		{ "512", 512, 512 },
		{ "512e", 512, 4096 },
		{ "4k", 4096, 4096 },
	};

	if (disk->block_size)
		return "block= can be given once";
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		if (strcmp(word, sizes[i].name))
			continue;
		disk->block_size = sizes[i].logical;
		disk->physical_block_size = sizes[i].physical;
		return NULL;
	}
	return "block= is 512, 512e or 4k";
}

static const char *parse_disk_word(struct disk_option *disk, const char *word)
{
	enum device_owner owner;

	if (!strcmp(word, "ro")) {
		disk->read_only = true;
		return NULL;
	}
	if (!strcmp(word, "volatile")) {
		disk->volatile_cache = true;
		return NULL;
	}
	if (!strcmp(word, "sgl=off")) {
		disk->no_sgl = true;
		return NULL;
	}
	if (!strcmp(word, "synthetic")) {
		disk->synthetic = true;
		return NULL;
	}
	if (!strncmp(word, "block=", 6))
		return parse_block(disk, word + 6);
	if (!strcmp(word, "uh"))
		owner = OWNER_VTL2_SCSI;
	else if (!strcmp(word, "uh-nvme"))
		owner = OWNER_VTL2_NVME;
	else
		return "after the first comma come uh, uh-nvme, synthetic, "
		       "ro, block=, volatile or sgl=off";
	if (disk->owner != OWNER_VTL0)
		return "uh and uh-nvme can be given once";
	disk->owner = owner;
	return NULL;
}

/* Rules between the words. */
static const char *check_disk(struct disk_option *disk)
{
	if (!disk->block_size)
		disk->block_size = disk->physical_block_size = SECTOR_SIZE;
	if (disk->synthetic && disk->owner != OWNER_VTL0)
		return "synthetic is the guest's, uh and uh-nvme are VTL2's";
	if (disk->no_sgl && disk->owner == OWNER_VTL2_SCSI)
		return "sgl=off is for NVMe, not for uh";
	if (disk->volatile_cache && disk->owner == OWNER_VTL2_SCSI)
		return "volatile is for NVMe, not for uh";
	if (disk->no_sgl && disk->synthetic)
		return "sgl=off is for NVMe, not for synthetic";
	if (disk->volatile_cache && disk->synthetic)
		return "volatile is for NVMe, not for synthetic";
	if (disk->path)
		return NULL;
	if (!disk->size || disk->size % SECTOR_SIZE)
		return "the size must be a multiple of 512, and not 0";
	if (disk->size % disk->block_size)
		return "the size must be a multiple of the block, 4096";
	return NULL;
}

const char *disk_option_parse(const char *text, struct disk_option *disk)
{
	char *copy = strdup(text), *rest = copy, *word;
	const char *rule;

	memset(disk, 0, sizeof(*disk));
	if (!copy)
		return "out of memory";
	disk->text = text;
	rule = parse_disk_back(disk, next_word(&rest));
	while (!rule && (word = next_word(&rest)))
		rule = parse_disk_word(disk, word);
	free(copy);
	return rule ? rule : check_disk(disk);
}

void disk_option_free(struct disk_option *disk)
{
	free(disk->path);
}

static const char *parse_net_back(struct net_option *nic, const char *word)
{
	static const struct {
		const char *name;
		enum net_kind kind;
	} plain[] = {
		{ "user", NET_USER },
		{ "consomme", NET_USER },
		{ "pair", NET_PAIR },
		{ "null", NET_NULL },
	};

	if (!strncmp(word, "uh:", 3)) {
		nic->owner = OWNER_VTL2_MANA;
		word += 3;
	}
	for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
		if (strcmp(word, plain[i].name))
			continue;
		nic->kind = plain[i].kind;
		return NULL;
	}
	if (strncmp(word, "tap:", 4))
		return "expected [uh:]user, consomme, tap:NAME, pair or null";
	if (!word[4] || strlen(word + 4) > 15 || strchr(word + 4, '/'))
		return "an interface name has 1 to 15 bytes and no slash";
	nic->kind = NET_TAP;
	nic->interface = strdup(word + 4);
	return nic->interface ? NULL : "out of memory";
}

static const char *parse_net_word(struct net_option *nic, const char *word)
{
	if (!strncmp(word, "mtu=", 4)) {
		uint64_t mtu;

		if (size_parse(word + 4, &mtu) || mtu < 576 || mtu > 9000)
			return "mtu= must be a number from 576 to 9000";
		if (nic->mtu)
			return "mtu= can be given once";
		nic->mtu = (uint16_t)mtu;
		return NULL;
	}
	if (!strcmp(word, "synthetic")) {
		nic->synthetic = true;
		return nic->owner == OWNER_VTL0 ? NULL :
		       "synthetic is the guest's, uh: is VTL2's";
	}
	if (strncmp(word, "pcap=", 5) || !word[5])
		return "after the comma come synthetic, pcap=FILE or mtu=N";
	if (nic->pcap)
		return "pcap= can be given once";
	nic->pcap = strdup(word + 5);
	return nic->pcap ? NULL : "out of memory";
}

const char *net_option_parse(const char *text, struct net_option *nic)
{
	char *copy = strdup(text), *rest = copy, *word;
	const char *rule;

	memset(nic, 0, sizeof(*nic));
	if (!copy)
		return "out of memory";
	nic->text = text;
	rule = parse_net_back(nic, next_word(&rest));
	while (!rule && (word = next_word(&rest)))
		rule = parse_net_word(nic, word);
	free(copy);
	return rule;
}

void net_option_free(struct net_option *nic)
{
	free(nic->interface);
	free(nic->pcap);
}
