#include "cli/status_view.h"

#include "base/mem.h"
#include "cli/output.h"

#define LINE_MAX_BYTES 512
#define CLASSES 6
#define BUCKETS_MAX 64

struct screen {
	const struct status_view *view;
	struct buf *out;
	unsigned lines; /* written */
	unsigned dropped; /* that did not fit */
};

/* ---- lines ----------------------------------------------------------------------------------- */

enum tone { TONE_PLAIN, TONE_BOLD, TONE_WARN, TONE_BAD };

static const char *const tones[] = {"", OUTPUT_BOLD, OUTPUT_YELLOW, OUTPUT_RED};

static void put_line(struct screen *s, enum tone tone, const char *format, ...)
	PRINTF_LIKE(3, 4);

/* At most `width` characters; bytes of one character stay together. */
static size_t cut(const char *line, size_t len, unsigned width)
{
	size_t at = 0;
	unsigned columns = 0;

	while (at < len) {
		if (((unsigned char)line[at] & 0xc0) != 0x80 && width && columns++ == width)
			break;
		at++;
	}
	return at;
}

static void put_line(struct screen *s, enum tone tone, const char *format, ...)
{
	char line[LINE_MAX_BYTES];
	va_list args;
	size_t len;

	/* The last one is for what was dropped. */
	if (s->view->height && s->lines + 1 >= s->view->height) {
		s->dropped++;
		return;
	}
	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	len = strlen(line);
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)line[i];

		/* C0, DEL, and C1 as UTF-8 writes it: a terminal would obey them. */
		if (c < 0x20 || c == 0x7f ||
		    (c == 0xc2 && ((unsigned char)line[i + 1] & 0xe0) == 0x80))
			line[i] = '?';
	}
	len = cut(line, len, s->view->width);
	while (len > 0 && line[len - 1] == ' ')
		len--;
	if (s->view->coloured && tone != TONE_PLAIN)
		buf_append_cstr(s->out, tones[tone]);
	buf_append(s->out, span_of(line, len));
	if (s->view->coloured && tone != TONE_PLAIN)
		buf_append_cstr(s->out, OUTPUT_PLAIN);
	buf_append_byte(s->out, '\n');
	s->lines++;
}

/* ---- reading --------------------------------------------------------------------------------- */

static int64_t number(const struct json *object, const char *name)
{
	int64_t value = 0;

	(void)json_int(json_get(object, span_cstr(name)), &value);
	return value;
}

static struct span text(const struct json *object, const char *name)
{
	struct span value = SPAN("-");

	(void)json_string(json_get(object, span_cstr(name)), &value);
	return value;
}

static bool flag(const struct json *object, const char *name)
{
	bool value = false;

	(void)json_bool(json_get(object, span_cstr(name)), &value);
	return value;
}

static size_t count_of(const struct json *array)
{
	return array && array->type == JSON_ARRAY ? array->array.count : 0;
}

static int64_t element(const struct json *array, size_t i)
{
	int64_t value = 0;

	if (i < count_of(array))
		(void)json_int(json_at(array, i), &value);
	return value;
}

/* ---- rates ----------------------------------------------------------------------------------- */

/* Of an operation, or of all of them, since the last look. */
struct traffic {
	int64_t requests, errors; /* 5xx, and clients that have left */
	int64_t buckets[BUCKETS_MAX];
};

static const struct json *find_operation(const struct json *status, struct span name)
{
	const struct json *all = json_get(status, SPAN("operations"));

	for (size_t i = 0; i < count_of(all); i++)
		if (span_eq(text(json_at(all, i), "operation"), name))
			return json_at(all, i);
	return NULL;
}

static void add_traffic(struct traffic *t, const struct json *operation, int64_t sign)
{
	const struct json *requests = json_get(operation, SPAN("requests"));
	const struct json *buckets = json_get(operation, SPAN("buckets"));

	for (size_t i = 0; i < CLASSES; i++)
		t->requests += sign * element(requests, i);
	t->errors += sign * (element(requests, 4) + element(requests, 5));
	for (size_t i = 0; i < BUCKETS_MAX; i++)
		t->buckets[i] += sign * element(buckets, i);
}

/* In milliseconds, the upper end of the bucket; negative: above all of them. */
static double percentile_ms(const struct traffic *t, const struct json *bounds,
			    unsigned percent)
{
	int64_t rank = (t->requests * percent + 99) / 100, below = 0;

	for (size_t i = 0; i < count_of(bounds); i++) {
		below += t->buckets[i];
		if (below >= rank)
			return (double)element(bounds, i) / 1000;
	}
	return -1;
}

static void latency_words(char *to, size_t size, const struct traffic *t,
			  const struct json *bounds, unsigned percent)
{
	double ms = percentile_ms(t, bounds, percent);
	size_t last = count_of(bounds);

	if (t->requests <= 0)
		snprintf(to, size, "-");
	else if (ms < 0)
		snprintf(to, size, ">%.0f",
			 last ? (double)element(bounds, last - 1) / 1000 : 0.0);
	else
		snprintf(to, size, "<%.3g", ms);
}

