#include "guard/breaker.h"

#include <stdatomic.h>
#include <string.h>

#include "base/mem.h"

/*
 * The state word, from the top: generation (21 bits), state (3), payload (40). The payload of OPEN
 * is when its wait ends, in ms since the breaker was made; of HALF_OPEN four counts of 10 bits.
 */
#define PAYLOAD_BITS 40
#define PAYLOAD_MASK (((uint64_t)1 << PAYLOAD_BITS) - 1)
#define STATE_SHIFT PAYLOAD_BITS
#define GENERATION_SHIFT (PAYLOAD_BITS + 3)
#define GENERATION_BITS 21
#define GENERATION_MASK (((uint32_t)1 << GENERATION_BITS) - 1)

#define PROBE_BITS 10
#define PROBE_MASK (((uint64_t)1 << PROBE_BITS) - 1)
#define PROBE_FAILED ((uint64_t)1)
#define PROBE_SLOW ((uint64_t)1 << PROBE_BITS)
#define PROBE_DONE ((uint64_t)1 << (2 * PROBE_BITS))
#define PROBE_ISSUED ((uint64_t)1 << (3 * PROBE_BITS))

/* A result in the ring of the last calls: generation (21), used, slow, failed. */
#define SLOT_FAILED 1u
#define SLOT_SLOW 2u
#define SLOT_USED 4u
#define SLOT_GENERATION_SHIFT 3

/* Sums of the ring: low bits of the generation (13), calls (17), slow (17), failed (17). */
#define SUM_BITS 17
#define SUM_MASK (((uint64_t)1 << SUM_BITS) - 1)
#define SUM_FAILED ((uint64_t)1)
#define SUM_SLOW ((uint64_t)1 << SUM_BITS)
#define SUM_CALLS ((uint64_t)1 << (2 * SUM_BITS))
#define SUM_TAG_SHIFT (3 * SUM_BITS)
#define SUM_TAG_BITS 13

/* A bucket of a window of time: its number (19), calls (15), slow (15), failed (15). */
#define BUCKETS 32
#define BUCKET_BITS 15
#define BUCKET_MASK (((uint64_t)1 << BUCKET_BITS) - 1)
#define BUCKET_FAILED ((uint64_t)1)
#define BUCKET_SLOW ((uint64_t)1 << BUCKET_BITS)
#define BUCKET_CALLS ((uint64_t)1 << (2 * BUCKET_BITS))
#define BUCKET_TAG_SHIFT (3 * BUCKET_BITS)
#define BUCKET_TAG_BITS 19
#define BUCKET_TAG_MASK (((uint32_t)1 << BUCKET_TAG_BITS) - 1)

/*
 * A result may be this many generations late, by a race of its thread with others. What seems to be
 * further ahead than that is so old that its number has wrapped around.
 */
#define LATE_MAX 64

struct sums {
	uint64_t calls, failed, slow;
};

struct breaker {
	struct breaker_options options;
	int64_t base_ms;
	_Atomic uint32_t *slots; /* options.window of them; NULL: buckets */
	_Atomic uint64_t *buckets;
	_Atomic uint32_t refs;
	char pad0[64]; /* what every call reads is not in a line that every call writes */
	_Atomic uint64_t word;
	_Atomic uint64_t changed; /* generation (21), ms since base (43) */
	_Atomic uint32_t reopened; /* times in a row that probes have failed */
	char pad1[64];
	_Atomic uint64_t head; /* of the ring */
	_Atomic uint64_t sum;
	_Atomic uint64_t refused;
	_Atomic uint64_t opened;
};

static enum breaker_state state_of(uint64_t word)
{
	return (enum breaker_state)(word >> STATE_SHIFT & 7);
}

static uint32_t generation_of(uint64_t word)
{
	return (uint32_t)(word >> GENERATION_SHIFT);
}

