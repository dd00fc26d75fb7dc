#include "supply/check_dockerfile.h"

#include "base/buf.h"
#include "parse/json.h"

#define INSTRUCTION_MAX_BYTES ((size_t)4 << 20)

struct reader {
	struct arena *arena;
	struct err *err;
	struct span rest;
	uint32_t line; /* of what `rest` begins with */
	char escape;
	struct buf value; /* of the instruction that is read */
	struct node *instructions;
	struct node *stages;
	struct node *stage; /* its list of instructions; NULL before the first FROM */
};

static int no_memory(struct reader *r)
{
	return err_set(r->err, ERR_MEMORY, "line %u: out of memory", r->line);
}

static struct span take_line(struct reader *r)
{
	struct span line = span_cut(&r->rest, '\n');

	r->line++;
	return line;
}

static bool is_comment(struct span line)
{
	struct span trimmed = span_trim(line);

	return trimmed.len > 0 && trimmed.ptr[0] == '#';
}

/* "# escape=`" and the like stand before everything else. */
static void read_directives(struct reader *r)
{
	while (r->rest.ptr) {
		struct span before = r->rest, line = take_line(r), value;
		struct span name;

		if (!is_comment(line)) {
			r->rest = before;
			r->line--;
			return;
		}
		value = span_slice(span_trim(line), 1, line.len);
		name = span_trim(span_cut(&value, '='));
		if (span_eq_nocase(name, SPAN("escape")) &&
		    span_eq(span_trim(value), SPAN("`")))
			r->escape = '`';
	}
}

static bool add_text(struct reader *r, struct node *map, struct span key, struct span text,
		     uint32_t line)
{
	struct node *n = node_add(r->arena, map, NODE_STRING, key, line);

	if (!n)
		return false;
	n->text = text.len ? text : SPAN("");
	return true;
}

static bool add_number(struct reader *r, struct node *map, struct span key, uint32_t number,
		       uint32_t line)
{
	struct node *n = node_add(r->arena, map, NODE_NUMBER, key, line);

	if (!n)
		return false;
	n->text = arena_printf(r->arena, "%u", number);
	return n->text.ptr != NULL;
}

/* The words of a shell's line without expansion; quotes are taken off. */
static bool add_words(struct reader *r, struct node *list, struct span value, uint32_t line)
{
	size_t i = 0;

	while (i < value.len) {
		struct buf word;
		char quote = '\0';
		bool kept;

		while (i < value.len && (value.ptr[i] == ' ' || value.ptr[i] == '\t'))
			i++;
		if (i == value.len)
			return true;
		buf_init(&word, INSTRUCTION_MAX_BYTES);
		for (; i < value.len; i++) {
			char c = value.ptr[i];

			if (quote ? c == quote : c == '\'' || c == '"')
				quote = quote ? '\0' : c;
			else if (!quote && (c == ' ' || c == '\t'))
				break;
			else
				buf_append_byte(&word, c);
		}
		kept = !buf_failed(&word) &&
		       add_text(r, list, SPAN_NONE, arena_dup(r->arena, buf_span(&word)), line);
		buf_release(&word);
		if (!kept)
			return false;
	}
	return true;
}

/* --- The commands of a shell's script, as far as words and operators tell. */

struct script {
	struct reader *r;
	struct node *list;
	struct node *command; /* NULL between commands */
	struct node *words;
	struct node *assigned;
	struct buf word;
	bool in_word;
	bool named;
	uint32_t line;
};

static bool begin_command(struct script *s)
{
	if (s->command)
		return true;
	s->command = node_add(s->r->arena, s->list, NODE_MAP, SPAN_NONE, s->line);
	if (!s->command)
		return false;
	s->words = node_add(s->r->arena, s->command, NODE_LIST, SPAN("words"), s->line);
	s->assigned = node_add(s->r->arena, s->command, NODE_LIST, SPAN("assigned"), s->line);
	s->named = false;
	return s->words && s->assigned;
}

