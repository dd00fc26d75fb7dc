/* go.mod and go.sum. */
#include "base/map.h"
#include "supply/lock_parse.h"

struct replacement {
	struct span version; /* empty: of every version */
	struct span to_path;
	struct span to_version; /* empty: a folder */
};

struct reader {
	const struct lock_input *in;
	struct map replaced; /* "path" or "path@version" -> struct replacement */
	struct span block; /* "require", "replace", ... within parentheses */
	struct span go;
	struct span toolchain;
	uint32_t go_line;
	bool known; /* some line was understood */
};

/* The next word, perhaps quoted; empty at the end. */
static struct span next_word(struct span *line)
{
	struct span word;
	size_t end = 0;

	*line = span_trim(*line);
	if (line->len && (line->ptr[0] == '"' || line->ptr[0] == '`')) {
		size_t close =
			1 + span_find_byte(span_slice(*line, 1, line->len), line->ptr[0]);

		word = span_slice(*line, 1, close);
		*line = span_slice(*line, close + 1, line->len);
		return word;
	}
	while (end < line->len && line->ptr[end] != ' ' && line->ptr[end] != '\t')
		end++;
	word = span_slice(*line, 0, end);
	*line = span_slice(*line, end, line->len);
	return word;
}

/* Without the 'v', as advisories write it. */
static struct span plain_version(struct span version)
{
	return version.len > 1 && version.ptr[0] == 'v' ? span_slice(version, 1, version.len)
							: version;
}

static void take_require(struct reader *r, struct span line, struct span comment,
			 uint32_t number)
{
	struct span path = next_word(&line);
	struct span version = next_word(&line);
	struct component *c;

	if (!path.len || !version.len) {
		inventory_problem(r->in->inv, r->in->file, number,
				  "a requirement without a version");
		return;
	}
	c = lock_add(r->in, ECOSYSTEM_GO, path, plain_version(version), number, NULL);
	if (c)
		c->relation = span_starts_with(span_trim(comment), SPAN("indirect"))
				      ? RELATION_TRANSITIVE
				      : RELATION_DIRECT;
	r->known = true;
}

static void take_replace(struct reader *r, struct span line, uint32_t number)
{
	struct replacement *to = arena_new(r->in->scratch, struct replacement);
	struct span path = next_word(&line);
	struct span word = next_word(&line);
	struct span key = path;

	if (!to) {
		r->in->inv->failed = true;
		return;
	}
	if (!span_eq(word, SPAN("=>"))) {
		to->version = word;
		key = arena_printf(r->in->scratch, "%.*s@%.*s", SPAN_ARG(path),
				   SPAN_ARG(plain_version(word)));
		word = next_word(&line);
	}
	to->to_path = next_word(&line);
	to->to_version = next_word(&line);
	if (!path.len || !span_eq(word, SPAN("=>")) || !to->to_path.len) {
		inventory_problem(r->in->inv, r->in->file, number, "a broken replacement");
		return;
	}
	if (!key.ptr || map_put(&r->replaced, key, to) < 0)
		r->in->inv->failed = true;
	r->known = true;
}

static int take_line(struct reader *r, struct span line, uint32_t number, struct err *err)
{
	static const struct span others[] = {SPAN_INIT("module"),  SPAN_INIT("exclude"),
					     SPAN_INIT("retract"), SPAN_INIT("godebug"),
					     SPAN_INIT("tool"),	   SPAN_INIT("ignore")};
	size_t slashes = span_find(line, SPAN("//"));
	struct span comment = span_slice(line, slashes + 2, line.len);
	struct span word;

	line = span_trim(span_slice(line, 0, slashes));
	if (!line.len)
		return 0;
	if (r->block.len && span_eq(line, SPAN(")"))) {
		r->block = SPAN("");
		return 0;
	}
	word = r->block;
	if (!word.len) {
		word = next_word(&line);
		line = span_trim(line);
		if (span_eq(line, SPAN("("))) {
			r->block = word;
			r->known = true;
			return 0;
		}
	}
	if (span_eq(word, SPAN("require"))) {
		take_require(r, line, comment, number);
	} else if (span_eq(word, SPAN("replace"))) {
		take_replace(r, line, number);
	} else if (span_eq(word, SPAN("go"))) {
		r->go = next_word(&line);
		r->go_line = number;
		r->known = true;
	} else if (span_eq(word, SPAN("toolchain"))) {
		r->toolchain = next_word(&line);
		r->go_line = number;
	} else {
		for (size_t i = 0; i < COUNT_OF(others); i++) {
			if (span_eq(word, others[i])) {
				r->known = true;
				return 0;
			}
		}
		return err_set(err, ERR_SYNTAX, "line %u: not a go.mod file", number);
	}
	return 0;
}

static void apply_replacements(struct reader *r, uint32_t first)
{
	for (uint32_t i = first; i < r->in->inv->count; i++) {
		struct component *c = &r->in->inv->at[i];
		struct span key = arena_printf(r->in->scratch, "%.*s@%.*s", SPAN_ARG(c->name),
					       SPAN_ARG(c->version));
		const struct replacement *to = key.ptr ? map_get(&r->replaced, key) : NULL;

		if (!to)
			to = map_get(&r->replaced, c->name);
		if (!to)
			continue;
		c->name = lock_text(r->in, to->to_path);
		c->version = lock_text(r->in, plain_version(to->to_version));
		c->local = to->to_version.len == 0;
	}
}

/* The standard library has advisories too; it is that of the toolchain. */
static void add_standard_library(struct reader *r)
{
	struct span version = r->go;
	struct component *c;

	if (span_starts_with(r->toolchain, SPAN("go")))
		version = span_slice(r->toolchain, 2, r->toolchain.len);
	if (!version.len || version.ptr[0] < '0' || version.ptr[0] > '9')
		return;
	c = lock_add(r->in, ECOSYSTEM_GO, SPAN("stdlib"), version, r->go_line, NULL);
	if (c)
		c->relation = RELATION_DIRECT;
}

int lock_go_mod(const struct lock_input *in, struct err *err)
{
	struct reader r = {.in = in, .replaced = MAP_INIT, .block = SPAN_INIT("")};
	uint32_t first = in->inv->count;
	struct lock_lines lines;
	struct span line;
	int result = 0;

	lock_lines_init(&lines, in->text);
	while (result == 0 && lock_lines_next(&lines, &line))
		result = take_line(&r, line, lines.number, err);
	if (result == 0 && r.block.len)
		result = err_set(err, ERR_SYNTAX, "line %u: a block without its end",
				 lines.number);
	apply_replacements(&r, first);
	add_standard_library(&r);
	map_release(&r.replaced);
	return result;
}

int lock_go_sum(const struct lock_input *in, struct err *err)
{
	struct lock_lines lines;
	struct span line;

	lock_lines_init(&lines, in->text);
	while (lock_lines_next(&lines, &line)) {
		struct span path, version, hash;

		line = span_trim(line);
		if (!line.len)
			continue;
		path = next_word(&line);
		version = next_word(&line);
		hash = next_word(&line);
		if (!hash.len || span_find_byte(hash, ':') == hash.len)
			return err_set(err, ERR_SYNTAX, "line %u: not a go.sum file",
				       lines.number);
		/* A hash of go.mod alone does not mean that the module is built in. */
		if (!span_ends_with(version, SPAN("/go.mod")))
			(void)lock_add(in, ECOSYSTEM_GO, path, plain_version(version),
				       lines.number, NULL);
	}
	return 0;
}
