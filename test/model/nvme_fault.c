// SPDX-License-Identifier: MIT
/*
 * Faults of the NVMe model, theory of operation
 *
 * A rule is a row of the table with what a command has to be to meet it, how
 * many pass before and how many meet it. There are four kinds of row, by when
 * they are met:
 *
 *	ON_COMMAND	a command is fetched that matches
 *	ON_ENABLE	the controller is enabled
 *	ON_EVENT	an asynchronous event is about to be told
 *	AT_ONCE		when the rule is set; it is not kept
 *
 * What happens later (delayed answers, RDY, the end of all ones) is due then:
 * nvme_due.c.
 *
 * A controller that is `halted` fetches nothing until it is reset; one that is
 * `dead` is not on its bus: reads bring all ones, writes go nowhere. A rule ends
 * neither: NVME_FAULT_NONE does, and the controller is as after power-up then.
 *
 * Threads: the controller's, but for `dead`, which VPs read.
 */
#include <string.h>

#include "medium.h"
#include "nvme_controller.h"

enum when { ON_COMMAND, ON_ENABLE, ON_EVENT, AT_ONCE };

enum what {
	STATUS,	       /* the row's, and nothing is done */
	DROP,	       /* nothing is done, nothing is said */
	DROP_ANSWER,   /* ... it is done */
	DELAY,	       /* done, and answered, later */
	LATE,	       /* done now, answered later */
	DUPLICATE,     /* answered twice */
	WRONG_ID,      /* answered as a command that there is not */
	WRONG_QUEUE,   /* ... of a queue that there is not */
	WRONG_HEAD,    /* ... and its queue's head is beyond the end */
	BAD_PHASE,     /* the answer's phase is the last lap's */
	TORN,	       /* the answer's last word is there before the rest */
	NO_INTERRUPT,
	WRONG_VECTOR,  /* the next one */
	LIE,	       /* success, but nothing is done */
	SHORT,	       /* success, but half of the data is moved */
	MISPLACE,      /* success, but of the next block */
	TWICE,	       /* done again later, and not answered again */
	FATAL,	       /* CSTS.CFS, and halted; it is not answered */
	FROZEN,	       /* halted, without a word */
	ALL_ONES,      /* dead for a while */
	REMOVED,       /* dead for good */
	POWER_CUT,     /* dead for a while; volatile caches are lost, and it is
			* as after power-up then */
	NS_REMOVE,     /* the command's namespace is gone, an event says so */
	/* ON_ENABLE */
	NEVER_READY,
	SLOW_READY,    /* later than the delay */
	FATAL_READY,   /* CFS instead of RDY */
	/* ON_EVENT */
	LOST_EVENT,
	/* AT_ONCE */
	SPURIOUS,      /* `count` interrupts of each vector */
	EVENT_STORM,   /* `count` events, as fast as they are asked for */
	EVENT_UNKNOWN, /* one of a type that there is not */
	NS_CHANGE,     /* an event says so, but nothing changed */
	NS_RETURN,     /* what NS_REMOVE took */
	NS_ELSEWHERE,  /* the same, under the first number that is free */
};

#define DNR(status) ((status) | NVME_DNR)
#define PLAIN(name, what) { name, ON_COMMAND, what, 0, 0, 0, 0 }
#define LATER(name, what, ms) { name, ON_COMMAND, what, 0, 0, 0, ms }
#define ANSWER(name, status) { name, ON_COMMAND, STATUS, status, 0, 0, 0 }
#define ADMIN (NVME_FAULT_ADMIN | NVME_FAULT_OPCODE)

