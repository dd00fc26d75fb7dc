#include "parse/forwarded.h"

/* tchar of RFC 9110 section 5.6.2. */
static bool token_char(char c)
{
	static const char others[] = "!#$%&'*+-.^_`|~";
	char lower = ascii_lower(c);

	return (lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9') ||
	       (c != '\0' && memchr(others, c, sizeof(others) - 1));
}

static size_t token_length(struct span s)
{
	size_t len = 0;

	while (len < s.len && token_char(s.ptr[len]))
		len++;
	return len;
}

/* Cuts what follows the last comma off *line. Only quotes without backslashes get this far. */
static struct span pop_element(struct span *line)
{
	struct span element = *line;
	bool quoted = false;

	for (size_t at = line->len; at > 0; at--) {
		if (line->ptr[at - 1] == '"') {
			quoted = !quoted;
		} else if (line->ptr[at - 1] == ',' && !quoted) {
			element = span_slice(*line, at, line->len);
			line->len = at - 1;
			return element;
		}
	}
	*line = SPAN_NONE;
	return element;
}

/* The value after "=": a token or a quoted string, taken off the front of *rest. */
static bool take_value(struct span *rest, struct span *value)
{
	size_t len;

	if (rest->len > 0 && rest->ptr[0] == '"') {
		struct span inner = span_slice(*rest, 1, rest->len);

		len = span_find_byte(inner, '"');
		if (len == inner.len)
			return false;
		*value = span_slice(inner, 0, len);
		*rest = span_slice(inner, len + 1, inner.len);
		for (size_t i = 0; i < value->len; i++)
			if ((unsigned char)value->ptr[i] < 0x20 || value->ptr[i] == 0x7f ||
			    value->ptr[i] == '\\')
				return false;
		return true;
	}
	len = token_length(*rest);
	*value = span_slice(*rest, 0, len);
	*rest = span_slice(*rest, len, rest->len);
	return len > 0;
}

static struct span *member_for(struct forwarded_element *element, struct span name)
{
	if (span_eq_nocase(name, SPAN("for")))
		return &element->for_node;
	if (span_eq_nocase(name, SPAN("by")))
		return &element->by_node;
	if (span_eq_nocase(name, SPAN("host")))
		return &element->host;
	if (span_eq_nocase(name, SPAN("proto")))
		return &element->proto;
	return NULL;
}

bool forwarded_pop(struct span *line, struct forwarded_element *element)
{
	struct span rest;

	*element = (struct forwarded_element){0};
	/* With a backslash a quote's meaning could not be seen from the right. */
	if (span_find_byte(*line, '\\') < line->len)
		return false;
	rest = span_trim(pop_element(line));
	while (rest.len > 0) {
		size_t name_len = token_length(rest);
		struct span name = span_slice(rest, 0, name_len);
		struct span *member = member_for(element, name);
		struct span value;

		if (name_len == 0 || name_len == rest.len || rest.ptr[name_len] != '=')
			return false;
		rest = span_slice(rest, name_len + 1, rest.len);
		if (!take_value(&rest, &value) || (member && member->ptr))
			return false;
		if (member)
			*member = value;
		/* RFC 7239 section 4 has no space around ";", yet some senders write one after it. */
		if (rest.len == 0)
			break;
		if (rest.ptr[0] != ';')
			return false;
		rest = span_trim(span_slice(rest, 1, rest.len));
	}
	return true;
}

/* RFC 7239 section 6: "unknown" or "_obfuscated", with or without a port. */
static bool hides_address(struct span node)
{
	struct span name = span_slice(node, 0, span_find_byte(node, ':'));

	if (span_eq_nocase(name, SPAN("unknown")))
		return true;
	return name.len > 1 && name.ptr[0] == '_' && token_length(name) == name.len;
}

/* RFC 7239 section 6: IPv6 stands in brackets, and a port may follow. */
static enum forwarded_result accept_node(const struct cidr_set *trusted, struct span node,
					 struct address *client)
{
	struct address next;
	uint16_t port;

	if (hides_address(node))
		return FORWARDED_HIDDEN;
	if (!address_parse_port(node, &next, &port))
		return FORWARDED_BAD;
	*client = next;
	return cidr_set_contains(trusted, client) ? FORWARDED_MORE : FORWARDED_FOUND;
}

enum forwarded_result forwarded_walk_x_forwarded_for(const struct cidr_set *trusted,
						     struct span line, struct address *client)
{
	if (!cidr_set_contains(trusted, client))
		return FORWARDED_FOUND;
	while (line.ptr) {
		struct span element;
		enum forwarded_result result;
		size_t at = line.len;

		while (at > 0 && line.ptr[at - 1] != ',')
			at--;
		element = span_trim(span_slice(line, at, line.len));
		line = at > 0 ? span_of(line.ptr, at - 1) : SPAN_NONE;
		if (element.len == 0)
			continue; /* RFC 9110 section 5.6.1.2: empty list elements are ignored */
		result = accept_node(trusted, element, client);
		if (result != FORWARDED_MORE)
			return result;
	}
	return FORWARDED_MORE;
}

enum forwarded_result forwarded_walk(const struct cidr_set *trusted, struct span line,
				     struct address *client)
{
	if (!cidr_set_contains(trusted, client))
		return FORWARDED_FOUND;
	while (line.ptr) {
		struct forwarded_element element;
		enum forwarded_result result;
		struct span before = line;

		if (!forwarded_pop(&line, &element))
			return FORWARDED_BAD;
		if (!element.for_node.ptr) {
			/* An empty list element is ignored; one without "for" tells no address. */
			if (span_trim(
				    span_slice(before, line.ptr ? line.len + 1 : 0, before.len))
				    .len == 0)
				continue;
			return FORWARDED_HIDDEN;
		}
		result = accept_node(trusted, element.for_node, client);
		if (result != FORWARDED_MORE)
			return result;
	}
	return FORWARDED_MORE;
}
