/*
 * protocol.h - what tells one kind of package registry from another: which request asks for what,
 * and how an index of releases is read and written. Pure: no input or output, no state.
 *
 * All text that is handed out lives in the arena or in the text that was read.
 */
#ifndef REGISTRY_PROTOCOL_H
#define REGISTRY_PROTOCOL_H

#include "base/buf.h"
#include "registry/judge.h"

enum registry_kind {
	REGISTRY_UNKNOWN, /* nothing that is known of the protocol */
	REGISTRY_INDEX, /* the releases of a package */
	REGISTRY_MANIFEST, /* one release of it */
	REGISTRY_FILE, /* one file of a release */
	REGISTRY_PING, /* is anybody there? */
};

struct registry_target {
	enum registry_kind kind;
	struct span package; /* as advisories name it */
	struct span
		version; /* REGISTRY_MANIFEST: a version, or what the protocol calls one by */
	struct span file; /* REGISTRY_FILE: its name */
};

enum registry_hash { REGISTRY_SHA512, REGISTRY_SHA256, REGISTRY_SHA1 };
#define REGISTRY_HASHES 3
#define REGISTRY_DIGEST_BYTES_MAX 64

struct registry_digest {
	enum registry_hash hash;
	unsigned char bytes[REGISTRY_DIGEST_BYTES_MAX];
};

struct registry_file {
	struct span name; /* the last segment of its address */
	struct span url; /* absolute, at the upstream */
	size_t release; /* index in releases */
	struct registry_digest digest;
};

struct registry_index {
	struct span package;
	struct release *releases;
	size_t count;
	struct registry_file *files;
	size_t file_count;
	const void *document; /* the protocol's own */
};

/* How an index is written. */
struct registry_view {
	const struct judgement *judgements; /* one for each release */
	struct span base; /* of the addresses of files: "https://gate.example/registry/npm" */
	bool brief; /* the protocol's other form: for npm the short one, for PyPI JSON */
};

struct registry_protocol {
	struct span name; /* as in the configuration and in paths: "npm" */
	enum ecosystem ecosystem;
	/* `path` begins behind the protocol's name, with '/'. -1 when memory ran out. */
	int (*read_target)(struct arena *arena, struct span path,
			   struct registry_target *target);
	/* Where the upstream has a package's index, from '/' on; ptr NULL without memory. */
	struct span (*index_path)(struct arena *arena, struct span package);
	/*
	 * -1: ERR_SYNTAX or ERR_INVALID when it is no index of this package, ERR_MEMORY. A release
	 * whose file has no digest that can be checked is left out: it could not be let through.
	 */
	int (*read_index)(struct arena *arena, struct span package, struct span text,
			  struct registry_index *index, struct err *err);
	/* Appends the index without what is refused; a failure shows in buf_failed(). */
	void (*write_index)(const struct registry_index *index,
			    const struct registry_view *view, struct buf *to);
	/*
	 * The release that a manifest's `version` means; index->count when there is none. NULL, as is
	 * the next, where there are no manifests.
	 */
	size_t (*find_release)(const struct registry_index *index, struct span version,
			       const struct judgement *judgements);
	/* Appends the manifest of a release that is allowed. */
	void (*write_manifest)(const struct registry_index *index, size_t release,
			       const struct registry_view *view, struct buf *to);
	struct span upstream_accept; /* what an upstream is asked for */
	struct span index_type; /* media types of answers */
	struct span brief_type; /* of the other form, for clients that accept it; empty: none */
	struct span file_type;
};

extern const struct registry_protocol registry_npm;
extern const struct registry_protocol registry_pypi;

/* NULL when there is none of that name. */
const struct registry_protocol *registry_protocol_find(struct span name);

/* "sha512", as OpenSSL and the cache call it, and the bytes of a digest. */
const char *registry_hash_name(enum registry_hash hash);
size_t registry_hash_bytes(enum registry_hash hash);
/* A digest in hexadecimal digits, of any case; false when it is none of that hash. */
bool registry_digest_read(struct span hex, enum registry_hash hash,
			  struct registry_digest *digest);

#endif
