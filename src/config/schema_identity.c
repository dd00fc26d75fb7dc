#include "config/schema_parts.h"

#define API_KEY_FILE_BYTES_MAX TREE_BYTES_MAX

const struct schema_name schema_jws_names[] = {
	{"RS256", CONFIG_JWS_RS256},
	{"RS384", CONFIG_JWS_RS384},
	{"RS512", CONFIG_JWS_RS512},
	{"PS256", CONFIG_JWS_PS256},
	{"PS384", CONFIG_JWS_PS384},
	{"PS512", CONFIG_JWS_PS512},
	{"ES256", CONFIG_JWS_ES256},
	{"ES384", CONFIG_JWS_ES384},
	{"ES512", CONFIG_JWS_ES512},
	{"EdDSA", CONFIG_JWS_EDDSA},
	{NULL, 0},
};

/* ---- providers ------------------------------------------------------------------------------- */

static const struct schema_key claims_keys[] = {
	{KEY("subject", CLAIM, config_claims, subject), .initial = "sub",
	 .text = "Claim that names the user."},
	{KEY("client", CLAIM, config_claims, client), .initial = "client_id",
	 .text = "Claim that names the client."},
	{KEY("scope", CLAIM, config_claims, scope), .initial = "scope",
	 .text = "Claim with the scopes."},
	{KEY("roles", CLAIM, config_claims, roles),
	 .text = "Claim with the roles; without, tokens give none."},
	{KEY("permissions", CLAIM, config_claims, permissions),
	 .text = "Claim with the permissions; without, tokens give none."},
	{.name = NULL},
};

static const struct schema_object claims = {
	.name = "claims",
	.size = sizeof(struct config_claims),
	.keys = claims_keys,
};

static const struct schema_key introspection_keys[] = {
	{KEY("url", TEXT, config_introspection, url), .flags = SCHEMA_REQUIRED,
	 .format = &format_url, .text = "Introspection endpoint (RFC 7662)."},
	{KEY("client_id", TEXT, config_introspection, client_id), .flags = SCHEMA_REQUIRED,
	 .format = &format_any, .text = "Our name there."},
	{KEY("client_secret", SECRET, config_introspection, client_secret),
	 .flags = SCHEMA_REQUIRED, .text = "Our secret there."},
	{KEY("cache_ttl", DURATION, config_introspection, cache_ttl_ms), .initial = "30s",
	 .max = 86400000, .text = "How long an answer is believed; 0 asks every time."},
	{KEY("timeout", DURATION, config_introspection, timeout_ms), .initial = "2s", .min = 1,
	 .text = "For one question."},
	{KEY("ca", FILE, config_introspection, ca),
	 .text = "PEM file: authorities for the endpoint; without, the system's."},
	{.name = NULL},
};

static const struct schema_object introspection = {
	.name = "introspection",
	.size = sizeof(struct config_introspection),
	.keys = introspection_keys,
	.has_where = true,
};

static const struct schema_key jwks_keys[] = {
	{KEY("file", FILE, config_provider, jwks_file),
	 .text = "File with a JSON Web Key set."},
	{KEY("url", TEXT, config_provider, jwks_url), .format = &format_url,
	 .text = "Where to fetch the JSON Web Key set."},
	{KEY("ca", FILE, config_provider, jwks_ca),
	 .text = "PEM file: authorities for the URL; without, the system's."},
	{KEY("refresh", DURATION, config_provider, jwks_refresh_ms), .initial = "15m",
	 .min = 1000, .text = "Time between fetches."},
	{KEY("min_refetch", DURATION, config_provider, jwks_min_refetch_ms), .initial = "30s",
	 .min = 1000, .text = "Least time between fetches for an unknown key id."},
	{.name = NULL},
};

static void jwks_finish(struct reader *reader, const struct tree_node *node, void *object)
{
	static const char *const sources[] = {"file", "url", NULL};

	(void)object;
	if (node->count > 0 && schema_given(node, sources) != 1)
		reader_error(reader, node->where, "give either 'file' or 'url'");
}

static const struct schema_object jwks = {
	.name = "jwks",
	.size = sizeof(struct config_provider),
	.keys = jwks_keys,
	.shorthand = "file",
	.finish = jwks_finish,
};

