#include "supply/check_shell.h"

#include "base/buf.h"

#define DEPTH_MAX 32
#define WORD_MAX_BYTES ((size_t)1 << 20)
#define HEREDOCS_MAX 16

/* A here-document that begins behind this line. */
struct heredoc {
	struct span word;
	bool indented; /* "<<-": tabs before it do not count */
};

struct reader {
	struct arena *arena;
	struct err *err;
	struct span text;
	size_t at;
	uint32_t line;
	struct node *commands;
	struct heredoc heredocs[HEREDOCS_MAX];
	size_t heredoc_count;
};

/* The command that is being read; on each level its own. */
struct command {
	struct node *map; /* NULL: none yet */
	struct node *words;
	struct node *raw;
	struct node *assigned;
	struct node *previous; /* whose output it reads */
	bool named;
	struct buf word; /* without quotes */
	size_t word_start;
	bool in_word;
};

static int no_memory(struct reader *r)
{
	return err_set(r->err, ERR_MEMORY, "line %u: out of memory", r->line);
}

static struct node *add_text(struct reader *r, struct node *to, struct span key,
			     struct span text)
{
	struct node *n = node_add(r->arena, to, NODE_STRING, key, r->line);

	if (n)
		n->text = text.len ? text : SPAN("");
	return n;
}

static struct span base_name(struct span path)
{
	for (size_t i = path.len; i > 0; i--)
		if (path.ptr[i - 1] == '/')
			return span_slice(path, i, path.len);
	return path;
}

