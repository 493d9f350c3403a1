/* SPDX-License-Identifier: MIT */
/*
 * vmm: composition root.
 *
 * Everything the user gave is checked before anything is started, in this
 * order, and the first fault ends the run with one line and status 2:
 *
 *	options -> files they name -> image, or the guest's kernel
 *	-> sockets and outputs -> KVM (status 1 from here) -> run
 *
 * With --igvm the image runs in VTL2 and has the devices; without, the guest
 * has them itself and the machine has no VTL2. A guest without VTL2 that wants
 * to start again is loaded anew by the host; under VTL2 that is VTL2's work.
 *
 * Threads: one per VP, made by machine_run(), and the device thread with the
 * loop, made here. Signals are taken by the device thread from a signalfd; no
 * handler runs anywhere, so the terminal is always restored on the way out.
 *
 * --console has a thread more, command_console.c.
 *
 * However the machine ends, machine_stop() says why in one line, the streams
 * are drained, --stats and --blackbox are written, and the status is returned.
 * If VPs or devices do not stop the process ends without them, and the streams
 * with it; the rest is done. machine_run() gives VPs 5 s, devices_stop() has its
 * own time, END_DEADLINE from who asks for the end is for anything else.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "blackbox.h"
#include "boot.h"
#include "com.h"
#include "command_console.h"
#include "commands.h"
#include "control.h"
#include "core.h"
#include "devices.h"
#include "disks.h"
#include "integration.h"
#include "json.h"
#include "loop.h"
#include "machine.h"
#include "nets.h"
#include "options.h"
#include "serial_console.h"
#include "terminal.h"

#define NS_PER_SECOND 1000000000ull
#define END_DEADLINE (10 * NS_PER_SECOND)
#define PAUSE_DEADLINE (5 * NS_PER_SECOND)
#define PAUSE_LOOK (NS_PER_SECOND / 1000)

static const int ending_signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };

struct vmm {
	struct vmm_options options;
	struct boot boot;
	FILE *stats;
	struct blackbox_file *blackbox;
	struct core_file *core;

	struct reactor *loop;
	struct serial_back *com3_back;
	struct control *control;
	struct command_target target;
	struct command_console *console;
	struct devices *devices;
	struct machine *machine;
	struct com_port *com3; /* VTL2 only */

	struct loop_fd signals;
	struct reactor_timer timeout, end;
	struct reactor_timer pausing; /* armed: pause_done waits */
	uint64_t pause_until, started;
	command_done *pause_done;
	void *pause_request;
	enum vmm_status ending_status; /* what the end timer exits with */
	bool attached; /* machine and devices are there */
};

/* Statistics. */

static void print_stats(void *opaque, FILE *out)
{
	struct vmm *vmm = opaque;

	fputs("{", out);
	devices_print_stats(vmm->devices, out);
	if (vmm->com3) {
		fputs("\"com3\":{\"back\":", out);
		serial_back_print_stats(vmm->com3_back, out);
		fputs(",\"uart\":", out);
		com_print_stats(vmm->com3, out);
		fputs("},", out);
	}
	fputs("\"machine\":", out);
	machine_print_stats(vmm->machine, out);
	fputs("}", out);
}

/* At the end, whatever it was; VPs that do not stop may be writing still. */
static enum vmm_status write_blackbox(struct vmm *vmm, enum vmm_status status)
{
	const struct host_tree_range *range = &vmm->boot.plan.black_box;
	int err;

	if (!vmm->blackbox)
		return status;
	err = blackbox_file_end(vmm->blackbox,
				vmm->attached ?
					machine_ram(vmm->machine, VTL2,
						    range->gpa, range->bytes) :
					NULL,
				range->bytes);
	vmm->blackbox = NULL;
	return err && status == VMM_OK ? VMM_HOST_CANNOT : status;
}

/* Likewise: {"status":N,"host":null or as above}. */
static enum vmm_status write_ends(struct vmm *vmm, enum vmm_status status)
{
	status = write_blackbox(vmm, status);
	if (!vmm->stats)
		return status;
	fprintf(vmm->stats, "{\"host\":");
	if (vmm->attached)
		print_stats(vmm, vmm->stats);
	else
		fputs("null", vmm->stats);
	fprintf(vmm->stats, ",\"status\":%d}\n", status);
	if (!fclose(vmm->stats))
		return status;
	fprintf(stderr, "vmm: --stats %s: %s\n", vmm->options.stats,
		strerror(errno));
	return status == VMM_OK ? VMM_HOST_CANNOT : status;
}

