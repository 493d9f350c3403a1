// SPDX-License-Identifier: MIT
/*
 * The paravisor daemon: composition root.
 *
 * This is the only file that sees every module; it builds the objects and
 * connects their tables. Nothing below it knows what it is connected to.
 *
 *	device tree, settings
 *	      |
 *	partition: VTL0's memory, VPs, intercepts
 *	      |  ports, MMIO        |  messages, signals
 *	   chipset               VMBus server <- devices
 *	      |  bytes of COM1/2    |  holds, reactors
 *	serial clients on the host's VMBus; guest emulation transport: its end
 *
 *	storage (main_storage.c): storvsp <- SCSI <- disks
 *	NICs (main_nic.c): netvsp <- vports, taps
 *	relay (main_relay.c): the host's own devices for VTL0
 *
 * Threads: main() itself, which builds all, waits for devices and then serves
 * inspect, two of the diagnosis server, and one per VP. What touches objects of
 * the server or the chipset's channels runs on VP 0's reactor.
 *
 * Failure: without VTL's devices or a device tree the daemon ends, and with it
 * VTL2. Once VPs are up, a VTL0 that cannot be started is reported to the
 * host; VTL2 stays.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <pv/log.h>

#include "relay/message_pipe.h"
#include "relay/serial.h"
#include "relay/server.h"
#include "relay/vmbus_reg.h"

#include "blackbox.h"
#include "boot_linux.h"
#include "build_inspect.h"
#include "chipset/chipset.h"
#include "device_tree.h"
#include "diag_inspect.h"
#include "diag_server.h"
#include "get_notify.h"
#include "log_sink.h"
#include "main_nic.h"
#include "main_pipe.h"
#include "main_relay.h"
#include "main_settings.h"
#include "main_storage.h"
#include "partition.h"
#include "reactor.h"
#include "settings.h"
#include "violation_inspect.h"

LOG_MODULE("paravisor");

#define DEVICE_TREE "/proc/device-tree"
/* Connections that a guest's kernel posts to: version 5.0 and later say 4. */
#define CONNECTION_OLD 1u
#define CONNECTION_NEW 4u

struct com_port {
	struct serial_client client;
	struct host_pipe host;
	/* From com_rest() to com_rested(). */
	struct reactor_call rest_call;
	struct reactor_timer rest_timer;
	uint64_t rest_until;
};

struct image {
	const char *name;
	void *bytes; /* NULL: there is none */
	size_t size;
};

static struct daemon {
	struct device_tree tree;
	struct settings settings;
	/* Why VTL0 cannot be started, if something says more than an errno. */
	char error[SETTINGS_ERROR_SIZE];
	struct image kernel, initrd;
	char command_line[2 * 2048];
	struct partition partition;
	struct chipset chipset;
	struct com_port com[CHIPSET_COMS];
	struct get_notify get;
	struct host_pipe get_host;
	struct vmbus_server *vmbus;
	struct inspect_entry vmbus_inspect;
	/* NULL until VTL0 has what it starts with: then updates can come. */
	struct storage *_Atomic storage;
	struct nics *_Atomic nics;
	/* An update of the settings, from the host's message to the answer. */
	const char *update;
	size_t update_size;
	struct reactor_call update_call;
} self;

/* ---- VTL0's images ---- */

/* Mapped for good, for every start of VTL0 (vtl0_reg.h). */
static int take_image(struct daemon *d, const struct dt_range *range,
		      struct image *image)
{
	uint64_t bytes = (range->size + GUEST_PAGE_SIZE - 1) &
			 ~(uint64_t)(GUEST_PAGE_SIZE - 1);

	if (!range->size)
		return 0;
	image->bytes = mshv_map(&d->partition.mshv, NULL, range->gpa, bytes);
	if (!image->bytes) {
		log_err("%s: %s", image->name, strerror(errno));
		return -errno;
	}
	image->size = range->size;
	return 0;
}

