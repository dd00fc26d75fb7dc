#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "waf/body.h"
#include "waf/compile.h"
#include "waf/operator_geo.h"

int compile_error(struct compiler *c, struct sec_place place)
{
	return err_wrap(c->err, "%.*s:%u", SPAN_ARG(place.file), place.line);
}

static int no_memory(struct compiler *c)
{
	return err_set(c->err, ERR_MEMORY, "no memory for rules");
}

static struct span lower_copy(struct arena *arena, struct span text)
{
	struct span copy = arena_dup(arena, text);
	char *bytes;

	if (!copy.ptr)
		return copy;
	bytes = arena_alloc(arena, text.len + 1);
	if (!bytes)
		return SPAN_NONE;
	for (size_t i = 0; i < text.len; i++)
		bytes[i] = ascii_lower(text.ptr[i]);
	bytes[text.len] = '\0';
	return span_of(bytes, text.len);
}

uint32_t compile_tx_slot(struct compiler *c, struct span name)
{
	struct waf_rules *rules = c->rules;
	struct span lower = lower_copy(&rules->arena, name);
	void *found;

	if (!lower.ptr)
		return TX_NO_SLOT;
	found = map_get(&c->tx_slots, lower);
	if (found)
		return (uint32_t)((uintptr_t)found - 1);
	if (rules->tx_count == c->tx_cap) {
		uint32_t cap = c->tx_cap ? 2 * c->tx_cap : 128;
		struct span *names = arena_array(&rules->arena, struct span, cap);

		if (!names)
			return TX_NO_SLOT;
		if (rules->tx_count)
			memcpy(names, rules->tx_names, rules->tx_count * sizeof(*names));
		rules->tx_names = names;
		c->tx_cap = cap;
	}
	/* The address is but a number: the map keeps pointers. */
	if (map_put(&c->tx_slots, lower, (void *)((uintptr_t)rules->tx_count + 1)) != 0)
		return TX_NO_SLOT;
	rules->tx_names[rules->tx_count] = lower;
	return rules->tx_count++;
}

uint32_t rules_tx_slot(const struct waf_rules *rules, struct span name)
{
	for (uint32_t i = 0; i < rules->tx_count; i++)
		if (span_eq_nocase(rules->tx_names[i], name))
			return i;
	return TX_NO_SLOT;
}

uint16_t variable_list(enum variable variable)
{
	if (variable == VAR_ARGS_GET || variable == VAR_ARGS_POST)
		return VAR_ARGS;
	if (variable == VAR_ARGS_GET_NAMES || variable == VAR_ARGS_POST_NAMES)
		return VAR_ARGS_NAMES;
	return (uint16_t)variable;
}

/* ---- macros ---------------------------------------------------------------------------------- */

/* "tx.name" or "MATCHED_VAR" between the braces. */
static int macro_variable(struct compiler *c, struct span text, struct macro_piece *piece,
			  struct err *err)
{
	size_t end = 0;

	*piece = (struct macro_piece){.tx = TX_NO_SLOT};
	while (end < text.len && text.ptr[end] != '.' && text.ptr[end] != ':')
		end++;
	if (!variable_find(span_slice(text, 0, end), &piece->variable, err))
		return -1;
	piece->key = span_slice(text, end + 1, text.len);
	if (piece->variable == VAR_TX) {
		if (piece->key.len == 0)
			return err_set(err, ERR_SYNTAX, "TX needs a name");
		piece->key = lower_copy(&c->rules->arena, piece->key);
		piece->tx = compile_tx_slot(c, piece->key);
		if (!piece->key.ptr || piece->tx == TX_NO_SLOT)
			return no_memory(c);
	}
	c->rules->uses[piece->variable] = true;
	return 0;
}

static size_t count_macros(struct span text)
{
	size_t count = 0;

	for (size_t i = 0; i + 1 < text.len; i++)
		count += text.ptr[i] == '%' && text.ptr[i + 1] == '{';
	return count;
}

static struct macro_piece text_piece(struct span text)
{
	return (struct macro_piece){.variable = VAR_NONE, .text = text, .tx = TX_NO_SLOT};
}

