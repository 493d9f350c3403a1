// SPDX-License-Identifier: MIT
/*
 * Hypercalls (TLFS, "Hypercall Interface").
 *
 * The hypercall page does not hold a VMCALL, which KVM would take for its own,
 * but an IN from a port of ours: KVM hands it out, and on completion changes
 * RAX and nothing else. EAX brings all of the result: the status, and above it
 * the reps done, which the page moves to where they belong. It has to be one IN,
 * or an interrupt that makes a call of its own comes between the two.
 *
 *	hypercall page   +0x00  call      in eax, E0; ...; ret
 *	                 +0x20  VTL call  ud2: VTL0 has nothing to call VTL2 for
 *	                 +0x40  return    out E2, al; ret  (VTL2 only)
 *
 * calls[] says for each code who may make it, how its input and output are
 * shaped and who serves it; check() turns that into the statuses of the TLFS:
 *
 *	INVALID_HYPERCALL_CODE   not in the table for this VTL
 *	INVALID_HYPERCALL_INPUT  reserved bits, wrong form, wrong rep counts
 *	INVALID_ALIGNMENT        lists not aligned to 8, across a page, not RAM
 *
 * Input is copied once, before it is looked at. A handler sees the copy, works
 * on the reps from a->done on and counts them there. It runs on the VP's
 * thread. No hypercall of VTL2 may reach into VTL2 through VTL0's rights: a
 * target VTL above the caller's is ACCESS_DENIED.
 */
#include <string.h>

#include "translate.h"
#include "vp.h"

struct call_args {
	struct vp *vp;
	enum vtl vtl; /* the caller's */
	uint8_t in[HV_PAGE_SIZE];
	uint8_t *out; /* guest memory, checked; NULL without output */
	unsigned int reps, done;
};

struct call {
	uint16_t code;
	bool vtl0, vtl2;   /* who may */
	bool fast;         /* may be */
	uint16_t in, rep_in;   /* bytes: header, each rep */
	uint16_t out, rep_out; /* bytes: fixed, each rep */
	uint16_t (*serve)(struct call_args *a);
};

/* The code above; offsets in hypercall_write_page(). */
static const uint8_t code_call[] = {
	0xe5, HYPERCALL_PORT,         /* in eax, E0 */
	0xa9, 0x00, 0x00, 0xff, 0xff, /* test eax, 0xffff0000 */
	0x75, 0x01,                   /* jnz +1 */
	0xc3,                         /* ret */
	0x52,                         /* push rdx */
	0x89, 0xc2,                   /* mov edx, eax */
	0xc1, 0xea, 0x10,             /* shr edx, 16 */
	0x48, 0xc1, 0xe2, 0x20,       /* shl rdx, 32 */
	0x25, 0xff, 0xff, 0x00, 0x00, /* and eax, 0xffff */
	0x48, 0x09, 0xd0,             /* or rax, rdx */
	0x5a,                         /* pop rdx */
	0xc3,                         /* ret */
};
_Static_assert(sizeof(code_call) <= HYPERCALL_OFFSET_CALL, "overlap");
static const uint8_t code_vtl_call[] = { 0x0f, 0x0b }; /* ud2 */
static const uint8_t code_vtl_return[] = {
	0xe6, HYPERCALL_PORT_RETURN, /* out E2, al */
	0xc3,                        /* ret */
};

void hypercall_write_page(void *page, enum vtl vtl)
{
	uint8_t *p = page;

	memset(p, 0xcc, HV_PAGE_SIZE); /* int3 */
	memcpy(p, code_call, sizeof(code_call));
	memcpy(p + HYPERCALL_OFFSET_CALL, code_vtl_call,
	       sizeof(code_vtl_call));
	memcpy(p + HYPERCALL_OFFSET_RETURN,
	       vtl == VTL2 ? code_vtl_return : code_vtl_call,
	       vtl == VTL2 ? sizeof(code_vtl_return) : sizeof(code_vtl_call));
}

