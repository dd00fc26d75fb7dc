/*
 * body.h - what request bodies, query strings and cookies hold, as names and values, in the way
 * libmodsecurity 3.0.9 takes them apart: the names of arguments and the flags of multipart bodies
 * are what published rules look at. docs/waf.md lists where it is stricter or laxer than RFCs.
 *
 * Everything given out lies in the arena or in the input, which must live as long. Bad input is
 * not a failure: it is told in struct body_error, for REQBODY_ERROR. -1 means that the arena is
 * full.
 */
#ifndef WAF_BODY_H
#define WAF_BODY_H

#include "base/arena.h"
#include "base/err.h"
#include "base/span.h"

struct body_pair {
	struct span name;
	struct span value;
};

/* A growing list in an arena; zero-initialised it is empty. */
struct body_pairs {
	struct body_pair *items;
	size_t count;
	size_t cap;
};

/* 0, or -1 when the arena is full. */
int body_pairs_add(struct body_pairs *pairs, struct arena *arena, struct span name,
		   struct span value);

struct body_limits {
	/*
	 * SecArgumentsLimit: arguments beyond it are dropped. libmodsecurity counts those of the
	 * query string too: give what is left. JSON stops with an error there; it does not apply
	 * to multipart.
	 */
	size_t max_arguments;
	size_t max_parts; /* of multipart; beyond it the body is in error */
	size_t max_files; /* SecUploadFileLimit: MULTIPART_FILE_LIMIT_EXCEEDED, and no content */
	unsigned max_depth; /* SecRequestBodyJsonDepthLimit, of XML too; at most 512 */
	size_t max_string_bytes; /* of one JSON string */
	/*
	 * SecRequestBodyNoFilesLimit, for multipart counted without the files. Beyond it the body
	 * is in error; others than multipart are not looked at.
	 */
	size_t max_no_files_bytes;
};

/* 1,000 arguments, 1,000 parts, 100 files, depth 64 (libmodsecurity: 10,000), 1 MiB, 128 KiB. */
#define BODY_LIMITS_DEFAULT                                                                    \
	((struct body_limits){.max_arguments = 1000,                                           \
			      .max_parts = 1000,                                               \
			      .max_files = 100,                                                \
			      .max_depth = 64,                                                 \
			      .max_string_bytes = 1 << 20,                                     \
			      .max_no_files_bytes = 128 << 10})

struct body_error {
	bool failed; /* REQBODY_ERROR and, but for no_files_exceeded, REQBODY_PROCESSOR_ERROR */
	bool no_files_exceeded; /* INBOUND_DATA_ERROR too */
	bool arguments_exceeded; /* some arguments were dropped; in itself not an error */
	struct span
		message; /* REQBODY_ERROR_MSG, one line; printable unless the body is in it */
};

/* ---- query strings, urlencoded bodies, cookies ------------------------------------------------ */

/*
 * "a=1&b=2": parts at each separator; a name without "=" has an empty value; an empty part between
 * two separators is an argument without name and value, after the last separator there is none.
 * "%HH" and "+" are decoded; *invalid is set to true when a "%" is not followed by two hexadecimal
 * digits (URLENCODED_ERROR), else left alone; such a "%" stays. A separator other than '&' is
 * SecArgumentSeparator.
 */
int body_query(struct arena *arena, struct span text, char separator,
	       const struct body_limits *limits, struct body_pairs *pairs, bool *invalid,
	       struct body_error *error);
/* The same with the limit on bodies. */
int body_urlencoded(struct arena *arena, struct span body, char separator,
		    const struct body_limits *limits, struct body_pairs *pairs, bool *invalid,
		    struct body_error *error);
/*
 * The value of one Cookie field: parts at each ";", white space before names skipped, values as
 * they are, parts without name skipped, white space at the end of all dropped.
 */
int body_cookies(struct arena *arena, struct span text, struct body_pairs *pairs);

