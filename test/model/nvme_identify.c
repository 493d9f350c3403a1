// SPDX-License-Identifier: MIT
/*
 * What the NVMe model says about itself: Identify data structures (base 5.17,
 * nvm 4.1.5) and log pages (base 5.16). A namespace has one format, without
 * metadata; what is not attached is all zeros.
 *
 * The controller's thread only.
 */
#include <stdio.h>
#include <string.h>

#include "nvme_controller.h"

#define TEMPERATURE 313u /* kelvin */

/* ASCII without a terminator, padded with spaces. */
static void pad(char *field, size_t size, const char *text)
{
	size_t len = strnlen(text, size);

	memset(field, ' ', size);
	memcpy(field, text, len);
}

static void fill_controller(struct nvme_controller *c,
			    struct nvme_identify_controller *id)
{
	const uint8_t *g = c->config.nguid;

	id->vid = cpu_to_le16(c->function.vendor);
	id->ssvid = cpu_to_le16(c->function.subsystem_vendor);
	pad(id->sn, sizeof(id->sn), c->serial);
	pad(id->mn, sizeof(id->mn), "vmm NVMe model");
	pad(id->fr, sizeof(id->fr), "1");
	id->mdts = (uint8_t)c->config.mdts;
	id->cntlid = cpu_to_le16(1);
	id->ver = cpu_to_le32(NVME_VERSION_2_0);
	id->oaes = cpu_to_le32(NVME_OAES_NAMESPACES);
	id->ctratt = cpu_to_le32(NVME_CTRATT_HOST_ID_128);
	id->cntrltype = NVME_CNTRLTYPE_IO;
	id->acl = 3;
	id->aerl = NVME_MAX_EVENTS - 1;
	id->frmw = NVME_FRMW_ONE_READ_ONLY_SLOT;
	id->lpa = NVME_LPA_EFFECTS | NVME_LPA_EXTENDED;
	id->wctemp = cpu_to_le16(343);
	id->cctemp = cpu_to_le16(353);
	id->sqes = NVME_SQES;
	id->cqes = NVME_CQES;
	id->nn = cpu_to_le32(NVME_MAX_NAMESPACES);
	id->oncs = cpu_to_le16(NVME_ONCS_COMPARE | NVME_ONCS_DSM |
			       NVME_ONCS_WRITE_ZEROES |
			       NVME_ONCS_RESERVATIONS | NVME_ONCS_VERIFY);
	id->vwc = NVME_VWC_PRESENT | NVME_VWC_FLUSH_ALL;
	id->sgls = cpu_to_le32(c->config.sgl ? NVME_SGLS_SUPPORTED : 0);
	snprintf(id->subnqn, sizeof(id->subnqn),
		 "nqn.2014-08.org.nvmexpress:uuid:%02x%02x%02x%02x-%02x%02x-"
		 "%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", g[0], g[1], g[2],
		 g[3], g[4], g[5], g[6], g[7], g[8], g[9], g[10], g[11], g[12],
		 g[13], g[14], g[15]);
	id->psd0_max_power = cpu_to_le16(100);
}

static uint8_t attributes(const struct nvme_namespace *ns)
{
	return ns->config.read_only ? NVME_NSATTR_WRITE_PROTECTED : 0;
}

/* Blocks of 512 bytes on sectors of 4096 and the like are what is preferred,
 * and atomic, in units of several blocks. */
static void fill_units(const struct nvme_namespace *ns,
		       struct nvme_identify_namespace *id)
{
	uint32_t unit = ns->config.physical_block_size >> ns->shift;
	le16 less_one = cpu_to_le16((uint16_t)(unit - 1));

	if (unit == 1)
		return;
	id->nsfeat = NVME_NSFEAT_ATOMIC | NVME_NSFEAT_OPTIMAL;
	id->nawun = id->nawupf = id->nacwu = less_one;
	id->npwg = id->npwa = id->npdg = id->npda = less_one;
}

static void fill_namespace(const struct nvme_namespace *ns,
			   struct nvme_identify_namespace *id)
{
	id->nsze = id->ncap = id->nuse = cpu_to_le64(ns->blocks);
	id->rescap = NVME_RESCAP_ALL;
	id->dlfeat = NVME_DLFEAT_READS_ZERO | NVME_DLFEAT_WRITE_ZEROES;
	id->nsattr = attributes(ns);
	memcpy(id->nguid, ns->config.nguid, sizeof(id->nguid));
	id->lbaf[0].lbads = (uint8_t)ns->shift;
	fill_units(ns, id);
}