/* Common header checks. */
static uint16_t check_partition(le64 partition)
{
	return le64_to_cpu(partition) == HV_PARTITION_SELF ?
		       HV_STATUS_SUCCESS :
		       HV_STATUS_INVALID_PARTITION_ID;
}

static uint16_t find_vp(struct call_args *a, le32 index, struct vp **vp)
{
	uint32_t n = le32_to_cpu(index);

	if (n == HV_VP_INDEX_SELF)
		n = a->vp->index;
	if (n >= a->vp->m->config.vps)
		return HV_STATUS_INVALID_VP_INDEX;
	*vp = &a->vp->m->vps[n];
	return HV_STATUS_SUCCESS;
}

/* The VTL that an HV_INPUT_VTL means. */
static uint16_t find_vtl(struct call_args *a, uint8_t input, enum vtl *vtl)
{
	uint8_t n = input & HV_INPUT_VTL_MASK;

	if (input & HV_INPUT_VTL_RESERVED)
		return HV_STATUS_INVALID_PARAMETER;
	*vtl = a->vtl;
	if (!(input & HV_INPUT_VTL_USE_TARGET))
		return n ? HV_STATUS_INVALID_PARAMETER : HV_STATUS_SUCCESS;
	if (n > (uint8_t)a->vtl)
		return HV_STATUS_ACCESS_DENIED;
	if (n != VTL0 && n != VTL2)
		return HV_STATUS_INVALID_PARAMETER;
	*vtl = (enum vtl)n;
	return HV_STATUS_SUCCESS;
}

/* ---- registers ---- */

static uint16_t registers_header(struct call_args *a, enum vtl *vtl)
{
	struct hv_input_vp_registers in;
	struct vp *vp;
	uint16_t status;

	memcpy(&in, a->in, sizeof(in));
	status = check_partition(in.partition_id);
	if (!status)
		status = find_vp(a, in.vp_index, &vp);
	if (!status)
		status = find_vtl(a, in.input_vtl, vtl);
	if (status)
		return status;
	/* The registers of a VP are its thread's; another VP is running. */
	return vp == a->vp ? HV_STATUS_SUCCESS : HV_STATUS_INVALID_VP_STATE;
}

static uint16_t get_vp_registers(struct call_args *a)
{
	enum vtl vtl;
	uint16_t status = registers_header(a, &vtl);

	for (; !status && a->done < a->reps; a->done++) {
		struct hv_register_value value;
		le32 name;

		memcpy(&name,
		       a->in + sizeof(struct hv_input_vp_registers) +
			       a->done * sizeof(name),
		       sizeof(name));
		if (vtl == a->vtl)
			status = vsm_get(a->vp, vtl, le32_to_cpu(name), &value);
		else
			status = register_get(a->vp, vtl, le32_to_cpu(name),
					      &value);
		if (status) {
			vp_log(a->vp, "get of unknown register %#x of VTL%d",
			       le32_to_cpu(name), vtl);
			break;
		}
		memcpy(a->out + a->done * sizeof(value), &value,
		       sizeof(value));
	}
	return status;
}

static uint16_t set_vp_registers(struct call_args *a)
{
	enum vtl vtl;
	uint16_t status = registers_header(a, &vtl);

	for (; !status && a->done < a->reps; a->done++) {
		struct hv_register_assoc assoc;
		uint32_t name;

		memcpy(&assoc,
		       a->in + sizeof(struct hv_input_vp_registers) +
			       a->done * sizeof(assoc),
		       sizeof(assoc));
		name = le32_to_cpu(assoc.name);
		if (vtl == a->vtl)
			status = vsm_set(a->vp, name, &assoc.value);
		else
			status = register_set(a->vp, vtl, name, &assoc.value);
		if (status) {
			vp_log(a->vp, "set of register %#x of VTL%d to %#llx: "
				      "status %#x", name, vtl,
			       (unsigned long long)
				       le64_to_cpu(assoc.value.low), status);
			break;
		}
	}
	return status;
}

