#include "supply/purl.h"

#include "base/buf.h"
#include "parse/utf8.h"

#define PURL_BYTES_MAX ((size_t)64 * 1024)

/* What is special about a type; all others keep their text as it is. */
static const struct type_rules {
	struct span type;
	enum ecosystem ecosystem;
	bool lower_namespace;
	bool lower_name;
	/* Between namespace and name in component.name; 0: the namespace is not part of it. */
	char join;
} types[] = {
	{SPAN_INIT("deb"), ECOSYSTEM_DPKG, true, true, 0},
	{SPAN_INIT("apk"), ECOSYSTEM_APK, true, true, 0},
	{SPAN_INIT("rpm"), ECOSYSTEM_RPM, true, false, 0},
	{SPAN_INIT("npm"), ECOSYSTEM_NPM, true, true, '/'},
	{SPAN_INIT("pypi"), ECOSYSTEM_PYPI, false, true, 0},
	{SPAN_INIT("golang"), ECOSYSTEM_GO, true, true, '/'},
	{SPAN_INIT("cargo"), ECOSYSTEM_CARGO, false, false, 0},
	{SPAN_INIT("maven"), ECOSYSTEM_MAVEN, false, false, ':'},
	{SPAN_INIT("gem"), ECOSYSTEM_RUBYGEMS, false, false, 0},
	{SPAN_INIT("composer"), ECOSYSTEM_PACKAGIST, true, true, '/'},
	{SPAN_INIT("nuget"), ECOSYSTEM_NUGET, false, false, 0},
	{SPAN_INIT("conan"), ECOSYSTEM_CONAN, false, true, 0},
	{SPAN_INIT("hex"), ECOSYSTEM_HEX, true, true, 0},
	{SPAN_INIT("pub"), ECOSYSTEM_PUB, false, true, 0},
	{SPAN_INIT("swift"), ECOSYSTEM_SWIFT, false, false, '/'},
	{SPAN_INIT("cran"), ECOSYSTEM_CRAN, false, false, 0},
	{SPAN_INIT("bioconductor"), ECOSYSTEM_BIOCONDUCTOR, false, false, 0},
	{SPAN_INIT("hackage"), ECOSYSTEM_HACKAGE, false, false, 0},
	{SPAN_INIT("github"), ECOSYSTEM_ACTIONS, true, true, '/'},
	{SPAN_INIT("docker"), ECOSYSTEM_OCI, false, false, '/'},
	{SPAN_INIT("oci"), ECOSYSTEM_OTHER, true, true, 0},
	{SPAN_INIT("bitbucket"), ECOSYSTEM_OTHER, true, true, '/'},
};

static const struct type_rules *rules_of(struct span type)
{
	for (size_t i = 0; i < COUNT_OF(types); i++) {
		if (span_eq(types[i].type, type))
			return &types[i];
	}
	return NULL;
}

void purl_split(const struct component *c, struct span *namespace, struct span *name)
{
	const struct type_rules *rules = rules_of(ecosystem_purl_type(c->ecosystem));
	size_t cut;

	*namespace = c->namespace;
	*name = c->name;
	if (!rules || !rules->join) {
		if (c->ecosystem == ECOSYSTEM_DPKG && !c->namespace.len)
			*namespace = c->distro.len ? c->distro : SPAN("debian");
		else if (c->ecosystem == ECOSYSTEM_APK && !c->namespace.len)
			*namespace = c->distro.len ? c->distro : SPAN("alpine");
		else if (c->ecosystem == ECOSYSTEM_RPM && !c->namespace.len)
			*namespace = c->distro;
		return;
	}
	/* The last separator: in Go modules and Swift addresses there are several. */
	for (cut = c->name.len; cut > 0 && c->name.ptr[cut - 1] != rules->join; cut--)
		;
	if (cut == 0)
		return;
	*namespace = span_slice(c->name, 0, cut - 1);
	*name = span_slice(c->name, cut, c->name.len);
}

/* --- Writing. */

static bool is_plain(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '.' || c == '-' || c == '_' || c == '~' || c == ':';
}

/* `also` stays as it is too: '/' in qualifiers, as the specification's examples have it. */
static void put_encoded(struct buf *b, struct span s, char also)
{
	static const char digits[] = "0123456789ABCDEF";

	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.ptr[i];

		if (is_plain((char)c) || (also && (char)c == also)) {
			buf_append_byte(b, (char)c);
		} else {
			buf_append_byte(b, '%');
			buf_append_byte(b, digits[c >> 4]);
			buf_append_byte(b, digits[c & 15]);
		}
	}
}

