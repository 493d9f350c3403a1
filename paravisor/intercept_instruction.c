// SPDX-License-Identifier: MIT
/*
 * Instructions executed for VTL0: the emulator (mmio.h) on a VP of ours.
 *
 *	message --> instruction bytes --> emulator --> bus, VTL0's RAM
 *	            (fetched here, if           |
 *	            the message has none)       `--> #UD, #GP, #PF instead
 *
 * An address is in VTL0's RAM or the bus's. What is neither, VTL2's pages
 * included, is nobody's: reads are all ones, writes are lost. What the emulator
 * does not know is a fault of the guest's instruction, never a stop.
 */
#include <errno.h>

#include <pv/guest_memory.h>
#include <pv/log.h>
#include <pv/violation.h>

#include "chipset/bus.h"
#include "intercept_instruction.h"
#include "mmio.h"
#include "partition.h"
#include "translate.h"
#include "vp.h"

LOG_MODULE("instruction");

#define PAGE 4096u

struct execution {
	struct vp *vp;
	unsigned int cpl;
};

/* ---- how the emulator reaches the VP ---- */

static uint64_t get_gp(void *opaque, unsigned int n)
{
	struct execution *x = opaque;

	return vp_get_gp(x->vp, n);
}

static void set_gp(void *opaque, unsigned int n, uint64_t value)
{
	struct execution *x = opaque;

	vp_set_gp(x->vp, n, value);
}

static void set_rip(void *opaque, uint64_t rip)
{
	struct execution *x = opaque;

	vp_set_rip(x->vp, rip);
}

static void set_rflags(void *opaque, uint64_t rflags)
{
	struct execution *x = opaque;

	vp_set_rflags(x->vp, rflags);
}

static uint64_t segment_base(void *opaque, enum mmio_segment segment)
{
	struct execution *x = opaque;

	return vp_get_segment_base(x->vp, segment);
}

/* ... and memory */

static uint64_t read_memory(void *opaque, uint64_t gpa, unsigned int size)
{
	struct execution *x = opaque;
	struct partition *p = x->vp->partition;
	le64 value = cpu_to_le64(0);

	if (guest_memory_read(&p->memory, gpa, &value, size)) {
		value = cpu_to_le64(bus_read(p->bus, BUS_MMIO, gpa, size));
		trace_value(&x->vp->trace, le64_to_cpu(value));
	}
	return le64_to_cpu(value);
}

static void write_memory(void *opaque, uint64_t gpa, unsigned int size,
			 uint64_t value)
{
	struct execution *x = opaque;
	struct partition *p = x->vp->partition;
	le64 wire = cpu_to_le64(value);

	if (guest_memory_write(&p->memory, gpa, &wire, size)) {
		trace_value(&x->vp->trace, value);
		bus_write(p->bus, BUS_MMIO, gpa, size, value);
	}
}

static void lock(void *opaque)
{
	struct execution *x = opaque;

	bus_lock(x->vp->partition->bus);
}

static void unlock(void *opaque)
{
	struct execution *x = opaque;

	bus_unlock(x->vp->partition->bus);
}

static bool is_ram(void *opaque, uint64_t gpa)
{
	struct execution *x = opaque;

	return guest_memory_good(&x->vp->partition->memory,
				 (struct gpa_range){ gpa, 1 });
}

static uint64_t port_read(void *opaque, uint16_t port, unsigned int size)
{
	struct execution *x = opaque;
	uint64_t value = bus_read(x->vp->partition->bus, BUS_PORT, port, size);

	trace_value(&x->vp->trace, value);
	return value;
}

static void port_write(void *opaque, uint16_t port, unsigned int size,
		       uint64_t value)
{
	struct execution *x = opaque;

	trace_value(&x->vp->trace, value);
	bus_write(x->vp->partition->bus, BUS_PORT, port, size, value);
}

/* -EFAULT: the exception is on its way. */
static int translate_access(struct execution *x, uint64_t gva,
			    enum translate_access access, uint64_t *gpa)
{
	struct translate_fault fault;
	int ret = translate_gva(&x->vp->partition->mshv, gva, access, x->cpl,
				gpa, &fault);

	if (ret != -EFAULT)
		return ret;
	if (fault.page_fault)
		vp_inject_page_fault(x->vp, gva, fault.error_code);
	else
		vp_inject(x->vp, VP_VECTOR_GP, true, 0);
	return ret;
}

static int translate(void *opaque, uint64_t gva, bool write, uint64_t *gpa)
{
	return translate_access(opaque, gva,
				write ? TRANSLATE_WRITE : TRANSLATE_READ, gpa);
}

static const struct mmio_ops ops = {
	.get_gp = get_gp,
	.set_gp = set_gp,
	.set_rip = set_rip,
	.set_rflags = set_rflags,
	.read = read_memory,
	.write = write_memory,
	.lock = lock,
	.unlock = unlock,
	.segment_base = segment_base,
	.translate = translate,
	.is_ram = is_ram,
	.port_read = port_read,
	.port_write = port_write,
};

/* ---- the instruction ---- */

