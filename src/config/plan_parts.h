/* plan_parts.h - the sections of the plan, for plan.c. */
#ifndef CONFIG_PLAN_PARTS_H
#define CONFIG_PLAN_PARTS_H

#include "config/config.h"

/* A line of what need not be there: begun with its first part. */
struct plan_line {
	struct buf *out;
	const char *indent;
	bool begun;
};

/* Begins the line, or a further part of it. */
void plan_part(struct plan_line *line, const char *word);
/* Behind a word. */
void plan_duration(struct buf *out, const char *word, uint64_t ms);
void plan_size(struct buf *out, const char *word, uint64_t bytes);
void plan_end(struct plan_line *line);
void plan_join(struct buf *out, const struct config_strings *texts, const char *between);
/* "observe". */
const char *plan_waf_mode(enum config_waf_mode mode);

/* Threads, user, logs, storage, overload (plan_process.c). */
void plan_process(const struct config *cfg, struct buf *out);
/* What clients may ask of us, and who they are taken for. */
void plan_clients(const struct config *cfg, struct buf *out);
/* Who is whom by tokens, keys and certificates (plan_login.c). */
void plan_identity(const struct config *cfg, struct buf *out);
/* Who can log in at the built-in server, if there is one. */
void plan_logins(const struct config *cfg, struct buf *out);
/* Where services are, and how they are spoken to (plan_service.c). */
void plan_service(const struct config_service *service, struct buf *out);
/* What guards a service (plan_guard.c): a line, if there is anything. */
void plan_guards(const struct config_service *service, struct buf *out);
/* Operations that wait for people, or ask for a better login. */
void plan_sensitive(const struct config *cfg, struct buf *out);
/* What is done about services that are not well. */
void plan_procedures(const struct config *cfg, struct buf *out);
/* The firewall's rules, and virtual patches (plan_waf.c). */
void plan_waf(const struct config *cfg, struct buf *out);
/* Who is banned. */
void plan_ips(const struct config *cfg, struct buf *out);
/* Who is told. */
void plan_notices(const struct config *cfg, struct buf *out);
void plan_registry(const struct config *cfg, struct buf *out);

#endif
