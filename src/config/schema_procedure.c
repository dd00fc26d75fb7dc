#include "config/schema_parts.h"
#include "parse/mail_address.h"

/* ---- conditions ------------------------------------------------------------------------------ */

static const struct schema_name breaker_names[] = {
	{"any", CONFIG_PROCEDURE_BREAKER_ANY},
	{"open", CONFIG_PROCEDURE_BREAKER_OPEN},
	{NULL, 0},
};

static const struct schema_key condition_keys[] = {
	{KEY("breaker", ENUM, config_procedure_condition, breaker), .initial = "any",
	 .names = breaker_names, .text = "open: the service's breaker is not closed; or"},
	{KEY("error_rate", PERCENT, config_procedure_condition, error_percent), .initial = "0%",
	 .text = "so many of the calls in 'window' failed; or"},
	{KEY("latency", DURATION, config_procedure_condition, latency_ms), .initial = "0",
	 .max = 60000, .text = "'percentile' of them took so long; or"},
	{KEY("healthy", PERCENT, config_procedure_condition, healthy_percent), .initial = "0%",
	 .text = "fewer of the endpoints are well."},
	{KEY("percentile", COUNT, config_procedure_condition, percentile), .initial = "95",
	 .min = 1, .max = 100, .text = "Of 'latency'."},
	{KEY("minimum", COUNT, config_procedure_condition, minimum), .initial = "10", .min = 1,
	 .text = "With fewer calls in 'window' neither is looked at."},
	{KEY("window", DURATION, config_procedure_condition, window_ms), .initial = "10s",
	 .min = 1000, .max = 60000, .text = "Calls of so long are looked at."},
	{KEY("for", DURATION, config_procedure_condition, for_ms), .initial = "0",
	 .text = "It has to hold for so long."},
	{.name = NULL},
};

static void condition_finish(struct reader *reader, const struct tree_node *node, void *object)
{
	const struct config_procedure_condition *c = object;

	if ((c->breaker == CONFIG_PROCEDURE_BREAKER_OPEN) + !!c->error_percent +
		    !!c->latency_ms + !!c->healthy_percent !=
	    1)
		reader_error(reader, node->where,
			     "give one of 'breaker', 'error_rate', 'latency' and 'healthy'");
}

static const struct schema_object condition = {
	.name = "procedure_condition",
	.size = sizeof(struct config_procedure_condition),
	.keys = condition_keys,
	.has_where = true,
	.finish = condition_finish,
};

/* ---- steps ----------------------------------------------------------------------------------- */

static const struct schema_name severity_names[] = {
	{"info", CONFIG_SEVERITY_INFO},
	{"warning", CONFIG_SEVERITY_WARNING},
	{"critical", CONFIG_SEVERITY_CRITICAL},
	{NULL, 0},
};

static const struct schema_name shed_names[] = {
	{"none", CONFIG_SHED_NONE},
	{"low", CONFIG_SHED_LOW},
	{"normal", CONFIG_SHED_NORMAL},
	{NULL, 0},
};

static const struct schema_format format_address = {
	.what = "an e-mail address",
	.valid = mail_address_valid,
	.pattern = "^[^@ ]+@[^@ ]+$",
};

