// SPDX-License-Identifier: MIT
/*
 * The kernel's mshv_vtl driver.
 *
 * Owns: three descriptors - the VTL (run, registers, memory), hypercalls and
 * VTL0's memory - and two pages per VP, both mapped from the VTL descriptor:
 * the run page, and the register page that the hypervisor fills at each
 * intercept, which saves a hypercall per instruction emulated.
 *
 * A run, and why no wake-up is lost:
 *
 *	user                         kernel
 *	cancel = 0
 *	look for work, do it
 *	                             poll file wakes: cancel = 1, IPI
 *	RETURN_TO_LOWER_VTL ------->  cancel? -> EINTR
 *	                             VTL0 runs; IPI ends it; cancel? -> EINTR
 *
 * The kernel never clears `cancel`, so a wake-up between the look and the
 * ioctl ends the ioctl at once.
 *
 * Threads: a VP's calls need its CPU; the rest is for any thread.
 * Failure: each call that can fail says so; the opener logs the reason.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/mshv.h>

#include <pv/log.h>

#include "mshv.h"

LOG_MODULE("mshv");

#define HUGE_PAGE (2u << 20)
/* First page offset of the register pages in the VTL descriptor. */
#define REGISTER_PAGES (1u << 16)
/* Each takes the hypervisor some 50 us: half a second without an element. */
#define TIMEOUTS_MAX 10000u

/* The daemon's own hypercalls; the kernel refuses all others. */
static const uint16_t allowed_calls[] = {
	HV_CALL_MODIFY_VTL_PROTECTION_MASK, HV_CALL_INSTALL_INTERCEPT,
	HV_CALL_GET_VP_REGISTERS,	    HV_CALL_SET_VP_REGISTERS,
	HV_CALL_TRANSLATE_VIRTUAL_ADDRESS,  HV_CALL_ASSERT_VIRTUAL_INTERRUPT,
	HV_CALL_SIGNAL_EVENT_DIRECT,	    HV_CALL_POST_MESSAGE_DIRECT,
};

static int open_device(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	if (fd < 0) {
		fd = -errno;
		log_err("%s: %s", path, strerror(errno));
	}
	return fd;
}

static int allow_calls(int fd)
{
	uint8_t bitmap[HV_CALL_POST_MESSAGE_DIRECT / 8 + 1] = { 0 };
	struct mshv_vtl_hvcall_setup setup = {
		.bitmap_array_size = sizeof(bitmap),
		.allow_bitmap_ptr = (uintptr_t)bitmap,
	};

	for (size_t i = 0;
	     i < sizeof(allowed_calls) / sizeof(allowed_calls[0]); i++)
		bitmap[allowed_calls[i] / 8] |=
			(uint8_t)(1u << allowed_calls[i] % 8);
	return ioctl(fd, MSHV_HVCALL_SETUP, &setup) < 0 ? -errno : 0;
}

static bool extension(int fd, uint32_t capability)
{
	return ioctl(fd, MSHV_CHECK_EXTENSION, &capability) > 0;
}

int mshv_open(struct mshv *m)
{
	int fd, ret;

	*m = (struct mshv){ -1, -1, -1, false, 0 };
	fd = open_device("/dev/mshv");
	if (fd < 0)
		return fd;
	m->return_actions = extension(fd, MSHV_CAP_VTL_RETURN_ACTION);
	m->vtl = ioctl(fd, MSHV_CREATE_VTL, 0);
	ret = m->vtl < 0 ? -errno : 0;
	close(fd);
	if (ret) {
		log_err("create VTL: %s", strerror(-ret));
		return ret;
	}
	m->hvcall = ret = open_device("/dev/mshv_hvcall");
	if (ret < 0)
		goto out_close;
	ret = allow_calls(m->hvcall);
	if (ret) {
		log_err("hypercall list: %s", strerror(-ret));
		goto out_close;
	}
	m->low = ret = open_device("/dev/mshv_vtl_low");
	if (ret < 0)
		goto out_close;
	return 0;

out_close:
	mshv_close(m);
	return ret;
}

void mshv_close(struct mshv *m)
{
	const int fds[] = { m->vtl, m->hvcall, m->low };

	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		if (fds[i] >= 0)
			close(fds[i]);
	*m = (struct mshv){ -1, -1, -1, false, 0 };
}

