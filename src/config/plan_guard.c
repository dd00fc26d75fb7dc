#include "config/plan_parts.h"

#include "parse/units.h"

/* ---- services -------------------------------------------------------------------------------- */

static void part_breaker(struct plan_line *line, const struct config_breaker *breaker)
{
	plan_part(line, "breaker ");
	buf_printf(line->out, "at %u%% of ", breaker->failure_rate_percent);
	if (breaker->window_ms)
		units_append_duration(line->out, breaker->window_ms);
	else
		buf_printf(line->out, "%u", breaker->window);
	buf_append_cstr(line->out, " for ");
	units_append_duration(line->out, breaker->open_ms);
}

static void part_bulkhead(struct plan_line *line, const struct config_bulkhead *bulkhead)
{
	plan_part(line, "at once ");
	buf_printf(line->out, "%s%u", bulkhead->adaptive ? "up to " : "", bulkhead->concurrent);
	if (!bulkhead->queue)
		return;
	buf_printf(line->out, ", %u wait for ", bulkhead->queue);
	units_append_duration(line->out, bulkhead->wait_ms);
}

static void part_health(struct plan_line *line, const struct config_health *health)
{
	static const char *const types[] = {"http", "tcp", "grpc"};

	plan_part(line, "checked by ");
	buf_printf(line->out, "%s every ", types[health->type]);
	units_append_duration(line->out, health->interval_ms);
}

static void part_fallback(struct plan_line *line, const struct config_fallback *fallback)
{
	plan_part(line, "fallback: ");
	if (fallback->stale_ms) {
		buf_append_cstr(line->out, "last answers for ");
		units_append_duration(line->out, fallback->stale_ms);
	}
	if (fallback->service)
		buf_printf(line->out, "%s%.*s", fallback->stale_ms ? ", " : "",
			   SPAN_ARG(fallback->service_name));
	if (fallback->degraded)
		buf_printf(line->out, "%s%.*s with fewer privileges",
			   fallback->stale_ms ? ", " : "",
			   SPAN_ARG(fallback->degraded->service_name));
	if (fallback->has_answer)
		buf_printf(line->out, "%sanswers %u",
			   fallback->stale_ms || fallback->service || fallback->degraded ? ", "
											 : "",
			   fallback->answer.status);
}

void plan_guards(const struct config_service *service, struct buf *out)
{
	struct plan_line line = {.out = out, .indent = "    "};

	if (service->breaker)
		part_breaker(&line, service->breaker);
	if (service->bulkhead)
		part_bulkhead(&line, service->bulkhead);
	if (service->health)
		part_health(&line, service->health);
	if (service->outlier)
		plan_part(&line, "outliers are ejected");
	if (service->fallback)
		part_fallback(&line, service->fallback);
	plan_end(&line);
}

/* ---- sensitive operations -------------------------------------------------------------------- */

static void text_login(const struct config_sensitive *s, struct buf *out)
{
	buf_append_cstr(out, "a login");
	for (size_t i = 0; i < s->acr.count; i++)
		buf_printf(out, "%s%.*s", i == 0 ? " by " : " or ", SPAN_ARG(s->acr.at[i]));
	if (s->max_age_ms) {
		buf_append_cstr(out, " of the last ");
		units_append_duration(out, s->max_age_ms);
	}
}

static void text_approvals(const struct config_sensitive *s, struct buf *out)
{
	buf_printf(out, "%u by %.*s within ", s->approvals, SPAN_ARG(s->by));
	units_append_duration(out, s->expires_ms);
	if (s->hold_ms) {
		buf_append_cstr(out, ", held for ");
		units_append_duration(out, s->hold_ms);
	}
}

void plan_sensitive(const struct config *cfg, struct buf *out)
{
	for (size_t i = 0; i < cfg->sensitive.count; i++) {
		const struct config_sensitive *s = &cfg->sensitive.at[i];

		buf_printf(out, "%s  %.*s: ",
			   i == 0 ? "operations that need approval or a better login\n" : "",
			   SPAN_ARG(s->operation));
		if (s->acr.count || s->max_age_ms)
			text_login(s, out);
		if ((s->acr.count || s->max_age_ms) && s->by.len)
			buf_append_cstr(out, "; ");
		if (s->by.len)
			text_approvals(s, out);
		buf_append_byte(out, '\n');
	}
}

/* ---- procedures ------------------------------------------------------------------------------ */

static void text_condition(const struct config_procedure_condition *c, struct buf *out)
{
	if (c->breaker == CONFIG_PROCEDURE_BREAKER_OPEN) {
		buf_append_cstr(out, "breaker open");
	} else if (c->healthy_percent) {
		buf_printf(out, "less than %u%% healthy", c->healthy_percent);
	} else if (c->latency_ms) {
		buf_printf(out, "latency of %u%% at ", c->percentile);
		units_append_duration(out, c->latency_ms);
	} else {
		buf_printf(out, "errors at %u%%", c->error_percent);
	}
	buf_append_cstr(out, " for ");
	units_append_duration(out, c->for_ms);
}

static void text_step(const struct config_procedure_step *s, struct buf *out)
{
	if (s->notify.len)
		buf_printf(out, "notify %.*s", SPAN_ARG(s->notify));
	else if (s->page.len)
		buf_printf(out, "page %.*s", SPAN_ARG(s->page));
	else if (s->mail.count)
		buf_printf(out, "mail %zu", s->mail.count);
	else if (s->shift_name.len)
		buf_printf(out, "shift %u%% to %.*s", s->share_percent,
			   SPAN_ARG(s->shift_name));
	else if (s->shed != CONFIG_SHED_NONE)
		buf_printf(out, "shed %s",
			   s->shed == CONFIG_SHED_LOW ? "low" : "normal and low");
	else if (s->fallback)
		buf_printf(out, "fallback for %u%%", s->share_percent);
	else if (s->run.count)
		buf_printf(out, "run %.*s", SPAN_ARG(s->run.at[0]));
	if (s->after_ms) {
		buf_append_cstr(out, " after ");
		units_append_duration(out, s->after_ms);
	}
}

static void text_recovery(const struct config_procedure_recovery *r, struct buf *out)
{
	buf_append_cstr(out, "    back: well for ");
	units_append_duration(out, r->after_ms);
	buf_printf(out, ", %u%% of the requests for ", r->canary_percent);
	units_append_duration(out, r->hold_ms);
	buf_append_cstr(out, ", all within ");
	units_append_duration(out, r->ramp_ms);
	buf_append_byte(out, '\n');
}

void plan_procedures(const struct config *cfg, struct buf *out)
{
	for (size_t i = 0; i < cfg->procedures.count; i++) {
		const struct config_procedure *p = &cfg->procedures.at[i];

		buf_printf(out, "%s  %.*s: %.*s\n    when: ", i == 0 ? "procedures\n" : "",
			   SPAN_ARG(p->name), SPAN_ARG(p->service_name));
		for (size_t k = 0; k < p->when.count; k++) {
			buf_append_cstr(out, k > 0 ? "; or " : "");
			text_condition(&p->when.at[k], out);
		}
		buf_append_cstr(out, "\n    then: ");
		for (size_t k = 0; k < p->steps.count; k++) {
			buf_append_cstr(out, k > 0 ? "; " : "");
			text_step(&p->steps.at[k], out);
		}
		buf_append_byte(out, '\n');
		text_recovery(&p->recovery, out);
	}
}