/* Ending. */

/* Without what does not stop, whose memory cannot be taken away. Any thread. */
static _Noreturn void leave(struct vmm *vmm, enum vmm_status status,
			    const char *what)
{
	fprintf(stderr, "vmm: the %s do not stop; leaving them\n", what);
	terminal_restore();
	_exit(write_ends(vmm, status));
}

/* From here on the loop's thread. */

static void end_timer(struct reactor_timer *timer)
{
	struct vmm *vmm = (struct vmm *)((char *)timer -
					 offsetof(struct vmm, end));

	leave(vmm, vmm->ending_status, "VPs or the devices");
}

static void stop(struct vmm *vmm, int status, const char *why)
{
	if (!vmm->end.armed) {
		vmm->ending_status = status;
		reactor_timer_arm(vmm->loop, &vmm->end,
				  reactor_now() + END_DEADLINE);
	}
	machine_stop(vmm->machine, status, "%s", why);
}

static void quit_asked(void *opaque)
{
	stop(opaque, VMM_OK, "quit");
}

/* Ends the wait for a pause. */
static void end_pause(struct vmm *vmm, const char *error)
{
	command_done *done = vmm->pause_done;

	vmm->pause_done = NULL;
	done(vmm->pause_request, error);
}

static void tell_paused(struct vmm *vmm, bool paused)
{
	struct integration *in = devices_integration(vmm->devices);

	if (in)
		integration_pause(in, paused);
}

static void look_paused(struct reactor_timer *timer)
{
	struct vmm *vmm = (struct vmm *)((char *)timer -
					 offsetof(struct vmm, pausing));

	if (machine_is_paused(vmm->machine)) {
		tell_paused(vmm, true);
		end_pause(vmm, NULL);
	} else if (reactor_now() >= vmm->pause_until) {
		machine_resume(vmm->machine);
		end_pause(vmm, "a VP does not stop");
	} else {
		reactor_timer_arm(vmm->loop, timer,
				  reactor_now() + PAUSE_LOOK);
	}
}

static const char *pause_asked(void *opaque, command_done *done, void *request)
{
	struct vmm *vmm = opaque;

	if (vmm->pause_done)
		return "it is being paused";
	if (machine_is_paused(vmm->machine))
		return "it is paused";
	vmm->pause_done = done;
	vmm->pause_request = request;
	vmm->pause_until = reactor_now() + PAUSE_DEADLINE;
	machine_pause(vmm->machine);
	look_paused(&vmm->pausing);
	return NULL;
}

static const char *resume_asked(void *opaque)
{
	struct vmm *vmm = opaque;

	if (vmm->pause_done)
		return "it is being paused";
	if (!machine_is_paused(vmm->machine))
		return "it is not paused";
	machine_resume(vmm->machine);
	tell_paused(vmm, false);
	return NULL;
}

static const char *reset_asked(void *opaque)
{
	struct vmm *vmm = opaque;

	if (vmm->pause_done)
		return "it is being paused";
	if (machine_is_paused(vmm->machine))
		tell_paused(vmm, false);
	machine_stop(vmm->machine, VMM_RESET, "reset");
	return NULL;
}

static void print_info(void *opaque, FILE *out)
{
	struct vmm *vmm = opaque;
	const struct vmm_options *o = &vmm->options;

	fputs("{\"igvm\":", out);
	if (o->igvm)
		json_write(out, o->igvm);
	else
		fputs("null", out);
	fprintf(out, ",\"memory_mib\":%llu,\"state\":\"%s\","
		"\"uptime_s\":%llu,\"vps\":%u}",
		(unsigned long long)(o->memory >> 20),
		vmm->pause_done ? "pausing" :
		machine_is_paused(vmm->machine) ? "paused" : "running",
		(unsigned long long)((reactor_now() - vmm->started) /
				     NS_PER_SECOND), o->vps);
}

static void print_disks(void *opaque, FILE *out)
{
	struct vmm *vmm = opaque;

	disks_print(devices_disks(vmm->devices), out);
}

