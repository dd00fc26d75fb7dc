/*
 * npm.c - the registry protocol of npm: a package's index is a "packument", a JSON object with all
 * versions; clients that install ask for its short form (application/vnd.npm.install-v1+json).
 */
#include "parse/base64.h"
#include "parse/json.h"
#include "parse/json_write.h"
#include "registry/protocol.h"

#define NAME_BYTES_MAX 214
#define VERSION_BYTES_MAX 256
#define FILE_BYTES_MAX 512
#define DEPTH_MAX 64

/* ---- requests -------------------------------------------------------------------------------- */

static bool is_name_part(struct span part)
{
	static const char others[] = "-._~!'()*";

	if (part.len == 0 || part.ptr[0] == '.' || part.ptr[0] == '_')
		return false;
	for (size_t i = 0; i < part.len; i++) {
		char c = ascii_lower(part.ptr[i]);

		if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') &&
		    !memchr(others, c, sizeof(others) - 1))
			return false;
	}
	return true;
}

static bool is_plain(struct span text, size_t max)
{
	if (text.len == 0 || text.len > max)
		return false;
	for (size_t i = 0; i < text.len; i++)
		if (text.ptr[i] <= ' ' || text.ptr[i] >= 0x7f || text.ptr[i] == '/' ||
		    text.ptr[i] == '\\' || text.ptr[i] == '"')
			return false;
	return true;
}

/* "name" or "@scope/name" off the front of "/..."; false when that is not there. */
static bool take_name(struct span *rest, struct span *name)
{
	struct span path = span_slice(*rest, 1, rest->len), left = path;
	struct span first = span_cut(&left, '/'), second;

	if (first.len && first.ptr[0] == '@') {
		second = span_cut(&left, '/');
		if (!is_name_part(span_slice(first, 1, first.len)) || !is_name_part(second))
			return false;
		*name = span_slice(path, 0, first.len + 1 + second.len);
	} else {
		if (!is_name_part(first) || span_eq(first, SPAN("-")))
			return false;
		*name = first;
	}
	if (name->len > NAME_BYTES_MAX)
		return false;
	*rest = span_slice(path, name->len, path.len);
	return true;
}

static int npm_read_target(struct arena *arena, struct span path,
			   struct registry_target *target)
{
	struct span rest = path;

	(void)arena;
	*target = (struct registry_target){.kind = REGISTRY_UNKNOWN};
	if (span_eq(path, SPAN("/-/ping"))) {
		target->kind = REGISTRY_PING;
		return 0;
	}
	if (path.len < 2 || !take_name(&rest, &target->package))
		return 0;
	if (rest.len == 0) {
		target->kind = REGISTRY_INDEX;
		return 0;
	}
	if (span_starts_with(rest, SPAN("/-/"))) {
		target->file = span_slice(rest, 3, rest.len);
		if (is_plain(target->file, FILE_BYTES_MAX))
			target->kind = REGISTRY_FILE;
		return 0;
	}
	target->version = span_slice(rest, 1, rest.len);
	if (is_plain(target->version, VERSION_BYTES_MAX))
		target->kind = REGISTRY_MANIFEST;
	return 0;
}

static struct span npm_index_path(struct arena *arena, struct span package)
{
	size_t slash = span_find_byte(package, '/');

	if (slash == package.len)
		return arena_printf(arena, "/%.*s", SPAN_ARG(package));
	return arena_printf(arena, "/%.*s%%2f%.*s", SPAN_ARG(span_slice(package, 0, slash)),
			    SPAN_ARG(span_slice(package, slash + 1, package.len)));
}

/* ---- reading --------------------------------------------------------------------------------- */

/* The document, and the member of "versions" that each release was read from. */
struct packument {
	const struct json *root;
	const struct json_member **versions;
	const struct json *tags;
};

static struct span last_segment(struct span url)
{
	size_t from = url.len;

	while (from > 0 && url.ptr[from - 1] != '/')
		from--;
	return span_slice(url, from, url.len);
}

/* Subresource Integrity: "sha512-BASE64", several with spaces between; the strongest counts. */
static bool read_integrity(struct span text, struct registry_digest *digest)
{
	bool found = false;

	while (text.ptr) {
		struct span one = span_cut(&text, ' ');
		struct span name = span_cut(&one, '-');
		unsigned char bytes[REGISTRY_DIGEST_BYTES_MAX * 2];
		size_t len;

		one = span_slice(one, 0, span_find_byte(one, '?'));
		for (unsigned hash = 0; hash < REGISTRY_HASHES; hash++) {
			if (!span_eq(name,
				     span_cstr(registry_hash_name((enum registry_hash)hash))) ||
			    (found && digest->hash <= (enum registry_hash)hash) ||
			    base64_decoded_max(one.len) > sizeof(bytes) ||
			    !base64_decode(bytes, &len, one) ||
			    len != registry_hash_bytes((enum registry_hash)hash))
				continue;
			digest->hash = (enum registry_hash)hash;
			memcpy(digest->bytes, bytes, len);
			found = true;
		}
	}
	return found;
}