static uint64_t word_of(uint32_t generation, enum breaker_state state, uint64_t payload)
{
	return (uint64_t)(generation & GENERATION_MASK) << GENERATION_SHIFT |
	       (uint64_t)state << STATE_SHIFT | (payload & PAYLOAD_MASK);
}

/* a - b of numbers of `bits` bits that wrap around. */
static int32_t distance(uint32_t a, uint32_t b, unsigned bits)
{
	return (int32_t)((a - b) << (32 - bits)) >> (32 - bits);
}

static uint64_t since_base(const struct breaker *breaker, int64_t now_ms)
{
	return now_ms > breaker->base_ms ? (uint64_t)(now_ms - breaker->base_ms) : 0;
}

/* Either way *word is then what the word is. */
static bool swap(struct breaker *breaker, uint64_t *word, uint64_t next)
{
	if (!atomic_compare_exchange_strong_explicit(
		    &breaker->word, word, next, memory_order_acq_rel, memory_order_acquire))
		return false;
	*word = next;
	return true;
}

/* --- making --- */

struct breaker *breaker_new(const struct breaker_options *options, int64_t now_ms,
			    struct err *err)
{
	struct breaker *breaker = mem_zalloc(1, sizeof(*breaker));

	if (!breaker) {
		err_set(err, ERR_MEMORY, "no memory for a breaker");
		return NULL;
	}
	breaker->options = *options;
	breaker->base_ms = now_ms;
	breaker->refs = 1;
	if (options->window_ms)
		breaker->buckets = mem_zalloc(BUCKETS, sizeof(*breaker->buckets));
	else
		breaker->slots = mem_zalloc(options->window, sizeof(*breaker->slots));
	if (breaker->buckets || breaker->slots)
		return breaker;
	mem_free(breaker);
	err_set(err, ERR_MEMORY, "no memory for a breaker");
	return NULL;
}

struct breaker *breaker_ref(struct breaker *breaker)
{
	atomic_fetch_add_explicit(&breaker->refs, 1, memory_order_relaxed);
	return breaker;
}

void breaker_unref(struct breaker *breaker)
{
	if (!breaker || atomic_fetch_sub_explicit(&breaker->refs, 1, memory_order_acq_rel) != 1)
		return;
	mem_free((void *)(uintptr_t)breaker->slots);
	mem_free((void *)(uintptr_t)breaker->buckets);
	mem_free(breaker);
}

bool breaker_has_options(const struct breaker *breaker, const struct breaker_options *options)
{
	const struct breaker_options *own = &breaker->options;

	return own->window == options->window && own->window_ms == options->window_ms &&
	       own->minimum == options->minimum &&
	       own->failure_percent == options->failure_percent &&
	       own->slow_percent == options->slow_percent && own->slow_ms == options->slow_ms &&
	       own->open_ms == options->open_ms &&
	       own->growth_percent == options->growth_percent &&
	       own->open_max_ms == options->open_max_ms && own->probes == options->probes &&
	       own->half_open_max_ms == options->half_open_max_ms;
}

/* --- from one state to the next --- */

/* The winner of a transition says when it was. */
static void note_change(struct breaker *breaker, uint32_t generation, int64_t now_ms)
{
	uint64_t at = since_base(breaker, now_ms) & (((uint64_t)1 << 43) - 1);

	atomic_store_explicit(&breaker->changed,
			      (uint64_t)(generation & GENERATION_MASK) << 43 | at,
			      memory_order_release);
}

/* -1: the winner has not said so yet. */
static int64_t changed_ms(const struct breaker *breaker, uint32_t generation)
{
	uint64_t changed = atomic_load_explicit(&breaker->changed, memory_order_acquire);

	if ((uint32_t)(changed >> 43) != generation)
		return -1;
	return breaker->base_ms + (int64_t)(changed & (((uint64_t)1 << 43) - 1));
}

