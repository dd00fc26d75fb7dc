#include "identity/ldap_call.h"

#include <ldap.h>

#include "base/clock.h"
#include "base/hex.h"
#include "base/mem.h"
#include "identity/idp_internal.h"
#include "identity/password.h"
#include "parse/utf8.h"

/* Without a `ca` of its own: where Debian keeps the system's. */
#define SYSTEM_CA "/etc/ssl/certs/ca-certificates.crt"
#define TEXT_MAX 1024
#define ID_MAX 128
#define GROUPS_MAX 500
#define ATTRIBUTES_MAX 10

/* Attributes by which directories say that somebody is switched off. */
static const char *const off_attributes[] = {
	"userAccountControl", /* Active Directory */
	"nsAccountLock", /* 389 Directory Server, FreeIPA */
	"loginDisabled", /* eDirectory */
	"pwdAccountLockedTime", /* the password policy of OpenLDAP */
};
/* Of userAccountControl: ACCOUNTDISABLE. */
#define ACCOUNT_DISABLE 2
/* By an administrator, for good; another time is a lock that ends by itself. */
#define LOCKED_FOR_GOOD "000001010000Z"

struct ldap_call {
	const struct config_ldap *config;
	struct arena *arena;
	struct span name;
	int64_t deadline_ms;
	LDAP *ld;
	char *dn; /* of the entry; libldap's. NULL: none */
	struct ldap_person person;
};

/* ---- templates ---- */

/* Letters, digits and what has no meaning anywhere stay; every other octet is written in hex. */
static void append_escaped(struct buf *to, struct span text)
{
	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i], lower = ascii_lower(c);

		if ((lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9') || c == '.' ||
		    c == '_' || c == '-' || c == '@')
			buf_append_byte(to, c);
		else
			buf_printf(to, "\\%02x", (unsigned)(unsigned char)c);
	}
}

static struct span fill(struct span pattern, struct span name, struct span dn,
			struct arena *arena)
{
	struct span rest = pattern, filled;
	struct buf to;

	buf_init(&to, 65536);
	while (rest.len) {
		if (span_starts_with(rest, SPAN("{name}"))) {
			append_escaped(&to, name);
			rest = span_slice(rest, 6, rest.len);
		} else if (span_starts_with(rest, SPAN("{dn}"))) {
			append_escaped(&to, dn);
			rest = span_slice(rest, 4, rest.len);
		} else {
			buf_append_byte(&to, rest.ptr[0]);
			rest = span_slice(rest, 1, rest.len);
		}
	}
	filled = buf_failed(&to) ? SPAN_NONE : arena_dup(arena, buf_span(&to));
	buf_release(&to);
	return filled;
}

struct span ldap_fill_filter(struct span pattern, struct span name, struct span dn,
			     struct arena *arena)
{
	return fill(pattern, name, dn, arena);
}

/* A backslash and two hexadecimal digits mean the same in a DN (RFC 4514 section 2.4). */
struct span ldap_fill_dn(struct span pattern, struct span name, struct arena *arena)
{
	return fill(pattern, name, SPAN(""), arena);
}

/* ---- one operation ---- */

static int no_memory(const struct ldap_call *c, struct err *err)
{
	return err_set(err, ERR_MEMORY, "directory %.*s: out of memory",
		       SPAN_ARG(c->config->name));
}

/* What libldap adds, such as why TLS did not come about; libldap's. */
static char *more_of(const struct ldap_call *c)
{
	char *more = NULL;

	if (c->ld)
		(void)ldap_get_option(c->ld, LDAP_OPT_DIAGNOSTIC_MESSAGE, &more);
	return more;
}

static int away(const struct ldap_call *c, const char *what, int code, struct err *err)
{
	char *more = more_of(c);

	(void)err_set(err, code == LDAP_TIMEOUT ? ERR_TIMEOUT : ERR_UNAVAILABLE,
		      "directory %.*s: %s: %s%s%s", SPAN_ARG(c->config->name), what,
		      ldap_err2string(code), more && *more ? ": " : "", more ? more : "");
	ldap_memfree(more);
	return -1;
}