static const struct schema_key provider_keys[] = {
	{KEY("name", TEXT, config_provider, name), .flags = SCHEMA_REQUIRED,
	 .format = &format_name, .text = "For logs and metrics."},
	{KEY("issuer", TEXT, config_provider, issuer), .flags = SCHEMA_REQUIRED,
	 .format = &format_any, .text = "The `iss` of its tokens, byte by byte."},
	{KEY("audience", TEXTS, config_provider, audience), .flags = SCHEMA_REQUIRED,
	 .format = &format_any, .text = "One of these must be in `aud`."},
	{KEY("algorithms", FLAGS, config_provider, algorithms),
	 .initial = "RS256 PS256 ES256 EdDSA", .names = schema_jws_names,
	 .text = "Signature algorithms that are accepted."},
	{GROUP("jwks", &jwks), .text = "Its public keys."},
	{KEY("clock_skew", DURATION, config_provider, clock_skew_ms), .initial = "30s",
	 .max = 600000, .text = "Tolerance in `exp`, `nbf` and `iat`."},
	{KEY("require_at_jwt", BOOL, config_provider, require_typ_at_jwt), .initial = "false",
	 .text = "Only tokens of type at+jwt (RFC 9068)."},
	{KEY("claims", OBJECT, config_provider, claims), .object = &claims,
	 .text = "Where in a token things are: a name, a path with dots, or a list of names."},
	{KEY("introspection", OPTIONAL, config_provider, introspection),
	 .object = &introspection, .text = "Ask about tokens that are not a JWT."},
	{.name = NULL},
};

static void provider_finish(struct reader *reader, const struct tree_node *node, void *object)
{
	const struct config_provider *provider = object;

	if (!tree_get(node, "jwks") && !provider->introspection)
		reader_error(reader, node->where, "'jwks' or 'introspection' is missing");
	if (provider->audience.count == 0)
		reader_error(reader, node->where, "'audience' is empty");
	if (provider->algorithms == 0)
		reader_error(reader, node->where, "'algorithms' is empty");
}

const struct schema_object schema_provider = {
	.name = "provider",
	.size = sizeof(struct config_provider),
	.keys = provider_keys,
	.has_where = true,
	.finish = provider_finish,
};

/* ---- API keys -------------------------------------------------------------------------------- */

static bool read_sha256(struct reader *reader, const struct tree_node *node, void *object)
{
	struct config_api_key *key = object;

	(void)reader;
	return value_sha256(node->text, key->sha256);
}

/* The hash of a good key is no secret, but nobody needs to see it either. */
static void print_sha256(const void *object, struct buf *out)
{
	(void)object;
	buf_append_cstr(out, "\"***\"");
}

static const struct schema_custom sha256_custom = {
	.what = "the SHA-256 of the key in 64 hexadecimal digits",
	.read = read_sha256,
	.print = print_sha256,
	.json_schema = "\"type\":[\"string\",\"integer\"],\"pattern\":\"^[0-9a-fA-F]{64}$\"",
};

static bool read_expires(struct reader *reader, const struct tree_node *node, void *object)
{
	struct config_api_key *key = object;

	(void)reader;
	return value_time(node->text, &key->expires_unix_s);
}

static void print_expires(const void *object, struct buf *out)
{
	const struct config_api_key *key = object;

	buf_append_u64(out, key->expires_unix_s);
}

static const struct schema_custom expires_custom = {
	.what = "a day such as 2027-01-31 or a time such as 2027-01-31T12:00:00Z",
	.read = read_expires,
	.print = print_expires,
	.json_schema = "\"type\":\"string\",\"pattern\":"
		       "\"^[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9:]{8}Z)?$\"",
};

static const struct schema_key api_key_keys[] = {
	{.name = "sha256",
	 .type = SCHEMA_CUSTOM,
	 .flags = SCHEMA_REQUIRED,
	 .custom = &sha256_custom,
	 .text = "Hash of what the client sends, in hexadecimal."},
	{KEY("client", TEXT, config_api_key, client), .flags = SCHEMA_REQUIRED,
	 .format = &format_any, .text = "Whom it stands for."},
	{KEY("roles", TEXTS, config_api_key, roles), .format = &format_name,
	 .text = "Roles of the client."},
	{KEY("scopes", TEXTS, config_api_key, scopes), .format = &format_scope,
	 .text = "Scopes of the client."},
	{.name = "expires",
	 .type = SCHEMA_CUSTOM,
	 .custom = &expires_custom,
	 .text = "From when it is refused; a day or a time in UTC."},
	{.name = NULL},
};