/* Segments without empty ones; `slash` goes before the first. */
static void put_segments(struct buf *b, struct span path, bool slash)
{
	struct span rest = path;

	while (rest.ptr && rest.len) {
		struct span segment = span_cut(&rest, '/');

		if (segment.len == 0)
			continue;
		if (slash)
			buf_append_byte(b, '/');
		slash = true;
		put_encoded(b, segment, 0);
	}
}

static void put_qualifiers(struct buf *b, const struct purl *p)
{
	bool used[PURL_QUALIFIERS_MAX] = {false};
	char before = '?';

	/* In the order of the keys, and there are few. */
	for (size_t n = 0; n < p->qualifier_count; n++) {
		size_t least = p->qualifier_count;

		for (size_t i = 0; i < p->qualifier_count; i++) {
			if (!used[i] &&
			    (least == p->qualifier_count ||
			     span_compare(p->qualifiers[i].key, p->qualifiers[least].key) < 0))
				least = i;
		}
		if (least == p->qualifier_count)
			break;
		used[least] = true;
		if (p->qualifiers[least].value.len == 0)
			continue;
		buf_append_byte(b, before);
		buf_append(b, p->qualifiers[least].key);
		buf_append_byte(b, '=');
		put_encoded(b, p->qualifiers[least].value, '/');
		before = '&';
	}
}

struct span purl_write(struct arena *a, const struct purl *p)
{
	struct span text = SPAN_NONE;
	struct buf b;

	buf_init(&b, PURL_BYTES_MAX);
	buf_append_cstr(&b, "pkg:");
	buf_append(&b, p->type);
	put_segments(&b, p->namespace, true);
	buf_append_byte(&b, '/');
	put_encoded(&b, p->name, 0);
	if (p->version.len) {
		buf_append_byte(&b, '@');
		put_encoded(&b, p->version, 0);
	}
	put_qualifiers(&b, p);
	if (p->subpath.len) {
		buf_append_byte(&b, '#');
		put_segments(&b, p->subpath, false);
	}
	if (!buf_failed(&b))
		text = arena_dup(a, buf_span(&b));
	buf_release(&b);
	return text;
}

static struct span lowered(struct arena *a, struct span s)
{
	char *text;
	size_t i;

	for (i = 0; i < s.len && ascii_lower(s.ptr[i]) == s.ptr[i]; i++)
		;
	if (i == s.len)
		return s;
	text = arena_alloc(a, s.len);
	if (!text)
		return SPAN_NONE;
	for (i = 0; i < s.len; i++)
		text[i] = ascii_lower(s.ptr[i]);
	return span_of(text, s.len);
}

/* False when memory ran out. */
static bool normalise(struct arena *a, struct purl *p)
{
	const struct type_rules *rules = rules_of(p->type);

	if (!rules)
		return true;
	if (rules->lower_namespace && p->namespace.len) {
		p->namespace = lowered(a, p->namespace);
		if (!p->namespace.len)
			return false;
	}
	if (rules->lower_name)
		p->name = lowered(a, p->name);
	if (!p->name.len)
		return false;
	if (rules->ecosystem == ECOSYSTEM_PYPI && span_find_byte(p->name, '_') < p->name.len) {
		char *text = arena_alloc(a, p->name.len);

		if (!text)
			return false;
		for (size_t i = 0; i < p->name.len; i++)
			text[i] = p->name.ptr[i] == '_' ? '-' : p->name.ptr[i];
		p->name.ptr = text;
	}
	return true;
}

static void qualify(struct purl *p, const char *key, struct span value)
{
	if (!value.len || !value.ptr || p->qualifier_count == PURL_QUALIFIERS_MAX)
		return;
	p->qualifiers[p->qualifier_count].key = span_cstr(key);
	p->qualifiers[p->qualifier_count++].value = value;
}