int compile_macro(struct compiler *c, struct span text, bool loose, struct macro *macro)
{
	struct macro_piece *pieces =
		arena_array(&c->rules->arena, struct macro_piece, 2 * count_macros(text) + 1);
	uint32_t count = 0;
	size_t start = 0; /* of the text that is not in a piece yet */
	size_t i = 0;

	if (!pieces)
		return no_memory(c);
	while (i + 1 < text.len) {
		struct macro_piece piece;
		struct err why;
		size_t end = i + 2;

		if (text.ptr[i] != '%' || text.ptr[i + 1] != '{') {
			i++;
			continue;
		}
		while (end < text.len && text.ptr[end] != '}')
			end++;
		why.code = ERR_NONE;
		if (end == text.len ||
		    macro_variable(c, span_slice(text, i + 2, end), &piece, &why) != 0) {
			if (why.code == ERR_MEMORY)
				return no_memory(c);
			if (!loose)
				return err_set(c->err, ERR_INVALID, "in the macro %.*s: %s",
					       SPAN_ARG(span_slice(text, i, end + 1)),
					       why.code ? why.message : "it has no end");
			i += 2;
			continue;
		}
		if (i > start)
			pieces[count++] = text_piece(span_slice(text, start, i));
		pieces[count++] = piece;
		i = start = end + 1;
	}
	if (start < text.len)
		pieces[count++] = text_piece(span_slice(text, start, text.len));
	*macro = (struct macro){pieces, count};
	return 0;
}

/* ---- operators ------------------------------------------------------------------------------- */

int compile_keep_operator(struct compiler *c, struct operator* op)
{
	struct waf_rules *rules = c->rules;

	if (rules->operator_count == rules->operator_cap) {
		size_t cap = rules->operator_cap ? 2 * rules->operator_cap : 256;
		struct operator** grown =
			mem_realloc(rules->operators, cap * sizeof(*rules->operators));

		if (!grown) {
			operator_free(op);
			return no_memory(c);
		}
		rules->operators = grown;
		rules->operator_cap = cap;
	}
	rules->operators[rules->operator_count++] = op;
	return 0;
}

struct file_context {
	struct compiler *compiler;
	struct arena *arena;
	struct span file;
};

/* The data file that an operator names lies beside the file of the rule. */
static int load_data(void *context, struct span name, struct buf *to, struct err *err)
{
	struct file_context *file = context;
	struct span path = sec_resolve_path(file->arena, file->file, name);
	struct span content;

	if (!path.ptr)
		return err_set(err, ERR_MEMORY, "no memory for a path");
	if (sec_load_file(file->arena, path, &content, err) != 0)
		return -1;
	if (buf_append(to, content) != 0)
		return err_set(err, ERR_MEMORY, "no memory for %.*s", SPAN_ARG(path));
	return 0;
}

static int locate_data(void *context, struct span name, const char **path, struct err *err)
{
	struct file_context *file = context;
	struct span resolved = sec_resolve_path(file->arena, file->file, name);

	if (!resolved.ptr)
		return err_set(err, ERR_MEMORY, "no memory for a path");
	*path = resolved.ptr;
	return 0;
}

int compile_program(struct compiler *c, struct span file, struct span name, uint32_t *number,
		    struct err *err)
{
	const struct waf_sources *sources = c->sources;
	struct stat status;
	struct span path;

	*number = 0;
	while (span_starts_with(name, SPAN("./")))
		name = span_slice(name, 2, name.len);
	path = sec_resolve_path(&c->rules->arena, file, name);
	if (!path.ptr)
		return err_set(err, ERR_MEMORY, "no memory for a path");
	if (span_ends_with(path, SPAN(".lua")))
		return err_set(err, ERR_INVALID,
			       "Lua is not run inside of the gateway: make it a program");
	while (*number < sources->program_count && !span_eq(sources->programs[*number], path))
		++*number;
	if (*number == sources->program_count && !sources->any_program)
		return err_set(err, ERR_INVALID, "waf.programs.allow does not name %.*s",
			       SPAN_ARG(path));
	if (stat(path.ptr, &status) != 0 || access(path.ptr, X_OK) != 0)
		return err_set_errno(err, errno, "cannot run %.*s", SPAN_ARG(path));
	if (!S_ISREG(status.st_mode))
		return err_set(err, ERR_INVALID, "%.*s is not a file", SPAN_ARG(path));
	return 0;
}

static int find_program(void *context, struct span name, uint32_t *number, struct err *err)
{
	struct file_context *file = context;

	return compile_program(file->compiler, file->file, span_trim(name), number, err);
}

static int want_libinjection(struct compiler *c, struct err *err)
{
	if (!c->rules->libinjection)
		c->rules->libinjection = libinjection_open(NULL, err);
	return c->rules->libinjection ? 0 : -1;
}

