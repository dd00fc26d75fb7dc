#include "io/loop_internal.h"

static unsigned level_shift(unsigned level)
{
	return level == 0 ? 0 : WHEEL_FIRST_BITS + (level - 1) * WHEEL_BITS;
}

static unsigned level_slots(unsigned level)
{
	return level == 0 ? 1u << WHEEL_FIRST_BITS : 1u << WHEEL_BITS;
}

void wheel_init(struct timer_wheel *wheel, int64_t now_ms)
{
	wheel->now_ms = now_ms;
	wheel->count = 0;
	for (unsigned level = 0; level < WHEEL_LEVELS; level++) {
		for (unsigned i = 0; i < WHEEL_SLOTS / 64; i++)
			wheel->occupied[level][i] = 0;
		for (unsigned i = 0; i < WHEEL_SLOTS; i++)
			list_init(&wheel->slots[level][i]);
	}
}

/* The lowest level whose span reaches the expiry. */
static unsigned level_for(int64_t distance_ms)
{
	unsigned level = 0;

	while (level < WHEEL_LEVELS - 1 && distance_ms >= (int64_t)level_slots(level)
								  << level_shift(level))
		level++;
	return level;
}

HOT static void insert(struct timer_wheel *wheel, struct timer *timer, int64_t due_ms)
{
	int64_t farthest = wheel->now_ms + ((int64_t)(level_slots(WHEEL_LEVELS - 1) - 1)
					    << level_shift(WHEEL_LEVELS - 1));
	int64_t due = due_ms < farthest ? due_ms : farthest;
	unsigned level = level_for(due - wheel->now_ms);
	unsigned slot = (unsigned)(due >> level_shift(level)) & (level_slots(level) - 1);

	timer->level = level;
	timer->slot = slot;
	timer->slot_ms = due;
	timer->armed = true;
	list_push_back(&wheel->slots[level][slot], &timer->node);
	wheel->occupied[level][slot / 64] |= (uint64_t)1 << slot % 64;
	wheel->count++;
}

HOT void wheel_add(struct timer_wheel *wheel, struct timer *timer, int64_t at_ms)
{
	timer->at_ms = at_ms;
	insert(wheel, timer, at_ms > wheel->now_ms ? at_ms : wheel->now_ms + 1);
}

void wheel_remove(struct timer_wheel *wheel, struct timer *timer)
{
	struct list *slot = &wheel->slots[timer->level][timer->slot];

	list_remove(&timer->node);
	timer->armed = false;
	wheel->count--;
	if (list_empty(slot))
		wheel->occupied[timer->level][timer->slot / 64] &=
			~((uint64_t)1 << timer->slot % 64);
}

/*
 * Puts the timers of a slot where they now belong; those due in this tick go to the slot of level
 * 0 that it fires next. None fires here: a callback may clear or move any timer, so all of them
 * must be in the wheel whenever one runs.
 */
static void cascade(struct timer_wheel *wheel, unsigned level, unsigned slot)
{
	struct list *head = &wheel->slots[level][slot];
	struct timer *last;

	if (list_empty(head))
		return;
	/* A timer beyond the wheel's reach may come back to the same slot, behind the last. */
	last = list_entry(head->prev, struct timer, node);
	for (;;) {
		struct timer *timer = list_entry(head->next, struct timer, node);
		bool is_last = timer == last;

		wheel_remove(wheel, timer);
		if (timer->at_ms != INT64_MAX)
			insert(wheel, timer,
			       timer->at_ms > wheel->now_ms ? timer->at_ms : wheel->now_ms);
		if (is_last)
			return;
	}
}

HOT static void tick(struct timer_wheel *wheel)
{
	int64_t now = ++wheel->now_ms;
	struct list *due = &wheel->slots[0][(unsigned)now & (level_slots(0) - 1)];

	for (unsigned level = WHEEL_LEVELS - 1; level > 0; level--)
		if ((now & (((int64_t)1 << level_shift(level)) - 1)) == 0)
			cascade(wheel, level,
				(unsigned)(now >> level_shift(level)) &
					(level_slots(level) - 1));
	/* What a callback arms is due in a later tick, so it lands in another slot. */
	while (!list_empty(due)) {
		struct timer *timer = list_entry(due->next, struct timer, node);

		wheel_remove(wheel, timer);
		if (timer->at_ms <= now)
			timer->fire(timer);
		else if (timer->at_ms != INT64_MAX)
			insert(wheel, timer, timer->at_ms);
	}
}

/* Ticks until the next occupied slot of a level, or the level's whole length. */
static int64_t ticks_to_occupied(const struct timer_wheel *wheel, unsigned level)
{
	unsigned slots = level_slots(level);
	unsigned now = (unsigned)(wheel->now_ms >> level_shift(level));

	for (unsigned i = 1; i <= slots;) {
		unsigned slot = (now + i) & (slots - 1);
		uint64_t word = wheel->occupied[level][slot / 64] >> slot % 64;

		if (word)
			return i + (unsigned)__builtin_ctzll(word);
		i += 64 - slot % 64;
	}
	return slots;
}

HOT int64_t wheel_next_ms(const struct timer_wheel *wheel)
{
	int64_t next = INT64_MAX;

	if (wheel->count == 0)
		return next;
	for (unsigned level = 0; level < WHEEL_LEVELS; level++) {
		unsigned shift = level_shift(level);
		int64_t at = ((wheel->now_ms >> shift) + ticks_to_occupied(wheel, level))
			     << shift;

		if (at < next)
			next = at;
	}
	return next;
}

HOT void wheel_advance(struct timer_wheel *wheel, int64_t now_ms)
{
	while (wheel->now_ms < now_ms) {
		int64_t next = wheel_next_ms(wheel);

		if (next > now_ms) {
			wheel->now_ms = now_ms;
			return;
		}
		if (next > wheel->now_ms + 1)
			wheel->now_ms = next - 1;
		tick(wheel);
	}
}

HOT void wheel_set(struct timer_wheel *wheel, struct timer *timer, int64_t at_ms)
{
	if (timer->armed && at_ms >= timer->slot_ms) {
		timer->at_ms = at_ms;
		return;
	}
	if (timer->armed)
		wheel_remove(wheel, timer);
	wheel_add(wheel, timer, at_ms);
}

HOT void timer_place(struct timer *timer, int64_t at_ms)
{
	wheel_set(&loop_current()->wheel, timer, at_ms);
}

void timer_clear(struct timer *timer)
{
	if (timer->armed)
		wheel_remove(&loop_current()->wheel, timer);
}