static uint64_t wait_of(const struct breaker_options *options, uint32_t reopened)
{
	uint64_t wait_ms = options->open_ms;
	/* Half a year at most, so that the end fits into the state word. */
	uint64_t max_ms = options->open_max_ms ? options->open_max_ms : (uint64_t)1 << 34;

	for (uint32_t i = 0; i < reopened && wait_ms < max_ms; i++) {
		uint64_t grown = wait_ms * options->growth_percent / 100;

		if (grown <= wait_ms)
			break;
		wait_ms = grown;
	}
	return wait_ms < max_ms || wait_ms == options->open_ms ? wait_ms : max_ms;
}

/* From `*word` to OPEN; false with *word read anew when another was faster. */
static bool open_it(struct breaker *breaker, uint64_t *word, uint32_t reopened, int64_t now_ms)
{
	uint32_t generation = generation_of(*word) + 1;
	uint64_t until = since_base(breaker, now_ms) + wait_of(&breaker->options, reopened);

	if (!swap(breaker, word, word_of(generation, BREAKER_OPEN, until)))
		return false;
	atomic_store_explicit(&breaker->reopened, reopened, memory_order_relaxed);
	atomic_fetch_add_explicit(&breaker->opened, 1, memory_order_relaxed);
	note_change(breaker, generation, now_ms);
	return true;
}

static bool open_again(struct breaker *breaker, uint64_t *word, int64_t now_ms)
{
	uint32_t reopened = atomic_load_explicit(&breaker->reopened, memory_order_relaxed);

	return open_it(breaker, word, reopened < UINT32_MAX ? reopened + 1 : reopened, now_ms);
}

static bool close_it(struct breaker *breaker, uint64_t *word, int64_t now_ms)
{
	uint32_t generation = generation_of(*word) + 1;

	if (!swap(breaker, word, word_of(generation, BREAKER_CLOSED, 0)))
		return false;
	atomic_store_explicit(&breaker->reopened, 0, memory_order_relaxed);
	note_change(breaker, generation, now_ms);
	return true;
}

static bool exceeds(const struct breaker_options *options, const struct sums *sums)
{
	return sums->failed * 100 >= (uint64_t)options->failure_percent * sums->calls ||
	       (options->slow_ms &&
		sums->slow * 100 >= (uint64_t)options->slow_percent * sums->calls);
}

/* --- the window --- */

/*
 * Adds to the sums of this generation, modulo their width: a slot may be replaced, and taken off,
 * before the call that wrote it has been added. False when the generation is over.
 */
static bool add_sum(struct breaker *breaker, uint32_t generation, uint64_t delta, uint64_t *sum)
{
	const uint64_t counts = ((uint64_t)1 << SUM_TAG_SHIFT) - 1;
	uint32_t tag = generation & (((uint32_t)1 << SUM_TAG_BITS) - 1);
	uint64_t old = atomic_load_explicit(&breaker->sum, memory_order_relaxed);
	uint64_t next;

	do {
		uint32_t old_tag = (uint32_t)(old >> SUM_TAG_SHIFT);
		int32_t age = distance(tag, old_tag, SUM_TAG_BITS);

		if (age < 0 && age > -LATE_MAX)
			return false;
		next = ((age ? 0 : old) + delta) & counts;
		next |= (uint64_t)tag << SUM_TAG_SHIFT;
	} while (!atomic_compare_exchange_weak_explicit(
		&breaker->sum, &old, next, memory_order_acq_rel, memory_order_relaxed));
	*sum = next;
	return true;
}

static uint64_t contribution(uint32_t slot)
{
	return (slot & SLOT_USED ? SUM_CALLS : 0) + (slot & SLOT_SLOW ? SUM_SLOW : 0) +
	       (slot & SLOT_FAILED ? SUM_FAILED : 0);
}