static const struct row {
	const char *name;
	uint8_t when, what;
	uint16_t status;
	uint8_t opcode, given; /* if the rule says neither */
	uint32_t delay_ms;     /* if it says none; 0: takes none */
} rows[] = {
	PLAIN("drop", DROP),
	PLAIN("drop-answer", DROP_ANSWER),
	LATER("delay", DELAY, 1000),
	LATER("late", LATE, 1000),
	PLAIN("duplicate", DUPLICATE),
	PLAIN("wrong-id", WRONG_ID),
	PLAIN("wrong-queue", WRONG_QUEUE),
	PLAIN("wrong-head", WRONG_HEAD),
	PLAIN("bad-phase", BAD_PHASE),
	LATER("torn", TORN, 5),
	PLAIN("no-interrupt", NO_INTERRUPT),
	PLAIN("wrong-vector", WRONG_VECTOR),
	PLAIN("lie", LIE),
	PLAIN("short", SHORT),
	PLAIN("misplace", MISPLACE),
	LATER("twice", TWICE, 1000),
	PLAIN("fatal", FATAL),
	PLAIN("frozen", FROZEN),
	LATER("all-ones", ALL_ONES, 1000),
	PLAIN("removed", REMOVED),
	LATER("power-cut", POWER_CUT, 1000),
	PLAIN("ns-remove", NS_REMOVE),
	/* Worth a retry. */
	ANSWER("transfer-error", NVME_DATA_TRANSFER_ERROR),
	ANSWER("internal-error", NVME_INTERNAL_ERROR),
	ANSWER("aborted", NVME_ABORT_REQUESTED),
	ANSWER("interrupted", NVME_COMMAND_INTERRUPTED),
	ANSWER("ns-not-ready", NVME_NAMESPACE_NOT_READY),
	ANSWER("path-error", NVME_PATH_ERROR),
	/* Not. */
	ANSWER("invalid-field", DNR(NVME_INVALID_FIELD)),
	ANSWER("write-protected", DNR(NVME_WRITE_PROTECTED)),
	ANSWER("lba-range", DNR(NVME_LBA_OUT_OF_RANGE)),
	ANSWER("capacity", DNR(NVME_CAPACITY_EXCEEDED)),
	ANSWER("conflict", DNR(NVME_RESERVATION_CONFLICT)),
	ANSWER("write-fault", DNR(NVME_WRITE_FAULT)),
	ANSWER("read-error", DNR(NVME_UNRECOVERED_READ)),
	ANSWER("guard", DNR(NVME_GUARD_CHECK)),
	ANSWER("unknown-status", DNR(NVME_VENDOR_STATUS)),
	/* Of certain admin commands. */
	{ "queue-refused", ON_COMMAND, STATUS, DNR(NVME_INVALID_QUEUE_ID),
	  NVME_ADMIN_CREATE_CQ, ADMIN, 0 },
	{ "abort-ignored", ON_COMMAND, DROP, 0, NVME_ADMIN_ABORT, ADMIN, 0 },
	{ "never-ready", ON_ENABLE, NEVER_READY, 0, 0, 0, 0 },
	{ "slow-ready", ON_ENABLE, SLOW_READY, 0, 0, 0, 1000 },
	{ "fatal-ready", ON_ENABLE, FATAL_READY, 0, 0, 0, 0 },
	{ "lost-event", ON_EVENT, LOST_EVENT, 0, 0, 0, 0 },
	{ "spurious", AT_ONCE, SPURIOUS, 0, 0, 0, 0 },
	{ "event-storm", AT_ONCE, EVENT_STORM, 0, 0, 0, 0 },
	{ "event-unknown", AT_ONCE, EVENT_UNKNOWN, 0, 0, 0, 0 },
	{ "ns-change", AT_ONCE, NS_CHANGE, 0, 0, 0, 0 },
	{ "ns-return", AT_ONCE, NS_RETURN, 0, 0, 0, 0 },
	{ "ns-elsewhere", AT_ONCE, NS_ELSEWHERE, 0, 0, 0, 0 },
};
#define NR_ROWS (sizeof(rows) / sizeof(rows[0]))

const char *nvme_fault_name(unsigned int i)
{
	return i < NR_ROWS ? rows[i].name : NULL;
}

void nvme_fault_reset(struct nvme_controller *c)
{
	/* A bus does not come back because of a reset that it carries not. */
	nvme_due_forget(c, false);
	c->fault.halted = false;
	c->fault.storm = 0;
	c->fault.shorten = false;
}

/* ---- rules ---- */

static bool has_blocks(uint8_t opcode)
{
	return opcode == NVME_READ || opcode == NVME_WRITE ||
	       opcode == NVME_COMPARE || opcode == NVME_WRITE_ZEROES ||
	       opcode == NVME_VERIFY;
}

static uint64_t lba_of(const struct nvme_command *cmd)
{
	return (uint64_t)le32_to_cpu(cmd->cdw11) << 32 |
	       le32_to_cpu(cmd->cdw10);
}

