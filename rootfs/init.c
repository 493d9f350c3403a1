// SPDX-License-Identifier: MIT
/*
 * PID 1 of VTL2.
 *
 *	mounts -> kernel settings -> shell (if there is one) -> daemon started
 *	                                                             |
 *	     wait: orphan -> reaped;  shell ended -> started again
 *	           daemon ended, whatever way -> logged -> reboot()
 *
 * VTL0 cannot run without the daemon, and a daemon that died has left VTL0 in
 * a state nobody knows. So init never restarts it: with reboot=t on the command
 * line reboot() is a triple fault, which the host sees as VTL2's crash. For
 * someone who wants to look around first, PARAVISOR_HOLD=1 on the kernel's
 * command line (the kernel passes it into init's environment) keeps an image
 * with a shell running.
 *
 * The same program serves both flavours: a shell is started if and only if the
 * image holds /bin/sh. So there is one init to test, no switch to get wrong,
 * and what a release image can do follows from its list of files alone.
 * Without a shell nobody opens COM3: what arrives there is not read. With one,
 * somebody first has to press Enter there: the kernel writes its log to the
 * same port, and a prompt that nobody asked for would land within its lines.
 *
 * A kernel that makes cores (the debug image's) is told to start this program
 * once more with the core of whatever died, "/init core PID SIGNAL" (core_reg.h):
 * core_pipe_limit keeps the dead one around, and with it VTL2, until it has
 * been sent to the host, or the host did not take it in CORE_SECONDS.
 *
 * One thread; it blocks in wait() only. All it says goes to the kernel's log.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/serial.h>
#include <linux/vm_sockets.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/klog.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "core_reg.h"

#define DAEMON "/bin/paravisor"
#define SHELL "/bin/sh"
#define COM3 "/dev/ttyS0" /* the driver's one port */
#define COM3_PORT 0x3e8
#define COM3_WAIT_MS 2000
#define CORE_PATTERN "/proc/sys/kernel/core_pattern"
#define CORE_SECONDS 60
#define SYSLOG_READ_ALL 3 /* syslog(2) */
#define SHIM_LOG "/proc/device-tree/paravisor/shim-log"

/* Type of the VMBus serial ports; the daemon drives them through UIO. */
#define VMBUS_SERIAL_TYPE "8b60ccf6-709f-4c11-90b5-229c959a9e6a"

enum severity { LOG_ERROR = 3, LOG_WARNING = 4, LOG_NOTICE = 5, LOG_INFO = 6 };

static int kmsg = -1;

__attribute__((format(printf, 2, 3)))
static void say(enum severity severity, const char *format, ...)
{
	char line[512];
	va_list ap;
	int n;

	n = snprintf(line, sizeof(line), "<%d>init: ", severity);
	va_start(ap, format);
	n += vsnprintf(line + n, sizeof(line) - (size_t)n - 1, format, ap);
	va_end(ap);
	/* The kernel keeps a line without its end back for the next writer. */
	if (n > (int)sizeof(line) - 2)
		n = (int)sizeof(line) - 2;
	line[n++] = '\n';
	/* There is nowhere to say that this failed. */
	if (write(kmsg, line, (size_t)n) < 0)
		return;
}

/* The kernel opened its console, which swallows everything, as our standard
 * streams. */
static void leave_console(void)
{
	int null = open("/dev/null", O_RDWR);

	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		dup2(null, fd);
	if (null > STDERR_FILENO)
		close(null);
}

static void mount_all(bool shell)
{
	static const struct {
		const char *type, *where, *data;
		unsigned long flags;
		bool shell; /* only an image with a shell needs it */
	} mounts[] = {
		{ "devtmpfs", "/dev", "mode=0755", MS_NOSUID | MS_NOEXEC,
		  false },
		{ "proc", "/proc", NULL, MS_NOSUID | MS_NODEV | MS_NOEXEC,
		  false },
		{ "sysfs", "/sys", NULL, MS_NOSUID | MS_NODEV | MS_NOEXEC,
		  false },
		{ "tmpfs", "/run", "mode=0755,size=4m",
		  MS_NOSUID | MS_NODEV | MS_NOEXEC, false },
		{ "devpts", "/dev/pts", "mode=0620", MS_NOSUID | MS_NOEXEC,
		  true },
	};

	for (size_t i = 0; i < sizeof(mounts) / sizeof(mounts[0]); i++) {
		if (mounts[i].shell && !shell)
			continue;
		if (mounts[i].shell)
			mkdir(mounts[i].where, 0755);
		if (mount(mounts[i].type, mounts[i].where, mounts[i].type,
			  mounts[i].flags, mounts[i].data))
			say(LOG_ERROR, "mount %s: %m", mounts[i].where);
		if (kmsg < 0) {
			leave_console();
			kmsg = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
		}
	}
}

static void write_setting(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, value, strlen(value)) < 0)
		say(LOG_WARNING, "%s: %s not written: %m", path, value);
	if (fd >= 0)
		close(fd);
}