/* False when memory ran out. */
static bool qualify_os(struct arena *a, const struct component *c, struct purl *p)
{
	qualify(p, "arch", c->arch);
	if (c->distro.len) {
		struct span distro = c->distro_version.len
					     ? arena_printf(a, "%.*s-%.*s", SPAN_ARG(c->distro),
							    SPAN_ARG(c->distro_version))
					     : c->distro;

		if (!distro.ptr)
			return false;
		qualify(p, "distro", distro);
	}
	if (c->source_name.len &&
	    (!span_eq(c->source_name, c->name) || c->source_version.len)) {
		struct span upstream = c->source_name;

		if (c->source_version.len && !span_eq(c->source_version, c->version))
			upstream = arena_printf(a, "%.*s@%.*s", SPAN_ARG(c->source_name),
						SPAN_ARG(c->source_version));
		if (!upstream.ptr)
			return false;
		if (!span_eq(upstream, c->name))
			qualify(p, "upstream", upstream);
	}
	/* Rpm's epoch is a qualifier; the others keep it in the version. */
	if (c->ecosystem == ECOSYSTEM_RPM) {
		size_t colon = span_find_byte(p->version, ':');

		if (colon < p->version.len) {
			qualify(p, "epoch", span_slice(p->version, 0, colon));
			p->version = span_slice(p->version, colon + 1, p->version.len);
		}
	}
	return true;
}

struct span purl_make(struct arena *a, const struct component *c)
{
	struct purl p = {.type = ecosystem_purl_type(c->ecosystem), .version = c->version};

	purl_split(c, &p.namespace, &p.name);
	if (!p.name.len)
		p.name = SPAN("unknown");
	if (c->ecosystem == ECOSYSTEM_DPKG || c->ecosystem == ECOSYSTEM_APK ||
	    c->ecosystem == ECOSYSTEM_RPM) {
		if (!qualify_os(a, c, &p))
			return SPAN_NONE;
	}
	/* Go's versions have a 'v' in purls, and none in advisories. */
	if (c->ecosystem == ECOSYSTEM_GO && !span_eq(c->name, SPAN("stdlib")) &&
	    c->version.len && c->version.ptr[0] >= '0' && c->version.ptr[0] <= '9') {
		p.version = arena_printf(a, "v%.*s", SPAN_ARG(c->version));
		if (!p.version.ptr)
			return SPAN_NONE;
	}
	if (c->commit.len && c->vcs_url.len) {
		struct span url = arena_printf(a, "git+%.*s@%.*s", SPAN_ARG(c->vcs_url),
					       SPAN_ARG(c->commit));

		if (!url.ptr)
			return SPAN_NONE;
		qualify(&p, "vcs_url",
			span_starts_with(c->vcs_url, SPAN("git+")) ? span_slice(url, 4, url.len)
								   : url);
	}
	if (!normalise(a, &p))
		return SPAN_NONE;
	return purl_write(a, &p);
}

/* --- Reading. */

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = ascii_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static enum purl_result decoded(struct arena *a, struct span s, struct span *to)
{
	char *text;
	size_t length = 0;

	*to = s;
	if (s.len == 0)
		return PURL_OK;
	if (span_find_byte(s, '%') == s.len)
		return utf8_valid(s) ? PURL_OK : PURL_BAD_ESCAPE;
	text = arena_alloc(a, s.len);
	if (!text)
		return PURL_MEMORY;
	for (size_t i = 0; i < s.len; i++) {
		if (s.ptr[i] != '%') {
			text[length++] = s.ptr[i];
			continue;
		}
		if (s.len - i < 3 || hex_value(s.ptr[i + 1]) < 0 || hex_value(s.ptr[i + 2]) < 0)
			return PURL_BAD_ESCAPE;
		text[length++] = (char)(hex_value(s.ptr[i + 1]) * 16 + hex_value(s.ptr[i + 2]));
		i += 2;
	}
	*to = span_of(text, length);
	return utf8_valid(*to) ? PURL_OK : PURL_BAD_ESCAPE;
}

/* Decodes each segment and drops empty ones; in a subpath "." and ".." too. */
static enum purl_result decoded_segments(struct arena *a, struct span path, bool dots,
					 struct span *to)
{
	char *text;
	size_t length = 0;
	struct span rest = path;