static bool matches(const struct nvme_fault *match, unsigned int id,
		    const struct nvme_command *cmd)
{
	uint64_t lba = lba_of(cmd);

	if (match->admin == !!id)
		return false;
	if (match->given & NVME_FAULT_OPCODE && match->opcode != cmd->opcode)
		return false;
	if (match->given & NVME_FAULT_NSID &&
	    match->nsid != le32_to_cpu(cmd->nsid))
		return false;
	if (match->given & NVME_FAULT_LBA &&
	    (!id || !has_blocks(cmd->opcode) || match->lba < lba ||
	     match->lba - lba >
		     (le32_to_cpu(cmd->cdw12) & NVME_RW_BLOCKS_MASK)))
		return false;
	return true;
}

/* The first rule of this kind that is met now; it is counted. */
static const struct row *meet(struct nvme_controller *c, enum when when,
			      unsigned int id, const struct nvme_command *cmd,
			      uint32_t *delay_ms)
{
	for (unsigned int i = 0; i < c->fault.nr_rules; i++) {
		struct nvme_fault_rule *rule = &c->fault.rule[i];
		const struct row *row = &rows[rule->row];

		if (row->when != when ||
		    (cmd && !matches(&rule->match, id, cmd)))
			continue;
		if (rule->match.skip) {
			rule->match.skip--;
			continue;
		}
		*delay_ms = rule->match.delay_ms;
		NVME_COUNT(c, faults, 1);
		/* It is done with. */
		if (rule->match.count && !--rule->match.count)
			memmove(rule, rule + 1, (--c->fault.nr_rules - i) *
							sizeof(*rule));
		return row;
	}
	return NULL;
}

/* ---- on a command ---- */

static void die(struct nvme_controller *c, bool for_good, uint32_t delay_ms)
{
	atomic_store(&c->fault.dead, true);
	c->fault.removed |= for_good;
	if (!for_good && !nvme_due_add(c, NVME_DUE_ALIVE, delay_ms))
		atomic_store(&c->fault.dead, false);
}

static void lose_power(struct nvme_controller *c, uint32_t delay_ms)
{
	for (unsigned int i = 0; i < NVME_MAX_NAMESPACES; i++)
		if (c->ns[i].config.medium)
			NVME_COUNT(c, blocks_lost,
				   medium_lose(c->ns[i].config.medium));
	/* What is under way will not be done. */
	nvme_due_forget(c, false);
	c->fault.unpowered = true;
	die(c, false, delay_ms);
}

static void remove_namespace(struct nvme_controller *c, uint32_t nsid)
{
	struct nvme_namespace *ns = nvme_namespace(c, nsid);

	if (!ns)
		return;
	c->fault.taken[nsid - 1] = *ns;
	*ns = (struct nvme_namespace){ 0 };
	nvme_namespace_changed(c, nsid);
	nvme_events(c);
}

/* Before it is executed. False: nothing more happens to it. */
static bool before(struct nvme_controller *c, const struct row *row,
		   unsigned int id, struct nvme_command *cmd, uint32_t delay_ms)
{
	struct nvme_due *due;
	uint64_t lba = lba_of(cmd);

	switch (row->what) {
	case DROP:
		return false;
	case DELAY:
		due = nvme_due_add(c, NVME_DUE_COMMAND, delay_ms);
		if (!due)
			return true;
		due->queue = id;
		due->cmd = *cmd;
		due->answer = (struct nvme_answer){ .cid = le16_to_cpu(cmd->cid) };
		return false;
	case TWICE:
		due = nvme_due_add(c, NVME_DUE_EFFECT, delay_ms);
		if (!due)
			return true;
		due->queue = id;
		due->cmd = *cmd;
		return true;
	case FATAL:
		nvme_set_csts(c, 0, NVME_CSTS_CFS);
		c->fault.halted = true;
		return false;
	case FROZEN:
		c->fault.halted = true;
		return false;
	case ALL_ONES:
	case REMOVED:
		die(c, row->what == REMOVED, delay_ms);
		return row->what == ALL_ONES;
	case POWER_CUT:
		lose_power(c, delay_ms);
		return false;
	case NS_REMOVE:
		remove_namespace(c, le32_to_cpu(cmd->nsid));
		return true;
	case MISPLACE:
		if (id && has_blocks(cmd->opcode)) {
			lba++;
			cmd->cdw10 = cpu_to_le32((uint32_t)lba);
			cmd->cdw11 = cpu_to_le32((uint32_t)(lba >> 32));
		}
		return true;
	default:
		return true;
	}
}

