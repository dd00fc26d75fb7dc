#include "guard/procedure.h"

/* Recovery takes at most so many times its time. */
#define RELAPSE_FACTOR_MAX 8

const char *procedure_state_name(enum procedure_state state)
{
	switch (state) {
	case PROCEDURE_WATCHING: return "watching";
	case PROCEDURE_ACTIVE: return "active";
	case PROCEDURE_CANARY: return "canary";
	case PROCEDURE_RAMP: return "ramp";
	}
	return "unknown";
}

const char *procedure_event_name(enum procedure_event event)
{
	switch (event) {
	case PROCEDURE_NOTHING: return "nothing";
	case PROCEDURE_BEGAN: return "began";
	case PROCEDURE_CANARY_BEGAN: return "canary";
	case PROCEDURE_RAMP_BEGAN: return "ramp";
	case PROCEDURE_RELAPSED: return "relapsed";
	case PROCEDURE_RECOVERED: return "recovered";
	}
	return "unknown";
}

const char *procedure_step_name(const struct config_procedure_step *step)
{
	if (step->notify.len)
		return "notify";
	if (step->mail.count)
		return "mail";
	if (step->page.len)
		return "page";
	if (step->shift)
		return "shift";
	if (step->shed != CONFIG_SHED_NONE)
		return "shed";
	return step->fallback ? "fallback" : "run";
}

void procedure_init(struct procedure *p, const struct config_procedure *config, int64_t now_ms)
{
	*p = (struct procedure){.config = config, .since_ms = now_ms};
}

bool procedure_holds(const struct procedure *p, const struct config_procedure_condition *c,
		     const struct procedure_sample *sample, const struct tally_window *window)
{
	struct tally_figures figures;

	if (c->breaker == CONFIG_PROCEDURE_BREAKER_OPEN)
		return p->state == PROCEDURE_WATCHING ? !sample->breaker_closed
						      : sample->breaker_refuses;
	if (c->healthy_percent)
		return sample->healthy_percent < c->healthy_percent;
	figures = tally_window_read(window, (unsigned)(c->window_ms / 1000));
	if (figures.calls < c->minimum)
		return false;
	if (c->latency_ms)
		return tally_percentile_ms(&figures, c->percentile) >= (int64_t)c->latency_ms;
	return figures.failed * 100 >= figures.calls * c->error_percent;
}

static void enter(struct procedure *p, enum procedure_state state, int64_t now_ms)
{
	p->state = state;
	p->since_ms = now_ms;
	p->clear = false;
}

/* Since when each condition has held. */
static void note_holding(struct procedure *p, uint32_t holds, int64_t now_ms)
{
	for (unsigned i = 0; i < p->config->when.count; i++)
		if (holds & ~p->holding & (1u << i))
			p->held_since_ms[i] = now_ms;
	p->holding = holds;
	if (holds) {
		p->clear = false;
	} else if (!p->clear) {
		p->clear = true;
		p->clear_since_ms = now_ms;
	}
}

static bool is_due(const struct procedure *p, unsigned *cause, int64_t now_ms)
{
	for (unsigned i = 0; i < p->config->when.count; i++) {
		const struct config_procedure_condition *c = &p->config->when.at[i];

		if (!(p->holding & (1u << i)) ||
		    now_ms - p->held_since_ms[i] < (int64_t)c->for_ms)
			continue;
		*cause = i;
		return true;
	}
	return false;
}

static int64_t recovery_wait_ms(const struct procedure *p)
{
	unsigned factor = p->relapses < 3 ? 1u << p->relapses : RELAPSE_FACTOR_MAX;

	return (int64_t)p->config->recovery.after_ms * factor;
}

static enum procedure_event step_state(struct procedure *p, int64_t now_ms)
{
	const struct config_procedure_recovery *recovery = &p->config->recovery;