static const char *memory_asked(void *opaque, unsigned int vtl, uint64_t gpa,
				uint8_t *data, size_t size)
{
	struct vmm *vmm = opaque;
	const void *at;

	if (vtl && !vmm->options.igvm)
		return "vtl: there is no VTL2";
	at = machine_ram(vmm->machine, vtl ? VTL2 : VTL0, gpa, size);
	if (!at)
		return "gpa: not all of it is memory that this VTL sees";
	memcpy(data, at, size);
	return NULL;
}

static const char *vsock_asked(void *opaque, unsigned int vtl)
{
	struct vmm *vmm = opaque;

	return vtl ? vmm->options.vtl2_vsock : vmm->options.vsock;
}

static void nmi_asked(void *opaque)
{
	struct vmm *vmm = opaque;

	vp_nmi(vmm->machine, VTL0, 0);
}

static int inspect_asked(void *opaque, const char *path, unsigned int depth,
			 FILE *out)
{
	struct vmm *vmm = opaque;

	return devices_inspect(vmm->devices, path, depth, out);
}

static const char *settings_asked(void *opaque, const char *json, size_t len,
				  command_done *done, void *request)
{
	struct vmm *vmm = opaque;

	return devices_settings(vmm->devices, json, len, done, request);
}

static const char no_services[] = "the guest has no integration services: "
				  "beside VTL2 they need --vmbus-redirect";

static const char *shutdown_asked(void *opaque, command_done *done,
				  void *request)
{
	struct vmm *vmm = opaque;
	struct integration *in = devices_integration(vmm->devices);

	return in ? integration_shutdown(in, done, request) : no_services;
}

static const char *time_asked(void *opaque, int64_t offset, command_done *done,
			      void *request)
{
	struct vmm *vmm = opaque;
	struct integration *in = devices_integration(vmm->devices);

	return in ? integration_time(in, offset, done, request) : no_services;
}

static const char *kvp_get_asked(void *opaque, const char *pool,
				 const char *key, kvp_done *done, void *request)
{
	struct vmm *vmm = opaque;
	struct integration *in = devices_integration(vmm->devices);

	return in ? integration_kvp_get(in, pool, key, done, request) :
		    no_services;
}

static const char *nvme_attach_asked(void *opaque, unsigned int disk,
				     uint32_t nsid, const char *back)
{
	struct vmm *vmm = opaque;

	return disks_nvme_attach(devices_disks(vmm->devices), disk, nsid, back);
}

static const char *nvme_detach_asked(void *opaque, unsigned int disk,
				     uint32_t nsid)
{
	struct vmm *vmm = opaque;

	return disks_nvme_detach(devices_disks(vmm->devices), disk, nsid);
}

static const char *nvme_resize_asked(void *opaque, unsigned int disk,
				     uint32_t nsid, uint64_t size)
{
	struct vmm *vmm = opaque;

	return disks_nvme_resize(devices_disks(vmm->devices), disk, nsid, size);
}

static const char *nvme_plug_asked(void *opaque, unsigned int disk, bool in)
{
	struct vmm *vmm = opaque;

	return disks_nvme_plug(devices_disks(vmm->devices), disk, in);
}

static const char *scsi_resize_asked(void *opaque, unsigned int disk,
				     uint64_t size)
{
	struct vmm *vmm = opaque;

	return disks_scsi_resize(devices_disks(vmm->devices), disk, size);
}

static const char *fault_asked(void *opaque, unsigned int disk,
			       const struct nvme_fault *fault)
{
	struct vmm *vmm = opaque;

	return disks_fault(devices_disks(vmm->devices), disk, fault);
}

static const char *mana_event_asked(void *opaque, const char *event)
{
	struct vmm *vmm = opaque;

	return nets_event(devices_nets(vmm->devices), event);
}

static const char *mana_fault_asked(void *opaque, const char *fault,
				    uint32_t count, uint32_t skip,
				    uint32_t vport)
{
	struct vmm *vmm = opaque;

	return nets_fault(devices_nets(vmm->devices), fault, count, skip,
			  vport);
}

static const char *unplug_asked(void *opaque, const char *device)
{
	struct vmm *vmm = opaque;

	return devices_unplug(vmm->devices, device);
}

static const char *plug_asked(void *opaque, const char *device)
{
	struct vmm *vmm = opaque;

	return devices_plug(vmm->devices, device);
}

