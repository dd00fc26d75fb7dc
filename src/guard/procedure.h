/*
 * procedure.h - what is done about a service that is not well, as a state machine: it looks once a
 * second at which conditions hold, begins when one has held for its time, starts steps when they
 * are due, and when none has held for a while lets the service have a small share of its requests
 * again (canary), then more and more (ramp), until everything is as before. A condition that holds
 * again on the way is a relapse: back to the beginning of the recovery, which takes twice as long.
 *
 * Nothing here waits, reads a clock or does anything: the caller looks, and does what it is told.
 */
#ifndef GUARD_PROCEDURE_H
#define GUARD_PROCEDURE_H

#include "config/config.h"
#include "guard/tally.h"

enum procedure_state {
	PROCEDURE_WATCHING,
	PROCEDURE_ACTIVE,
	PROCEDURE_CANARY,
	PROCEDURE_RAMP,
};

enum procedure_event {
	PROCEDURE_NOTHING,
	PROCEDURE_BEGAN,
	PROCEDURE_CANARY_BEGAN,
	PROCEDURE_RAMP_BEGAN,
	PROCEDURE_RELAPSED,
	PROCEDURE_RECOVERED,
};

struct procedure {
	const struct config_procedure *config;
	enum procedure_state state;
	int64_t since_ms; /* when the state began */
	int64_t begun_ms; /* when it left PROCEDURE_WATCHING */
	int64_t held_since_ms[CONFIG_PROCEDURE_CONDITIONS_MAX];
	int64_t clear_since_ms;
	uint32_t holding; /* bits of the conditions that held at the last look */
	bool clear;
	uint32_t started; /* bits of the steps that have been started since it began */
	uint32_t cause; /* of the conditions, the one that it began for */
	unsigned relapses; /* since it began */
};

struct procedure_change {
	enum procedure_event event;
	uint32_t steps; /* bits of those to start now */
};

/* What there is to see of the service, beside its calls. */
struct procedure_sample {
	bool breaker_closed; /* or there is none */
	bool breaker_refuses; /* open, and its wait is not over */
	uint32_t healthy_percent; /* of the endpoints */
};

void procedure_init(struct procedure *procedure, const struct config_procedure *config,
		    int64_t now_ms);
/*
 * Whether a condition holds in this state. `window` is looked at for those of calls. A breaker that
 * would let probes through is as good as closed once requests are kept from the service: nobody
 * else would try it.
 */
bool procedure_holds(const struct procedure *procedure,
		     const struct config_procedure_condition *condition,
		     const struct procedure_sample *sample, const struct tally_window *window);
/* A look: `holds` has a bit for each condition that holds now. */
struct procedure_change procedure_look(struct procedure *procedure, uint32_t holds,
				       int64_t now_ms);
/* What its steps and its recovery ask for now. */
struct tally_control procedure_control(const struct procedure *procedure, int64_t now_ms);
/* Of two procedures of one service: the stricter of each. */
struct tally_control procedure_control_both(struct tally_control a, struct tally_control b);

/* "watching", "active", "canary", "ramp". */
const char *procedure_state_name(enum procedure_state state);
/* "began", "canary", "ramp", "relapsed", "recovered". */
const char *procedure_event_name(enum procedure_event event);
/* "notify", "mail", "page", "shift", "shed", "fallback", "run". */
const char *procedure_step_name(const struct config_procedure_step *step);

#endif
