/* SPDX-License-Identifier: MIT */
/*
 * Stamped blocks, theory of operation
 *
 * What a block is, is decided in two steps. First by itself:
 *
 *	zeroes ---------------------------> generation 0 of this block
 *	CRC right, all lines of one write -> that generation of that block
 *	each line right, of several writes -> torn
 *	else ------------------------------> corrupt
 *
 * then by what was written: of another block it is misplaced; with a generation
 * that may be there it is good. The last acknowledged one may, and later ones
 * that were issued and not acknowledged; but none older than what was read
 * before, since a disk does not go back by itself:
 *
 *	0 ........ acked ........ seen ........ issued
 *	lost            double           good
 *
 * with `acked` and `seen` in either order: below both it is lost if it was
 * never seen, and else brought back.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <le.h>

#include "igvm/crc32.h"
#include "test/guest/stamp.h"

#define LINE 16u

struct head {
	le64 lba;
	le32 generation, crc;
} __packed;
_Static_assert(sizeof(struct head) == LINE, "a line");

struct line {
	le64 mix;
	le32 generation, lba; /* its lower half */
} __packed;
_Static_assert(sizeof(struct line) == LINE, "a line");

/* What a block says of itself. */
struct said {
	bool valid, torn;
	uint64_t lba;
	uint32_t generation;
};

int stamp_open(struct stamp_book *book, uint64_t first, uint64_t blocks,
	       uint32_t block_size, uint32_t seed)
{
	memset(book, 0, sizeof(*book));
	book->first = first;
	book->blocks = blocks;
	book->block_size = block_size;
	book->seed = seed;
	book->state = calloc(blocks, sizeof(*book->state));
	return book->state ? 0 : -ENOMEM;
}

void stamp_close(struct stamp_book *book)
{
	free(book->state);
}

