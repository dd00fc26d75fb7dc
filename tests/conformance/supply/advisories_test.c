/*
 * advisories_test.c - recorded queries of a public vulnerability service with the ids that it
 * answered, against a database made of advisories that are at hand: of these, exactly the ids that
 * were answered must match.
 * Usage: advisories_test PROJECT
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/compiler.h"
#include "data.h"
#include "parse/json.h"
#include "supply/db_build.h"
#include "supply/db_input.h"
#include "supply/match.h"

#define COMMIT "the place of a commit between others is known to its repository only"
#define LATER                                                                                  \
	"the record, or its part for Go itself, is younger than the answers: none of them "    \
	"has "                                                                                 \
	"an id as high, or a fix in these releases"

/* Answers that differ for a reason. */
static const struct {
	struct span name; /* of the package, or the commit; empty: any */
	struct span id;
	bool answered; /* the service answers it, we do not; else the other way round */
	const char *reason;
} differences[] = {
	{SPAN_INIT("1a9dda41fbfb0dfbec17ab6afeba8138265395f7"), SPAN_INIT("OSV-2018-389"), true,
	 COMMIT},
	{SPAN_INIT("931a40a746f5678dcc4625b06a2eb25fa4f00b34"), SPAN_INIT("OSV-2023-1161"),
	 true, COMMIT},
	{SPAN_INIT("931a40a746f5678dcc4625b06a2eb25fa4f00b34"), SPAN_INIT("PYSEC-2023-233"),
	 true, COMMIT},
	{SPAN_INIT("aea7aaf2abb04789f5868cbabec406ea43aa84bf"), SPAN_INIT("CVE-2025-11187"),
	 true, COMMIT},
	{SPAN_INIT("f82211036f434593c69b8e3680ea65203a46d315"), SPAN_INIT("CVE-2024-51757"),
	 true, COMMIT},
	{SPAN_INIT(""), SPAN_INIT("GO-2026-5026"), false, LATER},
	{SPAN_INIT(""), SPAN_INIT("GO-2026-5942"), false, LATER},
	{SPAN_INIT(""), SPAN_INIT("GO-2026-5972"), false, LATER},
	{SPAN_INIT(""), SPAN_INIT("GO-2026-6088"), false, LATER},
	{SPAN_INIT(""), SPAN_INIT("GO-2026-6089"), false, LATER},
	{SPAN_INIT(""), SPAN_INIT("GO-2026-6090"), false, LATER},
	{SPAN_INIT(""), SPAN_INIT("GO-2026-6091"), false, LATER},
	{SPAN_INIT(""), SPAN_INIT("GO-2026-6179"), false, LATER},
	{SPAN_INIT(""), SPAN_INIT("GO-2026-6180"), false, LATER},
	{SPAN_INIT(""), SPAN_INIT("GO-2026-6218"), false, LATER},
	{SPAN_INIT(""), SPAN_INIT("GO-2026-6222"), false, LATER},
	{SPAN_INIT("apk-tools"), SPAN_INIT("CVE-2021-36159"), false,
	 "the service answers it as ALPINE-CVE-2021-36159, of which we have no record"},
	{SPAN_INIT("urllib3"), SPAN_INIT("PYSEC-2021-108"), false,
	 "the record at hand says < 1.26.5, and lists the version; the service answers neither "
	 "it nor its alias GHSA-q2q7-5pp4-w6pg, so its records have changed"},
};

struct totals {
	unsigned queries;
	unsigned agreed;
	unsigned expected_ids;
	unsigned differing;
	unsigned wrong;
	bool used[COUNT_OF(differences)];
};

static struct span text_of(const struct json *object, struct span key)
{
	struct span text = SPAN_NONE;

	(void)json_string(json_get(object, key), &text);
	return text;
}

static bool is_listed(const struct json *vulns, struct span id)
{
	for (size_t i = 0; json_at(vulns, i); i++)
		if (json_is(json_at(vulns, i), id))
			return true;
	return false;
}

static bool is_matched(const struct advisory_db *db, const struct match_list *list,
		       struct span id)
{
	for (size_t i = 0; i < list->count; i++)
		if (span_eq(db_text_of(db, db_advisory_at(db, list->at[i].advisory)->id), id))
			return true;
	return false;
}

static void report(struct totals *totals, const struct json *query, struct span name,
		   struct span id, bool answered, bool *agrees)
{
	struct span version = text_of(query, SPAN("version"));

