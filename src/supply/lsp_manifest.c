/* Manifests: what a project asks for. A scan reads lock files instead; an editor shows both. */
#include "parse/toml.h"
#include "supply/lock_parse.h"
#include "supply/lsp_check.h"

static bool is_version_byte(char c)
{
	return (c >= '0' && c <= '9') || (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z') ||
	       c == '.' || c == '-' || c == '+' || c == '!';
}

/* "^1.2.3", "~1.2", ">=1.2,<2", "==1.0": the first version; empty for other forms. */
static struct span lowest(struct span range)
{
	size_t start = 0, end;

	while (start < range.len && !(range.ptr[start] >= '0' && range.ptr[start] <= '9')) {
		/* "<2", "!=1", addresses, tags and the like name no lowest version. */
		if (!strchr("^~>= v", range.ptr[start]))
			return SPAN("");
		start++;
	}
	end = start;
	while (end < range.len && is_version_byte(range.ptr[end]))
		end++;
	return span_find_byte(span_slice(range, start, end), '.') < end - start
		       ? span_slice(range, start, end)
		       : SPAN("");
}

static void add(const struct lock_input *in, enum ecosystem ecosystem, struct span name,
		struct span range, uint32_t line)
{
	struct span version = lowest(span_trim(range));
	struct component *c;

	if (!version.len || !name.len)
		return;
	c = lock_add(in, ecosystem, name, version, line, NULL);
	if (c)
		c->relation = RELATION_DIRECT;
}

static void add_members(const struct lock_input *in, enum ecosystem ecosystem,
			const struct node *map)
{
	if (!node_is(map, NODE_MAP))
		return;
	node_for_each(member, map)
	{
		struct span range = node_text(member);

		if (member->kind == NODE_MAP)
			range = node_text_at(member, SPAN("version"));
		add(in, ecosystem,
		    ecosystem == ECOSYSTEM_PYPI ? lock_python_name(in, member->key)
						: member->key,
		    range, member->line);
	}
}

/* "name[extra] >= 1.0 ; marker" of PEP 508. */
static void add_requirement(const struct lock_input *in, const struct node *item)
{
	struct span text = node_text(item);
	size_t end = 0;

	while (end < text.len && (is_version_byte(text.ptr[end]) || text.ptr[end] == '_') &&
	       text.ptr[end] != '!')
		end++;
	struct span name = span_slice(text, 0, end);
	struct span rest = span_trim(span_slice(text, end, span_find_byte(text, ';')));

	if (rest.len && rest.ptr[0] == '[')
		rest = span_slice(rest, span_find_byte(rest, ']') + 1, rest.len);
	add(in, ECOSYSTEM_PYPI, lock_python_name(in, name), rest, item->line);
}

static bool read_json(const struct lock_input *in, enum ecosystem ecosystem,
		      const struct span *sections, size_t count)
{
	const struct node *root = node_parse_json(in->scratch, in->text, NULL);

	for (size_t i = 0; root && i < count; i++)
		add_members(in, ecosystem, node_get(root, sections[i]));
	return root != NULL;
}

static bool read_cargo(const struct lock_input *in)
{
	static const struct span sections[] = {SPAN_INIT("dependencies"),
					       SPAN_INIT("dev-dependencies"),
					       SPAN_INIT("build-dependencies")};
	const struct node *root = toml_parse(in->scratch, in->text, NULL);

	for (size_t i = 0; root && i < COUNT_OF(sections); i++) {
		add_members(in, ECOSYSTEM_CARGO, node_get(root, sections[i]));
		add_members(in, ECOSYSTEM_CARGO,
			    node_get(node_get(root, SPAN("workspace")), sections[i]));
	}
	return root != NULL;
}

static bool read_pyproject(const struct lock_input *in)
{
	const struct node *root = toml_parse(in->scratch, in->text, NULL);
	const struct node *project = node_get(root, SPAN("project"));
	const struct node *poetry = node_get(node_get(root, SPAN("tool")), SPAN("poetry"));

	node_for_each(item, node_get(project, SPAN("dependencies"))) add_requirement(in, item);
	node_for_each(extra, node_get(project, SPAN("optional-dependencies")))
	{
		node_for_each(item, extra) add_requirement(in, item);
	}
	add_members(in, ECOSYSTEM_PYPI, node_get(poetry, SPAN("dependencies")));
	add_members(in, ECOSYSTEM_PYPI, node_get(poetry, SPAN("dev-dependencies")));
	return root != NULL;
}

bool lsp_manifest(const struct lock_input *in)
{
	static const struct span npm[] = {
		SPAN_INIT("dependencies"), SPAN_INIT("devDependencies"),
		SPAN_INIT("optionalDependencies"), SPAN_INIT("peerDependencies")};
	static const struct span composer[] = {SPAN_INIT("require"), SPAN_INIT("require-dev")};
	struct span name = in->file;

	for (size_t i = name.len; i > 0; i--)
		if (name.ptr[i - 1] == '/') {
			name = span_slice(name, i, name.len);
			break;
		}
	if (span_eq(name, SPAN("package.json")))
		return read_json(in, ECOSYSTEM_NPM, npm, COUNT_OF(npm));
	if (span_eq(name, SPAN("composer.json")))
		return read_json(in, ECOSYSTEM_PACKAGIST, composer, COUNT_OF(composer));
	if (span_eq(name, SPAN("Cargo.toml")))
		return read_cargo(in);
	return span_eq(name, SPAN("pyproject.toml")) && read_pyproject(in);
}