static bool is_name_byte(char c)
{
	return c == '_' || (c >= '0' && c <= '9') ||
	       (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z');
}

static bool is_assignment(struct span word)
{
	size_t n = 0;

	while (n < word.len && is_name_byte(word.ptr[n]))
		n++;
	if (n + 1 < word.len && word.ptr[n] == '+')
		n++;
	return n > 0 && n < word.len && word.ptr[n] == '=' &&
	       !(word.ptr[0] >= '0' && word.ptr[0] <= '9');
}

/* Words of compound commands, behind which a command begins. */
static bool is_reserved(struct span word)
{
	static const struct span words[] = {
		SPAN_INIT("if"),   SPAN_INIT("then"),  SPAN_INIT("else"),   SPAN_INIT("elif"),
		SPAN_INIT("fi"),   SPAN_INIT("do"),    SPAN_INIT("done"),   SPAN_INIT("while"),
		SPAN_INIT("esac"), SPAN_INIT("until"), SPAN_INIT("!"),	    SPAN_INIT("{"),
		SPAN_INIT("}"),	   SPAN_INIT("time"),  SPAN_INIT("coproc"),
	};

	for (size_t i = 0; i < COUNT_OF(words); i++)
		if (span_eq(word, words[i]))
			return true;
	return false;
}

static int begin_command(struct reader *r, struct command *c)
{
	if (c->map)
		return 0;
	c->map = node_add(r->arena, r->commands, NODE_MAP, SPAN_NONE, r->line);
	if (!c->map)
		return no_memory(r);
	c->words = node_add(r->arena, c->map, NODE_LIST, SPAN("words"), r->line);
	c->raw = node_add(r->arena, c->map, NODE_LIST, SPAN("raw"), r->line);
	c->assigned = node_add(r->arena, c->map, NODE_LIST, SPAN("assigned"), r->line);
	c->named = false;
	return c->words && c->raw && c->assigned ? 0 : no_memory(r);
}

static int name_command(struct reader *r, struct command *c, struct span word)
{
	struct span name = base_name(word);

	c->named = true;
	if (!add_text(r, c->map, SPAN("name"), name))
		return no_memory(r);
	if (c->previous && !add_text(r, c->previous, SPAN("pipe"), name))
		return no_memory(r);
	c->previous = NULL;
	return 0;
}

static int end_word(struct reader *r, struct command *c)
{
	struct span raw = span_slice(r->text, c->word_start, r->at), word;

	if (!c->in_word)
		return 0;
	c->in_word = false;
	word = buf_failed(&c->word) ? SPAN_NONE : arena_dup(r->arena, buf_span(&c->word));
	buf_clear(&c->word);
	if (!word.ptr)
		return no_memory(r);
	if (!c->named && is_reserved(raw))
		return 0;
	if (begin_command(r, c) < 0)
		return -1;
	if (!c->named && is_assignment(word))
		return add_text(r, c->assigned, SPAN_NONE, word) ? 0 : no_memory(r);
	if (!c->named && name_command(r, c, word) < 0)
		return -1;
	return add_text(r, c->words, SPAN_NONE, word) && add_text(r, c->raw, SPAN_NONE, raw)
		       ? 0
		       : no_memory(r);
}

/* `piped`: what follows reads its output. */
static int end_command(struct reader *r, struct command *c, bool piped)
{
	struct node *ended;

	if (end_word(r, c) < 0)
		return -1;
	ended = c->map;
	if (ended && !c->named && !add_text(r, ended, SPAN("name"), SPAN("")))
		return no_memory(r);
	c->map = NULL;
	c->named = false;
	if (ended || !piped)
		c->previous = piped ? ended : NULL;
	return 0;
}

static void begin_word(struct reader *r, struct command *c)
{
	if (!c->in_word)
		c->word_start = r->at;
	c->in_word = true;
}

static int read_commands(struct reader *r, char closing, unsigned depth);

/* $(...), `...`, <(...): commands of their own; what they are replaced by stays as written. */
static int read_inner(struct reader *r, struct command *c, size_t opening, char closing,
		      unsigned depth)
{
	size_t start = r->at;

	if (depth == DEPTH_MAX)
		return err_set(r->err, ERR_LIMIT, "line %u: nested too deeply", r->line);
	begin_word(r, c);
	r->at += opening;
	if (read_commands(r, closing, depth + 1) < 0)
		return -1;
	buf_append(&c->word, span_slice(r->text, start, r->at));
	return 0;
}

static bool starts(const struct reader *r, struct span what)
{
	return span_starts_with(span_slice(r->text, r->at, r->text.len), what);
}

/* "$((1 + 2))": no command in it. */
static void skip_arithmetic(struct reader *r, struct command *c)
{
	unsigned depth = 0;

	begin_word(r, c);
	for (; r->at < r->text.len; r->at++) {
		char ch = r->text.ptr[r->at];

		r->line += ch == '\n';
		buf_append_byte(&c->word, ch);
		depth += ch == '(';
		if (ch == ')' && --depth == 0) {
			r->at++;
			return;
		}
	}
}

static int read_single(struct reader *r, struct command *c)
{
	uint32_t line = r->line;

	begin_word(r, c);
	for (r->at++; r->at < r->text.len; r->at++) {
		char ch = r->text.ptr[r->at];

		if (ch == '\'') {
			r->at++;
			return 0;
		}
		r->line += ch == '\n';
		buf_append_byte(&c->word, ch);
	}
	return err_set(r->err, ERR_SYNTAX, "line %u: a quote that is not closed", line);
}

static int read_double(struct reader *r, struct command *c, unsigned depth)
{
	uint32_t line = r->line;

	begin_word(r, c);
	r->at++;
	while (r->at < r->text.len) {
		char ch = r->text.ptr[r->at];

		if (ch == '"') {
			r->at++;
			return 0;
		}
		if (starts(r, SPAN("$(")) && !starts(r, SPAN("$(("))) {
			if (read_inner(r, c, 2, ')', depth) < 0)
				return -1;
			continue;
		}
		if (ch == '`') {
			if (read_inner(r, c, 1, '`', depth) < 0)
				return -1;
			continue;
		}
		if (ch == '\\' && r->at + 1 < r->text.len)
			ch = r->text.ptr[++r->at];
		r->line += ch == '\n';
		buf_append_byte(&c->word, ch);
		r->at++;
	}
	return err_set(r->err, ERR_SYNTAX, "line %u: a quote that is not closed", line);
}

/* Behind "<<": remembers the word at which the document ends. */
static void take_heredoc(struct reader *r)
{
	struct heredoc h = {SPAN_NONE, false};
	size_t start;

	r->at += 2;
	if (starts(r, SPAN("-"))) {
		h.indented = true;
		r->at++;
	}
	while (r->at < r->text.len &&
	       (r->text.ptr[r->at] == ' ' || strchr("'\"\\", r->text.ptr[r->at])))
		r->at++;
	start = r->at;
	while (r->at < r->text.len && is_name_byte(r->text.ptr[r->at]))
		r->at++;
	h.word = span_slice(r->text, start, r->at);
	while (r->at < r->text.len && strchr("'\"", r->text.ptr[r->at]) && r->text.ptr[r->at])
		r->at++;
	if (h.word.len && r->heredoc_count < HEREDOCS_MAX)
		r->heredocs[r->heredoc_count++] = h;
}

/* At the beginning of a line. */
static void skip_heredocs(struct reader *r)
{
	for (size_t i = 0; i < r->heredoc_count; i++) {
		while (r->at < r->text.len) {
			struct span rest = span_slice(r->text, r->at, r->text.len);
			size_t n = span_find_byte(rest, '\n');
			struct span line = span_slice(rest, 0, n);

			r->at += n < rest.len ? n + 1 : n;
			r->line += n < rest.len;
			while (r->heredocs[i].indented && line.len && line.ptr[0] == '\t')
				line = span_slice(line, 1, line.len);
			if (span_eq(span_trim(line), r->heredocs[i].word))
				break;
		}
	}
	r->heredoc_count = 0;
}

static void skip_comment(struct reader *r)
{
	r->at += span_find_byte(span_slice(r->text, r->at, r->text.len), '\n');
}

/* "\" and what is behind it; a line that goes on is one line. */
static void read_escape(struct reader *r, struct command *c)
{
	if (starts(r, SPAN("\\\n")) || starts(r, SPAN("\\\r\n"))) {
		r->at += starts(r, SPAN("\\\n")) ? 2 : 3;
		r->line++;
		return;
	}
	begin_word(r, c);
	r->at++;
	if (r->at < r->text.len)
		buf_append_byte(&c->word, r->text.ptr[r->at++]);
}

static int read_operator(struct reader *r, struct command *c)
{
	char ch = r->text.ptr[r->at];
	bool piped = ch == '|' && !starts(r, SPAN("||"));

	if (end_command(r, c, piped) < 0)
		return -1;
	r->at++;
	if (ch == '\n') {
		r->line++;
		skip_heredocs(r);
	} else if (r->at < r->text.len &&
		   (r->text.ptr[r->at] == ch || (piped && r->text.ptr[r->at] == '&'))) {
		r->at++;
	}
	return 0;
}

/* 1: it was taken; 0: an ordinary byte of a word; -1. */
static int read_special(struct reader *r, struct command *c, unsigned depth)
{
	char ch = r->text.ptr[r->at];

	if (ch == '\'')
		return read_single(r, c) < 0 ? -1 : 1;
	if (ch == '"')
		return read_double(r, c, depth) < 0 ? -1 : 1;
	if (starts(r, SPAN("$((")) || (starts(r, SPAN("((")) && !c->in_word && !c->named)) {
		skip_arithmetic(r, c);
		return 1;
	}
	if (starts(r, SPAN("$(")) || starts(r, SPAN("<(")) || starts(r, SPAN(">(")))
		return read_inner(r, c, 2, ')', depth) < 0 ? -1 : 1;
	if (ch == '`')
		return read_inner(r, c, 1, '`', depth) < 0 ? -1 : 1;
	if (starts(r, SPAN("<<")) && !starts(r, SPAN("<<<"))) {
		if (end_word(r, c) < 0)
			return -1;
		take_heredoc(r);
		return 1;
	}
	if (starts(r, SPAN("<<<"))) {
		begin_word(r, c);
		buf_append_cstr(&c->word, "<<<");
		r->at += 3;
		return 1;
	}
	/* "2>&1" and "&>": no operators between commands */
	if (ch == '&' &&
	    ((r->at > 0 && strchr("<>", r->text.ptr[r->at - 1])) || starts(r, SPAN("&>"))))
		return 0;
	if (strchr(";&|()\n", ch) && ch)
		return read_operator(r, c) < 0 ? -1 : 1;
	return 0;
}

static int read_byte(struct reader *r, struct command *c, unsigned depth)
{
	char ch = r->text.ptr[r->at];
	int taken;

	if (ch == '\\') {
		read_escape(r, c);
		return 0;
	}
	if (ch == '#' && !c->in_word) {
		skip_comment(r);
		return 0;
	}
	if (ch == ' ' || ch == '\t' || ch == '\r') {
		if (end_word(r, c) < 0)
			return -1;
		r->at++;
		return 0;
	}
	taken = read_special(r, c, depth);
	if (taken != 0)
		return taken < 0 ? -1 : 0;
	begin_word(r, c);
	buf_append_byte(&c->word, ch);
	r->at++;
	return 0;
}

/* Up to `closing`, which is taken, or the end. */
static int read_commands(struct reader *r, char closing, unsigned depth)
{
	struct command c = {0};
	int result = 0;

	buf_init(&c.word, WORD_MAX_BYTES);
	while (result == 0 && r->at < r->text.len) {
		if (closing && r->text.ptr[r->at] == closing)
			break;
		result = read_byte(r, &c, depth);
	}
	if (result == 0)
		result = end_command(r, &c, false);
	if (result == 0 && closing && r->at < r->text.len)
		r->at++;
	buf_release(&c.word);
	return result;
}

static struct span interpreter(struct span text)
{
	struct span line = span_slice(text, 0, span_find_byte(text, '\n')), rest, word;

	if (!span_starts_with(line, SPAN("#!")))
		return SPAN("sh");
	rest = span_trim(span_slice(line, 2, line.len));
	word = base_name(span_cut(&rest, ' '));
	if (span_eq(word, SPAN("env")) && rest.ptr)
		word = span_cut(&rest, ' ');
	return span_trim(word);
}

struct node *shell_read(struct arena *a, struct span text, struct err *err)
{
	struct reader r = {.arena = a, .err = err, .text = text, .line = 1};
	struct node *root = node_add(a, NULL, NODE_MAP, SPAN_NONE, 1);

	if (root)
		r.commands = node_add(a, root, NODE_LIST, SPAN("commands"), 1);
	if (!r.commands || !add_text(&r, root, SPAN("shell"), interpreter(text))) {
		(void)no_memory(&r);
		return NULL;
	}
	return read_commands(&r, '\0', 0) < 0 ? NULL : root;
}
