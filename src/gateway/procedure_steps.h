/*
 * procedure_steps.h - what the steps of procedures do (webhooks, mail, commands), each in a fiber of
 * its own, and the time line of all of it. Part of procedure_service.c.
 */
#ifndef GATEWAY_PROCEDURE_STEPS_H
#define GATEWAY_PROCEDURE_STEPS_H

#include "gateway/procedure_timeline.h"
#include "gateway/snapshot.h"
#include "guard/procedure.h"

struct step_run;

struct procedure_context {
	struct audit_log *audit_log; /* NULL: none */
	struct webhook_service *webhooks; /* NULL: none */
	struct command_runner *commands; /* NULL: none */
	struct offload *threads;
	struct step_run *running;
	struct timeline *timeline; /* borrowed */
};

/* To the log, the audit log and the time line. */
void procedure_note(struct procedure_context *context, const struct config_procedure *config,
		    const char *event, const char *detail);
/*
 * To webhooks that hear of procedures, and after a beginning to those that were told of it: how it
 * goes on.
 */
void procedure_tell_hooks(struct procedure_context *context, const struct procedure *procedure,
			  enum procedure_event event, const char *detail);
/* Does a step; never waits. What comes of it is noted. */
void procedure_start_step(struct procedure_context *context, struct snapshot *snapshot,
			  const struct config_procedure *config, unsigned step);
void procedure_cancel_steps(struct procedure_context *context);

#endif