static uint64_t mix(const struct stamp_book *book, uint64_t lba,
		    uint32_t generation, uint32_t line)
{
	uint64_t x = lba * 0x9e3779b97f4a7c15u ^
		     ((uint64_t)generation << 32 | book->seed);

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u + line;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

static uint32_t crc_of(const struct stamp_book *book, const uint8_t *block)
{
	uint32_t crc = crc32_update(book->seed, block,
				    offsetof(struct head, crc));

	return crc32_update(crc, block + LINE, book->block_size - LINE);
}

uint32_t stamp_write(struct stamp_book *book, uint64_t lba, void *block)
{
	struct stamp_state *state = &book->state[lba - book->first];
	uint32_t generation = ++state->issued;
	struct head head = { .lba = cpu_to_le64(lba),
			     .generation = cpu_to_le32(generation) };
	struct line line = { .generation = head.generation,
			     .lba = cpu_to_le32((uint32_t)lba) };
	uint8_t *to = block;

	for (uint32_t i = 1; i < book->block_size / LINE; i++) {
		line.mix = cpu_to_le64(mix(book, lba, generation, i));
		memcpy(to + i * LINE, &line, LINE);
	}
	memcpy(to, &head, LINE);
	head.crc = cpu_to_le32(crc_of(book, block));
	memcpy(to, &head, LINE);
	return generation;
}

void stamp_written(struct stamp_book *book, uint64_t lba, bool acknowledged)
{
	struct stamp_state *state = &book->state[lba - book->first];

	if (acknowledged)
		state->acked = state->issued;
}

/* Looking at a block. */

static bool all_zero(const uint8_t *bytes, uint32_t size)
{
	return !bytes[0] && !memcmp(bytes, bytes + 1, size - 1);
}

/* Is this line one that a write of ours has at this place? */
static bool line_good(const struct stamp_book *book, uint64_t lba,
		      const struct line *line, uint32_t at)
{
	lba = (lba & ~(uint64_t)UINT32_MAX) | le32_to_cpu(line->lba);
	return le64_to_cpu(line->mix) ==
	       mix(book, lba, le32_to_cpu(line->generation), at);
}

static struct said look(const struct stamp_book *book, uint64_t lba,
			const uint8_t *block)
{
	struct said said = { .lba = lba };
	unsigned int others = 0;
	struct head head;
	struct line line;

	if (all_zero(block, book->block_size)) {
		said.valid = true;
		return said;
	}
	memcpy(&head, block, LINE);
	if (le32_to_cpu(head.crc) == crc_of(book, block)) {
		said.valid = true;
		said.lba = le64_to_cpu(head.lba);
		said.generation = le32_to_cpu(head.generation);
		return said;
	}
	for (uint32_t i = 1; i < book->block_size / LINE; i++) {
		memcpy(&line, block + i * LINE, LINE);
		others += le32_to_cpu(line.generation) !=
				  le32_to_cpu(head.generation) ||
			  le32_to_cpu(line.lba) !=
				  (uint32_t)le64_to_cpu(head.lba);
		if (!all_zero(block + i * LINE, LINE) &&
		    !line_good(book, lba, &line, i))
			return said;
	}
	said.torn = others;
	return said;
}

/* May the block say this? */
static bool allowed(const struct stamp_book *book, uint64_t lba,
		    const struct said *said)
{
	const struct stamp_state *state = &book->state[lba - book->first];

	return said->valid && said->lba == lba &&
	       said->generation >= state->acked &&
	       said->generation >= state->seen &&
	       said->generation <= state->issued;
}

bool stamp_suspect(const struct stamp_book *book, uint64_t lba,
		   const void *block)
{
	struct said said = look(book, lba, block);

	return !allowed(book, lba, &said);
}

static enum stamp_finding judge(const struct stamp_book *book, uint64_t lba,
				const struct said *said, const void *again)
{
	const struct stamp_state *state = &book->state[lba - book->first];

	if (allowed(book, lba, said))
		return STAMP_GOOD;
	if (said->torn)
		return STAMP_TORN;
	if (!said->valid || said->generation > state->issued)
		return said->valid && said->lba != lba ? STAMP_MISPLACED :
							 STAMP_CORRUPT;
	if (said->lba != lba)
		return STAMP_MISPLACED;
	if (again && !stamp_suspect(book, lba, again))
		return STAMP_STALE;
	return said->generation < state->seen ? STAMP_DOUBLE : STAMP_LOST;
}

enum stamp_finding stamp_read(struct stamp_book *book, uint64_t lba,
			      const void *block, const void *again)
{
	struct stamp_state *state = &book->state[lba - book->first];
	struct said said = look(book, lba, block);
	enum stamp_finding finding = judge(book, lba, &said, again);

	book->found[finding]++;
	if (finding == STAMP_GOOD && said.generation > state->seen)
		state->seen = said.generation;
	if (finding != STAMP_GOOD && !book->bad) {
		book->bad = finding;
		book->bad_lba = lba;
	}
	return finding;
}

/* Reports. */

const char *stamp_text(enum stamp_finding finding)
{
	static const char *const text[STAMP_NR_FINDINGS] = {
		[STAMP_GOOD] = "good",	   [STAMP_LOST] = "lost",
		[STAMP_TORN] = "torn",	   [STAMP_MISPLACED] = "misplaced",
		[STAMP_STALE] = "stale",   [STAMP_DOUBLE] = "double",
		[STAMP_CORRUPT] = "corrupt",
	};

	return text[finding];
}

uint64_t stamp_bad(const struct stamp_book *book)
{
	uint64_t bad = 0;

	for (unsigned int i = STAMP_GOOD + 1; i < STAMP_NR_FINDINGS; i++)
		bad += book->found[i];
	return bad;
}

void stamp_print(const struct stamp_book *book, FILE *out)
{
	for (unsigned int i = 0; i < STAMP_NR_FINDINGS; i++)
		fprintf(out, "%s%s %llu", i ? ", " : "", stamp_text(i),
			(unsigned long long)book->found[i]);
	if (book->bad)
		fprintf(out, "; first: block %llu %s",
			(unsigned long long)book->bad_lba,
			stamp_text(book->bad));
	fprintf(out, "\n");
}