/* NAME=value before the command's name. */
static bool is_assignment(struct span word)
{
	size_t n = 0;

	while (n < word.len &&
	       (word.ptr[n] == '_' || (word.ptr[n] >= '0' && word.ptr[n] <= '9') ||
		(ascii_lower(word.ptr[n]) >= 'a' && ascii_lower(word.ptr[n]) <= 'z')))
		n++;
	return n > 0 && n < word.len && word.ptr[n] == '=' &&
	       !(word.ptr[0] >= '0' && word.ptr[0] <= '9');
}

/* Words behind which another command begins. */
static bool is_reserved(struct span word)
{
	static const struct span words[] = {
		SPAN_INIT("if"), SPAN_INIT("then"),  SPAN_INIT("else"),	 SPAN_INIT("elif"),
		SPAN_INIT("do"), SPAN_INIT("while"), SPAN_INIT("until"), SPAN_INIT("!"),
		SPAN_INIT("{"),	 SPAN_INIT("time"),
	};

	for (size_t i = 0; i < COUNT_OF(words); i++)
		if (span_eq(word, words[i]))
			return true;
	return false;
}

static struct span base_name(struct span path)
{
	for (size_t i = path.len; i > 0; i--)
		if (path.ptr[i - 1] == '/')
			return span_slice(path, i, path.len);
	return path;
}

static bool end_word(struct script *s)
{
	struct span word;

	if (!s->in_word)
		return true;
	s->in_word = false;
	if (buf_failed(&s->word))
		return false;
	word = arena_dup(s->r->arena, buf_span(&s->word));
	buf_clear(&s->word);
	if (!word.ptr || !begin_command(s))
		return false;
	if (!s->named && is_reserved(word))
		return true;
	if (!s->named && is_assignment(word))
		return add_text(s->r, s->assigned, SPAN_NONE, word, s->line);
	if (!s->named && !add_text(s->r, s->command, SPAN("name"), base_name(word), s->line))
		return false;
	s->named = true;
	return add_text(s->r, s->words, SPAN_NONE, word, s->line);
}

static bool end_command(struct script *s)
{
	bool good = end_word(s);

	if (good && s->command && !s->named)
		good = add_text(s->r, s->command, SPAN("name"), SPAN(""), s->line);
	s->command = NULL;
	return good;
}

static bool read_script(struct script *s, struct span text)
{
	char quote = '\0';

	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];

		if (c == '\\' && quote != '\'' && i + 1 < text.len) {
			s->in_word = true;
			buf_append_byte(&s->word, text.ptr[++i]);
		} else if (quote ? c == quote : c == '\'' || c == '"') {
			quote = quote ? '\0' : c;
			s->in_word = true;
		} else if (quote) {
			buf_append_byte(&s->word, c);
		} else if (c == ' ' || c == '\t') {
			if (!end_word(s))
				return false;
		} else if (strchr(";&|()`\n", c)) {
			if (!end_command(s))
				return false;
		} else {
			s->in_word = true;
			buf_append_byte(&s->word, c);
		}
	}
	return end_command(s);
}

static bool add_commands(struct reader *r, struct node *map, struct span value, uint32_t line)
{
	struct script s = {.r = r, .line = line};
	bool good;

	s.list = node_add(r->arena, map, NODE_LIST, SPAN("commands"), line);
	if (!s.list)
		return false;
	buf_init(&s.word, INSTRUCTION_MAX_BYTES);
	good = read_script(&s, value);
	buf_release(&s.word);
	return good;
}

/* True when the value is the JSON form, ["a", "b"]; then its strings are the words. */
static bool add_json_words(struct reader *r, struct node *list, struct span value,
			   uint32_t line)
{
	const struct json *json;

	if (value.len == 0 || value.ptr[0] != '[')
		return false;
	json = json_parse(r->arena, value, NULL, NULL);
	if (!json || json->type != JSON_ARRAY)
		return false;
	for (size_t i = 0; i < json->array.count; i++) {
		struct span word;

		if (!json_string(&json->array.items[i], &word))
			return false;
	}
	for (size_t i = 0; i < json->array.count; i++)
		if (!add_text(r, list, SPAN_NONE, json->array.items[i].text, line))
			return false;
	return true;
}