/* ---- memory ---- */

int mshv_add_memory(struct mshv *m, uint64_t gpa, uint64_t size)
{
	struct mshv_vtl_ram_disposition ram = {
		.start_pfn = gpa >> HV_PAGE_SHIFT,
		.last_pfn = (gpa + size) >> HV_PAGE_SHIFT,
	};

	if (gpa % HUGE_PAGE || size % HUGE_PAGE || gpa + size < gpa)
		return -EINVAL;
	return ioctl(m->vtl, MSHV_ADD_VTL0_MEMORY, &ram) < 0 ? -errno : 0;
}

void *mshv_map(struct mshv *m, void *va, uint64_t gpa, uint64_t size)
{
	void *p = mmap(va, size, PROT_READ | PROT_WRITE,
		       MAP_SHARED | (va ? MAP_FIXED : 0), m->low, (off_t)gpa);

	return p == MAP_FAILED ? NULL : p;
}

/* ---- hypercalls ---- */

/*
 * A call that takes long is ended early by the hypervisor, to be made again
 * from the first element that is not done (TLFS, "Hypercall Continuation");
 * the counts of elements are from the beginning of the list.
 */
int mshv_hypercall(struct mshv *m, uint16_t code, uint16_t reps,
		   const void *in, size_t in_size, void *out, size_t out_size,
		   uint16_t *status)
{
	uint64_t nothing; /* the kernel wants an address in any case */
	struct mshv_vtl_hvcall call = {
		.input_size = in_size,
		.input_ptr = (uintptr_t)in,
		.output_size = out_size,
		.output_ptr = (uintptr_t)(out ? out : &nothing),
	};
	unsigned int timeouts = 0, done = 0, n;

	/* Of a list of output, what came before would be lost. */
	pv_bug(out && reps > 1, code, reps);
	*status = HV_STATUS_SUCCESS;
	do {
		call.control = code |
			(uint64_t)reps << HV_CONTROL_REP_COUNT_SHIFT |
			(uint64_t)done << HV_CONTROL_REP_START_SHIFT;
		atomic_fetch_add_explicit(&m->hypercalls, 1,
					  memory_order_relaxed);
		if (ioctl(m->hvcall, MSHV_HVCALL, &call) < 0)
			return -errno;
		*status = call.status & HV_RESULT_STATUS_MASK;
		n = call.status >> HV_RESULT_REPS_SHIFT & HV_RESULT_REPS_MASK;
		if (n > done) {
			timeouts = 0;
			done = n;
		}
	} while (*status == HV_STATUS_TIMEOUT && timeouts++ < TIMEOUTS_MAX);
	if (*status || !reps || done == reps)
		return 0;
	log_err("hypercall %#x: %u of %u elements done", code, done, reps);
	return -EIO;
}

static int own_register_result(int ret, uint32_t name, uint16_t status)
{
	if (!ret && !status)
		return 0;
	log_err("own register %#x: %s, hypervisor status %#x", name,
		strerror(-ret), status);
	return ret ? ret : -EIO;
}

static const struct hv_input_vp_registers own_vp = {
	.partition_id = (__force le64)HV_PARTITION_SELF,
	.vp_index = (__force le32)HV_VP_INDEX_SELF,
};

int mshv_get_own_register(struct mshv *m, uint32_t name, uint64_t *value)
{
	struct {
		struct hv_input_vp_registers header;
		le32 name;
	} __packed in = { own_vp, cpu_to_le32(name) };
	struct hv_register_value out;
	uint16_t status;
	int ret = mshv_hypercall(m, HV_CALL_GET_VP_REGISTERS, 1, &in,
				 sizeof(in), &out, sizeof(out), &status);

	*value = le64_to_cpu(out.low);
	return own_register_result(ret, name, status);
}

int mshv_set_own_register(struct mshv *m, uint32_t name, uint64_t value)
{
	struct {
		struct hv_input_vp_registers header;
		struct hv_register_assoc reg;
	} __packed in = {
		.header = own_vp,
		.reg = { .name = cpu_to_le32(name),
			 .value.low = cpu_to_le64(value) },
	};
	uint16_t status;
	int ret = mshv_hypercall(m, HV_CALL_SET_VP_REGISTERS, 1, &in,
				 sizeof(in), NULL, 0, &status);

	return own_register_result(ret, name, status);
}