	*to = SPAN("");
	if (path.len == 0)
		return PURL_OK;
	text = arena_alloc(a, path.len + 1);
	if (!text)
		return PURL_MEMORY;
	while (rest.ptr) {
		struct span segment = span_cut(&rest, '/');
		enum purl_result result = decoded(a, segment, &segment);

		if (result != PURL_OK)
			return result;
		if (segment.len == 0 ||
		    (dots && (span_eq(segment, SPAN(".")) || span_eq(segment, SPAN("..")))))
			continue;
		/* A slash inside of a segment cannot be told from a separator afterwards. */
		if (span_find_byte(segment, '/') < segment.len)
			return PURL_BAD_ESCAPE;
		if (length)
			text[length++] = '/';
		memcpy(text + length, segment.ptr, segment.len);
		length += segment.len;
	}
	*to = span_of(text, length);
	return PURL_OK;
}

static bool key_is_valid(struct span key)
{
	for (size_t i = 0; i < key.len; i++) {
		char c = key.ptr[i];

		if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '.' &&
		    c != '-' && c != '_')
			return false;
	}
	return key.len > 0 && !(key.ptr[0] >= '0' && key.ptr[0] <= '9');
}

static enum purl_result read_qualifiers(struct arena *a, struct span text, struct purl *p)
{
	struct span rest = text;

	while (rest.ptr && rest.len) {
		struct span pair = span_cut(&rest, '&');
		size_t equals = span_find_byte(pair, '=');
		struct span key = span_slice(pair, 0, equals);
		struct span value;
		enum purl_result result;

		if (pair.len == 0)
			continue;
		if (equals == pair.len)
			return PURL_BAD_QUALIFIER;
		key = lowered(a, key);
		if (!key_is_valid(key) || purl_qualifier(p, key).len ||
		    p->qualifier_count == PURL_QUALIFIERS_MAX)
			return PURL_BAD_QUALIFIER;
		result = decoded(a, span_slice(pair, equals + 1, pair.len), &value);
		if (result != PURL_OK)
			return result;
		if (value.len == 0)
			continue;
		p->qualifiers[p->qualifier_count].key = key;
		p->qualifiers[p->qualifier_count++].value = value;
	}
	return PURL_OK;
}

static bool type_is_valid(struct span type)
{
	for (size_t i = 0; i < type.len; i++) {
		char c = type.ptr[i];

		if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '.' &&
		    c != '-' && c != '+')
			return false;
	}
	return type.len > 0 && type.ptr[0] >= 'a';
}

/* The index of the last such byte, or s.len. */
static size_t find_last(struct span s, char byte)
{
	for (size_t i = s.len; i > 0; i--) {
		if (s.ptr[i - 1] == byte)
			return i - 1;
	}
	return s.len;
}

/* namespace/name@version, with the type cut off. */
static enum purl_result read_path(struct arena *a, struct span path, struct purl *p)
{
	size_t slash, at;
	enum purl_result result;

	while (path.len && path.ptr[path.len - 1] == '/')
		path.len--;
	slash = find_last(path, '/');
	at = find_last(path, '@');
	/* "@scope/name" that somebody has not encoded is no version. */
	if (at < path.len && (slash == path.len || at > slash)) {
		result = decoded(a, span_slice(path, at + 1, path.len), &p->version);
		if (result != PURL_OK)
			return result;
		path = span_slice(path, 0, at);
	}
	if (slash < path.len) {
		result = decoded_segments(a, span_slice(path, 0, slash), false, &p->namespace);
		if (result != PURL_OK)
			return result;
		path = span_slice(path, slash + 1, path.len);
	}
	result = decoded(a, path, &p->name);
	if (result != PURL_OK)
		return result;
	return p->name.len ? PURL_OK : PURL_NO_NAME;
}

enum purl_result purl_parse(struct arena *a, struct span text, struct purl *p)
{
	enum purl_result result;
	size_t cut;

	*p = (struct purl){.namespace = SPAN(""), .version = SPAN(""), .subpath = SPAN("")};
	if (!span_starts_with(text, SPAN("pkg:")))
		return PURL_NO_SCHEME;
	text = span_slice(text, 4, text.len);
	while (text.len && text.ptr[0] == '/')
		text = span_slice(text, 1, text.len);
	cut = find_last(text, '#');
	if (cut < text.len) {
		result = decoded_segments(a, span_slice(text, cut + 1, text.len), true,
					  &p->subpath);
		if (result != PURL_OK)
			return result;
		text = span_slice(text, 0, cut);
	}
	cut = span_find_byte(text, '?');
	if (cut < text.len) {
		result = read_qualifiers(a, span_slice(text, cut + 1, text.len), p);
		if (result != PURL_OK)
			return result;
		text = span_slice(text, 0, cut);
	}
	cut = span_find_byte(text, '/');
	if (cut == text.len)
		return PURL_NO_NAME;
	p->type = lowered(a, span_slice(text, 0, cut));
	if (!type_is_valid(p->type))
		return PURL_BAD_TYPE;
	text = span_slice(text, cut + 1, text.len);
	while (text.len && text.ptr[0] == '/')
		text = span_slice(text, 1, text.len);
	result = read_path(a, text, p);
	if (result != PURL_OK)
		return result;
	return normalise(a, p) ? PURL_OK : PURL_MEMORY;
}