static enum mmio_mode mode_of(const struct hv_intercept_header *h)
{
	unsigned int state = le16_to_cpu(h->execution_state);
	unsigned int cs = le16_to_cpu(h->cs.attributes);

	if (state & HV_EXECUTION_EFER_LMA && cs & HV_SEGMENT_LONG)
		return MMIO_CODE_64;
	return cs & HV_SEGMENT_DEFAULT ? MMIO_CODE_32 : MMIO_CODE_16;
}

static unsigned int smaller(unsigned int a, unsigned int b)
{
	return a < b ? a : b;
}

/*
 * The bytes at RIP, when the hypervisor has not kept them. What another VP
 * makes of them in the meantime is what gets executed, as on a CPU that fetches
 * late. 0 with in->code_size; or translate_access()'s error. That the next page
 * is missing is no error: the instruction may end before it.
 */
static int fetch(struct execution *x, const struct hv_intercept_header *h,
		 struct mmio_instruction *in, uint8_t code[HV_INTERCEPT_BYTES])
{
	struct partition *p = x->vp->partition;
	struct translate_fault fault;
	uint64_t gva = in->rip, gpa;
	unsigned int n;
	int ret;

	if (in->mode != MMIO_CODE_64)
		gva = (gva + le64_to_cpu(h->cs.base)) & UINT32_MAX;
	n = smaller(PAGE - gva % PAGE, HV_INTERCEPT_BYTES);
	ret = translate_access(x, gva, TRANSLATE_EXECUTE, &gpa);
	if (ret)
		return ret;
	in->code = code;
	if (guest_memory_read(&p->memory, gpa, code, n))
		return 0;
	in->code_size = n;
	if (n < HV_INTERCEPT_BYTES &&
	    !translate_gva(&p->mshv, gva + n, TRANSLATE_EXECUTE, x->cpl, &gpa,
			   &fault) &&
	    !guest_memory_read(&p->memory, gpa, code + n,
			       HV_INTERCEPT_BYTES - n))
		in->code_size = HV_INTERCEPT_BYTES;
	return 0;
}

static const char *answer(struct vp *vp, int ret)
{
	if (ret == -EINVAL) {
		vp_inject(vp, VP_VECTOR_UD, false, 0);
		return "#UD";
	}
	vp_inject(vp, VP_VECTOR_GP, true, 0);
	return "#GP";
}

static struct mmio_instruction instruction(const struct hv_intercept_header *h)
{
	return (struct mmio_instruction){
		.mode = mode_of(h),
		.rip = le64_to_cpu(h->rip),
		.rflags = le64_to_cpu(h->rflags),
	};
}

static struct execution execution(struct vp *vp,
				  const struct hv_intercept_header *h)
{
	return (struct execution){
		.vp = vp,
		.cpl = le16_to_cpu(h->execution_state) & HV_EXECUTION_CPL_MASK,
	};
}

void intercept_memory(struct vp *vp, const struct hv_memory_message *m)
{
	struct mmio_instruction in = instruction(&m->header);
	struct execution x = execution(vp, &m->header);
	uint8_t code[HV_INTERCEPT_BYTES];
	const char *said;
	int ret = -EINVAL;

	in.gpa = le64_to_cpu(m->gpa);
	if (m->header.access == HV_INTERCEPT_ACCESS_EXECUTE)
		goto refuse;
	in.code = m->instruction_bytes;
	in.code_size = smaller(m->instruction_byte_count, HV_INTERCEPT_BYTES);
	ret = in.code_size ? 0 : fetch(&x, &m->header, &in, code);
	if (!ret)
		ret = mmio_emulate(&in, &ops, &x);
	if (!ret || ret == -EFAULT)
		return;
refuse:
	said = answer(vp, ret);
	violation_record("memory", vp->index, m->header.access, 0, in.gpa,
			 ret == -EINVAL ?
				 "memory.instruction" :
				 "memory.reach");
	log_warn_limited("VP %u: access to %#llx at %#llx: %s", vp->index,
			 (unsigned long long)in.gpa, (unsigned long long)in.rip,
			 said);
}

void intercept_string_port(struct vp *vp, const struct hv_io_port_message *m)
{
	struct mmio_instruction in = instruction(&m->header);
	struct execution x = execution(vp, &m->header);
	uint8_t code[HV_INTERCEPT_BYTES];
	const char *said;
	int ret;

	in.port = le16_to_cpu(m->port);
	in.code = m->instruction_bytes;
	in.code_size = smaller(m->instruction_byte_count, HV_INTERCEPT_BYTES);
	ret = in.code_size ? 0 : fetch(&x, &m->header, &in, code);
	if (!ret)
		ret = mmio_emulate_port(&in, &ops, &x);
	if (!ret || ret == -EFAULT)
		return;
	said = answer(vp, ret);
	violation_record("port", vp->index, m->access_info, 0, in.port,
			 "port.string");
	log_warn_limited("VP %u: string I/O of port %#x at %#llx: %s",
			 vp->index, in.port, (unsigned long long)in.rip, said);
}