static void fill_descriptors(const struct nvme_namespace *ns, uint8_t *page)
{
	struct nvme_ns_descriptor nguid = {
		.type = NVME_NS_DESCRIPTOR_NGUID,
		.length = sizeof(ns->config.nguid),
	};
	struct nvme_ns_descriptor csi = {
		.type = NVME_NS_DESCRIPTOR_CSI,
		.length = 1, /* the NVM command set: 0 */
	};

	memcpy(page, &nguid, sizeof(nguid));
	memcpy(page + sizeof(nguid), ns->config.nguid, nguid.length);
	memcpy(page + sizeof(nguid) + nguid.length, &csi, sizeof(csi));
}

static void fill_nvm_controller(struct nvme_controller *c,
				struct nvme_identify_nvm_controller *id)
{
	id->vsl = (uint8_t)c->config.mdts;
	/* Write Zeroes and DSM: as much as a command can say. */
	id->dmrl = NVME_DSM_MAX_RANGES - 1;
}

/* Ascending, those above `nsid`. */
static uint16_t fill_active_list(struct nvme_controller *c, uint32_t nsid,
				 uint8_t *page)
{
	if (nsid >= NVME_NSID_ALL - 1)
		return NVME_FAIL(NVME_INVALID_NAMESPACE);
	for (uint32_t i = 1; i <= NVME_MAX_NAMESPACES; i++) {
		le32 id = cpu_to_le32(i);

		if (i <= nsid || !nvme_namespace(c, i))
			continue;
		memcpy(page, &id, sizeof(id));
		page += sizeof(id);
	}
	return NVME_SUCCESS;
}

static bool about_a_namespace(uint8_t cns)
{
	return cns == NVME_CNS_NAMESPACE || cns == NVME_CNS_DESCRIPTORS ||
	       cns == NVME_CNS_CSI_NAMESPACE ||
	       cns == NVME_CNS_COMMON_NAMESPACE;
}

uint16_t nvme_identify(struct nvme_controller *c,
		       const struct nvme_command *cmd, void *page)
{
	uint8_t cns = (uint8_t)le32_to_cpu(cmd->cdw10);
	uint8_t csi = le32_to_cpu(cmd->cdw11) >> NVME_CSI_SHIFT;
	uint32_t nsid = le32_to_cpu(cmd->nsid);
	struct nvme_identify_common_namespace *common = page;
	const struct nvme_namespace *ns = NULL;

	/* The command sets other than NVM do not exist. */
	if (csi && cns >= NVME_CNS_CSI_NAMESPACE &&
	    cns <= NVME_CNS_CSI_ACTIVE_LIST)
		return NVME_FAIL(NVME_INVALID_FIELD);
	if (about_a_namespace(cns)) {
		ns = nvme_namespace(c, nsid);
		/* One that could be there is all zeros. */
		if (!ns && nsid && nsid <= NVME_MAX_NAMESPACES &&
		    cns == NVME_CNS_NAMESPACE)
			return NVME_SUCCESS;
		if (!ns)
			return NVME_FAIL(NVME_INVALID_NAMESPACE);
	}
	switch (cns) {
	case NVME_CNS_NAMESPACE:
		fill_namespace(ns, page);
		break;
	case NVME_CNS_CONTROLLER:
		fill_controller(c, page);
		break;
	case NVME_CNS_ACTIVE_LIST:
	case NVME_CNS_CSI_ACTIVE_LIST:
		return fill_active_list(c, nsid, page);
	case NVME_CNS_DESCRIPTORS:
		fill_descriptors(ns, page);
		break;
	case NVME_CNS_CSI_NAMESPACE:
		/* No protection information: all zeros. */
		break;
	case NVME_CNS_CSI_CONTROLLER:
		fill_nvm_controller(c, page);
		break;
	case NVME_CNS_COMMON_NAMESPACE:
		common->rescap = NVME_RESCAP_ALL;
		common->nsattr = attributes(ns);
		common->nstat = NVME_NSTAT_READY;
		break;
	default:
		return NVME_FAIL(NVME_INVALID_FIELD);
	}
	return NVME_SUCCESS;
}

/* ---- logs ---- */

static void fill_supported(uint8_t *page)
{
	static const uint8_t ids[] = {
		NVME_LOG_SUPPORTED, NVME_LOG_ERRORS,  NVME_LOG_SMART,
		NVME_LOG_FIRMWARE,  NVME_LOG_NAMESPACES, NVME_LOG_EFFECTS,
	};
	le32 yes = cpu_to_le32(NVME_LOG_IS_SUPPORTED);

	for (size_t i = 0; i < sizeof(ids); i++)
		memcpy(page + ids[i] * sizeof(yes), &yes, sizeof(yes));
}