/* False when the sums say nothing: the generation is over, or another call is between its steps. */
static bool split_sum(const struct breaker *breaker, uint64_t sum, struct sums *sums)
{
	sums->failed = sum & SUM_MASK;
	sums->slow = sum >> SUM_BITS & SUM_MASK;
	sums->calls = sum >> (2 * SUM_BITS) & SUM_MASK;
	return sums->calls <= breaker->options.window && sums->failed <= sums->calls &&
	       sums->slow <= sums->calls;
}

/* The sums of this generation as they are. */
static bool read_sum(const struct breaker *breaker, uint32_t generation, struct sums *sums)
{
	uint64_t sum = atomic_load_explicit(&breaker->sum, memory_order_acquire);

	return (sum >> SUM_TAG_SHIFT) == (generation & (((uint32_t)1 << SUM_TAG_BITS) - 1)) &&
	       split_sum(breaker, sum, sums);
}

static bool add_to_ring(struct breaker *breaker, uint32_t generation, uint32_t flags,
			struct sums *sums)
{
	uint64_t head = atomic_fetch_add_explicit(&breaker->head, 1, memory_order_relaxed);
	_Atomic uint32_t *slot = &breaker->slots[head % breaker->options.window];
	uint32_t now = generation << SLOT_GENERATION_SHIFT | SLOT_USED | flags;
	uint32_t old = atomic_load_explicit(slot, memory_order_relaxed);
	uint64_t delta, sum;

	/* Mostly a good call takes the place of a good call: nothing changes. */
	if (LIKELY(old == now))
		return read_sum(breaker, generation, sums);
	do {
		int32_t age =
			distance(generation, old >> SLOT_GENERATION_SHIFT, GENERATION_BITS);

		if (age < 0 && age > -LATE_MAX)
			return false;
	} while (!atomic_compare_exchange_weak_explicit(slot, &old, now, memory_order_acq_rel,
							memory_order_relaxed));
	delta = contribution(now);
	if (old >> SLOT_GENERATION_SHIFT == generation)
		delta -= contribution(old);
	return add_sum(breaker, generation, delta, &sum) && split_sum(breaker, sum, sums);
}

/* Each generation has numbers of its own, further on than all of the one before. */
static uint32_t bucket_number(const struct breaker *breaker, uint32_t generation,
			      int64_t now_ms)
{
	uint64_t width_ms = breaker->options.window_ms / BUCKETS;
	uint64_t number = since_base(breaker, now_ms) / (width_ms ? width_ms : 1);

	return (uint32_t)(number + (uint64_t)generation * (BUCKETS + 1)) & BUCKET_TAG_MASK;
}

static void sum_buckets(const struct breaker *breaker, uint32_t number, struct sums *sums)
{
	*sums = (struct sums){0};
	for (unsigned i = 0; i < BUCKETS; i++) {
		uint64_t bucket =
			atomic_load_explicit(&breaker->buckets[i], memory_order_relaxed);
		int32_t age = distance(number, (uint32_t)(bucket >> BUCKET_TAG_SHIFT),
				       BUCKET_TAG_BITS);

		if (age < 0 || age >= BUCKETS)
			continue;
		sums->failed += bucket & BUCKET_MASK;
		sums->slow += bucket >> BUCKET_BITS & BUCKET_MASK;
		sums->calls += bucket >> (2 * BUCKET_BITS) & BUCKET_MASK;
	}
}

/* A bucket that is full is halved: its rates stay as they are. */
static uint64_t halve(uint64_t bucket)
{
	uint64_t half = BUCKET_MASK >> 1;
	uint64_t keep = half | half << BUCKET_BITS | half << (2 * BUCKET_BITS);

	return (bucket >> 1) & keep;
}

