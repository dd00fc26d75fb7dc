#include "base/hex.h"
#include "base/map.h"
#include "base/mem.h"
#include "parse/base64.h"
#include "supply/lock_parse.h"

#define DIGEST_BYTES_MAX 64

struct span lock_text(const struct lock_input *in, struct span text)
{
	return inventory_text(in->inv, text);
}

struct component *lock_add(const struct lock_input *in, enum ecosystem ecosystem,
			   struct span name, struct span version, uint32_t line,
			   uint32_t *index)
{
	struct component c = {
		.ecosystem = ecosystem,
		.name = lock_text(in, name),
		.version = lock_text(in, version),
		.file = in->file,
		.line = line,
		.layer = in->layer,
		.owner = COMPONENT_NONE,
	};
	uint32_t at = inventory_add(in->inv, &c);

	if (index)
		*index = at;
	return at == COMPONENT_NONE ? NULL : &in->inv->at[at];
}

bool lock_is_commit(struct span s)
{
	for (size_t i = 0; i < s.len; i++) {
		char c = ascii_lower(s.ptr[i]);

		if (!(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'f'))
			return false;
	}
	return s.len >= 7 && s.len <= 64;
}

bool lock_vcs(const struct lock_input *in, struct component *c, struct span address)
{
	size_t hash = span_find_byte(address, '#');
	struct span commit = span_slice(address, hash + 1, address.len);
	size_t key;

	if (hash == address.len)
		return false;
	/* Berry: "#commit=0123"; pip: "#egg=name" is no commit. */
	key = span_find(commit, SPAN("commit="));
	if (key < commit.len)
		commit = span_slice(commit, key + 7, commit.len);
	commit = span_slice(commit, 0, span_find_byte(commit, '&'));
	if (!lock_is_commit(commit))
		return false;
	c->commit = lock_text(in, commit);
	address = span_slice(address, 0, hash);
	address = span_slice(address, 0, span_find_byte(address, '?'));
	if (span_starts_with(address, SPAN("github:")))
		c->vcs_url = inventory_printf(in->inv, "https://github.com/%.*s.git",
					      SPAN_ARG(span_slice(address, 7, address.len)));
	else
		c->vcs_url = lock_text(in, address);
	return true;
}

void lock_digest(const struct lock_input *in, struct component *c, struct span digest)
{
	static const struct {
		struct span name;
		size_t bytes;
	} algorithms[] = {{SPAN_INIT("sha512"), 64},
			  {SPAN_INIT("sha256"), 32},
			  {SPAN_INIT("sha384"), 48},
			  {SPAN_INIT("sha1"), 20},
			  {SPAN_INIT("md5"), 16}};
	unsigned char bytes[DIGEST_BYTES_MAX + 4];
	char digits[2 * DIGEST_BYTES_MAX];
	size_t length = 0;

	/* Of several ("sha1-... sha512-..."), the first will do. */
	digest = span_slice(digest, 0, span_find_byte(digest, ' '));
	for (size_t i = 0; i < COUNT_OF(algorithms); i++) {
		size_t n = algorithms[i].name.len;
		struct span value = span_slice(digest, n + 1, digest.len);

		if (!span_starts_with(digest, algorithms[i].name) || digest.len <= n ||
		    (digest.ptr[n] != '-' && digest.ptr[n] != ':' && digest.ptr[n] != '='))
			continue;
		if (value.len == 2 * algorithms[i].bytes &&
		    lock_is_commit(span_slice(value, 0, 64))) {
			c->digest = lock_text(in, value);
		} else {
			if (base64_decoded_max(value.len) > sizeof(bytes) ||
			    !base64_decode(bytes, &length, value) ||
			    length != algorithms[i].bytes)
				return;
			hex_encode(digits, bytes, length);
			c->digest = lock_text(in, span_of(digits, 2 * length));
		}
		c->digest_algorithm = algorithms[i].name;
		return;
	}
}

/* --- Scopes. */

struct spread {
	const struct inventory *inv;
	const uint32_t *start; /* edges by `from`, relative to first */
	const uint32_t *to;
	uint32_t *queue;
	unsigned char *seen; /* a bit a pass */
	uint32_t first;
};

static void spread_from(struct spread *s, bool dev, unsigned char bit)
{
	uint32_t head = 0, tail = 0, n = s->inv->count - s->first;

	for (uint32_t i = 0; i < n; i++) {
		const struct component *c = &s->inv->at[s->first + i];

		if (c->relation == RELATION_DIRECT && (c->scope == SCOPE_DEV) == dev) {
			s->seen[i] |= bit;
			s->queue[tail++] = i;
		}
	}
	while (head < tail) {
		uint32_t at = s->queue[head++];

		for (uint32_t e = s->start[at]; e < s->start[at + 1]; e++) {
			uint32_t to = s->to[e] - s->first;

			if (!(s->seen[to] & bit)) {
				s->seen[to] |= bit;
				s->queue[tail++] = to;
			}
		}
	}
}

