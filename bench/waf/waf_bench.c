/*
 * waf_bench.c - processor time a transaction, ours beside libmodsecurity with the same rules, and
 * what both find in labelled values.
 * Usage: waf_bench [-p LEVEL] [-n REPEATS] [-c CACHE-FOLDER] [-v VALUES.csv]
 *
 * "repeated": the same request again and again, as most of a client's requests are alike but for
 * some values. "fresh": every value of an argument, cookie and body is new each time.
 */
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "tests/conformance/waf/engines.h"

#define ROUNDS 5
#define FRESH_SETS 512

enum kind { GET, JSON_POST, FORM_POST, SQL_INJECTION, KINDS };

static const char *const kind_names[KINDS] = {"benign GET", "220-byte JSON POST",
					      "10 KB form POST", "blocked SQL injection"};

static double cpu_us(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static struct span kept(struct case_list *list, struct buf *text)
{
	struct span copy = arena_dup(&list->arena, buf_span(text));

	buf_release(text);
	return copy;
}

static void set_body(struct case_list *list, struct request_case *c, struct span body)
{
	c->body = body;
	for (size_t i = 0; i < c->header_count; i++)
		if (span_eq(c->headers[i].name, SPAN("Content-Length")))
			c->headers[i].value = arena_printf(&list->arena, "%zu", body.len);
}

/* A request of the kind; `n` is in its values, so that no two are alike. */
static struct request_case *make(struct case_list *list, enum kind kind, unsigned n)
{
	struct arena *arena = &list->arena;
	struct request_case *c = NULL;
	struct buf text;

	buf_init(&text, (size_t)1 << 20);
	switch (kind) {
	case GET:
		c = case_with_value(list, arena_printf(arena, "blue chair %u", n), IN_QUERY);
		if (c)
			case_add_header(c, SPAN("Cookie"),
					arena_printf(arena,
						     "session=%08x4fceea167a5a36dedd4bea; "
						     "theme=dark",
						     n * 2654435761U));
		break;
	case JSON_POST:
		c = case_with_value(list, SPAN("x"), IN_JSON);
		(void)buf_printf(
			&text,
			"{\"customer\":{\"id\":%u,\"name\":\"Ada Lovelace %u\",\"email\":"
			"\"ada%u@example.test\"},\"items\":[{\"sku\":\"CH-%u\",\"quantity\":2,"
			"\"price\":49.90},{\"sku\":\"TB-2002\",\"quantity\":1,\"price\":199.00}"
			"],\"note\":\"Leave at door %u\",\"express\":false}",
			10000 + n, n, n, n, n);
		if (c)
			set_body(list, c, kept(list, &text));
		break;
	case FORM_POST:
		c = case_with_value(list, SPAN("x"), IN_FORM);
		for (unsigned i = 0; text.len < 10 * 1024; i++)
			(void)buf_printf(&text,
					 "%sfield_%u=some+ordinary+text+number+%u+of+a+form",
					 i ? "&" : "", i, i * 1000 + n);
		if (c)
			set_body(list, c, kept(list, &text));
		break;
	case SQL_INJECTION:
		c = case_with_value(
			list,
			arena_printf(arena,
				     "%u' OR '1'='1' UNION SELECT username, password "
				     "FROM users-- -",
				     n),
			IN_QUERY);
		break;
	case KINDS: break;
	}
	return c;
}

/* The least of some rounds: what others do to the machine only ever adds. */
static double time_ours(struct subject *s, struct request_case *const *cases, size_t count,
			size_t repeats, struct ids *ids)
{
	double best = 1e18;
	struct err err;

	for (int round = 0; round < ROUNDS; round++) {
		double from = cpu_us();
		double each;

		for (size_t i = 0; i < repeats; i++)
			if (subject_run(s, cases[i % count], ids, &err) != 0)
				return -1;
		each = (cpu_us() - from) / (double)repeats;
		best = each < best ? each : best;
	}
	return best;
}

static double time_theirs(struct oracle *o, struct request_case *const *cases, size_t count,
			  size_t repeats, struct ids *ids)
{
	double best = 1e18;

	for (int round = 0; round < 3; round++) {
		double from = cpu_us();
		double each;

		for (size_t i = 0; i < repeats; i++)
			oracle_run(o, cases[i % count], ids);
		each = (cpu_us() - from) / (double)repeats;
		best = each < best ? each : best;
	}
	return best;
}

static int bench_kind(struct subject *s, struct oracle *o, enum kind kind, size_t repeats)
{
	struct case_list list;
	static struct request_case *cases[FRESH_SETS];
	static struct ids ours;
	static struct ids theirs;
	double same;
	double fresh;
	double other;

	case_list_init(&list);
	for (unsigned i = 0; i < FRESH_SETS; i++) {
		cases[i] = make(&list, kind, i);
		if (!cases[i])
			return -1;
	}
	same = time_ours(s, cases, 1, repeats, &ours);
	fresh = time_ours(s, cases, FRESH_SETS, repeats < FRESH_SETS ? FRESH_SETS : repeats,
			  &ours);
	other = time_theirs(o, cases, FRESH_SETS, repeats / 40 + 3, &theirs);
	printf("%-24s %10.2f %10.2f %14.2f %9.0fx %9.0fx  %s/%s\n", kind_names[kind], same,
	       fresh, other, other / same, other / fresh, ours.blocked ? "blocked" : "passed",
	       theirs.blocked ? "blocked" : "passed");
	case_list_release(&list);
	return 0;
}

/* ---- what is found in labelled values ---------------------------------------------------------- */

static int print_recall(struct subject *s, struct oracle *o, const char *path, struct err *err)
{
	size_t total[VALUE_LABELS] = {0};
	size_t found[VALUE_LABELS] = {0};
	size_t found_by_other[VALUE_LABELS] = {0};
	static struct ids ids;
	struct labelled_value *values;
	struct case_list list;
	struct arena arena;
	size_t count;

	arena_init(&arena, (size_t)1 << 30, (size_t)1 << 20);
	if (cases_read_values(&arena, path, &values, &count, err) != 0)
		return -1;
	for (size_t i = 0; i < count; i++) {
		struct request_case *c;

		case_list_init(&list);
		c = case_with_value(&list, values[i].text, IN_QUERY);
		if (!c || subject_run(s, c, &ids, err) != 0)
			return -1;
		total[values[i].label]++;
		found[values[i].label] += ids.blocked;
		oracle_run(o, c, &ids);
		found_by_other[values[i].label] += ids.blocked;
		case_list_release(&list);
	}
	printf("\nblocked, of values in the query   total       ours   libmodsecurity\n");
	for (unsigned i = 0; i < VALUE_LABELS; i++)
		if (total[i])
			printf("%-30s %8zu %9.2f %% %13.2f %%\n",
			       value_label_name((enum value_label)i), total[i],
			       100.0 * (double)found[i] / (double)total[i],
			       100.0 * (double)found_by_other[i] / (double)total[i]);
	arena_release(&arena);
	return 0;
}

/* ---- all ------------------------------------------------------------------------------------- */

struct options {
	unsigned paranoia;
	size_t repeats;
	const char *cache;
	const char *values;
};

static int parse(int argc, char **argv, struct options *options)
{
	uint64_t value;
	int c;

	*options = (struct options){.paranoia = 1, .repeats = 4000};
	while ((c = getopt(argc, argv, "p:n:c:v:")) != -1) {
		if (c == 'c')
			options->cache = optarg;
		else if (c == 'v')
			options->values = optarg;
		else if (c == '?' || !span_to_u64(span_cstr(optarg), &value))
			return -1;
		else if (c == 'p')
			options->paranoia = (unsigned)value;
		else
			options->repeats = (size_t)value;
	}
	return 0;
}

static int run(const struct options *options, struct subject *s, struct oracle *o,
	       struct err *err)
{
	struct waf_rules_info info;

	waf_rules_info(s->rules, &info);
	printf("level %u: %zu rules read, %zu active; %zu patterns in %zu databases, %zu "
	       "KiB\n\n",
	       options->paranoia, info.rules, info.active, info.patterns, info.databases,
	       info.memory_bytes / 1024);
	printf("us a transaction         repeated      fresh libmodsecurity  repeated     "
	       "fresh\n");
	for (unsigned kind = 0; kind < KINDS; kind++)
		if (bench_kind(s, o, (enum kind)kind, options->repeats) != 0)
			return -1;
	return options->values ? print_recall(s, o, options->values, err) : 0;
}

int main(int argc, char **argv)
{
	struct span path = SPAN("owasp-crs");
	struct waf_sources sources = {.paths = &path, .path_count = 1};
	struct options options;
	struct subject subject;
	struct oracle *oracle;
	struct err err = {0};
	int status;

	if (parse(argc, argv, &options) != 0) {
		fprintf(stderr,
			"usage: %s [-p LEVEL] [-n REPEATS] [-c CACHE] [-v VALUES.csv]\n",
			argv[0]);
		return 2;
	}
	sources.paranoia = options.paranoia;
	sources.cache_folder = options.cache;
	oracle = oracle_new(SPAN(""), options.paranoia, true, &err);
	if (!oracle || subject_init(&subject, &sources, WAF_BLOCK, &err) != 0) {
		fprintf(stderr, "%s\n", err.message);
		return 1;
	}
	status = run(&options, &subject, oracle, &err);
	if (status != 0)
		fprintf(stderr, "%s\n", err.message);
	subject_release(&subject);
	oracle_free(oracle);
	return status == 0 ? 0 : 1;
}