static int take_images(struct daemon *d)
{
	int ret;

	d->kernel.name = "VTL0 kernel";
	d->initrd.name = "VTL0 initrd";
	snprintf(d->command_line, sizeof(d->command_line), "%s%s%s",
		 d->tree.command_line ? d->tree.command_line : "",
		 d->tree.command_line && d->tree.append ? " " : "",
		 d->tree.append ? d->tree.append : "");
	ret = take_image(d, &d->tree.kernel, &d->kernel);
	return ret ? ret : take_image(d, &d->tree.initrd, &d->initrd);
}

/* ---- COM1 and COM2 ---- */

static void com_signalled(void *opaque)
{
	struct com_port *com = opaque;

	bus_lock(&self.chipset.bus);
	while (message_pipe_run(&com->host.pipe))
		;
	bus_unlock(&self.chipset.bus);
}

static void com_gone(void *opaque)
{
	struct com_port *com = opaque;

	bus_lock(&self.chipset.bus);
	message_pipe_close(&com->host.pipe);
	bus_unlock(&self.chipset.bus);
}

static void take_serial(void *opaque, const struct settings *settings)
{
	struct daemon *d = opaque;

	_Static_assert((int)CHIPSET_COMS == (int)SETTINGS_COMS, "the ports");
	bus_lock(&d->chipset.bus);
	for (unsigned int i = 0; i < CHIPSET_COMS; i++) {
		serial_client_transmit_only(&d->com[i].client,
					    settings->com[i].transmit_only);
		chipset_com_wait(&d->chipset, i,
				 settings->com[i].wait_for_rts);
	}
	bus_unlock(&d->chipset.bus);
}

/* By whichever VP reads: only its own thread arms a reactor's timers. */
static void com_rest(void *opaque, uint64_t until)
{
	struct com_port *com = opaque;

	com->rest_until = until;
	reactor_post(self.partition.vp[0].reactor, &com->rest_call);
}

static void com_rest_begins(struct reactor_call *call)
{
	struct com_port *com = (struct com_port *)((char *)call -
		offsetof(struct com_port, rest_call));
	uint64_t until;

	bus_lock(&self.chipset.bus);
	until = com->rest_until;
	bus_unlock(&self.chipset.bus);
	reactor_timer_arm(self.partition.vp[0].reactor, &com->rest_timer,
			  until);
}

static void com_rested(struct reactor_timer *timer)
{
	struct com_port *com = (struct com_port *)((char *)timer -
		offsetof(struct com_port, rest_timer));

	bus_lock(&self.chipset.bus);
	serial_client_rested(&com->client);
	bus_unlock(&self.chipset.bus);
}

/* The guest's end is reported when its last words are out. */
static void com_busy(void *opaque, bool busy)
{
	struct com_port *com = opaque;

	get_notify_busy(&self.get, com - self.com, busy);
}

static void start_com(struct daemon *d, unsigned int n)
{
	static const struct guid interface = SERIAL_INTERFACE;
	static const struct guid instance[CHIPSET_COMS] = {
		SERIAL_INSTANCE_COM1, SERIAL_INSTANCE_COM2
	};
	struct com_port *com = &d->com[n];
	int ret = host_pipe_open(&com->host, com->client.name, &interface,
				 &instance[n], &com->client.user);

	bus_lock(&d->chipset.bus);
	if (ret)
		serial_client_absent(&com->client);
	else
		serial_client_start(&com->client, &com->host.pipe);
	bus_unlock(&d->chipset.bus);
	if (ret)
		return;
	com->host.channel.signalled = com_signalled;
	com->host.channel.gone = com_gone;
	com->host.channel.opaque = com;
	if (host_channel_watch(&com->host.channel, d->partition.vp[0].reactor))
		com_gone(com);
}

/* ---- settings ---- */

