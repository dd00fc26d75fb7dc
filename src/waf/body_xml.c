/* body_xml.c - XML bodies, by libxml2. */
#include <libxml/parser.h>
#include <libxml/tree.h>
#include <libxml/xpath.h>
#include <libxml/xpathInternals.h>
#include <limits.h>

#include "base/mem.h"
#include "waf/body_internal.h"

/* Steps of an XPath expression over one document. */
#define XPATH_STEPS_MAX 1000000

/*
 * Entities are refused where they are declared: a reference to one would be expanded, over and
 * over, each time that an expression selects what holds it.
 */
static void refuse_entity(void *context, const xmlChar *name, int type,
			  const xmlChar *public_id, const xmlChar *system_id, xmlChar *content)
{
	xmlParserCtxtPtr parser = context;

	(void)name;
	(void)type;
	(void)public_id;
	(void)system_id;
	(void)content;
	parser->wellFormed = 0;
	xmlStopParser(parser);
}

static bool too_deep(const xmlNode *node, unsigned max_depth)
{
	unsigned depth = 1;

	while (node) {
		if (depth > max_depth)
			return true;
		if (node->type == XML_ELEMENT_NODE && node->children) {
			node = node->children;
			depth++;
			continue;
		}
		while (node && !node->next) {
			node = node->parent;
			depth--;
			if (depth == 0 || !node || node->type == XML_DOCUMENT_NODE)
				return false;
		}
		if (node)
			node = node->next;
	}
	return false;
}

static int fail(struct arena *arena, struct body_error *error, const char *why)
{
	return body_fail(arena, error, "XML parsing error: XML: %s", why);
}

/* The parser's tree is whatever there is of it at the first error, as in libmodsecurity. */
static int parse(struct arena *arena, xmlParserCtxtPtr parser, const struct body_limits *limits,
		 struct body_xml *xml, struct body_error *error)
{
	int well_formed;

	xmlCtxtUseOptions(parser, XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
	parser->sax->entityDecl = refuse_entity;
	xmlParseChunk(parser, NULL, 0, 1);
	well_formed = parser->wellFormed;
	xml->document = parser->myDoc;
	if (!well_formed)
		return fail(arena, error, "Failed parsing document.");
	if (too_deep(xmlDocGetRootElement(xml->document), limits->max_depth))
		return fail(arena, error, "The document is nested too deep.");
	xml->well_formed = true;
	return 0;
}

int body_xml_parse(struct arena *arena, struct span body, const struct body_limits *limits,
		   struct body_xml **xml, struct body_error *error)
{
	xmlParserCtxtPtr parser;
	int result;

	*xml = NULL;
	if (body.len > limits->max_no_files_bytes || body.len > INT_MAX) {
		error->no_files_exceeded = true;
		return body_fail(arena, error, "Request body is longer than %zu bytes",
				 limits->max_no_files_bytes);
	}
	xmlInitParser();
	parser = xmlCreatePushParserCtxt(NULL, NULL, body.ptr ? body.ptr : "", (int)body.len,
					 "body.xml");
	*xml = mem_zalloc(1, sizeof(**xml));
	if (!parser || !*xml) {
		if (parser)
			xmlFreeParserCtxt(parser);
		mem_free(*xml);
		*xml = NULL;
		return -1;
	}
	result = parse(arena, parser, limits, *xml, error);
	xmlFreeParserCtxt(parser);
	if (result < 0 || !(*xml)->document) {
		body_xml_free(*xml);
		*xml = NULL;
	}
	return result;
}

void body_xml_free(struct body_xml *xml)
{
	if (!xml)
		return;
	if (xml->document)
		xmlFreeDoc(xml->document);
	mem_free(xml);
}

/* ---- selecting --------------------------------------------------------------------------------- */

static void ignore_error(void *context, xmlErrorPtr error)
{
	(void)context;
	(void)error;
}

static int copy_texts(struct arena *arena, const xmlNodeSet *nodes,
		      const struct body_limits *limits, struct span **texts, size_t *count)
{
	size_t most = nodes ? (size_t)nodes->nodeNr : 0;

	if (most > limits->max_arguments)
		most = limits->max_arguments;
	*texts = arena_array(arena, struct span, most ? most : 1);
	if (!*texts)
		return -1;
	for (size_t i = 0; i < most; i++) {
		xmlChar *content = xmlNodeGetContent(nodes->nodeTab[i]);
		struct span text;

		if (!content)
			continue;
		text = arena_dup(arena, span_cstr((const char *)content));
		xmlFree(content);
		if (!text.ptr)
			return -1;
		(*texts)[(*count)++] = text;
	}
	return 0;
}

static int evaluate(struct arena *arena, xmlXPathContextPtr context, const char *xpath,
		    const struct body_xml_namespace *namespaces, size_t namespace_count,
		    const struct body_limits *limits, struct span **texts, size_t *count)
{
	xmlXPathObjectPtr found;
	int result;

	context->error = ignore_error;
	context->opLimit = XPATH_STEPS_MAX;
	for (size_t i = 0; i < namespace_count; i++)
		if (xmlXPathRegisterNs(context, (const xmlChar *)namespaces[i].prefix,
				       (const xmlChar *)namespaces[i].href) != 0)
			return -1;
	found = xmlXPathEvalExpression((const xmlChar *)xpath, context);
	if (!found)
		return -1;
	result = copy_texts(arena, found->type == XPATH_NODESET ? found->nodesetval : NULL,
			    limits, texts, count);
	xmlXPathFreeObject(found);
	return result;
}

int body_xml_select(struct arena *arena, const struct body_xml *xml, const char *xpath,
		    const struct body_xml_namespace *namespaces, size_t namespace_count,
		    const struct body_limits *limits, struct span **texts, size_t *count)
{
	xmlXPathContextPtr context;
	int result;

	*texts = NULL;
	*count = 0;
	if (!xml)
		return 0;
	context = xmlXPathNewContext(xml->document);
	if (!context)
		return -1;
	result = evaluate(arena, context, xpath, namespaces, namespace_count, limits, texts,
			  count);
	xmlXPathFreeContext(context);
	return result;
}

bool body_xpath_valid(const char *xpath)
{
	xmlXPathContextPtr context = xmlXPathNewContext(NULL);
	xmlXPathCompExprPtr expression;

	if (!context)
		return false;
	context->error = ignore_error;
	expression = xmlXPathCtxtCompile(context, (const xmlChar *)xpath);
	xmlXPathFreeContext(context);
	if (!expression)
		return false;
	xmlXPathFreeCompExpr(expression);
	return true;
}