/* --platform=... and the like, which stand before the value. */
static bool take_flags(struct reader *r, struct node *flags, struct span *value, uint32_t line)
{
	while (span_starts_with(*value, SPAN("--"))) {
		struct span flag = span_slice(*value, 0, span_find_byte(*value, ' '));

		if (!add_text(r, flags, SPAN_NONE, flag, line))
			return false;
		*value = span_trim(span_slice(*value, flag.len, value->len));
	}
	return true;
}

static bool fill(struct reader *r, struct node *map, struct span name, struct span value,
		 uint32_t line)
{
	char *upper = arena_alloc(r->arena, name.len + 1);
	struct node *flags, *words, *json;

	if (!upper)
		return false;
	for (size_t i = 0; i < name.len; i++)
		upper[i] = (char)(name.ptr[i] >= 'a' && name.ptr[i] <= 'z' ? name.ptr[i] - 32
									   : name.ptr[i]);
	flags = node_add(r->arena, map, NODE_LIST, SPAN("flags"), line);
	words = node_add(r->arena, map, NODE_LIST, SPAN("words"), line);
	json = node_add(r->arena, map, NODE_BOOL, SPAN("json"), line);
	if (!flags || !words || !json ||
	    !add_text(r, map, SPAN("name"), span_of(upper, name.len), line) ||
	    !take_flags(r, flags, &value, line) ||
	    !add_text(r, map, SPAN("value"), value, line))
		return false;
	json->boolean = add_json_words(r, words, value, line);
	if (!json->boolean && !add_words(r, words, value, line))
		return false;
	if (!span_eq_nocase(name, SPAN("RUN")) || json->boolean)
		return true;
	return add_commands(r, map, value, line);
}

static bool begin_stage(struct reader *r, const struct node *from, uint32_t line)
{
	const struct node *words = node_get(from, SPAN("words"));
	struct node *stage = node_add(r->arena, r->stages, NODE_MAP, SPAN_NONE, line);
	struct span image = node_text(node_first(words)), alias = SPAN_NONE,
		    platform = SPAN_NONE;
	bool named = false;

	node_for_each(word, words)
	{
		if (named)
			alias = node_text(word);
		named = span_eq_nocase(node_text(word), SPAN("AS"));
	}
	node_for_each(flag,
		      node_get(from, SPAN("flags"))) if (span_starts_with(node_text(flag),
									  SPAN("--platform=")))
		platform = span_slice(node_text(flag), 11, node_text(flag).len);
	if (!stage || !add_text(r, stage, SPAN("image"), image, line) ||
	    !add_text(r, stage, SPAN("alias"), alias, line) ||
	    !add_text(r, stage, SPAN("platform"), platform, line) ||
	    !add_number(r, stage, SPAN("index"), r->stages->count - 1, line))
		return false;
	r->stage = node_add(r->arena, stage, NODE_LIST, SPAN("instructions"), line);
	return r->stage != NULL;
}

static int add_instruction(struct reader *r, struct span name, struct span text, uint32_t line)
{
	struct span value = arena_dup(r->arena, span_trim(text));
	struct node *map = node_add(r->arena, r->instructions, NODE_MAP, SPAN_NONE, line);
	struct node *copy;

	if (!value.ptr || !map || !fill(r, map, name, value, line))
		return no_memory(r);
	if (span_eq_nocase(name, SPAN("FROM")) && !begin_stage(r, map, line))
		return no_memory(r);
	if (!add_number(r, map, SPAN("stage"), r->stages->count, line))
		return no_memory(r);
	if (!r->stage)
		return 0;
	copy = node_add(r->arena, r->stage, NODE_MAP, SPAN_NONE, line);
	if (!copy || !fill(r, copy, name, value, line))
		return no_memory(r);
	return 0;
}

/* Does the line go on? Then *line is without the sign and the space behind it. */
static bool continues(const struct reader *r, struct span *line)
{
	size_t len = line->len;

	while (len > 0 && (line->ptr[len - 1] == ' ' || line->ptr[len - 1] == '\t' ||
			   line->ptr[len - 1] == '\r'))
		len--;
	if (len == 0 || line->ptr[len - 1] != r->escape)
		return false;
	*line = span_slice(*line, 0, len - 1);
	return true;
}