/* What is left of the time, for the next operation. */
static int time_left(const struct ldap_call *c, struct timeval *left, struct err *err)
{
	int64_t left_ms = c->deadline_ms - clock_ms();

	if (left_ms <= 0)
		return err_set(err, ERR_TIMEOUT, "directory %.*s takes too long",
			       SPAN_ARG(c->config->name));
	left->tv_sec = left_ms / 1000;
	left->tv_usec = left_ms % 1000 * 1000;
	if (ldap_set_option(c->ld, LDAP_OPT_NETWORK_TIMEOUT, left) != LDAP_OPT_SUCCESS ||
	    ldap_set_option(c->ld, LDAP_OPT_TIMEOUT, left) != LDAP_OPT_SUCCESS)
		return no_memory(c, err);
	return 0;
}

/* The whole answer to an operation; NULL: it did not come. */
static LDAPMessage *answer_of(const struct ldap_call *c, const char *what, int id, int *code,
			      struct err *err)
{
	LDAPMessage *message = NULL;
	struct timeval left;
	int type, failure = LDAP_OTHER;

	if (time_left(c, &left, err) < 0)
		return NULL;
	type = ldap_result(c->ld, id, LDAP_MSG_ALL, &left, &message);
	if (type > 0 &&
	    ldap_parse_result(c->ld, message, code, NULL, NULL, NULL, NULL, 0) == LDAP_SUCCESS)
		return message;
	if (type < 0)
		(void)ldap_get_option(c->ld, LDAP_OPT_RESULT_CODE, &failure);
	(void)away(c, what, type == 0 ? LDAP_TIMEOUT : failure, err);
	if (message)
		ldap_msgfree(message);
	return NULL;
}

static int bind_as(const struct ldap_call *c, const char *dn, struct span password, int *code,
		   struct err *err)
{
	struct berval secret = {.bv_len = password.len,
				.bv_val = (char *)(uintptr_t)password.ptr};
	LDAPMessage *message;
	struct timeval left;
	int id, sent;

	if (time_left(c, &left, err) < 0)
		return -1;
	sent = ldap_sasl_bind(c->ld, dn, LDAP_SASL_SIMPLE, &secret, NULL, NULL, &id);
	if (sent != LDAP_SUCCESS) {
		/* A name that cannot be an entry's is nobody's. */
		*code = sent;
		return sent == LDAP_INVALID_DN_SYNTAX ? 0 : away(c, "bind", sent, err);
	}
	message = answer_of(c, "bind", id, code, err);
	if (!message)
		return -1;
	ldap_msgfree(message);
	return 0;
}

/* A refusal of who binds, as opposed to one of a server that cannot say. */
static bool is_refusal(int code)
{
	switch (code) {
	case LDAP_INVALID_CREDENTIALS:
	case LDAP_NO_SUCH_OBJECT:
	case LDAP_INVALID_DN_SYNTAX:
	case LDAP_INAPPROPRIATE_AUTH:
	case LDAP_CONSTRAINT_VIOLATION:
	case LDAP_UNWILLING_TO_PERFORM:
	case LDAP_INSUFFICIENT_ACCESS: return true;
	default: return false;
	}
}

static LDAPMessage *search(const struct ldap_call *c, const char *base, int scope,
			   struct span filter, char **attributes, int limit, int *code,
			   struct err *err)
{
	struct timeval left;
	int id, sent;

	if (time_left(c, &left, err) < 0)
		return NULL;
	sent = ldap_search_ext(c->ld, base, scope, filter.ptr, attributes, 0, NULL, NULL, &left,
			       limit, &id);
	if (sent != LDAP_SUCCESS) {
		(void)away(c, "search", sent, err);
		return NULL;
	}
	return answer_of(c, "search", id, code, err);
}

/* ---- what an entry says ---- */

static struct span hexadecimal(struct span bytes, struct arena *arena)
{
	char *digits = arena_alloc(arena, 2 * bytes.len);

	if (!digits)
		return SPAN_NONE;
	hex_encode(digits, bytes.ptr, bytes.len);
	return span_of(digits, 2 * bytes.len);
}