static bool read_digest(const struct json *dist, struct registry_digest *digest)
{
	struct span text;

	*digest = (struct registry_digest){.hash = REGISTRY_SHA1};
	if (json_string(json_get(dist, SPAN("integrity")), &text) &&
	    read_integrity(text, digest))
		return true;
	return json_string(json_get(dist, SPAN("shasum")), &text) &&
	       registry_digest_read(text, REGISTRY_SHA1, digest);
}

/*
 * "MIT", {"type": "MIT"}, or the older list of such objects, of which one may be chosen. ptr NULL without
 * memory.
 */
static struct span read_licence(struct arena *arena, const struct json *version)
{
	const struct json *licence = json_get(version, SPAN("license"));
	const struct json *list = json_get(version, SPAN("licenses"));
	struct span text = SPAN(""), one;

	if (json_string(licence, &text) || json_string(json_get(licence, SPAN("type")), &text))
		return text;
	for (size_t i = 0; text.ptr && json_at(list, i); i++)
		if (json_string(json_get(json_at(list, i), SPAN("type")), &one) ||
		    json_string(json_at(list, i), &one))
			text = text.len ? arena_printf(arena, "%.*s OR %.*s", SPAN_ARG(text),
						       SPAN_ARG(one))
					: one;
	return text;
}

/* One that cannot be let through is passed over. -1 when memory ran out. */
static int read_version(struct arena *arena, const struct json_member *member,
			const struct json *times, struct registry_index *index,
			struct packument *p)
{
	const struct json *dist = json_get(&member->value, SPAN("dist"));
	struct registry_file *file = &index->files[index->count];
	struct release *release = &index->releases[index->count];
	struct span version;

	if (!json_string(json_get(&member->value, SPAN("version")), &version) ||
	    !span_eq(version, member->key) || !is_plain(version, VERSION_BYTES_MAX) ||
	    !json_string(json_get(dist, SPAN("tarball")), &file->url) ||
	    !read_digest(dist, &file->digest))
		return 0;
	file->name = last_segment(span_slice(file->url, 0, span_find_byte(file->url, '?')));
	if (!is_plain(file->name, FILE_BYTES_MAX))
		return 0;
	file->release = index->count;
	*release = (struct release){.version = version,
				    .licence = read_licence(arena, &member->value),
				    .published = SPAN("")};
	(void)json_string(json_get(times, version), &release->published);
	p->versions[index->count++] = member;
	return release->licence.ptr ? 0 : -1;
}

static int npm_read_index(struct arena *arena, struct span package, struct span text,
			  struct registry_index *index, struct err *err)
{
	struct json_limits limits = JSON_LIMITS_DEFAULT;
	struct packument *p = arena_new(arena, struct packument);
	const struct json *versions, *times;
	size_t count;

	limits.max_depth = DEPTH_MAX;
	limits.max_string_bytes = text.len;
	if (!p)
		return err_set(err, ERR_MEMORY, "out of memory");
	p->root = json_parse(arena, text, &limits, err);
	if (!p->root)
		return err_wrap(err, "not JSON");
	if (!json_is(json_get(p->root, SPAN("name")), package))
		return err_set(err, ERR_INVALID, "it is of another package");
	versions = json_get(p->root, SPAN("versions"));
	if (!versions || versions->type != JSON_OBJECT)
		return err_set(err, ERR_INVALID, "it has no versions");
	times = json_get(p->root, SPAN("time"));
	p->tags = json_get(p->root, SPAN("dist-tags"));
	count = versions->object.count;
	*index = (struct registry_index){
		.package = package,
		.releases = arena_array(arena, struct release, count + 1),
		.files = arena_array(arena, struct registry_file, count + 1),
		.document = p};
	p->versions = arena_array(arena, const struct json_member *, count + 1);
	if (!index->releases || !index->files || !p->versions)
		return err_set(err, ERR_MEMORY, "out of memory");
	for (size_t i = 0; i < count; i++)
		if (read_version(arena, &versions->object.members[i], times, index, p) < 0)
			return err_set(err, ERR_MEMORY, "out of memory");
	index->file_count = index->count;
	return 0;
}