static const struct schema_key step_keys[] = {
	{KEY("notify", TEXT, config_procedure_step, notify), .format = &format_name,
	 .text = "Webhook that is told; or"},
	{KEY("mail", TEXTS, config_procedure_step, mail), .format = &format_address,
	 .text = "addresses that get a mail; or"},
	{KEY("page", TEXT, config_procedure_step, page), .format = &format_name,
	 .text = "webhook that calls people, with 'severity'; or"},
	{KEY("shift", TEXT, config_procedure_step, shift_name), .format = &format_name,
	 .text = "service that is asked in the place of this one, for 'share'; or"},
	{KEY("shed", ENUM, config_procedure_step, shed), .initial = "none", .names = shed_names,
	 .text = "low, or normal and low: requests of that priority are refused; or"},
	{KEY("fallback", BOOL, config_procedure_step, fallback), .initial = "off",
	 .text = "the service is not asked: requests get its fallback; or"},
	{KEY("run", TEXTS, config_procedure_step, run), .format = &format_any,
	 .text = "program (its absolute path) and arguments, run in the sandbox."},
	{KEY("after", DURATION, config_procedure_step, after_ms), .initial = "0",
	 .text = "So long after the beginning, if it is not over by then."},
	{KEY("severity", ENUM, config_procedure_step, severity), .initial = "critical",
	 .names = severity_names, .text = "Of page."},
	{KEY("share", PERCENT, config_procedure_step, share_percent), .initial = "100%",
	 .text = "Of shift and fallback: this share of the requests."},
	{KEY("timeout", DURATION, config_procedure_step, timeout_ms), .initial = "30s",
	 .min = 100, .max = 600000, .text = "Of run: then it is killed."},
	{KEY("write", TEXTS, config_procedure_step, write), .format = &format_prefix,
	 .text = "Of run: folders that it may change."},
	{.name = NULL},
};

static void step_finish(struct reader *reader, const struct tree_node *node, void *object)
{
	const struct config_procedure_step *s = object;
	int given = !!s->notify.len + !!s->mail.count + !!s->page.len + !!s->shift_name.len +
		    (s->shed != CONFIG_SHED_NONE) + s->fallback + !!s->run.count;

	if (given != 1)
		reader_error(reader, node->where,
			     "give one of 'notify', 'mail', 'page', 'shift', 'shed', "
			     "'fallback' and 'run'");
	if (s->run.count && s->run.at[0].ptr[0] != '/')
		reader_error(reader, node->where, "'run' begins with an absolute path");
	if (s->run.count > 32)
		reader_error(reader, node->where, "'run' has more than 31 arguments");
}

static const struct schema_object step = {
	.name = "procedure_step",
	.size = sizeof(struct config_procedure_step),
	.keys = step_keys,
	.has_where = true,
	.finish = step_finish,
};

/* ---- the whole ------------------------------------------------------------------------------- */

static const struct schema_key recovery_keys[] = {
	{KEY("after", DURATION, config_procedure_recovery, after_ms), .initial = "30s",
	 .min = 1000, .text = "No condition has held for so long; doubled after a relapse."},
	{KEY("canary", PERCENT, config_procedure_recovery, canary_percent), .initial = "5%",
	 .text = "Share of the requests that the service then gets again."},
	{KEY("hold", DURATION, config_procedure_recovery, hold_ms), .initial = "30s",
	 .min = 1000, .text = "For so long, without a condition that holds."},
	{KEY("ramp", DURATION, config_procedure_recovery, ramp_ms), .initial = "1m",
	 .text = "Then up to all of them, in this time."},
	{.name = NULL},
};

static const struct schema_object recovery = {
	.name = "procedure_recovery",
	.size = sizeof(struct config_procedure_recovery),
	.keys = recovery_keys,
};

static const struct schema_key procedure_keys[] = {
	{KEY("service", TEXT, config_procedure, service_name), .flags = SCHEMA_REQUIRED,
	 .format = &format_name, .text = "That is looked at."},
	{KEY("when", LIST, config_procedure, when),
	 .flags = SCHEMA_REQUIRED | SCHEMA_ONE_OR_LIST, .object = &condition,
	 .text = "It begins when one of these holds."},
	{KEY("steps", LIST, config_procedure, steps), .flags = SCHEMA_REQUIRED, .object = &step,
	 .text = "What is done, each once."},
	{KEY("recovery", OBJECT, config_procedure, recovery), .object = &recovery,
	 .text = "How it ends."},
	{.name = NULL},
};

