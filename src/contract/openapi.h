/*
 * openapi.h - a contract as it is inside: what openapi*.c make of a document, and what the checks,
 * lint and generators read. Everything lives in the contract's arena.
 */
#ifndef CONTRACT_OPENAPI_H
#define CONTRACT_OPENAPI_H

#include <stdatomic.h>

#include "base/map.h"
#include "contract/contract.h"
#include "contract/schema.h"

/* OpenAPI 3.0.3 section 4.7.12.2; `cookie` is of 3.2. */
enum openapi_style {
	OPENAPI_SIMPLE,
	OPENAPI_LABEL,
	OPENAPI_MATRIX,
	OPENAPI_FORM,
	OPENAPI_SPACE,
	OPENAPI_PIPE,
	OPENAPI_DEEP,
	OPENAPI_COOKIE,
};

enum openapi_kind {
	OPENAPI_KIND_JSON,
	OPENAPI_KIND_LINES, /* a JSON text a line */
	OPENAPI_KIND_SEQUENCE, /* RFC 7464 */
	OPENAPI_KIND_EVENTS, /* text/event-stream */
	OPENAPI_KIND_FORM,
	OPENAPI_KIND_MULTIPART,
	OPENAPI_KIND_XML,
	OPENAPI_KIND_TEXT,
	OPENAPI_KIND_BINARY,
};

struct openapi_parameter;

/* A field of a form, or a part of multipart content. */
struct openapi_field {
	struct span name; /* empty for a part that is told by its position */
	const struct schema *schema;
	unsigned types; /* enum schema_type bits */
	enum openapi_style style;
	bool explode;
	struct span content_type; /* of encoding: a list with wildcards; may be empty */
	const struct openapi_parameter *headers; /* of encoding: of a part */
	size_t header_count;
	bool binary; /* its bytes are not looked at */
	size_t min_bytes, max_bytes; /* of binary ones */
};

struct openapi_media {
	struct span range; /* "application/json", "image/" followed by a star, ... */
	const struct schema *schema; /* never NULL */
	const struct schema *item; /* 3.2 itemSchema; NULL: none */
	bool binary;
	size_t min_bytes, max_bytes;
	const struct openapi_field *fields;
	size_t field_count;
	/*
	 * 3.2: parts of multipart content by position, the last one for all further parts. None:
	 * parts are fields.
	 */
	const struct openapi_field *parts;
	size_t part_count;
	const struct json *node;
};

struct openapi_content {
	const struct openapi_media *at;
	size_t count;
	bool stated;
};

enum openapi_in {
	OPENAPI_IN_PATH,
	OPENAPI_IN_QUERY,
	OPENAPI_IN_HEADER,
	OPENAPI_IN_COOKIE,
	OPENAPI_IN_QUERYSTRING, /* 3.2: the whole query */
};

struct openapi_parameter {
	struct span name;
	enum openapi_in in;
	enum openapi_style style;
	bool explode;
	bool required;
	bool allow_empty;
	bool old_label; /* label lists that are not exploded may be parted by '.' (3.0) */
	size_t path_index; /* which place of the template */
	const struct schema *schema;
	unsigned types;
	const struct openapi_media *content; /* instead of a style */
	const struct json *node;
};

struct openapi_response {
	unsigned low, high; /* statuses */
	const struct openapi_parameter *headers;
	size_t header_count;
	struct openapi_content content;
	const struct json *node;
};

struct openapi_operation {
	struct contract_operation public;
	const struct openapi_parameter *parameters;
	size_t parameter_count;
	struct openapi_content body;
	bool body_stated;
	bool body_required;
	const struct openapi_response *responses; /* the most exact first */
	size_t response_count;
	bool security_stated; /* by the operation or the document */
	bool querystring; /* there is such a parameter */
	bool cookies;
	const struct json *node;
	const struct json *path_item;
};

/* -- paths: a tree of segments -- */

#define OPENAPI_SEGMENTS_MAX 64

/* {literal}{parameter}{literal}... of a segment; literals may be empty. */
struct path_pattern {
	const struct span *literals; /* parameters + 1 of them */
	size_t parameters; /* at least 1 */
	struct path_node *to;
};

struct path_edge {
	struct span text;
	struct path_node *to;
};

struct path_entry {
	const struct openapi_operation **operations;
	size_t count;
	struct span allow;
	struct span template; /* for messages */
	const struct json *node;
};

struct path_node {
	struct path_edge *edges; /* sorted once complete */
	size_t edge_count;
	struct path_pattern *patterns; /* the one with most literal bytes first */
	size_t pattern_count;
	struct path_entry *entry; /* NULL: no path ends here */
};

struct contract {
	atomic_uint references;
	struct arena arena;
	struct document_set *documents;
	struct schema_set *schemas;
	const struct document *main;
	unsigned version; /* 30, 31, 32 */
	struct span base_path; /* the first */
	bool head_as_get;
	struct openapi_operation *operations;
	size_t operation_count;
	struct map by_id; /* operationId -> struct openapi_operation */
	struct contract_scheme *schemes;
	size_t scheme_count;
	struct path_node *paths;
};

/* -- nodes: a value with the way to it -- */

