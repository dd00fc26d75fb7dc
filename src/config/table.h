/*
 * table.h - files of other parts, such as policies, read as the configuration is: a table of keys
 * (schema.h) says what may stand in them. Variables of the environment are not filled in.
 */
#ifndef CONFIG_TABLE_H
#define CONFIG_TABLE_H

#include "config/reader.h"
#include "config/schema.h"

/* What was read lives here. A zeroed one may be released. */
struct table_memory {
	struct config_private priv;
};

void table_release(struct table_memory *memory);

/*
 * Reads a file that is a mapping into `object` (zeroed, of schema->size bytes), or one that is a
 * list of mappings into the CONFIG_LIST at `object`. -1 with at least one error in *problems;
 * there may be warnings with 0. Either way release the memory.
 */
int table_load(const struct schema_object *schema, const char *path, void *object,
	       struct table_memory *memory, struct config_problems *problems) MUST_CHECK;
int table_load_list(const struct schema_object *schema, const char *path, void *list,
		    struct table_memory *memory, struct config_problems *problems) MUST_CHECK;
/* The same from text; `name` stands for the file. */
int table_load_text(const struct schema_object *schema, struct span text, const char *name,
		    void *object, struct table_memory *memory,
		    struct config_problems *problems) MUST_CHECK;
int table_load_list_text(const struct schema_object *schema, struct span text, const char *name,
			 void *list, struct table_memory *memory,
			 struct config_problems *problems) MUST_CHECK;

/* The JSON Schema of such a file, and its reference; see config_write_json_schema. */
void table_write_json_schema(const struct schema_object *schema, const char *title,
			     struct buf *out);
void table_write_reference(const struct schema_object *schema, struct buf *out);

#endif
