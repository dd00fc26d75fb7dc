#include "waf/xml_valid.h"

#include <libxml/parser.h>
#include <libxml/valid.h>
#include <libxml/xmlschemas.h>
#include <pthread.h>

#include "base/mem.h"
#include "waf/body_internal.h"

struct xml_validator {
	xmlSchemaPtr schema; /* or */
	xmlDtdPtr dtd;
};

static pthread_once_t library_once = PTHREAD_ONCE_INIT;

/* A schema or DTD may name others: files only. */
static void start_library(void)
{
	xmlInitParser();
	xmlSetExternalEntityLoader(xmlNoNetExternalEntityLoader);
}

/* The first of the problems, which is what the others come from. */
static void keep_problem(void *context, xmlErrorPtr problem)
{
	struct err *err = context;
	struct span text = span_trim(span_cstr(problem->message ? problem->message : "?"));

	if (err->code == ERR_NONE && problem->level >= XML_ERR_ERROR)
		err_set(err, ERR_SYNTAX, "%s:%d: %.*s", problem->file ? problem->file : "",
			problem->line, SPAN_ARG(text));
}

static void ignore_problem(void *context, xmlErrorPtr problem)
{
	(void)context;
	(void)problem;
}

static void ignore_text(void *context, const char *format, ...)
{
	(void)context;
	(void)format;
}

static xmlSchemaPtr read_schema(const char *path, struct err *err)
{
	xmlSchemaParserCtxtPtr parser = xmlSchemaNewParserCtxt(path);
	xmlSchemaPtr schema = NULL;

	if (parser) {
		xmlSchemaSetParserStructuredErrors(parser, keep_problem, err);
		schema = xmlSchemaParse(parser);
		xmlSchemaFreeParserCtxt(parser);
	}
	return schema;
}

/* What the library says goes to `err`; a schema with errors is none. */
static int read_file(struct xml_validator *check, enum xml_validator_kind kind,
		     const char *path, struct err *err)
{
	bool there;

	err->code = ERR_NONE;
	xmlSetStructuredErrorFunc(err, keep_problem);
	if (kind == XML_VALIDATOR_SCHEMA)
		check->schema = read_schema(path, err);
	else
		check->dtd = xmlParseDTD(NULL, (const xmlChar *)path);
	xmlSetStructuredErrorFunc(NULL, NULL);
	there = check->schema || check->dtd;
	if (there && err->code == ERR_NONE)
		return 0;
	return err->code == ERR_NONE ? err_set(err, ERR_INVALID, "cannot read '%s'", path) : -1;
}

struct xml_validator *xml_validator_new(enum xml_validator_kind kind, const char *path,
					struct err *err)
{
	struct xml_validator *check = mem_zalloc(1, sizeof(*check));

	if (!check) {
		err_set(err, ERR_MEMORY, "no memory for '%s'", path);
		return NULL;
	}
	pthread_once(&library_once, start_library);
	if (read_file(check, kind, path, err) == 0)
		return check;
	xml_validator_free(check);
	return NULL;
}

void xml_validator_free(struct xml_validator *check)
{
	if (!check)
		return;
	xmlSchemaFree(check->schema);
	xmlFreeDtd(check->dtd);
	mem_free(check);
}

static bool passes_schema(xmlSchemaPtr schema, xmlDocPtr document)
{
	/* With a schema given, the library looks for no other that the document names. */
	xmlSchemaValidCtxtPtr context = xmlSchemaNewValidCtxt(schema);
	bool passes;

	if (!context)
		return false;
	xmlSchemaSetValidStructuredErrors(context, ignore_problem, NULL);
	passes = xmlSchemaValidateDoc(context, document) == 0;
	xmlSchemaFreeValidCtxt(context);
	return passes;
}

/* The library completes a DTD while it uses it, so that each use has a copy of its own. */
static bool passes_dtd(xmlDtdPtr dtd, xmlDocPtr document)
{
	xmlDtdPtr copy = xmlCopyDtd(dtd);
	xmlValidCtxtPtr context = copy ? xmlNewValidCtxt() : NULL;
	bool passes = false;

	if (context) {
		context->error = ignore_text;
		context->warning = ignore_text;
		passes = xmlValidateDtd(context, document, copy) == 1;
	}
	xmlFreeValidCtxt(context);
	xmlFreeDtd(copy);
	return passes;
}

bool xml_validator_passes(const struct xml_validator *check, const struct body_xml *xml)
{
	if (!xml || !xml->document || !xml->well_formed)
		return false;
	if (check->schema)
		return passes_schema(check->schema, xml->document);
	return passes_dtd(check->dtd, xml->document);
}
