/* plan_guard.h - the lines of the plan that are about staying up, approvals and logins. For
   plan.c. */
#ifndef CONFIG_PLAN_GUARD_H
#define CONFIG_PLAN_GUARD_H

#include "config/config.h"

/* What guards a service: a line, if there is anything. */
void plan_guards(const struct config_service *service, struct buf *out);
/* Who can log in at the built-in server, if there is one (plan_login.c). */
void plan_logins(const struct config *cfg, struct buf *out);
/* Operations that wait for people, or ask for a better login. */
void plan_sensitive(const struct config *cfg, struct buf *out);
/* What is done about services that are not well. */
void plan_procedures(const struct config *cfg, struct buf *out);

#endif
