#include "guard/tally.h"

#include <string.h>

#define WITHHELD_MASK 0xffu
#define FALLBACK_BIT (UINT64_C(1) << 8)
#define SHED_SHIFT 9
#define SHED_MASK 0x3u
#define TARGET_SHIFT 32

/* 0; 1; 2, 3; 4-5, 6-7; 8-11, 12-15; ... */
static unsigned bucket_of(int64_t ms)
{
	unsigned octave;

	if (ms < 1)
		return 0;
	if (ms > 65535)
		return TALLY_BUCKETS - 1;
	octave = 31u - (unsigned)__builtin_clz((unsigned)ms);
	if (octave == 0)
		return 1;
	return 2 * octave + (unsigned)((ms >> (octave - 1)) & 1);
}

/* The least that falls into it. */
static int64_t bucket_floor_ms(unsigned bucket)
{
	unsigned octave = bucket / 2;

	if (bucket < 2)
		return bucket;
	return ((int64_t)1 << octave) + (bucket % 2 ? (int64_t)1 << (octave - 1) : 0);
}

void tally_count(struct tally *tally, int64_t duration_ms, bool failed)
{
	atomic_fetch_add_explicit(&tally->buckets[bucket_of(duration_ms)], 1,
				  memory_order_relaxed);
	if (failed)
		atomic_fetch_add_explicit(&tally->failed, 1, memory_order_relaxed);
}

void tally_set(struct tally *tally, struct tally_control control)
{
	uint64_t word = control.withheld_percent & WITHHELD_MASK;

	if (control.fallback)
		word |= FALLBACK_BIT;
	word |= (uint64_t)(control.shed & SHED_MASK) << SHED_SHIFT;
	word |= (uint64_t)control.shift << TARGET_SHIFT;
	atomic_store_explicit(&tally->control, word, memory_order_relaxed);
}

struct tally_control tally_get(const struct tally *tally)
{
	uint64_t word = atomic_load_explicit(&tally->control, memory_order_relaxed);

	return (struct tally_control){
		.withheld_percent = (uint32_t)(word & WITHHELD_MASK),
		.fallback = word & FALLBACK_BIT,
		.shed = (unsigned)(word >> SHED_SHIFT) & SHED_MASK,
		.shift = (uint32_t)(word >> TARGET_SHIFT),
	};
}

void tally_window_reset(struct tally_window *window, const struct tally *tally)
{
	memset(window, 0, sizeof(*window));
	window->seen_failed = atomic_load_explicit(&tally->failed, memory_order_relaxed);
	for (unsigned i = 0; i < TALLY_BUCKETS; i++)
		window->seen[i] =
			atomic_load_explicit(&tally->buckets[i], memory_order_relaxed);
}

static uint32_t since(uint64_t *seen, const _Atomic uint64_t *counter)
{
	uint64_t now = atomic_load_explicit(counter, memory_order_relaxed);
	uint64_t more = now - *seen;

	*seen = now;
	return more > UINT32_MAX ? UINT32_MAX : (uint32_t)more;
}

void tally_window_look(struct tally_window *window, const struct tally *tally)
{
	struct tally_counts *look = &window->looks[window->next];

	window->next = (window->next + 1) % TALLY_WINDOW_MAX;
	look->failed = since(&window->seen_failed, &tally->failed);
	for (unsigned i = 0; i < TALLY_BUCKETS; i++)
		look->buckets[i] = since(&window->seen[i], &tally->buckets[i]);
}

struct tally_figures tally_window_read(const struct tally_window *window, unsigned looks)
{
	struct tally_figures figures = {.calls = 0};

	for (unsigned i = 1; i <= looks && i <= TALLY_WINDOW_MAX; i++) {
		const struct tally_counts *look =
			&window->looks[(window->next + TALLY_WINDOW_MAX - i) %
				       TALLY_WINDOW_MAX];

		figures.failed += look->failed;
		for (unsigned b = 0; b < TALLY_BUCKETS; b++) {
			figures.buckets[b] += look->buckets[b];
			figures.calls += look->buckets[b];
		}
	}
	return figures;
}

int64_t tally_percentile_ms(const struct tally_figures *figures, uint32_t percentile)
{
	/* Of those that are at least as slow as the percentile, the quickest. */
	uint64_t rank = (figures->calls * percentile + 99) / 100, below = 0;

	for (unsigned b = 0; b < TALLY_BUCKETS && figures->calls; b++) {
		below += figures->buckets[b];
		if (below >= rank)
			return bucket_floor_ms(b);
	}
	return 0;
}