static uint16_t translate(struct call_args *a)
{
	struct hv_input_translate in;
	struct hv_output_translate out = { 0 };
	uint64_t flags, gpa = 0;
	struct vp *vp;
	enum vtl vtl;
	uint16_t status;

	memcpy(&in, a->in, sizeof(in));
	flags = le64_to_cpu(in.flags);
	status = check_partition(in.partition_id);
	if (!status)
		status = find_vp(a, in.vp_index, &vp);
	if (!status)
		status = find_vtl(a, (uint8_t)(flags >> HV_TRANSLATE_VTL_SHIFT),
				  &vtl);
	if (status)
		return status;
	if (flags & HV_TRANSLATE_RESERVED || le32_to_cpu(in.reserved) ||
	    le64_to_cpu(in.gva_page) >> (64 - HV_PAGE_SHIFT))
		return HV_STATUS_INVALID_PARAMETER;
	if (vp != a->vp)
		return HV_STATUS_INVALID_VP_STATE;
	out.result = cpu_to_le32(translate_gva(
		vp, vtl, le64_to_cpu(in.gva_page) << HV_PAGE_SHIFT, flags,
		&gpa));
	out.gpa_page = cpu_to_le64(gpa >> HV_PAGE_SHIFT);
	memcpy(a->out, &out, sizeof(out));
	return HV_STATUS_SUCCESS;
}

/* ---- starting VPs ---- */

static uint16_t start_header(struct call_args *a, struct vp **vp,
			     struct hv_input_start_vp *in)
{
	uint16_t status;

	memcpy(in, a->in, sizeof(*in));
	status = check_partition(in->partition_id);
	if (!status)
		status = find_vp(a, in->vp_index, vp);
	if (!status && in->target_vtl != VTL2)
		status = HV_STATUS_INVALID_PARAMETER;
	return status;
}

static uint16_t enable_vp_vtl(struct call_args *a)
{
	struct hv_input_start_vp in;
	struct vp *vp;
	uint16_t status = start_header(a, &vp, &in);

	if (status)
		return status;
	/* VP 0 came with VTL2 enabled. */
	if (!vp->index || atomic_exchange(&vp->vtl2_enabled, true))
		return HV_STATUS_VTL_ALREADY_ENABLED;
	return HV_STATUS_SUCCESS;
}

static uint16_t start_vp(struct call_args *a)
{
	struct hv_input_start_vp in;
	struct vp *vp;
	uint16_t status = start_header(a, &vp, &in);

	if (status)
		return status;
	if (!vp->index || atomic_exchange(&vp->start_claimed, true))
		return HV_STATUS_INVALID_VP_STATE;
	vp->start_context = in.context;
	vp_request(vp, VP_REQUEST_START);
	return HV_STATUS_SUCCESS;
}

static uint16_t get_vp_index(struct call_args *a)
{
	struct hv_input_apic_ids in;
	uint16_t status;

	memcpy(&in, a->in, sizeof(in));
	status = check_partition(in.partition_id);
	for (; !status && a->done < a->reps; a->done++) {
		unsigned int index = 0, vps = a->vp->m->config.vps;
		le32 id;

		memcpy(&id, a->in + sizeof(in) + a->done * sizeof(id),
		       sizeof(id));
		while (index < vps &&
		       vp_apic_id(a->vp->m, index) != le32_to_cpu(id))
			index++;
		if (index == vps)
			return HV_STATUS_INVALID_PARAMETER;
		id = cpu_to_le32(index);
		memcpy(a->out + a->done * sizeof(id), &id, sizeof(id));
	}
	return status;
}

/* ---- interrupts ---- */

