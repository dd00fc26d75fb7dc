/*
 * desync_test.c - requests with a label of how dangerous they are: what is severe or ambiguous is
 * refused, without exceptions; what is compliant or acceptable is accepted, but for the listed
 * differences. Usage: desync_test PROJECT
 */
#include <dirent.h>
#include <stdio.h>
#include <yaml.h>

#include "base/compiler.h"
#include "differences.h"
#include "drive.h"

#define HEADERS_MAX 400
#define NAMES_MAX 512

struct request {
	struct span name, method, uri, version, tier;
	struct span header_names[HEADERS_MAX], header_values[HEADERS_MAX];
	size_t header_count;
};

static struct span scalar(const yaml_node_t *node)
{
	if (!node || node->type != YAML_SCALAR_NODE)
		return SPAN_NONE;
	return span_of(node->data.scalar.value, node->data.scalar.length);
}

static yaml_node_t *member(yaml_document_t *document, const yaml_node_t *map, struct span key)
{
	if (!map || map->type != YAML_MAPPING_NODE)
		return NULL;
	for (yaml_node_pair_t *p = map->data.mapping.pairs.start;
	     p < map->data.mapping.pairs.top; p++) {
		if (span_eq(scalar(yaml_document_get_node(document, p->key)), key))
			return yaml_document_get_node(document, p->value);
	}
	return NULL;
}

/* False when the case has not the form that this test knows. */
static bool read_case(yaml_document_t *document, const yaml_node_t *node, struct request *r)
{
	yaml_node_t *headers = member(document, node, SPAN("headers"));
	yaml_node_t *expected = member(document, node, SPAN("expected"));

	r->name = scalar(member(document, node, SPAN("name")));
	r->method = scalar(member(document, node, SPAN("method")));
	r->uri = scalar(member(document, node, SPAN("uri")));
	r->version = scalar(member(document, node, SPAN("version")));
	r->tier = scalar(member(document, expected, SPAN("tier")));
	r->header_count = 0;
	if (headers && headers->type == YAML_SEQUENCE_NODE) {
		for (yaml_node_item_t *i = headers->data.sequence.items.start;
		     i < headers->data.sequence.items.top; i++) {
			yaml_node_t *header = yaml_document_get_node(document, *i);

			if (r->header_count == HEADERS_MAX)
				return false;
			r->header_names[r->header_count] =
				scalar(member(document, header, SPAN("name")));
			r->header_values[r->header_count++] =
				scalar(member(document, header, SPAN("value")));
		}
	}
	return r->name.ptr && r->method.ptr && r->uri.ptr && r->version.ptr && r->tier.ptr;
}

static void compose(const struct request *r, struct buf *to)
{
	bool has_host = false;

	buf_append(to, r->method);
	buf_append_byte(to, ' ');
	buf_append(to, r->uri);
	if (r->version.len) {
		buf_append_byte(to, ' ');
		buf_append(to, r->version);
	}
	buf_append(to, SPAN("\r\n"));
	for (size_t i = 0; i < r->header_count; i++) {
		has_host |= span_eq_nocase(r->header_names[i], SPAN("host"));
		buf_append(to, r->header_names[i]);
		buf_append_byte(to, ':');
		buf_append(to, r->header_values[i]);
		buf_append(to, SPAN("\r\n"));
	}
	if (!has_host)
		buf_append(to, SPAN("Host: localhost\r\n"));
	buf_append(to, SPAN("\r\n"));
}

/* "\xa0" in YAML is a character; here as the byte that is meant: two-byte UTF-8 is folded. */
static void fold_to_latin1(struct span text, struct buf *to)
{
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.ptr[i];

		if ((c == 0xc2 || c == 0xc3) && i + 1 < text.len) {
			c = (unsigned char)((c & 3) << 6 |
					    ((unsigned char)text.ptr[++i] & 0x3f));
		}
		buf_append_byte(to, (char)c);
	}
}

/* In both spellings; the outcome is that of the first which is not as it should be. */
static const char *drive_both(const struct request *r, bool should_pass)
{
	static const struct drive_options options = {
		.limits = {.line_bytes = 8192,
			   .head_bytes = 65536,
			   .field_count = DRIVE_FIELDS_MAX}};
	struct buf utf8, latin1;
	const char *outcome;

	buf_init(&utf8, (size_t)1 << 20);
	buf_init(&latin1, (size_t)1 << 20);
	compose(r, &utf8);
	fold_to_latin1(buf_span(&utf8), &latin1);
	outcome = drive_head(buf_span(&utf8), &options);
	if ((strcmp(outcome, DRIVE_ACCEPTED) == 0) == should_pass)
		outcome = drive_head(buf_span(&latin1), &options);
	if (buf_failed(&utf8) || buf_failed(&latin1))
		outcome = "out of memory";
	buf_release(&utf8);
	buf_release(&latin1);
	return outcome;
}