static void procedure_finish(struct reader *reader, const struct tree_node *node, void *object)
{
	const struct config_procedure *p = object;

	if (p->when.count == 0 || p->when.count > CONFIG_PROCEDURE_CONDITIONS_MAX)
		reader_error(reader, node->where, "'when' has 1 to %d conditions",
			     CONFIG_PROCEDURE_CONDITIONS_MAX);
	if (p->steps.count == 0 || p->steps.count > CONFIG_PROCEDURE_STEPS_MAX)
		reader_error(reader, node->where, "'steps' has 1 to %d steps",
			     CONFIG_PROCEDURE_STEPS_MAX);
}

const struct schema_object schema_procedure = {
	.name = "procedure",
	.size = sizeof(struct config_procedure),
	.keys = procedure_keys,
	.has_where = true,
	.name_offset = offsetof(struct config_procedure, name),
	.finish = procedure_finish,
};

/* ---- what only the whole shows --------------------------------------------------------------- */

static bool has_webhook(const struct config *cfg, struct span name)
{
	for (size_t i = 0; i < cfg->webhooks.count; i++)
		if (span_eq(cfg->webhooks.at[i].name, name))
			return true;
	return false;
}

static void check_step(struct reader *reader, const struct config *cfg,
		       const struct config_procedure *procedure,
		       struct config_procedure_step *s)
{
	struct span hook = s->notify.len ? s->notify : s->page;

	if (hook.len && !has_webhook(cfg, hook))
		reader_error(reader, s->where, "there is no webhook '%.*s'", SPAN_ARG(hook));
	if (s->mail.count && !cfg->mail)
		reader_error(reader, s->where, "no mail can be sent without 'mail'");
	if (s->fallback && procedure->service && !procedure->service->fallback)
		reader_error(reader, s->where, "service '%.*s' has no 'fallback'",
			     SPAN_ARG(procedure->service_name));
	if (!s->shift_name.len)
		return;
	s->shift = config_service_find(cfg, s->shift_name);
	if (!s->shift)
		reader_error(reader, s->where, "there is no service '%.*s'",
			     SPAN_ARG(s->shift_name));
	else if (s->shift == procedure->service)
		reader_error(reader, s->where, "a service takes its own requests anyway");
}

static void check_procedure(struct reader *reader, struct config *cfg,
			    struct config_procedure *procedure)
{
	struct config_service *service = NULL;

	for (size_t i = 0; i < cfg->services.count; i++)
		if (span_eq(cfg->services.at[i].name, procedure->service_name))
			service = &cfg->services.at[i];
	procedure->service = service;
	if (!service && procedure->service_name.len)
		reader_error(reader, procedure->where, "there is no service '%.*s'",
			     SPAN_ARG(procedure->service_name));
	if (service)
		service->has_procedure = true;
	for (size_t i = 0; service && i < procedure->when.count; i++) {
		const struct config_procedure_condition *c = &procedure->when.at[i];

		if (c->breaker == CONFIG_PROCEDURE_BREAKER_OPEN && !service->breaker)
			reader_error(reader, c->where, "service '%.*s' has no 'breaker'",
				     SPAN_ARG(service->name));
		if (c->healthy_percent && !service->health && !service->outlier)
			reader_error(reader, c->where,
				     "service '%.*s' has neither 'health' nor 'outlier'",
				     SPAN_ARG(service->name));
	}
	for (size_t i = 0; i < procedure->steps.count; i++)
		check_step(reader, cfg, procedure, &procedure->steps.at[i]);
}

void check_procedures(struct reader *reader, struct config *cfg)
{
	for (size_t i = 0; i < cfg->webhooks.count; i++)
		if (cfg->store.url.len == 0)
			reader_error(reader, cfg->webhooks.at[i].where,
				     "events of webhooks wait in a 'store': name one");
	for (size_t i = 0; i < cfg->procedures.count; i++)
		check_procedure(reader, cfg, &cfg->procedures.at[i]);
}