static void apply_settings(void)
{
	static const struct rlimit no_core = { 0, 0 };
	static const char *const settings[][2] = {
		/*
		 * The daemon maps VTL0's memory by 2 MiB entries, which this
		 * allows where it asks for them. First, because a page touched
		 * before stays as it is.
		 */
		{ "/sys/kernel/mm/transparent_hugepage/enabled", "madvise" },
		/* Out of memory is a crash of VTL2, not a random victim. */
		{ "/proc/sys/vm/panic_on_oom", "1" },
		{ "/proc/sys/vm/min_free_kbytes", "1024" },
		{ "/proc/sys/kernel/threads-max", "32768" },
		{ "/proc/sys/kernel/kptr_restrict", "1" },
		{ "/sys/bus/vmbus/drivers/uio_hv_generic/new_id",
		  VMBUS_SERIAL_TYPE },
	};

	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++)
		write_setting(settings[i][0], settings[i][1]);
	if (!access(CORE_PATTERN, W_OK)) {
		write_setting("/proc/sys/kernel/core_pipe_limit", "1");
		write_setting(CORE_PATTERN, "|/init core %p %s");
	}
	/* A core in a file would fill the RAM disk. */
	setrlimit(RLIMIT_CORE, &no_core);
}

/* Copies what the boot shim did into the kernel's log. */
static void say_shim_log(void)
{
	FILE *f = fopen(SHIM_LOG, "re");
	char line[256];

	if (!f)
		return;
	while (fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = 0;
		if (*line)
			say(LOG_INFO, "%s", line);
	}
	fclose(f);
}

__attribute__((noreturn))
static void run(const char *path, const char *name)
{
	char *const argv[] = { (char *)name, NULL };
	static char *const environment[] = {
		"PATH=/bin", "HOME=/run", "TERM=vt102", NULL,
	};

	execve(path, argv, environment);
	say(LOG_ERROR, "%s: %m", path);
	_exit(127);
}

static pid_t start_daemon(void)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	setsid();
	/* What a library prints is not lost. */
	dup2(kmsg, STDOUT_FILENO);
	dup2(kmsg, STDERR_FILENO);
	run(DAEMON, "paravisor");
}

/*
 * Opens COM3 as a terminal, or says why not. VTL2 has no interrupt controller
 * for ISA interrupts, so the driver is told to poll, and before it starts the
 * port: left to itself it takes number 4, which here may be a device's MSI that
 * is just being set up, and the device then never gets its interrupt. So the
 * kernel knows of one port only, where no UART answers; such a port is not
 * started when it is opened, and here becomes COM3.
 */
static int open_com3(void)
{
	struct serial_struct serial;
	struct termios termios;
	int fd = open(COM3, O_RDWR | O_NOCTTY | O_NONBLOCK);

	if (fd < 0 || ioctl(fd, TIOCGSERIAL, &serial))
		goto out_say;
	if (serial.port != COM3_PORT) {
		serial.type = PORT_16550A;
		serial.port = COM3_PORT;
		serial.irq = 0;
		if (ioctl(fd, TIOCSSERIAL, &serial))
			goto out_say;
		/* Only an open starts it for reading and writing. */
		close(fd);
		fd = open(COM3, O_RDWR | O_NOCTTY | O_NONBLOCK);
	}
	if (fd < 0 || tcgetattr(fd, &termios))
		goto out_say;
	cfsetspeed(&termios, B115200);
	if (tcsetattr(fd, TCSANOW, &termios))
		goto out_say;
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
	return fd;

out_say:
	say(LOG_WARNING, "%s: %m: no shell", COM3);
	if (fd >= 0)
		close(fd);
	return -1;
}

/* The opening happens in the child: a stuck port must not stop init. When it
 * is over `opened`, unless -1, is closed. */
static pid_t start_shell(int opened)
{
	static const struct timespec pause = { 1, 0 };
	pid_t pid = fork();
	char line[256];
	int fd;

	if (pid)
		return pid;
	setsid();
	fd = open_com3();
	if (fd < 0)
		_exit(126);
	if (ioctl(fd, TIOCSCTTY, 0))
		say(LOG_WARNING, "%s: no job control: %m", COM3);
	for (int i = STDIN_FILENO; i <= STDERR_FILENO; i++)
		dup2(fd, i);
	if (fd > STDERR_FILENO)
		close(fd);
	/* One a second at most, however fast shells end. */
	if (opened < 0)
		nanosleep(&pause, NULL);
	say(LOG_NOTICE, "COM3: Enter starts a shell");
	if (opened >= 0)
		close(opened);
	if (read(STDIN_FILENO, line, sizeof(line)) < 0)
		say(LOG_WARNING, "%s: %m", COM3);
	run(SHELL, "sh");
}

static void say_end(const char *name, int status)
{
	if (WIFSIGNALED(status))
		say(LOG_ERROR, "%s was killed by signal %d", name,
		    WTERMSIG(status));
	else
		say(LOG_ERROR, "%s exited with status %d", name,
		    WEXITSTATUS(status));
}