static bool is_text(struct span text)
{
	for (size_t i = 0; i < text.len; i++)
		if ((unsigned char)text.ptr[i] < ' ' || text.ptr[i] == 0x7f)
			return false;
	return text.len > 0 && text.len <= TEXT_MAX && utf8_valid(text);
}

/* All values of an attribute that are text; -1 without memory. */
static int read_texts(const struct ldap_call *c, LDAPMessage *entry, struct span attribute,
		      struct config_strings *to)
{
	struct berval **values =
		attribute.len ? ldap_get_values_len(c->ld, entry, attribute.ptr) : NULL;
	int result = 0;

	for (size_t i = 0; values && values[i] && to->count < GROUPS_MAX && result == 0; i++) {
		struct span value = span_of(values[i]->bv_val, values[i]->bv_len);
		struct span copy;

		if (!is_text(value))
			continue;
		copy = arena_dup(c->arena, value);
		if (!copy.ptr || texts_add(to, copy, c->arena) < 0)
			result = -1;
	}
	ldap_value_free_len(values);
	return result;
}

static int read_text(const struct ldap_call *c, LDAPMessage *entry, struct span attribute,
		     struct span *to)
{
	struct config_strings all = {NULL, 0};

	*to = SPAN("");
	if (read_texts(c, entry, attribute, &all) < 0)
		return -1;
	if (all.count)
		*to = all.at[0];
	return 0;
}

/* A binary one, such as objectGUID, is kept as hexadecimal digits. */
static int read_id(const struct ldap_call *c, LDAPMessage *entry, struct span *to)
{
	struct berval **values =
		ldap_get_values_len(c->ld, entry, c->config->attributes.id.ptr);
	struct span id =
		values && values[0] ? span_of(values[0]->bv_val, values[0]->bv_len) : SPAN("");
	bool plain = id.len > 0;

	*to = SPAN("");
	for (size_t i = 0; i < id.len; i++)
		plain = plain && id.ptr[i] > ' ' && id.ptr[i] < 0x7f;
	if (id.len && id.len <= ID_MAX)
		*to = plain ? arena_dup(c->arena, id) : hexadecimal(id, c->arena);
	ldap_value_free_len(values);
	return to->ptr ? 0 : -1;
}

static bool value_says_off(struct span attribute, struct span value)
{
	uint64_t bits;

	if (span_eq(attribute, span_cstr(off_attributes[0])))
		return span_to_u64(value, &bits) && (bits & ACCOUNT_DISABLE);
	if (span_eq(attribute, span_cstr(off_attributes[3])))
		return span_eq(value, SPAN(LOCKED_FOR_GOOD));
	return span_eq_nocase(value, SPAN("TRUE"));
}

static bool is_off(const struct ldap_call *c, LDAPMessage *entry)
{
	bool off = false;

	for (size_t i = 0; i < COUNT_OF(off_attributes); i++) {
		struct berval **values = ldap_get_values_len(c->ld, entry, off_attributes[i]);

		for (size_t j = 0; values && values[j]; j++)
			off = off ||
			      value_says_off(span_cstr(off_attributes[i]),
					     span_of(values[j]->bv_val, values[j]->bv_len));
		ldap_value_free_len(values);
	}
	return off;
}

static int read_entry(struct ldap_call *c, LDAPMessage *entry, struct err *err)
{
	const struct config_ldap_attributes *a = &c->config->attributes;
	struct ldap_person *person = &c->person;

	if (read_id(c, entry, &person->id) < 0 ||
	    read_text(c, entry, a->username, &person->username) < 0 ||
	    read_text(c, entry, a->name, &person->name) < 0 ||
	    read_text(c, entry, a->email, &person->email) < 0 ||
	    read_texts(c, entry, a->groups, &person->groups) < 0)
		return no_memory(c, err);
	if (!person->id.len)
		return err_set(err, ERR_INVALID,
			       "directory %.*s: an entry without a usable '%.*s'",
			       SPAN_ARG(c->config->name), SPAN_ARG(a->id));
	person->off = is_off(c, entry);
	return 0;
}