static void put_operations(struct screen *s, const struct json *now, const struct json *before,
			   double seconds)
{
	const struct json *all = json_get(now, SPAN("operations"));
	const struct json *bounds = json_get(now, SPAN("bucket_us"));

	put_line(s, TONE_BOLD, "%-32s %10s %8s %10s %10s", "OPERATION", "REQ/S", "ERR %",
		 "P50 MS", "P99 MS");
	for (size_t i = 0; i < count_of(all); i++) {
		const struct json *operation = json_at(all, i);
		struct span name = text(operation, "operation");
		struct traffic t = {0};
		char p50[24], p99[24];

		add_traffic(&t, operation, 1);
		if (before)
			add_traffic(&t, find_operation(before, name), -1);
		/* What is not asked for is not news, but "-" is what no route took. */
		if (before && t.requests <= 0 && span_eq(name, SPAN("-")))
			continue;
		latency_words(p50, sizeof(p50), &t, bounds, 50);
		latency_words(p99, sizeof(p99), &t, bounds, 99);
		put_line(s, t.errors > 0 ? TONE_WARN : TONE_PLAIN,
			 "%-32.*s %10.1f %8.1f %10s %10s", SPAN_ARG(name),
			 seconds > 0 ? (double)t.requests / seconds : 0.0,
			 t.requests > 0 ? 100.0 * (double)t.errors / (double)t.requests : 0.0,
			 p50, p99);
	}
}

/* ---- services -------------------------------------------------------------------------------- */

static enum tone breaker_tone(const struct json *breaker)
{
	struct span state = text(breaker, "state");

	if (span_eq(state, SPAN("open")) || span_eq(state, SPAN("forced_open")))
		return TONE_BAD;
	return span_eq(state, SPAN("half_open")) ? TONE_WARN : TONE_PLAIN;
}

static void put_part(struct screen *s, enum tone tone, struct span name, const char *health,
		     const struct json *part)
{
	const struct json *breaker = json_get(part, SPAN("breaker"));
	const struct json *bulkhead = json_get(part, SPAN("bulkhead"));
	char places[48] = "-", window[48] = "-";

	if (bulkhead)
		snprintf(places, sizeof(places), "%lld/%lld +%lld",
			 (long long)number(bulkhead, "in_use"),
			 (long long)number(bulkhead, "limit"),
			 (long long)number(bulkhead, "waiting"));
	if (breaker)
		snprintf(window, sizeof(window), "%lld/%lld/%lld",
			 (long long)number(breaker, "calls"),
			 (long long)number(breaker, "failed"),
			 (long long)number(breaker, "slow"));
	put_line(s, tone, "%-32.*s %-8s %-13.*s %-16s %-14s %8lld", SPAN_ARG(name), health,
		 SPAN_ARG(text(breaker, "state")), window, places,
		 (long long)(number(breaker, "refused") + number(bulkhead, "refused")));
}

static void put_endpoint(struct screen *s, const struct json *endpoint)
{
	const struct json *health = json_get(endpoint, SPAN("health"));
	enum tone tone = breaker_tone(json_get(endpoint, SPAN("breaker")));
	struct span url = text(endpoint, "url");
	const char *word = "-";
	char name[256];

	if (health) {
		word = !flag(health, "up")	 ? "down"
		       : flag(health, "ejected") ? "ejected"
						 : "up";
		if (word[0] != 'u')
			tone = TONE_BAD;
	}
	snprintf(name, sizeof(name), "  %.*s", SPAN_ARG(url));
	put_part(s, tone, span_cstr(name), word, endpoint);
}

static void put_services(struct screen *s, const struct json *guard)
{
	const struct json *services = json_get(guard, SPAN("services"));

	put_line(s, TONE_BOLD, "%-32s %-8s %-13s %-16s %-14s %8s", "SERVICE, ENDPOINT",
		 "HEALTH", "BREAKER", "CALLS/FAIL/SLOW", "PLACES +WAIT", "REFUSED");
	for (size_t i = 0; i < count_of(services); i++) {
		const struct json *service = json_at(services, i);
		const struct json *endpoints = json_get(service, SPAN("endpoints"));

		put_part(s, breaker_tone(json_get(service, SPAN("breaker"))),
			 text(service, "name"), "", service);
		for (size_t j = 0; j < count_of(endpoints); j++)
			put_endpoint(s, json_at(endpoints, j));
	}
}

/* Where services are looked for. */
static void put_discovery(struct screen *s, const struct json *now)
{
	const struct json *all = json_get(json_get(now, SPAN("discovery")), SPAN("discovery"));

	if (!count_of(all))
		return;
	put_line(s, TONE_PLAIN, "%s", "");
	put_line(s, TONE_BOLD, "%-32s %-12s %-8s %9s %9s  %s", "FOUND", "BY", "STATE",
		 "ENDPOINTS", "CHANGES", "PROBLEM");
	for (size_t i = 0; i < count_of(all); i++) {
		const struct json *found = json_at(all, i);
		struct span state = text(found, "state");

		put_line(s,
			 span_eq(state, SPAN("failing"))   ? TONE_BAD
			 : number(found, "endpoints") == 0 ? TONE_WARN
							   : TONE_PLAIN,
			 "%-32.*s %-12.*s %-8.*s %9lld %9lld  %.*s",
			 SPAN_ARG(text(found, "service")), SPAN_ARG(text(found, "kind")),
			 SPAN_ARG(state), (long long)number(found, "endpoints"),
			 (long long)number(found, "changes"), SPAN_ARG(text(found, "problem")));
	}
}