static uint16_t send_ipi(struct call_args *a)
{
	struct hv_input_cluster_ipi in;
	unsigned int vps = a->vp->m->config.vps;
	uint64_t mask;
	uint32_t vector;
	enum vtl vtl;
	uint16_t status;

	memcpy(&in, a->in, sizeof(in));
	vector = le32_to_cpu(in.vector);
	mask = le64_to_cpu(in.processor_mask);
	status = find_vtl(a, in.target_vtl, &vtl);
	if (status)
		return status;
	if (vector < 16 || vector > 255 || (vps < 64 && mask >> vps))
		return HV_STATUS_INVALID_PARAMETER;
	COUNT(a->vp->count.ipis);
	for (unsigned int i = 0; i < vps; i++)
		if (mask >> i & 1)
			vp_interrupt(a->vp->m, vtl, i, (uint8_t)vector);
	return HV_STATUS_SUCCESS;
}

/* INIT of VTL0's own VP acts at once: the caller loads registers next. */
static void init_own_vtl0(struct vp *vp)
{
	struct vcpu *vcpu = &vp_in(vp, VTL0)->vcpu;
	uint32_t state;

	if (vcpu_get_mp_state(vcpu, &state) < 0 ||
	    vcpu_ioctl(vcpu, KVM_GET_REGS, vcpu->regs, "KVM_GET_REGS") < 0 ||
	    vcpu_ioctl(vcpu, KVM_GET_SREGS, vcpu->sregs, "KVM_GET_SREGS") < 0)
		machine_stop(vp->m, VMM_HOST_CANNOT, "INIT of VP %u failed",
			     vp->index);
	vcpu->run->kvm_dirty_regs = 0;
	vp->xsave_valid = false;
}

static uint16_t assert_interrupt(struct call_args *a)
{
	struct hv_input_assert_interrupt in;
	struct machine *m = a->vp->m;
	uint32_t type, options, vector, data;
	uint64_t destination, address;
	uint16_t status;

	memcpy(&in, a->in, sizeof(in));
	type = le32_to_cpu(in.type);
	options = le32_to_cpu(in.flags);
	vector = le32_to_cpu(in.vector);
	destination = le64_to_cpu(in.destination);
	status = check_partition(in.partition_id);
	if (status)
		return status;
	if (in.vtl != VTL0 || options & ~(HV_ASSERT_LEVEL | HV_ASSERT_LOGICAL) ||
	    destination > 0xff || vector > 0xff)
		return HV_STATUS_INVALID_PARAMETER;
	if (type != HV_INTERRUPT_FIXED && type != HV_INTERRUPT_LOWEST_PRIORITY &&
	    type != HV_INTERRUPT_NMI && type != HV_INTERRUPT_INIT &&
	    type != HV_INTERRUPT_SIPI)
		return HV_STATUS_INVALID_PARAMETER;
	if (type <= HV_INTERRUPT_LOWEST_PRIORITY && vector < 16)
		return HV_STATUS_INVALID_PARAMETER;

	address = MSI_ADDRESS_BASE |
		  destination << MSI_ADDRESS_DESTINATION_SHIFT |
		  (options & HV_ASSERT_LOGICAL ? MSI_ADDRESS_LOGICAL : 0);
	data = vector | type << MSI_DATA_MODE_SHIFT |
	       (options & HV_ASSERT_LEVEL ? MSI_DATA_LEVEL : 0);
	if (machine_send_msi(m, address, data) < 0)
		return HV_STATUS_INVALID_PARAMETER;
	if (type == HV_INTERRUPT_INIT && 
	    destination == vp_apic_id(m, a->vp->index))
		init_own_vtl0(a->vp);
	return HV_STATUS_SUCCESS;
}

