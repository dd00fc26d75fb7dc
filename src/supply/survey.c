#include "supply/survey.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "supply/image.h"
#include "supply/inventory_child.h"
#include "supply/shellcheck.h"

#define PACKED_BYTES_MAX ((size_t)4 << 30)
#define FINDINGS_BYTES_MAX ((size_t)1 << 30)
/* Of so many scripts at once; it is quick, or has got lost. */
#define SHELLCHECK_SECONDS 120
#define SCRIPTS_BYTES_MAX ((size_t)64 << 20)

/* --- Findings as bytes. Both ends are the same program. */

#define FINDING_TEXTS 7

static void texts_of(struct finding *f, struct span *texts[FINDING_TEXTS])
{
	struct span *const all[FINDING_TEXTS] = {&f->rule,	&f->message,   &f->advice,
						 &f->link,	&f->standards, &f->subject,
						 &f->place.file};

	memcpy(texts, all, sizeof(all));
}

static void put_u32(struct buf *to, uint32_t value)
{
	buf_append_bytes(to, &value, sizeof(value));
}

static void pack_findings(const struct finding_list *list, struct buf *to)
{
	put_u32(to, (uint32_t)list->count);
	for (size_t i = 0; i < list->count; i++) {
		struct finding f = list->at[i];
		struct span *texts[FINDING_TEXTS];

		put_u32(to, f.severity);
		put_u32(to, f.place.line);
		put_u32(to, f.place.column);
		put_u32(to, f.place.end_line);
		texts_of(&f, texts);
		for (size_t k = 0; k < FINDING_TEXTS; k++) {
			struct span text = span_slice(*texts[k], 0, UINT16_MAX);

			put_u32(to, (uint32_t)text.len);
			buf_append(to, text);
		}
	}
}

static bool get_u32(struct span *from, uint32_t *value)
{
	if (from->len < sizeof(*value))
		return false;
	memcpy(value, from->ptr, sizeof(*value));
	*from = span_slice(*from, sizeof(*value), from->len);
	return true;
}

static bool get_finding(struct span *from, struct finding *f)
{
	struct span *texts[FINDING_TEXTS];
	uint32_t severity, length;

	*f = (struct finding){0};
	if (!get_u32(from, &severity) || severity >= FINDING_SEVERITIES ||
	    !get_u32(from, &f->place.line) || !get_u32(from, &f->place.column) ||
	    !get_u32(from, &f->place.end_line))
		return false;
	f->severity = (enum finding_severity)severity;
	texts_of(f, texts);
	for (size_t k = 0; k < FINDING_TEXTS; k++) {
		if (!get_u32(from, &length) || length > from->len)
			return false;
		*texts[k] = span_slice(*from, 0, length);
		*from = span_slice(*from, length, from->len);
	}
	return true;
}

static int unpack_findings(struct span *from, struct finding_list *to, struct err *err)
{
	uint32_t count;
	struct finding f;

	if (!get_u32(from, &count))
		return err_set(err, ERR_INVALID, "the scan gave no findings");
	for (; count > 0; count--) {
		if (!get_finding(from, &f) || (!to && count))
			return err_set(err, ERR_INVALID, "the scan gave broken findings");
		if (finding_list_add(to, &f) < 0)
			return err_set(err, ERR_MEMORY, "the findings do not fit into memory");
	}
	return 0;
}

/* --- In the child. */

struct job {
	const struct survey *survey;
	struct inventory_options how;
	struct inventory_visitor visitor;
	struct checker *checker; /* NULL: neither misconfigurations nor secrets */
	struct inventory inv;
	struct arena arena;
	struct finding_list findings;
	struct buf scripts;
	struct err failed; /* what a visitor could not do */
	bool is_image;
};