/* The first shell. Setting up the port loses what the kernel writes to it in
 * the meantime; of the daemon's log nothing shall be lost, so it waits. */
static pid_t start_first_shell(void)
{
	struct pollfd opened = { .events = POLLIN };
	pid_t shell;
	int fd[2];

	if (pipe2(fd, O_CLOEXEC)) {
		say(LOG_WARNING, "pipe: %m");
		return start_shell(-1);
	}
	shell = start_shell(fd[1]);
	close(fd[1]);
	opened.fd = fd[0];
	if (poll(&opened, 1, COM3_WAIT_MS) <= 0)
		say(LOG_WARNING, "%s: not open in %d ms", COM3, COM3_WAIT_MS);
	close(fd[0]);
	return shell;
}

/* Returns when VTL2 is to end: the daemon has. */
static void supervise(pid_t daemon, pid_t shell, bool hold)
{
	for (;;) {
		int status;
		pid_t pid = wait(&status);

		if (pid < 0 && errno == EINTR)
			continue;
		if (pid < 0)
			return; /* no child left */
		if (pid == shell) {
			/* 126: there is no COM3, and there will be none. */
			shell = WIFEXITED(status) && WEXITSTATUS(status) == 126 ?
					-1 : start_shell(-1);
		} else if (pid == daemon) {
			say_end(DAEMON, status);
			if (!hold || shell < 0)
				return;
			say(LOG_WARNING, "PARAVISOR_HOLD: staying up");
		}
	}
}

/* ---- "/init core PID SIGNAL", started by the kernel ---- */

static bool send_all(int fd, const void *bytes, size_t size)
{
	const char *p = bytes;

	while (size) {
		ssize_t n = send(fd, p, size, MSG_NOSIGNAL);

		if (n <= 0)
			return false;
		p += n;
		size -= (size_t)n;
	}
	return true;
}

static int connect_host(void)
{
	const struct sockaddr_vm host = { .svm_family = AF_VSOCK,
					  .svm_cid = VMADDR_CID_HOST,
					  .svm_port = CORE_PORT };
	int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd >= 0 && !connect(fd, (const struct sockaddr *)&host,
				sizeof(host)))
		return fd;
	say(LOG_WARNING, "core: the host does not take it: %m");
	return -1;
}

/* The log of the kernel as it is now, and in it the daemon's. */
static bool send_head(int fd, uint32_t pid, uint32_t number)
{
	static char log[CORE_LOG_MAX];
	int len = klogctl(SYSLOG_READ_ALL, log, sizeof(log));
	const struct core_head head = {
		.magic = cpu_to_le64(CORE_MAGIC),
		.version = cpu_to_le32(CORE_VERSION),
		.pid = cpu_to_le32(pid),
		.signal = cpu_to_le32(number),
		.log_bytes = cpu_to_le32(len > 0 ? (uint32_t)len : 0),
	};

	return send_all(fd, &head, sizeof(head)) &&
	       send_all(fd, log, len > 0 ? (size_t)len : 0);
}

static int send_core(const char *pid, const char *number)
{
	static char block[64 << 10];
	unsigned long long sent = 0;
	ssize_t n = 0;
	int fd;

	kmsg = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
	alarm(CORE_SECONDS);
	fd = connect_host();
	if (fd < 0 || !send_head(fd, (uint32_t)strtoul(pid, NULL, 10),
				 (uint32_t)strtoul(number, NULL, 10)))
		return 1;
	while ((n = read(STDIN_FILENO, block, sizeof(block))) > 0 &&
	       send_all(fd, block, (size_t)n))
		sent += (unsigned long long)n;
	if (n) {
		say(LOG_WARNING, "core: not sent to the end: %m");
		return 1;
	}
	/* The host closes when it has it all; VTL2 must not end before. */
	shutdown(fd, SHUT_WR);
	n = read(fd, block, 1);
	say(LOG_NOTICE, "core: %llu KiB sent to the host", sent >> 10);
	return 0;
}

int main(int argc, char **argv)
{
	bool shell = access(SHELL, X_OK) == 0;
	bool hold = shell && getenv("PARAVISOR_HOLD");
	pid_t shell_pid = -1, daemon;

	if (argc == 4 && !strcmp(argv[1], "core"))
		return send_core(argv[2], argv[3]);
	if (getpid() != 1) {
		fprintf(stderr, "init: runs as PID 1 only\n");
		return 2;
	}
	mount_all(shell);
	say_shim_log();
	apply_settings();
	if (shell)
		shell_pid = start_first_shell();
	daemon = start_daemon();
	if (daemon < 0)
		say(LOG_ERROR, "fork: %m");
	else
		supervise(daemon, shell_pid, hold);
	say(LOG_ERROR, "VTL2 ends here");
	reboot(RB_AUTOBOOT);
	return 1; /* PID 1 ending is a panic, which ends VTL2 as well */
}