/* Thousands of 512 bytes, rounded up. */
static le64 data_units(uint64_t bytes)
{
	return cpu_to_le64((bytes + 511999) / 512000);
}

static void fill_smart(struct nvme_controller *c, struct nvme_smart_log *log)
{
	struct nvme_counters now;

	nvme_counters(c, &now);
	log->temperature[0] = TEMPERATURE & 0xff;
	log->temperature[1] = TEMPERATURE >> 8;
	log->spare = 100;
	log->spare_threshold = 10;
	log->data_units_read[0] = data_units(now.bytes_read);
	log->data_units_written[0] = data_units(now.bytes_written);
	log->host_reads[0] = cpu_to_le64(now.reads);
	log->host_writes[0] = cpu_to_le64(now.writes);
}

static void fill_effects(struct nvme_effects_log *log)
{
	static const uint8_t admin[] = {
		NVME_ADMIN_DELETE_SQ,	 NVME_ADMIN_CREATE_SQ,
		NVME_ADMIN_GET_LOG_PAGE, NVME_ADMIN_DELETE_CQ,
		NVME_ADMIN_CREATE_CQ,	 NVME_ADMIN_IDENTIFY,
		NVME_ADMIN_ABORT,	 NVME_ADMIN_SET_FEATURES,
		NVME_ADMIN_GET_FEATURES, NVME_ADMIN_ASYNC_EVENT,
	};
	static const struct {
		uint8_t opcode, effects;
	} io[] = {
		{ NVME_FLUSH, NVME_EFFECT_SUPPORTED },
		{ NVME_WRITE, NVME_EFFECT_SUPPORTED | NVME_EFFECT_CONTENT },
		{ NVME_READ, NVME_EFFECT_SUPPORTED },
		{ NVME_COMPARE, NVME_EFFECT_SUPPORTED },
		{ NVME_WRITE_ZEROES,
		  NVME_EFFECT_SUPPORTED | NVME_EFFECT_CONTENT },
		{ NVME_DSM, NVME_EFFECT_SUPPORTED | NVME_EFFECT_CONTENT },
		{ NVME_VERIFY, NVME_EFFECT_SUPPORTED },
		{ NVME_RESERVATION_REGISTER, NVME_EFFECT_SUPPORTED },
		{ NVME_RESERVATION_REPORT, NVME_EFFECT_SUPPORTED },
		{ NVME_RESERVATION_ACQUIRE, NVME_EFFECT_SUPPORTED },
		{ NVME_RESERVATION_RELEASE, NVME_EFFECT_SUPPORTED },
	};

	for (size_t i = 0; i < sizeof(admin); i++)
		log->admin[admin[i]] = cpu_to_le32(NVME_EFFECT_SUPPORTED);
	for (size_t i = 0; i < sizeof(io) / sizeof(io[0]); i++)
		log->io[io[i].opcode] = cpu_to_le32(io[i].effects);
}

/* Changed namespaces, ascending. */
static void fill_changed(const struct nvme_controller *c, uint8_t *page)
{
	for (uint32_t i = 0; i < NVME_MAX_NAMESPACES; i++) {
		le32 id = cpu_to_le32(i + 1);

		if (!(c->changed_ns >> i & 1))
			continue;
		memcpy(page, &id, sizeof(id));
		page += sizeof(id);
	}
}

uint16_t nvme_log(struct nvme_controller *c, uint8_t id, void *page,
		  uint32_t *size)
{
	struct nvme_firmware_log *firmware = page;

	switch (id) {
	case NVME_LOG_SUPPORTED:
		fill_supported(page);
		*size = 1024;
		break;
	case NVME_LOG_ERRORS:
		/* One entry, never filled: errors are told by status. */
		*size = 64;
		break;
	case NVME_LOG_SMART:
		fill_smart(c, page);
		*size = sizeof(struct nvme_smart_log);
		break;
	case NVME_LOG_FIRMWARE:
		firmware->active = 1;
		pad(firmware->revision[0], sizeof(firmware->revision[0]), "1");
		*size = sizeof(*firmware);
		break;
	case NVME_LOG_NAMESPACES:
		fill_changed(c, page);
		*size = NVME_IDENTIFY_SIZE;
		break;
	case NVME_LOG_EFFECTS:
		fill_effects(page);
		*size = sizeof(struct nvme_effects_log);
		break;
	default:
		return NVME_FAIL(NVME_INVALID_LOG_PAGE);
	}
	return NVME_SUCCESS;
}
