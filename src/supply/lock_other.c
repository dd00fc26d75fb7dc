/* pubspec.lock, Package.resolved, renv.lock, cabal.project.freeze, stack.yaml.lock */
#include "base/map.h"
#include "supply/lock_parse.h"

/* --- Dart. */

int lock_pub(const struct lock_input *in, struct err *err)
{
	const struct node *root = lock_parse_yaml(in->scratch, in->text, err);
	const struct node *packages = node_get(root, SPAN("packages"));

	if (!root)
		return -1;
	if (root->kind != NODE_NULL && root->kind != NODE_MAP)
		return err_set(err, ERR_INVALID, "line %u: not a pub lock file", root->line);
	node_for_each(package, packages)
	{
		struct span kind = node_text_at(package, SPAN("dependency"));
		struct span source = node_text_at(package, SPAN("source"));
		const struct node *description = node_get(package, SPAN("description"));
		struct component *c;

		c = lock_add(in, ECOSYSTEM_PUB, package->key,
			     node_text_at(package, SPAN("version")), package->line, NULL);
		if (!c)
			break;
		if (span_starts_with(kind, SPAN("direct")))
			c->relation = RELATION_DIRECT;
		else if (span_eq(kind, SPAN("transitive")))
			c->relation = RELATION_TRANSITIVE;
		if (span_eq(kind, SPAN("direct dev")))
			c->scope = SCOPE_DEV;
		c->local = span_eq(source, SPAN("path")) || span_eq(source, SPAN("sdk"));
		if (lock_is_commit(node_text_at(description, SPAN("resolved-ref")))) {
			c->commit =
				lock_text(in, node_text_at(description, SPAN("resolved-ref")));
			c->vcs_url = lock_text(in, node_text_at(description, SPAN("url")));
		}
		lock_digest(in, c,
			    inventory_join(in->inv, SPAN("sha256:"),
					   node_text_at(description, SPAN("sha256")),
					   SPAN("")));
	}
	return 0;
}

/* --- Swift. */

/* "https://github.com/org/name.git" -> "github.com/org/name", as the purl and advisories have it */
static struct span swift_name(struct span url)
{
	size_t scheme = span_find(url, SPAN("://"));

	if (scheme < url.len)
		url = span_slice(url, scheme + 3, url.len);
	if (span_ends_with(url, SPAN(".git")))
		url.len -= 4;
	if (span_ends_with(url, SPAN("/")))
		url.len--;
	return url;
}

int lock_swift(const struct lock_input *in, struct err *err)
{
	const struct node *root = node_parse_json(in->scratch, in->text, err);
	const struct node *pins = node_get(root, SPAN("pins"));
	uint32_t first = in->inv->count;

	if (!root)
		return -1;
	if (!pins)
		pins = node_get(node_get(root, SPAN("object")), SPAN("pins"));
	if (!node_is(pins, NODE_LIST))
		return err_set(err, ERR_INVALID, "line 1: no list of pins");
	node_for_each(pin, pins)
	{
		const struct node *state = node_get(pin, SPAN("state"));
		struct span url = node_text_at(pin, SPAN("location"));
		struct component *c;

		if (!url.len)
			url = node_text_at(pin, SPAN("repositoryURL"));
		if (!url.len)
			url = node_text_at(pin, SPAN("identity"));
		c = lock_add(in, ECOSYSTEM_SWIFT, swift_name(url),
			     node_text_at(state, SPAN("version")), pin->line, NULL);
		if (!c)
			break;
		if (lock_is_commit(node_text_at(state, SPAN("revision"))))
			c->commit = lock_text(in, node_text_at(state, SPAN("revision")));
		c->local = span_starts_with(node_text_at(pin, SPAN("kind")), SPAN("local"));
	}
	lock_mark_named(in, SPAN("Package.swift"), first, "://", "\".");
	return 0;
}

/* --- R. */