/* A thread of its own: devices are waited for. */
static void *update_thread(void *opaque)
{
	struct daemon *d = opaque;
	const struct main_settings_users users = {
		.start = &d->settings,
		.storage = d->storage,
		.nics = d->nics,
		.serial = take_serial,
		.opaque = d,
	};
	char text[SETTINGS_ERROR_SIZE];
	int ret = main_settings_change(&users, d->update, d->update_size, text);

	get_notify_settings_done(&d->get, !ret || ret == -EINPROGRESS,
				 ret ? text : NULL);
	return NULL;
}

static void start_update(struct reactor_call *call)
{
	struct daemon *d = &self;
	pthread_t thread;
	int ret;

	(void)call;
	if (!d->storage) {
		get_notify_settings_done(&d->get, false,
					 "/: VTL0 was not started");
		return;
	}
	ret = pthread_create(&thread, NULL, update_thread, d);
	if (ret)
		get_notify_settings_done(&d->get, false, strerror(ret));
	else
		pthread_detach(thread);
}

static void settings_came(void *opaque, const char *json, size_t len)
{
	struct daemon *d = opaque;

	d->update = json;
	d->update_size = len;
	reactor_post(d->partition.vp[0].reactor, &d->update_call);
}

/* ---- guest emulation transport ---- */

static void get_signalled(void *opaque)
{
	struct daemon *d = opaque;

	get_notify_lock(&d->get);
	while (message_pipe_run(&d->get_host.pipe))
		;
	get_notify_unlock(&d->get);
}

static void get_gone(void *opaque)
{
	struct daemon *d = opaque;

	get_notify_lock(&d->get);
	message_pipe_close(&d->get_host.pipe);
	get_notify_unlock(&d->get);
}

static void start_get(struct daemon *d)
{
	static const struct guid interface = GET_INTERFACE;
	static const struct guid instance = GET_INSTANCE;
	int ret;

	get_notify_init(&d->get);
	get_notify_drain_on(&d->get, d->partition.vp[0].reactor);
	d->get.settings = settings_came;
	d->get.settings_opaque = d;
	d->update_call.fn = start_update;
	d->partition.host = &d->get.host;
	ret = host_pipe_open(&d->get_host, "get", &interface, &instance,
			     &d->get.user);
	if (ret) {
		get_notify_absent(&d->get);
		return;
	}
	d->get_host.channel.signalled = get_signalled;
	d->get_host.channel.gone = get_gone;
	d->get_host.channel.opaque = d;
	get_notify_lock(&d->get);
	get_notify_start(&d->get, &d->get_host.pipe);
	get_notify_unlock(&d->get);
	if (host_channel_watch(&d->get_host.channel,
			       d->partition.vp[0].reactor))
		get_gone(d);
}

/* ---- the chipset ---- */

static void chipset_interrupt(void *opaque, const struct ioapic_message *m)
{
	struct daemon *d = opaque;
	struct hv_input_assert_interrupt in = {
		.partition_id = cpu_to_le64(HV_PARTITION_SELF),
		.type = cpu_to_le32(m->delivery_mode),
		.flags = cpu_to_le32((m->level ? HV_ASSERT_LEVEL : 0) |
				     (m->logical ? HV_ASSERT_LOGICAL : 0)),
		.destination = cpu_to_le64(m->destination),
		.vector = cpu_to_le32(m->vector),
	};
	uint16_t status;
	int ret = mshv_hypercall(&d->partition.mshv,
				 HV_CALL_ASSERT_VIRTUAL_INTERRUPT, 0, &in,
				 sizeof(in), NULL, 0, &status);

	if (ret || status)
		log_warn_limited("I/O APIC vector %#x, mode %u refused: "
				 "status %#x", m->vector, m->delivery_mode,
				 status);
}

static void chipset_power_off(void *opaque)
{
	struct daemon *d = opaque;

	partition_end(&d->partition, PARTITION_POWER_OFF, NULL);
}

static void chipset_reset_asked(void *opaque)
{
	struct daemon *d = opaque;

	partition_end(&d->partition, PARTITION_RESET, NULL);
}