static uint16_t retarget(struct call_args *a)
{
	struct hv_input_retarget in;
	struct vtl_view *view = machine_view(a->vp->m, a->vtl);
	unsigned int vps = a->vp->m->config.vps;
	uint16_t status;
	uint64_t mask;
	le64 bank;

	memcpy(&in, a->in, sizeof(in));
	status = check_partition(in.partition_id);
	if (status)
		return status;
	if (le32_to_cpu(in.source) != HV_RETARGET_SOURCE_MSI ||
	    le32_to_cpu(in.vector) > 255)
		return HV_STATUS_INVALID_PARAMETER;
	if (!(le32_to_cpu(in.flags) & HV_RETARGET_VP_SET)) {
		mask = le64_to_cpu(in.set_format);
	} else if (le64_to_cpu(in.set_format) == HV_VP_SET_ALL) {
		mask = vps < 64 ? (1ull << vps) - 1 : UINT64_MAX;
	} else if (le64_to_cpu(in.set_format) == HV_VP_SET_SPARSE_4K &&
		   le64_to_cpu(in.valid_banks) == 1) {
		memcpy(&bank, a->in + sizeof(in), sizeof(bank));
		mask = le64_to_cpu(bank);
	} else {
		return HV_STATUS_INVALID_PARAMETER;
	}
	if (!mask || (vps < 64 && mask >> vps) || !view->retarget)
		return HV_STATUS_INVALID_PARAMETER;
	return view->retarget(view->retarget_opaque, le64_to_cpu(in.device_id),
			      le32_to_cpu(in.address), le32_to_cpu(in.data),
			      le32_to_cpu(in.vector), mask);
}

/* ---- messages and events ---- */

/* Not a connection of ours: an intercept, if VTL2 wants it. */
static uint16_t unknown_connection(struct call_args *a)
{
	if (a->vtl == VTL0 && atomic_load(&a->vp->m->intercepts) &
				      INTERCEPT_CONNECTIONS) {
		intercept_hypercall(a->vp);
		return HV_STATUS_SUCCESS;
	}
	return HV_STATUS_INVALID_CONNECTION_ID;
}

static uint16_t post_message(struct call_args *a)
{
	struct hv_input_post_message in;
	struct machine *m = a->vp->m;
	struct message_port *port;
	uint32_t id, size, type;
	uint16_t status;

	memcpy(&in, a->in, sizeof(in));
	id = le32_to_cpu(in.connection_id) & HV_CONNECTION_ID_MASK;
	size = le32_to_cpu(in.payload_size);
	type = le32_to_cpu(in.message_type);
	/* Types with bit 31 set are the hypervisor's own. */
	if (size > HV_MESSAGE_PAYLOAD_SIZE || type >> 31 || !type)
		return HV_STATUS_INVALID_PARAMETER;
	COUNT(a->vp->count.messages);
	pthread_mutex_lock(&m->lock);
	for (port = machine_view(m, a->vtl)->messages; port; port = port->next)
		if (port->connection == id)
			break;
	if (port)
		callback_begin(a->vp, port);
	pthread_mutex_unlock(&m->lock);
	if (!port)
		return unknown_connection(a);
	status = port->post(port->opaque, a->vp->index, type, in.payload, size);
	callback_end(a->vp);
	return status;
}

static uint16_t signal_event(struct call_args *a)
{
	struct machine *m = a->vp->m;
	struct event_port *port;
	uint64_t word;
	uint16_t status;
	uint32_t id;
	le64 in;

	memcpy(&in, a->in, sizeof(in));
	word = le64_to_cpu(in);
	id = (uint32_t)word & HV_CONNECTION_ID_MASK;
	if (word >> 48)
		return HV_STATUS_INVALID_PARAMETER;
	COUNT(a->vp->count.events);
	pthread_mutex_lock(&m->lock);
	for (port = machine_view(m, a->vtl)->events; port; port = port->next)
		if (id >= port->connection &&
		    id - port->connection < port->count)
			break;
	if (port)
		callback_begin(a->vp, port);
	pthread_mutex_unlock(&m->lock);
	if (!port)
		return unknown_connection(a);
	status = port->signal(port->opaque, id,
			      (uint16_t)(word >> HV_SIGNAL_EVENT_FLAG_SHIFT));
	callback_end(a->vp);
	return status == HV_STATUS_INVALID_CONNECTION_ID ?
		       unknown_connection(a) : status;
}