	switch (p->state) {
	case PROCEDURE_WATCHING:
		if (!is_due(p, &p->cause, now_ms))
			break;
		enter(p, PROCEDURE_ACTIVE, now_ms);
		p->begun_ms = now_ms;
		p->started = 0;
		p->relapses = 0;
		return PROCEDURE_BEGAN;
	case PROCEDURE_ACTIVE:
		if (!p->clear || now_ms - p->clear_since_ms < recovery_wait_ms(p))
			break;
		enter(p, PROCEDURE_CANARY, now_ms);
		return PROCEDURE_CANARY_BEGAN;
	case PROCEDURE_CANARY:
	case PROCEDURE_RAMP:
		if (p->holding) {
			enter(p, PROCEDURE_ACTIVE, now_ms);
			p->relapses++;
			return PROCEDURE_RELAPSED;
		}
		if (p->state == PROCEDURE_CANARY &&
		    now_ms - p->since_ms >= (int64_t)recovery->hold_ms) {
			enter(p, PROCEDURE_RAMP, now_ms);
			return PROCEDURE_RAMP_BEGAN;
		}
		if (p->state == PROCEDURE_RAMP &&
		    now_ms - p->since_ms >= (int64_t)recovery->ramp_ms) {
			enter(p, PROCEDURE_WATCHING, now_ms);
			return PROCEDURE_RECOVERED;
		}
		break;
	}
	return PROCEDURE_NOTHING;
}

/* Steps begin while it is not well; on the way back none does. */
static uint32_t due_steps(struct procedure *p, int64_t now_ms)
{
	uint32_t due = 0;

	if (p->state != PROCEDURE_ACTIVE)
		return 0;
	for (unsigned i = 0; i < p->config->steps.count; i++)
		if (now_ms - p->begun_ms >= (int64_t)p->config->steps.at[i].after_ms)
			due |= 1u << i;
	due &= ~p->started;
	p->started |= due;
	return due;
}

struct procedure_change procedure_look(struct procedure *p, uint32_t holds, int64_t now_ms)
{
	struct procedure_change change;

	note_holding(p, holds, now_ms);
	change.event = step_state(p, now_ms);
	change.steps = due_steps(p, now_ms);
	return change;
}

/* Of the share that the steps withhold, what the recovery still does. */
static uint32_t still_withheld(const struct procedure *p, uint32_t percent, int64_t now_ms)
{
	const struct config_procedure_recovery *recovery = &p->config->recovery;
	uint32_t canary = recovery->canary_percent, left;

	switch (p->state) {
	case PROCEDURE_WATCHING: return 0;
	case PROCEDURE_ACTIVE: return percent;
	case PROCEDURE_CANARY: left = 100 - canary; return left < percent ? left : percent;
	case PROCEDURE_RAMP: break;
	}
	left = 100 - canary;
	if (now_ms - p->since_ms >= (int64_t)recovery->ramp_ms)
		return 0;
	left -= (uint32_t)(left * (uint64_t)(now_ms - p->since_ms) / recovery->ramp_ms);
	return left < percent ? left : percent;
}

struct tally_control procedure_control(const struct procedure *p, int64_t now_ms)
{
	struct tally_control control = {.shed = CONFIG_SHED_NONE};

	for (unsigned i = 0; p->state != PROCEDURE_WATCHING && i < p->config->steps.count;
	     i++) {
		const struct config_procedure_step *step = &p->config->steps.at[i];
		uint32_t withheld;

		if (!(p->started & (1u << i)))
			continue;
		if (step->shed > control.shed)
			control.shed = step->shed;
		if (!step->shift && !step->fallback)
			continue;
		withheld = still_withheld(p, step->share_percent, now_ms);
		if (withheld < control.withheld_percent || withheld == 0)
			continue;
		control.withheld_percent = withheld;
		control.fallback = step->fallback;
		control.shift = step->shift ? step->shift->index + 1 : 0;
	}
	return control;
}

struct tally_control procedure_control_both(struct tally_control a, struct tally_control b)
{
	struct tally_control both = a.withheld_percent >= b.withheld_percent ? a : b;

	both.shed = a.shed > b.shed ? a.shed : b.shed;
	return both;
}