static int64_t chipset_wall_clock(void *opaque)
{
	struct daemon *d = opaque;

	return get_notify_wall_clock(&d->get);
}

static const struct chipset_ops chipset_ops = {
	.interrupt = chipset_interrupt,
	.power_off = chipset_power_off,
	.reset = chipset_reset_asked,
	.wall_clock = chipset_wall_clock,
	.now = reactor_now,
};

static void start_chipset(struct daemon *d)
{
	static const char *const name[CHIPSET_COMS] = { "com1", "com2" };

	for (unsigned int i = 0; i < CHIPSET_COMS; i++) {
		serial_client_init(&d->com[i].client, name[i]);
		d->com[i].client.busy = com_busy;
		d->com[i].client.busy_opaque = &d->com[i];
		d->com[i].client.now = reactor_now;
		d->com[i].client.rest = com_rest;
		d->com[i].client.rest_opaque = &d->com[i];
		d->com[i].rest_call.fn = com_rest_begins;
		d->com[i].rest_timer.fn = com_rested;
	}
	chipset_init(&d->chipset, &chipset_ops, d, &d->com[0].client.tty,
		     &d->com[1].client.tty);
	chipset_inspect_register(&d->chipset);
	take_serial(d, &d->settings);
	d->partition.bus = &d->chipset.bus;
	for (unsigned int i = 0; i < CHIPSET_COMS; i++)
		start_com(d, i);
}

/* ---- VMBus for VTL0 ---- */

static int vmbus_post(void *opaque, uint32_t vp, uint8_t sint,
		      const void *payload, size_t size)
{
	struct daemon *d = opaque;
	int ret;

	if (vp >= d->partition.nr_vps || sint >= HV_SINT_COUNT)
		return -EINVAL;
	ret = synic_post(&d->partition.vp[vp].synic, sint, VMBUS_MESSAGE_TYPE,
			 payload, size);
	if (!ret)
		blackbox_message(BLACKBOX_TO_GUEST, vp, payload, size);
	return ret;
}

static void vmbus_signal(void *opaque, uint32_t vp, uint8_t sint,
			 uint16_t flag)
{
	struct daemon *d = opaque;

	if (vp < d->partition.nr_vps && sint < HV_SINT_COUNT)
		synic_signal(&d->partition.vp[vp].synic, sint, flag);
}

static struct reactor *vmbus_reactor(void *opaque, uint32_t vp)
{
	struct daemon *d = opaque;

	return vp < d->partition.nr_vps ? d->partition.vp[vp].reactor : NULL;
}

static const struct vmbus_transport_ops vmbus_transport = {
	.post = vmbus_post,
	.signal = vmbus_signal,
	.reactor = vmbus_reactor,
};

static int port_message(void *opaque, uint32_t vp, uint32_t connection,
			uint32_t type, const void *payload, size_t size)
{
	struct daemon *d = opaque;

	if (connection != CONNECTION_OLD && connection != CONNECTION_NEW)
		return -ENOENT;
	if (type != VMBUS_MESSAGE_TYPE)
		return -EINVAL;
	blackbox_message(BLACKBOX_FROM_GUEST, vp, payload, size);
	return vmbus_server_message(d->vmbus, vp, payload, size);
}

static int port_signal(void *opaque, uint32_t vp, uint32_t connection,
		       uint16_t flag)
{
	struct daemon *d = opaque;

	(void)vp;
	return vmbus_server_signal(d->vmbus, connection, flag);
}

static const struct hypercall_port_ops ports = {
	.message = port_message,
	.signal = port_signal,
};

static void describe_vmbus(void *object, struct inspect *out)
{
	vmbus_server_inspect(object, out);
}