/* After it: how the answer is changed. */
static void after(struct nvme_controller *c, const struct row *row,
		  unsigned int id, struct nvme_answer *answer,
		  uint32_t delay_ms)
{
	switch (row->what) {
	case WRONG_ID:
		answer->cid ^= 0x7fff;
		break;
	case WRONG_QUEUE:
		answer->sq_off = NVME_QUEUES;
		break;
	case WRONG_HEAD:
		answer->head_off = (uint16_t)c->sq[id].size;
		break;
	case BAD_PHASE:
		answer->bad_phase = true;
		break;
	case TORN:
		answer->torn_ms = delay_ms ? delay_ms : 1;
		break;
	case NO_INTERRUPT:
		answer->no_interrupt = true;
		break;
	case WRONG_VECTOR:
		answer->next_vector = true;
		break;
	}
}

bool nvme_fault_serve(struct nvme_controller *c, unsigned int id,
		      struct nvme_command *cmd)
{
	struct nvme_answer answer = { .cid = le16_to_cpu(cmd->cid) };
	uint32_t delay_ms = 0;
	const struct row *row;
	bool answers = true;

	if (!c->fault.nr_rules)
		return false;
	row = meet(c, ON_COMMAND, id, cmd, &delay_ms);
	if (!row)
		return false;
	if (!before(c, row, id, cmd, delay_ms))
		return true;
	c->fault.shorten = row->what == SHORT;
	if (row->what == STATUS)
		answer.status = row->status;
	else if (row->what != LIE)
		answers = nvme_execute(c, id, cmd, &answer);
	c->fault.shorten = false;
	if (!answers || row->what == DROP_ANSWER)
		return true;
	if (answer.status)
		NVME_COUNT(c, errors, 1);
	after(c, row, id, &answer, delay_ms);
	if (row->what == LATE) {
		nvme_due_answer(c, id, &answer, delay_ms);
		return true;
	}
	nvme_post(c, id, &answer);
	if (row->what == DUPLICATE)
		nvme_due_answer(c, id, &answer, 0);
	return true;
}

/* ---- on the rest ---- */

bool nvme_fault_enable(struct nvme_controller *c)
{
	uint32_t delay_ms = 0;
	const struct row *row = meet(c, ON_ENABLE, 0, NULL, &delay_ms);

	if (!row)
		return false;
	if (row->what == FATAL_READY)
		nvme_set_csts(c, 0, NVME_CSTS_CFS);
	if (row->what == SLOW_READY)
		return nvme_due_add(c, NVME_DUE_READY, delay_ms);
	c->fault.halted = true;
	return true;
}

bool nvme_fault_event(struct nvme_controller *c)
{
	uint32_t delay_ms = 0;

	return c->fault.nr_rules &&
	       meet(c, ON_EVENT, 0, NULL, &delay_ms);
}

static void tell(struct nvme_controller *c, uint32_t dw0)
{
	nvme_complete(c, 0, c->event_cid[--c->nr_event_cids], NVME_SUCCESS,
		      dw0);
}

static bool can_tell(const struct nvme_controller *c)
{
	return c->sq[0].entries && c->nr_event_cids &&
	       !nvme_cq_full(&c->cq[0]);
}

void nvme_fault_storm(struct nvme_controller *c)
{
	for (; c->fault.storm && can_tell(c); c->fault.storm--)
		tell(c, NVME_EVENT_ERROR |
			NVME_EVENT_INVALID_DOORBELL << NVME_EVENT_INFO_SHIFT |
			NVME_LOG_ERRORS << NVME_EVENT_LOG_SHIFT);
}

static const char *at_once(struct nvme_controller *c, enum what what,
			   const struct nvme_fault *fault)
{
	uint32_t nsid = fault->nsid;
	struct nvme_namespace *taken;

	if (what == NS_CHANGE && !nvme_namespace(c, nsid))
		return "nsid: there is no such namespace";
	taken = &c->fault.taken[(nsid - 1) % NVME_MAX_NAMESPACES];
	if ((what == NS_RETURN || what == NS_ELSEWHERE) &&
	    (nsid > NVME_MAX_NAMESPACES || !taken->config.medium ||
	     nvme_namespace(c, nsid)))
		return "nsid: no such namespace was removed by ns-remove";
	if (what == NS_ELSEWHERE) {
		uint32_t old = nsid;

		for (nsid = 1; nsid == old || nvme_namespace(c, nsid); nsid++)
			if (nsid == NVME_MAX_NAMESPACES)
				return "nsid: no other number is free";
	}
	NVME_COUNT(c, faults, 1);
	switch (what) {
	case SPURIOUS:
		for (uint32_t i = 0; i < fault->count; i++)
			for (unsigned int v = 0; v < c->function.vectors; v++)
				msix_raise(&c->msix, &c->function.host, v);
		break;
	case EVENT_STORM:
		c->fault.storm = fault->count;
		nvme_fault_storm(c);
		break;
	case EVENT_UNKNOWN:
		if (can_tell(c))
			tell(c, NVME_EVENT_RESERVED);
		break;
	case NS_RETURN:
	case NS_ELSEWHERE:
		c->ns[nsid - 1] = *taken;
		*taken = (struct nvme_namespace){ 0 };
		nvme_namespace_changed(c, nsid);
		break;
	default:
		nvme_namespace_changed(c, nsid);
	}
	return NULL;
}