static void run_case(struct differences *d, const struct request *r, const char *name)
{
	bool dangerous =
		span_eq(r->tier, SPAN("Severe")) || span_eq(r->tier, SPAN("Ambiguous"));
	bool harmless =
		span_eq(r->tier, SPAN("Compliant")) || span_eq(r->tier, SPAN("Acceptable"));
	const char *outcome = drive_both(r, harmless);
	bool accepted = strcmp(outcome, DRIVE_ACCEPTED) == 0;

	if (!dangerous && !harmless) {
		fprintf(stderr, "%s: an unknown tier\n", name);
		d->failures++;
	} else if (dangerous && accepted) {
		fprintf(stderr, "%s: %.*s, but accepted\n", name, SPAN_ARG(r->tier));
		d->failures++;
	} else if (dangerous && strcmp(outcome, "incomplete") == 0) {
		fprintf(stderr, "%s: read on instead of refused\n", name);
		d->failures++;
	}
	differences_check(d, span_cstr(name), harmless && !accepted, outcome);
}

static unsigned run_document(struct differences *d, yaml_document_t *document, const char *file)
{
	static struct request r;
	struct {
		struct span name;
	} seen[NAMES_MAX];
	yaml_node_t *root = yaml_document_get_root_node(document);
	unsigned count = 0;

	if (!root || root->type != YAML_SEQUENCE_NODE) {
		fprintf(stderr, "%s: not a list of cases\n", file);
		d->failures++;
		return 0;
	}
	for (yaml_node_item_t *i = root->data.sequence.items.start;
	     i < root->data.sequence.items.top; i++) {
		char name[512], nth[16] = "";
		unsigned same = 1;

		if (count == NAMES_MAX ||
		    !read_case(document, yaml_document_get_node(document, *i), &r)) {
			fprintf(stderr, "%s: case %u is not understood\n", file, count + 1);
			d->failures++;
			return count;
		}
		for (unsigned j = 0; j < count; j++)
			same += span_eq(seen[j].name, r.name);
		seen[count++].name = r.name;
		if (same > 1)
			snprintf(nth, sizeof(nth), " (%u)", same);
		snprintf(name, sizeof(name), "desync/%s: %.*s%s", file, SPAN_ARG(r.name), nth);
		run_case(d, &r, name);
	}
	return count;
}

static unsigned run_file(struct differences *d, const char *path, const char *file)
{
	yaml_document_t document;
	yaml_parser_t parser;
	struct buf text;
	unsigned count = 0;

	buf_init(&text, (size_t)1 << 20);
	if (!read_file(path, &text) || !yaml_parser_initialize(&parser)) {
		d->failures++;
		buf_release(&text);
		return 0;
	}
	yaml_parser_set_input_string(&parser, (const unsigned char *)text.ptr, text.len);
	if (yaml_parser_load(&parser, &document)) {
		count = run_document(d, &document, file);
		yaml_document_delete(&document);
	} else {
		fprintf(stderr, "%s: line %zu: %s\n", path, parser.problem_mark.line + 1,
			parser.problem);
		d->failures++;
	}
	yaml_parser_delete(&parser);
	buf_release(&text);
	return count;
}

int main(int argc, char **argv)
{
	static struct differences d;
	char root[2048], path[4096], page[2048];
	struct dirent *entry;
	unsigned count = 0, failures;
	DIR *directory;

	if (argc != 2)
		return 2;
	if (!data_directory(argv[1], "http1/desync", root, sizeof(root)))
		return 77;
	snprintf(page, sizeof(page), "%s/docs/http-strictness.md", argv[1]);
	if (!differences_load(&d, page, SPAN("desync/")))
		return 1;
	directory = opendir(root);
	while (directory && (entry = readdir(directory))) {
		struct span file = span_cstr(entry->d_name);
		char stem[256];

		if (!span_ends_with(file, SPAN(".yaml")))
			continue;
		snprintf(path, sizeof(path), "%s/%s", root, entry->d_name);
		snprintf(stem, sizeof(stem), "%.*s", (int)file.len - 5, file.ptr);
		count += run_file(&d, path, stem);
	}
	if (directory)
		closedir(directory);
	if (count == 0) {
		fprintf(stderr, "no cases in %s\n", root);
		d.failures++;
	}
	printf("%u cases, %zu listed differences\n", count, d.count);
	failures = differences_end(&d);
	return failures ? 1 : 0;
}