/* ---- messages ---- */

int mshv_sint_open(void)
{
	struct mshv_sint_mask unmask = { 0 };
	int fd = open_device("/dev/mshv_sint"), ret;

	if (fd < 0)
		return fd;
	if (!fcntl(fd, F_SETFL, O_NONBLOCK) &&
	    !ioctl(fd, MSHV_SINT_PAUSE_MESSAGE_STREAM, &unmask))
		return fd;
	ret = -errno;
	log_err("messages of the host: %s", strerror(-ret));
	close(fd);
	return ret;
}

int mshv_sint_read(int fd, struct hv_message *message)
{
	ssize_t n = read(fd, message, sizeof(*message));

	if (n < 0)
		return -errno;
	return n == sizeof(*message) ? 0 : -EPIPE;
}

int mshv_sint_post(int fd, uint32_t connection, uint32_t type,
		   const void *payload, size_t size)
{
	struct mshv_vtl_sint_post_msg post = {
		.message_type = type,
		.connection_id = connection,
		.payload_size = (uint32_t)size,
		.payload_ptr = (uintptr_t)payload,
	};
	/* What the hypervisor refuses comes back as its positive status. */
	int status = ioctl(fd, MSHV_SINT_POST_MESSAGE, &post);

	return status < 0 ? -errno : status;
}

/* ---- a VP ---- */

int mshv_vp_open(struct mshv *m, unsigned int cpu, struct mshv_vp *vp)
{
	void *p;

	*vp = (struct mshv_vp){ .mshv = m, .cpu = cpu };
	p = mmap(NULL, HV_PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
		 m->vtl, (off_t)cpu << HV_PAGE_SHIFT);
	if (p == MAP_FAILED) {
		log_err("run page of VP %u: %s", cpu, strerror(errno));
		return -errno;
	}
	vp->run = p;
	/* A host without register pages: the kernel refuses the mapping. */
	p = mmap(NULL, HV_PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
		 m->vtl, ((off_t)REGISTER_PAGES | cpu) << HV_PAGE_SHIFT);
	vp->page = p == MAP_FAILED ? NULL : p;
	return 0;
}

int mshv_vp_set_poll_file(struct mshv_vp *vp, int fd)
{
	struct mshv_vtl_set_poll_file file = { .cpu = vp->cpu,
					       .fd = (uint32_t)fd };

	return ioctl(vp->mshv->vtl, MSHV_SET_POLL_FILE, &file) < 0 ? -errno :
								     0;
}

void mshv_vp_arm(struct mshv_vp *vp)
{
	__atomic_store_n(&vp->run->cancel, 0, __ATOMIC_SEQ_CST);
}

int mshv_vp_run(struct mshv_vp *vp)
{
	vp->ioctls++;
	return ioctl(vp->mshv->vtl, MSHV_RETURN_TO_LOWER_VTL) < 0 ? -errno : 0;
}

static int access_register(struct mshv_vp *vp, unsigned long request,
			   struct hv_register_assoc *assoc)
{
	struct mshv_vp_registers args = { .count = 1,
					  .regs_ptr = (uintptr_t)assoc };

	vp->ioctls++;
	/* What the hypervisor refuses comes back as its positive status. */
	switch (ioctl(vp->mshv->vtl, (int)request, &args)) {
	case 0:
		return 0;
	case -1:
		return -errno;
	default:
		return -EIO;
	}
}

int mshv_vp_get_register(struct mshv_vp *vp, struct vp_register *reg)
{
	struct hv_register_assoc assoc = { .name = cpu_to_le32(reg->name) };
	int ret = access_register(vp, MSHV_GET_VP_REGISTERS, &assoc);

	if (!ret) {
		reg->low = le64_to_cpu(assoc.value.low);
		reg->high = le64_to_cpu(assoc.value.high);
	}
	return ret;
}

int mshv_vp_set_register(struct mshv_vp *vp, const struct vp_register *reg)
{
	struct hv_register_assoc assoc = {
		.name = cpu_to_le32(reg->name),
		.value = { cpu_to_le64(reg->low), cpu_to_le64(reg->high) },
	};

	return access_register(vp, MSHV_SET_VP_REGISTERS, &assoc);
}