static bool add_to_buckets(struct breaker *breaker, uint32_t generation, uint32_t flags,
			   int64_t now_ms, struct sums *sums)
{
	uint32_t number = bucket_number(breaker, generation, now_ms);
	_Atomic uint64_t *bucket = &breaker->buckets[number % BUCKETS];
	uint64_t old = atomic_load_explicit(bucket, memory_order_relaxed);
	uint64_t next;

	do {
		uint32_t old_number = (uint32_t)(old >> BUCKET_TAG_SHIFT);
		int32_t age = distance(number, old_number, BUCKET_TAG_BITS);

		if (age < 0 && age > -LATE_MAX * (BUCKETS + 1))
			return false;
		next = age ? 0 : old & (((uint64_t)1 << BUCKET_TAG_SHIFT) - 1);
		if ((next >> (2 * BUCKET_BITS)) == BUCKET_MASK)
			next = halve(next);
		next += BUCKET_CALLS + (flags & SLOT_SLOW ? BUCKET_SLOW : 0) +
			(flags & SLOT_FAILED ? BUCKET_FAILED : 0);
		next |= (uint64_t)number << BUCKET_TAG_SHIFT;
	} while (!atomic_compare_exchange_weak_explicit(
		bucket, &old, next, memory_order_acq_rel, memory_order_relaxed));
	sum_buckets(breaker, number, sums);
	return true;
}

static uint32_t minimum_of(const struct breaker_options *options)
{
	if (options->window_ms || options->minimum <= options->window)
		return options->minimum ? options->minimum : 1;
	return options->window;
}

/* Counts a call; true when what is known now opens the breaker. */
static bool count(struct breaker *breaker, uint32_t generation, uint32_t flags, int64_t now_ms)
{
	struct sums sums;
	bool known = breaker->buckets
			     ? add_to_buckets(breaker, generation, flags, now_ms, &sums)
			     : add_to_ring(breaker, generation, flags, &sums);

	return known && sums.calls >= minimum_of(&breaker->options) &&
	       exceeds(&breaker->options, &sums);
}

/* --- calls --- */

void breaker_count_refusal(struct breaker *breaker)
{
	atomic_fetch_add_explicit(&breaker->refused, 1, memory_order_relaxed);
}

static bool refuse(struct breaker *breaker)
{
	breaker_count_refusal(breaker);
	return false;
}

static void grant(struct breaker_permit *permit, uint32_t generation)
{
	permit->generation = generation & GENERATION_MASK;
	permit->held = true;
}

static int64_t open_left_ms(const struct breaker *breaker, uint64_t word, int64_t now_ms)
{
	uint64_t until = word & PAYLOAD_MASK, now = since_base(breaker, now_ms);

	return until > now ? (int64_t)(until - now) : 0;
}

static bool probes_are_late(const struct breaker *breaker, uint64_t word, int64_t now_ms)
{
	int64_t since_ms;

	if (!breaker->options.half_open_max_ms)
		return false;
	since_ms = changed_ms(breaker, generation_of(word));
	return since_ms >= 0 && now_ms - since_ms >= (int64_t)breaker->options.half_open_max_ms;
}

/* One look at a state that does not let everything through. True when *allowed is the answer. */
static bool try_once(struct breaker *breaker, uint64_t *word, int64_t now_ms,
		     struct breaker_permit *permit, int64_t *retry_after_ms, bool *allowed)
{
	uint32_t generation = generation_of(*word);

	*allowed = false;
	if (state_of(*word) == BREAKER_FORCED_OPEN)
		return true;
	if (state_of(*word) == BREAKER_OPEN) {
		*retry_after_ms = open_left_ms(breaker, *word, now_ms);
		if (*retry_after_ms > 0)
			return true;
		if (!swap(breaker, word,
			  word_of(generation + 1, BREAKER_HALF_OPEN, PROBE_ISSUED)))
			return false;
		note_change(breaker, generation + 1, now_ms);
		grant(permit, generation + 1);
		return *allowed = true;
	}
	if ((*word >> (3 * PROBE_BITS) & PROBE_MASK) < breaker->options.probes) {
		if (!swap(breaker, word, *word + PROBE_ISSUED))
			return false;
		grant(permit, generation);
		return *allowed = true;
	}
	if (!probes_are_late(breaker, *word, now_ms))
		return true;
	(void)open_again(breaker, word, now_ms);
	return false;
}