static int start_vmbus(struct daemon *d)
{
	struct vmbus_server_config config = {
		.transport = &vmbus_transport,
		.opaque = d,
		.memory = &d->partition.memory,
		.reactor = d->partition.vp[0].reactor,
		.nr_vps = d->partition.nr_vps,
		.vtl = 0,
		.message_connection = CONNECTION_NEW,
	};

	d->vmbus = vmbus_server_create(&config);
	if (!d->vmbus)
		return -ENOMEM;
	d->partition.ports = (struct hypercall_ports){ &ports, d,
						&d->partition.memory };
	d->vmbus_inspect = (struct inspect_entry){ "vmbus", describe_vmbus,
						   d->vmbus, NULL };
	inspect_register(&d->vmbus_inspect);
	return 0;
}

/* ---- VTL0's life ---- */

static void devices_quiet(void *opaque)
{
	struct daemon *d = opaque;

	chipset_reset(&d->chipset);
	partition_quiet(&d->partition);
}

static void quiesce(void *opaque)
{
	struct daemon *d = opaque;

	vmbus_server_reset(d->vmbus, devices_quiet, d);
}

static int load(void *opaque, struct vp *vp0)
{
	struct daemon *d = opaque;
	uint32_t apic_ids[PARTITION_MAX_VPS];
	struct boot_linux boot = {
		.name = d->kernel.name,
		.kernel = d->kernel.bytes,
		.kernel_size = d->kernel.size,
		.initrd = d->initrd.bytes,
		.initrd_size = d->initrd.size,
		.command_line = d->command_line,
		.acpi = { .nr_vps = d->partition.nr_vps,
			  .apic_ids = apic_ids,
			  .nr_mmio = d->tree.nr_mmio,
			  .com1 = true,
			  .com2 = true },
	};
	struct boot_registers registers;
	int ret;

	for (unsigned int i = 0; i < d->partition.nr_vps; i++)
		apic_ids[i] = d->partition.vp[i].apic_id;
	for (unsigned int i = 0; i < d->tree.nr_mmio; i++)
		boot.acpi.mmio[i] = (struct acpi_mmio){ d->tree.mmio[i].gpa,
						d->tree.mmio[i].size };
	ret = boot_linux_load(&boot, &d->partition.memory, &registers);
	for (unsigned int i = 0; !ret && i < registers.count; i++)
		ret = vp_set_register(vp0, &registers.reg[i]);
	return ret;
}

static void room(void *opaque)
{
	struct daemon *d = opaque;

	vmbus_server_room(d->vmbus);
}

static const struct partition_ops partition_ops = {
	.quiesce = quiesce,
	.load = load,
	.room = room,
};

/* ---- the start ---- */

/* A step of the start on VP 0. */
struct start_step {
	struct daemon *daemon;
	int result;
};

/* What VTL2 needs to talk to its host and to be asked. */
static void start_platform(void *arg)
{
	struct start_step *step = arg;

	start_get(step->daemon);
	start_chipset(step->daemon);
	step->result = start_vmbus(step->daemon);
}

/* Waits for devices; VTL0 does not run yet. */
static int start_storage(struct daemon *d)
{
	const struct storage_config config = {
		.memory = &d->partition.memory,
		.server = d->vmbus,
		.reactor = d->partition.vp[0].reactor,
		.spare_gpa = BOOT_LINUX_SPARE_PAGE,
	};
	struct storage *storage = storage_create(&config);
	int ret;

	if (!storage)
		return -ENOMEM;
	ret = storage_apply(storage, &d->settings, d->error);
	if (!ret)
		ret = storage_keep_looking(storage);
	if (!ret)
		atomic_store(&d->storage, storage);
	return ret;
}

static int start_nics(struct daemon *d)
{
	const struct nics_config config = {
		.memory = &d->partition.memory,
		.server = d->vmbus,
		.reactor = d->partition.vp[0].reactor,
		.nr_vps = d->partition.nr_vps,
	};
	struct nics *nics = nics_create(&config);
	struct nics_change *change;
	int ret;

	if (!nics)
		return -ENOMEM;
	ret = nics_prepare(nics, &d->settings, d->error, &change);
	if (!ret)
		ret = nics_commit(change);
	if (!ret)
		atomic_store(&d->nics, nics);
	return ret;
}