static void attributes_of(const struct config_ldap *config, char *to[ATTRIBUTES_MAX])
{
	const struct config_ldap_attributes *a = &config->attributes;
	const struct span names[] = {a->id, a->username, a->name, a->email, a->groups};
	size_t count = 0;

	for (size_t i = 0; i < COUNT_OF(names); i++)
		if (names[i].len)
			to[count++] = (char *)(uintptr_t)names[i].ptr;
	for (size_t i = 0; i < COUNT_OF(off_attributes); i++)
		to[count++] = (char *)(uintptr_t)off_attributes[i];
	to[count] = NULL;
}

/* The only entry of an answer; NULL: there is none, or there are several. */
static LDAPMessage *only_entry(const struct ldap_call *c, LDAPMessage *message)
{
	LDAPMessage *entry = ldap_first_entry(c->ld, message);

	return entry && !ldap_next_entry(c->ld, entry) ? entry : NULL;
}

/* ---- the connection ---- */

static int set_tls(const struct ldap_call *c, struct err *err)
{
	int require = c->config->verify ? LDAP_OPT_X_TLS_DEMAND : LDAP_OPT_X_TLS_NEVER;
	int least = LDAP_OPT_X_TLS_PROTOCOL_TLS1_2, client = 0;
	const char *ca = c->config->ca.len ? c->config->ca.ptr : SYSTEM_CA;

	if (span_starts_with(c->config->url, SPAN("ldapi:")))
		return 0;
	if (ldap_set_option(c->ld, LDAP_OPT_X_TLS_REQUIRE_CERT, &require) != LDAP_OPT_SUCCESS ||
	    ldap_set_option(c->ld, LDAP_OPT_X_TLS_CACERTFILE, ca) != LDAP_OPT_SUCCESS ||
	    ldap_set_option(c->ld, LDAP_OPT_X_TLS_PROTOCOL_MIN, &least) != LDAP_OPT_SUCCESS ||
	    ldap_set_option(c->ld, LDAP_OPT_X_TLS_NEWCTX, &client) != LDAP_OPT_SUCCESS)
		return err_set(err, ERR_UNAVAILABLE,
			       "directory %.*s: TLS cannot be set up (is the file of "
			       "authorities, %s, a good one?)",
			       SPAN_ARG(c->config->name), ca);
	return 0;
}

static int connect_to(struct ldap_call *c, struct err *err)
{
	int version = LDAP_VERSION3, never = LDAP_DEREF_NEVER, code;
	struct timeval left;

	code = ldap_initialize(&c->ld, c->config->url.ptr);
	if (code != LDAP_SUCCESS)
		return away(c, "url", code, err);
	if (ldap_set_option(c->ld, LDAP_OPT_PROTOCOL_VERSION, &version) != LDAP_OPT_SUCCESS ||
	    ldap_set_option(c->ld, LDAP_OPT_DEREF, &never) != LDAP_OPT_SUCCESS ||
	    ldap_set_option(c->ld, LDAP_OPT_REFERRALS, LDAP_OPT_OFF) != LDAP_OPT_SUCCESS ||
	    ldap_set_option(c->ld, LDAP_OPT_RESTART, LDAP_OPT_ON) != LDAP_OPT_SUCCESS)
		return no_memory(c, err);
	if (set_tls(c, err) < 0 || time_left(c, &left, err) < 0)
		return -1;
	if (span_starts_with(c->config->url, SPAN("ldap:")) && c->config->start_tls) {
		code = ldap_start_tls_s(c->ld, NULL, NULL);
		if (code != LDAP_SUCCESS)
			return away(c, "StartTLS", code, err);
	}
	return 0;
}

/* As who searches; nothing to do where that is nobody. */
static int bind_service(const struct ldap_call *c, struct err *err)
{
	int code;

	if (!c->config->bind_dn.len)
		return 0;
	if (bind_as(c, c->config->bind_dn.ptr, secret_span(&c->config->bind_password), &code,
		    err) < 0)
		return -1;
	return code == LDAP_SUCCESS ? 0 : away(c, "bind_dn", code, err);
}