bool breaker_acquire(struct breaker *breaker, int64_t now_ms, struct breaker_permit *permit,
		     int64_t *retry_after_ms)
{
	uint64_t word = atomic_load_explicit(&breaker->word, memory_order_acquire);
	bool allowed;

	*retry_after_ms = 0;
	for (;;) {
		switch (state_of(word)) {
		case BREAKER_CLOSED:
		case BREAKER_FORCED_CLOSED: grant(permit, generation_of(word)); return true;
		case BREAKER_DISABLED: return true;
		case BREAKER_OPEN:
		case BREAKER_HALF_OPEN:
		case BREAKER_FORCED_OPEN: break;
		}
		if (try_once(breaker, &word, now_ms, permit, retry_after_ms, &allowed))
			return allowed || refuse(breaker);
	}
}

bool breaker_would_allow(const struct breaker *breaker, int64_t now_ms)
{
	uint64_t word = atomic_load_explicit(&breaker->word, memory_order_acquire);

	switch (state_of(word)) {
	case BREAKER_OPEN: return open_left_ms(breaker, word, now_ms) == 0;
	case BREAKER_HALF_OPEN:
		return (word >> (3 * PROBE_BITS) & PROBE_MASK) < breaker->options.probes ||
		       probes_are_late(breaker, word, now_ms);
	case BREAKER_FORCED_OPEN: return false;
	case BREAKER_CLOSED:
	case BREAKER_FORCED_CLOSED:
	case BREAKER_DISABLED: break;
	}
	return true;
}

/* The last probe decides. */
static void record_probe(struct breaker *breaker, uint64_t word, uint32_t generation,
			 uint64_t delta, int64_t now_ms)
{
	while (generation_of(word) == generation && state_of(word) == BREAKER_HALF_OPEN) {
		uint64_t next = word + delta;
		struct sums sums = {.calls = next >> (2 * PROBE_BITS) & PROBE_MASK,
				    .slow = next >> PROBE_BITS & PROBE_MASK,
				    .failed = next & PROBE_MASK};

		if (sums.calls < breaker->options.probes) {
			if (swap(breaker, &word, next))
				return;
		} else if (exceeds(&breaker->options, &sums)) {
			if (open_again(breaker, &word, now_ms))
				return;
		} else if (close_it(breaker, &word, now_ms)) {
			return;
		}
	}
}

void breaker_record(struct breaker *breaker, struct breaker_permit *permit, int64_t now_ms,
		    int64_t duration_ms, bool failed)
{
	uint64_t word = atomic_load_explicit(&breaker->word, memory_order_acquire);
	uint64_t slow_ms = breaker->options.slow_ms;
	bool slow = slow_ms && duration_ms > (int64_t)slow_ms;
	uint32_t flags = (failed ? SLOT_FAILED : 0) | (slow ? SLOT_SLOW : 0);
	uint32_t generation = permit->generation;
	bool held = permit->held;

	permit->held = false;
	if (!held || generation_of(word) != generation)
		return;
	switch (state_of(word)) {
	case BREAKER_CLOSED:
		if (count(breaker, generation, flags, now_ms))
			(void)open_it(breaker, &word, 0, now_ms);
		break;
	case BREAKER_FORCED_CLOSED: (void)count(breaker, generation, flags, now_ms); break;
	case BREAKER_HALF_OPEN:
		record_probe(breaker, word, generation,
			     PROBE_DONE + (slow ? PROBE_SLOW : 0) + (failed ? PROBE_FAILED : 0),
			     now_ms);
		break;
	case BREAKER_OPEN:
	case BREAKER_FORCED_OPEN:
	case BREAKER_DISABLED: break;
	}
}