/* ---- setting ---- */

static void end_all(struct nvme_controller *c)
{
	c->fault.nr_rules = 0;
	c->fault.storm = 0;
	if (c->fault.removed || atomic_load(&c->fault.dead))
		nvme_power_up(c);
	c->fault.removed = c->fault.unpowered = false;
	atomic_store(&c->fault.dead, false);
	nvme_due_forget(c, true);
}

/* What the row does not take. */
static const char *refuse_fields(const struct row *row,
				 const struct nvme_fault *fault)
{
	unsigned int given = fault->given;
	bool command = row->when == ON_COMMAND;
	bool ns = row->what == NS_CHANGE || row->what == NS_RETURN ||
		  row->what == NS_ELSEWHERE;
	bool counts = row->what == SPURIOUS || row->what == EVENT_STORM;

	if (given & NVME_FAULT_OPCODE && !command)
		return "opcode: only faults of commands take one";
	if (given & NVME_FAULT_ADMIN && !command)
		return "admin: only faults of commands take it";
	if (given & NVME_FAULT_LBA && (!command || fault->admin))
		return "lba: only faults of I/O commands take one";
	if (given & NVME_FAULT_NSID && !fault->nsid)
		return "nsid: must not be 0";
	if (given & NVME_FAULT_NSID && !command && !ns)
		return "nsid: this fault takes none";
	if (given & NVME_FAULT_SKIP && row->when == AT_ONCE)
		return "skip: this fault happens at once";
	if (given & NVME_FAULT_COUNT && row->when == AT_ONCE && !counts)
		return "count: this fault happens once";
	if (given & NVME_FAULT_COUNT && counts &&
	    (!fault->count || fault->count > NVME_MAX_ENTRIES))
		return "count: of this fault, must be 1 to 1024";
	if (given & NVME_FAULT_DELAY && !row->delay_ms)
		return "delay_ms: this fault takes none";
	if (given & NVME_FAULT_DELAY && fault->delay_ms > NVME_FAULT_MAX_DELAY)
		return "delay_ms: must be at most 600000";
	return NULL;
}

static int set(struct nvme_controller *c, struct nvme_request *request)
{
	struct nvme_fault fault = *request->fault;
	struct nvme_fault_rule *rule;
	unsigned int n = 0;

	if (!strcmp(fault.name, NVME_FAULT_NONE)) {
		end_all(c);
		return 0;
	}
	while (n < NR_ROWS && strcmp(fault.name, rows[n].name))
		n++;
	request->rule = n == NR_ROWS ? "fault: there is none of this name" :
				       refuse_fields(&rows[n], &fault);
	if (request->rule)
		return 0;
	if (!(fault.given & NVME_FAULT_COUNT))
		fault.count = 1;
	if (!(fault.given & NVME_FAULT_DELAY))
		fault.delay_ms = rows[n].delay_ms;
	if (!(fault.given & NVME_FAULT_NSID))
		fault.nsid = 1; /* where one is needed */
	if (rows[n].given && !(fault.given & NVME_FAULT_OPCODE))
		fault.opcode = rows[n].opcode;
	fault.admin |= rows[n].given != 0;
	fault.given |= rows[n].given;
	if (rows[n].when == AT_ONCE) {
		request->rule = at_once(c, rows[n].what, &fault);
		return 0;
	}
	if (c->fault.nr_rules == NVME_MAX_FAULTS) {
		request->rule = "fault: there are 8 already; none ends them";
		return 0;
	}
	rule = &c->fault.rule[c->fault.nr_rules++];
	rule->row = n;
	rule->match = fault;
	return 0;
}

const char *nvme_fault_set(struct nvme_controller *c,
			   const struct nvme_fault *fault)
{
	struct nvme_request request = { .fn = set, .fault = fault };

	nvme_run(c, &request);
	return request.rule;
}
