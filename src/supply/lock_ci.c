/* GitHub workflows and composite actions: "uses"; Dockerfiles: FROM and COPY --from. */
#include "base/buf.h"
#include "base/map.h"
#include "supply/lock_parse.h"

/* "registry.example:5000/org/name:tag@sha256:…" as a component of type docker. */
static void add_image(const struct lock_input *in, struct span reference, uint32_t line)
{
	size_t at = span_find_byte(reference, '@');
	struct span digest = span_slice(reference, at + 1, reference.len);
	struct span path = span_slice(reference, 0, at), tag = SPAN("");
	struct component *c;

	for (size_t i = path.len; i > 0 && path.ptr[i - 1] != '/'; i--) {
		if (path.ptr[i - 1] == ':') {
			tag = span_slice(path, i, path.len);
			path = span_slice(path, 0, i - 1);
			break;
		}
	}
	if (!path.len)
		return;
	c = lock_add(in, ECOSYSTEM_OCI, path, tag.len || digest.len ? tag : SPAN("latest"),
		     line, NULL);
	if (!c)
		return;
	c->relation = RELATION_DIRECT;
	if (digest.len) {
		if (!tag.len)
			c->version = lock_text(in, digest);
		lock_digest(in, c, digest);
	}
}

/* --- Workflows. */

static void take_uses(const struct lock_input *in, const struct node *uses)
{
	struct span text = node_text(uses), repository, reference;
	struct component *c;
	size_t at, slashes = 0, cut = 0;

	/* "./.github/actions/x" is the project itself. */
	if (!text.len || text.ptr[0] == '.')
		return;
	if (span_starts_with(text, SPAN("docker://"))) {
		add_image(in, span_slice(text, 9, text.len), uses->line);
		return;
	}
	at = span_find_byte(text, '@');
	reference = span_slice(text, at + 1, text.len);
	text = span_slice(text, 0, at);
	for (cut = 0; cut < text.len; cut++) {
		if (text.ptr[cut] == '/' && ++slashes == 2)
			break;
	}
	repository = span_slice(text, 0, cut);
	if (slashes == 0 || !reference.len) {
		inventory_problem(in->inv, in->file, uses->line,
				  "not an action with its version: %.*s", SPAN_ARG(text));
		return;
	}
	c = lock_add(in, ECOSYSTEM_ACTIONS, repository, reference, uses->line, NULL);
	if (!c)
		return;
	c->relation = RELATION_DIRECT;
	if (reference.len == 40 && lock_is_commit(reference))
		c->commit = c->version;
}

static void take_steps(const struct lock_input *in, const struct node *steps)
{
	node_for_each(step, steps) take_uses(in, node_get(step, SPAN("uses")));
}

static void take_container(const struct lock_input *in, const struct node *container)
{
	struct span image = node_is(container, NODE_MAP)
				    ? node_text_at(container, SPAN("image"))
				    : node_text(container);

	if (image.len && span_find(image, SPAN("${{")) == image.len)
		add_image(in, image, container->line);
}

int lock_workflow(const struct lock_input *in, struct err *err)
{
	const struct node *root = lock_parse_yaml(in->scratch, in->text, err);

	if (!root)
		return -1;
	node_for_each(job, node_get(root, SPAN("jobs")))
	{
		take_uses(in, node_get(job, SPAN("uses")));
		take_steps(in, node_get(job, SPAN("steps")));
		if (node_get(job, SPAN("container")))
			take_container(in, node_get(job, SPAN("container")));
		node_for_each(service, node_get(job, SPAN("services")))
			take_container(in, service);
	}
	take_steps(in, node_get(node_get(root, SPAN("runs")), SPAN("steps")));
	return 0;
}

/* --- Dockerfiles. */

struct dockerfile {
	const struct lock_input *in;
	struct map stages; /* names, in lower case -> anything */
	struct map args; /* before the first FROM: name -> struct span */
	bool started;
};

static struct span next_word(struct span *line)
{
	struct span word;
	size_t end = 0;

	*line = span_trim(*line);
	while (end < line->len && line->ptr[end] != ' ' && line->ptr[end] != '\t')
		end++;
	word = span_slice(*line, 0, end);
	*line = span_slice(*line, end, line->len);
	return word;
}

static bool is_name_byte(char c)
{
	char l = ascii_lower(c);

	return (l >= 'a' && l <= 'z') || (c >= '0' && c <= '9') || c == '_';
}

/* $NAME, ${NAME} and ${NAME:-default}; false when one has no value. */
static bool substitute(struct dockerfile *d, struct span text, struct buf *to)
{
	for (size_t i = 0; i < text.len; i++) {
		struct span name, fallback = SPAN_NONE;
		const struct span *value;
		size_t end = i + 1;

		if (text.ptr[i] != '$') {
			buf_append_byte(to, text.ptr[i]);
			continue;
		}
		if (end < text.len && text.ptr[end] == '{') {
			size_t colon;

			end += span_find_byte(span_slice(text, end, text.len), '}');
			name = span_slice(text, i + 2, end);
			colon = span_find(name, SPAN(":-"));
			if (colon < name.len)
				fallback = span_slice(name, colon + 2, name.len);
			name = span_slice(name, 0, colon);
			i = end;
		} else {
			while (end < text.len && is_name_byte(text.ptr[end]))
				end++;
			name = span_slice(text, i + 1, end);
			i = end - 1;
		}
		value = map_get(&d->args, name);
		if (value && value->len)
			buf_append(to, *value);
		else if (fallback.ptr)
			buf_append(to, fallback);
		else
			return false;
	}
	return !buf_failed(to);
}