/* The word behind "<<", without "-" and quotes; empty when the value has no here-document. */
static struct span heredoc_word(struct span *value)
{
	size_t at = span_find(*value, SPAN("<<"));
	struct span word = span_slice(*value, at + 2, value->len);
	size_t n = 0;

	if (at == value->len)
		return SPAN_NONE;
	*value = word;
	if (span_starts_with(word, SPAN("-")))
		word = span_slice(word, 1, word.len);
	if (word.len && (word.ptr[0] == '"' || word.ptr[0] == '\''))
		word = span_slice(word, 1, word.len);
	while (n < word.len &&
	       (word.ptr[n] == '_' || (word.ptr[n] >= '0' && word.ptr[n] <= '9') ||
		(ascii_lower(word.ptr[n]) >= 'a' && ascii_lower(word.ptr[n]) <= 'z')))
		n++;
	return span_slice(word, 0, n);
}

/* Only RUN, COPY and ADD take them. */
static void read_heredocs(struct reader *r, struct span name, struct span value)
{
	if (!span_eq_nocase(name, SPAN("RUN")) && !span_eq_nocase(name, SPAN("COPY")) &&
	    !span_eq_nocase(name, SPAN("ADD")))
		return;
	while (value.len) {
		struct span word = heredoc_word(&value);

		if (word.len == 0)
			return;
		while (r->rest.ptr) {
			struct span line = take_line(r);

			if (span_eq(span_trim(line), word))
				break;
			buf_append_byte(&r->value, '\n');
			buf_append(&r->value, line);
		}
	}
}

static int read_instruction(struct reader *r, struct span line)
{
	struct span first = span_trim(line), name, value;
	uint32_t number = r->line;
	size_t n = 0;
	bool more = continues(r, &first);

	while (n < first.len && first.ptr[n] != ' ' && first.ptr[n] != '\t')
		n++;
	if (n == 0)
		return 0; /* a continuation of nothing */
	name = span_slice(first, 0, n);
	buf_clear(&r->value);
	buf_append(&r->value, span_slice(first, n, first.len));
	while (more && r->rest.ptr) {
		struct span next = take_line(r);

		if (is_comment(next) || span_trim(next).len == 0)
			continue; /* neither ends it */
		more = continues(r, &next);
		buf_append_byte(&r->value, ' ');
		buf_append(&r->value, span_trim(next));
	}
	value = buf_failed(&r->value) ? SPAN_NONE : arena_dup(r->arena, buf_span(&r->value));
	if (!value.ptr)
		return no_memory(r);
	read_heredocs(r, name, value);
	if (buf_failed(&r->value))
		return no_memory(r);
	return add_instruction(r, name, buf_span(&r->value), number);
}

struct node *dockerfile_read(struct arena *a, struct span text, struct err *err)
{
	struct reader r = {.arena = a, .err = err, .rest = text, .escape = '\\'};
	struct node *root = node_add(a, NULL, NODE_MAP, SPAN_NONE, 1);
	int result = 0;

	if (span_starts_with(text, SPAN("\xef\xbb\xbf")))
		r.rest = span_slice(text, 3, text.len);
	buf_init(&r.value, INSTRUCTION_MAX_BYTES);
	if (root) {
		r.instructions = node_add(a, root, NODE_LIST, SPAN("instructions"), 1);
		r.stages = node_add(a, root, NODE_LIST, SPAN("stages"), 1);
	}
	if (!r.instructions || !r.stages) {
		(void)no_memory(&r);
		return NULL;
	}
	read_directives(&r);
	while (r.rest.ptr && result == 0) {
		struct span line = take_line(&r);

		if (span_trim(line).len && !is_comment(line))
			result = read_instruction(&r, line);
	}
	buf_release(&r.value);
	if (result == 0 && r.instructions->count == 0)
		result = err_set(err, ERR_SYNTAX, "line 1: no instructions");
	return result < 0 ? NULL : root;
}
