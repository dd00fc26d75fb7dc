/*
 * config_process.h - where the process listens, what it allows, and what it tells. Included by
 * config.h.
 */
#ifndef CONFIG_CONFIG_PROCESS_H
#define CONFIG_CONFIG_PROCESS_H

#include <stdbool.h>

#include "base/log.h"
#include "config/config_base.h"

/* ---- listen ---------------------------------------------------------------------------------- */

enum config_client_auth {
	CONFIG_CLIENT_AUTH_NONE,
	CONFIG_CLIENT_AUTH_OPTIONAL,
	CONFIG_CLIENT_AUTH_REQUIRED,
	CONFIG_CLIENT_AUTH_ANY /* asked for; nobody need have signed it */
};
enum config_tls_version { CONFIG_TLS_1_2, CONFIG_TLS_1_3 };
enum config_proxy_protocol {
	CONFIG_PROXY_PROTOCOL_OFF,
	CONFIG_PROXY_PROTOCOL_ACCEPT, /* v1 or v2 from trusted_proxies; others speak plainly */
	CONFIG_PROXY_PROTOCOL_REQUIRE /* connections without a header, or not trusted, are closed */
};

struct config_certificate {
	struct config_where where;
	struct span certificate; /* file: PEM, leaf first, then its chain */
	struct span key; /* file: PEM */
	struct config_strings names; /* SNI names; empty: those of the certificate */
	struct span ocsp; /* file: DER response to staple; may be empty */
};

struct config_listen_tls {
	struct config_where where;
	CONFIG_LIST(struct config_certificate)
	certificates; /* at least one; first is the default */
	struct span client_ca; /* file: PEM bundle; set with optional and required */
	enum config_client_auth client_auth;
	enum config_tls_version min_version;
	struct span ciphers; /* TLS 1.2, OpenSSL syntax; empty: our own modern list */
	struct span ciphersuites; /* TLS 1.3, OpenSSL syntax; empty: OpenSSL's */
	bool session_tickets;
	uint64_t handshake_timeout_ms;
};

struct config_listen {
	struct config_where where;
	struct config_address address;
	struct config_listen_tls *tls; /* NULL: plain text */
	bool http2; /* ALPN h2 on TLS listeners */
	bool h2c; /* HTTP/2 with prior knowledge on plain-text listeners */
	enum config_proxy_protocol proxy_protocol;
	bool reuse_port; /* a listening socket a worker */
	uint32_t backlog;
};

/* ---- process and limits ---------------------------------------------------------------------- */

struct config_http2_limits {
	uint32_t streams; /* concurrent, a connection */
	uint32_t resets; /* RST_STREAM from the client allowed each resets_interval_ms */
	uint64_t resets_interval_ms;
	uint32_t continuations; /* CONTINUATION frames a header block */
	uint64_t ping_interval_ms; /* of a client's silence, before it is asked; 0: never */
	uint64_t ping_timeout_ms;
	uint64_t header_list_bytes;
	uint64_t window_bytes; /* a stream */
	uint64_t connection_window_bytes;
};

enum config_compressed { CONFIG_COMPRESSED_DECODE, CONFIG_COMPRESSED_REFUSE };

struct config_limits {
	uint64_t request_line_bytes;
	uint32_t header_count;
	uint64_t header_bytes; /* all fields of a request together */
	uint64_t body_bytes; /* 0: no limit */
	uint64_t headers_timeout_ms; /* from the first byte to the end of the head */
	uint64_t body_rate_bytes; /* a second; slower bodies are cut off. 0: no minimum */
	uint64_t body_grace_ms; /* before body_rate_bytes holds */
	uint64_t
		response_rate_bytes; /* a second; clients that take less are cut off. 0: none */
	uint64_t keep_alive_timeout_ms; /* idle between requests */
	uint32_t requests_per_connection; /* 0: no limit */
	uint32_t connections; /* of all workers together */
	uint32_t connections_per_address; /* 0: no limit */
	uint64_t
		drain_timeout_ms; /* reload, upgrade, stop: what is still open then is cut off */
	uint64_t body_buffer_bytes; /* of a body that is held back to be checked */
	uint64_t body_buffers_bytes; /* of all such bodies together */
	enum config_compressed compressed; /* bodies that are to be checked */
	uint64_t exchange_memory_bytes; /* the arena of one exchange */
	struct config_http2_limits http2;
};

enum config_forwarded {
	CONFIG_FORWARDED_DROP,
	CONFIG_FORWARDED_TRUSTED, /* either kind; of both, the same must be said */
	CONFIG_FORWARDED_X,
	CONFIG_FORWARDED_RFC7239,
};
enum { CONFIG_FORWARDED_SEND_X = 1, CONFIG_FORWARDED_SEND_RFC7239 = 2 };

struct config_forwarded_headers {
	enum config_forwarded client_headers; /* believed from trusted_proxies only */
	unsigned send; /* CONFIG_FORWARDED_SEND_* */
	struct span request_id_header; /* lower case */
	bool request_id_accept; /* from trusted_proxies: keep the id that they sent */
	struct span via; /* our pseudonym in Via; empty: send none */
};

struct config_admin {
	struct config_where where;
	bool enabled;
	struct config_address address;
	bool actions; /* POST is allowed */
};

enum config_access_log {
	CONFIG_ACCESS_LOG_OFF,
	CONFIG_ACCESS_LOG_STDOUT,
	CONFIG_ACCESS_LOG_STDERR,
	CONFIG_ACCESS_LOG_FILE
};

struct config_log {
	enum log_level level;
	enum log_format format;
	enum config_access_log access;
	struct span access_path; /* for CONFIG_ACCESS_LOG_FILE */
	struct span audit_path; /* empty: no audit log */
};

#endif
