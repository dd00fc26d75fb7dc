#include "gateway/outside.h"

#include <netinet/in.h>

#include "base/log.h"
#include "base/mem.h"
#include "gateway/program_runner.h"

/* A failing name server fails for every request: one line in so long. */
#define LOG_EVERY_MS 10000

struct outside {
	struct worker *worker;
	struct dns *dns;
	int64_t lookup_ms;
	struct program_runner *programs; /* NULL: none are allowed */
	int64_t next_log_ms[2]; /* of lists, of programs */
};

static bool may_log(int64_t *next_ms)
{
	if (loop_now_ms() < *next_ms)
		return false;
	*next_ms = loop_now_ms() + LOG_EVERY_MS;
	return true;
}

/* ---- block lists ----------------------------------------------------------------------------- */

static enum waf_lookup lookup_failed(struct outside *outside, const struct err *err)
{
	/* The client has gone. */
	if (err->code == ERR_CANCELLED)
		return WAF_LOOKUP_FAILED;
	counter_add(&outside->worker->metrics->waf_lookups_failed, 1);
	if (may_log(&outside->next_log_ms[0]))
		log_message(LOG_WARN, "waf.block_list", "%s", err->message);
	return WAF_LOOKUP_FAILED;
}

static enum waf_lookup lookup(void *context, struct span name, uint32_t *address)
{
	struct outside *outside = context;
	struct dns_result result;
	struct err err = {.code = ERR_NONE};

	counter_add(&outside->worker->metrics->waf_lookups, 1);
	if (dns_resolve(outside->dns, name, 0, loop_deadline_ms(outside->lookup_ms), &result,
			&err) < 0)
		return err.code == ERR_NOT_FOUND ? WAF_LOOKUP_NONE
						 : lookup_failed(outside, &err);
	for (size_t i = 0; i < result.count; i++) {
		const struct sockaddr_storage *found = &result.addresses[i].storage;

		if (found->ss_family != AF_INET)
			continue;
		*address = ntohl(((const struct sockaddr_in *)found)->sin_addr.s_addr);
		return WAF_LOOKUP_FOUND;
	}
	return WAF_LOOKUP_NONE;
}

static void no_list(void *context, struct span list, uint32_t address)
{
	struct outside *outside = context;

	counter_add(&outside->worker->metrics->waf_lookups_failed, 1);
	if (may_log(&outside->next_log_ms[0]))
		log_message(LOG_WARN, "waf.block_list",
			    "%.*s answers %u.%u.%u.%u: it does not serve this name server",
			    SPAN_ARG(list), address >> 24, address >> 16 & 255,
			    address >> 8 & 255, address & 255);
}

/* ---- programs -------------------------------------------------------------------------------- */

static void program_failed(void *context, const char *why)
{
	struct outside *outside = context;

	counter_add(&outside->worker->metrics->waf_programs_failed, 1);
	if (may_log(&outside->next_log_ms[1]))
		log_message(LOG_WARN, "waf.program", "%s", why);
}

static int inspect(void *context, const struct waf_program_call *call, char *output,
		   size_t size, size_t *len, struct err *err)
{
	struct outside *outside = context;

	counter_add(&outside->worker->metrics->waf_programs, 1);
	if (!outside->programs)
		return err_set(err, ERR_UNAVAILABLE, "this process runs no programs");
	if (program_runner_ask(outside->programs, call, output, size, len, err) == 0)
		return 0;
	program_failed(outside, err->message);
	return -1;
}

static void execute(void *context, const struct waf_program_call *call)
{
	struct outside *outside = context;
	struct err err = {.message = "this process runs no programs"};

	counter_add(&outside->worker->metrics->waf_programs, 1);
	if (!outside->programs || program_runner_tell(outside->programs, call, &err) < 0)
		program_failed(outside, err.message);
}

/* ---- life ------------------------------------------------------------------------------------ */

/* "a:53,b:53"; NULL without memory. */
static char *join_servers(const struct config_strings *servers)
{
	struct buf text;
	char *joined = NULL;

	buf_init(&text, 65536);
	for (size_t i = 0; i < servers->count; i++) {
		if (i)
			buf_append_byte(&text, ',');
		buf_append(&text, servers->at[i]);
	}
	if (!buf_failed(&text))
		joined = mem_strdup(buf_span(&text));
	buf_release(&text);
	return joined;
}

static struct dns *open_dns(const struct config_waf_lists *config, struct err *err)
{
	struct dns_options options = {
		.negative_ttl_ms = (int64_t)config->unlisted_ms,
		.stale_ms = 1,
		.try_ms = (int64_t)config->timeout_ms,
		.tries = 2,
		.entries_max = config->names,
		.whole_names = true,
		.ipv4_only = true,
	};
	char *servers = NULL;
	struct dns *dns;

	if (config->servers.count) {
		servers = join_servers(&config->servers);
		if (!servers) {
			err_set(err, ERR_MEMORY, "no memory for name servers");
			return NULL;
		}
	}
	options.servers = servers;
	dns = dns_new(&options, err);
	mem_free(servers);
	return dns;
}

struct outside *outside_new(struct worker *worker, const struct config_waf *config,
			    struct err *err)
{
	struct outside *outside = mem_zalloc(1, sizeof(*outside));
	struct program_helper *helper = worker->shared->programs;

	if (!outside) {
		err_set(err, ERR_MEMORY, "no memory for the firewall");
		return NULL;
	}
	outside->worker = worker;
	outside->lookup_ms = (int64_t)config->block_lists.timeout_ms;
	outside->dns = open_dns(&config->block_lists, err);
	if (outside->dns && helper)
		outside->programs =
			program_runner_new(helper, worker->index, program_failed, outside, err);
	if (!outside->dns || (helper && !outside->programs)) {
		outside_free(outside);
		return NULL;
	}
	return outside;
}

void outside_hooks(struct outside *outside, struct waf_hooks *hooks)
{
	*hooks = (struct waf_hooks){.context = outside,
				    .lookup = lookup,
				    .no_list = no_list,
				    .inspect = inspect,
				    .execute = execute};
}

void outside_free(struct outside *outside)
{
	if (!outside)
		return;
	program_runner_free(outside->programs);
	dns_free(outside->dns);
	mem_free(outside);
}

bool outside_same(const struct config *a, const struct config *b)
{
	const struct config_waf_lists *p, *q;

	if (!program_helper_same(a, b))
		return false;
	if (!a->waf || !b->waf)
		return true;
	p = &a->waf->block_lists;
	q = &b->waf->block_lists;
	return p->timeout_ms == q->timeout_ms && p->unlisted_ms == q->unlisted_ms &&
	       p->names == q->names && command_texts_same(&p->servers, &q->servers);
}
