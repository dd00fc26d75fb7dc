#include "contract/xml_check.h"

#include <libxml/parser.h>
#include <libxml/xmlerror.h>

#include "base/mem.h"

/* libxml2 takes ints. */
#define PIECE_BYTES ((size_t)1 << 20)

struct xml_check {
	struct xml_limits limits;
	xmlParserCtxtPtr parser;
	enum xml_result result;
	unsigned depth;
	size_t elements;
};

/* ---- what libxml2 calls ---------------------------------------------------------------------- */

static struct xml_check *check_of(void *context)
{
	xmlParserCtxtPtr parser = context;

	return parser->_private;
}

static void stop(void *context, enum xml_result result)
{
	struct xml_check *check = check_of(context);

	if (check->result == XML_MORE)
		check->result = result;
	xmlStopParser(check->parser);
}

static void on_document_start(void *context)
{
	struct xml_check *check = check_of(context);
	struct span encoding = span_cstr((const char *)check->parser->encoding);

	if (encoding.len && !span_eq_nocase(encoding, SPAN("utf-8")))
		stop(context, XML_ENCODING);
}

static void on_doctype(void *context, const xmlChar *name, const xmlChar *public_id,
		       const xmlChar *system_id)
{
	(void)name;
	(void)public_id;
	(void)system_id;
	stop(context, XML_DOCTYPE);
}

static void on_element_start(void *context, const xmlChar *name, const xmlChar *prefix,
			     const xmlChar *uri, int namespaces, const xmlChar **declared,
			     int attributes, int defaulted, const xmlChar **values)
{
	struct xml_check *check = check_of(context);

	(void)name;
	(void)prefix;
	(void)uri;
	(void)declared;
	(void)defaulted;
	(void)values;
	check->depth++;
	check->elements++;
	if (check->depth > check->limits.max_depth ||
	    check->elements > check->limits.max_elements ||
	    (unsigned)(attributes + namespaces) > check->limits.max_attributes)
		stop(context, XML_LIMIT);
}

static void on_element_end(void *context, const xmlChar *name, const xmlChar *prefix,
			   const xmlChar *uri)
{
	(void)name;
	(void)prefix;
	(void)uri;
	check_of(context)->depth--;
}

/* Only what follows from a document type can be asked for here, and there is none. */
static xmlEntityPtr on_entity(void *context, const xmlChar *name)
{
	(void)context;
	return xmlGetPredefinedEntity(name);
}

static void on_error(void *context, xmlErrorPtr error)
{
	xmlParserCtxtPtr parser = context;

	if (!parser || error->level < XML_ERR_ERROR)
		return;
	stop(context, error->code == XML_ERR_NO_MEMORY ? XML_MEMORY : XML_MALFORMED);
}

/* ---- checks ---------------------------------------------------------------------------------- */

struct xml_check *xml_check_new(const struct xml_limits *limits, struct err *err)
{
	struct xml_check *check = mem_zalloc(1, sizeof(*check));

	if (!check) {
		(void)err_set(err, ERR_MEMORY, "no memory to check XML");
		return NULL;
	}
	check->limits = limits ? *limits : XML_LIMITS_DEFAULT;
	check->result = XML_MALFORMED;
	return check;
}

void xml_check_free(struct xml_check *check)
{
	if (!check)
		return;
	xmlFreeParserCtxt(check->parser);
	mem_free(check);
}

static bool make_parser(struct xml_check *check)
{
	xmlSAXHandler handler = {
		.initialized = XML_SAX2_MAGIC,
		.startDocument = on_document_start,
		.internalSubset = on_doctype,
		.getEntity = on_entity,
		.startElementNs = on_element_start,
		.endElementNs = on_element_end,
		.serror = on_error,
	};

	check->parser = xmlCreatePushParserCtxt(&handler, NULL, NULL, 0, NULL);
	if (!check->parser)
		return false;
	check->parser->_private = check;
	xmlCtxtUseOptions(check->parser, XML_PARSE_NONET);
	return true;
}

bool xml_check_start(struct xml_check *check)
{
	check->depth = 0;
	check->elements = 0;
	check->result = XML_MORE;
	if (!check->parser ? make_parser(check)
			   : xmlCtxtResetPush(check->parser, NULL, 0, NULL, NULL) == 0) {
		check->parser->_private = check;
		return true;
	}
	check->result = XML_MEMORY;
	return false;
}

static void push(struct xml_check *check, struct span piece, bool last)
{
	int code =
		xmlParseChunk(check->parser, piece.len ? piece.ptr : "", (int)piece.len, last);

	if (code != XML_ERR_OK && check->result == XML_MORE && !check->parser->wellFormed)
		check->result = code == XML_ERR_NO_MEMORY ? XML_MEMORY : XML_MALFORMED;
}

enum xml_result xml_check_feed(struct xml_check *check, struct span piece)
{
	while (piece.len > 0 && check->result == XML_MORE) {
		struct span part = span_slice(piece, 0, PIECE_BYTES);

		/* UTF-16 and the like begin with one of these; such a text would not be ours. */
		if (memchr(part.ptr, 0, part.len))
			check->result = XML_ENCODING;
		else
			push(check, part, false);
		piece = span_slice(piece, part.len, piece.len);
	}
	return check->result;
}

enum xml_result xml_check_finish(struct xml_check *check)
{
	if (check->result == XML_MORE) {
		push(check, SPAN_NONE, true);
		if (check->result == XML_MORE)
			check->result = check->parser->wellFormed && check->elements > 0
						? XML_OK
						: XML_MALFORMED;
	}
	return check->result;
}

const char *xml_result_text(enum xml_result result)
{
	switch (result) {
	case XML_MORE: return "unfinished";
	case XML_OK: return "well-formed";
	case XML_MALFORMED: return "not well-formed XML";
	case XML_DOCTYPE: return "a document type is not allowed";
	case XML_ENCODING: return "an encoding other than UTF-8";
	case XML_LIMIT: return "more depth, elements or attributes than allowed";
	case XML_MEMORY: return "no memory";
	}
	return "unknown";
}