static struct span lowered(const struct lock_input *in, struct span text)
{
	char *to = arena_alloc(in->scratch, text.len + 1);

	if (!to) {
		in->inv->failed = true;
		return text;
	}
	for (size_t i = 0; i < text.len; i++)
		to[i] = ascii_lower(text.ptr[i]);
	return span_of(to, text.len);
}

static bool is_stage(struct dockerfile *d, struct span name)
{
	uint64_t number;

	return span_to_u64(name, &number) || map_get(&d->stages, lowered(d->in, name));
}

static void take_image(struct dockerfile *d, struct span image, uint32_t line)
{
	struct buf text;

	if (!image.len || span_eq(image, SPAN("scratch")) || is_stage(d, image))
		return;
	buf_init(&text, 4096);
	if (substitute(d, image, &text)) {
		struct span full = buf_span(&text);

		if (full.len && !span_eq(full, SPAN("scratch")) && !is_stage(d, full))
			add_image(d->in, full, line);
	} else {
		inventory_problem(d->in->inv, d->in->file, line,
				  "the image %.*s is not known here", SPAN_ARG(image));
	}
	buf_release(&text);
}

static void take_from(struct dockerfile *d, struct span rest, uint32_t line)
{
	struct span image = next_word(&rest), as;

	while (span_starts_with(image, SPAN("--")))
		image = next_word(&rest);
	take_image(d, image, line);
	as = next_word(&rest);
	if (span_eq_nocase(as, SPAN("as"))) {
		struct span name = lowered(d->in, next_word(&rest));

		if (name.len && map_put(&d->stages, name, d) < 0)
			d->in->inv->failed = true;
	}
	d->started = true;
}

static void take_arg(struct dockerfile *d, struct span rest)
{
	struct span word = next_word(&rest);
	size_t equals = span_find_byte(word, '=');
	struct span *value = arena_new(d->in->scratch, struct span);
	struct span text = span_slice(word, equals + 1, word.len);

	if (equals == word.len || !value)
		return;
	if (text.len >= 2 && (text.ptr[0] == '"' || text.ptr[0] == '\'') &&
	    text.ptr[text.len - 1] == text.ptr[0])
		text = span_slice(text, 1, text.len - 1);
	word = arena_dup(d->in->scratch, span_slice(word, 0, equals));
	*value = arena_dup(d->in->scratch, text);
	if (!word.ptr || !value->ptr || map_put(&d->args, word, value) < 0)
		d->in->inv->failed = true;
}

static void take_instruction(struct dockerfile *d, struct span line, uint32_t number)
{
	struct span word = next_word(&line);

	if (span_eq_nocase(word, SPAN("FROM"))) {
		take_from(d, line, number);
	} else if (span_eq_nocase(word, SPAN("ARG")) && !d->started) {
		take_arg(d, line);
	} else if (span_eq_nocase(word, SPAN("COPY"))) {
		struct span option = next_word(&line);

		for (; span_starts_with(option, SPAN("--")); option = next_word(&line)) {
			if (span_starts_with(option, SPAN("--from=")))
				take_image(d, span_slice(option, 7, option.len), number);
		}
	}
}

int lock_dockerfile(const struct lock_input *in, struct err *err)
{
	struct dockerfile d = {.in = in, .stages = MAP_INIT, .args = MAP_INIT};
	struct lock_lines lines;
	struct span line;
	struct buf whole;

	if (span_find_byte(in->text, '\0') < in->text.len)
		return err_set(err, ERR_SYNTAX, "line 1: not a text file");
	buf_init(&whole, 1 << 20);
	lock_lines_init(&lines, in->text);
	while (lock_lines_next(&lines, &line)) {
		uint32_t number = lines.number;

		line = span_trim(line);
		if (!line.len || line.ptr[0] == '#')
			continue;
		buf_clear(&whole);
		/* A backslash at the end joins the next line; comments in between are skipped. */
		for (;;) {
			bool more = span_ends_with(line, SPAN("\\"));

			line.len -= more;
			if (!line.len || line.ptr[0] != '#')
				buf_append(&whole, line);
			else
				more = true;
			buf_append_byte(&whole, ' ');
			if (!more || !lock_lines_next(&lines, &line))
				break;
			line = span_trim(line);
		}
		if (!buf_failed(&whole))
			take_instruction(&d, buf_span(&whole), number);
	}
	buf_release(&whole);
	map_release(&d.stages);
	map_release(&d.args);
	return 0;
}