static uint16_t find_direct(struct call_args *a, le64 partition, le32 index,
			    uint8_t vtl, struct vp **vp)
{
	uint16_t status = check_partition(partition);

	if (!status)
		status = find_vp(a, index, vp);
	if (!status && vtl != VTL0)
		status = HV_STATUS_INVALID_PARAMETER;
	return status;
}

static uint16_t post_message_direct(struct call_args *a)
{
	struct hv_input_post_message_direct in;
	struct vp *vp;
	uint16_t status;

	memcpy(&in, a->in, sizeof(in));
	status = find_direct(a, in.partition_id, in.vp_index, in.vtl, &vp);
	if (status)
		return status;
	if (!le32_to_cpu(in.message.header.type))
		return HV_STATUS_INVALID_PARAMETER;
	return synic_post_direct(vp_in(vp, VTL0), in.sint, &in.message);
}

static uint16_t signal_event_direct(struct call_args *a)
{
	struct hv_input_signal_event_direct in;
	struct vp *vp;
	uint16_t status;
	bool newly;

	memcpy(&in, a->in, sizeof(in));
	status = find_direct(a, in.partition_id, in.vp_index, in.vtl, &vp);
	if (status)
		return status;
	status = synic_signal_direct(vp_in(vp, VTL0), in.sint,
				     le16_to_cpu(in.flag), &newly);
	memset(a->out, 0, 8);
	a->out[0] = newly;
	return status;
}

/* ---- control of VTL0 ---- */

static uint16_t install_intercept(struct call_args *a)
{
	struct hv_input_install_intercept in;
	uint32_t access, which;
	uint16_t status;

	memcpy(&in, a->in, sizeof(in));
	access = le32_to_cpu(in.access_type);
	status = check_partition(in.partition_id);
	if (status)
		return status;
	if (access & ~(HV_ACCESS_READ | HV_ACCESS_WRITE | HV_ACCESS_EXECUTE))
		return HV_STATUS_INVALID_PARAMETER;
	switch (le32_to_cpu(in.intercept_type)) {
	case HV_INTERCEPT_IO_PORT_RANGE:
		/* All ports or none: a part of them is not modelled. */
		if (le64_to_cpu(in.parameter) != 0xffff0000)
			return HV_STATUS_INVALID_PARAMETER;
		which = INTERCEPT_PORTS;
		break;
	case HV_INTERCEPT_MSR:
		which = INTERCEPT_MSRS;
		break;
	case HV_INTERCEPT_UNKNOWN_SYNIC_CONNECTION:
		which = INTERCEPT_CONNECTIONS;
		break;
	case HV_INTERCEPT_APIC_EOI:
		which = INTERCEPT_EOI;
		break;
	case HV_INTERCEPT_RETARGET_UNKNOWN_DEVICE:
		which = INTERCEPT_RETARGET;
		break;
	default:
		return HV_STATUS_INVALID_PARAMETER;
	}
	if (access)
		atomic_fetch_or(&a->vp->m->intercepts, which);
	else
		atomic_fetch_and(&a->vp->m->intercepts, ~which);
	return HV_STATUS_SUCCESS;
}

/* VTL2's own pages are not in VTL0's memory at all: taking them away from it
 * is done. Other protections are not modelled. */
static uint16_t modify_protection(struct call_args *a)
{
	struct hv_input_modify_protection in;
	struct machine *m = a->vp->m;
	uint16_t status;
	le64 page;

	memcpy(&in, a->in, sizeof(in));
	status = check_partition(in.partition_id);
	if (!status && le32_to_cpu(in.map_flags))
		status = HV_STATUS_INVALID_PARAMETER;
	for (; !status && a->done < a->reps; a->done++) {
		uint64_t gpa;

		memcpy(&page, a->in + sizeof(in) + a->done * sizeof(page),
		       sizeof(page));
		gpa = le64_to_cpu(page) << HV_PAGE_SHIFT;
		if (machine_ram(m, VTL0, gpa, HV_PAGE_SIZE) ||
		    !machine_ram(m, VTL2, gpa, HV_PAGE_SIZE))
			return HV_STATUS_INVALID_PARAMETER;
	}
	return status;
}

