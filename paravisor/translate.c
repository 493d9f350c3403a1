/* SPDX-License-Identifier: MIT */
/*
 * Translation of VTL0's linear addresses.
 *
 * The hypervisor walks the tables, at the privilege level VTL0 is in. What it
 * says becomes one of four answers:
 *
 *	success, page without memory   the address: a device's, or nobody's
 *	not present, privilege, flags  #PF with the error code a CPU would push
 *	page that VTL0 may not reach   #GP: no memory of VTL2 is read or written
 *	                               for VTL0, whatever its tables say
 *	not canonical                  #GP
 *
 * "Canonical" is judged for 57 bits; what 48-bit tables cannot express beyond
 * that ends as a page fault. Owns nothing.
 */
#include <errno.h>
#include <string.h>

#include <hv_translate_reg.h>
#include <pv/log.h>

#include "mshv.h"
#include "translate.h"

LOG_MODULE("translate");

/* Page-fault error code (Intel SDM volume 3, "Page-Fault Exceptions"). */
#define PF_PRESENT (1u << 0)
#define PF_WRITE (1u << 1)
#define PF_USER (1u << 2)
#define PF_RESERVED (1u << 3)
#define PF_FETCH (1u << 4)

#define CANONICAL_SHIFT 56

static uint32_t error_code(uint32_t result, enum translate_access access,
			   unsigned int cpl)
{
	uint32_t code = cpl == 3 ? PF_USER : 0;

	if (access == TRANSLATE_WRITE)
		code |= PF_WRITE;
	else if (access == TRANSLATE_EXECUTE)
		code |= PF_FETCH;
	if (result != HV_TRANSLATE_NOT_PRESENT)
		code |= PF_PRESENT;
	if (result == HV_TRANSLATE_INVALID_FLAGS)
		code |= PF_RESERVED;
	return code;
}

static bool canonical(uint64_t gva)
{
	int64_t top = (int64_t)gva >> CANONICAL_SHIFT;

	return top == 0 || top == -1;
}

static int ask(struct mshv *mshv, uint64_t gva, enum translate_access access,
	       struct hv_output_translate *out)
{
	static const uint64_t flags[] = {
		[TRANSLATE_READ] = HV_TRANSLATE_READ,
		[TRANSLATE_WRITE] = HV_TRANSLATE_WRITE,
		[TRANSLATE_EXECUTE] = HV_TRANSLATE_EXECUTE,
	};
	/* VTL 0, said aloud. */
	const uint64_t vtl = (uint64_t)HV_INPUT_VTL_USE_TARGET
			     << HV_TRANSLATE_VTL_SHIFT;
	const struct hv_input_translate in = {
		.partition_id = cpu_to_le64(HV_PARTITION_SELF),
		.vp_index = cpu_to_le32(HV_VP_INDEX_SELF),
		.flags = cpu_to_le64(flags[access] | HV_TRANSLATE_SET_BITS |
				     vtl),
		.gva_page = cpu_to_le64(gva >> HV_PAGE_SHIFT),
	};
	uint16_t status;
	int ret;

	memset(out, 0, sizeof(*out));
	ret = mshv_hypercall(mshv, HV_CALL_TRANSLATE_VIRTUAL_ADDRESS, 0, &in,
			     sizeof(in), out, sizeof(*out), &status);
	if (!ret && !status)
		return 0;
	log_err("translation of %#llx: %s, hypervisor status %#x",
		(unsigned long long)gva, strerror(-ret), status);
	return -EIO;
}

int translate_gva(struct mshv *mshv, uint64_t gva, enum translate_access access,
		  unsigned int cpl, uint64_t *gpa,
		  struct translate_fault *fault)
{
	struct hv_output_translate out;
	uint32_t result;
	int ret;

	*fault = (struct translate_fault){ 0 };
	if (!canonical(gva))
		return -EFAULT;
	ret = ask(mshv, gva, access, &out);
	if (ret)
		return ret;
	result = le32_to_cpu(out.result);
	switch (result) {
	case HV_TRANSLATE_SUCCESS:
	case HV_TRANSLATE_GPA_UNMAPPED:
		*gpa = le64_to_cpu(out.gpa_page) << HV_PAGE_SHIFT |
		       (gva & ~HV_PAGE_MASK);
		return 0;
	case HV_TRANSLATE_NOT_PRESENT:
	case HV_TRANSLATE_PRIVILEGE_VIOLATION:
	case HV_TRANSLATE_INVALID_FLAGS:
		fault->page_fault = true;
		fault->error_code = error_code(result, access, cpl);
		return -EFAULT;
	default:
		return -EFAULT;
	}
}