/* ---- writing --------------------------------------------------------------------------------- */

static bool is_one_of(struct span key, const struct span *names, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (span_eq(key, names[i]))
			return true;
	return false;
}

/* What the short form has of a version. */
static const struct span brief_members[] = {
	SPAN_INIT("name"),
	SPAN_INIT("version"),
	SPAN_INIT("deprecated"),
	SPAN_INIT("dependencies"),
	SPAN_INIT("optionalDependencies"),
	SPAN_INIT("devDependencies"),
	SPAN_INIT("bundleDependencies"),
	SPAN_INIT("bundledDependencies"),
	SPAN_INIT("peerDependencies"),
	SPAN_INIT("peerDependenciesMeta"),
	SPAN_INIT("acceptDependencies"),
	SPAN_INIT("bin"),
	SPAN_INIT("directories"),
	SPAN_INIT("engines"),
	SPAN_INIT("cpu"),
	SPAN_INIT("os"),
	SPAN_INIT("libc"),
	SPAN_INIT("funding"),
	SPAN_INIT("hasInstallScript"),
	SPAN_INIT("_hasShrinkwrap"),
};

/* Scripts that run on installing: clients ask before they run them. */
static bool has_install_script(const struct json *version)
{
	static const struct span names[] = {SPAN_INIT("preinstall"), SPAN_INIT("install"),
					    SPAN_INIT("postinstall")};
	const struct json *scripts = json_get(version, SPAN("scripts"));
	const struct json *gyp = json_get(version, SPAN("gypfile"));

	for (size_t i = 0; scripts && scripts->type == JSON_OBJECT && i < scripts->object.count;
	     i++)
		if (is_one_of(scripts->object.members[i].key, names, COUNT_OF(names)))
			return true;
	return gyp && gyp->type == JSON_BOOL && gyp->boolean;
}

static void put_member(struct json_writer *w, const struct json_member *member)
{
	json_key(w, member->key);
	json_put_tree(w, &member->value);
}

/* The upstream's, with our address of the file. */
static void put_dist(struct json_writer *w, const struct registry_index *index, size_t release,
		     const struct json *dist, const struct registry_view *view)
{
	struct buf url;

	buf_init(&url, view->base.len + NAME_BYTES_MAX + FILE_BYTES_MAX + 8);
	buf_append(&url, view->base);
	buf_append_byte(&url, '/');
	buf_append(&url, index->package);
	buf_append_cstr(&url, "/-/");
	buf_append(&url, index->files[release].name);
	json_key(w, SPAN("dist"));
	json_begin_object(w);
	for (size_t i = 0; i < dist->object.count; i++)
		if (!span_eq(dist->object.members[i].key, SPAN("tarball")))
			put_member(w, &dist->object.members[i]);
	json_member_string(w, SPAN("tarball"), buf_span(&url));
	json_end_object(w);
	if (buf_failed(&url))
		w->to->failed = true;
	buf_release(&url);
}

static void put_version(struct json_writer *w, const struct registry_index *index,
			size_t release, const struct registry_view *view)
{
	const struct packument *p = index->document;
	const struct json *version = &p->versions[release]->value;

	json_begin_object(w);
	for (size_t i = 0; i < version->object.count; i++) {
		const struct json_member *member = &version->object.members[i];

		if (span_eq(member->key, SPAN("dist")))
			put_dist(w, index, release, &member->value, view);
		else if (!view->brief ||
			 is_one_of(member->key, brief_members, COUNT_OF(brief_members)))
			put_member(w, member);
	}
	if (view->brief && has_install_script(version) &&
	    !json_get(version, SPAN("hasInstallScript")))
		json_member_bool(w, SPAN("hasInstallScript"), true);
	json_end_object(w);
}

/* Looks from `near` on, and around: what is asked for in the order of the index costs one look each. */
static size_t release_near(const struct registry_index *index, struct span version, size_t near)
{
	for (size_t n = 0; n < index->count; n++) {
		size_t i = (near + n) % index->count;

		if (span_eq(index->releases[i].version, version))
			return i;
	}
	return index->count;
}

static size_t release_of(const struct registry_index *index, struct span version)
{
	return release_near(index, version, 0);
}

static size_t newest_of(const struct registry_index *index, const struct judgement *judgements)
{
	return judge_newest(ECOSYSTEM_NPM, index->releases, judgements, index->count);
}