static void start_all(struct daemon *d)
{
	struct reactor *vp0 = d->partition.vp[0].reactor;
	struct start_step step = { d, 0 };
	const char *why = d->error;

	reactor_run(vp0, start_platform, &step);
	if (!step.result && *d->error) /* of the settings, as they are written */
		step.result = -EINVAL;
	if (!step.result)
		step.result = take_images(d);
	if (!step.result && !d->kernel.bytes) {
		log_info("no kernel for VTL0: VTL2 is alone");
		return;
	}
	if (!step.result)
		step.result = start_nics(d);
	if (!step.result)
		step.result = start_storage(d);
	if (!step.result) {
		relay_start(&(struct relay_config){
			.server = d->vmbus,
			.reactor = vp0,
			.connection = d->tree.vmbus_connection,
			.settings = &d->settings,
		});
		partition_run(&d->partition);
		return;
	}
	if (!*why)
		why = strerror(-step.result);
	log_err("VTL0 is not started: %s", why);
	d->get.host.ops->started(&d->get.host, why);
}

/* ---- diagnosis ---- */

static int pause_vtl0(void *opaque, bool paused)
{
	struct daemon *d = opaque;

	return partition_pause(&d->partition, paused);
}

static unsigned int captures(void *opaque)
{
	struct daemon *d = opaque;

	return d->nics ? nics_count(d->nics) : 0;
}

static int capture(void *opaque, unsigned int n, uint32_t snaplen,
		   struct capture **out)
{
	struct daemon *d = opaque;

	return d->nics ? nics_capture(d->nics, n, snaplen, out) : -ENODEV;
}

static void *diag_thread(void *opaque)
{
	diag_server_run(opaque);
	return NULL;
}

/* After inspect's listener: an image without these ports is no less of one. */
static void start_diag(struct daemon *d, int control, int data, bool open)
{
	const struct diag_config config = {
		.reactor = d->partition.vp[0].reactor,
		.open = open,
		.kmsg = "/dev/kmsg",
		.pause = pause_vtl0,
		.captures = captures,
		.capture = capture,
		.opaque = d,
	};
	struct diag_server *server = NULL;
	pthread_t thread;

	if (control >= 0 && data >= 0)
		server = diag_server_create(&config, control, data);
	if (!server || pthread_create(&thread, NULL, diag_thread, server))
		log_err("no diagnosis server");
}

static void log_to_kernel(void)
{
	int fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);

	if (fd >= 0)
		log_set_sink(fd, true);
}

static void take_settings(struct daemon *d)
{
	static const char none[] = "{\"version\":1}";
	const char *json = d->tree.settings ? d->tree.settings : none;

	settings_parse(json, strlen(json), &d->settings, d->error);
	main_settings_log_levels(&d->settings);
}

int main(void)
{
	struct daemon *d = &self;
	struct partition *p = &d->partition;
	/* As init has it: an image with a shell is one to do more with. */
	bool open = !access("/bin/sh", X_OK);
	int listener, control, data;

	log_to_kernel();
	log_info("up on %ld VPs", sysconf(_SC_NPROCESSORS_ONLN));
	listener = diag_inspect_listen();
	control = diag_server_listen(DIAG_CONTROL_PORT);
	data = diag_server_listen(DIAG_DATA_PORT);
	if (listener < 0 || device_tree_read(DEVICE_TREE, &d->tree))
		return 1;
	violation_publish();
	build_inspect_register(open ? "debug" : "release");
	inspect_forbid_changes(!open);
	take_settings(d);
	p->ops = &partition_ops;
	p->opaque = d;
	if (partition_open(p, d->tree.ram, d->tree.nr_ram, &d->tree.vtl2_ram))
		return 1;
	blackbox_open(&p->mshv, &d->tree.black_box);
	if (partition_start_vps(p))
		return 1;
	start_diag(d, control, data, open);
	start_all(d);
	diag_inspect_serve(listener, p->vp[0].reactor);
}