static int find_entry(struct ldap_call *c, struct err *err)
{
	struct span filter = ldap_fill_filter(c->config->filter, c->name, SPAN(""), c->arena);
	char *attributes[ATTRIBUTES_MAX];
	LDAPMessage *message, *entry;
	int code, result = 0;

	if (!filter.ptr)
		return no_memory(c, err);
	if (bind_service(c, err) < 0)
		return -1;
	attributes_of(c->config, attributes);
	message = search(c, c->config->base.ptr, LDAP_SCOPE_SUBTREE, filter, attributes, 2,
			 &code, err);
	if (!message)
		return -1;
	if (code != LDAP_SUCCESS && code != LDAP_SIZELIMIT_EXCEEDED)
		result = away(c, "search", code, err);
	entry = result == 0 && code == LDAP_SUCCESS ? only_entry(c, message) : NULL;
	if (entry) {
		result = read_entry(c, entry, err);
		c->dn = result == 0 ? ldap_get_dn(c->ld, entry) : NULL;
	}
	ldap_msgfree(message);
	return result;
}

/*
 * Letters that look different are the same to a directory (RFC 4518), and each would have its own
 * count of failures here: without a search, by which the entry is known, names are plain.
 */
static int name_entry(struct ldap_call *c, struct err *err)
{
	struct span dn = ldap_fill_dn(c->config->user_dn, c->name, c->arena);

	if (!dn.ptr)
		return no_memory(c, err);
	if (span_is_ascii(c->name) && !(c->dn = ldap_strdup(dn.ptr)))
		return no_memory(c, err);
	return 0;
}

struct ldap_call *ldap_call_new(const struct config_ldap *config, struct span name,
				struct arena *arena, struct err *err)
{
	struct ldap_call *c = mem_zalloc(1, sizeof(*c));

	if (!c) {
		(void)err_set(err, ERR_MEMORY, "no memory for a directory");
		return NULL;
	}
	c->config = config;
	c->arena = arena;
	c->name = name;
	c->deadline_ms = clock_ms() + (int64_t)config->timeout_ms;
	if (connect_to(c, err) == 0 &&
	    (config->user_dn.len ? name_entry(c, err) : find_entry(c, err)) == 0)
		return c;
	ldap_call_free(c);
	return NULL;
}

void ldap_call_free(struct ldap_call *c)
{
	if (!c)
		return;
	ldap_memfree(c->dn);
	if (c->ld)
		ldap_unbind_ext_s(c->ld, NULL, NULL);
	mem_free(c);
}

bool ldap_call_found(const struct ldap_call *c)
{
	return c->dn != NULL;
}

struct span ldap_call_id(const struct ldap_call *c)
{
	return c->person.id.len ? c->person.id : SPAN("");
}

/* An entry that nobody has. */
static struct span nobody(const struct ldap_call *c)
{
	struct span name = idp_new_id(c->arena, 'x');

	if (!name.ptr)
		return name;
	if (c->config->user_dn.len)
		return ldap_fill_dn(c->config->user_dn, name, c->arena);
	return arena_printf(c->arena, "cn=%.*s,%.*s", SPAN_ARG(name),
			    SPAN_ARG(c->config->base));
}

int ldap_call_try(struct ldap_call *c, struct span password, bool dry, bool *right,
		  struct err *err)
{
	struct span dn = SPAN_NONE;
	int code;

	*right = false;
	dry = dry || !c->dn || !password.len || password.len > PASSWORD_BYTES_MAX;
	if (dry) {
		dn = nobody(c);
		if (!dn.ptr)
			return no_memory(c, err);
		password = SPAN("nobody's password");
	}
	if (bind_as(c, dry ? dn.ptr : c->dn, password, &code, err) < 0)
		return -1;
	if (code != LDAP_SUCCESS && !is_refusal(code))
		return away(c, "bind", code, err);
	*right = code == LDAP_SUCCESS && !dry;
	return 0;
}

/* ---- who it is ---- */