const struct schema_object schema_api_key = {
	.name = "api_key",
	.size = sizeof(struct config_api_key),
	.keys = api_key_keys,
	.has_where = true,
};

struct api_keys_reading {
	struct config_api_keys keys;
	struct span file;
};

static const struct schema_key api_keys_keys[] = {
	{KEY("header", TEXT, api_keys_reading, keys.header), .initial = "x-api-key",
	 .format = &format_field_name, .text = "Header field that carries the key."},
	{KEY("keys", LIST, api_keys_reading, keys.keys), .object = &schema_api_key,
	 .text = "The keys."},
	{KEY("file", FILE, api_keys_reading, file), .flags = SCHEMA_HIDDEN,
	 .text = "YAML file with a list of more keys."},
	{.name = NULL},
};

/* Parses the file and returns its root, or NULL when that was reported. */
static struct tree_node *parse_key_file(struct reader *reader, const struct tree_node *node,
					struct span path)
{
	struct tree_node *root = NULL;
	struct buf bytes;
	struct err err;

	if (!reader->source->read_file) {
		reader_error(reader, node->where, "files cannot be read here");
		return NULL;
	}
	buf_init(&bytes, API_KEY_FILE_BYTES_MAX);
	if (reader->source->read_file(reader->source->context, path.ptr, API_KEY_FILE_BYTES_MAX,
				      &bytes, &err) != 0)
		reader_error(reader, node->where, "%s", err.message);
	else
		root = tree_parse(buf_span(&bytes), path.ptr, reader->source, reader->trees,
				  reader->problems);
	buf_release(&bytes);
	return root;
}

static void api_keys_finish(struct reader *reader, const struct tree_node *node, void *object)
{
	struct api_keys_reading *reading = object;
	struct config_api_keys *keys = &reading->keys;
	struct config_api_keys more = {.header = SPAN_NONE};
	struct config_api_key *all;
	const struct tree_node *root;

	if (!tree_get(node, "file"))
		return;
	root = parse_key_file(reader, node, reading->file);
	if (!root)
		return;
	reader_list(reader, &schema_api_key, root, false, &more.keys);
	all = reader_array(reader, struct config_api_key, keys->keys.count + more.keys.count);
	if (!all)
		return;
	for (size_t i = 0; i < keys->keys.count; i++)
		all[i] = keys->keys.at[i];
	for (size_t i = 0; i < more.keys.count; i++)
		all[keys->keys.count + i] = more.keys.at[i];
	keys->keys.at = all;
	keys->keys.count += more.keys.count;
}

static const struct schema_object api_keys = {
	.name = "api_keys",
	.size = sizeof(struct api_keys_reading),
	.keys = api_keys_keys,
	.has_where = true,
	.finish = api_keys_finish,
};

/* ---- client certificates, roles -------------------------------------------------------------- */

static const struct schema_key client_keys[] = {
	{KEY("spiffe", TEXT, config_client_identity, spiffe), .format = &format_spiffe,
	 .text = "SPIFFE id of the certificate; /* at the end takes all below."},
	{KEY("subject", TEXT, config_client_identity, subject), .format = &format_any,
	 .text = "Distinguished name of the certificate (RFC 4514)."},
	{KEY("dns", TEXT, config_client_identity, dns), .format = &format_host,
	 .text = "DNS name in the certificate."},
	{KEY("identity", TEXT, config_client_identity, identity), .format = &format_any,
	 .text = "Whom it stands for; without, the name above."},
	{KEY("roles", TEXTS, config_client_identity, roles), .format = &format_name,
	 .text = "Roles of the client."},
	{KEY("scopes", TEXTS, config_client_identity, scopes), .format = &format_scope,
	 .text = "Scopes of the client."},
	{.name = NULL},
};