int lock_renv(const struct lock_input *in, struct err *err)
{
	const struct node *root = node_parse_json(in->scratch, in->text, err);
	const struct node *packages = node_get(root, SPAN("Packages"));
	struct map names = MAP_INIT;

	if (!root)
		return -1;
	if (root->kind != NODE_MAP || (packages && packages->kind != NODE_MAP))
		return err_set(err, ERR_INVALID, "line 1: not an renv lock file");
	node_for_each(package, packages)
	{
		struct span source = node_text_at(package, SPAN("Source"));
		struct span sha = node_text_at(package, SPAN("RemoteSha"));
		struct span name = node_text_at(package, SPAN("Package"));
		struct span date = node_text_at(package, SPAN("Date/Publication"));
		struct component *c;
		uint32_t index;

		c = lock_add(in,
			     span_eq(source, SPAN("Bioconductor")) ? ECOSYSTEM_BIOCONDUCTOR
								   : ECOSYSTEM_CRAN,
			     name.len ? name : package->key,
			     node_text_at(package, SPAN("Version")), package->line, &index);
		if (!c)
			break;
		if (lock_is_commit(sha) && !span_eq(source, SPAN("Repository")))
			c->commit = lock_text(in, sha);
		/* "2026-01-02 03:04:05 UTC", where renv has copied all of DESCRIPTION. */
		if (date.len >= 19)
			c->published = inventory_printf(in->inv, "%.*sT%.*sZ",
							SPAN_ARG(span_slice(date, 0, 10)),
							SPAN_ARG(span_slice(date, 11, 19)));
		c->licence = lock_text(in, node_text_at(package, SPAN("License")));
		/* Taken from somewhere else than a registry: not the registry's package. */
		c->local = source.len && !span_eq(source, SPAN("Repository")) &&
			   !span_eq(source, SPAN("Bioconductor"));
		lock_index_put(in, &names, package->key, index);
	}
	node_for_each(package, packages)
	{
		uint32_t from = lock_index_get(&names, package->key);

		node_for_each(required, node_get(package, SPAN("Requirements"))) inventory_edge(
			in->inv, from, lock_index_get(&names, node_text(required)));
	}
	map_release(&names);
	return 0;
}

/* --- Haskell. */

/* "constraints: any.name ==1.2.3," */
int lock_cabal(const struct lock_input *in, struct err *err)
{
	struct lock_lines lines;
	struct span line;

	if (lock_check_text(in, err) < 0)
		return -1;
	lock_lines_init(&lines, in->text);
	while (lock_lines_next(&lines, &line)) {
		struct span text = span_trim(line);
		size_t equals;

		if (span_starts_with(text, SPAN("constraints:")))
			text = span_trim(span_slice(text, 12, text.len));
		if (!span_starts_with(text, SPAN("any.")))
			continue;
		text = span_slice(text, 4, text.len);
		if (span_ends_with(text, SPAN(",")))
			text.len--;
		equals = span_find(text, SPAN("=="));
		if (equals == text.len)
			continue;
		(void)lock_add(in, ECOSYSTEM_HACKAGE, span_trim(span_slice(text, 0, equals)),
			       span_trim(span_slice(text, equals + 2, text.len)), lines.number,
			       NULL);
	}
	return 0;
}

int lock_stack(const struct lock_input *in, struct err *err)
{
	const struct node *root = lock_parse_yaml(in->scratch, in->text, err);

	if (!root)
		return -1;
	if (root->kind != NODE_NULL && root->kind != NODE_MAP)
		return err_set(err, ERR_INVALID, "line %u: not a stack lock file", root->line);
	node_for_each(package, node_get(root, SPAN("packages")))
	{
		const struct node *completed = node_get(package, SPAN("completed"));
		struct span id = node_text_at(completed, SPAN("hackage"));
		struct span commit = node_text_at(completed, SPAN("commit"));
		struct component *c;
		size_t dash;

		if (!id.len && lock_is_commit(commit)) {
			c = lock_add(
				in, ECOSYSTEM_HACKAGE, node_text_at(completed, SPAN("name")),
				node_text_at(completed, SPAN("version")), package->line, NULL);
			if (c) {
				c->commit = lock_text(in, commit);
				c->vcs_url =
					lock_text(in, node_text_at(completed, SPAN("git")));
			}
			continue;
		}
		id = span_slice(id, 0, span_find_byte(id, '@'));
		for (dash = id.len; dash > 0 && id.ptr[dash - 1] != '-'; dash--)
			;
		if (dash)
			(void)lock_add(in, ECOSYSTEM_HACKAGE, span_slice(id, 0, dash - 1),
				       span_slice(id, dash, id.len), package->line, NULL);
	}
	return 0;
}
