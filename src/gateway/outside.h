/*
 * outside.h - what rules of the firewall ask of the world outside, for one worker: block lists by DNS
 * (@rbl) and programs (@inspectFile, exec). Private to src/gateway.
 */
#ifndef GATEWAY_OUTSIDE_H
#define GATEWAY_OUTSIDE_H

#include "gateway/worker.h"

struct waf_hooks;

/*
 * In the worker's thread, once it needs the firewall. With other settings in `config` it is another
 * process (outside_same).
 */
struct outside *outside_new(struct worker *worker, const struct config_waf *config,
			    struct err *err) MUST_CHECK;
void outside_hooks(struct outside *outside, struct waf_hooks *hooks);
/* No transaction may be under way. NULL is allowed. */
void outside_free(struct outside *outside);
/* Whether a process of `a` does the same for `b`. */
bool outside_same(const struct config *a, const struct config *b);

#endif
