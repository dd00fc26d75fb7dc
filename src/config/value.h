/* value.h - the texts that the configuration, and other tables, are made of. Pure. */
#ifndef CONFIG_VALUE_H
#define CONFIG_VALUE_H

#include "config/config.h"
#include "config/schema.h"

extern const struct schema_format format_any; /* not empty */
extern const struct schema_format format_name; /* of services, roles, providers */
extern const struct schema_format format_field_name;
extern const struct schema_format format_field_name_or_none;
extern const struct schema_format format_field_value;
extern const struct schema_format format_method;
extern const struct schema_format format_host; /* of a route: a name, or "*." and a name */
extern const struct schema_format format_colour; /* #rrggbb */
extern const struct schema_format format_url; /* http or https */
extern const struct schema_format format_origin; /* of CORS */
extern const struct schema_format format_path; /* of a route */
extern const struct schema_format format_prefix; /* an absolute path without a pattern */
extern const struct schema_format format_scope; /* RFC 6749 section 3.3 */
extern const struct schema_format format_spiffe;
extern const struct schema_format format_authority; /* host[:port] */
extern const struct schema_format format_content; /* of a fixed body: anything but NUL */

bool value_bool(struct span text, bool *value);
/* "host:port" or "[v6]:port"; spans point into the text. */
bool value_host_port(struct span text, struct span *host, uint16_t *port);
/* scheme://host[:port][/]; spans point into the text. */
bool value_endpoint(struct span text, enum config_scheme *scheme, struct span *host,
		    uint16_t *port, struct span *authority);
/* 64 hexadecimal digits. */
bool value_sha256(struct span text, uint8_t digest[32]);
/* "2027-01-31" (its first second) or "2027-01-31T12:00:00Z". */
bool value_time(struct span text, uint64_t *unix_s);
/* Fields that belong to the connection or to framing, and that nobody may set. */
bool value_is_framing_field(struct span lower_name);

#endif