/* ---- the table ---- */

#define SIZE(type) sizeof(struct type)

static const struct call calls[] = {
	{ HV_CALL_SEND_SYNTHETIC_CLUSTER_IPI, true, true, true,
	  SIZE(hv_input_cluster_ipi), 0, 0, 0, send_ipi },
	{ HV_CALL_MODIFY_VTL_PROTECTION_MASK, false, true, false,
	  SIZE(hv_input_modify_protection), 8, 0, 0, modify_protection },
	{ HV_CALL_ENABLE_VP_VTL, false, true, false, SIZE(hv_input_start_vp), 0,
	  0, 0, enable_vp_vtl },
	{ HV_CALL_INSTALL_INTERCEPT, false, true, false,
	  SIZE(hv_input_install_intercept), 0, 0, 0, install_intercept },
	{ HV_CALL_GET_VP_REGISTERS, false, true, false,
	  SIZE(hv_input_vp_registers), 4, 0, SIZE(hv_register_value),
	  get_vp_registers },
	{ HV_CALL_SET_VP_REGISTERS, false, true, false,
	  SIZE(hv_input_vp_registers), SIZE(hv_register_assoc), 0, 0,
	  set_vp_registers },
	{ HV_CALL_TRANSLATE_VIRTUAL_ADDRESS, false, true, false,
	  SIZE(hv_input_translate), 0, SIZE(hv_output_translate), 0,
	  translate },
	{ HV_CALL_POST_MESSAGE, true, true, false, SIZE(hv_input_post_message),
	  0, 0, 0, post_message },
	{ HV_CALL_SIGNAL_EVENT, true, true, true, 8, 0, 0, 0, signal_event },
	{ HV_CALL_RETARGET_DEVICE_INTERRUPT, true, true, false,
	  SIZE(hv_input_retarget), 0, 0, 0, retarget },
	{ HV_CALL_ASSERT_VIRTUAL_INTERRUPT, false, true, false,
	  SIZE(hv_input_assert_interrupt), 0, 0, 0, assert_interrupt },
	{ HV_CALL_START_VIRTUAL_PROCESSOR, false, true, false,
	  SIZE(hv_input_start_vp), 0, 0, 0, start_vp },
	{ HV_CALL_GET_VP_INDEX_FROM_APIC_ID, false, true, false,
	  SIZE(hv_input_apic_ids), 4, 0, 4, get_vp_index },
	{ HV_CALL_SIGNAL_EVENT_DIRECT, false, true, true,
	  SIZE(hv_input_signal_event_direct), 0, 8, 0, signal_event_direct },
	{ HV_CALL_POST_MESSAGE_DIRECT, false, true, false,
	  SIZE(hv_input_post_message_direct), 0, 0, 0, post_message_direct },
};

/*
 * Calls that are for VTL2 and exist, so that VTL0 learns it may not; likewise
 * of the one that would give the partition another VTL, which no VTL may.
 */
static const struct call *find_call(uint16_t code, enum vtl vtl,
				    uint16_t *status)
{
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		if (calls[i].code != code)
			continue;
		*status = HV_STATUS_ACCESS_DENIED;
		return (vtl == VTL2 ? calls[i].vtl2 : calls[i].vtl0) ?
			       &calls[i] :
			       NULL;
	}
	*status = code == HV_CALL_ENABLE_PARTITION_VTL ?
			  HV_STATUS_ACCESS_DENIED :
			  HV_STATUS_INVALID_HYPERCALL_CODE;
	return NULL;
}

/* The variable part of a header: only retarget's processor set has one. */
static size_t variable_bytes(const struct call *call, uint64_t control)
{
	if (call->code != HV_CALL_RETARGET_DEVICE_INTERRUPT)
		return 0;
	return (control >> HV_CONTROL_VARHEAD_SHIFT & HV_CONTROL_VARHEAD_MASK) *
	       8;
}

