/*
 * operator_phrases.c - pm: many phrases at once, letters compared without case (Aho and Corasick,
 * "Efficient string matching", 1975), with the answers of libmodsecurity's own automaton, which
 * has two peculiarities:
 * - a state fails to where its parent's failure goes on, else to the root, so that some phrases
 *   inside of others are not found;
 * - a byte 0xff in a phrase matches nothing.
 */
#include "base/arena.h"
#include "waf/operator_internal.h"

#define PHRASES_BYTES_MAX ((size_t)64 << 20)

/* A state is a prefix of a phrase; the root is state 0. Those that follow one lie side by side. */
struct state {
	uint32_t children;
	uint32_t fail;
	uint32_t phrase; /* the first one that has the prefix */
	uint32_t depth;
	uint16_t child_count;
	unsigned char letter;
	bool is_last; /* of a phrase */
	bool has_other; /* a phrase ends here, though not the one of this state */
};

struct phrases {
	struct arena arena;
	struct span *items;
	size_t count;
	size_t cap;
	struct state *states;
	uint32_t state_count;
	uint32_t start[256]; /* from the root by byte, capitals too; 0: stay there */
};

/* A state while the tree grows; 0 is nobody's child or sibling. */
struct seed {
	uint32_t child; /* the first one */
	uint32_t last_child;
	uint32_t sibling; /* the next one */
	uint32_t phrase;
	uint32_t depth;
	uint32_t final; /* the index among the states */
	unsigned char letter;
	bool is_last;
};

struct seeds {
	struct seed *items;
	uint32_t count;
	uint32_t cap;
};

static int add_phrase(struct phrases *p, struct span text)
{
	if (p->count == p->cap) {
		size_t cap = p->cap ? 2 * p->cap : 64;
		struct span *items = mem_realloc(p->items, cap * sizeof(*items));

		if (!items)
			return -1;
		p->items = items;
		p->cap = cap;
	}
	text = arena_dup(&p->arena, text);
	if (!text.ptr)
		return -1;
	p->items[p->count++] = text;
	return 0;
}

static bool is_blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Lines of a file; those that are empty or start with "#", after white space, are comments. */
static int read_lines(struct phrases *p, struct span text)
{
	while (text.ptr && text.len > 0) {
		struct span line = span_cut(&text, '\n');
		size_t first = 0;

		while (first < line.len && is_blank(line.ptr[first]))
			first++;
		if (line.len == 0 || (first < line.len && line.ptr[first] == '#'))
			continue;
		if (add_phrase(p, line) < 0)
			return -1;
	}
	return 0;
}

static bool is_hex_letter(char c)
{
	return ascii_lower(c) >= 'a' && ascii_lower(c) <= 'f';
}

/*
 * Takes out escapes and |hexadecimal| bytes, of which libmodsecurity knows those made of the
 * letters A to F. What has become shorter keeps the end of the text as it was, as there. False,
 * with the text as given, for an unknown escape.
 */
static bool unescape(char *to, struct span text)
{
	bool binary = false, escaped = false;
	size_t o = 0, digits = 0;
	unsigned value = 0;

	memcpy(to, text.ptr, text.len);
	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];

		if (c == '|') {
			binary = !binary;
		} else if (!escaped && c == '\\') {
			escaped = true;
		} else if (binary) {
			if (!is_hex_letter(c))
				continue;
			value = value << 4 | (unsigned)(ascii_lower(c) - 'a' + 10);
			if (++digits == 2) {
				to[o++] = (char)value;
				value = 0;
				digits = 0;
			}
		} else if (!escaped) {
			to[o++] = c;
		} else if (c == ':' || c == ';' || c == '\\' || c == '"') {
			to[o++] = c;
			escaped = false;
		} else {
			memcpy(to, text.ptr, text.len);
			return false;
		}
	}
	return true;
}

/* Words of a parameter, in quotes or not. */
static int read_words(struct phrases *p, struct span text)
{
	struct span inner = text;
	char *copy;

	while (inner.len > 0 && (inner.ptr[0] == ' ' || inner.ptr[0] == '\t'))
		inner = span_slice(inner, 1, inner.len);
	if (inner.len > 1 && inner.ptr[0] == '"' && inner.ptr[inner.len - 1] == '"')
		inner = span_slice(inner, 1, inner.len - 1);
	copy = arena_alloc(&p->arena, inner.len + 1);
	if (!copy)
		return -1;
	if (inner.len > 0 && unescape(copy, inner))
		text = span_of(copy, inner.len);
	while (text.len > 0) {
		size_t from = 0, to;

		while (from < text.len && is_blank(text.ptr[from]))
			from++;
		for (to = from; to < text.len && !is_blank(text.ptr[to]);)
			to++;
		if (to > from && add_phrase(p, span_slice(text, from, to)) < 0)
			return -1;
		text = span_slice(text, to, text.len);
	}
	return 0;
}

/* ---- building ---------------------------------------------------------------------------------- */

static uint32_t seed_child(const struct seeds *s, uint32_t parent, unsigned char letter)
{
	uint32_t i = s->items[parent].child;

	while (i && s->items[i].letter != letter)
		i = s->items[i].sibling;
	return i;
}

static uint32_t seed_add(struct seeds *s, uint32_t parent, unsigned char letter,
			 uint32_t phrase)
{
	uint32_t i = s->count;

	if (s->count == s->cap) {
		uint32_t cap = s->cap * 2;
		struct seed *items = mem_realloc(s->items, cap * sizeof(*items));

		if (!items)
			return 0;
		s->items = items;
		s->cap = cap;
	}
	s->items[i] = (struct seed){
		.letter = letter, .phrase = phrase, .depth = s->items[parent].depth + 1};
	if (s->items[parent].last_child)
		s->items[s->items[parent].last_child].sibling = i;
	else
		s->items[parent].child = i;
	s->items[parent].last_child = i;
	s->count++;
	return i;
}

