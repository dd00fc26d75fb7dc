#include "config/schema_parts.h"

const struct schema_name schema_tls_versions[] = {
	{"1.2", CONFIG_TLS_1_2},
	{"1.3", CONFIG_TLS_1_3},
	{NULL, 0},
};

unsigned schema_given(const struct tree_node *node, const char *const *keys)
{
	unsigned count = 0;

	for (; *keys; keys++)
		count += tree_get(node, *keys) != NULL;
	return count;
}

static const struct schema_key certificate_keys[] = {
	{KEY("certificate", FILE, config_certificate, certificate), .flags = SCHEMA_REQUIRED,
	 .text = "PEM file: the server's certificate, then its chain."},
	{KEY("key", FILE, config_certificate, key), .flags = SCHEMA_REQUIRED,
	 .text = "PEM file: the private key."},
	{KEY("names", TEXTS, config_certificate, names), .format = &format_host,
	 .text = "Server names (SNI) it is for; without, those in the certificate."},
	{KEY("ocsp", FILE, config_certificate, ocsp),
	 .text = "DER file: an OCSP response to staple."},
	{.name = NULL},
};

static const struct schema_object certificate = {
	.name = "certificate",
	.size = sizeof(struct config_certificate),
	.keys = certificate_keys,
	.has_where = true,
};

/* The keys of a listener's only certificate stand beside those of TLS itself. */
struct tls_reading {
	struct config_listen_tls tls;
	struct span certificate;
	struct span key;
	struct span ocsp;
};

static const struct schema_name client_auth_names[] = {
	{"none", CONFIG_CLIENT_AUTH_NONE},
	{"optional", CONFIG_CLIENT_AUTH_OPTIONAL},
	{"required", CONFIG_CLIENT_AUTH_REQUIRED},
	{"any", CONFIG_CLIENT_AUTH_ANY},
	{NULL, 0},
};

static const struct schema_key tls_keys[] = {
	{KEY("certificate", FILE, tls_reading, certificate), .flags = SCHEMA_HIDDEN,
	 .text = "PEM file: the server's certificate, then its chain."},
	{KEY("key", FILE, tls_reading, key), .flags = SCHEMA_HIDDEN,
	 .text = "PEM file: the private key."},
	{KEY("ocsp", FILE, tls_reading, ocsp), .flags = SCHEMA_HIDDEN,
	 .text = "DER file: an OCSP response to staple."},
	{KEY("certificates", LIST, tls_reading, tls.certificates), .object = &certificate,
	 .text = "Several certificates, chosen by server name; the first is the default."},
	{KEY("client_ca", FILE, tls_reading, tls.client_ca),
	 .text = "PEM file: authorities of client certificates."},
	{KEY("client_auth", ENUM, tls_reading, tls.client_auth), .initial = "none",
	 .names = client_auth_names,
	 .text = "Whether clients show a certificate; any: also one of no known authority, for "
		 "tokens that are bound to it and clients that registered it."},
	{KEY("min_version", ENUM, tls_reading, tls.min_version), .initial = "1.2",
	 .names = schema_tls_versions, .text = "Lowest version of TLS."},
	{KEY("ciphers", TEXT, tls_reading, tls.ciphers), .format = &format_any,
	 .text = "TLS 1.2 ciphers in OpenSSL's syntax; without, a modern list."},
	{KEY("ciphersuites", TEXT, tls_reading, tls.ciphersuites), .format = &format_any,
	 .text = "TLS 1.3 cipher suites in OpenSSL's syntax."},
	{KEY("session_tickets", BOOL, tls_reading, tls.session_tickets), .initial = "on",
	 .text = "Let clients resume sessions with tickets."},
	{KEY("handshake_timeout", DURATION, tls_reading, tls.handshake_timeout_ms),
	 .initial = "10s", .min = 1, .text = "For the whole TLS handshake."},
	{.name = NULL},
};

static void tls_finish(struct reader *reader, const struct tree_node *node, void *object)
{
	static const char *const one[] = {"certificate", "key", NULL};
	struct tls_reading *tls = object;
	struct config_certificate *only;

	if (tls->tls.client_auth != CONFIG_CLIENT_AUTH_NONE &&
	    tls->tls.client_auth != CONFIG_CLIENT_AUTH_ANY && !tree_get(node, "client_ca"))
		reader_error(reader, node->where, "client_auth needs 'client_ca'");
	if (tree_get(node, "certificates")) {
		if (schema_given(node, one) > 0 || tree_get(node, "ocsp"))
			reader_error(reader, node->where,
				     "give either 'certificates' or 'certificate', not both");
		else if (tls->tls.certificates.count == 0)
			reader_error(reader, node->where, "'certificates' is empty");
		return;
	}
	if (!tree_get(node, "certificate")) {
		reader_error(reader, node->where, "'certificate' is missing");
		return;
	}
	if (!tree_get(node, "key")) {
		reader_error(reader, node->where, "'certificate' is given without its 'key'");
		return;
	}
	only = reader_array(reader, struct config_certificate, 1);
	if (!only)
		return;
	only->where = node->where;
	only->certificate = tls->certificate;
	only->key = tls->key;
	only->ocsp = tls->ocsp;
	tls->tls.certificates.at = only;
	tls->tls.certificates.count = 1;
}

static const struct schema_object tls = {
	.name = "listen_tls",
	.size = sizeof(struct tls_reading),
	.keys = tls_keys,
	.has_where = true,
	.finish = tls_finish,
};

static const struct schema_name proxy_protocol_names[] = {
	{"off", CONFIG_PROXY_PROTOCOL_OFF},
	{"accept", CONFIG_PROXY_PROTOCOL_ACCEPT},
	{"require", CONFIG_PROXY_PROTOCOL_REQUIRE},
	{NULL, 0},
};

static const struct schema_key listen_keys[] = {
	{KEY("address", ADDRESS, config_listen, address), .flags = SCHEMA_REQUIRED,
	 .text = "Where to listen: host:port, [IPv6]:port or unix:/path."},
	{KEY("tls", OPTIONAL, config_listen, tls), .object = &tls,
	 .text = "Speak TLS; without, plain text."},
	{KEY("http2", BOOL, config_listen, http2), .initial = "true",
	 .text = "Offer HTTP/2 to TLS clients (ALPN)."},
	{KEY("h2c", BOOL, config_listen, h2c), .initial = "false",
	 .text = "Take HTTP/2 with prior knowledge in plain text."},
	{KEY("proxy_protocol", ENUM, config_listen, proxy_protocol), .initial = "off",
	 .names = proxy_protocol_names,
	 .text = "PROXY protocol v1 and v2 from `trusted_proxies`: never, if sent, or always."},
	{KEY("reuse_port", BOOL, config_listen, reuse_port), .initial = "true",
	 .text = "A listening socket for each worker."},
	{KEY("backlog", COUNT, config_listen, backlog), .initial = "1024", .min = 1,
	 .max = 65535, .text = "Connections that wait to be accepted."},
	{.name = NULL},
};

static void listen_finish(struct reader *reader, const struct tree_node *node, void *object)
{
	const struct config_listen *listen = object;

	if (listen->tls && listen->h2c)
		reader_error(reader, node->where, "h2c is for listeners without 'tls'");
}

const struct schema_object schema_listen = {
	.name = "listen",
	.size = sizeof(struct config_listen),
	.keys = listen_keys,
	.shorthand = "address",
	.has_where = true,
	.finish = listen_finish,
};
