// SPDX-License-Identifier: MIT
/*
 * Captures, theory of operation
 *
 * PacketCapture asks how many NICs there are, has each of them listened to on a
 * data connection of its own, or ends that for all:
 *
 *	Start --worker: listens--> a pump for each --Stop, the NIC has gone,
 *	                                             the client closes--> ended
 *
 * The n-th connection is the n-th NIC's. One without a NIC ends at once, as does
 * a capture without a connection.
 */
#include <unistd.h>

#include <pv/capture.h>

#include "diag_state.h"

enum operation { QUERY, START, STOP };

static bool add_conn(struct diag_job *job, uint64_t conn)
{
	if (job->nr_conns == DIAG_CAPTURES)
		return false;
	job->conn[job->nr_conns++] = conn;
	return true;
}

static bool read_start(const struct pb_field *data, struct diag_job *job)
{
	struct pb_reader r, packed;
	struct pb_field f;
	uint64_t conn;

	pb_read(&r, data->bytes, data->len);
	while (pb_next(&r, &f)) {
		if (f.number == 1)
			job->snaplen = (uint32_t)f.value;
		if (f.number != 2)
			continue;
		if (f.wire == PB_VARINT && !add_conn(job, f.value))
			return false;
		if (f.wire != PB_BYTES)
			continue;
		pb_read(&packed, f.bytes, f.len);
		while (pb_next_number(&packed, &conn))
			if (!add_conn(job, conn))
				return false;
		if (packed.bad)
			return false;
	}
	return !r.bad;
}

static void stop_all(struct diag_server *s)
{
	for (unsigned int i = 0; i < DIAG_PUMPS; i++)
		if (s->pump[i].to >= 0 && s->pump[i].capture)
			diag_pump_end(s, &s->pump[i]);
}

void diag_packet_capture(struct diag_call *call)
{
	struct diag_job job = { .kind = DIAG_CAPTURE };
	struct diag_server *s = call->server;
	uint64_t operation = QUERY;
	struct pb_reader r;
	struct pb_field f;
	bool good = true;

	pb_read(&r, call->request.payload, call->request.len);
	while (good && pb_next(&r, &f)) {
		if (f.number == 3)
			operation = f.value;
		else if (f.number == 4 && f.wire == PB_BYTES)
			good = read_start(&f, &job);
	}
	if (!good || r.bad || operation > STOP) {
		diag_refuse(s, &call->caller, TTRPC_INVALID_ARGUMENT,
			    "operation: must be 0 to 2, with up to %d conns",
			    DIAG_CAPTURES);
		return;
	}
	if (operation == STOP)
		stop_all(s);
	if (operation != START)
		job.nr_conns = 0;
	diag_begin(call, &job);
}

void diag_captures_begun(struct diag_server *s, const struct diag_job *job,
			 bool answered)
{
	for (unsigned int i = 0; i < DIAG_CAPTURES; i++) {
		struct capture *c = job->capture[i];
		int to = i < job->nr_conns ? diag_data_take(s, job->conn[i]) :
					     -1;
		struct diag_pump *pump;

		if (to < 0 || job->code != TTRPC_OK || !answered ||
		    !diag_pumps_free(s, 1)) {
			if (to >= 0)
				close(to);
			if (c)
				c->ops->stop(c);
			continue;
		}
		pump = diag_pump_start(s, -1, to, DIAG_PUMP_CAPTURE, true);
		pump->capture = c;
		if (!c)
			diag_pump_end(s, pump);
	}
}
