/*
 * schema.h - the one description of every key of the configuration file. Reading, the check for
 * unknown keys, masked printing, the JSON Schema and the reference are all driven by it.
 * Used inside config, and by tables of other parts (table.h).
 */
#ifndef CONFIG_SCHEMA_H
#define CONFIG_SCHEMA_H

#include "config/config.h"
#include "config/tree.h"

struct reader;
struct schema_object;

enum schema_type { /* and the type of the field at `offset` */
		   SCHEMA_BOOL, /* bool */
		   SCHEMA_COUNT, /* uint32_t, min to max */
		   SCHEMA_COUNTS, /* CONFIG_LIST(uint32_t), each min to max */
		   SCHEMA_DURATION, /* uint64_t milliseconds, min to max */
		   SCHEMA_SIZE, /* uint64_t bytes, min to max */
		   SCHEMA_PERCENT, /* uint32_t */
		   SCHEMA_RATE, /* struct config_rate */
		   SCHEMA_ENUM, /* an enum, by `names` */
		   SCHEMA_FLAGS, /* unsigned, a list of `names` or one of them */
		   SCHEMA_TEXT, /* struct span, by `format` */
		   SCHEMA_TEXTS, /* struct config_strings, a list or one, by `format` */
		   SCHEMA_FILE, /* struct span: a file that must be there */
		   SCHEMA_OUTPUT, /* struct span: a file that may come into being */
		   SCHEMA_SECRET, /* struct secret: the text itself, or "file:" and where it is */
		   SCHEMA_ADDRESS, /* struct config_address */
		   SCHEMA_NETWORKS, /* CONFIG_LIST(struct cidr) */
		   SCHEMA_CLAIM, /* struct config_strings: path into a token */
		   SCHEMA_PAIRS, /* CONFIG_LIST(struct config_pair): header fields by name */
		   SCHEMA_OBJECT, /* the struct of `object`, in place */
		   SCHEMA_OPTIONAL, /* pointer to the struct of `object`, NULL when absent */
		   SCHEMA_LIST, /* CONFIG_LIST of the struct of `object` */
		   SCHEMA_MAP, /* the same from a mapping; the key goes to object->name_offset */
		   SCHEMA_CUSTOM, /* what `custom` does with the object */
};

enum schema_flags {
	SCHEMA_REQUIRED = 1 << 0,
	SCHEMA_HIDDEN = 1 << 1, /* not printed: another key shows it */
	SCHEMA_ONE_OR_LIST = 1 << 2, /* SCHEMA_LIST: an object alone is a list of one */
	SCHEMA_INHERIT = 1 << 3, /* absent is CONFIG_INHERIT until checks fill it in */
	SCHEMA_ORIGIN = 1 << 4, /* a URL: only its origin is shown */
};

#define CONFIG_INHERIT UINT64_MAX

/* Names of an enumeration; the last has name NULL. */
struct schema_name {
	const char *name;
	unsigned value;
};

/* What a text must look like. */
struct schema_format {
	const char *what; /* "expected <what>" */
	bool (*valid)(struct span text);
	bool lower; /* stored in lower case */
	const char *pattern; /* of the JSON Schema; NULL: any */
};

struct schema_custom {
	const char *what;
	/* False when the text is not what is expected. */
	bool (*read)(struct reader *reader, const struct tree_node *node, void *object);
	/* A JSON value. */
	void (*print)(const void *object, struct buf *out);
	const char *json_schema; /* members of the schema object */
};

struct schema_key {
	const char *name;
	enum schema_type type;
	unsigned flags;
	size_t offset;
	const char *initial; /* when absent, as it would be written; lists split at spaces */
	uint64_t min, max; /* max 0: no bound */
	const struct schema_name *names;
	const struct schema_format *format;
	const struct schema_object *object;
	const struct schema_custom *custom;
	const char *text; /* one line for people */
};

struct schema_object {
	const char *name; /* of its definition in the JSON Schema, and in the reference */
	size_t size;
	const struct schema_key *keys; /* at most 64; the last has name NULL */
	const char *shorthand; /* a scalar in place of the mapping is this key's value */
	bool has_where; /* the struct starts with struct config_where */
	size_t name_offset; /* SCHEMA_MAP: of a struct span */
	/* Checks what one key alone does not show; runs when the keys are all right. */
	void (*finish)(struct reader *reader, const struct tree_node *node, void *object);
};

/* The whole file; the struct is struct config. */
extern const struct schema_object schema_config;
/* One element of a file of API keys. */
extern const struct schema_object schema_api_key;

#endif
