#include "waf/seclang.h"

/* The length of the first target of the text; "|" in a quoted or slashed key does not end it. */
static size_t target_length(struct span text)
{
	size_t colon = span_find_byte(text, ':');
	size_t bar = span_find_byte(text, '|');
	size_t i;

	if (bar < colon || colon + 1 >= text.len)
		return bar;
	i = colon + 1;
	if (text.ptr[i] == '\'') {
		for (i++; i < text.len && text.ptr[i] != '\''; i++)
			if (text.ptr[i] == '\\' && i + 1 < text.len)
				i++;
		bar = i < text.len ? i + 1 : i;
		while (bar < text.len && text.ptr[bar] != '|')
			bar++;
		return bar;
	}
	if (text.ptr[i] == '/') {
		/* Up to a slash that ends the target; an XPath has none, and then no bar. */
		for (size_t end = i + 1; end < text.len; end++)
			if (text.ptr[end] == '/' && text.ptr[end - 1] != '\\' &&
			    (end + 1 == text.len || text.ptr[end + 1] == '|'))
				return end + 1;
	}
	return bar;
}

static int parse_key(struct span key, struct sec_target *target, struct err *err)
{
	if (key.len >= 2 && key.ptr[0] == '\'' && key.ptr[key.len - 1] == '\'')
		key = span_slice(key, 1, key.len - 1);
	if (key.len == 0)
		return err_set(err, ERR_SYNTAX, "nothing after the colon");
	target->key = key;
	if (target->variable == VAR_XML) {
		target->select = SEC_XPATH;
	} else if (key.len >= 2 && key.ptr[0] == '/' && key.ptr[key.len - 1] == '/') {
		target->select = SEC_PATTERN;
		target->key = span_slice(key, 1, key.len - 1);
	} else {
		target->select = SEC_KEY;
	}
	return 0;
}

static int parse_target(struct span text, struct sec_target *target, struct err *err)
{
	struct span name;
	size_t end = 0;

	*target = (struct sec_target){.select = SEC_ALL};
	text = span_trim(text);
	for (; text.len > 0 && (text.ptr[0] == '!' || text.ptr[0] == '&');
	     text = span_slice(text, 1, text.len)) {
		if (text.ptr[0] == '!')
			target->exclude = true;
		else
			target->count = true;
	}
	while (end < text.len && text.ptr[end] != ':' && text.ptr[end] != '.')
		end++;
	name = span_slice(text, 0, end);
	if (!variable_find(name, &target->variable, err))
		return -1;
	if (end == text.len)
		return 0;
	if (!variable_is_collection(target->variable))
		return err_set(err, ERR_SYNTAX, "%.*s is not a collection", SPAN_ARG(name));
	return parse_key(span_slice(text, end + 1, text.len), target, err);
}

int sec_targets_parse(struct arena *arena, struct span text, struct sec_targets *targets,
		      struct err *err)
{
	size_t cap = 1;
	struct span rest = text;

	for (size_t i = 0; i < text.len; i++)
		cap += text.ptr[i] == '|' || text.ptr[i] == ',';
	targets->at = arena_array(arena, struct sec_target, cap);
	targets->count = 0;
	if (!targets->at)
		return err_set(err, ERR_MEMORY, "no memory for variables");
	for (;;) {
		size_t length = target_length(rest);

		if (parse_target(span_slice(rest, 0, length), &targets->at[targets->count],
				 err) != 0)
			return -1;
		targets->count++;
		if (length >= rest.len)
			return 0;
		rest = span_slice(rest, length + 1, rest.len);
	}
}