static void client_finish(struct reader *reader, const struct tree_node *node, void *object)
{
	static const char *const names[] = {"spiffe", "subject", "dns", NULL};

	(void)object;
	if (schema_given(node, names) != 1)
		reader_error(reader, node->where, "give one of 'spiffe', 'subject' and 'dns'");
}

static const struct schema_object client_identity = {
	.name = "client_certificate",
	.size = sizeof(struct config_client_identity),
	.keys = client_keys,
	.has_where = true,
	.finish = client_finish,
};

static const struct schema_key role_keys[] = {
	{KEY("permissions", TEXTS, config_role, permissions), .format = &format_scope,
	 .text = "What the role may do; orders:* stands for all of orders."},
	{KEY("includes", TEXTS, config_role, includes), .format = &format_name,
	 .text = "Roles whose permissions it has too."},
	{.name = NULL},
};

static const struct schema_object role = {
	.name = "role",
	.size = sizeof(struct config_role),
	.keys = role_keys,
	.has_where = true,
	.name_offset = offsetof(struct config_role, name),
};

/* ---- identity -------------------------------------------------------------------------------- */

static const struct schema_key lockout_keys[] = {
	{KEY("failures", COUNT, config_lockout, failures), .initial = "5", .min = 1,
	 .text = "Failed logins until the wait begins."},
	{KEY("wait", DURATION, config_lockout, wait_ms), .initial = "1m",
	 .text = "The first wait; each further one is twice as long."},
	{KEY("max_wait", DURATION, config_lockout, max_wait_ms), .initial = "15m",
	 .text = "The longest wait."},
	{KEY("answer", DURATION, config_lockout, answer_ms), .initial = "250ms", .max = 5000,
	 .text = "A failed login is answered this long after it came (or twice, four times as "
		 "long), so that the time tells nothing; 0: as soon as it is known."},
	{.name = NULL},
};

static const struct schema_object lockout = {
	.name = "lockout",
	.size = sizeof(struct config_lockout),
	.keys = lockout_keys,
};

static const struct schema_key password_keys[] = {
	{KEY("memory", SIZE, config_password, memory_bytes), .initial = "19M", .min = 8192,
	 .max = (uint64_t)4 << 30, .text = "Memory that argon2id takes."},
	{KEY("passes", COUNT, config_password, passes), .initial = "2", .min = 1, .max = 100,
	 .text = "Passes over it."},
	{KEY("lanes", COUNT, config_password, lanes), .initial = "1", .min = 1, .max = 64,
	 .text = "Lanes; they are computed one after the other."},
	{KEY("min_length", COUNT, config_password, min_chars), .initial = "10", .min = 8,
	 .max = 128, .text = "Characters that a new password has at least."},
	{KEY("breached", FILE, config_password, breached),
	 .text = "File with known passwords, one a line, sorted or not; these are refused."},
	{.name = NULL},
};

static const struct schema_object password = {
	.name = "password",
	.size = sizeof(struct config_password),
	.keys = password_keys,
};

static const struct schema_key tokens_keys[] = {
	{KEY("access", DURATION, config_tokens, access_ms), .initial = "5m", .min = 1000,
	 .max = 86400000, .text = "Life of an access token."},
	{KEY("id", DURATION, config_tokens, id_ms), .initial = "5m", .min = 1000,
	 .max = 86400000, .text = "Life of an ID token."},
	{KEY("code", DURATION, config_tokens, code_ms), .initial = "1m", .min = 1000,
	 .max = 600000, .text = "Life of an authorization code."},
	{KEY("device", DURATION, config_tokens, device_ms), .initial = "10m", .min = 10000,
	 .max = 3600000, .text = "Life of a device code."},
	{KEY("refresh", DURATION, config_tokens, refresh_ms), .initial = "14d", .min = 1000,
	 .text = "Life of a refresh token that is not used."},
	{KEY("refresh_absolute", DURATION, config_tokens, refresh_absolute_ms),
	 .initial = "90d", .min = 1000,
	 .text = "Life of a grant, however often it is renewed."},
	{.name = NULL},
};

static const struct schema_object tokens = {
	.name = "tokens",
	.size = sizeof(struct config_tokens),
	.keys = tokens_keys,
};

static const struct schema_name signing_names[] = {
	{"ES256", CONFIG_JWS_ES256},
	{"EdDSA", CONFIG_JWS_EDDSA},
	{"RS256", CONFIG_JWS_RS256},
	{NULL, 0},
};