struct openapi_node {
	const struct json *value;
	const struct document *document;
	const struct openapi_node *parent; /* NULL: `base` is the pointer to it */
	struct span key; /* in parent; ptr NULL: it is item `index` */
	size_t index;
	struct span base;
};

struct openapi_builder {
	struct contract *contract;
	const struct contract_options *options;
	struct err *err;
	struct contract_extensions extensions; /* of the document */
	const struct contract_alternative *security; /* of the document */
	size_t security_count;
	bool security_stated;
};

/* False when there is no such member or item, or `from` is of another type. */
bool openapi_get(const struct openapi_node *from, struct span key, struct openapi_node *to);
bool openapi_item(const struct openapi_node *from, size_t index, struct openapi_node *to);
void openapi_member(const struct openapi_node *from, size_t index, struct openapi_node *to);
/* JSON Pointer in its document; ptr NULL when there is no memory. */
struct span openapi_pointer(struct openapi_builder *b, const struct openapi_node *node);
/* Follows `$ref`s, to something that has none. */
int openapi_follow(struct openapi_builder *b, struct openapi_node *node) MUST_CHECK;
/* Sets the builder's error: "file:line:column: text". Returns -1. */
int openapi_error(struct openapi_builder *b, const struct openapi_node *node,
		  enum err_code code, const char *format, ...) PRINTF_LIKE(4, 5);
int openapi_no_memory(struct openapi_builder *b);
/* Is it of the type? An error otherwise. */
int openapi_expect(struct openapi_builder *b, const struct openapi_node *node,
		   enum json_type type, const char *what) MUST_CHECK;
/* Members of these types, where they are there; an error when of another. */
int openapi_string(struct openapi_builder *b, const struct openapi_node *node, const char *key,
		   struct span *value) MUST_CHECK;
int openapi_bool(struct openapi_builder *b, const struct openapi_node *node, const char *key,
		 bool *value) MUST_CHECK;
/* The program for the schema at the node. */
const struct schema *openapi_schema(struct openapi_builder *b, const struct openapi_node *node,
				    enum schema_direction direction) MUST_CHECK;
/* Makes the ids and anchors of the schema there known. */
int openapi_index_schema(struct openapi_builder *b, const struct openapi_node *node) MUST_CHECK;
/* The set in which they are compiled. */
int openapi_make_schemas(struct contract *contract, const struct contract_options *options,
			 struct err *err) MUST_CHECK;
/* What stands where a schema was compiled from; NULL when it cannot be told. */
const struct json *openapi_schema_source(const struct contract *contract,
					 const struct schema *schema);

/* -- the parts of a document; all set the builder's error -- */

int openapi_read_security_schemes(struct openapi_builder *b,
				  const struct openapi_node *root) MUST_CHECK;
/* `security` of the document or an operation; *stated is false when it is not there. */
int openapi_read_security(struct openapi_builder *b, const struct openapi_node *owner,
			  const struct contract_alternative **alternatives, size_t *count,
			  bool *stated) MUST_CHECK;
/* Overwrites what the owner states. */
int openapi_read_extensions(struct openapi_builder *b, const struct openapi_node *owner,
			    struct contract_extensions *extensions) MUST_CHECK;
int openapi_read_parameter(struct openapi_builder *b, struct openapi_node *node,
			   struct openapi_parameter *parameter) MUST_CHECK;
int openapi_read_headers(struct openapi_builder *b, const struct openapi_node *owner,
			 const struct openapi_parameter **headers, size_t *count) MUST_CHECK;
int openapi_read_content(struct openapi_builder *b, const struct openapi_node *owner,
			 enum schema_direction direction,
			 struct openapi_content *content) MUST_CHECK;
int openapi_read_operation(struct openapi_builder *b, const struct openapi_node *item,
			   struct openapi_node *node, struct span method, struct span path,
			   struct openapi_operation *operation) MUST_CHECK;

/* By media type without parameters. */
enum openapi_kind openapi_kind_of(struct span media_type);
/* Does the range ("text/..." with a star, or exact) cover the media type? Compared without case. */
bool openapi_range_covers(struct span range, struct span media_type);

/* -- paths -- */

/* The names in a template in order, into names[CONTRACT_PATH_PARAMETERS_MAX]; -1 with an error. */
int openapi_path_names(struct openapi_builder *b, const struct openapi_node *node,
		       struct span template, struct span *names, size_t *count) MUST_CHECK;
int openapi_path_add(struct openapi_builder *b, const struct openapi_node *node,
		     struct span base, struct span template,
		     struct path_entry *entry) MUST_CHECK;
/* Once all are added. */
void openapi_paths_sort(struct path_node *node);
const struct path_entry *openapi_path_find(const struct path_node *root, struct span path,
					   struct contract_route *route);
/* The paths of the servers of an owner, or of "/" when it has none stated. */
#define OPENAPI_BASES_MAX 32
int openapi_read_bases(struct openapi_builder *b, const struct openapi_node *owner,
		       struct span *bases, size_t *count) MUST_CHECK;

/* The whole: fills the contract. */
int openapi_build(struct contract *contract, const struct contract_options *options,
		  struct err *err) MUST_CHECK;

#endif