/* A file that has no name and goes away with its descriptor: archives are unpacked into it. */
static int open_spool(void)
{
	const char *folder = getenv("TMPDIR");
	int fd = open(folder ? folder : "/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	return fd < 0 ? memfd_create("image", MFD_CLOEXEC) : fd;
}

static bool is_image(const struct survey *survey)
{
	int fd = open(survey->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat st;
	bool is = false;

	if (fd < 0)
		return false;
	if (survey->inventory.source == INVENTORY_IMAGE)
		is = true;
	else if (survey->inventory.source == INVENTORY_AUTO && fstat(fd, &st) == 0)
		is = S_ISDIR(st.st_mode) ? image_is_layout(fd)
					 : S_ISREG(st.st_mode) && image_is_archive(fd);
	(void)close(fd);
	return is;
}

static struct check_walk walk_of(struct job *j)
{
	return (struct check_walk){
		.path = j->survey->path,
		.checker = j->checker,
		.misconfigurations = j->survey->misconfigurations,
		.secrets = j->survey->secrets,
		.limits = j->survey->files,
		.findings = &j->findings,
		.scripts = j->survey->shellcheck && !j->is_image ? &j->scripts : NULL,
		.inventory = &j->inv};
}

static bool visit_wants(void *context, struct span path, uint64_t bytes)
{
	struct job *j = context;
	struct check_walk walk = walk_of(j);

	return check_walk_wants(&walk, path, bytes);
}

/* The first failure is what the survey fails with; what comes after it is not looked at. */
static void take_text(struct job *j, struct check_walk *walk, struct check_file_place *place,
		      struct span text)
{
	struct err err;

	if (j->failed.code == ERR_NONE && check_walk_text(walk, place, text, &err) < 0)
		j->failed = err;
}

static void visit_file(void *context, const struct inventory_visit *v)
{
	struct job *j = context;
	struct check_walk walk = walk_of(j);
	char subject[160] = "";
	struct check_file_place place = {.path = v->path};

	if (v->layer < j->inv.layer_count) {
		(void)snprintf(subject, sizeof(subject), "layer %.*s%s",
			       SPAN_ARG(j->inv.layers[v->layer].digest),
			       v->hidden ? ", removed or replaced by a later one" : "");
		place.subject = span_cstr(subject);
	}
	/* What is hidden runs nowhere, but whoever has the image can read it. */
	if (v->hidden)
		walk.misconfigurations = false;
	take_text(j, &walk, &place, v->text);
}

static void visit_config(void *context, struct span path, struct span text)
{
	struct job *j = context;
	struct check_walk walk = walk_of(j);
	struct check_file_place place = {.path = path, .kind = CHECK_IMAGE};

	take_text(j, &walk, &place, text);
}

static int prepare(void *context, struct err *err)
{
	struct job *j = context;

	j->how = j->survey->inventory;
	j->is_image = is_image(j->survey);
	if (j->is_image)
		j->how.spool = open_spool();
	if (!j->survey->misconfigurations && !j->survey->secrets)
		return 0;
	j->checker = checker_new(err);
	if (!j->checker || (j->survey->rules_path &&
			    check_walk_add_rules(j->checker, j->survey->rules_path, err) < 0))
		return -1;
	j->visitor = (struct inventory_visitor){visit_wants, visit_file, visit_config, j};
	if (j->is_image)
		j->how.visitor = &j->visitor;
	return 0;
}

/* A single file that has no components may still have something to check. */
static int take_components(struct job *j, struct err *err)
{
	struct err why = {0};
	bool may_have_none =
		j->checker && !j->is_image && j->survey->inventory.source == INVENTORY_AUTO;

	if (inventory_scan(&j->inv, j->survey->path, &j->how, &why) == 0)
		return 0;
	if (may_have_none && why.code == ERR_INVALID)
		return 0;
	return err_set(err, why.code, "%s", why.message);
}

static int work(void *context, struct buf *to, struct err *err)
{
	struct job *j = context;
	const struct survey *survey = j->survey;
	struct check_walk walk = walk_of(j);

	if ((survey->components || j->is_image) && take_components(j, err) < 0)
		return -1;
	if (j->failed.code != ERR_NONE)
		return err_set(err, j->failed.code, "%s", j->failed.message);
	if (j->checker && !j->is_image && check_walk(&walk, err) < 0)
		return -1;
	if (!j->inv.finished && inventory_finish(&j->inv, err) < 0)
		return -1;
	pack_findings(&j->findings, to);
	put_u32(to, (uint32_t)j->scripts.len);
	buf_append(to, buf_span(&j->scripts));
	return inventory_pack(&j->inv, to, err);
}

/* What it could not do is told, and the scan goes on: it is not ours. */
static void ask_shellcheck(const struct survey *survey, struct span scripts,
			   struct inventory *inv, struct finding_list *findings)
{
	const struct shellcheck job = {survey->path, scripts,
				       survey->limits.seconds < SHELLCHECK_SECONDS
					       ? survey->limits.seconds
					       : SHELLCHECK_SECONDS};
	struct err err = {0};

	if (shellcheck_run(&job, findings, &err) < 0)
		inventory_problem(inv, SPAN(""), 0, "%s", err.message);
}

static int take_result(const struct survey *survey, struct span rest, struct inventory *inv,
		       struct finding_list *findings, struct err *err)
{
	struct span scripts;
	uint32_t length;

	if (unpack_findings(&rest, findings, err) < 0)
		return -1;
	if (!get_u32(&rest, &length) || length > rest.len)
		return err_set(err, ERR_INVALID, "the scan gave no list of scripts");
	scripts = span_slice(rest, 0, length);
	if (inventory_unpack(inv, span_slice(rest, length, rest.len), err) < 0)
		return -1;
	if (scripts.len && findings)
		ask_shellcheck(survey, scripts, inv, findings);
	return 0;
}

int survey_run(const struct survey *survey, struct inventory *inv,
	       struct finding_list *findings, struct err *err)
{
	char folder[4096];
	struct job j = {.survey = survey};
	const struct child_job job = {
		.paths = {child_readable(survey->path, folder, sizeof(folder))},
		.prepare = prepare,
		.work = work,
		.context = &j,
	};
	struct buf bytes;
	int result;

	/* They allocate nothing here, and everything in the child, which ends with it. */
	inventory_init(&j.inv, INVENTORY_TEXT_BYTES);
	arena_init(&j.arena, FINDINGS_BYTES_MAX, (size_t)1 << 16);
	finding_list_init(&j.findings, &j.arena);
	buf_init(&j.scripts, SCRIPTS_BYTES_MAX);
	buf_init(&bytes, PACKED_BYTES_MAX);
	result = child_run(&job, &survey->limits, &bytes, err);
	if (result == 0)
		result = take_result(survey, buf_span(&bytes), inv, findings, err);
	buf_release(&bytes);
	return result;
}