static const struct schema_key signing_keys[] = {
	{KEY("algorithm", ENUM, config_signing, algorithm), .initial = "ES256",
	 .names = signing_names, .text = "Of new keys."},
	{KEY("rotate", DURATION, config_signing, rotate_ms), .initial = "30d", .min = 60000,
	 .text = "A new key after this time; the old one stays valid for tokens."},
	{.name = NULL},
};

static const struct schema_object signing = {
	.name = "signing",
	.size = sizeof(struct config_signing),
	.keys = signing_keys,
	.shorthand = "algorithm",
};

static const struct schema_key token_cache_keys[] = {
	{KEY("size", COUNT, config_identity, token_cache_size), .initial = "10000",
	 .max = 10000000, .text = "Verified tokens that are remembered; 0 remembers none."},
	{KEY("max_age", DURATION, config_identity, token_cache_max_age_ms), .initial = "5m",
	 .max = 86400000, .text = "How long at most."},
	{.name = NULL},
};

static const struct schema_object token_cache = {
	.name = "token_cache",
	.size = sizeof(struct config_identity),
	.keys = token_cache_keys,
	.shorthand = "size",
};

static const struct schema_key identity_keys[] = {
	{KEY("issuer", TEXT, config_identity, issuer), .format = &format_url,
	 .text = "Issuer of the built-in identity server."},
	{KEY("key_file", OUTPUT, config_identity, key_file),
	 .text = "Key that seals secrets in the store; without, beside the SQLite file. It is "
		 "made when it is not there."},
	{KEY("lockout", OBJECT, config_identity, lockout), .object = &lockout,
	 .text = "Against guessing passwords."},
	{KEY("password", OBJECT, config_identity, password), .object = &password,
	 .text = "How passwords are kept, and must be."},
	{KEY("session", OBJECT, config_identity, session), .object = &schema_session,
	 .text = "Logins of browsers."},
	{KEY("tokens", OBJECT, config_identity, tokens), .object = &tokens,
	 .text = "Lives of what is issued."},
	{KEY("signing", OBJECT, config_identity, signing), .object = &signing,
	 .text = "Keys that sign tokens."},
	{KEY("oauth", OBJECT, config_identity, oauth), .object = &schema_oauth,
	 .text = "What OAuth clients may do beyond the usual."},
	{KEY("theme", OBJECT, config_identity, theme), .object = &schema_theme,
	 .text = "How the pages look."},
	{KEY("codes", OBJECT, config_identity, codes), .object = &schema_codes,
	 .text = "One-time codes that are sent."},
	{KEY("sms", OPTIONAL, config_identity, sms), .object = &schema_sms,
	 .text = "How SMS are sent; with it, codes by SMS are offered as second factor."},
	{KEY("accounts", OBJECT, config_identity, accounts), .object = &schema_accounts,
	 .text = "Accounts that people make, and reset."},
	{KEY("federation", LIST, config_identity, federation), .object = &schema_federation,
	 .text = "OpenID Connect providers whose users may log in here."},
	{KEY("ldap", LIST, config_identity, ldap), .object = &schema_ldap,
	 .text = "Directories whose users log in here with their passwords there."},
	{KEY("providers", LIST, config_identity, providers), .object = &schema_provider,
	 .text = "Who issues bearer tokens."},
	{KEY("api_keys", OPTIONAL, config_identity, api_keys), .object = &api_keys,
	 .text = "API keys, stored hashed."},
	{KEY("client_certificates", LIST, config_identity, client_certificates),
	 .object = &client_identity, .text = "Whom client certificates stand for."},
	{KEY("roles", MAP, config_identity, roles), .object = &role, .text = "Roles by name."},
	{GROUP("token_cache", &token_cache), .text = "Remembering verified tokens."},
	{KEY("realm", TEXT, config_identity, realm), .initial = "sallyport",
	 .format = &format_name, .text = "Realm of WWW-Authenticate."},
	{.name = NULL},
};

const struct schema_object schema_identity = {
	.name = "identity",
	.size = sizeof(struct config_identity),
	.keys = identity_keys,
	.has_where = true,
};