	for (size_t i = 0; i < COUNT_OF(differences); i++)
		if ((differences[i].name.len == 0 || span_eq(differences[i].name, name)) &&
		    span_eq(differences[i].id, id) && differences[i].answered == answered) {
			if (!totals->used[i])
				printf("differs: %.*s %.*s: %s\n", SPAN_ARG(name), SPAN_ARG(id),
				       differences[i].reason);
			totals->used[i] = true;
			totals->differing++;
			return;
		}
	printf("%.*s %.*s %.*s: %.*s %s\n", SPAN_ARG(text_of(query, SPAN("ecosystem"))),
	       SPAN_ARG(name), SPAN_ARG(version), SPAN_ARG(id),
	       answered ? "is missing" : "is too much");
	totals->wrong++;
	*agrees = false;
}

static void check_query(const struct advisory_db *db, const struct json *query,
			struct totals *totals)
{
	const struct json *vulns = json_get(query, SPAN("vulns"));
	struct span commit = text_of(query, SPAN("commit"));
	struct span name = commit.len ? commit : text_of(query, SPAN("name"));
	struct match_list list = {0};
	struct arena arena;
	bool agrees = true;

	arena_init(&arena, (size_t)16 << 20, (size_t)1 << 16);
	list.arena = &arena;
	totals->queries++;
	if (match_package(db, text_of(query, SPAN("ecosystem")), name,
			  text_of(query, SPAN("version")), &list) < 0) {
		printf("out of memory\n");
		totals->wrong++;
	}
	for (size_t i = 0; json_at(vulns, i); i++) {
		struct span id = SPAN_NONE;

		(void)json_string(json_at(vulns, i), &id);
		if (advisory_db_find(db, id) < 0)
			continue; /* an advisory that we do not have */
		totals->expected_ids++;
		if (!is_matched(db, &list, id))
			report(totals, query, name, id, true, &agrees);
	}
	for (size_t i = 0; i < list.count; i++) {
		struct span id = db_text_of(db, db_advisory_at(db, list.at[i].advisory)->id);

		if (!is_listed(vulns, id))
			report(totals, query, name, id, false, &agrees);
	}
	totals->agreed += agrees;
	arena_release(&arena);
}

static int check_all(const struct advisory_db *db, struct span lines)
{
	struct totals totals = {0};
	struct arena arena;
	unsigned unused = 0;

	arena_init(&arena, (size_t)16 << 20, (size_t)1 << 16);
	while (lines.len) {
		struct span line = span_cut(&lines, '\n');
		struct err err;
		const struct json *query;

		arena_reset(&arena);
		query = json_parse(&arena, line, NULL, &err);
		if (!query) {
			printf("a query: %s\n", err.message);
			return 1;
		}
		check_query(db, query, &totals);
	}
	arena_release(&arena);
	for (size_t i = 0; i < COUNT_OF(differences); i++)
		if (!totals.used[i]) {
			printf("%.*s %.*s is listed as a difference, and is none\n",
			       SPAN_ARG(differences[i].name), SPAN_ARG(differences[i].id));
			unused++;
		}
	printf("%llu advisories; %u queries, %u agree, with %u expected ids; %u known "
	       "differences, %u wrong\n",
	       (unsigned long long)advisory_db_rows(db, DB_ADVISORIES), totals.queries,
	       totals.agreed, totals.expected_ids, totals.differing, totals.wrong);
	return totals.wrong || unused ? 1 : 0;
}

static struct advisory_db *build(const char *advisories, const char *path, struct err *err)
{
	struct db_builder *builder = db_builder_new();
	struct db_input_counts counts = {0};
	struct advisory_db *db = NULL;

	if (builder &&
	    db_input_file(builder, advisories, &DB_INPUT_LIMITS_DEFAULT, &counts, err) == 0 &&
	    db_builder_write(builder, path, err) == 0)
		db = advisory_db_open(path, err);
	db_builder_free(builder);
	return db;
}

int main(int argc, char **argv)
{
	char folder[3072], advisories[4096], queries[4096];
	char path[] = "/tmp/sallyport-advisories-XXXXXX";
	struct advisory_db *db;
	struct buf lines;
	struct err err = {0};
	int result = 1, fd;

	if (argc < 2)
		return 2;
	data_folder(argv[1], folder, sizeof(folder));
	snprintf(advisories, sizeof(advisories), "%s/advisories/osv-8783.jsonl.zst", folder);
	snprintf(queries, sizeof(queries), "%s/advisories/osvdev-query-oracle.jsonl.zst",
		 folder);
	buf_init(&lines, (size_t)64 << 20);
	if (!data_read_zstd(queries, &lines)) {
		printf("skipped: no queries in %s/advisories\n", folder);
		buf_release(&lines);
		return DATA_SKIPPED;
	}
	fd = mkstemp(path);
	if (fd < 0)
		return 1;
	close(fd);
	db = build(advisories, path, &err);
	if (db && advisory_db_verify(db, &err) == 0)
		result = check_all(db, buf_span(&lines));
	else
		printf("%s\n", err.message);
	advisory_db_close(db);
	unlink(path);
	buf_release(&lines);
	return result;
}