static int seed_phrase(struct seeds *s, struct span text, uint32_t phrase)
{
	uint32_t at = 0;

	for (size_t i = 0; i < text.len; i++) {
		unsigned char letter = (unsigned char)ascii_lower(text.ptr[i]);
		uint32_t next;

		if (letter == 0xff)
			return 0;
		next = seed_child(s, at, letter);
		if (!next)
			next = seed_add(s, at, letter, phrase);
		if (!next)
			return -1;
		at = next;
	}
	/* The empty phrase is not one: nothing ends at the root. */
	if (at)
		s->items[at].is_last = true;
	return 0;
}

static uint32_t child_of(const struct phrases *p, uint32_t state, unsigned char letter)
{
	const struct state *s = &p->states[state];

	for (uint32_t i = s->children; i < s->children + s->child_count; i++)
		if (p->states[i].letter == letter)
			return i;
	return 0;
}

/* Lays the states out level by level, so that those which fail lie behind those they fail to. */
static int lay_out(struct phrases *p, struct seeds *seeds)
{
	uint32_t *order = mem_alloc(seeds->count * sizeof(*order));
	uint32_t done = 1;

	p->states = mem_zalloc(seeds->count, sizeof(*p->states));
	if (!order || !p->states) {
		mem_free(order);
		return -1;
	}
	order[0] = 0;
	for (uint32_t i = 0; i < done; i++) {
		const struct seed *seed = &seeds->items[order[i]];
		struct state *s = &p->states[i];

		*s = (struct state){.children = done,
				    .phrase = seed->phrase,
				    .depth = seed->depth,
				    .letter = seed->letter,
				    .is_last = seed->is_last,
				    .fail = s->fail};
		for (uint32_t c = seed->child; c; c = seeds->items[c].sibling) {
			p->states[done].fail = i; /* the parent, until fails are known */
			order[done++] = c;
			s->child_count++;
		}
	}
	p->state_count = done;
	mem_free(order);
	return 0;
}

static void connect_fails(struct phrases *p)
{
	for (uint32_t i = 1; i < p->state_count; i++) {
		struct state *s = &p->states[i];
		uint32_t parent = s->fail;

		s->fail = parent ? child_of(p, p->states[parent].fail, s->letter) : 0;
		for (uint32_t f = s->fail; f && !s->has_other; f = p->states[f].fail)
			s->has_other = p->states[f].is_last;
	}
	for (uint32_t i = 1; i <= p->states[0].child_count; i++) {
		unsigned char letter = p->states[i].letter;

		p->start[letter] = i;
		if (letter >= 'a' && letter <= 'z')
			p->start[letter - 0x20] = i;
	}
}

static int build(struct phrases *p)
{
	struct seeds seeds = {.count = 1, .cap = 256};
	int result = 0;

	seeds.items = mem_zalloc(seeds.cap, sizeof(*seeds.items));
	if (!seeds.items)
		return -1;
	for (size_t i = 0; i < p->count && result == 0; i++)
		result = seed_phrase(&seeds, p->items[i], (uint32_t)i);
	if (result == 0)
		result = lay_out(p, &seeds);
	mem_free(seeds.items);
	if (result == 0)
		connect_fails(p);
	return result;
}

struct phrases *phrases_new(struct span text, bool lines, struct err *err)
{
	struct phrases *p = mem_zalloc(1, sizeof(*p));

	if (!p) {
		err_set(err, ERR_MEMORY, "out of memory for phrases");
		return NULL;
	}
	arena_init(&p->arena, PHRASES_BYTES_MAX, 16384);
	if ((lines ? read_lines(p, text) : read_words(p, text)) < 0 || build(p) < 0) {
		phrases_free(p);
		err_set(err, ERR_MEMORY, "out of memory for phrases");
		return NULL;
	}
	return p;
}

void phrases_free(struct phrases *p)
{
	if (!p)
		return;
	arena_release(&p->arena);
	mem_free(p->items);
	mem_free(p->states);
	mem_free(p);
}

const struct span *phrases_at(const struct phrases *p, size_t index)
{
	return index < p->count ? &p->items[index] : NULL;
}

/* ---- matching ---------------------------------------------------------------------------------- */

/* The state after a byte; *found when a phrase ends there. */
static uint32_t step(const struct phrases *p, uint32_t state, unsigned char letter, bool *found)
{
	uint32_t next = child_of(p, state, letter);

	while (!next && state) {
		state = p->states[state].fail;
		next = state ? child_of(p, state, letter) : p->start[letter];
	}
	*found = p->states[next].is_last || p->states[next].has_other;
	return next;
}

bool phrases_match(const struct phrases *p, struct span value, struct span *piece,
		   struct span *text)
{
	uint32_t state = 0;

	for (size_t i = 0; i < value.len; i++) {
		bool found = false;

		if (state == 0) {
			while (i < value.len && !p->start[(unsigned char)value.ptr[i]])
				i++;
			if (i == value.len)
				return false;
			state = p->start[(unsigned char)value.ptr[i]];
			found = p->states[state].is_last;
		} else {
			state = step(p, state, (unsigned char)ascii_lower(value.ptr[i]),
				     &found);
		}
		if (found) {
			const struct state *s = &p->states[state];

			*piece = span_slice(value, i + 1 - s->depth, i + 1);
			*text = span_slice(p->items[s->phrase], 0, s->depth);
			return true;
		}
	}
	return false;
}
