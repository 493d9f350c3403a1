// SPDX-License-Identifier: MIT
/*
 * MSI-X, theory of operation
 *
 * Owns the vector table, the pending bits and the two switches of the
 * capability. A message leaves when nothing masks its vector:
 *
 *	raised --masked--> pending --unmasked--> sent
 *	       --not masked------------------->  sent
 *
 * While MSI-X is off there is no other kind of interrupt: what is raised then
 * is lost, as on a bus whose INTx line nobody connected.
 *
 * The message is sent with the lock held, so that nothing is sent after a
 * mask bit was written; what is called must therefore never come back here.
 */
#include <string.h>

#include "msix.h"
#include "pci_function.h"

void msix_init(struct msix *msix, unsigned int vectors)
{
	memset(msix, 0, sizeof(*msix));
	pthread_mutex_init(&msix->lock, NULL);
	msix->vectors = vectors;
	msix_reset(msix);
}

void msix_destroy(struct msix *msix)
{
	pthread_mutex_destroy(&msix->lock);
}

void msix_reset(struct msix *msix)
{
	pthread_mutex_lock(&msix->lock);
	msix->enabled = msix->masked = false;
	memset(msix->pending, 0, sizeof(msix->pending));
	for (unsigned int i = 0; i < msix->vectors; i++)
		msix->entry[i] = (struct msix_entry){
			.word[3] = MSIX_ENTRY_MASKED,
		};
	pthread_mutex_unlock(&msix->lock);
}

static void send(struct msix *msix, const struct pci_host *host,
		 unsigned int vector)
{
	const uint32_t *word = msix->entry[vector].word;

	msix->sent++;
	host->message(host->opaque, (uint64_t)word[1] << 32 | word[0], word[2]);
}

static bool can_send(const struct msix *msix, unsigned int vector)
{
	return !msix->masked &&
	       !(msix->entry[vector].word[3] & MSIX_ENTRY_MASKED);
}

static void send_pending(struct msix *msix, const struct pci_host *host)
{
	if (!msix->enabled)
		return;
	for (unsigned int i = 0; i < msix->vectors; i++) {
		uint64_t bit = 1ull << (i % 64);

		if (!(msix->pending[i / 64] & bit) || !can_send(msix, i))
			continue;
		msix->pending[i / 64] &= ~bit;
		send(msix, host, i);
	}
}

void msix_control(struct msix *msix, const struct pci_host *host, bool enabled,
		  bool masked)
{
	pthread_mutex_lock(&msix->lock);
	msix->enabled = enabled;
	msix->masked = masked;
	send_pending(msix, host);
	pthread_mutex_unlock(&msix->lock);
}

void msix_raise(struct msix *msix, const struct pci_host *host,
		unsigned int vector)
{
	pthread_mutex_lock(&msix->lock);
	if (!msix->enabled || vector >= msix->vectors)
		goto out_unlock;
	if (can_send(msix, vector)) {
		send(msix, host, vector);
	} else {
		msix->deferred++;
		msix->pending[vector / 64] |= 1ull << (vector % 64);
	}
out_unlock:
	pthread_mutex_unlock(&msix->lock);
}

/* Is it an access of whole words? How many. */
static unsigned int words(uint64_t offset, unsigned int size)
{
	return (size == 4 || size == 8) && !(offset % size) ? size / 4 : 0;
}

uint64_t msix_read(struct msix *msix, uint64_t offset, unsigned int size)
{
	uint64_t value = 0;

	pthread_mutex_lock(&msix->lock);
	for (unsigned int i = 0; i < words(offset, size); i++) {
		uint64_t at = offset / 4 + i;

		if (at / 4 < msix->vectors)
			value |= (uint64_t)msix->entry[at / 4].word[at % 4]
				 << (32 * i);
	}
	pthread_mutex_unlock(&msix->lock);
	return value;
}

void msix_write(struct msix *msix, const struct pci_host *host,
		uint64_t offset, unsigned int size, uint64_t value)
{
	pthread_mutex_lock(&msix->lock);
	for (unsigned int i = 0; i < words(offset, size); i++) {
		uint64_t at = offset / 4 + i;

		if (at / 4 < msix->vectors)
			msix->entry[at / 4].word[at % 4] =
				(uint32_t)(value >> (32 * i));
	}
	send_pending(msix, host);
	pthread_mutex_unlock(&msix->lock);
}

uint64_t msix_read_pending(struct msix *msix, uint64_t offset,
			   unsigned int size)
{
	uint64_t value = 0;

	if (!words(offset, size) || offset / 8 >= MSIX_MAX_VECTORS / 64)
		return 0;
	pthread_mutex_lock(&msix->lock);
	value = msix->pending[offset / 8] >> (offset % 8 * 8);
	pthread_mutex_unlock(&msix->lock);
	return value;
}
