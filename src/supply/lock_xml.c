#include <libxml/parser.h>
#include <libxml/tree.h>

#include "supply/lock_parse.h"

static struct span name_of(const xmlChar *name)
{
	return span_cstr((const char *)name);
}

/* The text and CDATA children of an element, joined; ptr NULL when memory ran out. */
static struct span text_of(struct arena *a, const xmlNode *element)
{
	struct span text = SPAN("");

	for (const xmlNode *n = element->children; n; n = n->next) {
		struct span piece = name_of(n->content);

		if ((n->type != XML_TEXT_NODE && n->type != XML_CDATA_SECTION_NODE) ||
		    span_trim(piece).len == 0)
			continue;
		text = text.len ? arena_printf(a, "%.*s%.*s", SPAN_ARG(text), SPAN_ARG(piece))
				: arena_dup(a, piece);
		if (!text.ptr)
			return text;
	}
	return span_trim(text);
}

static bool has_elements(const xmlNode *element)
{
	if (element->properties)
		return true;
	for (const xmlNode *n = element->children; n; n = n->next) {
		if (n->type == XML_ELEMENT_NODE)
			return true;
	}
	return false;
}

static bool add_text(struct arena *a, struct node *map, struct span key, struct span text,
		     uint32_t line)
{
	struct node *n = text.ptr ? node_add(a, map, NODE_STRING, key, line) : NULL;

	if (n)
		n->text = text;
	return n != NULL;
}

static bool add_attributes(struct arena *a, struct node *map, const xmlNode *element)
{
	for (const xmlAttr *attr = element->properties; attr; attr = attr->next) {
		const xmlNode *value = attr->children;
		struct span key = arena_printf(a, "@%s", (const char *)attr->name);
		struct span text = value && value->content
					   ? arena_dup(a, name_of(value->content))
					   : SPAN("");

		if (!key.ptr || !add_text(a, map, key, text, map->line))
			return false;
	}
	return true;
}

/* False when memory ran out, or it is nested too deeply. */
static bool convert(struct arena *a, const xmlNode *element, struct node *parent,
		    unsigned depth, struct node **made)
{
	bool map = has_elements(element);
	long line = xmlGetLineNo(element);
	struct span key = arena_dup(a, name_of(element->name));
	struct span text;
	struct node *n;

	if (!key.ptr || depth == NODE_DEPTH_MAX)
		return false;
	n = node_add(a, parent, map ? NODE_MAP : NODE_STRING, key,
		     line > 0 ? (uint32_t)line : 0);
	if (!n)
		return false;
	*made = n;
	if (!map) {
		text = text_of(a, element);
		n->text = text;
		return text.ptr != NULL;
	}
	if (!add_attributes(a, n, element))
		return false;
	for (const xmlNode *child = element->children; child; child = child->next) {
		struct node *inner;

		if (child->type == XML_ELEMENT_NODE && !convert(a, child, n, depth + 1, &inner))
			return false;
	}
	text = text_of(a, element);
	return text.ptr && (!text.len || add_text(a, n, SPAN("#text"), text, n->line));
}

struct node *lock_parse_xml(struct arena *a, struct span text, struct err *err)
{
	const int options = XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING |
			    XML_PARSE_COMPACT | XML_PARSE_BIG_LINES;
	xmlParserCtxt *context = NULL;
	xmlDoc *document = NULL;
	const xmlNode *element;
	struct node *root = NULL;

	if (text.len == 0 || text.len > INT32_MAX) {
		(void)err_set(err, text.len ? ERR_LIMIT : ERR_SYNTAX, "line 1: not XML: %s",
			      text.len ? "too large" : "empty");
		return NULL;
	}
	context = xmlNewParserCtxt();
	if (context)
		document = xmlCtxtReadMemory(context, text.ptr, (int)text.len, NULL, NULL,
					     options);
	if (!document) {
		const xmlError *e = context ? xmlCtxtGetLastError(context) : NULL;
		struct span message = e ? span_trim(span_cstr(e->message)) : SPAN("unreadable");

		(void)err_set(err, ERR_SYNTAX, "line %d: not XML: %.*s", e ? e->line : 1,
			      SPAN_ARG(message));
	} else {
		element = xmlDocGetRootElement(document);
		if (!element || !convert(a, element, NULL, 0, &root)) {
			root = NULL;
			(void)err_set(err, ERR_LIMIT, "line 1: not XML that fits into memory");
		}
	}
	xmlFreeDoc(document);
	xmlFreeParserCtxt(context);
	return root;
}