static uint16_t check_list(struct call_args *a, uint64_t gpa, size_t size,
			   void **host)
{
	*host = NULL;
	if (!size)
		return HV_STATUS_SUCCESS;
	if (gpa & 7 || (gpa & ~HV_PAGE_MASK) + size > HV_PAGE_SIZE)
		return HV_STATUS_INVALID_ALIGNMENT;
	*host = machine_ram(a->vp->m, a->vtl, gpa, size);
	return *host ? HV_STATUS_SUCCESS : HV_STATUS_INVALID_ALIGNMENT;
}

/* Everything that can be said of a call without knowing what it does. */
static uint16_t check(const struct call *call, struct call_args *a,
		      uint64_t control, uint64_t in, uint64_t out)
{
	size_t in_size = call->in + variable_bytes(call, control);
	size_t out_size = call->out;
	void *list;
	uint16_t status;

	a->reps = control >> HV_CONTROL_REP_COUNT_SHIFT &
		  HV_CONTROL_REP_COUNT_MASK;
	a->done = control >> HV_CONTROL_REP_START_SHIFT &
		  HV_CONTROL_REP_START_MASK;
	if (control & (HV_CONTROL_RESERVED | HV_CONTROL_NESTED))
		return HV_STATUS_INVALID_HYPERCALL_INPUT;
	if (control >> HV_CONTROL_VARHEAD_SHIFT & HV_CONTROL_VARHEAD_MASK &&
	    in_size == call->in)
		return HV_STATUS_INVALID_HYPERCALL_INPUT;
	if (call->rep_in ? a->done >= a->reps : a->reps || a->done)
		return HV_STATUS_INVALID_HYPERCALL_INPUT;
	in_size += (size_t)a->reps * call->rep_in;
	out_size += (size_t)a->reps * call->rep_out;

	if (control & HV_CONTROL_FAST) {
		/* The output of a fast call would be in registers too. */
		if (!call->fast || in_size > 16 || out_size > 8)
			return HV_STATUS_INVALID_HYPERCALL_INPUT;
		memcpy(a->in, &in, 8);
		memcpy(a->in + 8, &out, 8);
		a->out = a->in + HV_PAGE_SIZE - 8;
		return HV_STATUS_SUCCESS;
	}
	status = check_list(a, in, in_size, &list);
	if (status)
		return status;
	memcpy(a->in, list, in_size);
	status = check_list(a, out, out_size, &list);
	a->out = list;
	return status;
}

/* Statuses that are part of a protocol, not of a mistake. */
static bool is_usual(uint16_t status)
{
	return status == HV_STATUS_OBJECT_IN_USE ||
	       status == HV_STATUS_INVALID_SYNIC_STATE ||
	       status == HV_STATUS_INSUFFICIENT_BUFFERS ||
	       status == HV_STATUS_VTL_ALREADY_ENABLED;
}

uint64_t hypercall(struct vp *vp, enum vtl vtl, uint64_t control, uint64_t in,
		   uint64_t out)
{
	struct machine *m = vp->m;
	uint16_t code = control & HV_CONTROL_CODE_MASK;
	struct call_args a = { .vp = vp, .vtl = vtl };
	const struct call *call;
	uint16_t status;

	call = find_call(code, vtl, &status);
	if (!call) {
		atomic_fetch_add(&m->hypercalls_unknown, 1);
		vp_log(vp, "hypercall %#x is not for VTL%d: status %#x", code,
		       vtl, status);
		return status;
	}
	atomic_fetch_add(&m->hypercalls[vtl_index(vtl)][code], 1);
	status = check(call, &a, control, in, out);
	if (!status)
		status = call->serve(&a);
	if (status)
		COUNT(vp->count.refused);
	if (status && !is_usual(status))
		vp_log(vp, "hypercall %#x refused: status %#x", code, status);
	/* VTL2 was entered and will write the result itself. */
	if (vtl != vp->active)
		return HYPERCALL_INTERCEPTED;
	return status | (uint64_t)a.done << HV_RESULT_REPS_SHIFT;
}