struct span purl_qualifier(const struct purl *p, struct span key)
{
	for (size_t i = 0; i < p->qualifier_count; i++) {
		if (span_eq(p->qualifiers[i].key, key))
			return p->qualifiers[i].value;
	}
	return SPAN_NONE;
}

const char *purl_result_text(enum purl_result result)
{
	switch (result) {
	case PURL_OK: return "no error";
	case PURL_NO_SCHEME: return "does not start with pkg:";
	case PURL_BAD_TYPE: return "the type is missing or not allowed";
	case PURL_NO_NAME: return "there is no name";
	case PURL_BAD_ESCAPE: return "a broken escape";
	case PURL_BAD_QUALIFIER: return "a broken qualifier";
	case PURL_MEMORY: return "out of memory";
	}
	return "unknown";
}

static bool os_parts(struct arena *a, const struct purl *p, struct component *c)
{
	struct span distro = purl_qualifier(p, SPAN("distro"));
	struct span upstream = purl_qualifier(p, SPAN("upstream"));
	struct span epoch = purl_qualifier(p, SPAN("epoch"));
	size_t cut;

	c->arch = purl_qualifier(p, SPAN("arch"));
	c->namespace = p->namespace;
	c->distro = p->namespace;
	if (distro.len) {
		cut = find_last(distro, '-');
		if (cut < distro.len && cut + 1 < distro.len && distro.ptr[cut + 1] >= '0' &&
		    distro.ptr[cut + 1] <= '9') {
			c->distro = span_slice(distro, 0, cut);
			c->distro_version = span_slice(distro, cut + 1, distro.len);
		} else if (distro.ptr[0] < '0' || distro.ptr[0] > '9') {
			c->distro = distro;
		} else {
			c->distro_version = distro;
		}
	}
	cut = span_find_byte(upstream, '@');
	c->source_name = span_slice(upstream, 0, cut);
	if (cut < upstream.len)
		c->source_version = span_slice(upstream, cut + 1, upstream.len);
	if (epoch.len && c->ecosystem == ECOSYSTEM_RPM && !span_eq(epoch, SPAN("0"))) {
		c->version =
			arena_printf(a, "%.*s:%.*s", SPAN_ARG(epoch), SPAN_ARG(p->version));
		return c->version.ptr != NULL;
	}
	return true;
}

bool purl_to_component(struct arena *a, const struct purl *p, struct component *c)
{
	const struct type_rules *rules = rules_of(p->type);
	struct span vcs = purl_qualifier(p, SPAN("vcs_url"));

	c->ecosystem = rules ? rules->ecosystem : ECOSYSTEM_OTHER;
	c->name = p->name;
	c->namespace = p->namespace;
	c->version = p->version;
	if (c->ecosystem == ECOSYSTEM_GO && c->version.len > 1 && c->version.ptr[0] == 'v')
		c->version = span_slice(c->version, 1, c->version.len);
	if (p->namespace.len && (!rules || rules->join)) {
		char join = rules ? rules->join : '/';

		c->name = arena_printf(a, "%.*s%c%.*s", SPAN_ARG(p->namespace), join,
				       SPAN_ARG(p->name));
		if (!c->name.ptr)
			return false;
	}
	if (c->ecosystem == ECOSYSTEM_DPKG || c->ecosystem == ECOSYSTEM_APK ||
	    c->ecosystem == ECOSYSTEM_RPM) {
		if (!os_parts(a, p, c))
			return false;
	}
	if (vcs.len) {
		size_t at = find_last(vcs, '@');

		c->vcs_url = span_slice(vcs, 0, at);
		if (at < vcs.len)
			c->commit = span_slice(vcs, at + 1, vcs.len);
	}
	c->purl = purl_write(a, p);
	return c->purl.len > 0;
}