/* Without a search before, by the rights of who is bound; *found: it is there. */
static int read_named(struct ldap_call *c, bool *found, struct err *err)
{
	char *attributes[ATTRIBUTES_MAX];
	LDAPMessage *message, *entry;
	int code, result = 0;

	attributes_of(c->config, attributes);
	message = search(c, c->dn, LDAP_SCOPE_BASE, SPAN("(objectClass=*)"), attributes, 1,
			 &code, err);
	if (!message)
		return -1;
	entry = code == LDAP_SUCCESS ? only_entry(c, message) : NULL;
	*found = entry != NULL;
	if (entry)
		result = read_entry(c, entry, err);
	else if (code != LDAP_SUCCESS && code != LDAP_NO_SUCH_OBJECT)
		result = away(c, "entry", code, err);
	ldap_msgfree(message);
	return result;
}

static int find_groups(struct ldap_call *c, struct err *err)
{
	struct span filter =
		ldap_fill_filter(c->config->group_filter, c->name, span_cstr(c->dn), c->arena);
	char *attributes[] = {(char *)(uintptr_t)c->config->group_attribute.ptr, NULL};
	LDAPMessage *message;
	int code, result = 0;

	if (!filter.ptr)
		return no_memory(c, err);
	if (bind_service(c, err) < 0)
		return -1;
	message = search(c, c->config->group_base.ptr, LDAP_SCOPE_SUBTREE, filter, attributes,
			 GROUPS_MAX, &code, err);
	if (!message)
		return -1;
	/* Fewer groups than there are could be a role less, or one that should have gone. */
	if (code != LDAP_SUCCESS)
		result = away(c, "groups", code, err);
	for (LDAPMessage *entry = result == 0 ? ldap_first_entry(c->ld, message) : NULL; entry;
	     entry = ldap_next_entry(c->ld, entry))
		if (read_texts(c, entry, c->config->group_attribute, &c->person.groups) < 0)
			result = no_memory(c, err);
	ldap_msgfree(message);
	return result;
}

/* "cn=staff,ou=groups,dc=example": "staff"; what is no DN is its own short name. */
static int shorten(struct ldap_call *c, struct span group)
{
	struct config_strings *to = &c->person.short_groups;
	struct span copy = SPAN_NONE;
	LDAPDN dn = NULL;

	if (ldap_str2dn(group.ptr, &dn, LDAP_DN_FORMAT_LDAPV3) == LDAP_SUCCESS && dn && dn[0] &&
	    dn[0][0]) {
		const struct berval *value = &dn[0][0]->la_value;

		if (is_text(span_of(value->bv_val, value->bv_len)))
			copy = arena_dup(c->arena, span_of(value->bv_val, value->bv_len));
	} else {
		copy = group;
	}
	if (dn)
		ldap_dnfree(dn);
	return copy.ptr ? texts_add(to, copy, c->arena) : 0;
}

static int complete(struct ldap_call *c, struct ldap_person *person, struct err *err)
{
	if (c->config->group_base.len && find_groups(c, err) < 0)
		return -1;
	for (size_t i = 0; i < c->person.groups.count; i++)
		if (shorten(c, c->person.groups.at[i]) < 0)
			return no_memory(c, err);
	*person = c->person;
	return 0;
}

int ldap_call_person(struct ldap_call *c, struct ldap_person *person, struct err *err)
{
	bool found = true;

	if (c->config->user_dn.len && read_named(c, &found, err) < 0)
		return -1;
	if (!found)
		return away(c, "own entry", LDAP_NO_SUCH_OBJECT, err);
	return complete(c, person, err);
}

/* ---- who it was that logged in a while ago ---- */

bool ldap_can_look(const struct config_ldap *config)
{
	/* Without a search, what an entry says is known to itself alone, or to who may read it. */
	return config->base.len > 0 || config->bind_dn.len > 0;
}

int ldap_call_look(struct ldap_call *c, struct ldap_person *person, bool *found,
		   struct err *err)
{
	*found = c->dn != NULL;
	if (*found && c->config->user_dn.len &&
	    (bind_service(c, err) < 0 || read_named(c, found, err) < 0))
		return -1;
	return *found ? complete(c, person, err) : 0;
}