/* "latest" goes to the newest that is allowed; another tag of what is refused is left out. */
static void put_tags(struct json_writer *w, const struct registry_index *index,
		     const struct judgement *judgements)
{
	const struct packument *p = index->document;

	json_key(w, SPAN("dist-tags"));
	json_begin_object(w);
	for (size_t i = 0; p->tags && p->tags->type == JSON_OBJECT && i < p->tags->object.count;
	     i++) {
		const struct json_member *tag = &p->tags->object.members[i];
		struct span version = SPAN_NONE;
		size_t at;

		(void)json_string(&tag->value, &version);
		at = release_of(index, version);
		if ((at == index->count || judgements[at].refused) &&
		    span_eq(tag->key, SPAN("latest")))
			at = newest_of(index, judgements);
		if (at < index->count && !judgements[at].refused)
			json_member_string(w, tag->key, index->releases[at].version);
	}
	json_end_object(w);
}

/* Times of versions that are let through, and of the package itself. */
static void put_times(struct json_writer *w, const struct registry_index *index,
		      const struct json *times, const struct judgement *judgements)
{
	size_t next = 0;

	json_key(w, SPAN("time"));
	json_begin_object(w);
	for (size_t i = 0; i < times->object.count; i++) {
		const struct json_member *time = &times->object.members[i];
		size_t at = release_near(index, time->key, next);

		if (at < index->count)
			next = at + 1;
		if (span_eq(time->key, SPAN("created")) ||
		    span_eq(time->key, SPAN("modified")) ||
		    (at < index->count && !judgements[at].refused))
			put_member(w, time);
	}
	json_end_object(w);
}

static void put_modified(struct json_writer *w, const struct json *root)
{
	struct span modified;

	if (json_string(json_pointer(root, SPAN("/time/modified")), &modified) ||
	    json_string(json_get(root, SPAN("modified")), &modified))
		json_member_string(w, SPAN("modified"), modified);
}

static void put_versions(struct json_writer *w, const struct registry_index *index,
			 const struct registry_view *view)
{
	json_key(w, SPAN("versions"));
	json_begin_object(w);
	for (size_t i = 0; i < index->count; i++) {
		if (view->judgements[i].refused)
			continue;
		json_key(w, index->releases[i].version);
		put_version(w, index, i, view);
	}
	json_end_object(w);
}

static void npm_write_index(const struct registry_index *index,
			    const struct registry_view *view, struct buf *to)
{
	static const struct span own[] = {SPAN_INIT("dist-tags"), SPAN_INIT("versions"),
					  SPAN_INIT("time"), SPAN_INIT("name")};
	const struct packument *p = index->document;
	const struct json *times = json_get(p->root, SPAN("time"));
	struct json_writer w;

	json_writer_init(&w, to);
	json_begin_object(&w);
	json_member_string(&w, SPAN("name"), index->package);
	if (view->brief)
		put_modified(&w, p->root);
	put_tags(&w, index, view->judgements);
	put_versions(&w, index, view);
	if (!view->brief) {
		if (times && times->type == JSON_OBJECT)
			put_times(&w, index, times, view->judgements);
		for (size_t i = 0; i < p->root->object.count; i++)
			if (!is_one_of(p->root->object.members[i].key, own, COUNT_OF(own)))
				put_member(&w, &p->root->object.members[i]);
	}
	json_end_object(&w);
}

static size_t npm_find_release(const struct registry_index *index, struct span version,
			       const struct judgement *judgements)
{
	const struct packument *p = index->document;
	size_t at = release_of(index, version);
	struct span tagged;

	if (at < index->count || !json_string(json_get(p->tags, version), &tagged))
		return at;
	at = release_of(index, tagged);
	if (at < index->count && judgements[at].refused && span_eq(version, SPAN("latest"))) {
		size_t newest = newest_of(index, judgements);

		return newest < index->count ? newest : at;
	}
	return at;
}

static void npm_write_manifest(const struct registry_index *index, size_t release,
			       const struct registry_view *view, struct buf *to)
{
	struct json_writer w;

	json_writer_init(&w, to);
	put_version(&w, index, release, view);
}

const struct registry_protocol registry_npm = {
	.name = SPAN_INIT("npm"),
	.ecosystem = ECOSYSTEM_NPM,
	.read_target = npm_read_target,
	.index_path = npm_index_path,
	.read_index = npm_read_index,
	.write_index = npm_write_index,
	.find_release = npm_find_release,
	.write_manifest = npm_write_manifest,
	.upstream_accept = SPAN_INIT("application/json"),
	.index_type = SPAN_INIT("application/json"),
	.brief_type = SPAN_INIT("application/vnd.npm.install-v1+json"),
	.file_type = SPAN_INIT("application/octet-stream"),
};