static int want_geo(struct compiler *c, struct err *err)
{
	struct span path = c->rules->document.settings.geo_database;

	if (!c->rules->geo && path.len)
		c->rules->geo = geo_open(path.ptr, err);
	return c->rules->geo || !path.len ? 0 : -1;
}

struct operator* compile_operator(struct compiler *c, const struct operator_text *text,
				  bool dynamic, struct span file, struct err *err)
{
	struct file_context context = {c, &c->rules->arena, file};
	struct operator_options options = {.load = load_data,
					   .locate = locate_data,
					   .program = find_program,
					   .load_context = &context,
					   .httpbl_key =
						   c->rules->document.settings.httpbl_key};

	if ((text->kind == OPERATOR_DETECT_SQLI || text->kind == OPERATOR_DETECT_XSS) &&
	    want_libinjection(c, err) != 0)
		return NULL;
	if (text->kind == OPERATOR_GEO_LOOKUP && want_geo(c, err) != 0)
		return NULL;
	options.libinjection = c->rules->libinjection;
	options.geo = c->rules->geo;
	options.dynamic = dynamic;
	return operator_new(text, &options, err);
}

/* ---- selectors ------------------------------------------------------------------------------- */

static int xpath_list(struct compiler *c, struct span xpath, uint16_t *list)
{
	struct waf_rules *rules = c->rules;
	struct span *grown;
	struct span copy;
	uint32_t i = 0;

	while (i < rules->xpath_count && !span_eq(rules->xpaths[i], xpath))
		i++;
	if (i == rules->xpath_count) {
		copy = arena_dup(&rules->arena, xpath);
		grown = arena_array(&rules->arena, struct span, rules->xpath_count + 1);
		if (!copy.ptr || !grown)
			return no_memory(c);
		if (!body_xpath_valid(copy.ptr))
			return err_set(c->err, ERR_SYNTAX, "not an XPath expression: %.*s",
				       SPAN_ARG(xpath));
		for (uint32_t k = 0; k < rules->xpath_count; k++)
			grown[k] = rules->xpaths[k];
		grown[i] = copy;
		rules->xpaths = grown;
		rules->xpath_count++;
	}
	*list = (uint16_t)(VAR_COUNT + i);
	return 0;
}

static bool is_plain(char c)
{
	return (c >= '0' && c <= '9') || (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z') ||
	       c == '_' || c == '-';
}

int selector_simplify(struct arena *arena, struct selector *selector)
{
	struct span text = selector->key;
	bool prefix = text.len > 0 && text.ptr[0] == '^';

	if (prefix)
		text = span_slice(text, 1, text.len);
	if (span_ends_with(text, SPAN(".*")))
		text = span_slice(text, 0, text.len - 2);
	selector->pattern_kind = PATTERN_ANY;
	if (text.len == 0)
		return 0;
	for (size_t i = 0; i < text.len; i++)
		if (!is_plain(text.ptr[i]))
			return 0;
	selector->literal = lower_copy(arena, text);
	selector->pattern_kind = prefix ? PATTERN_PREFIX : PATTERN_SUBSTRING;
	return selector->literal.ptr ? 0 : -1;
}

static int pattern_selector(struct compiler *c, struct selector *selector)
{
	struct operator_text text = {.kind = OPERATOR_RX};
	struct operator_options options = {.load = NULL};

	text.parameter = arena_printf(&c->rules->arena, "(?i)%.*s", SPAN_ARG(selector->key));
	if (!text.parameter.ptr)
		return no_memory(c);
	selector->pattern = operator_new(&text, &options, c->err);
	if (!selector->pattern)
		return -1;
	if (selector_simplify(&c->rules->arena, selector) != 0)
		return no_memory(c);
	return compile_keep_operator(c, selector->pattern);
}

int compile_selector(struct compiler *c, const struct sec_target *target,
		     struct selector *selector)
{
	*selector = (struct selector){
		.variable = (uint16_t)target->variable,
		.list = variable_list(target->variable),
		.select = (uint8_t)target->select,
		.count = target->count,
		.tx = TX_NO_SLOT,
		.key = target->key,
	};
	c->rules->uses[target->variable] = true;
	if (target->variable == VAR_TX && target->select == SEC_KEY) {
		selector->tx = compile_tx_slot(c, target->key);
		if (selector->tx == TX_NO_SLOT)
			return no_memory(c);
	}
	if (target->select == SEC_XPATH)
		return xpath_list(c, target->key, &selector->list);
	if (target->select == SEC_PATTERN)
		return pattern_selector(c, selector);
	return 0;
}