static const struct command_ops command_ops = {
	.quit = quit_asked,
	.nmi = nmi_asked,
	.reset = reset_asked,
	.pause = pause_asked,
	.resume = resume_asked,
	.info = print_info,
	.disks = print_disks,
	.read_memory = memory_asked,
	.vsock = vsock_asked,
	.stats = print_stats,
	.inspect = inspect_asked,
	.settings = settings_asked,
	.shutdown = shutdown_asked,
	.time = time_asked,
	.kvp_get = kvp_get_asked,
	.nvme_attach = nvme_attach_asked,
	.nvme_detach = nvme_detach_asked,
	.nvme_resize = nvme_resize_asked,
	.nvme_plug = nvme_plug_asked,
	.scsi_resize = scsi_resize_asked,
	.fault = fault_asked,
	.mana_event = mana_event_asked,
	.mana_fault = mana_fault_asked,
	.unplug = unplug_asked,
	.plug = plug_asked,
};

static void timed_out(struct reactor_timer *timer)
{
	struct vmm *vmm = (struct vmm *)((char *)timer -
					 offsetof(struct vmm, timeout));

	stop(vmm, VMM_TIMEOUT, "--timeout is over");
}

static void signal_came(struct loop_fd *watch, short events)
{
	struct vmm *vmm = (struct vmm *)((char *)watch -
					 offsetof(struct vmm, signals));
	struct signalfd_siginfo info;

	(void)events;
	if (read(watch->fd, &info, sizeof(info)) != sizeof(info))
		return;
	stop(vmm, VMM_SIGNAL + (int)info.ssi_signo,
	     strsignal((int)info.ssi_signo));
}

static FILE *open_output(const char *option, const char *path)
{
	FILE *file = fopen(path, "we");

	if (!file)
		fprintf(stderr, "vmm: %s %s: %s\n", option, path,
			strerror(errno));
	return file;
}

/* Sockets and outputs. Loop and console are set up, nothing moves yet. */
static int open_ends(struct vmm *vmm)
{
	const struct vmm_options *o = &vmm->options;

	if (o->stats) {
		vmm->stats = open_output("--stats", o->stats);
		if (!vmm->stats)
			return -EINVAL;
	}
	if (o->blackbox && !vmm->boot.plan.black_box.bytes) {
		fprintf(stderr, "vmm: --blackbox %s: %s has none\n",
			o->blackbox, o->igvm);
		return -EINVAL;
	}
	if (o->blackbox) {
		vmm->blackbox = blackbox_file_open(o->blackbox);
		if (!vmm->blackbox)
			return -EINVAL;
	}
	vmm->com3_back = serial_back_open("com3", &o->com3, vmm->loop);
	if (!vmm->com3_back)
		return -EINVAL;
	vmm->devices = devices_open(o, vmm->loop);
	if (!vmm->devices)
		return -EINVAL;
	if (o->core) {
		vmm->core = core_file_open(o->core, o->vtl2_vsock, vmm->loop);
		if (!vmm->core)
			return -EINVAL;
	}
	vmm->target = (struct command_target){ &command_ops, vmm };
	if (o->control) {
		vmm->control = control_open(o->control, vmm->loop, command_run,
					    &vmm->target);
		if (!vmm->control)
			return -EINVAL;
	}
	return 0;
}

/* Starting: each returns a status. */

static enum vmm_status build_machine(struct vmm *vmm)
{
	const struct machine_config config = boot_machine(&vmm->boot);
	const enum vtl owner = config.has_vtl2 ? VTL2 : VTL0;
	enum vmm_status status;

	vmm->machine = machine_create(&config);
	if (!vmm->machine)
		return VMM_HOST_CANNOT;
	status = boot_place(&vmm->boot, vmm->machine);
	if (status != VMM_OK)
		return status;
	if (owner == VTL2) {
		vmm->com3 = com_attach(vmm->machine, VTL2, 3, vmm->com3_back);
		if (!vmm->com3) {
			fputs("vmm: out of memory\n", stderr);
			return VMM_HOST_CANNOT;
		}
	}
	if (devices_attach(vmm->devices, vmm->machine, owner, &config))
		return VMM_HOST_CANNOT;
	vmm->attached = true;
	return VMM_OK;
}

/* Signals stay blocked in every thread made after this, and wait for the loop.
 * -1 with errno. */
