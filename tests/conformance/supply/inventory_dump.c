/*
 * inventory_dump.c - what our parsers find, a JSON object a line, for lockfiles_test.py, which
 * derives by other means what they should.
 * Usage: inventory_dump KIND FILE [KIND FILE]...   (KIND "scan": any path)
 */
#include <stdio.h>

#include "data.h"
#include "parse/json_write.h"
#include "supply/inventory.h"
#include "supply/lock_parse.h"

static const struct {
	const char *kind;
	int (*parse)(const struct lock_input *in, struct err *err);
} kinds[] = {
	{"apk", os_apk},
	{"binary", lock_binary},
	{"bun", lock_bun},
	{"bundler", lock_bundler},
	{"cabal", lock_cabal},
	{"cargo", lock_cargo},
	{"composer", lock_composer},
	{"conan", lock_conan},
	{"dist-info", lock_dist_info},
	{"dockerfile", lock_dockerfile},
	{"dotnet-deps", lock_dotnet_deps},
	{"dpkg", os_dpkg},
	{"go-mod", lock_go_mod},
	{"go-sum", lock_go_sum},
	{"gradle", lock_gradle},
	{"gradle-verification", lock_gradle_verification},
	{"maven", lock_maven},
	{"mix", lock_mix},
	{"npm", lock_npm},
	{"nuget", lock_nuget},
	{"nuget-config", lock_nuget_config},
	{"pdm", lock_pdm},
	{"pipfile", lock_pipfile},
	{"pnpm", lock_pnpm},
	{"poetry", lock_poetry},
	{"pub", lock_pub},
	{"pylock", lock_pylock},
	{"renv", lock_renv},
	{"requirements", lock_requirements},
	{"rpm-ndb", os_rpm_ndb},
	{"rpm-sqlite", os_rpm_sqlite},
	{"stack", lock_stack},
	{"swift", lock_swift},
	{"uv", lock_uv},
	{"workflow", lock_workflow},
	{"yarn", lock_yarn},
};

static int parse_file(struct inventory *inv, const char *kind, const char *path,
		      struct err *err)
{
	struct arena scratch;
	struct buf text;
	int result = -2;

	buf_init(&text, (size_t)512 << 20);
	arena_init(&scratch, (size_t)8 << 30, 1 << 20);
	if (data_read(path, &text)) {
		const struct lock_input in = {.inv = inv,
					      .scratch = &scratch,
					      .file = SPAN("file"),
					      .text = buf_span(&text),
					      .layer = COMPONENT_NONE};

		for (size_t i = 0; i < COUNT_OF(kinds); i++) {
			if (strcmp(kind, kinds[i].kind) == 0)
				result = kinds[i].parse(&in, err);
		}
	}
	arena_release(&scratch);
	buf_release(&text);
	return result;
}

static void member_list(struct json_writer *w, const char *key, const struct inventory *inv,
			const uint32_t *at, uint32_t count)
{
	json_key(w, span_cstr(key));
	json_begin_array(w);
	for (uint32_t i = 0; i < count; i++)
		json_put_string(w, inv->at[at[i]].purl);
	json_end_array(w);
}

static void put_component(struct json_writer *w, const struct inventory *inv,
			  const struct component *c)
{
	json_begin_object(w);
	json_member_string(w, SPAN("name"), c->name);
	json_member_string(w, SPAN("version"), c->version);
	json_member_string(w, SPAN("purl"), c->purl);
	json_member_string(w, SPAN("commit"), c->commit);
	json_member_string(w, SPAN("source"), c->source_name);
	json_member_string(w, SPAN("source_version"), c->source_version);
	json_member_string(w, SPAN("licence"), c->licence);
	json_member_string(w, SPAN("file"), c->file);
	json_member_int(w, SPAN("line"), c->line);
	json_member_int(w, SPAN("layer"), c->layer == COMPONENT_NONE ? -1 : (int64_t)c->layer);
	json_member_int(w, SPAN("scope"), c->scope);
	json_member_int(w, SPAN("relation"), c->relation);
	json_member_bool(w, SPAN("local"), c->local);
	json_member_string(w, SPAN("owner"),
			   c->owner == COMPONENT_NONE ? SPAN("") : inv->at[c->owner].name);
	member_list(w, "requires", inv, c->requires, c->requires_count);
	json_end_object(w);
}

static void put_all(const struct inventory *inv, int result, const struct err *err)
{
	struct json_writer w;
	struct buf text;

	buf_init(&text, (size_t)1 << 30);
	json_writer_init(&w, &text);
	json_begin_object(&w);
	json_member_string(&w, SPAN("error"), result < 0 ? span_cstr(err->message) : SPAN(""));
	json_key(&w, SPAN("problems"));
	json_begin_array(&w);
	for (size_t i = 0; i < inv->problem_count; i++) {
		char line[BUF_U64_DIGITS];

		json_begin_array(&w);
		json_put_string(&w, inv->problems[i].file);
		json_put_raw(&w, buf_u64_digits(line, inv->problems[i].line));
		json_put_string(&w, inv->problems[i].message);
		json_end_array(&w);
	}
	json_end_array(&w);
	json_key(&w, SPAN("components"));
	json_begin_array(&w);
	for (uint32_t i = 0; i < inv->count; i++)
		put_component(&w, inv, &inv->at[i]);
	json_end_array(&w);
	json_end_object(&w);
	printf("%.*s\n", SPAN_ARG(buf_span(&text)));
	buf_release(&text);
}

int main(int argc, char **argv)
{
	const struct inventory_options options = {.limits = INVENTORY_LIMITS_DEFAULT};

	for (int i = 1; i + 1 < argc; i += 2) {
		struct inventory inv;
		struct err err = {0};
		int result;

		inventory_init(&inv, INVENTORY_TEXT_BYTES);
		if (strcmp(argv[i], "scan") == 0) {
			result = inventory_scan(&inv, argv[i + 1], &options, &err);
		} else {
			result = parse_file(&inv, argv[i], argv[i + 1], &err);
			if (result == -2) {
				fprintf(stderr, "unknown kind or file: %s %s\n", argv[i],
					argv[i + 1]);
				return 2;
			}
			if (inventory_finish(&inv, &err) < 0)
				result = -1;
		}
		put_all(&inv, result, &err);
		inventory_release(&inv);
	}
	return 0;
}