void lock_spread_scopes(const struct lock_input *in, uint32_t first, size_t first_edge)
{
	struct inventory *inv = in->inv;
	size_t n = inv->count - first;
	size_t edges = inv->edge_count - first_edge;
	uint32_t *start = mem_zalloc(n + 2, sizeof(*start));
	uint32_t *to = mem_zalloc(edges + 1, sizeof(*to));
	uint32_t *queue = mem_zalloc(n + 1, sizeof(*queue));
	unsigned char *seen = mem_zalloc(n + 1, 1);
	struct spread s = {inv, start, to, queue, seen, first};

	if (!start || !to || !queue || !seen) {
		inv->failed = true;
		goto out;
	}
	for (size_t i = first_edge; i < inv->edge_count; i++)
		start[inv->edges[i].from - first + 2]++;
	for (size_t i = 2; i < n + 2; i++)
		start[i] += start[i - 1];
	for (size_t i = first_edge; i < inv->edge_count; i++)
		to[start[inv->edges[i].from - first + 1]++] = inv->edges[i].to;
	spread_from(&s, false, 1);
	spread_from(&s, true, 2);
	for (size_t i = 0; i < n; i++) {
		if (seen[i] & 1)
			inv->at[first + i].scope = inv->at[first + i].scope == SCOPE_OPTIONAL
							   ? SCOPE_OPTIONAL
							   : SCOPE_RUNTIME;
		else if (seen[i] & 2)
			inv->at[first + i].scope = SCOPE_DEV;
	}
out:
	mem_free(start);
	mem_free(to);
	mem_free(queue);
	mem_free(seen);
}

/* --- Manifests that are programs. */

static bool names(struct span text, struct span name, const char *before, const char *after)
{
	size_t ahead = strlen(before);

	while (text.len > name.len) {
		size_t at = span_find(text, name);

		if (at + name.len >= text.len)
			return false;
		if (at >= ahead && memcmp(text.ptr + at - ahead, before, ahead) == 0 &&
		    text.ptr[at + name.len] != '\0' && strchr(after, text.ptr[at + name.len]))
			return true;
		text = span_slice(text, at + 1, text.len);
	}
	return false;
}

void lock_mark_named(const struct lock_input *in, struct span manifest, uint32_t first,
		     const char *before, const char *after)
{
	struct span text = in->beside ? in->beside(in->context, manifest) : SPAN_NONE;
	bool any = false;

	for (uint32_t i = first; text.ptr && i < in->inv->count; i++) {
		struct component *c = &in->inv->at[i];

		if (!c->name.len || !names(text, c->name, before, after))
			continue;
		c->relation = RELATION_DIRECT;
		any = true;
	}
	for (uint32_t i = first; any && i < in->inv->count; i++) {
		if (in->inv->at[i].relation == RELATION_UNKNOWN)
			in->inv->at[i].relation = RELATION_TRANSITIVE;
	}
}

/* --- Names to indices: stored as pointers, one more than the index. */

void lock_index_put(const struct lock_input *in, struct map *m, struct span key, uint32_t index)
{
	if (index == COMPONENT_NONE || map_get(m, key))
		return;
	if (map_put(m, key, (void *)((uintptr_t)index + 1)) < 0)
		in->inv->failed = true;
}

uint32_t lock_index_get(const struct map *m, struct span key)
{
	uintptr_t value = (uintptr_t)map_get(m, key);

	return value ? (uint32_t)(value - 1) : COMPONENT_NONE;
}

struct span lock_python_name(const struct lock_input *in, struct span name)
{
	char *text = arena_alloc(in->scratch, name.len + 1);
	size_t length = 0;

	if (!text) {
		in->inv->failed = true;
		return name;
	}
	for (size_t i = 0; i < name.len; i++) {
		char c = ascii_lower(name.ptr[i]);

		if (c != '-' && c != '_' && c != '.')
			text[length++] = c;
		else if (length == 0 || text[length - 1] != '-')
			text[length++] = '-';
	}
	return span_of(text, length);
}

/* --- Lines. */

void lock_lines_init(struct lock_lines *l, struct span text)
{
	if (span_starts_with(text, SPAN("\xef\xbb\xbf")))
		text = span_slice(text, 3, text.len);
	*l = (struct lock_lines){text, 0};
}

bool lock_lines_next(struct lock_lines *l, struct span *line)
{
	if (!l->rest.ptr || l->rest.len == 0)
		return false;
	*line = span_cut(&l->rest, '\n');
	if (line->len && line->ptr[line->len - 1] == '\r')
		line->len--;
	l->number++;
	return true;
}

int lock_check_text(const struct lock_input *in, struct err *err)
{
	if (span_find_byte(in->text, '\0') < in->text.len)
		return err_set(err, ERR_SYNTAX, "line 1: not a text file");
	return 0;
}

size_t lock_indent(struct span line)
{
	size_t n = 0;

	while (n < line.len && (line.ptr[n] == ' ' || line.ptr[n] == '\t'))
		n++;
	return n;
}