void breaker_release(struct breaker *breaker, struct breaker_permit *permit)
{
	uint64_t word = atomic_load_explicit(&breaker->word, memory_order_acquire);

	while (permit->held && generation_of(word) == permit->generation &&
	       state_of(word) == BREAKER_HALF_OPEN)
		if (swap(breaker, &word, word - PROBE_ISSUED))
			break;
	permit->held = false;
}

/* --- from outside --- */

void breaker_force(struct breaker *breaker, enum breaker_state state, int64_t now_ms)
{
	uint64_t word = atomic_load_explicit(&breaker->word, memory_order_acquire);
	uint32_t generation;

	do {
		if (state == BREAKER_OPEN && open_it(breaker, &word, 0, now_ms))
			return;
		if (state == BREAKER_CLOSED && close_it(breaker, &word, now_ms))
			return;
		generation = generation_of(word) + 1;
	} while (state == BREAKER_OPEN || state == BREAKER_CLOSED ||
		 !swap(breaker, &word, word_of(generation, state, 0)));
	note_change(breaker, generation, now_ms);
}

static void read_window(const struct breaker *breaker, uint32_t generation, int64_t now_ms,
			struct sums *sums)
{
	uint64_t sum = atomic_load_explicit(&breaker->sum, memory_order_acquire);
	uint32_t tag = generation & (((uint32_t)1 << SUM_TAG_BITS) - 1);

	if (breaker->buckets)
		sum_buckets(breaker, bucket_number(breaker, generation, now_ms), sums);
	else if ((uint32_t)(sum >> SUM_TAG_SHIFT) != tag || !split_sum(breaker, sum, sums))
		*sums = (struct sums){0};
}

void breaker_read(const struct breaker *breaker, int64_t now_ms,
		  struct breaker_figures *figures)
{
	uint64_t word = atomic_load_explicit(&breaker->word, memory_order_acquire);
	struct sums sums = {0};

	*figures = (struct breaker_figures){
		.state = state_of(word),
		.since_ms = changed_ms(breaker, generation_of(word)),
		.refused = atomic_load_explicit(&breaker->refused, memory_order_relaxed),
		.opened = atomic_load_explicit(&breaker->opened, memory_order_relaxed)};
	if (figures->since_ms < 0)
		figures->since_ms = breaker->base_ms;
	switch (figures->state) {
	case BREAKER_CLOSED:
	case BREAKER_FORCED_CLOSED:
		read_window(breaker, generation_of(word), now_ms, &sums);
		break;
	case BREAKER_HALF_OPEN:
		figures->probes_issued = (uint32_t)(word >> (3 * PROBE_BITS) & PROBE_MASK);
		sums = (struct sums){.calls = word >> (2 * PROBE_BITS) & PROBE_MASK,
				     .slow = word >> PROBE_BITS & PROBE_MASK,
				     .failed = word & PROBE_MASK};
		break;
	case BREAKER_OPEN: figures->open_for_ms = open_left_ms(breaker, word, now_ms); break;
	case BREAKER_FORCED_OPEN:
	case BREAKER_DISABLED: break;
	}
	figures->calls = (uint32_t)sums.calls;
	figures->failed = (uint32_t)sums.failed;
	figures->slow = (uint32_t)sums.slow;
}

static const char *const state_names[] = {
	[BREAKER_CLOSED] = "closed",
	[BREAKER_OPEN] = "open",
	[BREAKER_HALF_OPEN] = "half_open",
	[BREAKER_FORCED_OPEN] = "forced_open",
	[BREAKER_FORCED_CLOSED] = "forced_closed",
	[BREAKER_DISABLED] = "disabled",
};

const char *breaker_state_name(enum breaker_state state)
{
	return state_names[state];
}

bool breaker_state_from_name(const char *name, size_t len, enum breaker_state *state)
{
	for (unsigned i = 0; i < COUNT_OF(state_names); i++)
		if (strlen(state_names[i]) == len && memcmp(state_names[i], name, len) == 0) {
			*state = (enum breaker_state)i;
			return true;
		}
	return false;
}