/* ---- multipart/form-data ----------------------------------------------------------------------- */

struct body_file {
	struct span name; /* of the field: FILES_NAMES */
	struct span filename; /* FILES */
	struct span content; /* FILES_TMP_CONTENT, when asked for */
	size_t size; /* FILES_SIZES */
};

/* MULTIPART_*, 0 or 1 but for unmatched_boundary: 2 when the boundary came again. */
struct body_multipart_flags {
	unsigned char strict_error;
	unsigned char boundary_quoted;
	unsigned char boundary_whitespace;
	unsigned char data_before;
	unsigned char data_after;
	unsigned char header_folding;
	unsigned char lf_line;
	unsigned char crlf_lf_lines;
	unsigned char missing_semicolon;
	unsigned char invalid_quoting;
	unsigned char invalid_part;
	unsigned char invalid_header_folding;
	unsigned char file_limit_exceeded;
	unsigned char unmatched_boundary;
};

struct body_multipart {
	struct body_pairs arguments; /* ARGS_POST */
	struct body_file *files;
	size_t file_count;
	size_t files_combined_size; /* FILES_COMBINED_SIZE */
	struct body_pairs names; /* MULTIPART_NAME: both are the value */
	struct body_pairs filenames; /* MULTIPART_FILENAME */
	struct body_pairs
		part_headers; /* MULTIPART_PART_HEADERS: name of the part, whole line */
	struct body_multipart_flags flags;
};

/*
 * `content_type` is the value of the request's field, whole; without one libmodsecurity does not
 * look at the body at all, so do not call this. Arguments and files are given only when the body
 * comes to its final boundary; line ends within values and file contents are left out, as in
 * libmodsecurity, which loses them. `keep_files` is SecUploadKeepFiles or
 * SecTmpSaveUploadedFiles: files count against max_files and their content is given.
 */
int body_multipart(struct arena *arena, struct span content_type, struct span body,
		   bool keep_files, const struct body_limits *limits,
		   struct body_multipart *multipart, struct body_error *error);

/* ---- JSON -------------------------------------------------------------------------------------- */

/*
 * Every scalar is an argument: "json.a.b" for {"a":{"b":1}}, "json.array_0" for the items of
 * arrays (the counter counts items that are arrays or objects too), "json." and the key at the top.
 * The document is strict JSON (RFC 8259) in UTF-8 as base's tokenizer reads it.
 */
int body_json(struct arena *arena, struct span body, const struct body_limits *limits,
	      struct body_pairs *pairs, struct body_error *error);

/* ---- XML --------------------------------------------------------------------------------------- */

struct body_xml;

/*
 * Parses with libxml2: no external entity is read, no network is used, a document that declares
 * entities is in error (libmodsecurity takes it), nesting is limited. *xml is NULL when the body is empty or so broken that
 * there is no tree. The tree is on the heap, at most some 20 times the body: body_xml_free gives
 * it back.
 */
int body_xml_parse(struct arena *arena, struct span body, const struct body_limits *limits,
		   struct body_xml **xml, struct body_error *error);
void body_xml_free(struct body_xml *xml);

/* A namespace prefix that the XPath expression may use (action xmlns). */
struct body_xml_namespace {
	const char *prefix;
	const char *href;
};

/*
 * The text of each node that an XPath 1.0 expression selects, at most max_arguments of them. Of
 * the two that published rules use, one selects the document's element, whose text is that of all
 * elements in it, and "//@*" selects each attribute. Nothing is selected without a tree. -1 also
 * when the expression is not valid; body_xpath_valid tells at start.
 */
int body_xml_select(struct arena *arena, const struct body_xml *xml, const char *xpath,
		    const struct body_xml_namespace *namespaces, size_t namespace_count,
		    const struct body_limits *limits, struct span **texts, size_t *count);
bool body_xpath_valid(const char *xpath);

#endif