/* Place of RSP in the page's general registers. */
#define RSP (HV_REG_RSP - HV_REG_RAX)

static bool page_valid(const struct mshv_vp *vp)
{
	return vp->page && vp->page->is_valid;
}

static int set_by_hypercall(struct mshv_vp *vp, uint32_t name, uint64_t value)
{
	struct vp_register reg = { name, value, 0 };

	return mshv_vp_set_register(vp, &reg);
}

static void mark_dirty(struct mshv_vp *vp, uint32_t what)
{
	vp->page->dirty = cpu_to_le32(le32_to_cpu(vp->page->dirty) | what);
}

int mshv_vp_set_rip(struct mshv_vp *vp, uint64_t rip)
{
	if (!page_valid(vp))
		return set_by_hypercall(vp, HV_REG_RIP, rip);
	vp->page->rip = cpu_to_le64(rip);
	mark_dirty(vp, HV_REGISTER_PAGE_DIRTY_RIP);
	return 0;
}

int mshv_vp_get_rip(struct mshv_vp *vp, uint64_t *rip)
{
	struct vp_register reg = { HV_REG_RIP, 0, 0 };
	int ret;

	/* What we wrote there is not the hypervisor's yet; else it may be the
	 * page of an intercept long ago. */
	if (page_valid(vp) &&
	    le32_to_cpu(vp->page->dirty) & HV_REGISTER_PAGE_DIRTY_RIP) {
		*rip = le64_to_cpu(vp->page->rip);
		return 0;
	}
	ret = mshv_vp_get_register(vp, &reg);
	*rip = reg.low;
	return ret;
}

int mshv_vp_set_rflags(struct mshv_vp *vp, uint64_t rflags)
{
	if (!page_valid(vp))
		return set_by_hypercall(vp, HV_REG_RFLAGS, rflags);
	vp->page->rflags = cpu_to_le64(rflags);
	mark_dirty(vp, HV_REGISTER_PAGE_DIRTY_RFLAGS);
	return 0;
}

int mshv_vp_set_rsp(struct mshv_vp *vp, uint64_t rsp)
{
	if (!page_valid(vp))
		return set_by_hypercall(vp, HV_REG_RSP, rsp);
	vp->page->gp[RSP] = cpu_to_le64(rsp);
	mark_dirty(vp, HV_REGISTER_PAGE_DIRTY_GP);
	return 0;
}

int mshv_vp_get_rsp(struct mshv_vp *vp, uint64_t *rsp)
{
	struct vp_register reg = { HV_REG_RSP, 0, 0 };
	int ret = 0;

	if (page_valid(vp))
		reg.low = le64_to_cpu(vp->page->gp[RSP]);
	else
		ret = mshv_vp_get_register(vp, &reg);
	*rsp = reg.low;
	return ret;
}

int mshv_vp_get_segment_base(struct mshv_vp *vp, unsigned int n,
			     uint64_t *base)
{
	struct vp_register reg = { HV_REG_ES + n, 0, 0 };
	int ret = 0;

	if (page_valid(vp))
		reg.low = le64_to_cpu(vp->page->segments[n].base);
	else
		ret = mshv_vp_get_register(vp, &reg);
	*base = reg.low;
	return ret;
}

void mshv_vp_clean_page(struct mshv_vp *vp)
{
	if (vp->page)
		vp->page->dirty = cpu_to_le32(0);
}

int mshv_vp_push_signal(struct mshv_vp *vp, uint32_t target, uint8_t sint,
			uint16_t flag)
{
	struct mshv_run *run = vp->run;
	uint32_t used = run->actions_size / sizeof(run->actions[0]);

	if (!vp->mshv->return_actions)
		return -EAGAIN;
	if (used >= MSHV_RETURN_ACTIONS_MAX) {
		vp->actions_full++;
		return -EAGAIN;
	}
	run->actions[used] = (struct hv_return_action){
		.type = cpu_to_le64(HV_RETURN_ACTION_SIGNAL_EVENT),
		.vp_index = cpu_to_le32(target),
		.sint = sint,
		.flag = cpu_to_le16(flag),
	};
	run->actions_size = (used + 1) * (uint32_t)sizeof(run->actions[0]);
	return 0;
}