static void put_procedures(struct screen *s, const struct json *now)
{
	const struct json *all =
		json_get(json_get(now, SPAN("procedures")), SPAN("procedures"));

	if (!count_of(all))
		return;
	put_line(s, TONE_PLAIN, "%s", "");
	put_line(s, TONE_BOLD, "%-32s %-20s %-10s %10s %10s %8s", "PROCEDURE", "SERVICE",
		 "STATE", "FOR S", "WITHHELD %", "BEGUN");
	for (size_t i = 0; i < count_of(all); i++) {
		const struct json *p = json_at(all, i);
		struct span state = text(p, "state");

		put_line(s,
			 span_eq(state, SPAN("watching")) ? TONE_PLAIN
			 : span_eq(state, SPAN("active")) ? TONE_BAD
							  : TONE_WARN,
			 "%-32.*s %-20.*s %-10.*s %10lld %10lld %8lld",
			 SPAN_ARG(text(p, "name")), SPAN_ARG(text(p, "service")),
			 SPAN_ARG(state), (long long)number(p, "for_ms") / 1000,
			 (long long)number(p, "withheld_percent"),
			 (long long)number(p, "episodes"));
	}
}

/* ---- the head -------------------------------------------------------------------------------- */

static void put_overload(struct screen *s, const struct json *guard)
{
	const struct json *overload = json_get(guard, SPAN("overload"));
	const struct json *actions = json_get(overload, SPAN("actions"));
	char words[160] = "";
	size_t at = 0;

	for (size_t i = 0; i < count_of(actions) && at < sizeof(words); i++) {
		struct span word = SPAN_NONE;

		(void)json_string(json_at(actions, i), &word);
		at += (size_t)snprintf(words + at, sizeof(words) - at, " %.*s", SPAN_ARG(word));
	}
	put_line(s, words[0] ? TONE_BAD : TONE_PLAIN,
		 "pressure: memory %lld%%, descriptors %lld%%, lag %lld%%, connections "
		 "%lld%%, queues %lld%%%s%s",
		 (long long)number(overload, "memory"),
		 (long long)number(overload, "descriptors"), (long long)number(overload, "lag"),
		 (long long)number(overload, "connections"),
		 (long long)number(overload, "queues"), words[0] ? "; actions:" : "", words);
}

static void put_head(struct screen *s, const struct json *now, const struct json *before,
		     double seconds)
{
	const struct json *all = json_get(now, SPAN("operations"));
	int64_t up_s = number(now, "time_unix_ms") / 1000 - number(now, "started_unix_s");
	struct traffic t = {0};

	for (size_t i = 0; i < count_of(all); i++) {
		add_traffic(&t, json_at(all, i), 1);
		if (before)
			add_traffic(&t,
				    find_operation(before, text(json_at(all, i), "operation")),
				    -1);
	}
	put_line(s, TONE_BOLD,
		 "sallyport %.*s, up %lldd %02lld:%02lld:%02lld, configuration %lld%s",
		 SPAN_ARG(text(now, "version")), (long long)up_s / 86400,
		 (long long)up_s / 3600 % 24, (long long)up_s / 60 % 60, (long long)up_s % 60,
		 (long long)number(now, "generation"), flag(now, "draining") ? ", ending" : "");
	put_line(s, TONE_PLAIN,
		 "requests: %.1f/s, errors %.1f%%; connections %lld; memory %.1f MiB",
		 seconds > 0 ? (double)t.requests / seconds : 0.0,
		 t.requests > 0 ? 100.0 * (double)t.errors / (double)t.requests : 0.0,
		 (long long)number(now, "connections"),
		 (double)number(now, "memory_bytes") / 1048576.0);
}

void status_view_write(const struct status_view *view, const struct json *now,
		       const struct json *before, struct buf *out)
{
	struct screen s = {.view = view, .out = out};
	const struct json *guard = json_get(now, SPAN("guard"));
	int64_t ms = before ? number(now, "time_unix_ms") - number(before, "time_unix_ms") : 0;

	/* Another server process counts from nothing. */
	if (before && number(before, "started_unix_s") != number(now, "started_unix_s"))
		before = NULL;
	put_head(&s, now, before, before ? (double)ms / 1000 : 0);
	put_overload(&s, guard);
	put_line(&s, TONE_PLAIN, "%s", "");
	put_services(&s, guard);
	put_discovery(&s, now);
	put_procedures(&s, now);
	put_line(&s, TONE_PLAIN, "%s", "");
	put_operations(&s, now, before, before ? (double)ms / 1000 : 0);
	if (s.dropped)
		buf_printf(out, "... %u more lines\n", s.dropped);
}