static int watch_signals(struct vmm *vmm)
{
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0;
	     i < sizeof(ending_signals) / sizeof(ending_signals[0]); i++)
		sigaddset(&set, ending_signals[i]);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	vmm->signals.fn = signal_came;
	vmm->signals.events = POLLIN;
	vmm->signals.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (vmm->signals.fd < 0)
		return -1;
	loop_fd_add(vmm->loop, &vmm->signals);
	return 0;
}

static void *device_thread(void *opaque)
{
	struct vmm *vmm = opaque;

	console_start(vmm->loop, quit_asked, vmm);
	if (vmm->options.timeout_s) {
		vmm->timeout.fn = timed_out;
		reactor_timer_arm(vmm->loop, &vmm->timeout,
				  reactor_now() +
					  vmm->options.timeout_s *
						  NS_PER_SECOND);
	}
	vmm->end.fn = end_timer;
	vmm->pausing.fn = look_paused;
	loop_run(vmm->loop);
	return NULL;
}

/* Runs the guest, again each time that it wants to start again. */
static enum vmm_status run_starts(struct vmm *vmm)
{
	enum vmm_status status = machine_run(vmm->machine);

	while (status == VMM_RESET) {
		if (!devices_reset(vmm->devices) ||
		    machine_reset(vmm->machine) < 0)
			return VMM_HOST_CANNOT;
		status = boot_place(&vmm->boot, vmm->machine);
		if (status != VMM_OK)
			return status;
		status = machine_run(vmm->machine);
	}
	return status;
}

static enum vmm_status run_machine(struct vmm *vmm)
{
	enum vmm_status status;
	pthread_t thread;
	int err;

	vmm->started = reactor_now();
	err = pthread_create(&thread, NULL, device_thread, vmm);
	if (err) {
		fprintf(stderr, "vmm: device thread: %s\n", strerror(err));
		return VMM_HOST_CANNOT;
	}
	if (vmm->options.console)
		vmm->console = command_console_start(stdin, stdout,
						     &vmm->target, vmm->loop);
	status = run_starts(vmm);
	if (machine_left(vmm->machine))
		leave(vmm, status, "VPs");
	if (!devices_stop(vmm->devices))
		leave(vmm, status, "devices");
	loop_stop(vmm->loop);
	pthread_join(thread, NULL);
	command_console_stop(vmm->console);
	serial_back_drain(vmm->com3_back);
	devices_drain(vmm->devices);
	console_stop();
	return status;
}

static enum vmm_status start(struct vmm *vmm)
{
	enum vmm_status status;

	if (boot_check(&vmm->boot, &vmm->options))
		return VMM_BAD_INPUT;
	if (vmm->options.host_tree)
		return boot_write_host_tree(&vmm->boot);
	if (vmm->options.print_settings)
		return boot_print_settings(&vmm->boot);
	vmm->loop = loop_create();
	if (!vmm->loop || watch_signals(vmm) < 0) {
		fprintf(stderr, "vmm: device loop: %s\n", strerror(errno));
		return VMM_HOST_CANNOT;
	}
	if (open_ends(vmm))
		return VMM_BAD_INPUT;
	status = build_machine(vmm);
	return status == VMM_OK ? run_machine(vmm) : status;
}

static void release(struct vmm *vmm)
{
	devices_close(vmm->devices);
	if (vmm->machine)
		machine_destroy(vmm->machine);
	com_free(vmm->com3);
	control_close(vmm->control);
	core_file_close(vmm->core);
	if (vmm->com3_back)
		serial_back_close(vmm->com3_back);
	if (vmm->signals.fd >= 0)
		close(vmm->signals.fd);
	if (vmm->loop)
		loop_destroy(vmm->loop);
	boot_free(&vmm->boot);
	options_free(&vmm->options);
}

int main(int argc, char **argv)
{
	struct vmm vmm = { .signals.fd = -1 };
	enum vmm_status status;

	switch (options_parse(argc, argv, &vmm.options)) {
	case OPTIONS_DONE:
		status = fflush(stdout) ? VMM_HOST_CANNOT : VMM_OK;
		break;
	case OPTIONS_REFUSED:
		status = VMM_BAD_INPUT;
		break;
	default:
		status = start(&vmm);
	}
	status = write_ends(&vmm, status);
	release(&vmm);
	return status;
}
